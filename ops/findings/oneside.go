package findings

import "tandem/ops"

// oneSide: one side carries everything, and not because a run has taken the other out.
func oneSide(v view) []ops.Finding {
	if !read(v.Balancer.Look) || v.running() {
		return nil
	}
	for _, side := range ops.Sides {
		other := v.Balancer.On(side.Peer()).Traffic
		if v.Balancer.On(side).Traffic != ops.InService || other == ops.InService || v.couldServe(side.Peer()) {
			continue
		}
		if other == "" {
			other = ops.Unknown
		}
		return []ops.Finding{{
			ID: "one-side", Severity: ops.Warn, Title: "only " + string(side) + " serves: " + string(side.Peer()) + " is " + other.Words(),
			Detail: "when " + string(side) + " goes, nobody serves", Hint: "touch nothing on " + string(side) + "; mend " + string(side.Peer()) + " first",
		}}
	}
	return nil
}
