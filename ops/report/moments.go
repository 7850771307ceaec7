package report

import (
	"fmt"
	"strings"

	"tandem/ops"
)

// Timeline is what happened to a pair as a page of Markdown, a table for each day in UTC. The
// moments are in order of time; those that say the same of containers are one row, with the names.
func Timeline(pair string, list []ops.Moment) string {
	p := page{}
	p.line("# Timeline of the pair %s", md(plain(pair)))
	p.none(len(list), "Nothing is on record.")
	day := ""
	if n := len(list); n > 0 {
		p.line("%s to %s, %s", stamp(list[0].At), stamp(list[n-1].At), moments(n))
	}
	for _, m := range ops.Together(list) {
		if d := m.At.UTC().Format("Monday 2 January 2006"); d != day {
			day = d
			p.line("## %s (UTC)", day)
			p.table("time", "side", "kind", "what")
		}
		what := md(plain(m.Text))
		if m.Names != nil {
			what += ": " + md(plain(strings.Join(m.Names, ", ")))
		}
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
