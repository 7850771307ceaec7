package findings

import (
	"slices"
	"strings"

	"tandem/ops"
)

// zonalShift: all is well with the side, and a shift of its zone keeps traffic away.
func zonalShift(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, _ *ops.SideState) []ops.Finding {
		t := v.Balancer.On(side)
		if !read(v.Balancer.Look) || !shifted(t) {
			return nil
		}
		var pools []string
		for _, m := range t.Members {
			if m.Shifted {
				pools = append(pools, m.Pool)
			}
		}
		return []ops.Finding{{
			ID: "zonal-shift", Severity: ops.Warn, Side: side, Title: "a zonal shift keeps traffic away from it in " + strings.Join(slices.Compact(pools), ", "),
			Detail: "its targets are healthy", Hint: "end the shift when the zone is well: aws arc-zonal-shift cancel-zonal-shift",
		}}
	})
}

// shifted tells whether a zonal shift is all that keeps traffic from a side somewhere.
func shifted(t *ops.SideTraffic) bool {
	found := false
	for _, m := range t.Members {
		if m.Traffic == ops.Down && !m.Shifted {
			return false
		}
		found = found || m.Shifted
	}
	return found
}
