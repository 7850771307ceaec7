package steps

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

const holdID = "04-hold"

// house puts onto green a service of two containers, one of which has to be killed to end,
// a job that has ended and a container of neither.
func house(w *world) Hold {
	w.balancer.traffic[ops.Green] = ops.Out
	e := w.hosts[ops.Green].engine
	e.deafTo = map[string]bool{"tcs-2": true}
	var h Hold
	for _, c := range []ops.Container{
		{Name: "tcs-1", State: "running", Policy: "always", Anonymous: []string{"f00d"}},
		{Name: "tcs-2", State: "running", Policy: "on-failure:3"},
		{Name: "ndw-etl", State: "exited"},
		{Name: "agent", State: "running", Policy: "unless-stopped"},
	} {
		c.ID, c.Image, c.ImageID, c.StartedAt = "id"+c.Name+"xxxxxxxx", "tcs:2", "sha256:old000000000", time.Now().Add(-time.Hour)
		e.containers = append(e.containers, &c)
		was := Was{Name: c.Name, ID: c.ID, StartedAt: c.StartedAt, Image: c.Image, ImageID: c.ImageID}
		if c.Name == "agent" {
			h.Others = append(h.Others, was)
		} else {
			h.Containers = append(h.Containers, was)
		}
	}
	h.Side = ops.Green
	return h
}

const (
	furnished = "agent tcs:2 running unless-stopped\nndw-etl tcs:2 exited \ntcs-1 tcs:2 running always\ntcs-2 tcs:2 running on-failure:3"
	heldAll   = "agent tcs:2 running no\nndw-etl tcs:2 exited \ntcs-1 tcs:2 running no\ntcs-2 tcs:2 running no"
)

func greenShape(w *world) string { return w.hosts[ops.Green].engine.shape() }

// wantActs compares calls whose order is not fixed.
func wantActs(t *testing.T, w *world, want ...string) {
	t.Helper()
	got := slices.Sorted(slices.Values(w.calls))
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestHold(t *testing.T) {
	table := []struct {
		name    string
		before  func(*engine)
		verdict ops.Verdict
		err     string
		calls   []string
	}{
		{"those that have a policy", nil, ops.Ready, "", []string{"policy no agent", "policy no tcs-1", "policy no tcs-2"}},
		{"none has one: recorded all the same", func(e *engine) {
			for _, c := range e.containers {
				c.Policy = "no"
			}
		}, ops.Ready, "", nil},
		{"one got a policy by hand", func(e *engine) { e.byHand = map[string]string{"ndw-etl": "always"} }, ops.Ready, "", []string{"policy no agent", "policy no ndw-etl", "policy no tcs-1", "policy no tcs-2"}},
		{"replaced since the plan", func(e *engine) { e.byName("tcs-1").ID = "other" }, ops.Blocked, "container tcs-1 was replaced or renamed since the plan was made", nil},
		{"renamed since the plan", func(e *engine) { e.byName("agent").Name = "agent2" }, ops.Blocked, "container agent was replaced or renamed", nil},
		{"engine cannot be reached", func(e *engine) { e.h.down = ops.ErrUnreachable }, ops.Blocked, "unreachable", nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				h, e := house(w), w.hosts[ops.Green].engine
				if test.before != nil {
					test.before(e)
				}
				verdict, err := carryOut(t, h, w.envOf(holdID))
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantActs(t, w, test.calls...)
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				var kept original
				if known, err := w.envOf("").Recorded(holdID, keyOriginal("tcs-1"), &kept); !known || err != nil || kept.ID != e.byName("tcs-1").ID || !kept.Running {
					t.Errorf("recorded %+v, %v, %v", kept, known, err)
				}
				if verdict, err := carryOut(t, h, w.envOf(holdID)); verdict != ops.AlreadyDone || err != nil {
					t.Errorf("again: %s, %v", verdict, err)
				}
			})
		})
	}
}

func TestHoldTwiceAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		h, env := house(w), w.envOf(holdID)
		if err := h.Undo(t.Context(), env); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo before do: %v", err)
		}
		must(t, h.Do(t.Context(), env))
		must(t, h.Do(t.Context(), env))
		if greenShape(w) != heldAll || w.acts != 3 {
			t.Errorf("%d acts, containers\n%s", w.acts, greenShape(w))
		}
		must(t, h.Undo(t.Context(), env))
		must(t, h.Undo(t.Context(), env))
		if greenShape(w) != furnished || w.acts != 6 {
			t.Errorf("%d acts, after undo\n%s", w.acts, greenShape(w))
		}
	})
}

