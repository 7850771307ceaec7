package findings

import (
	"slices"
	"time"

	"tandem/ops"
)

// A container that the engine has started anew this often, and lately, is in a loop.
const (
	loopRestarts = 3
	loopRecent   = 10 * time.Minute
)

// restartLoop: services that run at this very look, and are started over and over.
func restartLoop(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if v.running() || read(s.Host) && s.Facts.Uptime < settled {
			return nil // started anew on purpose
		}
		looping := func(c ops.Container) bool {
			return c.State == "running" && c.Restarts >= loopRestarts && v.now.Sub(c.StartedAt) < loopRecent
		}
		list := those(s, looping)
		if len(list) == 0 {
			return nil
		}
		return []ops.Finding{{
			ID: "restart-loop", Severity: ops.Warn, Side: side, Title: "started over and over: " + names(list),
			Detail: "the engine has restarted each at least 3 times, the last time within 10 min", Hint: "read the log: l", Logs: list,
		}}
	})
}

// those are the services of a side with a container that fits, whatever else is said of them.
func those(s *ops.SideState, fits func(ops.Container) bool) []string {
	var list []string
	if !read(s.Engine) {
		return nil
	}
	for i := range s.Services {
		if slices.ContainsFunc(s.Services[i].Containers, fits) {
			list = append(list, s.Services[i].Name)
		}
	}
	return list
}
