package findings

import (
	"strings"

	"tandem/ops"
)

// unread: a part of the pair that nobody has looked at yet. Finding nothing there proves
// nothing.
func unread(v view) []ops.Finding {
	out := alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		var parts []string
		if never(s.Host) {
			parts = append(parts, "the host")
		}
		if never(s.Engine) {
			parts = append(parts, "the engine")
		}
		if never(s.Care) && read(s.Host) {
			parts = append(parts, "the package manager")
		}
		// A look that reads images is one for which the addresses matter too.
		if read(s.Engine) && s.Images != nil && s.Net == nil {
			parts = append(parts, "addresses and routes")
		}
		return notLookedAt(side, parts)
	})
	if never(v.Balancer.Look) {
		out = append(out, notLookedAt("", []string{"the balancer"})...)
	}
	return out
}

func never(l ops.Look) bool { return l.Err == nil && l.At.IsZero() }

func notLookedAt(side ops.Side, parts []string) []ops.Finding {
	if len(parts) == 0 {
		return nil
	}
	return []ops.Finding{{
		ID: "unread", Severity: ops.Note, Side: side, Title: "not looked at yet: " + strings.Join(parts, ", "),
		Hint: "what was not looked at counts as not known; tandem check looks at everything",
	}}
}
