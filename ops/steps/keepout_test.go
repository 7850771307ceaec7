package steps

import (
	"testing"

	"tandem/ops"
)

// A balancer that forgot what is out has the side drained again before a rollback takes services
// away from it, and nothing else does.
func TestKeepOut(t *testing.T) {
	drained := []string{"drain green", "cut off green"}
	table := []struct {
		name        string
		green, blue ops.Traffic
		err         string
		calls       []string
	}{
		{"still out", ops.Out, ops.InService, "", nil},
		{"on its way out", ops.Draining, ops.InService, "", nil},
		{"let in", ops.InService, ops.InService, "", drained},
		{"to be let in when its check passes", ops.Down, ops.InService, "", drained},
		{"let in, and it serves alone", ops.InService, ops.Out, "BLUE is not in service any more", nil},
		{"nobody serves", ops.Down, ops.Down, "", nil},
		{"not known", ops.Unknown, ops.InService, "", nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				w.balancer.traffic[ops.Green], w.balancer.traffic[ops.Blue] = test.green, test.blue
				err := keepOut(t.Context(), w.envOf("start"), ops.Green)
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
