package findings

import "tandem/ops"

// Load, in the mean of a minute, for each processor. Jobs at night reach the first for a while.
const (
	loadMuch    = 4
	loadTooMuch = 10
)

// loadTooHigh: more is waiting for a processor than can be served, long after the start and
// with no run at it.
func loadTooHigh(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) || s.Facts.CPUs <= 0 || s.Facts.Uptime < settled || v.running() {
			return nil
		}
		f := ops.Finding{ID: "load-high", Side: side, Hint: "see what is at work: docker stats --no-stream, then top"}
		switch each := s.Facts.Load1 / float64(s.Facts.CPUs); {
		case each > loadTooMuch:
			f.Severity, f.Title = ops.Warn, "load above 10 for each processor"
		case each > loadMuch:
			f.Severity, f.Title = ops.Note, "load above 4 for each processor"
		default:
			return nil
		}
		return []ops.Finding{f}
	})
}
