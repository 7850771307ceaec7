package findings

import (
	"errors"

	"tandem/ops"
)

// balancerUnreachable: what the sides get is not known now.
func balancerUnreachable(v view) []ops.Finding {
	p := v.Balancer.Look.Err
	if p == nil {
		return nil
	}
	f := ops.Finding{
		ID: "balancer-unreachable", Severity: ops.Block, Title: "the balancer cannot be read: " + cause(p), Detail: lastSeen(v.Balancer.Look),
		Hint: hint(p, "check "+v.Balancer.Name+"; it is tried again by itself"),
	}
	if errors.Is(p, ops.ErrThrottled) {
		f.ID, f.Severity, f.Title = "balancer-throttled", ops.Warn, "the balancer throttles its API: traffic is shown as last seen"
		f.Hint = hint(p, "close other consoles and scripts that ask it; it is tried again by itself")
	}
	return []ops.Finding{f}
}
