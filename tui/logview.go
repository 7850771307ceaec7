package tui

import (
	"strconv"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// besideWidth is from where on the logs of both sides can stand side by side.
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
	lines := pane.shown(v.only)
	var body []string
	switch {
	case len(pane.list.lines) == 0:
		body = v.empty(v.sheet.Page(width-4), pane).Fit(v.height)
	case len(lines) == 0:
		body = v.noneFound(v.sheet.Page(width - 4)).Fit(v.height)
	default:
		body = v.text(width-4, pane, lines)
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
		v.putSpan(p)
	}, v.remark(pane, lines), body)
}

// remark is what there is to be said of the streams and of the place in the log.
func (v *logView) remark(p *logPane, lines []*logEntry) string {
	for i, s := range v.states(p) {
		of := ""
		if len(p.sides) > 1 {
			of = p.sides[i].Upper() + " "
		}
		switch {
		case len(p.list.lines) == 0 || !s.ended:
		case s.err != nil:
			return of + "broken off, reading again …"
		default:
			return of + "ended, reading again …"
		}
	}
	if p.follow || len(lines) == 0 {
		return ""
	}
	return "line " + count(p.at(lines)+1, len(lines))
}

// noneFound says that no line has what is searched for, or that it is not known yet.
func (v *logView) noneFound(p *style.Page) *style.Page {
	p.Blank(1)
	if v.scanning {
		return p.Put(style.Soft, "searching "+style.Ellipsis).End()
	}
	return p.Put(style.Soft, "no line has ").Put(style.Strong, v.input.Text()).End()
}

// empty says why there is nothing to be read.
func (v *logView) empty(p *style.Page, pane *logPane) *style.Page {
	p.Blank(1)
	for i, s := range v.states(pane) {
		if side := pane.sides[i]; len(pane.sides) > 1 {
			p.Put(sideInk(side), side.Upper()).Space(1)
		}
		switch {
		case s.opening:
			p.Put(style.Soft, "opening "+style.Ellipsis).End()
		case s.err != nil:
			putError(p, s.err)
			p.Put(style.Muted, "trying again every "+strconv.Itoa(int(logPause.Seconds()))+" s").End()
		case s.over:
			p.Put(style.Soft, "no lines in this time").End()
		case s.ended:
			p.Put(style.Soft, "the log is empty and its containers have ended").End()
		default:
			p.Put(style.Soft, "no lines yet").End()
		}
	}
	return p
}

// text returns the lines in sight: from the top, or so that the last one is at the end.
func (v *logView) text(width int, pane *logPane, lines []*logEntry) []string {
	n := len(lines)
	shape := v.shape(width, pane)
	if !pane.follow {
		p := v.sheet.Page(width)
		for i := pane.at(lines); i < n && p.Len() < v.height; i++ {
			v.line(p, shape, lines[i])
		}
		if p.Len() >= v.height {
			return p.Lines()[:v.height]
		}
	}
	p := v.sheet.Page(width)
	from := n
	for rows := 0; from > 0 && rows < v.height; {
		from--
		rows += v.rows(p, shape, lines[from])
	}
	for i := from; i < n; i++ {
		v.line(p, shape, lines[i])
	}
	p.Blank(max(v.height-p.Len(), 0))
	return p.Lines()[p.Len()-v.height:]
}

// logShape is what stands before the text of the lines of a column.
type logShape struct {
	time   string // its layout; empty: none
	stamp  int    // its cells
	sides  bool
	names  bool
	begin  int       // where the text begins
	marked *logEntry // the line found last
}

// Cells of the parts before the text.
const (
	sideCells      = 6
	containerCells = 16
)

func (v *logView) shape(width int, pane *logPane) logShape {
	s := logShape{begin: 2, sides: len(pane.sides) > 1, names: v.several(pane), marked: pane.found}
	if width > 50 && v.times != noTimes {
		s.time = "15:04:05"
		if v.times == timesWithDate {
			s.time = "2006-01-02 15:04:05"
		}
		if v.utc {
			s.time += "Z"
		}
		s.stamp = len(s.time) + 1
		s.begin += s.stamp
	}
	if s.sides {
		s.begin += sideCells
	}
	if s.names {
		s.begin += containerCells
	}
	return s
}

// rows is how many rows a line takes.
func (v *logView) rows(p *style.Page, s logShape, l *logEntry) int {
	if !v.wrap {
		return 1
	}
	return len(style.Rows(p.Tame(l.Text, logMost), p.Width()-s.begin))
}

