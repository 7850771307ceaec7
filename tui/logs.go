package tui

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// logView follows the log of a service, or of a job: of one side, of both beside each other,
// or of both in one column by time. A stream writes what comes and signals once; the screen
// takes in what is new, twenty times a second at most. Lines are kept as they came and made
// safe when they are drawn or saved.
type logView struct {
	*env
	side   ops.Side // whose column the keys move
	name   string   // of the service or job
	wish   logLayout
	wrap   bool
	times  logTimes
	only   bool // only lines that are searched for
	span   LogSpan
	sides  [2]*logSide
	single [2]*logPane // one side each
	merged *logPane    // both sides by time
	size   Size
	left   int // cells scrolled to the right
	height int // lines of text shown the last time
	cancel context.CancelFunc

	input    widget.Input // what is searched for
	typing   bool
	search   *needle       // nil: nothing is searched for
	scan     atomic.Uint64 // which search: each has its number
	scanning bool          // its result has not come yet
	wanted   int           // where to go when it has; 0: nowhere
}

// logLayout is which sides are shown, and how.
type logLayout int

const (
	layoutOne logLayout = iota
	layoutBeside
	layoutMerged // both in one column
)

// logTimes is how the times of lines are written.
type logTimes int

const (
	timesOfDay logTimes = iota
	timesWithDate
	noTimes
	logTimesEnd
)

// newLogs shows both sides, or the one that alone has something of this name.
func newLogs(e *env, side ops.Side, name string) *logView {
	here, there := len(e.snap.On(side).Containers(name)) > 0, len(e.snap.On(side.Peer()).Containers(name)) > 0
	if there && !here {
		side = side.Peer()
	}
	v := &logView{env: e, side: side, name: name}
	if here == there {
		v.wish = layoutBeside
	}
	v.reset()
	return v
}

// reset forgets all lines.
func (v *logView) reset() {
	v.merged = newLogPane(nil, ops.Sides[:]...)
	for i, side := range ops.Sides {
		v.sides[i] = newLogSide(side)
		v.single[i] = newLogPane(&v.sides[i].logList, side)
	}
}

func (*logView) Modal() bool { return false }

func (v *logView) Scope() Scope {
	if v.typing {
		return inFilter
	}
	return inLogs
}

// Close ends the streams and what looks through them.
func (v *logView) Close() {
	v.scan.Add(1)
	if v.cancel != nil {
		v.cancel()
	}
}

type logMsg struct{ of *logView }

// begin starts both streams and waits for their first lines.
func (v *logView) begin() tea.Cmd {
	ctx, cancel := context.WithCancel(v.ctx)
	v.cancel = cancel
	changed := make(chan struct{}, 1)
	span, now := v.span, v.now
	over := func() bool { return span.ended(now()) }
	for i, side := range ops.Sides {
		go v.sides[i].stream.run(ctx, changed, func(ctx context.Context, line func(LogLine)) error {
			return v.backend.Logs(ctx, side, v.name, span, line)
		}, over)
	}
	return v.wait(ctx, changed, 0)
}

func (v *logView) wait(ctx context.Context, changed <-chan struct{}, pause time.Duration) tea.Cmd {
	return await(ctx, changed, pause, logNews{logMsg{v}, func() tea.Cmd { return v.wait(ctx, changed, v.env.pace()) }})
}

type logNews struct {
	logMsg
	again func() tea.Cmd
}

// read opens the streams anew, for another time.
func (v *logView) read(span LogSpan) tea.Cmd {
	v.Close()
	v.span = span
	v.reset()
	return tea.Batch(v.begin(), v.look())
}

func (v *logView) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		v.size = Size{msg.Width, msg.Height}
		v.height = max(msg.Height-6, 1) // until the first View
		if v.cancel == nil {
			return v, v.begin()
		}
	case logNews:
		if msg.of == v {
			v.sync()
			return v, msg.again()
		}
	case scanMsg:
		if msg.of == v {
			return v, v.looked(msg)
		}
	case tea.PasteMsg:
		if v.typing {
			v.input.Paste(msg.Content)
			return v, v.look()
		}
	case pressed:
		return v, v.press(msg)
	}
	return v, nil
}

