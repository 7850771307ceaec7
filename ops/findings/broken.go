package findings

import "tandem/ops"

// packagesBroken: packages were left half-way, and nobody is at work on them.
func packagesBroken(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Care) || len(s.Upkeep.Broken) == 0 || s.Upkeep.Busy != "" {
			return nil
		}
		next := "sudo dpkg --configure -a"
		if s.Upkeep.Manager != "apt" {
			next = "see on the host what was left half-way"
		}
		return []ops.Finding{{
			ID: "packages-broken", Severity: ops.Warn, Side: side, Title: "left half-installed or half-configured: " + names(s.Upkeep.Broken), Hint: next,
		}}
	})
}
