package findings

import (
	"fmt"

	"tandem/ops"
)

// jobFailed: the latest run of a job ended badly, or never began.
func jobFailed(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		var out []ops.Finding
		if !read(s.Engine) {
			return nil
		}
		for _, j := range s.Jobs {
			if j.Last == nil || j.Last.ExitCode == 0 || j.Running {
				continue
			}
			at, verb := j.Last.FinishedAt, "failed"
			if j.Last.State == "created" || at.IsZero() {
				at, verb = j.Last.CreatedAt, "could not start"
			}
			f := ops.Finding{
				ID: "job-failed", Severity: ops.Block, Side: side,
				Title: fmt.Sprintf("%s %s %s, exit %d", j.Name, verb, clock(at, v.now), j.Last.ExitCode), Hint: "read its log: l, then run it again: j", Do: job(side, j.Name), Logs: []string{j.Name},
			}
			// docker-run(1): 125 is the engine's own error, not the program's.
			if j.Last.ExitCode == 125 || j.Last.State == "created" {
				f.Detail, f.Hint, f.Do, f.Logs = "the engine could not start it", "see whether a new container can start: c", canary(side), nil
			}
			if j.Last.OOMKilled {
				f.Detail = "killed: out of memory"
			}
			out = append(out, f)
		}
		return out
	})
}
