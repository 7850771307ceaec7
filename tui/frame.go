package tui

import (
	"strings"

	"tandem/ops"
	"tandem/tui/style"
)

// The smallest terminal that shows a pair at all, and the one from which both sides fit.
const (
	leastWidth, leastHeight = 40, 10
	bothWidth               = 80
)

// tiny tells whether an area is too small to read anything but who serves.
func (s Size) tiny() bool { return s.W < leastWidth || s.H < leastHeight }

// draw makes the frame: title bar, top screen with what floats over it, message line,
// key bar.
func (a *App) draw() string {
	w, h := a.size.W, a.size.H
	if w <= 0 || h <= 0 {
		return ""
	}
	if a.size.tiny() {
		return join(a.tooSmall(w, h))
	}
	area := Size{w, h - 3}
	base := len(a.stack) - 1
	for a.stack[base].Modal() {
		base--
	}
	lines := make([]string, 0, h)
	lines = append(lines, a.title(w))
	lines = append(lines, a.stack[base].View(area)...)
	lines = append(lines, a.message(w))
	lines = append(lines, a.keyBar(w))
	for _, s := range a.stack[base+1:] {
		room := Size{w - 4, h - 2}
		lines = a.sheet.Float(lines, s.View(room), w)
	}
	if base < len(a.stack)-1 { // the keys and what is said are of what floats: they do not recede
		lines[h-1] = a.keyBar(w)
		if a.said.text != "" {
			lines[h-2] = a.message(w)
		}
	}
	return join(lines)
}

func join(lines []string) string { return strings.Join(lines, "\n") }

// tooSmall says the one thing that matters most, and what is needed to see more.
func (a *App) tooSmall(w, h int) []string {
	p := a.sheet.Page(w)
	p.Put(style.Strong, a.snap.Pair.Name).End()
	for _, side := range ops.Sides {
		p.Put(sideInk(side), side.Upper()).Space(1)
		putTraffic(p, a.traffic(side)).End()
	}
	p.Put(style.Muted, "needs 40x10").End()
	return p.Fit(h)
}

// bars keeps the key bar as long as it stays the same.
type bars struct {
	key   barKey
	lines [1]string
}

type barKey struct {
	scope    Scope
	width    int
	version  uint64
	looks    uint64
	side     ops.Side
	service  bool
	readOnly bool
	back     bool
}

// keyBar lists the keys of the top screen. Keys that do not work now recede.
func (a *App) keyBar(w int) string {
	scope := a.top().Scope()
	key := barKey{scope, w, a.version, a.looks, a.side, a.service != "", a.backend.ReadOnly(), len(a.stack) > 1}
	if a.bars.key == key {
		return a.bars.lines[0]
	}
	p := a.sheet.Page(w).Space(1)
	list := barBindings(&a.env, scope)
	// The last one, help, is always there: whoever cannot see a key must find the list.
	keep := 0
	if n := len(list); n > 0 && list[n-1].Action == actHelp {
		keep = len(list[n-1].Show) + len(list[n-1].Words) + 3
	}
	for i, b := range list {
		need := p.Measure(b.Show) + 1 + p.Measure(b.Words) + 2
		if i < len(list)-1 && p.At()+need+keep > w {
			continue
		}
		if b.reason(&a.env) != "" {
			p.Put(style.Line, b.Show).Space(1).Put(style.Line, b.Words).Space(2)
			continue
		}
		p.Put(style.Key, b.Show).Space(1).Put(style.Muted, b.Words).Space(2)
	}
	a.bars = bars{key: key, lines: [1]string{p.End().Lines()[0]}}
	return a.bars.lines[0]
}

// barBindings are the bindings of a scope that the key bar shows. Of several on one key
// it is the one that works now. What only a run under way has is left out where none is.
func barBindings(e *env, scope Scope) []*Binding {
	var list []*Binding
	for i := range e.keys {
		b := &e.keys[i]
		if !b.Bar && !(b.Action == actBack && scope != inPair && scope != inReplay) || b.Words == "" || b.Show == "" || !b.In(scope) {
			continue
		}
		if chosen, why := find(e, scope, b.Keys[0]); chosen == b && why != noRun {
			list = append(list, b)
		}
	}
	return list
}

