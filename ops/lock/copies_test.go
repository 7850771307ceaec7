package lock

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

func event(seq int) ops.Event {
	e := ops.Event{Seq: seq, At: since, Kind: ops.EvSay, Text: strings.Repeat("é<'\"$", seq)}
	if seq == 1 {
		e.Kind, e.Data = ops.EvStarted, json.RawMessage(`{"schema":1,"id":"r1"}`)
	}
	return e
}

func events(n int) []ops.Event {
	var list []ops.Event
	for seq := range n {
		list = append(list, event(seq+1))
	}
	return list
}

func copied(m *machine) []ops.Event {
	data, err := os.ReadFile(m.path("lock/journal.jsonl"))
	if err != nil {
		return nil
	}
	return lines(data)
}

func TestCopies(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	take(t, l, "r1")
	all := events(30)
	l.Progress(info("r1"), all[:3])
	eventually(t, "both have the first events", func() bool { return len(copied(blue)) == 3 && len(copied(green)) == 3 })

	green.setDown(true)
	for i := 3; i < 20; i++ {
		l.Progress(info("r1"), all[i:i+1])
	}
	eventually(t, "blue has what green could not get", func() bool { return len(copied(blue)) == 20 })
	green.loseAnswers(2)
	green.setDown(false)
	stopped := info("r1")
	stopped.Stopped = true
	l.Progress(stopped, all[20:])
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	held, err := l.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !held[ops.Blue].Stopped {
		t.Errorf("the mark does not say that the run stopped: %+v", held[ops.Blue])
	}
	if diff := cmp.Diff(all, copied(blue)); diff != "" {
		t.Errorf("blue's copy differs:\n%s", diff)
	}
	if got := blue.read(t, "lock/plan.json"); got != `{"schema":1,"id":"r1"}`+"\n" {
		t.Errorf("the plan is %s", got)
	}
	if mode(t, blue.path("lock/journal.jsonl")) != 0o600 || mode(t, blue.path("lock/plan.json")) != 0o600 {
		t.Error("prior state lies open to everyone on the host")
	}
}

func TestSignsOfLife(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	take(t, l, "r1")
	l.Progress(info("r1"), events(1))
	for _, m := range []*machine{blue, green} {
		beat := func() time.Time {
			held, _ := l.Held(t.Context())
			if held[m.side] == nil {
				return time.Time{}
			}
			return held[m.side].Beat
		}
		first := beat()
		eventually(t, "the owner gave another sign of life", func() bool { return beat().After(first) })
	}
	if err := l.Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if blue.frozen() || green.frozen() {
		t.Error("a sign of life brought a released mark back")
	}
}

// A copy whose last answer was lost may hold half a line: it is written anew, whole.
func TestATornCopyIsMended(t *testing.T) {
	blue, _, hosts := newPair(t)
	l := newLock(t, hosts)
	take(t, l, "r1")
	l.Progress(info("r1"), events(3))
	eventually(t, "blue has the first events", func() bool { return len(copied(blue)) == 3 })
	blue.setDown(true)
	l.Progress(info("r1"), events(4)[3:])
	eventually(t, "a copy was missed", l.keep[ops.Blue].failed.Load)
	if err := os.WriteFile(blue.path("lock/journal.jsonl"), []byte(`{"seq":1,"at`), 0o600); err != nil {
		t.Fatal(err)
	}
	blue.setDown(false)
	eventually(t, "blue's copy is whole", func() bool { return len(copied(blue)) == 4 })
}

// After a break the former owner writes nothing into the mark of the next.
func TestABrokenRunLeavesTheNextAlone(t *testing.T) {
	blue, _, hosts := newPair(t)
	former := newLock(t, hosts)
	take(t, former, "r1")
	former.Progress(info("r1"), events(5))
	eventually(t, "the copy is there", func() bool { return len(copied(blue)) == 5 })
	next := newLock(t, hosts)
	if _, err := next.Break(t.Context(), "taken over", "bo@desk"); err != nil {
		t.Fatal(err)
	}
	take(t, next, "r2")
	former.Progress(info("r1"), events(6)[5:])
	if err := former.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := former.Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	held, err := next.Held(t.Context())
	if err != nil || held[ops.Blue] == nil || held[ops.Blue].Run != "r2" || held[ops.Green].Run != "r2" {
		t.Errorf("held: %v, %v", held, err)
	}
	if len(copied(blue)) != 0 {
		t.Error("the former owner's journal lies beside the mark of the next")
	}
}

