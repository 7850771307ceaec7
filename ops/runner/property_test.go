package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"tandem/ops"
)

// story is a generated plan in a generated world.
type story struct {
	steps  []*fake
	skips  map[string]bool
	before map[string]int
	faults map[string]int
	guards map[string]int
	lookUp int // looks that fail
	// Patient plans wait for guards and hosts, and may ask before a step.
	patient bool
	asks    map[string]bool
	answers []ops.Ask
	green   int // looks that find green away
	what    string
	then    []string // after each stop: resume or rollback
}

func drawStory(t *rapid.T) story {
	s := story{
		skips: map[string]bool{}, before: map[string]int{}, faults: map[string]int{}, guards: map[string]int{},
		lookUp:  rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "looks that fail"),
		what:    rapid.SampledFrom([]string{"kill", "kill", "cancel", "pause", "stop", "roll-back"}).Draw(t, "what"),
		patient: rapid.Bool().Draw(t, "patient"), asks: map[string]bool{},
		answers: []ops.Ask{rapid.SampledFrom([]ops.Ask{ops.AskContinue, ops.AskContinue, ops.AskStop, ops.AskRollback}).Draw(t, "answer")},
		green:   rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "looks without green"),
		then:    rapid.SliceOfN(rapid.SampledFrom([]string{"resume", "rollback"}), 1, 3).Draw(t, "then"),
	}
	lock := &fake{ID: "lock", Act: "lock", Level: ops.Harmless}
	s.steps = append(s.steps, lock)
	all := []string{lock.ID}
	for i := range rapid.IntRange(1, 4).Draw(t, "steps") {
		label := func(what string) string { return fmt.Sprintf("%s of %d", what, i) }
		f := &fake{
			ID: fmt.Sprintf("s%d", i), Act: rapid.SampledFrom([]string{"set", "set", "count"}).Draw(t, label("act")), Key: fmt.Sprintf("k%d", i),
			Parts: rapid.IntRange(1, 3).Draw(t, label("parts")), To: 7,
			Level: rapid.SampledFrom([]ops.Level{ops.Harmless, ops.Disruptive, ops.Destructive}).Draw(t, label("level")),
			Guard: rapid.SampledFrom([]string{"", "g1", "g2"}).Draw(t, label("guard")), Needs: []string{lock.ID},
		}
		for _, earlier := range all[1:] {
			if rapid.Bool().Draw(t, label("needs "+earlier)) {
				f.Needs = append(f.Needs, earlier)
			}
		}
		if rapid.IntRange(0, 5).Draw(t, label("skip")) == 0 {
			s.skips[f.ID] = true
		}
		if f.Act == "set" {
			for p := range f.Parts {
				s.before[f.part(p)] = rapid.SampledFrom([]int{1, 2, 7}).Draw(t, label("before"))
			}
		}
		if rapid.IntRange(0, 5).Draw(t, label("question")) == 0 {
			s.asks[f.ID] = true
		}
		for _, where := range []string{"check", "do", "verify", "undo", "away"} {
			if n := rapid.IntRange(0, 8).Draw(t, label("faults in "+where)); n == 0 {
				s.faults[f.ID+"/"+where] = 1
			}
		}
		all = append(all, f.ID)
		s.steps = append(s.steps, f)
	}
	for _, id := range []string{"lock", "unlock"} {
		s.faults[id+"/answer"] = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "answers lost by "+id)
	}
	for _, g := range []string{"g1", "g2"} {
		s.guards[g] = rapid.SampledFrom([]int{0, 0, 0, 1, 2, 6}).Draw(t, g+" unmet")
	}
	s.steps = append(s.steps, &fake{ID: "unlock", Act: "unlock", Level: ops.Harmless, Needs: all})
	return s
}

func (s story) String() string {
	type plain story // without this method
	text := fmt.Sprintf("%+v", plain(s))
	for _, f := range s.steps {
		text += fmt.Sprintf("\n%+v", *f)
	}
	return text
}

func (s story) world() *world {
	w := newWorld()
	w.values, w.faults, w.guards = maps.Clone(s.before), maps.Clone(s.faults), maps.Clone(s.guards)
	w.faults["look"], w.faults["green"] = s.lookUp, s.green
	return w
}

func (s story) bench(t testing.TB, w *world, dir string) *bench {
	var steps []*fake
	for _, f := range s.steps {
		c := *f
		steps = append(steps, &c)
	}
	b := newBench(t, w, dir, steps...)
	for i, p := range b.plan.Steps {
		if s.skips[p.ID] {
			b.plan.Steps[i].Skip = "not needed"
		}
		if s.asks[p.ID] {
			b.plan.Steps[i].Pause = "go on with " + p.ID + "?"
		}
	}
	b.plan.Patient, b.answers = s.patient, s.answers
	return b
}

// Whatever happens at whatever instant of whatever plan, resuming or rolling back reaches a
// good end, and on the way nothing is done twice, out of order or without the lock.
func TestAnyPlanAnyInstant(t *testing.T) {
	root := fastDir(t)
	schedules := 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawStory(rt)
		for at := 1; ; at++ {
			dir := filepath.Join(root, fmt.Sprint(schedules))
			schedules++
			happened := false
			synctest.Test(t, func(t *testing.T) {
				happened = s.play(t, dir, at)
				if t.Failed() { // this ends the test: what failed is not made smaller
					t.Fatalf("at instant %d (%s) of %s", at, s.what, s)
				}
			})
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if !happened {
				return // the run was over before that instant
			}
		}
	})
	t.Logf("%d schedules", schedules)
}

