package findings

import "tandem/ops"

// packagesBusy: a package manager is at work now.
func packagesBusy(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Care) || s.Upkeep.Busy == "" {
			return nil
		}
		return []ops.Finding{{
			ID: "packages-busy", Severity: ops.Note, Side: side, Title: "a package manager is at work: " + s.Upkeep.Busy, Hint: "reboot and patch nothing until it has ended",
		}}
	})
}
