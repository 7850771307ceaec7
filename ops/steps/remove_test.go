package steps

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

const removeID = "07-remove"

// removeOf is the removal of all but the agent, which has been held and stopped.
func removeOf(t *testing.T, w *world) Remove {
	t.Helper()
	s := stopOf(t, w)
	must(t, s.Do(t.Context(), w.envOf(stopID)))
	h := Hold{Containers: s.Containers}
	etl := w.hosts[ops.Green].engine.byName("ndw-etl")
	w.calls, w.acts = nil, 0
	return Remove{Side: ops.Green, Containers: append(h.all(), Was{Name: etl.Name, ID: etl.ID}), From: holdID}
}

const removed = "agent tcs:2 running no"

func TestRemove(t *testing.T) {
	all := []string{"remove ndw-etl", "remove tcs-1", "remove tcs-2"}
	table := []struct {
		name    string
		before  func(*world, *engine)
		verdict ops.Verdict
		err     string
		calls   []string
	}{
		{"all of them", nil, ops.Ready, "", all},
		{"one is gone", func(_ *world, e *engine) { e.containers = e.containers[1:] }, ops.Ready, "", []string{"remove ndw-etl", "remove tcs-2"}},
		{"all are gone", func(_ *world, e *engine) { e.containers = e.containers[3:] }, ops.AlreadyDone, "", nil},
		{"the last one runs", func(_ *world, e *engine) { _ = begin(e.byName("ndw-etl")) }, ops.Blocked, "ndw-etl is running", nil},
		{"one is paused", func(_ *world, e *engine) { e.byName("tcs-2").State = "paused" }, ops.Blocked, "tcs-2 is paused", nil},
		{"made anew by somebody", func(_ *world, e *engine) { e.byName("tcs-1").ID = "anew" }, ops.Blocked, "container tcs-1 was replaced or renamed", nil},
		{"renamed", func(_ *world, e *engine) { e.byName("tcs-1").Name = "x" }, ops.Blocked, "container tcs-1 was replaced or renamed", nil},
		{"never recorded", func(w *world, _ *engine) { delete(w.logs[holdID].kept, keyOriginal("ndw-etl")) }, ops.Blocked, "ndw-etl was never recorded: it could not be brought back", nil},
		{"cannot be reached", func(_ *world, e *engine) { e.h.cut(0, time.Minute) }, ops.Blocked, "unreachable", nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				r := removeOf(t, w)
				if test.before != nil {
					test.before(w, w.hosts[ops.Green].engine)
				}
				verdict, err := carryOut(t, r, w.envOf(removeID))
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantActs(t, w, slices.Clone(test.calls)...)
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				if greenShape(w) != removed {
					t.Errorf("containers\n%s", greenShape(w))
				}
			})
		})
	}
}

func TestRemoveTwiceAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		r, env, e := removeOf(t, w), w.envOf(removeID), w.hosts[ops.Green].engine
		e.lost = map[string][]string{"tcs-1": {"its MAC address"}}
		must(t, r.Do(t.Context(), env))
		must(t, r.Do(t.Context(), env))
		if greenShape(w) != removed || w.acts != 3 {
			t.Errorf("%d acts, containers\n%s", w.acts, greenShape(w))
		}
		must(t, r.Undo(t.Context(), env))
		must(t, r.Undo(t.Context(), env))
		if greenShape(w) != madeAgain {
			t.Errorf("after undo\n%s", greenShape(w))
		}
		w.calls = w.calls[3:]
		wantCalls(t, w, "create tcs-1 tcs:2", "policy no tcs-1", "create tcs-2 tcs:2", "policy no tcs-2", "create ndw-etl tcs:2")
		if diff := cmp.Diff([]string{"f00d"}, e.byName("tcs-1").Anonymous); diff != "" {
			t.Errorf("anonymous volumes (-want +got):\n%s", diff)
		}
		for key, want := range map[string][]string{keyLost("tcs-1"): {"its MAC address"}, keyVolumes("tcs-1"): {"f00d"}} {
			var got []string
			if known, err := env.Log.Recall(key, &got); !known || err != nil || !slices.Equal(got, want) {
				t.Errorf("recorded %s: %v, %v, %v", key, got, known, err)
			}
		}
		for _, want := range []string{"tcs-1 could not keep its MAC address", "tcs-1: its anonymous volumes stay: f00d"} {
			if !slices.Contains(w.said, want) {
				t.Errorf("said %q, not %q", w.said, want)
			}
		}
		// A run that goes forward once more removes what its own rollback has made.
		must(t, r.Do(t.Context(), env))
		if greenShape(w) != removed {
			t.Errorf("forward again\n%s", greenShape(w))
		}
	})
}

