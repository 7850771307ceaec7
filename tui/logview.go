package tui

import (
	"slices"
	"strconv"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// besideWidth is from where on the logs of both sides stand side by side.
const besideWidth = 110

// View draws the logs.
func (v *logView) View(area Size) []string {
	v.size.W = area.W
	v.height = max(area.H-3, 1)
	panes := v.panes()
	var lines []string
	at := 0
	for i, pane := range panes {
		w := area.W / len(panes)
		if i == len(panes)-1 {
			w = area.W - at
		}
		at += w
		pane.update(v.streams)
		box := v.box(pane, w, len(panes) > 1)
		if lines == nil {
			lines = box
			continue
		}
		for i := range lines {
			lines[i] += box[i]
		}
	}
	return append(lines, v.status(area.W))[:area.H]
}

// box draws a column.
func (v *logView) box(pane *logPane, width int, beside bool) []string {
	var body []string
	if len(pane.lines) == 0 {
		body = v.empty(v.sheet.Page(width-4), pane).Fit(v.height)
	} else {
		body = v.text(width-4, pane)
	}
	edge := style.Line
	if beside && pane.sides[0] == v.side {
		edge = style.Focus
	}
	return widget.Box(v.sheet, width, edge, func(p *style.Page) {
		for _, side := range pane.sides {
			p.Put(sideChip(side), " "+side.Upper()+" ").Space(1)
		}
		p.Put(style.Strong, v.name)
	}, pane.remark(), body)
}

// remark is what there is to be said of the streams and of the place in the log.
func (p *logPane) remark() string {
	for i, side := range ops.Sides {
		if !slices.Contains(p.sides, side) {
			continue
		}
		of := ""
		if len(p.sides) > 1 {
			of = side.Upper() + " "
		}
		if s := p.states[i]; len(p.lines) > 0 && s.ended && s.err != nil {
			return of + "broken off, reading again …"
		} else if len(p.lines) > 0 && s.ended {
			return of + "ended, reading again …"
		}
	}
	if p.follow || len(p.lines) == 0 {
		return ""
	}
	return "line " + count(int(p.hold(p.top)-p.first)+1, len(p.lines))
}

// empty says why there is nothing to be read.
func (v *logView) empty(p *style.Page, pane *logPane) *style.Page {
	p.Blank(1)
	for i, side := range ops.Sides {
		if !slices.Contains(pane.sides, side) {
			continue
		}
		if len(pane.sides) > 1 {
			p.Put(sideInk(side), side.Upper()).Space(1)
		}
		switch s := pane.states[i]; {
		case s.opening:
			p.Put(style.Soft, "opening "+style.Ellipsis).End()
		case s.err != nil:
			putError(p, s.err)
			p.Put(style.Muted, "trying again every "+strconv.Itoa(int(logPause.Seconds()))+" s").End()
		case s.ended:
			p.Put(style.Soft, "the log is empty and its containers have ended").End()
		default:
			p.Put(style.Soft, "no lines yet").End()
		}
	}
	return p
}

// text returns the lines in sight: from the top, or so that the last one is at the end.
func (v *logView) text(width int, pane *logPane) []string {
	n := len(pane.lines)
	if !pane.follow {
		p := v.sheet.Page(width)
		for i := int(pane.hold(pane.top) - pane.first); i < n && p.Len() < v.height; i++ {
			v.line(p, pane, i)
		}
		if p.Len() >= v.height {
			return p.Lines()[:v.height]
		}
	}
	p := v.sheet.Page(width)
	from := n
	for rows := 0; from > 0 && rows < v.height; {
		from--
		rows += v.rows(p, pane, from)
	}
	for i := from; i < n; i++ {
		v.line(p, pane, i)
	}
	p.Blank(max(v.height-p.Len(), 0))
	return p.Lines()[p.Len()-v.height:]
}

// prefix is how many cells stand before the text of a line.
func (v *logView) prefix(p *style.Page, pane *logPane) int {
	n := 2
	if p.Width() > 50 {
		n += style.Width(v.clock(v.now())) + 1
	}
	if len(pane.sides) > 1 {
		n += sideCells
	}
	if pane.several {
		n += containerCells
	}
	return n
}

// Cells of the parts of a prefix.
const (
	sideCells      = 6
	containerCells = 16
)

// rows is how many rows a line takes.
func (v *logView) rows(p *style.Page, pane *logPane, i int) int {
	if !v.wrap {
		return 1
	}
	return len(style.Rows(p.Tame(pane.lines[i].Text, logMost), p.Width()-v.prefix(p, pane)))
}

// line writes a line: its time, where it is from, whether it came by stderr, its text.
func (v *logView) line(p *style.Page, pane *logPane, i int) {
	l := pane.lines[i]
	begin := v.prefix(p, pane)
	found := pane.found == pane.first+uint64(i)
	if found {
		p.On(style.Selected)
	}
	if p.Width() > 50 {
		if l.At.IsZero() {
			p.To(style.Width(v.clock(v.now())) + 1)
		} else {
			p.Put(style.Muted, v.clock(l.At)).Space(1)
		}
	}
	if len(pane.sides) > 1 {
		p.Cell(sideInk(l.side), l.side.Upper(), sideCells)
	}
	if pane.several {
		p.Cell(style.Soft, l.Container, containerCells-1).Space(1)
	}
	if l.Stderr {
		p.Put(style.Warn, "!")
	}
	p.To(begin)
	text := p.Tame(l.Text, logMost)
	var marks [][]int
	if v.pattern != nil {
		marks = v.pattern.FindAllStringIndex(text, -1)
	}
	if !v.wrap {
		v.piece(p, text, len(style.Head(text, v.left)), len(text), marks)
		p.End()
		return
	}
	at := 0
	for i, row := range style.Rows(text, p.Width()-begin) {
		if i > 0 {
			if found {
				p.On(style.Selected)
			}
			p.To(begin)
		}
		v.piece(p, text, at, at+len(row), marks)
		p.End()
		at += len(row)
	}
}

// piece writes the bytes from at to end of a line, what is searched for marked.
func (v *logView) piece(p *style.Page, text string, at, end int, marks [][]int) {
	for _, m := range marks {
		from, to := max(m[0], at), min(m[1], end)
		if from >= to {
			continue
		}
		p.Put(style.Text, text[at:from]).Put(style.WarnChip, text[from:to])
		at = to
	}
	p.Put(style.Text, text[at:end])
}

func (v *logView) status(width int) string {
	p := v.sheet.Page(width).Space(1)
	pane := v.pane()
	switch {
	case v.typing:
		p.Put(style.Key, "/")
		v.search.Put(p, style.Strong)
		return p.End().Lines()[0]
	case pane.follow:
		p.Put(style.Focus, "following")
	default:
		p.Put(style.Warn, "standing still").Space(2).Put(style.Key, "f").Space(1).Put(style.Muted, "follows")
	}
	if v.wrap {
		p.Space(3).Put(style.Soft, "wrapped")
	}
	if v.left > 0 {
		p.Space(3).Put(style.Soft, "from column "+strconv.Itoa(v.left+1))
	}
	if v.pattern != nil {
		p.Space(3).Put(style.Muted, "search").Space(1).Put(style.Strong, v.search.Text()).Space(2).
			Put(style.Key, "n N").Space(1).Put(style.Muted, "next, previous").Space(2).Put(style.Key, "esc").Space(1).Put(style.Muted, "clears")
	}
	if p.Left() > 12 {
		p.Right(style.Muted, "! stderr ")
	}
	return p.End().Lines()[0]
}
