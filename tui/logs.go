package tui

import (
	"context"
	"regexp"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// logView follows the log of a service, or of a job, on one side or on both at once: side by side where
// there is room, else in one column by time. A stream writes into a ring and signals once;
// the screen reads what is shown, twenty times a second at most. Lines are kept as they
// came and made safe when they are drawn.
type logView struct {
	*env
	side    ops.Side // whose column the keys move
	name    string   // of the service or job
	both    bool
	wrap    bool
	streams [2]*logStream
	single  [2]*logPane // one side each
	merged  *logPane    // both sides by time
	size    Size
	left    int // cells scrolled to the right
	height  int // lines of text shown the last time
	search  widget.Input
	pattern *regexp.Regexp // what is searched for; nil: nothing
	typing  bool
	cancel  context.CancelFunc
	started bool
}

// newLogs shows both sides, or the one that alone has something of this name.
func newLogs(e *env, side ops.Side, name string) screen {
	here, there := len(e.snap.On(side).Containers(name)) > 0, len(e.snap.On(side.Peer()).Containers(name)) > 0
	if there && !here {
		side = side.Peer()
	}
	v := &logView{env: e, side: side, name: name, both: here == there, merged: newLogPane(ops.Sides[:]...)}
	for i, side := range ops.Sides {
		v.streams[i], v.single[i] = newLogStream(), newLogPane(side)
	}
	return v
}

func (*logView) Modal() bool { return false }

func (v *logView) Scope() Scope {
	if v.typing {
		return inFilter
	}
	return inLogs
}

// Close ends the streams.
func (v *logView) Close() {
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
	for i, side := range ops.Sides {
		go v.streams[i].run(ctx, changed, func(ctx context.Context, line func(LogLine)) error {
			return v.backend.Logs(ctx, side, v.name, line)
		})
	}
	return v.wait(ctx, changed, 0)
}

func (v *logView) wait(ctx context.Context, changed <-chan struct{}, pause time.Duration) tea.Cmd {
	return await(ctx, changed, pause, logNews{logMsg{v}, func() tea.Cmd { return v.wait(ctx, changed, minFrame) }})
}

type logNews struct {
	logMsg
	again func() tea.Cmd
}

func (v *logView) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		v.size = Size{msg.Width, msg.Height}
		v.height = max(msg.Height-6, 1) // until the first View
		if !v.started {
			v.started = true
			return v, v.begin()
		}
	case logNews:
		if msg.of == v {
			return v, msg.again()
		}
	case tea.PasteMsg:
		if v.typing {
			v.search.Paste(msg.Content)
			v.compile()
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
	switch key.Action {
	case actBack:
		if v.pattern == nil {
			return leave(v)
		}
		v.clear()
	case actSide:
		v.side = v.side.Peer()
	case actBoth:
		v.both = !v.both
	case actWrap:
		v.wrap, v.left = !v.wrap, 0
	case actFollow:
		if pane.follow {
			pane.move(0, v.height)
		}
		pane.follow = !pane.follow
	case actUp:
		pane.move(-1, v.height)
	case actDown:
		pane.move(1, v.height)
	case actPageUp:
		pane.move(-max(v.height-1, 1), v.height)
	case actPageDown:
		pane.move(max(v.height-1, 1), v.height)
	case actTop:
		pane.follow, pane.top = false, pane.first
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
	}
	return nil
}

// typed takes a key of the search.
func (v *logView) typed(key pressed) tea.Cmd {
	switch key.Action {
	case actBack:
		v.typing = false
		v.clear()
	case actAccept:
		v.typing = false
		if v.search.Text() == "" {
			v.clear()
			return nil
		}
		return v.find(-1)
	case "":
		v.search.Key(key.Key)
		v.compile()
	}
	return nil
}

// compile makes the search ready: text as it is, in any case.
func (v *logView) compile() {
	v.pattern = nil
	if text := v.search.Text(); text != "" {
		v.pattern = regexp.MustCompile("(?i)" + regexp.QuoteMeta(text))
	}
	for _, pane := range append(v.single[:], v.merged) {
		pane.found = 0
	}
}

func (v *logView) clear() {
	v.search.SetText("")
	v.compile()
}

func (v *logView) find(step int) tea.Cmd {
	if v.pattern == nil || v.pane().find(v.pattern, step, v.height) {
		return nil
	}
	where := "below"
	if step < 0 {
		where = "above"
	}
	return say(style.Warn, "not found "+where+": "+v.search.Text())
}

// panes are the columns shown, the one that keys move among them.
func (v *logView) panes() []*logPane {
	switch {
	case !v.both:
		return []*logPane{v.single[slices.Index(ops.Sides[:], v.side)]}
	case v.size.W < besideWidth:
		return []*logPane{v.merged}
	}
	return v.single[:]
}

// pane is the column that keys move.
func (v *logView) pane() *logPane {
	panes := v.panes()
	pane := panes[0]
	if len(panes) > 1 {
		pane = panes[slices.Index(ops.Sides[:], v.side)]
	}
	pane.update(v.streams)
	return pane
}
