package findings

import "tandem/ops"

// drainLost: out on purpose, and serving again all the same.
func drainLost(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, _ *ops.SideState) []ops.Finding {
		lost := v.Balancer.On(side).DrainLost
		if lost.IsZero() {
			return nil
		}
		return []ops.Finding{{
			ID: "drain-lost", Severity: ops.Block, Side: side, Title: "drain lost: serves again since " + clock(lost, v.now) + ", and no run put it back",
			Detail: "a reload of the balancer forgets a drain; somebody may also have put it back by hand", Hint: "if it must not serve, drain it again: d", Do: drain(side),
		}}
	})
}
