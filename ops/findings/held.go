package findings

import (
	"slices"

	"tandem/ops"
)

// notHeld: whoever upgrades the host moves the engine.
func notHeld(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Care) || !read(s.Host) || s.Upkeep.Manager != "apt" || len(comingBy(s)) > 0 {
			return nil
		}
		var free []string
		for _, name := range ops.EnginePackages {
			if s.Facts.Packages[name] != "" && !slices.Contains(s.Upkeep.Held, name) {
				free = append(free, name)
			}
		}
		if len(free) == 0 {
			return nil
		}
		return []ops.Finding{{
			ID: "not-held", Severity: ops.Note, Side: side, Title: "not on hold, so that any upgrade moves them: " + names(free), Hint: hold(free),
		}}
	})
}
