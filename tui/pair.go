package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// pair is the pair screen: two cards with the services aligned across the sides, the
// findings, the timeline. Services stay in start order, whatever their state.
type pair struct {
	*env
	rows   []int // indexes into snap.Services: those that pass the filter
	window widget.Window
	filter widget.Input
	typing bool
	lost   int // marks dropped since the filter was opened
	marks  map[ops.Side]map[string]bool
	edits  uint64 // grows with the marks and the filter
	seen   uint64 // version that rows were made from

	cards [2]pane[cardKey]
	strip pane[stripKey]
	plan  layout
}

func newPair(e *env) *pair {
	p := &pair{env: e, marks: map[ops.Side]map[string]bool{ops.Blue: {}, ops.Green: {}}}
	p.refresh()
	return p
}

// pane keeps lines until its key changes or an age in them would read differently.
type pane[K comparable] struct {
	key   K
	until time.Time
	lines []string
}

// draw returns the kept lines, or has them written anew. write returns when they are
// out of date by themselves; zero: never.
func (p *pane[K]) draw(key K, now time.Time, write func() ([]string, time.Time)) []string {
	if p.lines == nil || p.key != key || !p.until.IsZero() && !now.Before(p.until) {
		p.lines, p.until = write()
		p.key = key
	}
	return p.lines
}

// refresh reads the services anew and keeps the cursor on the service it was on.
func (p *pair) refresh() {
	p.seen = p.version
	p.rows = p.rows[:0]
	text := strings.ToLower(strings.TrimSpace(p.filter.Text()))
	at := -1
	for i := range p.snap.Services {
		name := p.snap.Services[i].Name
		if text != "" && !strings.Contains(strings.ToLower(name), text) {
			continue
		}
		if name == p.service {
			at = len(p.rows)
		}
		p.rows = append(p.rows, i)
	}
	if at >= 0 {
		p.window.Cursor = at
	}
	p.choose(p.window.Cursor)
}

// choose puts the cursor on a row.
func (p *pair) choose(row int) {
	p.window.Set(row, len(p.rows))
	p.service = ""
	if len(p.rows) > 0 {
		p.service = p.snap.Services[p.rows[p.window.Cursor]].Name
	}
}

func (p *pair) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case changedMsg:
		p.refresh()
	case tea.PasteMsg:
		if p.typing {
			p.filter.Paste(msg.Content)
			p.filtered()
		}
	case tea.MouseClickMsg:
		p.click(msg)
	case pressed:
		if p.typing {
			p.typed(msg)
			return p, nil
		}
		return p, p.pressed(msg)
	}
	return p, nil
}

func (p *pair) pressed(key pressed) tea.Cmd {
	switch key.Action {
	case actSide:
		p.side = p.side.Peer()
	case actUp:
		p.choose(p.window.Cursor - 1)
	case actDown:
		p.choose(p.window.Cursor + 1)
	case actPageUp:
		p.choose(p.window.Cursor - max(p.plan.rows, 1))
	case actPageDown:
		p.choose(p.window.Cursor + max(p.plan.rows, 1))
	case actTop:
		p.choose(0)
	case actBottom:
		p.choose(len(p.rows) - 1)
	case actMark:
		return p.mark()
	case actRestart:
		return p.restart()
	case actFilter:
		p.typing, p.lost = true, 0
		p.edits++
	case actBack:
		if p.filter.Text() != "" {
			p.filter.SetText("")
			p.filtered()
		} else if marks := p.marks[p.side]; len(marks) > 0 {
			clear(marks)
			p.edits++
		}
	}
	return nil
}

// mark marks the selected service of this side for a restart of several, or takes the
// mark away, and goes one line down.
func (p *pair) mark() tea.Cmd {
	state := p.snap.On(p.side).Service(p.service)
	if state == nil || !state.Here {
		return p.say(style.Warn, p.service+" is not on "+p.side.Upper())
	}
	marks := p.marks[p.side]
	if marks[p.service] {
		delete(marks, p.service)
	} else {
		marks[p.service] = true
	}
	p.edits++
	p.choose(p.window.Cursor + 1)
	return nil
}

// restart asks for the marked services in start order, or for all of the side.
func (p *pair) restart() tea.Cmd {
	request := ops.Request{Op: ops.OpRestart, Side: p.side}
	for i := range p.snap.Services {
		if name := p.snap.Services[i].Name; p.marks[p.side][name] {
			request.Services = append(request.Services, name)
		}
	}
	return p.ask(request)
}

// typed takes a key of the filter.
func (p *pair) typed(key pressed) {
	switch key.Action {
	case actAccept:
		p.typing = false
		p.edits++
	case actBack:
		p.typing = false
		p.filter.SetText("")
		p.filtered()
	case actUp:
		p.choose(p.window.Cursor - 1)
	case actDown:
		p.choose(p.window.Cursor + 1)
	default:
		if p.filter.Key(key.Key) {
			p.filtered()
		}
	}
}

