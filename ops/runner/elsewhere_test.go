package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tandem/ops"
	"tandem/ops/journal"
)

// carries is an attempt under way on one machine.
type carries struct {
	*bench
	over    chan struct{}
	outcome ops.Outcome
	err     error
}

func (b *bench) begin(way wayOf, what happens) *carries {
	c := &carries{bench: b, over: make(chan struct{})}
	b.severed = make(chan struct{})
	go func() {
		defer close(c.over)
		c.outcome, c.err = b.attempt(way, what)
	}()
	return c
}

// elsewhere is the same run on another machine with its own journals.
func (b *bench) elsewhere(machine string) *bench {
	c := *b
	c.world, c.dir, c.from = on(b.world.ground), filepath.Join(b.dir, machine), machine
	c.events, c.read, c.after, c.onPause = nil, nil, nil, nil
	return &c
}

// bring takes over what lies beside the lock, as `tandem resume` does. It is false where no
// run is recorded here.
func (b *bench) bring() bool {
	b.t.Helper()
	b.world.mu.Lock()
	copies := slices.Clone(b.world.copies)
	b.left = nil
	for _, side := range ops.Sides {
		if mark := b.world.mark(side); mark != nil {
			b.left = append(b.left, *mark)
		}
	}
	b.world.mu.Unlock()
	if len(copies) > 0 {
		if _, err := journal.Import(b.dir, b.plan.Pair, copies); err != nil {
			b.t.Errorf("bringing the run to %s: %v", b.from, err)
			return false
		}
	}
	if _, err := os.Stat(b.path()); err != nil {
		return false
	}
	b.reread()
	return true
}

func (w *world) sever(cut bool) { w.set(func() { w.cut = cut }) }

// The machine of a runner is cut off in the middle of a run, the run goes on elsewhere, and
// the machine comes back.
func TestResumedElsewhere(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.after = map[string]func(){"a": func() { w.cut = true }}
		there := b.elsewhere("desk")
		first := b.begin(Start, happens{})
		<-time.After(2 * time.Minute)
		if !there.bring() {
			t.Fatal("nothing lies beside the lock")
		}
		there.after = map[string]func(){"b": func() { w.cut = false }}
		if err := there.want(t, resume, ops.OutcomeDone); err != nil {
			t.Error(err)
		}
		<-first.over
		if first.outcome != ops.OutcomeStopped || !w.free() || len(w.wrong) > 0 {
			t.Errorf("%s: %v, locks %v, %v", first.outcome, first.err, w.locks, w.wrong)
		}
	})
	t.Run("an act finds it out", func(t *testing.T) { // it had waited for its host, see lock.Fence
		patiently(t, func(t *testing.T, w *world, b *bench) {
			w.faults["b/overtaken"] = 1
			err := b.want(t, Start, ops.OutcomeStopped)
			if moved := (*ops.MovedError)(nil); !errors.As(err, &moved) {
				t.Errorf("ended with %v", err)
			}
			if says := b.texts(ops.EvSay); !slices.Contains(says, "run r1 goes on from desk: stopping here") {
				t.Errorf("it says %q", says)
			}
			if w.free() {
				t.Error("the lock was given back, which is the other's")
			}
		})
	})
	t.Run("and still under way there", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.after = map[string]func(){"a": func() { w.cut = true }}
			there := b.elsewhere("desk")
			first := b.begin(Start, happens{})
			<-time.After(2 * time.Minute)
			there.bring()
			w.set(func() { w.guards["g2"] = 1000 })
			second := there.begin(resume, happens{})
			<-time.After(time.Minute)
			w.sever(false)
			<-first.over
			if first.outcome != ops.OutcomeStopped || !strings.Contains(first.err.Error(), "run r1 goes on from desk") {
				t.Errorf("%s: %v", first.outcome, first.err)
			}
			if says := first.texts(ops.EvSay); !slices.Contains(says, "run r1 goes on from desk: stopping here") {
				t.Errorf("it says %q", says)
			}
			if w.owners[ops.Blue].From != "desk" || !w.locked() {
				t.Errorf("locks %v of %v", w.locks, w.owners)
			}
			copies := ops.Replay(w.copies)
			if !copies.Live() || copies.By != "ana@laptop" || !copies.Paused {
				t.Errorf("the copies tell: %+v", copies)
			}
			w.set(func() { w.guards["g2"] = 0 })
			<-second.over
			if second.outcome != ops.OutcomeDone || len(w.wrong) > 0 {
				t.Errorf("%s: %v, %v", second.outcome, second.err, w.wrong)
			}
		})
	})
	t.Run("and comes back here", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.after = map[string]func(){"a": func() { w.cut = true }}
			there := b.elsewhere("desk")
			first := b.begin(Start, happens{})
			<-time.After(2 * time.Minute)
			there.bring()
			w.set(func() { w.faults["b/do"] = 1 })
			there.want(t, resume, ops.OutcomeFailed)
			w.sever(false)
			<-first.over
			if !b.bring() || len(b.read) != len(w.copies) {
				t.Fatalf("here are %d events, beside the lock %d", len(b.read), len(w.copies))
			}
			b.want(t, resume, ops.OutcomeDone)
		})
	})
}