// A run that is resumed from another machine has another owner: what the former one still
// sends finds the mark no longer its own.
func TestAFormerOwnerLeavesTheNewOneAlone(t *testing.T) {
	blue, green, hosts := newPair(t)
	former := New(hosts, Options{Base: testBase, Beat: time.Hour}) // it gives no sign of life
	t.Cleanup(func() { former.Close(context.WithoutCancel(t.Context())) })
	take(t, former, "r1")
	former.Progress(info("r1"), events(5))
	eventually(t, "both have the copy", func() bool { return len(copied(blue)) == 5 && len(copied(green)) == 5 })

	there := info("r1")
	there.From, there.PID, there.Former = `desk "2"`, 4, []ops.LockInfo{info("r1")}
	next := newLock(t, hosts)
	eventually(t, "the former owner is silent", func() bool {
		_, err := next.Take(t.Context(), there, false)
		return err == nil
	})
	whose := func() (owners []ops.Owner) {
		held, err := next.Held(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range ops.Sides {
			if held[side] == nil {
				t.Fatalf("the mark on %s is gone", side)
			}
			owners = append(owners, held[side].Owner())
		}
		return owners
	}
	want := []ops.Owner{there.Owner(), there.Owner()}
	if diff := cmp.Diff(want, whose()); diff != "" {
		t.Fatalf("when Take returns:\n%s", diff)
	}
	former.Progress(info("r1"), events(8)[5:])
	if err := former.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := former.Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, whose()); diff != "" {
		t.Errorf("the former owner wrote into the mark:\n%s", diff)
	}
	if len(copied(blue)) != 5 || len(copied(green)) != 5 {
		t.Error("the former owner wrote into the copies")
	}
	next.Progress(there, events(6))
	eventually(t, "the new owner's copies", func() bool { return len(copied(blue)) == 6 && len(copied(green)) == 6 })
	if err := next.Release(t.Context(), "r1"); err != nil || blue.frozen() || green.frozen() {
		t.Errorf("releasing: %v, still frozen: %v %v", err, blue.frozen(), green.frozen())
	}
}

// The run changes hands just before a sign of life of the former owner arrives.
func TestATakeIsNotOverwritten(t *testing.T) {
	blue, _, hosts := newPair(t)
	former := newLock(t, hosts)
	take(t, former, "r1")
	there := info("r1")
	there.From = "desk"
	there.Former = []ops.LockInfo{info("r1")}
	next := newLock(t, hosts)
	late := &before{machine: blue, script: keepScript, act: func() {
		if _, err := next.Take(t.Context(), there, false); err != nil {
			t.Error(err)
		}
	}}
	former.hosts = map[ops.Side]ops.Host{ops.Blue: late}
	former.Progress(info("r1"), events(3))
	if err := former.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	held, err := next.Held(t.Context())
	if err != nil || held[ops.Blue].From != "desk" || held[ops.Green].From != "desk" {
		t.Errorf("held: %+v, %v", held, err)
	}
}

