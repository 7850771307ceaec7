package findings

import "tandem/ops"

// composeProbe: compose was tried and could not make a container.
func composeProbe(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if s.Probe == nil || s.Probe.OK || misfit(s) != "" {
			return nil
		}
		return []ops.Finding{{
			ID: "compose-probe", Severity: ops.Block, Side: side, Title: "compose cannot make a container: " + s.Probe.Text,
			Detail: sentence("tried at "+clock(s.Probe.At, v.now), inFull(lastChange(s), v.now)),
			Hint:   "mend it, deploy nothing here until then, and try again: c", Do: canary(side),
		}}
	})
}