// message is the line above the key bar: the last thing said, else what is under way; and
// in presenter mode the keys typed.
func (a *App) message(w int) string {
	p := a.sheet.Page(w).Space(1)
	echo := ""
	if a.present && a.echo != "" {
		echo = a.echo + " "
		p.Limit(w - p.Measure(echo) - 2)
	}
	if a.said.text != "" {
		p.Put(a.said.ink, a.said.text)
	} else if a.top().Scope() == inPair {
		a.putUnderWay(p)
	} else if a.watch && a.top().Scope() == inRun && a.run != nil {
		a.putWatched(p)
	}
	p.Limit(w - 1)
	if echo != "" {
		p.Right(style.FocusChip, echo)
	}
	return p.End().Lines()[0]
}

// putWatched says what becomes of the run that is only watched.
func (a *App) putWatched(p *style.Page) {
	if a.run.Live() {
		p.Put(style.Soft, "watching only: "+a.run.By+" carries it out")
		return
	}
	p.Put(style.Focus, "the run has ended").Put(style.Soft, ", and stays here to be read; ctrl+c leaves")
}

// title is the first line: the pair, who serves, what is under way, the mode, the time.
func (a *App) title(w int) string {
	p := a.sheet.Page(w).Space(1)
	now := a.now()
	clock := a.clock(now)
	mode, modeInk := "read-write", style.Muted
	if a.backend.ReadOnly() {
		mode, modeInk = " READ-ONLY ", style.WarnChip
	}
	if a.replay != nil {
		mode, modeInk = " REPLAY ", style.FocusChip
	}
	right := style.Width(mode) + 3 + style.Width(clock) + 1
	badge := ""
	if a.present {
		badge = " PRESENTING "
		right += style.Width(badge) + 2
	}
	p.Limit(w - right - 2)
	p.Put(style.Key, "tandem").Space(2).Put(style.Strong, a.snap.Pair.Name).Space(3)
	a.putServing(p)
	p.Limit(w).To(w - right)
	if badge != "" {
		p.Put(style.WarnChip, badge).Space(2)
	}
	p.Put(modeInk, mode).Space(3).Put(style.Soft, clock)
	return p.End().Lines()[0]
}

// putServing writes the balancer and how many sides serve. What is not fresh is not
// counted as known.
func (a *App) putServing(p *style.Page) {
	b := &a.snap.Balancer
	if b.Name != "" {
		p.Put(style.Muted, b.Name).Space(1)
	} else {
		p.Put(style.Muted, a.snap.Pair.Balancer).Space(1)
	}
	serving, known := 0, true
	for _, side := range ops.Sides {
		t := a.traffic(side)
		if t.unknown() {
			known = false
		}
		if t.word == ops.InService {
			serving++
		}
	}
	switch {
	case a.replay != nil && !known: // nobody looks
	case b.Look.At.IsZero() && b.Look.Err == nil:
		p.Put(style.Soft, "asking who is in service …")
	case !known:
		p.Put(style.DangerStrong, "? of 2 in service")
	case serving == 2:
		p.Put(style.Soft, "2 of 2 in service")
	case serving == 1:
		p.Put(style.WarnStrong, "1 of 2 in service")
	default:
		p.Put(style.DangerChip, " 0 of 2 in service ")
	}
}

// putUnderWay names the run or the lock that holds the pair.
func (a *App) putUnderWay(p *style.Page) {
	if r := a.run; r != nil && r.Live() {
		over, of := r.Counts()
		if r.Paused {
			_, chip, title := pauseWords(r)
			p.Put(chip, " "+style.PauseMark+" "+title+" ").Space(1)
		} else {
			p.Put(style.Focus, style.NowMark+" ")
		}
		const view = "view run"
		limit := p.At() + p.Left()
		p.Limit(limit-len(view)-5).Put(style.Strong, r.Plan.Title).Space(2)
		if r.Paused && r.PauseText != "" {
			p.Put(style.Text, r.PauseText)
		} else {
			p.Put(style.Soft, count(over, of)+" steps done")
		}
		p.Limit(limit).Space(3).Put(style.Key, "v").Space(1).Put(style.Muted, view)
		return
	}
	for _, side := range ops.Sides {
		lock := a.snap.On(side).Lock
		if lock == nil {
			continue
		}
		what := string(lock.Op)
		if lock.Side != "" {
			what += " " + lock.Side.Upper()
		}
		if lock.Stopped {
			p.Put(style.WarnStrong, what+" stopped half-way").Put(style.Soft, ": tandem resume or rollback "+lock.Run)
			return
		}
		p.Put(style.WarnStrong, what+" is under way").Put(style.Soft, ", started by "+lock.By+" at "+lock.From+", run "+lock.Run)
		return
	}
}
