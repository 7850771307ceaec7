package findings

import "tandem/ops"

// memoryShort: the kernel will soon kill something.
func memoryShort(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) || s.Facts.MemTotal == 0 || float64(s.Facts.MemAvailable) >= float64(s.Facts.MemTotal)*memoryLow/100 {
			return nil
		}
		return []ops.Finding{{
			ID: "memory-short", Severity: ops.Warn, Side: side, Title: "less than 5 % of the memory is available",
			Detail: "the kernel kills a process when it runs out", Hint: "see what takes it: docker stats --no-stream",
		}}
	})
}