// Made again, the containers are as they were just before: stopped and held. One that was
// created and never started is so again.
const madeAgain = "agent tcs:2 running no\nndw-etl tcs:2 created \ntcs-1 tcs:2 created no\ntcs-2 tcs:2 created no"

func TestRemoveBack(t *testing.T) {
	table := []struct {
		name  string
		after func(*engine) // between the removal and its undo
		err   string
		want  string
	}{
		{"the name is taken by another image", func(e *engine) {
			e.containers = append(e.containers, &ops.Container{ID: "x", Name: "tcs-1", State: "running", Image: "tcs:1", ImageID: "sha256:new000000000"})
		}, "another container with image tcs:1 has taken its name", "agent tcs:2 running no\ntcs-1 tcs:1 running "},
		{"somebody has made one of the same image", func(e *engine) {
			e.containers = append(e.containers, &ops.Container{ID: "x", Name: "tcs-1", State: "exited", Policy: "always", Image: "tcs:2", ImageID: "sha256:old000000000"})
		}, "", "agent tcs:2 running no\nndw-etl tcs:2 created \ntcs-1 tcs:2 exited no\ntcs-2 tcs:2 created no"},
		{"an unfinished one is made anew", func(e *engine) {
			e.containers = append(e.containers, &ops.Container{ID: "x", Name: "tcs-1", State: "created", Image: "tcs:1"})
		}, "", madeAgain},
		{"the image is gone", func(e *engine) { e.images = nil }, "making tcs-1 again: no image", removed},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				r := removeOf(t, w)
				_, err := carryOut(t, r, w.envOf(removeID))
				must(t, err)
				test.after(w.hosts[ops.Green].engine)
				err = r.Undo(t.Context(), w.envOf(removeID))
				if test.err != "" {
					wantErr(t, err, test.err)
				} else {
					must(t, err)
				}
				if greenShape(w) != test.want {
					t.Errorf("containers\n%s", greenShape(w))
				}
			})
		})
	}
	if err := (Remove{Side: ops.Green, Containers: []Was{{Name: "x"}}, From: holdID}).Undo(t.Context(), newWorld().envOf(removeID)); !errors.Is(err, ops.ErrNoUndo) {
		t.Errorf("undo of nothing: %v", err)
	}
}

// Taken back, a container exists and is held, whether it was ever removed or made again.
func TestRemoveCutAnywhere(t *testing.T) {
	look := func(w *world) string {
		for _, c := range w.hosts[ops.Green].engine.containers {
			if c.State == "created" {
				c.State = "exited"
			}
		}
		return greenShape(w)
	}
	cutAnywhere(t, removeID, func(t *testing.T, w *world) ops.Step { return removeOf(t, w) }, look, removed, "agent tcs:2 running no\nndw-etl tcs:2 exited \ntcs-1 tcs:2 exited no\ntcs-2 tcs:2 exited no")
}

// The way back through all four: made again, started in order and ready, policies restored.
func TestTakenDownAndAllTheWayBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		h := house(w)
		stop := Stop{Side: ops.Green, Service: ops.Service{Name: "tcs"}, Containers: h.Containers[:2], From: holdID, Stop: time.Second, Within: time.Minute}
		others := Stop{Side: ops.Green, Service: ops.Service{Name: "other containers", Ready: ops.Readiness{Kind: ops.ReadyRunning}}, Containers: h.Others, From: holdID, Stop: time.Second, Within: time.Minute}
		boot := Reboot{Side: ops.Green, Within: 10 * time.Minute, Quiet: []string{"tcs-1", "tcs-2", "agent"}}
		remove := Remove{Side: ops.Green, Containers: h.Containers, From: holdID}
		steps := []ops.Step{h, stop, others, boot, remove}
		for _, s := range steps {
			_, err := carryOut(t, s, w.envOf(s.Kind()+s.Title()))
			if s.Kind() == KindHold {
				w.logs[holdID] = w.logs[s.Kind()+s.Title()]
			}
			must(t, err)
		}
		if want := "agent tcs:2 exited no"; greenShape(w) != want {
			t.Errorf("taken down\n%s", greenShape(w))
		}
		for _, s := range slices.Backward(steps) {
			if err := s.Undo(t.Context(), w.envOf(s.Kind()+s.Title())); err != nil && !errors.Is(err, ops.ErrNoUndo) {
				t.Fatal(err)
			}
		}
		w.hosts[ops.Green].engine.byName("ndw-etl").State = "exited"
		if greenShape(w) != furnished {
			t.Errorf("back\n%s", greenShape(w))
		}
	})
}
