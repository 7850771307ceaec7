package findings

import (
	"slices"
	"time"

	"tandem/ops"
)

// jobOverdue: a job with a max_age has not run for longer, or never, on either side.
func jobOverdue(v view) []ops.Finding {
	if !read(v.Blue.Engine) || !read(v.Green.Engine) {
		return nil // it may have run where nobody can look
	}
	var out []ops.Finding
	for i := range v.Pair.Jobs {
		j := &v.Pair.Jobs[i]
		last, told := v.lastRun(j.Name)
		if j.MaxAge == 0 || told || !last.IsZero() && v.now.Sub(last) <= j.MaxAge {
			continue
		}
		side := j.Only
		if side == "" {
			side = ops.Blue
		}
		f := ops.Finding{
			ID: "job-overdue", Severity: ops.Warn, Side: j.Only, Title: j.Name + " last ended well " + clock(last, v.now),
			Detail: "its max_age is " + span(j.MaxAge), Hint: "see why nobody started it, then run it: j", Do: job(side, j.Name),
		}
		if last.IsZero() {
			f.ID, f.Title = "job-never", j.Name+" is not known to have ever run"
			f.Detail = sentence(f.Detail, "a container that removes itself leaves no trace")
		}
		out = append(out, f)
	}
	return out
}

// lastRun is when a job ended last without an error, on either side, and whether there is
// nothing to say of its age: it runs now, or its failure is told.
func (v *view) lastRun(name string) (last time.Time, told bool) {
	for _, side := range ops.Sides {
		for _, j := range v.On(side).Jobs {
			if j.Name != name {
				continue
			}
			told = told || j.Running || j.Last != nil && j.Last.ExitCode != 0
			list := j.Container
			if j.Last != nil {
				list = append(slices.Clone(list), *j.Last)
			}
			for _, c := range list {
				if c.State == "exited" && c.ExitCode == 0 && c.FinishedAt.After(last) {
					last = c.FinishedAt
				}
			}
		}
	}
	return last, told
}