// Two machines take over a run at the same instant: one has it, the other has changed nothing.
func TestTwoTakeOverAtOnce(t *testing.T) {
	blue, green, hosts := newPair(t)
	take(t, newLock(t, hosts), "r1")
	one, two := info("r1"), info("r1")
	one.From, one.Former = "desk1", []ops.LockInfo{info("r1")}
	two.From, two.Former = "desk2", []ops.LockInfo{info("r1")}
	first := newLock(t, hosts)
	late := newLock(t, map[ops.Side]ops.Host{ops.Green: green, ops.Blue: &before{machine: blue, script: takeScript, act: func() {
		if _, err := first.Take(t.Context(), one, false); err != nil {
			t.Error(err)
		}
	}}})
	for range 2 { // when it looks it is too late, and so it is when it has looked before
		_, err := late.Take(t.Context(), two, true)
		moved := (*ops.MovedError)(nil)
		if !errors.As(err, &moved) || moved.Over || moved.Info.From != "desk1" {
			t.Errorf("taking: %v", err)
		}
		held, err := first.Held(t.Context())
		if err != nil || held[ops.Blue].From != "desk1" || held[ops.Green].From != "desk1" {
			t.Errorf("held: %+v, %v", held, err)
		}
	}
}

// A former owner that was found left alone and is at work again keeps the lock, and one that has
// ended the run meanwhile has ended it for all.
func TestWhoIsAtWorkAgainKeepsTheLock(t *testing.T) {
	blue, green, hosts := newPair(t)
	former := newLock(t, hosts)
	take(t, former, "r1")
	held, err := former.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := info("r1")
	there.From, there.Former = "desk", []ops.LockInfo{*held[ops.Blue], *held[ops.Green]}
	former.Progress(info("r1"), events(3))
	eventually(t, "it gives a sign of life", func() bool { return len(copied(blue)) == 3 && len(copied(green)) == 3 })
	next := newLock(t, hosts)
	moved := (*ops.MovedError)(nil)
	if _, err := next.Take(t.Context(), there, true); !errors.As(err, &moved) || moved.Over || moved.Info.From != "laptop" {
		t.Errorf("taking it from a living owner: %v", err)
	}
	if err := errors.Join(former.Close(t.Context()), former.Release(t.Context(), "r1")); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Take(t.Context(), there, true); !errors.As(err, &moved) || !moved.Over || blue.frozen() || green.frozen() {
		t.Errorf("taking what has ended: %v; marked: %v %v", err, blue.frozen(), green.frozen())
	}
	// Its own owner may take it again, as for a rollback.
	take(t, former, "r1")
}

// A host that was away when the run changed hands still has the mark of the former owner: the
// run's end removes it there too.
func TestTheMarkOfAFormerOwnerGoesInTheEnd(t *testing.T) {
	_, green, hosts := newPair(t)
	take(t, newLock(t, hosts), "r1")
	green.setDown(true)
	there := info("r1")
	there.From = "desk"
	there.Former = []ops.LockInfo{info("r1")}
	next := newLock(t, hosts)
	if _, err := next.Take(t.Context(), there, true); err != nil {
		t.Fatal(err)
	}
	green.setDown(false)
	if err := next.Release(t.Context(), "r1"); err != nil || green.frozen() {
		t.Errorf("releasing: %v, still frozen: %v", err, green.frozen())
	}
}

func TestLoad(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	if got, err := l.Load(t.Context()); err != nil || got != nil {
		t.Errorf("without a copy: %v, %v", got, err)
	}
	take(t, l, "r1")
	l.Progress(info("r1"), events(9))
	eventually(t, "both have the events", func() bool { return len(copied(blue)) == 9 && len(copied(green)) == 9 })
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := blue.path("lock/journal.jsonl")
	if err := os.Truncate(path, int64(len(blue.read(t, "lock/journal.jsonl")))/2); err != nil {
		t.Fatal(err)
	}
	other := newLock(t, hosts) // on another machine
	got, err := other.Load(t.Context())
	if diff := cmp.Diff(events(9), got); err != nil || diff != "" {
		t.Errorf("loaded: %v\n%s", err, diff)
	}
	green.setDown(true)
	if got, err = other.Load(t.Context()); len(got) == 0 || len(got) >= 9 || !errors.Is(err, ops.ErrUnreachable) {
		t.Errorf("with green down: %d events, %v", len(got), err)
	}
	green.setDown(false)
	if err := os.RemoveAll(green.path("lock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if got, err = other.Load(t.Context()); len(got) == 0 || err != nil {
		t.Errorf("with a mark on blue alone: %d events, %v", len(got), err)
	}
}
