package findings

import (
	"time"

	"tandem/ops"
)

// Thresholds of a host. They are far from what a pair at work shows: an alarm that comes and
// goes is none.
const (
	fullWarn  = 85 // percent of the engine's file system
	fullBlock = 95
	memoryLow = 5                // percent available
	settled   = 15 * time.Minute // after a start, when everything is at work at once
)

// diskFull: the engine's directory has little room left. Images, logs and new containers go
// there.
func diskFull(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) {
			return nil
		}
		out := filling("disk-full", side, "the disk", s.Facts.DiskUsed, s.Facts.DiskTotal)
		return append(out, filling("inodes-full", side, "the inodes", s.Facts.InodesUsed, s.Facts.InodesTotal)...)
	})
}

// filling names thresholds, not numbers: these change at every look, and are on the card.
func filling(id string, side ops.Side, what string, used, total uint64) []ops.Finding {
	f := ops.Finding{ID: id, Severity: ops.Warn, Side: side, Hint: "see what fills it: docker system df; remove what no service needs"}
	switch {
	case total == 0 || used > total:
		return nil
	case float64(used) > float64(total)*fullBlock/100:
		f.Severity, f.Title = ops.Block, what+" of the engine's directory above 95 %"
		f.Detail = "a new container, an image or a log may find no room"
	case float64(used) > float64(total)*fullWarn/100:
		f.Title = what + " of the engine's directory above 85 %"
	default:
		return nil
	}
	return []ops.Finding{f}
}
