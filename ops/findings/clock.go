package findings

import (
	"time"

	"tandem/ops"
)

// clockApart is how far clocks may differ: certificates, tokens and logs of the two sides
// still agree.
const clockApart = 2 * time.Second

// clocks: the clock of a host differs from ours, or from its peer's. Steps of time are named,
// not the time itself, which is another one at every look.
func clocks(v view) []ops.Finding {
	var off []ops.Side
	for _, side := range ops.Sides {
		if s := v.On(side); read(s.Host) && s.Facts.Ahead.Abs() > clockApart {
			off = append(off, side)
		}
	}
	between := v.Blue.Facts.Ahead - v.Green.Facts.Ahead
	both := read(v.Blue.Host) && read(v.Green.Host)
	const next = "see whether time is being kept: timedatectl"
	if both && len(off) == 2 && between.Abs() <= clockApart {
		return []ops.Finding{{
			ID: "clock-apart", Severity: ops.Warn, Title: "this machine's clock is " + apart(-v.Blue.Facts.Ahead) + " both hosts'",
			Detail: "tandem judges by it how old things are", Hint: next + ", here",
		}}
	}
	var out []ops.Finding
	for _, side := range off {
		out = append(out, ops.Finding{ID: "clock-apart", Severity: ops.Warn, Side: side, Title: "its clock is " + apart(v.On(side).Facts.Ahead) + " ours", Hint: next})
	}
	if both && len(off) == 0 && between.Abs() > clockApart {
		out = append(out, ops.Finding{ID: "clock-apart", Severity: ops.Warn, Title: "blue's clock is " + apart(between) + " green's", Hint: next})
	}
	return out
}

// apart is how far, in steps: "more than 2s ahead of".
func apart(d time.Duration) string {
	step := clockApart
	for _, s := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour} {
		if d.Abs() > s {
			step = s
		}
	}
	words := map[time.Duration]string{clockApart: "2 s", 10 * time.Second: "10 s", time.Minute: "1 min", 10 * time.Minute: "10 min", time.Hour: "1 h", 24 * time.Hour: "1 day"}
	if d < 0 {
		return "more than " + words[step] + " behind"
	}
	return "more than " + words[step] + " ahead of"
}
