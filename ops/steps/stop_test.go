package steps

import (
	"errors"
	"testing"
	"time"

	"tandem/ops"
)

const stopID = "05-stop"

// stopOf is the stop of tcs after the hold.
func stopOf(t *testing.T, w *world) Stop {
	t.Helper()
	h := house(w)
	must(t, h.Do(t.Context(), w.envOf(holdID)))
	w.calls, w.acts = nil, 0
	return Stop{Side: ops.Green, Service: ops.Service{Name: "tcs"}, Containers: h.Containers[:2], From: holdID, Stop: 10 * time.Second, Within: time.Minute}
}

const stopped = "agent tcs:2 running no\nndw-etl tcs:2 exited \ntcs-1 tcs:2 exited no\ntcs-2 tcs:2 exited no"

func TestStop(t *testing.T) {
	table := []struct {
		name    string
		before  func(*world, *engine)
		verdict ops.Verdict
		err     string
		calls   []string
	}{
		{"all at once", nil, ops.Ready, "", []string{"stop tcs-1", "stop tcs-2"}},
		{"one has ended", func(_ *world, e *engine) { e.byName("tcs-1").State = "exited" }, ops.Ready, "", []string{"stop tcs-2"}},
		{"one restarts over and over", func(_ *world, e *engine) { e.byName("tcs-1").State = "restarting" }, ops.Ready, "", []string{"stop tcs-1", "stop tcs-2"}},
		{"all have ended", func(_ *world, e *engine) { e.byName("tcs-1").State, e.byName("tcs-2").State = "exited", "exited" }, ops.Ready, "", nil},
		{"one is gone", func(_ *world, e *engine) { e.containers = e.containers[1:] }, ops.Ready, "", []string{"stop tcs-2"}},
		{"made anew by a rollback, and held", func(_ *world, e *engine) { e.byName("tcs-1").ID = "anew" }, ops.Ready, "", []string{"stop tcs-1", "stop tcs-2"}},
		{"made anew by somebody", func(_ *world, e *engine) { e.byName("tcs-1").ID, e.byName("tcs-1").Policy = "anew", "always" }, ops.Blocked, "container tcs-1 was replaced or renamed", nil},
		{"renamed", func(_ *world, e *engine) { e.byName("tcs-1").Name = "x" }, ops.Blocked, "container tcs-1 was replaced or renamed", nil},
		{"never recorded", func(w *world, _ *engine) { delete(w.logs[holdID].kept, keyOriginal("tcs-2")) }, ops.Blocked, "tcs-2 was never recorded: it could not be brought back", nil},
		{"cannot be reached", func(_ *world, e *engine) { e.h.cut(0, time.Minute) }, ops.Blocked, "unreachable", nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				s := stopOf(t, w)
				if test.before != nil {
					test.before(w, w.hosts[ops.Green].engine)
				}
				verdict, err := carryOut(t, s, w.envOf(stopID))
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantActs(t, w, test.calls...)
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				if verdict, err := carryOut(t, s, w.envOf(stopID)); verdict != ops.AlreadyDone || err != nil {
					t.Errorf("again: %s, %v", verdict, err)
				}
			})
		})
	}
}

// Engine 26.1 under load listed a container as running for some tenths of a second after
// its stop had been answered.
func TestStopIsListedLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := stopOf(t, w)
		w.hosts[ops.Green].engine.behind = 2
		verdict, err := carryOut(t, s, w.envOf(stopID))
		if verdict != ops.Ready || err != nil {
			t.Errorf("%s, %v", verdict, err)
		}
	})
}

func TestStopTwiceAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := stopOf(t, w)
		env := w.envOf(stopID)
		must(t, s.Do(t.Context(), env))
		must(t, s.Do(t.Context(), env))
		if greenShape(w) != stopped || w.acts != 2 {
			t.Errorf("%d acts, containers\n%s", w.acts, greenShape(w))
		}
		must(t, s.Undo(t.Context(), env))
		must(t, s.Undo(t.Context(), env))
		if greenShape(w) != awake || w.acts != 6 {
			t.Errorf("%d acts, after undo\n%s", w.acts, greenShape(w))
		}
	})
}

func TestStopBack(t *testing.T) {
	table := []struct {
		name   string
		before func(*world, *engine) // before the stop
		after  func(*engine)         // between the stop and its undo
		err    string
		calls  []string // of the undo
		took   time.Duration
	}{
		{"ready before: waited for", nil, nil, "", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, time.Second},
		{"made anew meanwhile", nil, func(e *engine) { e.byName("tcs-1").ID = "anew" }, "", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, time.Second},
		{"taken away by its own stop (--rm)", nil, func(e *engine) { e.containers = e.containers[1:] }, "", []string{"create tcs-1 tcs:2", "policy no tcs-1", "start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, time.Second},
		{"one runs again already", nil, func(e *engine) { _ = begin(e.byName("tcs-1")) }, "", []string{"policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, time.Second},
		{"not ready before: not waited for", func(_ *world, e *engine) { e.byName("tcs-1").Health = "unhealthy" }, nil, "", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, 0},
		{"does not get ready", func(_ *world, e *engine) {
			e.byName("tcs-1").Health, e.sick["sha256:old000000000"] = "healthy", true
		}, nil, "deadline passed after 1 min; last seen: tcs: starting", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, time.Minute},
		{"the link drops for a while", nil, func(e *engine) { e.h.cut(time.Second/2, 20*time.Second) }, "", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}, 21 * time.Second},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				s := stopOf(t, w)
				e := w.hosts[ops.Green].engine
				if test.before != nil {
					test.before(w, e)
				}
				_, err := carryOut(t, s, w.envOf(stopID))
				must(t, err)
				if test.after != nil {
					test.after(e)
				}
				w.calls = nil
				begun := time.Now()
				err = s.Undo(t.Context(), w.envOf(stopID))
				if test.err != "" {
					wantErr(t, err, test.err)
				} else {
					must(t, err)
				}
				wantCalls(t, w, test.calls...)
				if took := time.Since(begun); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
			})
		})
	}
	if err := (Stop{Side: ops.Green}).Undo(t.Context(), newWorld().envOf(stopID)); !errors.Is(err, ops.ErrNoUndo) {
		t.Errorf("undo of nothing: %v", err)
	}
}

// Its runner was killed while the engine was stopping them: at the rollback they still run, and
// end a moment later.
func TestStopUnderWayWhenTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := stopOf(t, w)
		e := w.hosts[ops.Green].engine
		began := time.Now()
		time.Sleep(time.Minute)
		must(t, s.Do(t.Context(), w.envOf(stopID)))
		for _, name := range []string{"tcs-1", "tcs-2"} {
			e.byName(name).State, e.byName(name).StartedAt = "running", began
		}
		looks := 0
		e.each = func(int) {
			if looks++; looks == 3 {
				e.byName("tcs-1").State, e.byName("tcs-2").State = "exited", "exited"
			}
		}
		w.calls = nil
		must(t, s.Undo(t.Context(), w.envOf(stopID)))
		wantCalls(t, w, "start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2")
	})
}

func TestStopCutAnywhere(t *testing.T) {
	cutAnywhere(t, stopID, func(t *testing.T, w *world) ops.Step { return stopOf(t, w) }, greenShape, stopped, awake)
}
