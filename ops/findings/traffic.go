package findings

import (
	"strings"

	"tandem/ops"
)

// trafficUnknown: the balancer answered, but not with one word for the side.
func trafficUnknown(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, _ *ops.SideState) []ops.Finding {
		t := v.Balancer.On(side)
		if !read(v.Balancer.Look) || t.Traffic != ops.Unknown && t.Traffic != "" {
			return nil
		}
		f := ops.Finding{ID: "traffic-unknown", Severity: ops.Block, Side: side, Title: "traffic unknown, counts as not serving"}
		serves, left := inPools(t)
		switch {
		case serves && left:
			f.ID, f.Title = "pools-disagree", "serves in some pools and not in others: "+strings.TrimPrefix(t.Detail, "partly: ")
			f.Hint = "drain it (d) or put it back (u), so that every pool of " + v.Balancer.Name + " says the same"
			if f.Do = drain(side); v.Balancer.On(side.Peer()).Traffic != ops.InService {
				f.Do = putBack(side)
			}
		case t.Detail != "":
			f.Title = "traffic unknown: " + t.Detail
			fallthrough
		default:
			f.Hint = "see what " + v.Balancer.Name + " says of it; unknown counts as not serving"
		}
		return []ops.Finding{f}
	})
}

// inPools tells whether a side is in somewhere, and out somewhere.
func inPools(t *ops.SideTraffic) (serves, left bool) {
	for _, m := range t.Members {
		serves = serves || m.Traffic == ops.InService || m.Traffic == ops.Down
		left = left || taken(m.Traffic)
	}
	return serves, left
}

func taken(t ops.Traffic) bool { return t == ops.Out || t == ops.Draining }