func (v *logView) press(key pressed) tea.Cmd {
	if v.typing {
		return v.typed(key)
	}
	pane := v.pane()
	lines := pane.shown(v.only)
	switch key.Action {
	case actBack:
		if v.search == nil {
			return v.leave(v)
		}
		return v.clear()
	case actSide:
		v.side = v.side.Peer()
	case actBoth:
		v.wish = v.next()
		near := !pane.follow && pane.rank() > 0 && pane.inSight(lines, v.height)
		for _, p := range v.panes() { // what is being read stays in sight
			if p.stand(pane); near {
				lines := p.shown(v.only)
				p.stop(lines, place(lines, p.found)-v.height/2)
			}
		}
	case actWrap:
		v.wrap, v.left = !v.wrap, 0
	case actTimes:
		v.times = (v.times + 1) % logTimesEnd
	case actFollow:
		if pane.follow {
			pane.stop(lines, len(lines)-v.height)
		} else {
			pane.follow = true
		}
	case actUp:
		pane.move(-1, v.height, v.only)
	case actDown:
		pane.move(1, v.height, v.only)
	case actPageUp:
		pane.move(-max(v.height-1, 1), v.height, v.only)
	case actPageDown:
		pane.move(max(v.height-1, 1), v.height, v.only)
	case actTop:
		pane.stop(lines, 0)
	case actBottom:
		pane.follow = true
	case actLeft:
		v.left = max(v.left-16, 0)
	case actRight:
		if !v.wrap {
			v.left = min(v.left+16, logMost)
		}
	case actSearch:
		v.typing = true
	case actNext:
		return v.find(1)
	case actPrevious:
		return v.find(-1)
	case actOnly:
		if v.search == nil {
			return v.say(style.Warn, "only lines found: search for something first")
		}
		v.only = !v.only
	case actSince, actUntil:
		return v.open(newSpanBox(v, key.Action == actUntil))
	case actSave:
		return v.open(newLogSave(v))
	}
	return nil
}

// typed takes a key of the search.
func (v *logView) typed(key pressed) tea.Cmd {
	switch key.Action {
	case actBack:
		v.typing = false
		return v.clear()
	case actAccept:
		v.typing = false
		if v.input.Text() == "" {
			return v.clear()
		}
		return v.find(-1)
	case "":
		if v.input.Key(key.Key) {
			return v.look()
		}
	}
	return nil
}

func (v *logView) clear() tea.Cmd {
	v.input.SetText("")
	return v.look()
}

// layout is what is shown: beside each other only where there is room.
func (v *logView) layout() logLayout {
	if v.wish == layoutBeside && v.size.W < besideWidth {
		return layoutMerged
	}
	return v.wish
}

// next is the layout that follows the one shown.
func (v *logView) next() logLayout {
	switch v.layout() {
	case layoutOne:
		return layoutBeside
	case layoutBeside:
		return layoutMerged
	}
	return layoutOne
}

// sync takes in what has come since, and makes the column of both where it is shown.
func (v *logView) sync() {
	var news [2][]*logEntry
	var kept [2]uint64
	dropped := false
	for i, side := range v.sides {
		lines, gone := side.sync(v.search)
		news[i], kept[i], dropped = lines, side.first, dropped || gone
	}
	switch m := v.merged; {
	case v.layout() != layoutMerged:
		m.list = nil
	case m.list == nil:
		m.list = both(v.sides)
	default:
		if dropped {
			m.list.forget(kept)
		}
		m.list.add(news[0], v.search)
		m.list.add(news[1], v.search)
	}
}

// panes are the columns shown, with what has come.
func (v *logView) panes() []*logPane {
	v.sync()
	switch v.layout() {
	case layoutOne:
		return []*logPane{v.single[slices.Index(ops.Sides[:], v.side)]}
	case layoutBeside:
		return v.single[:]
	}
	return []*logPane{v.merged}
}

// pane is the column that keys move.
func (v *logView) pane() *logPane {
	panes := v.panes()
	if len(panes) > 1 {
		return panes[slices.Index(ops.Sides[:], v.side)]
	}
	return panes[0]
}

// states are what is to be said of the streams of a column.
func (v *logView) states(p *logPane) []logState {
	var list []logState
	for i, side := range ops.Sides {
		if slices.Contains(p.sides, side) {
			list = append(list, v.sides[i].state)
		}
	}
	return list
}

// several tells whether the lines of a column must say which container they are from.
func (v *logView) several(p *logPane) bool {
	return slices.ContainsFunc(v.sides[:], func(s *logSide) bool {
		return s.names > 1 && slices.Contains(p.sides, ops.Sides[s.stream.side])
	})
}

// sidesOf names the sides of a column: "BLUE", "BLUE and GREEN".
func sidesOf(p *logPane) string {
	var names []string
	for _, side := range p.sides {
		names = append(names, side.Upper())
	}
	return strings.Join(names, " and ")
}
