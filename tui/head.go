package tui

import (
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"tandem/ops"
	"tandem/tui/style"
)

// header is the upper part of a side's card: the side, how fresh the view is, who serves,
// what is running, how the machine is. The pair screen and the run view share it.
type header struct {
	e      *env
	page   *style.Page
	border lipgloss.Border
	on     ops.Side
	state  *ops.SideState
	peer   *ops.SideState
	at     time.Time
	until  time.Time // when an age on the card will read differently
	old    bool      // what the engine said is not fresh: it recedes
	width  int
	focus  bool
}

func newHeader(e *env, side ops.Side, width int, focus bool) header {
	h := header{
		e: e, page: e.sheet.Page(width), border: e.sheet.Border(), on: side, state: e.snap.On(side), peer: e.snap.On(side.Peer()),
		at: e.now(), width: width, focus: focus,
	}
	h.old = !h.state.Engine.Fresh(h.at, e.stale())
	if !h.old {
		h.soon(h.state.Engine.At.Add(e.stale() + time.Nanosecond))
	}
	if b := e.snap.Balancer.Look; b.Fresh(h.at, e.stale()) {
		h.soon(b.At.Add(e.stale() + time.Nanosecond))
	}
	return h
}

// headerCards are the two sides in brief, as lines of the given width: what the run view
// keeps in sight. until is when they are out of date by themselves; zero: never. Below
// bothWidth the sides stand one above the other.
func headerCards(e *env, width int) (lines []string, until time.Time) {
	var halves [2][]string
	for i, side := range ops.Sides {
		w := width
		if width >= bothWidth {
			w = width / 2
			if side == ops.Green {
				w = width - width/2
			}
		}
		h := newHeader(e, side, w, false)
		h.top()
		h.line()
		h.traffic()
		h.end()
		h.line()
		h.engine()
		h.end()
		h.page.Put(h.edge(), h.border.BottomLeft).Fill(h.edge(), h.border.Bottom, w-1).Put(h.edge(), h.border.BottomRight).End()
		halves[i] = h.page.Lines()
		if until.IsZero() || !h.until.IsZero() && h.until.Before(until) {
			until = h.until
		}
	}
	if width < bothWidth {
		return append(halves[0], halves[1]...), until
	}
	for i := range halves[0] {
		lines = append(lines, halves[0][i]+halves[1][i])
	}
	return lines, until
}

func (h *header) soon(t time.Time) {
	if h.until.IsZero() || t.Before(h.until) {
		h.until = t
	}
}

func (h *header) age(t time.Time) string {
	text, until := age(h.at, t)
	h.soon(until)
	return text
}

func (h *header) edge() style.Ink {
	if h.focus {
		return style.Focus
	}
	return style.Line
}

// line starts a line inside the edges. Those at the sides say nothing of the focus: over a slow
// link every one of them would cost a move of the cursor and two colours.
func (h *header) line() { h.page.Put(style.Line, h.border.Left).Limit(h.width - 2).Space(1) }

func (h *header) end() {
	h.page.Free().To(h.width-1).On(style.Plain).Put(style.Line, h.border.Right).End()
}

// top is the upper edge: the side, its address, how old the view is.
func (h *header) top() {
	p := h.page
	p.Put(h.edge(), h.border.TopLeft+h.border.Top).Put(sideChip(h.on), " "+h.on.Upper()+" ").Limit(h.width - 4)
	ink, remark := h.link()
	p.Space(1).Limit(h.width-6-p.Measure(remark)).Put(style.Soft, h.e.snap.Pair.Addresses[h.on]).Limit(h.width - 2).Space(1)
	if remark != "" {
		p.Fill(h.edge(), h.border.Top, h.width-4-p.Measure(remark)).Space(1).Put(ink, remark).Space(1)
	}
	p.Free().Fill(h.edge(), h.border.Top, h.width-1).Put(h.edge(), h.border.TopRight).End()
}

// link says what is the matter with the view of the host; nothing where it is fresh.
func (h *header) link() (style.Ink, string) {
	look := h.state.Engine
	switch {
	case look.At.IsZero() && h.state.Link == ops.LinkDown, look.At.IsZero() && look.Err != nil:
		return style.DangerStrong, "never seen"
	case look.At.IsZero():
		return style.Soft, "connecting …"
	case h.state.Link == ops.LinkDown:
		return style.DangerStrong, "unreachable, seen " + h.age(look.At) + " ago"
	case look.Err != nil:
		return style.WarnStrong, "no answer, seen " + h.age(look.At) + " ago"
	case h.old:
		return style.WarnStrong, "old: seen " + h.age(look.At) + " ago"
	case h.state.Link == ops.LinkConnecting:
		return style.Warn, "connecting again …"
	}
	return style.Soft, ""
}

// head answers: who serves, what is it running, how is the machine.
func (h *header) head() {
	h.line()
	h.traffic()
	h.end()
	if problem := h.problem(); problem != nil {
		h.line()
		h.page.Put(style.Danger, style.BadMark+" ").Put(style.Text, bare(problem))
		h.end()
		h.line()
		hint := "trying again"
		if problem.Hint != "" {
			hint += "; " + problem.Hint
		}
		h.page.Put(style.Soft, hint)
		h.end()
		return
	}
	h.line()
	h.engine()
	h.end()
	h.line()
	h.machine()
	h.end()
}

// bare is a problem without its side, which stands above it.
func bare(p *ops.Problem) string {
	if p.Err == nil {
		return p.Doing
	}
	return p.Doing + ": " + p.Err.Error()
}

// problem is why the host cannot be looked at; nil where it can.
func (h *header) problem() *ops.Problem {
	if h.state.Engine.Err != nil {
		return h.state.Engine.Err
	}
	if h.state.Engine.At.IsZero() {
		return h.state.Host.Err
	}
	return nil
}

