package findings

import "tandem/ops"

// engineInstalled: the package was changed under the running engine. Running containers
// go on; new ones may not start, because they use the new containerd and runc.
func engineInstalled(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !changedUnder(s) || v.patching(side) {
			return nil
		}
		next := ops.Upstream(s.Facts.Installed)
		changed := changeTo(s, next)
		f := ops.Finding{
			ID: "engine-installed", Severity: ops.Warn, Side: side,
			Title:  "engine " + ops.Upstream(s.Version.Running) + " runs, but " + next + " is installed: a new container may not start" + inShort(changed, v.now),
			Detail: sentence("the next restart of the engine, or of the host, changes its version", inFull(changed, v.now)),
			Hint:   "prove it with a canary: c", Do: canary(side),
		}
		if why := ops.ComposeMisfit(s.Facts.Compose, next); why != "" {
			f.Title = "engine " + ops.Upstream(s.Version.Running) + " runs, but " + next + " is installed: compose will not work with it" + inShort(changed, v.now)
			f.Detail = sentence("after the next restart of the engine, or of the host, "+why, inFull(changed, v.now))
		}
		if s.Canary != nil && !s.Canary.OK || ops.ComposeMisfit(s.Facts.Compose, next) != "" {
			f.Hint, f.Do = wayOut(side, s, next, changed)
			f.Hint = "do not restart the engine by hand: " + f.Hint
		}
		return []ops.Finding{f}
	})
}

// wayOut is how engine and compose of a side come to match: with another compose, else with
// the engine as it was.
func wayOut(side ops.Side, s *ops.SideState, engine string, changed *ops.PackageChange) (string, *ops.Request) {
	if compose := fittingCompose(s, engine); ops.ComposeMisfit(s.Facts.Compose, engine) != "" && compose != nil {
		return "bring compose to a version that matches: P", patch(side, compose)
	}
	if back := patch(side, wayBack(s, changed)); back != nil {
		return "take the engine back to its earlier version: P", back
	}
	return "bring engine and compose to versions that match: P; or recover the side without compose: R, start by the engine", withoutCompose(side)
}

func changedUnder(s *ops.SideState) bool {
	return read(s.Engine) && read(s.Host) && s.Version.Running != "" && s.Facts.Installed != "" &&
		ops.Upstream(s.Version.Running) != ops.Upstream(s.Facts.Installed)
}