// The policies go to whoever has the names when the later steps have been taken back.
func TestHoldBackOnContainersMadeAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		h, env, e := house(w), w.envOf(holdID), w.hosts[ops.Green].engine
		must(t, h.Do(t.Context(), env))
		e.byName("tcs-2").ID = "anew"
		e.containers = slices.DeleteFunc(e.containers, func(c *ops.Container) bool { return c.Name == "agent" })
		must(t, h.Undo(t.Context(), env))
		if c := e.byName("tcs-2"); c.Policy != "on-failure:3" {
			t.Errorf("policy %q", c.Policy)
		}
		if !slices.Contains(w.said, "agent is gone: it has no restart policy to restore") {
			t.Errorf("said %q", w.said)
		}
	})
}

func TestHoldCutAnywhere(t *testing.T) {
	cutAnywhere(t, holdID, func(_ *testing.T, w *world) ops.Step { return house(w) }, greenShape, heldAll, furnished)
}

func TestRecoverGuards(t *testing.T) {
	peer := func(s *ops.Snapshot) *ops.SideState { return s.On(ops.Blue) }
	table := []struct {
		name   string
		change func(*ops.Snapshot)
		unmet  []string
	}{
		{"all well", func(*ops.Snapshot) {}, nil},
		{"peer down", func(s *ops.Snapshot) { s.Balancer.On(ops.Blue).Traffic = ops.Down }, []string{GuardPeerInService}},
		{"peer not known", func(s *ops.Snapshot) { s.Balancer.On(ops.Blue).Traffic = ops.Unknown }, []string{GuardPeerInService}},
		{"peer not ready", func(s *ops.Snapshot) { peer(s).Services[0].Ready, peer(s).Services[0].State = false, "exited 1" }, []string{GuardPeerReady}},
		{"peer stale", func(s *ops.Snapshot) { peer(s).Engine.At = s.At.Add(-time.Hour) }, []string{GuardPeerReady}},
		{"peer cannot start a container", func(s *ops.Snapshot) { peer(s).Canary = &ops.CanaryResult{At: s.At} }, []string{GuardPeerCanary}},
		{"side put back", func(s *ops.Snapshot) { s.Balancer.On(ops.Green).Traffic = ops.InService }, []string{GuardSideOut}},
		{"side away", func(s *ops.Snapshot) { s.Green.Link = ops.LinkDown }, []string{GuardSideFresh}},
		{"job runs", func(s *ops.Snapshot) { s.Green.Jobs = []ops.JobState{{Name: "etl", Running: true}} }, []string{GuardNoJobRunning}},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				w.hosts[ops.Blue].engine.containers = []*ops.Container{{ID: "b", Name: "tcs", State: "running"}}
				w.balancer.traffic[ops.Green] = ops.Out
				snap := w.snapshot()
				snap.Balancer, _ = w.balancer.Status(context.Background())
				test.change(&snap)
				var unmet []string
				for _, g := range recoverGuards(ops.Green) {
					if c := g.Eval(&snap, snap.At); !c.Allows() {
						unmet = append(unmet, c.Guard)
					}
				}
				if diff := cmp.Diff(test.unmet, unmet); diff != "" {
					t.Errorf("unmet (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Whatever else of a run is left out, what it needs to bring a side back is on the record
// before anything is removed: the networks, the engine's settings, the balancer.
func TestHoldRecordsTheSurroundings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetWorld()
		h := house(w.world)
		h.Networks, h.File = []NetworkWas{{Name: "tis_default", ID: "t1"}}, daemonFile
		w.at[ops.Green].files[daemonFile] = "{}"
		_, err := carryOut(t, h, w.envOf(holdID))
		must(t, err)
		for key, value := range map[string]any{keyNetwork("tis_default"): new(json.RawMessage), keyFile: new(settings), keyBalancer: new(json.RawMessage)} {
			if known, err := w.envOf("").Recorded(holdID, key, value); !known || err != nil {
				t.Errorf("%s: %v, %v", key, known, err)
			}
		}
	})
}

// A container that the engine is about to start again, as what needs another is after a power
// loss, is meant to run: held, it stays down until the hold is taken back.
func TestHoldBackOnOneThatWasRestarting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		h, env, e := house(w), w.envOf(holdID), w.hosts[ops.Green].engine
		e.byName("tcs-1").State = "restarting"
		must(t, h.Do(t.Context(), env))
		e.byName("tcs-1").State = "exited"
		must(t, h.Undo(t.Context(), env))
		if greenShape(w) != furnished {
			t.Errorf("after undo\n%s", greenShape(w))
		}
	})
}
