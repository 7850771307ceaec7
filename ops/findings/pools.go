package findings

import (
	"fmt"
	"slices"
	"strings"

	"tandem/ops"
)

// poolsOverlap: the next network that the engine makes may get addresses that somebody else
// has. An engine that was given no pools leaves its own host's ranges alone, and is so on every
// host as delivered: a note.
func poolsOverlap(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if s.Net == nil {
			return nil
		}
		pools, severity := s.Net.Pools, ops.Warn
		if len(pools) == 0 {
			pools, severity = ops.EnginePools, ops.Note
		}
		var detail []string
		taken := v.takenFrom(side)
		for _, p := range pools {
			for _, t := range taken {
				if !p.Base.Overlaps(t.prefix) {
					continue
				}
				if what := fmt.Sprintf("%s overlaps %s, %s", p.Base, t.prefix, t.who); !slices.Contains(detail, what) {
					detail = append(detail, what)
				}
			}
		}
		if len(detail) == 0 {
			return nil
		}
		f := ops.Finding{
			ID: "pools-overlap", Severity: severity, Side: side, Title: "address pool " + detail[0], Detail: strings.Join(detail[1:], "; "),
			Hint: "move the pools with a recovery: R", Do: recovery(side),
		}
		if len(v.Pair.Networks.Pools) == 0 {
			f.Hint, f.Do = "set networks.pools in the config to a range that is free, then recover the side: R", nil
		}
		return []ops.Finding{f}
	})
}
