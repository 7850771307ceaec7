package findings

import "tandem/ops"

// outOfMemory: the kernel killed a process of a container that runs.
func outOfMemory(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		list := those(s, func(c ops.Container) bool { return c.State == "running" && c.OOMKilled })
		if len(list) == 0 {
			return nil
		}
		return []ops.Finding{{
			ID: "out-of-memory", Severity: ops.Warn, Side: side, Title: "out of memory once since the start: " + names(list),
			Hint: "give it more memory, or see what it needs it for: docker stats --no-stream",
		}}
	})
}
