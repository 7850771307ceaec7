package findings

import "tandem/ops"

// rebootRequired: the host's packages ask for a reboot.
func rebootRequired(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) || !s.Facts.RebootRequired {
			return nil
		}
		f := ops.Finding{ID: "reboot-required", Severity: ops.Note, Side: side, Title: "reboot due", Hint: "drain it first: d", Do: drain(side)}
		if changedUnder(s) {
			f.Detail = "it also changes the engine to " + ops.Upstream(s.Facts.Installed)
		}
		return []ops.Finding{f}
	})
}