// A host that was away when the run changed hands keeps the mark of the former owner: that is
// no reason to give way to it.
func TestTheMarkOfAFormerOwner(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/do"] = 1
		b.want(t, Start, ops.OutcomeFailed)
		w.down[ops.Green] = true
		b.onUndone = map[string]func(){"b": func() { w.down[ops.Green] = false }}
		if err := b.want(t, rollback, ops.OutcomeRolledBack); err != nil || !w.free() {
			t.Errorf("%v, locks %v", err, w.locks)
		}
	})
}

// A run is resumed on a machine that is cut off, and meanwhile on another: when the first is back,
// it takes the lock from nobody and acts no more.
func TestWhoWaitedForTheLockGivesWay(t *testing.T) {
	for name, test := range map[string]struct {
		paused bool // the run is still under way there
		want   string
	}{
		"to whoever goes on with it":   {true, "run r1 goes on from desk"},
		"where it has come to its end": {false, "run r1 has come to its end, by ana at desk"},
	} {
		t.Run(name, func(t *testing.T) {
			patiently(t, func(t *testing.T, w *world, b *bench) {
				w.faults["b/do"] = 1
				b.want(t, Start, ops.OutcomeFailed)
				there := b.elsewhere("desk")
				w.sever(true)
				waits := b.begin(resume, happens{})
				<-time.After(time.Minute)
				there.bring()
				if test.paused {
					w.set(func() { w.guards["g2"] = 1000 })
				}
				second := there.begin(resume, happens{})
				<-time.After(time.Minute)
				w.sever(false)
				<-waits.over
				if waits.outcome != ops.OutcomeFailed || waits.err == nil || !strings.Contains(waits.err.Error(), test.want) {
					t.Errorf("%s: %v", waits.outcome, waits.err)
				}
				if says := waits.texts(ops.EvSay); !slices.Contains(says, test.want+": stopping here") {
					t.Errorf("it says %q", says)
				}
				if test.paused && (w.owners[ops.Blue].From != "desk" || !w.locked()) {
					t.Errorf("locks %v of %v", w.locks, w.owners)
				}
				w.set(func() { w.guards["g2"] = 0 })
				<-second.over
				if second.outcome != ops.OutcomeDone || !w.free() || len(w.wrong) > 0 {
					t.Errorf("%s: %v, locks %v, %v", second.outcome, second.err, w.locks, w.wrong)
				}
			})
		})
	}
}

// The answer to the release of the lock is lost: the mark that is gone is the run's own doing.
func TestTheAnswerToTheReleaseIsLost(t *testing.T) {
	t.Run("at the end", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			w.faults["unlock/answer"] = 1
			if err := b.want(t, Start, ops.OutcomeDone); err != nil || !w.free() {
				t.Errorf("%v, locks %v", err, w.locks)
			}
		})
	})
	t.Run("at the end of a rollback", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			w.faults["lock/answer"] = 1
			b.want(t, Start, ops.OutcomeDone)
			if err := b.want(t, rollback, ops.OutcomeRolledBack); err != nil || !w.free() {
				t.Errorf("%v, locks %v", err, w.locks)
			}
		})
	})
	// Cut off before the release arrived, it is no proof that nobody else released it.
	for name, way := range map[string]wayOf{"rolled back elsewhere": rollback, "done elsewhere": resume} {
		t.Run(name, func(t *testing.T) {
			patiently(t, func(t *testing.T, w *world, b *bench) {
				b.after = map[string]func(){"b": func() { w.cut = true }}
				there := b.elsewhere("desk")
				waits := b.begin(Start, happens{})
				<-time.After(time.Minute)
				there.bring()
				if _, err := there.attempt(way, happens{}); err != nil || !w.free() {
					t.Fatalf("%v, locks %v", err, w.locks)
				}
				w.sever(false)
				<-waits.over
				want := "run r1 has come to its end, by ana at desk"
				if waits.outcome != ops.OutcomeStopped || waits.err == nil || !strings.Contains(waits.err.Error(), want) {
					t.Errorf("%s: %v", waits.outcome, waits.err)
				}
				if says := waits.texts(ops.EvSay); !slices.Contains(says, want+": stopping here") {
					t.Errorf("it says %q", says)
				}
			})
		})
	}
}