// play lets it happen at an instant of the first attempt, and of those that follow, and then
// lets the run come to its end. It returns false if the first attempt had no such instant.
func (s story) play(t *testing.T, dir string, at int) bool {
	w := s.world()
	b := s.bench(t, w, dir)
	outcome, err := b.attempt(Start, happens{at, s.what})
	happened := w.instants >= at
	s.check(t, b, outcome, err)
	for i := 0; !settled(b) && !t.Failed(); i++ {
		if i == 30 {
			t.Errorf("no end after %d attempts: %s: %v\n%v", i, outcome, err, b.kinds(""))
			return happened
		}
		way, name := wayOf(resume), s.then[min(i, len(s.then)-1)]
		if name == "rollback" {
			way = rollback
		}
		what := happens{}
		if i < 3 {
			what = happens{at: at, what: s.what}
		}
		outcome, err = b.attempt(way, what)
		s.check(t, b, outcome, err)
	}
	// A run that was done can be rolled back as well.
	if r := b.run; r.Outcome == ops.OutcomeDone && s.then[0] == "rollback" {
		for i := 0; i < 30 && b.run.Outcome != ops.OutcomeRolledBack && !t.Failed(); i++ {
			way := wayOf(rollback)
			if b.run.Rolling {
				way = resume
			}
			outcome, err = b.attempt(way, happens{})
			if problem := (*ops.Problem)(nil); errors.As(err, &problem) && problem.Doing == "rolling back run r1" {
				break // nothing to take back
			}
			s.check(t, b, outcome, err)
		}
	}
	return happened
}

// settled tells whether nothing is left to resume or roll back.
func settled(b *bench) bool {
	r := b.run
	switch r.Outcome {
	case ops.OutcomeDone, ops.OutcomeRefused, ops.OutcomeRolledBack:
		return true
	case ops.OutcomeFailed:
		return b.world.free()
	}
	return r.ID == "" // killed before anything was on the record
}

// check looks at the world after an attempt.
func (s story) check(t *testing.T, b *bench, outcome ops.Outcome, err error) {
	t.Helper()
	w := b.world
	if len(w.wrong) > 0 {
		t.Errorf("%v", w.wrong)
	}
	r := b.run
	if w.dead {
		return
	}
	if r.Outcome != outcome || r.Live() {
		t.Errorf("returned %s (%v), the journal says %s", outcome, err, r.Outcome)
	}
	if (err == nil) != (outcome == ops.OutcomeDone || outcome == ops.OutcomeRolledBack) {
		t.Errorf("%s with error %v", outcome, err)
	}
	same := func(a, b ops.Event) bool { return a.Hash == b.Hash }
	if !slices.EqualFunc(b.read, b.events, same) {
		t.Errorf("the copy has %d events, the journal %d", len(b.events), len(b.read))
	}
	switch outcome {
	case ops.OutcomeDone:
		for _, f := range s.steps {
			if s.skips[f.ID] {
				continue
			}
			for i := range f.Parts {
				want := f.To
				if f.Act == "count" {
					want = 1
				}
				if got := w.values[f.part(i)]; got != want {
					t.Errorf("done, but %s is %d, not %d", f.part(i), got, want)
				}
			}
		}
	case ops.OutcomeRefused, ops.OutcomeRolledBack:
		for part, want := range s.before {
			if got := w.values[part]; got != want {
				t.Errorf("%s, but %s is %d, not %d", outcome, part, got, want)
			}
		}
	case ops.OutcomeStopped, ops.OutcomeFailed:
		if b.halfway() && !w.locked() {
			t.Errorf("%s half-way without the lock", outcome)
		}
	}
	if outcome != ops.OutcomeStopped && outcome != ops.OutcomeFailed && !w.free() {
		t.Errorf("%s, but the lock is still held", outcome)
	}
	if at := len(b.read); at%3 == 0 {
		s.other(t, b)
	}
}

// halfway tells from the journal whether an act that can hurt still stands, and the run was
// not about to give back the lock.
func (b *bench) halfway() bool {
	b.t.Helper()
	doc, err := b.plan.Doc()
	if err != nil {
		b.t.Fatal(err)
	}
	r, _, err := newRun(context.Background(), Config{Decode: b.decode, Requests: b.requests}, doc)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.close()
	for _, e := range b.events {
		r.observe(e)
	}
	return r.hurt() && r.pasts["unlock"].order == 0
}

// other tries to begin another run: it must be refused as long as the lock is held.
func (s story) other(t *testing.T, b *bench) {
	t.Helper()
	w := b.world
	locked := !w.free()
	o := newBench(t, w, filepath.Join(b.dir, "other"),
		&fake{ID: "take", Act: "lock", Level: ops.Harmless}, &fake{ID: "let go", Act: "unlock", Level: ops.Harmless, Needs: []string{"take"}})
	o.plan.ID = fmt.Sprintf("other%d", len(b.events))
	over := w.over
	w.over = map[string]bool{}
	defer func() { w.over = over }()
	outcome, err := o.attempt(Start, happens{})
	held := (*ops.HeldError)(nil)
	if locked != (outcome == ops.OutcomeRefused && errors.As(err, &held)) {
		t.Errorf("with the lock held: %v, another run is %s: %v", locked, outcome, err)
	}
}