// line writes a line: its time, where it is from, whether it came by stderr, its text.
func (v *logView) line(p *style.Page, s logShape, l *logEntry) {
	found := l == s.marked
	if found {
		p.On(style.Selected)
	}
	if s.stamp > 0 && !l.At.IsZero() {
		p.Put(style.Muted, v.local(l.At).Format(s.time))
	}
	p.To(s.stamp)
	if side := ops.Sides[l.side]; s.sides {
		p.Cell(sideInk(side), side.Upper(), sideCells)
	}
	if s.names {
		p.Cell(style.Soft, l.Container, containerCells-1).Space(1)
	}
	if l.Stderr {
		p.Put(style.Warn, "!")
	}
	p.To(s.begin)
	text := p.Tame(l.Text, logMost)
	var marks [][]int
	if v.search != nil {
		marks = v.search.pattern.FindAllStringIndex(text, -1)
	}
	if !v.wrap {
		v.piece(p, text, len(style.Head(text, v.left)), len(text), marks)
		p.End()
		return
	}
	at := 0
	for i, row := range style.Rows(text, p.Width()-s.begin) {
		if i > 0 {
			if found {
				p.On(style.Selected)
			}
			p.To(s.begin)
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

// status is the line below the columns: whether they move, what is searched for, and how.
func (v *logView) status(width int) string {
	p := v.sheet.Page(width).Space(1)
	pane := v.pane()
	if v.typing {
		v.putFound(p.Put(style.Key, "/").Limit(width-20), pane, true)
		return p.End().Lines()[0]
	}
	v.putPlace(p, pane)
	if v.search != nil {
		v.putFound(p.Space(3).Put(style.Muted, "search").Space(1), pane, false)
		p.Space(2).Put(style.Key, "n N").Space(1).Put(style.Muted, "next, previous").Space(2).Put(style.Key, "esc").Space(1).Put(style.Muted, "clears")
	}
	if v.wrap {
		p.Space(3).Put(style.Soft, "wrapped")
	}
	if v.left > 0 {
		p.Space(3).Put(style.Soft, "from column "+strconv.Itoa(v.left+1))
	}
	if p.Left() > 12 {
		p.Right(style.Muted, "! stderr ")
	}
	return p.End().Lines()[0]
}

// putPlace says whether the column follows, what has come where it does not, and where older
// lines are once there is no way further up.
func (v *logView) putPlace(p *style.Page, pane *logPane) {
	lines, over := pane.shown(v.only), true
	for _, s := range v.states(pane) {
		over = over && s.over
	}
	switch {
	case pane.follow && over:
		p.Put(style.Soft, "the end of this time")
	case pane.follow:
		p.Put(style.Focus, "following")
	default:
		p.Put(style.Warn, "paused")
		if n := pane.news(lines); n > 0 {
			p.Space(1).Put(style.Strong, "+"+strconv.Itoa(n)+" new")
		}
		p.Space(2).Put(style.Key, "f").Space(1).Put(style.Muted, "follows")
	}
	if pane.follow || len(lines) == 0 || pane.at(lines) > 0 {
		return
	}
	switch {
	case v.dropped(pane):
		p.Space(3).Put(style.Soft, "older lines were dropped").Space(2).Put(style.Key, "s u").Space(1).Put(style.Muted, "read another time")
	case v.span.All:
		p.Space(3).Put(style.Soft, "the log begins here")
	default:
		p.Space(3).Put(style.Soft, "older lines:").Space(1).Put(style.Key, "s").Space(1).Put(style.Muted, "since …")
	}
}

// dropped tells whether lines of a column had to go to make room.
func (v *logView) dropped(p *logPane) bool {
	for i, side := range ops.Sides {
		if v.sides[i].first > 1 && (len(p.sides) > 1 || p.sides[0] == side) {
			return true
		}
	}
	return false
}

// putFound writes what is searched for and how many lines have it.
func (v *logView) putFound(p *style.Page, pane *logPane, typing bool) {
	if typing {
		v.input.Put(p, style.Strong)
	} else {
		p.Put(style.Strong, v.input.Text())
	}
	p.Free().Space(2)
	switch n := len(pane.list.hits); {
	case v.search == nil:
	case v.scanning:
		p.Put(style.Soft, "searching "+style.Ellipsis)
	case n == 0:
		p.Put(style.Warn, "not found")
	case pane.rank() > 0:
		p.Put(style.Soft, count(pane.rank(), n))
	default:
		p.Put(style.Soft, some(n, "line"))
	}
	if v.only {
		p.Space(2).Put(style.Warn, "only these")
	}
}
