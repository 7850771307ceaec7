package findings

import "tandem/ops"

// canaryFailed: the latest try to start a new container did not succeed.
func canaryFailed(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if s.Canary == nil || s.Canary.OK {
			return nil
		}
		title := "a new container could not start"
		if s.Canary.Text != "" {
			title += ": " + s.Canary.Text
		}
		return []ops.Finding{{
			ID: "canary-failed", Severity: ops.Block, Side: side, Title: title,
			Detail: sentence("tried at "+clock(s.Canary.At, v.now), inFull(lastChange(s), v.now)),
			Hint:   "mend it, deploy nothing here until then, and try again: c", Do: canary(side),
		}}
	})
}
