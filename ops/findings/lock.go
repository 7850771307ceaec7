package findings

import (
	"time"

	"tandem/ops"
)

// deadAfter is how long a run may be silent; it gives a sign of life every 5 s.
const deadAfter = time.Minute

func dead(l *ops.LockInfo, now time.Time) bool { return now.Sub(alive(l)) > deadAfter }

// alive is when the owner last gave a sign of life.
func alive(l *ops.LockInfo) time.Time {
	if l.Beat.IsZero() {
		return l.Since
	}
	return l.Beat
}

// lockDead: a run holds the pair and does not go on by itself.
func lockDead(v view) []ops.Finding {
	var out []ops.Finding
	seen := map[string]bool{}
	for _, side := range ops.Sides {
		l := v.On(side).Lock
		if l == nil || seen[l.Run] || !read(v.On(side).Host) || !l.Stopped && !dead(l, v.now) {
			continue
		}
		seen[l.Run] = true
		what := l.What()
		f := ops.Finding{
			ID: "lock-dead", Severity: ops.Block, Title: what + " by " + l.By + " at " + l.From + " gives no sign of life since " + clock(alive(l), v.now),
			Detail: "run " + l.Run + " holds the lock since " + clock(l.Since, v.now),
			Hint:   "tandem resume " + l.Run + ", or tandem rollback " + l.Run,
		}
		if l.Stopped {
			f.ID, f.Title = "run-stopped", what+" by "+l.By+" at "+l.From+" stopped half-way"
		}
		if l.Step != "" {
			f.Detail += ", at step " + l.Step
		}
		out = append(out, f)
	}
	return out
}