func (h *header) traffic() {
	p, t := h.page, h.e.traffic(h.on)
	ready, of := h.state.Ready()
	readyText, readyInk := strconv.Itoa(ready)+"/"+strconv.Itoa(of)+" ready", style.Soft
	switch {
	case h.state.Engine.At.IsZero():
		readyText = ""
	case h.old:
		readyText, readyInk = "was "+readyText, style.Muted
	case ready < of:
		readyInk = style.WarnStrong
	}
	limit, narrow := h.width-2, h.width < 56
	gap := 3
	if narrow {
		gap, readyText = 2, strings.TrimSuffix(readyText, " ready")
	}
	if h.width >= 24 {
		p.Limit(limit - p.Measure(readyText) - 1)
	}
	putTraffic(p, t)
	if t.unknown() {
		if last := "was " + t.last.Words(); t.last != "" && !h.item(gap, style.Warn, last+" "+h.age(t.at)+" ago") {
			h.item(gap, style.Warn, last)
		}
	} else {
		h.flow(t.side, gap, narrow)
	}
	p.Limit(limit).Space(1).Right(readyInk, readyText)
}

// item writes one of several facts in a line, whole or not at all: half a number is worse
// than none. It tells whether there was room.
func (h *header) item(gap int, ink style.Ink, text string) bool {
	if gap+h.page.Measure(text) > h.page.Left() {
		return false
	}
	h.page.Space(gap).Put(ink, text)
	return true
}

// flow writes share, sessions and how long it has been so.
func (h *header) flow(t *ops.SideTraffic, gap int, narrow bool) {
	if !t.DrainLost.IsZero() {
		h.item(gap, style.DangerStrong, "drain lost "+h.age(t.DrainLost)+" ago")
	}
	if t.Sessions != nil && t.Traffic == ops.Draining {
		h.item(gap, style.Strong, some(*t.Sessions, "session")+" left")
	}
	if t.Share != nil && t.Traffic == ops.InService {
		text := strconv.Itoa(int(*t.Share*100+0.5)) + "%"
		if !narrow {
			text += " of new"
		}
		h.item(gap, style.Soft, text)
	}
	if t.Sessions != nil && t.Traffic != ops.Draining && (t.Traffic != ops.Out || *t.Sessions > 0) {
		h.item(gap, style.Soft, some(*t.Sessions, "session"))
	}
	if !t.Since.IsZero() && t.Traffic != ops.InService {
		h.item(gap, style.Soft, "for "+h.age(t.Since))
	}
	if t.Detail != "" {
		h.page.Space(gap).Put(style.Warn, t.Detail)
	}
}

// engine writes what the side runs, and where that is not what the peer runs.
func (h *header) engine() {
	v, f := &h.state.Version, &h.state.Facts
	if h.state.Engine.At.IsZero() {
		h.page.Put(style.Muted, "waiting for the first look")
		return
	}
	h.version(0, "engine", v.Running, h.peer.Version.Running)
	if f.Installed != "" && v.Running != "" && f.Installed != v.Running {
		h.item(0, style.Warn, ", "+f.Installed+" installed")
	}
	failed := h.state.Canary != nil && !h.state.Canary.OK
	if failed {
		h.item(3, style.Danger, "canary "+style.BadMark+" "+h.age(h.state.Canary.At))
	}
	if f.Compose != "" {
		h.version(3, "compose", f.Compose, h.peer.Facts.Compose)
	}
	if h.state.Canary != nil && !failed {
		h.item(3, style.Muted, "canary "+style.OkMark+" "+h.age(h.state.Canary.At))
	}
	h.item(3, style.Muted, "api "+orUnknown(v.API))
}

// version writes one version; it stands out where the peer has another.
func (h *header) version(gap int, what, mine, peer string) {
	text := what + " " + orUnknown(mine)
	switch {
	case h.old:
		h.item(gap, style.Muted, text)
	case mine != "" && peer != "" && mine != peer:
		h.item(gap, style.WarnStrong, text)
		h.item(1, style.Warn, style.DiffMark+" "+string(h.on.Peer()))
	default:
		h.item(gap, style.Soft, text)
	}
}

// machine writes how the host does.
func (h *header) machine() {
	f := &h.state.Facts
	if h.state.Host.At.IsZero() {
		return
	}
	usual := style.Muted
	look := func(bad, worse bool) style.Ink {
		switch {
		case h.old:
		case worse:
			return style.Danger
		case bad:
			return style.Warn
		}
		return usual
	}
	gap := 3
	if h.width < 56 {
		gap = 2
	}
	h.item(0, usual, "up "+h.age(h.state.Host.At.Add(-f.Uptime)))
	h.item(gap, look(f.CPUs > 0 && f.Load1 > float64(2*f.CPUs), false), "load "+strconv.FormatFloat(f.Load1, 'f', 2, 64))
	if f.MemTotal > 0 {
		used := f.MemTotal - min(f.MemAvailable, f.MemTotal)
		h.item(gap, look(used*10 > f.MemTotal*9, used*20 > f.MemTotal*19), "mem "+percent(used, f.MemTotal))
	}
	if f.DiskTotal > 0 {
		h.item(gap, look(f.DiskUsed*100 > f.DiskTotal*85, f.DiskUsed*100 > f.DiskTotal*95), "disk "+percent(f.DiskUsed, f.DiskTotal))
	}
	if f.RebootRequired {
		h.item(gap, style.Warn, style.RebootMark+" reboot due")
	}
	if f.EngineReplaced {
		h.item(gap, style.Warn, style.RebootMark+" engine replaced")
	}
}

func orUnknown(text string) string {
	if text == "" {
		return "?"
	}
	return text
}
