package findings

import (
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// slack is how far the clocks of an engine and of a run's machine may differ once what is known
// of them is taken off.
const slack = 5 * time.Second

// foreignChange: somebody deploys to a host, or changes its engine's packages, while a run
// holds the pair.
func foreignChange(v view) []ops.Finding {
	l := v.run()
	if l == nil || l.Since.IsZero() {
		return nil
	}
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		var out []ops.Finding
		add := func(what, next string) {
			out = append(out, ops.Finding{
				ID: "foreign-change", Severity: ops.Block, Side: side, Title: what,
				Detail: "run " + l.Run + " (" + string(l.Op) + " by " + l.By + " at " + l.From + ") holds the pair since " + clock(l.Since, v.now), Hint: next,
			})
		}
		late := func(at time.Time) bool { return at.Add(-s.Facts.Ahead).After(l.Since.Add(slack)) }
		if read(s.Engine) && !makes(l, side) {
			list := those(s, func(c ops.Container) bool {
				return late(c.CreatedAt) && c.Labels[ops.LabelCanary] == "" && !ops.Kept(c.Name)
			})
			if len(list) > 0 {
				add("deployed during a run: "+names(list), "stop the deployment; the pair is frozen until the run has ended: tandem gate tells pipelines")
			}
		}
		if c := lastChange(s); c != nil && l.Op != ops.OpPatch && late(c.At) {
			add("the engine's packages changed during a run: "+strings.TrimSpace(command(c)+" "+clock(c.At, v.now)), "find out who did it; pause the run until it is known what the engine is")
		}
		return out
	})
}

// makes tells whether a run may make containers of services anew on a side.
func makes(l *ops.LockInfo, side ops.Side) bool {
	if !slices.Contains([]ops.Op{ops.OpRecover, ops.OpRollback, ops.OpPatch, ops.OpRestart, ops.OpJob}, l.Op) {
		return false
	}
	return l.Both || l.Side == "" || l.Side == side
}