// filtered applies the filter. Marks on services that it hides are dropped, and that is
// said: nothing that cannot be seen is acted upon.
func (p *pair) filtered() {
	p.edits++
	p.refresh()
	shown := map[string]bool{}
	for _, i := range p.rows {
		shown[p.snap.Services[i].Name] = true
	}
	if p.filter.Text() == "" {
		p.lost = 0
	}
	for _, marks := range p.marks {
		for name := range marks {
			if !shown[name] {
				delete(marks, name)
				p.lost++
			}
		}
	}
}

// click selects a side and, on a row, the service.
func (p *pair) click(msg tea.MouseClickMsg) {
	if !p.plan.single {
		p.side = ops.Blue
		if msg.X >= p.plan.left {
			p.side = ops.Green
		}
	}
	// The title bar is above this screen.
	if row := msg.Y - 1 - p.plan.rowsAt; row >= 0 && row < p.plan.rows && p.window.Top+row < len(p.rows) {
		p.choose(p.window.Top + row)
	}
}

func (p *pair) Scope() Scope {
	if p.typing {
		return inFilter
	}
	return inPair
}

func (*pair) Modal() bool { return false }

func (p *pair) View(area Size) []string {
	p.plan = p.layout(area)
	l := &p.plan
	from, to := p.window.Show(l.rows, len(p.rows))
	lines := make([]string, 0, area.H)
	blank := func(n int) {
		for range n {
			lines = append(lines, p.sheet.Page(area.W).Fit(1)...)
		}
	}
	blank(l.air)
	key := cardKey{version: p.version, looks: p.looks, edits: p.edits, layout: *l, from: from, to: to, cursor: p.window.Cursor, filter: p.filter.Text(), focus: p.side}
	now := p.now()
	if l.single {
		key.side = p.side
		lines = append(lines, p.cards[0].draw(key, now, func() ([]string, time.Time) { return p.card(p.side, area.W, from, to) })...)
	} else {
		widths := [2]int{l.left, area.W - l.left}
		var halves [2][]string
		for i, side := range ops.Sides {
			key.side = side
			halves[i] = p.cards[i].draw(key, now, func() ([]string, time.Time) { return p.card(side, widths[i], from, to) })
		}
		for i := range halves[0] {
			lines = append(lines, halves[0][i]+halves[1][i])
		}
	}
	rest := area.H - len(lines)
	lines = append(lines, p.strip.draw(stripKey{p.version, p.looks, *l, area.W}, now, func() ([]string, time.Time) {
		return p.below(area.W, rest), time.Time{}
	})...)
	return lines
}

// layout is how the height is given away.
type layout struct {
	width, height int
	single        bool // one side at a time
	left          int  // width of the left card
	air           int  // blank lines above the cards
	gap           int  // blank lines inside the cards, between their parts
	head          int  // header lines
	rows          int  // service lines
	rowsAt        int  // first service line, from the top of the screen
	fill          int  // blank lines below the service lines
	jobs, nets    bool
	others        bool
	findings      int // lines of the findings strip
	moments       int // lines of the timeline
	space         int // blank lines above the strip and above the timeline
}

// layout gives the height away: first what must be seen, then what is good to see, then
// air, then more of the timeline.
func (p *pair) layout(area Size) layout {
	l := layout{width: area.W, height: area.H, single: area.W < bothWidth, left: area.W / 2, head: 3}
	for _, side := range ops.Sides {
		s := p.snap.On(side)
		l.jobs = l.jobs || len(s.Jobs) > 0
		l.nets = l.nets || len(s.Networks) > 0
		l.others = l.others || len(s.Others) > 0
	}
	left := area.H - 2 - l.head - 1 // edges, header, head of the table
	take := func(want int) int {
		n := max(0, min(want, left))
		left -= n
		return n
	}
	if left < 20 {
		l.nets, l.others = false, false
	}
	if left < 8 {
		l.jobs = false
	}
	for _, line := range []bool{l.jobs, l.nets, l.others} {
		if line {
			take(1)
		}
	}
	wantRows, found := max(len(p.rows), 1), max(min(len(p.snap.Findings), 4), 1)
	if left > 6 {
		l.findings, l.moments = take(min(found, 2)), take(min(len(p.recent), 1))
	} else if left > 3 {
		l.findings = take(1)
	}
	l.rows = take(wantRows)
	l.findings += take(found - l.findings)
	moments := take(min(len(p.recent), 3) - l.moments)
	l.moments += moments
	if left >= 2 && l.findings > 0 {
		l.space = 1
		take(1)
		if l.moments > 0 {
			take(1)
		}
	}
	l.air = take(1)
	if left >= 3 {
		l.gap = 1
		take(2)
		if l.jobs || l.nets || l.others {
			take(1)
		}
	}
	l.moments += take(min(len(p.recent)-l.moments, left/2))
	l.fill = left
	l.rowsAt = l.air + 1 + l.head + l.gap + 1
	return l
}
