package tui

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
)

type stripKey struct {
	version, looks uint64
	layout         layout
	width          int
}

// below writes what stands under the cards: the findings, the worst first, and the
// timeline, the latest first.
func (p *pair) below(width, height int) []string {
	l := &p.plan
	page := p.sheet.Page(width)
	if l.findings > 0 {
		page.Blank(l.space)
		p.findings(page)
	}
	if l.moments > 0 {
		page.Blank(l.space)
		p.moments(page)
	}
	return page.Fit(height)
}

func (p *pair) findings(page *style.Page) {
	list := ranked(p.snap.Findings)
	if len(list) == 0 {
		if p.blind() {
			page.Space(1).Put(style.Warn, "? not everything can be looked at").End()
		} else {
			page.Space(1).Put(style.Muted, style.OkMark+" nothing found").End()
		}
		return
	}
	for i, f := range list[:min(len(list), p.plan.findings)] {
		mark, ink, title := severity(f.Severity)
		hint := ""
		if more := len(list) - p.plan.findings; i == p.plan.findings-1 && more > 0 {
			hint = strconv.Itoa(more) + " more"
		} else if i == 0 {
			hint = "why and how"
		}
		if hint != "" {
			page.Limit(page.Width() - page.Measure(hint) - 6)
		}
		page.Space(1).Put(ink, mark).Space(1).Cell(style.Strong, f.Side.Upper(), 6).Put(title, f.Title)
		if hint != "" {
			page.Limit(page.Width()-1).To(page.Width()-page.Measure(hint)-4).Put(style.Key, "f").Space(2).Put(style.Muted, hint)
		}
		page.End()
	}
}

// blind tells whether a part of the pair has not been seen: finding nothing then proves
// nothing.
func (e *env) blind() bool {
	looks := []ops.Look{e.snap.Balancer.Look}
	for _, side := range ops.Sides {
		looks = append(looks, e.snap.On(side).Engine, e.snap.On(side).Host)
	}
	return slices.ContainsFunc(looks, func(l ops.Look) bool { return l.Err != nil || l.At.IsZero() })
}

// oneMoment is how far apart lines may be that are shown as one.
const oneMoment = 30 * time.Second

// grouped puts lines that say the same of several containers of a side, shortly after each
// other, into one: what else happened then is not pushed away. The list has the latest first.
func grouped(list []Moment) []Moment {
	type group struct {
		Moment
		what  string
		n     int
		since time.Time
	}
	var groups []group
	for _, m := range list {
		what := momentWhat(m.Text)
		i := slices.IndexFunc(groups, func(g group) bool {
			return what != "" && g.what == what && g.Side == m.Side && g.Who == m.Who && g.since.Sub(m.At) <= oneMoment
		})
		if i < 0 {
			groups = append(groups, group{m, what, 1, m.At})
			continue
		}
		groups[i].n++
		groups[i].since = m.At
	}
	out := make([]Moment, len(groups))
	for i, g := range groups {
		if out[i] = g.Moment; g.n > 1 {
			out[i].Text = some(g.n, "container") + " " + g.what
		}
	}
	return out
}

// momentWhat is what a line of the timeline says of a container, without its name; empty:
// it is not about a container.
func momentWhat(text string) string {
	name, what, ok := strings.Cut(text, " ")
	if !ok || strings.HasSuffix(name, ":") {
		return ""
	}
	for _, word := range containerWords {
		if what == word || strings.HasPrefix(what, word+" ") || strings.HasPrefix(what, word+":") {
			return what
		}
	}
	return ""
}

// containerWords begin what is said of containers: their states, and what becomes of them.
var containerWords = []string{
	"appeared", "replaced", "removed", "restarted", "running", "healthy", "starting", "unhealthy", "exited", "created", "paused", "restarting", "removing", "dead",
}

func (p *pair) moments(page *style.Page) {
	list := slices.Clone(p.timeline)
	slices.SortStableFunc(list, func(a, b Moment) int { return b.At.Compare(a.At) })
	list = grouped(list)
	for _, m := range list[:min(len(list), p.plan.moments)] {
		who, ink := string(m.Side), sideInk(m.Side)
		switch {
		case m.Who == "you":
			who, ink = m.Who, style.Focus
		case who == "":
			who = "pair"
		}
		page.Space(1).Put(style.Muted, p.clock(m.At)).Space(2).Cell(ink, who, 6).Put(style.Soft, m.Text).End()
	}
}