// A runner that died right after it took the lock had no time to record it.
func TestALockThatWasNotRecorded(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		for at := 1; !w.locked(); at++ {
			if err := os.RemoveAll(b.path()); err != nil {
				t.Fatal(err)
			}
			b.attempt(Start, happens{at, "kill"})
		}
		b.want(t, resume, ops.OutcomeDone)
	})
}

// Whenever a machine is cut off, wherever the run goes on, however that ends and whenever the
// machine comes back: the two never act against each other, and the run reaches a good end.
func TestAnyPlanOnTwoMachines(t *testing.T) {
	root := fastDir(t)
	schedules := 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawStory(rt)
		s.patient, s.answers = true, []ops.Ask{ops.AskContinue}
		// Half a second more: not at the very instant of the run's resumption.
		back := time.Duration(rapid.IntRange(0, 400).Draw(rt, "seconds until it is back"))*time.Second + time.Second/2
		there := happens{rapid.IntRange(0, 30).Draw(rt, "instant"), rapid.SampledFrom([]string{"kill", "cancel", "stop", "roll-back"}).Draw(rt, "what")}
		for at := rapid.IntRange(1, 3).Draw(rt, "first instant"); ; at += 3 {
			dir := filepath.Join(root, fmt.Sprint(schedules))
			schedules++
			happened := false
			synctest.Test(t, func(t *testing.T) {
				happened = s.onTwoMachines(t, dir, at, back, there)
				if t.Failed() {
					t.Fatalf("cut off at instant %d, back after %s, there %+v, of %s", at, back, there, s)
				}
			})
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if !happened {
				return
			}
		}
	})
	t.Logf("%d schedules", schedules)
}

func (s story) onTwoMachines(t *testing.T, dir string, at int, back time.Duration, there happens) bool {
	w := s.world()
	b := s.bench(t, w, dir)
	desk := b.elsewhere("desk")
	first := b.begin(Start, happens{at, "cut"})
	happened := true
	select {
	case <-first.severed:
	case <-first.over:
		happened = false
	}
	time.AfterFunc(back, func() { w.sever(false) })
	<-time.After(time.Minute)
	// Nobody goes on with a run whose runner gives signs of life.
	dead := happened && back > time.Minute
	if dead && desk.bring() && desk.run.Unfinished() {
		way := wayOf(resume)
		if s.then[0] == "rollback" {
			way = rollback
		}
		outcome, err := desk.attempt(way, there)
		s.check(t, desk, outcome, err)
	}
	<-first.over
	<-time.After(back)
	w.sever(false)
	for i, on := 0, (*bench)(nil); !t.Failed(); i++ {
		if i == 30 {
			t.Errorf("no end after %d attempts: %v", i, b.kinds(""))
		}
		// On either machine in turn, as long as anything is left.
		if on = b; i%2 == 1 && w.copies != nil {
			on = desk
		}
		if !on.bring() || settled(on) || w.free() && desk.run.ID != "" {
			break // the last: it was brought to its end there
		}
		outcome, err := on.attempt(resume, happens{})
		s.check(t, on, outcome, err)
	}
	if len(w.wrong) > 0 {
		t.Errorf("%v", w.wrong)
	}
	if t.Failed() {
		for _, b := range []*bench{b, desk} {
			for _, e := range b.read {
				t.Logf("%s %s %s %s %s", b.from, e.At.Format("04:05"), e.Kind, e.Step, e.Text)
			}
		}
	}
	return happened
}
