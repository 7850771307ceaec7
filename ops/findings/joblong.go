package findings

import (
	"time"

	"tandem/ops"
)

// A job runs unusually long when it takes this many times the longest of its earlier runs, and
// this much more.
const (
	longTimes = 3
	longMore  = 10 * time.Minute
)

// jobLong: a job runs for unusually long, against its earlier runs; against its max_age where
// none is known.
func jobLong(v view) []ops.Finding {
	maxAge := map[string]time.Duration{}
	for _, j := range v.Pair.Jobs {
		maxAge[j.Name] = j.MaxAge
	}
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Engine) {
			return nil
		}
		var out []ops.Finding
		for _, j := range s.Jobs {
			var usual time.Duration
			var began time.Time
			for _, c := range j.Container {
				switch {
				case c.State == "running" && (began.IsZero() || c.StartedAt.Before(began)):
					began = c.StartedAt
				case c.State == "exited" && c.ExitCode == 0 && c.FinishedAt.After(c.StartedAt):
					usual = max(usual, c.FinishedAt.Sub(c.StartedAt))
				}
			}
			limit, against := max(longTimes*usual, usual+longMore), "its longest run known took "+span(usual)
			if usual == 0 {
				limit, against = maxAge[j.Name], "its max_age is "+span(maxAge[j.Name])
			}
			if began.IsZero() || limit == 0 || v.now.Sub(began) <= limit {
				continue
			}
			out = append(out, ops.Finding{
				ID: "job-long", Severity: ops.Warn, Side: side, Title: j.Name + " runs for unusually long, since " + clock(began, v.now),
				Detail: against, Hint: "read its log: l", Logs: []string{j.Name},
			})
		}
		return out
	})
}
