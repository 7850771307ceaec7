package findings

import "tandem/ops"

// composeMisfit: compose and the engine that runs are known not to work together.
func composeMisfit(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		why := misfit(s)
		if why == "" {
			return nil
		}
		changed := changeTo(s, s.Version.Running)
		f := ops.Finding{ID: "compose-misfit", Severity: ops.Block, Side: side, Title: why, Detail: inFull(changed, v.now)}
		if s.Probe != nil && !s.Probe.OK {
			f.Detail = sentence("tried at "+clock(s.Probe.At, v.now)+": "+s.Probe.Text, f.Detail)
		}
		f.Hint, f.Do = wayOut(side, s, s.Version.Running, changed)
		f.Hint = "deploy nothing here with compose; " + f.Hint
		return []ops.Finding{f}
	})
}

func misfit(s *ops.SideState) string {
	if !read(s.Host) || !read(s.Engine) {
		return ""
	}
	return ops.ComposeMisfit(s.Facts.Compose, s.Version.Running)
}
