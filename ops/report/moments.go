package report

import (
	"fmt"

	"tandem/ops"
)

// Timeline is what happened to a pair as a page of Markdown, a table for each day in UTC. The
// moments are in order of time.
func Timeline(pair string, list []ops.Moment) string {
	p := page{}
	p.line("# Timeline of the pair %s", md(plain(pair)))
	p.none(len(list), "Nothing is on record.")
	day := ""
	for i := range list {
		m := &list[i]
		if i == 0 {
			p.line("%s to %s, %s", stamp(m.At), stamp(list[len(list)-1].At), moments(len(list)))
		}
		if d := m.At.UTC().Format("Monday 2 January 2006"); d != day {
			day = d
			p.line("## %s (UTC)", day)
			p.table("time", "side", "kind", "what")
		}
		what := md(plain(m.Text))
		if m.Kind == ops.MomentNote && m.Who != "" {
			what = md(plain(m.Who)) + ": " + what
		}
		if f := m.Finding; f != nil && f.Was != "" {
			what += " (was: " + md(plain(f.Was)) + ")"
		}
		p.row(clock(m.At), upper(m.Side), md(plain(string(m.Kind))), what)
	}
	return p.String()
}

func moments(n int) string {
	if n == 1 {
		return "1 moment"
	}
	return fmt.Sprintf("%d moments", n)
}
