package steps

import (
	"testing"
	"time"

	"tandem/ops"
)

// A balancer that forgot what is out has the side drained again before a rollback takes services
// away from it, and nothing else does.
func TestKeepOut(t *testing.T) {
	drained := []string{"drain green", "cut off green"}
	accept := func(risk string) func(*world, *ops.Env) {
		return func(_ *world, env *ops.Env) {
			env.Accepted = func(guard string, _ ...string) bool { return guard == risk }
		}
	}
	table := []struct {
		name        string
		green, blue ops.Traffic
		change      func(*world, *ops.Env)
		err         string
		calls       []string
	}{
		{"still out", ops.Out, ops.InService, nil, "", nil},
		{"on its way out", ops.Draining, ops.InService, nil, "", nil},
		{"on its way out since a runner died here", ops.Draining, ops.InService, func(_ *world, env *ops.Env) {
			must(t, env.Log.Record(keyAsked, time.Now()))
		}, "", drained},
		{"so, and the peer is down meanwhile", ops.Draining, ops.Down, func(_ *world, env *ops.Env) {
			must(t, env.Log.Record(keyAsked, time.Now()))
		}, "", nil},
		{"let in", ops.InService, ops.InService, nil, "", drained},
		{"let in, and that is accepted", ops.InService, ops.InService, accept(GuardSideOut), "", nil},
		{"let in, and stays so", ops.InService, ops.InService, func(w *world, _ *ops.Env) {
			w.balancer.each = func(int) { w.balancer.traffic[ops.Green] = ops.InService }
		}, "proving the drain: it is in service", drained},
		{"to be let in when its check passes", ops.Down, ops.InService, nil, "", drained},
		{"let in, and it serves alone", ops.InService, ops.Out, nil, "let it in again, and BLUE is out", nil},
		{"so, where the peer need not serve", ops.InService, ops.Out, accept(GuardPeerInService), "let it in again, and BLUE is out", nil},
		{"nobody serves", ops.Down, ops.Down, nil, "", nil},
		{"not known", ops.Unknown, ops.InService, nil, "", nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				w.balancer.traffic[ops.Green], w.balancer.traffic[ops.Blue] = test.green, test.blue
				env := w.envOf("start")
				if test.change != nil {
					test.change(w, &env)
				}
				err := keepOut(t.Context(), env, ops.Green)
				if test.err != "" {
					wantErr(t, err, test.err)
				} else {
					must(t, err)
				}
				wantCalls(t, w, test.calls...)
			})
		})
	}
}

// Nor do services that start meet users one by one.
func TestStartKeepsTheSideOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := startOf(t, w, ops.StartAPI)
		w.balancer.traffic[ops.Green] = ops.Down
		must(t, s.Do(t.Context(), w.envOf("start")))
		if w.balancer.traffic[ops.Green] != ops.Out {
			t.Errorf("the side is %s once its services run", w.balancer.traffic[ops.Green])
		}
	})
}

// A service is started again whether or not the side can be drained first: it serves alone.
func TestStopBackWhereTheSideServesAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := stopOf(t, w)
		must(t, s.Do(t.Context(), w.envOf(stopID)))
		w.balancer.traffic[ops.Green], w.balancer.traffic[ops.Blue] = ops.InService, ops.Down
		w.calls = nil
		must(t, s.Undo(t.Context(), w.envOf(stopID)))
		wantCalls(t, w, "start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2")
	})
}
