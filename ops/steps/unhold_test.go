package steps

import (
	"context"
	"errors"
	"testing"
	"time"

	"tandem/ops"
)

// unholdOf is a side whose services run again under held policies and whose other
// containers are stopped: one that ran, one that did not, one that the stop took away.
func unholdOf(t *testing.T, w *world) Unhold {
	t.Helper()
	_, was := two(w, "")
	e := w.hosts[ops.Green].engine
	var others []Was
	for _, c := range []*ops.Container{
		{ID: "idagent", Name: "agent", State: "running", Policy: "unless-stopped"},
		{ID: "idold", Name: "old", State: "exited", Policy: "on-failure:3"},
		{ID: "idrm", Name: "rm", State: "running", Policy: "no"},
	} {
		c.Image, c.ImageID = "tcs:2", "sha256:old000000000"
		e.containers = append(e.containers, c)
		others = append(others, Was{Name: c.Name, ID: c.ID})
	}
	holding(t, w, was, others)
	for _, c := range e.containers {
		if c.Name == "agent" {
			c.State = "exited"
		}
	}
	e.containers = e.containers[:len(e.containers)-1]
	w.acts, w.calls = 0, nil
	return Unhold{Side: ops.Green, Containers: was, Others: others, From: "hold", Within: time.Minute}
}

const unheld = "agent tcs:2 running unless-stopped\nold tcs:2 exited on-failure:3\nrm tcs:2 running no\ntcs-1 tcs:2 running always\ntcs-2 tcs:2 running always"

func TestUnhold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		u, e := unholdOf(t, w), w.hosts[ops.Green].engine
		verdict, err := carryOut(t, u, w.envOf("unhold"))
		must(t, err)
		if verdict != ops.Ready || e.shape() != unheld {
			t.Errorf("%s\n%s", verdict, e.shape())
		}
		acts := w.acts
		if verdict, err := carryOut(t, u, w.envOf("unhold")); verdict != ops.AlreadyDone || err != nil {
			t.Errorf("again: %s, %v", verdict, err)
		}
		must(t, u.Do(t.Context(), w.envOf("unhold")))
		if w.acts != acts {
			t.Errorf("done twice: %q", w.calls[acts:])
		}
		if err := u.Undo(t.Context(), w.envOf("unhold")); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo: %v", err)
		}
	})
}

func TestUnholdCutAnywhere(t *testing.T) {
	for n, more := 1, true; more; n++ {
		bubble(t, func(t *testing.T) {
			w := newWorld()
			u := unholdOf(t, w)
			died, err := w.dieIn(t.Context(), n, func(ctx context.Context) error { return u.Do(ctx, w.envOf("unhold")) })
			if more = died; !died {
				must(t, err)
			}
			_, err = carryOut(t, u, w.envOf("unhold"))
			must(t, err)
			if shape := w.hosts[ops.Green].engine.shape(); shape != unheld {
				t.Errorf("call %d:\n%s", n, shape)
			}
		})
	}
}

func TestUnholdRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		u := unholdOf(t, w)
		u.From = "nothing"
		verdict, err := u.Check(t.Context(), w.envOf("unhold"))
		wantErr(t, err, "tcs-1 was never recorded")
		if verdict != ops.Blocked {
			t.Errorf("verdict %s", verdict)
		}
	})
	bubble(t, func(t *testing.T) {
		w := newWorld()
		u, e := unholdOf(t, w), w.hosts[ops.Green].engine
		e.each = func(int) { e.byName("agent").State = "exited" }
		_, err := carryOut(t, u, w.envOf("unhold"))
		wantErr(t, err, "waiting for other containers to be ready: deadline passed after 1 min; last seen: other containers: exited 0")
	})
	bubble(t, func(t *testing.T) { // a service that was skipped has no container
		w := newWorld()
		u, e := unholdOf(t, w), w.hosts[ops.Green].engine
		e.containers = e.containers[1:]
		_, err := carryOut(t, u, w.envOf("unhold"))
		must(t, err)
		if w.said[0] != "there is no container tcs-1: no restart policy to restore under that name" {
			t.Errorf("said %q", w.said)
		}
	})
}
