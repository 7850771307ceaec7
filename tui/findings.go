package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// ranked returns the findings, the worst first, otherwise as they came.
func ranked(list []ops.Finding) []ops.Finding {
	rank := func(s ops.Severity) int {
		switch s {
		case ops.Block:
			return 0
		case ops.Warn:
			return 1
		}
		return 2
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b ops.Finding) int { return rank(a.Severity) - rank(b.Severity) })
	return list
}

// severity is the mark of a finding, its ink, and the ink of its title.
func severity(s ops.Severity) (mark string, ink, title style.Ink) {
	switch s {
	case ops.Block:
		return style.BadMark, style.DangerStrong, style.Text
	case ops.Warn:
		return style.WarnMark, style.Warn, style.Text
	}
	return style.NoteMark, style.Soft, style.Soft
}

// findingsView says of every finding why, and what to do; enter opens the dialog of the
// operation that it proposes, l the log that says more.
type findingsView struct {
	sheetOfText
	list     []ops.Finding // the worst first
	cursor   widget.Window // over the findings
	from, to int           // lines of the one under the cursor
	seen     uint64        // version that list was made from
}

func newFindings(e *env) screen {
	f := &findingsView{sheetOfText: sheetOfText{env: e}}
	f.title = func(p *style.Page) { p.Put(style.Strong, "findings").Space(2).Put(style.Muted, "worst first") }
	f.write = f.entries
	f.sight = func() (from, to int) { return f.from, f.to }
	f.refresh()
	return f
}

// refresh reads the findings anew and keeps the cursor on the one it was on.
func (f *findingsView) refresh() {
	var on ops.Finding
	if len(f.list) > 0 {
		on = f.list[f.cursor.Cursor]
	}
	f.list, f.seen = ranked(f.snap.Findings), f.version
	if i := slices.IndexFunc(f.list, func(n ops.Finding) bool { return n.ID == on.ID && n.Side == on.Side && n.Title == on.Title }); i >= 0 {
		f.cursor.Cursor = i
	}
	f.move(0)
}

// move goes n findings down.
func (f *findingsView) move(n int) {
	f.cursor.Move(n, len(f.list))
	f.key = textKey{}
}

func (f *findingsView) Update(msg tea.Msg) (screen, tea.Cmd) {
	key, ok := msg.(pressed)
	if !ok {
		if f.seen != f.version {
			f.refresh()
		}
		return f, nil
	}
	switch key.Action {
	case actBack:
		return f, f.leave(f)
	case actUp:
		f.move(-1)
	case actDown:
		f.move(1)
	case actPageUp:
		f.move(-5)
	case actPageDown:
		f.move(5)
	case actTop:
		f.move(-len(f.list))
	case actBottom:
		f.move(len(f.list))
	case actAccept:
		return f, f.act()
	case actItsLog:
		return f, f.log()
	}
	return f, nil
}

// act opens the dialog of the operation that the finding under the cursor proposes.
func (f *findingsView) act() tea.Cmd {
	if len(f.list) == 0 {
		return nil
	}
	do := f.list[f.cursor.Cursor].Do
	switch {
	case do == nil:
		return f.say(style.Soft, "nothing here that tandem could do: see what to do")
	case mayOperate(f.env) != "":
		return f.say(style.Warn, proposal(do)+": not now, "+mayOperate(f.env))
	case do.Op == ops.OpPatch && len(do.Packages) == 0:
		return f.open(newVersions(f.env, do.Side))
	}
	return f.ask(*do)
}

// log opens the log that says more of the finding under the cursor.
func (f *findingsView) log() tea.Cmd {
	if len(f.list) == 0 {
		return nil
	}
	switch on := f.list[f.cursor.Cursor]; len(on.Logs) {
	case 0:
		return f.say(style.Soft, "no log says more of this: see what to do")
	case 1:
		return f.open(newLogs(f.env, on.Side, on.Logs[0]))
	default:
		return f.say(style.Soft, "one log at a time: go back, then :logs "+on.Logs[0])
	}
}

// proposal is an operation in a few words: "restart tcs on GREEN".
func proposal(r *ops.Request) string {
	words := strings.ReplaceAll(string(r.Op), "-", " ")
	switch {
	case r.Both:
		return words + " both sides"
	case len(r.Services) > 2:
		return words + " " + some(len(r.Services), "service") + " of " + r.Side.Upper()
	case len(r.Services) > 0:
		return words + " " + strings.Join(r.Services, " and ") + " on " + r.Side.Upper()
	case r.Op == ops.OpCanary:
		return words + " on " + r.Side.Upper()
	}
	return words + " " + r.Side.Upper()
}

// entries writes the findings, and notes where the one under the cursor stands.
func (f *findingsView) entries(p *style.Page) {
	f.from, f.to = 0, 0
	if len(f.list) == 0 {
		text := style.OkMark + " nothing found"
		if f.blind() {
			text = "? not everything can be looked at"
		}
		p.Put(style.Soft, text).End()
	}
	for i := range f.list {
		here := i == f.cursor.Cursor
		if here {
			f.from = p.Len()
		}
		f.entry(p, &f.list[i], here)
		if here {
			f.to = p.Len()
		}
	}
}

// entry writes a finding.
func (f *findingsView) entry(p *style.Page, n *ops.Finding, here bool) {
	mark, ink, _ := severity(n.Severity)
	cursor := " "
	if here {
		cursor = style.Cursor
	}
	p.Put(style.Focus, cursor).Space(1).Put(ink, mark).Space(1).Cell(sideInk(n.Side), n.Side.Upper(), 7)
	p.Wrap(style.Strong, n.Title, 3)
	if n.Detail != "" {
		p.To(4).Cell(style.Muted, "why", 7).Wrap(style.Text, n.Detail, 8)
	}
	if n.Hint != "" {
		p.To(4).Cell(style.Muted, "do", 7).Wrap(style.Soft, n.Hint, 8)
	}
	if n.Do != nil && here {
		p.To(4).Cell(style.Key, "enter", 7).Put(style.Text, proposal(n.Do))
		if why := mayOperate(f.env); why != "" {
			p.Space(1).Put(style.Muted, "not now: "+why)
		} else {
			p.Space(1).Put(style.Muted, "shows the plan; nothing is changed yet")
		}
		p.End()
	}
	if len(n.Logs) == 1 && here {
		p.To(4).Cell(style.Key, "l", 7).Put(style.Text, "the log of "+n.Logs[0]).End()
	}
	p.End()
}
