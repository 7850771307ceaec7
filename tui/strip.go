package tui

import (
	"slices"
	"strconv"
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

func (p *pair) moments(page *style.Page) {
	list := ops.Together(p.recent)
	slices.Reverse(list)
	today := p.local(p.now()).Format(time.DateOnly)
	for i, m := range list[:min(len(list), p.plan.moments)] {
		who, ink := string(m.Side), sideInk(m.Side)
		switch {
		case m.Kind == ops.MomentNote:
			who, ink = "note", style.Focus
		case who == "":
			who = "pair"
		}
		at := p.clock(m.At)
		if p.local(m.At).Format(time.DateOnly) != today {
			at = p.local(m.At).Format("2 Jan")
		}
		hint := ""
		if i == 0 {
			hint = "timeline"
			page.Limit(page.Width() - page.Measure(hint) - 6)
		}
		page.Space(1).Cell(style.Muted, at, len("15:04:05Z")).Space(2).Cell(ink, who, 6).Put(style.Soft, m.Text)
		if hint != "" {
			page.Limit(page.Width()-1).To(page.Width()-page.Measure(hint)-4).Put(style.Key, p.keyOf(actTimeline)).Space(2).Put(style.Muted, hint)
		}
		page.End()
	}
}
