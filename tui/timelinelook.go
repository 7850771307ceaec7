package tui

import (
	"strconv"
	"strings"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// View draws the timeline: the kinds to choose from, the lines, and all there is to know of the
// one under the cursor.
func (v *timelineView) View(area Size) []string {
	v.refresh()
	p := v.sheet.Page(area.W - 4)
	room := max(area.H-3, 0) // edges and status
	about := 4
	switch {
	case room < 8:
		about = 0
	case room >= 24:
		about = 5
	}
	if about > 0 {
		v.choices(p)
		if room-about > 13 || p.Width() > 100 {
			p.End()
		}
	}
	v.page = max(room-p.Len()-about, 1)
	if len(v.lines) == 0 {
		v.empty(p)
	} else {
		from, to := v.window.Show(v.page, len(v.lines))
		for i := from; i < to; i++ {
			v.line(p, &v.lines[i], i == v.window.Cursor, i == from || v.day(i) != v.day(i-1))
		}
		p.Blank(v.page - (to - from))
		if about > 0 {
			p.Fill(style.Line, style.BarEmpty, p.Width()).End()
			v.about(p, &v.lines[v.window.Cursor], about-2)
		}
	}
	box := widget.Box(v.sheet, area.W, style.Line, v.title, v.remark(), p.Fit(room))
	return append(box, v.status(area.W))
}

func (v *timelineView) title(p *style.Page) {
	p.Put(style.Strong, "timeline").Space(1)
	if v.side != "" {
		p.Space(1).Put(sideChip(v.side), " "+v.side.Upper()+" ")
	} else {
		p.Put(style.Muted, "both sides")
	}
}

func (v *timelineView) remark() string {
	if len(v.lines) == 0 || !v.paused {
		return ""
	}
	return "line " + count(v.window.Cursor+1, len(v.lines))
}

// choices are the kinds, with their keys; those that are shown stand out where some are not.
func (v *timelineView) choices(p *style.Page) {
	for i, k := range ops.MomentKinds {
		ink := style.Soft
		switch {
		case v.kinds[k]:
			ink = style.FocusChip
		case len(v.kinds) > 0:
			ink = style.Muted
		}
		p.Put(style.Key, strconv.Itoa(i+1)).Put(ink, " "+string(k)+" ").Space(1)
	}
	p.End()
}

// empty says why there is nothing.
func (v *timelineView) empty(p *style.Page) {
	p.Blank(1)
	if len(v.timeline) > 0 {
		p.Put(style.Soft, "nothing of this has happened, of "+some(len(v.timeline), "moment")+" on record").End()
		p.Put(style.Key, "esc").Space(1).Put(style.Muted, "shows all").End()
		return
	}
	p.Put(style.Soft, "nothing has happened yet").End().Blank(1)
	p.Wrap(style.Muted, "Containers and engines, traffic, packages, runs, findings that come and clear, and your notes are kept here, over restarts of the console. A machine knows what its consoles have seen.", 4)
	p.Put(style.Key, "n").Space(1).Put(style.Muted, "writes a note").End()
}

// Cells of the columns.
const (
	whoseCells = 6
	kindCells  = 9
)

// day is the date of a line.
func (v *timelineView) day(i int) string { return v.local(v.lines[i].At).Format("02 Jan") }

// line writes a moment, with its date where that is another one than above.
func (v *timelineView) line(p *style.Page, m *ops.MomentGroup, here, dated bool) {
	cursor := " "
	if here {
		p.On(style.Selected)
		cursor = style.Cursor
	}
	stamp := v.local(m.At).Format(v.stamp)
	if day, clock, ok := strings.Cut(stamp, "  "); ok && !dated {
		stamp = strings.Repeat(" ", len(day)+2) + clock
	}
	p.Put(style.Focus, cursor).Space(1).Put(style.Muted, stamp).Space(2)
	whose := "PAIR"
	if m.Side != "" {
		whose = m.Side.Upper()
	}
	p.Cell(sideInk(m.Side), whose, whoseCells)
	if p.Left() > 44 {
		p.Cell(style.Muted, string(m.Kind), kindCells)
	}
	mark, ink, text := momentInks(&m.Moment)
	p.Cell(ink, mark, 2)
	if m.Who != "" && m.Kind == ops.MomentNote {
		p.Put(style.Soft, m.Who+": ")
	}
	v.putMarked(p, text, m.Text)
	p.End()
}

// momentInks are the mark of a moment, its ink, and the ink of the text.
func momentInks(m *ops.Moment) (mark string, ink, text style.Ink) {
	switch f := m.Finding; {
	case f != nil && f.Cleared:
		return style.OkMark, style.Ok, style.Soft
	case f != nil:
		return severity(f.Severity)
	case m.Kind == ops.MomentNote:
		return style.NowMark, style.Focus, style.Text
	case m.Kind == ops.MomentRun:
		return " ", style.Soft, style.Text
	}
	return " ", style.Soft, style.Soft
}

// putMarked writes a text with what is filtered for marked.
func (v *timelineView) putMarked(p *style.Page, ink style.Ink, text string) {
	text = p.Tame(text, logMost)
	at := 0
	if n := newNeedle(v.input.Text()); n != nil {
		for _, m := range n.pattern.FindAllStringIndex(text, -1) {
			p.Put(ink, text[at:m[0]]).Put(style.WarnChip, text[m[0]:m[1]])
			at = m[1]
		}
	}
	p.Put(ink, text[at:])
}

// about says all of the moment under the cursor, in lines of text besides its head.
func (v *timelineView) about(p *style.Page, m *ops.MomentGroup, lines int) {
	stamp := "Mon 2 Jan 2006 15:04:05"
	if v.utc {
		stamp += "Z"
	}
	p.Space(2).Put(style.Soft, v.local(m.At).Format(stamp)).Space(2).Put(sideInk(m.Side), m.Side.Upper()).Space(2).Put(style.Muted, string(m.Kind))
	if m.Who != "" {
		p.Space(2).Put(style.Muted, "by").Space(1).Put(style.Soft, m.Who)
	}
	if m.Run != "" {
		p.Space(2).Put(style.Muted, "run").Space(1).Put(style.Soft, m.Run)
	}
	if !v.typing {
		v.hints(p, m)
	}
	p.End()
	text := m.Text
	if m.Names != nil {
		text += ": " + strings.Join(m.Names, ", ")
	}
	if m.Finding != nil && m.Finding.Was != "" {
		text += " (was: " + m.Finding.Was + ")"
	}
	p.Space(2).Wrap(style.Text, text, lines)
}

// hints are the keys that lead on from the moment under the cursor.
func (v *timelineView) hints(p *style.Page, m *ops.MomentGroup) {
	hint := func(key, words string) { p.Space(3).Put(style.Key, key).Space(1).Put(style.Muted, words) }
	_, name := v.on()
	if name != "" {
		hint(v.keyOf(actItsLog), "its log")
	}
	switch {
	case m.Finding != nil:
		hint("enter", "findings")
	case m.Run != "" && v.run != nil && v.run.ID == m.Run:
		hint("enter", "the run")
	case name != "" && v.snap.On(m.Side).Service(name) != nil:
		hint("enter", "details")
	}
}

// status is the line below the box: whether it moves, and what is asked for.
func (v *timelineView) status(width int) string {
	p := v.sheet.Page(width).Space(1)
	if v.typing {
		p.Put(style.Key, "/").Limit(width - 20)
		v.input.Put(p, style.Strong)
		p.Free().Space(2)
		v.putFound(p)
		return p.End().Lines()[0]
	}
	if v.paused {
		p.Put(style.Warn, "paused")
		if n := len(v.found) - v.seenN; n > 0 {
			p.Space(1).Put(style.Strong, "+"+strconv.Itoa(n)+" new")
		}
		p.Space(2).Put(style.Key, "f").Space(1).Put(style.Muted, "follows")
	} else {
		p.Put(style.Focus, "following")
	}
	if text := v.input.Text(); text != "" {
		p.Space(3).Put(style.Muted, "with").Space(1).Put(style.Strong, text)
	}
	if v.input.Text() != "" || v.side != "" || len(v.kinds) > 0 {
		v.putFound(p.Space(3))
		p.Space(2).Put(style.Key, "esc").Space(1).Put(style.Muted, "shows all")
	}
	return p.End().Lines()[0]
}

func (v *timelineView) putFound(p *style.Page) {
	if len(v.found) == 0 {
		p.Put(style.Warn, "none")
		return
	}
	p.Put(style.Soft, count(len(v.found), len(v.timeline)))
}
