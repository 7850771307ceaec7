// Package tui is the console: the pair side by side, what is wrong, what can be done,
// and the run under way.
//
// App is the one Bubble Tea model. It holds a stack of screens (see the screen interface
// in env.go): the pair at the bottom, others over it, dialogs floating. App draws the
// title bar, the message line and the key bar around the top screen and routes keys
// through the one key table. Nothing here blocks: what the backend knows is read when it
// signals a change, everything else runs in commands whose answers come back as messages.
// Frames are made from the state alone, with the clock passed in; every pane keeps its
// lines until something it shows has changed. Sizes are terminal cells.
package tui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"

	"tandem/ops"
	"tandem/themes"
	"tandem/tui/cast"
	"tandem/tui/style"
)

// Options of the console.
type Options struct {
	Backend Backend
	Theme   themes.Theme
	ASCII   bool             // only ASCII on the screen
	NoColor bool             // no colour, as asked by $NO_COLOR
	UTC     bool             // times in UTC; else in the local zone
	Now     func() time.Time // nil: time.Now
	Present bool             // start in presenter mode
	Still   bool             // reduced motion: what changes by itself is shown every few seconds
	Redact  []string         // what presenter mode hides, besides hosts and addresses
	Names   []string         // machines and people that presenter mode hides, besides those of the pair
	Version string           // shown on the help screen
	Keys    KeyTable         // nil: as they are by themselves
	// ThemeFile, if set, brings the operator's own theme whenever its file has changed.
	ThemeFile <-chan ThemeFile
	Watch     bool            // begin with the run under way, of which only the end is waited for
	Record    *cast.Recording // of what goes to the terminal; nil: none
}

// App is the console as a Bubble Tea model.
type App struct {
	env
	opt     Options
	size    Size
	stack   []screen // the pair screen first
	said    sayMsg
	mouse   bool
	echo    string // the keys typed last, in presenter mode
	themes  []themes.Theme
	theme   int
	bars    bars
	steady  steady
	link    *link // to the terminal; nil: it is as fast as anything
	frame   string
	drawn   bool // frame is what the state says
	held    bool // the terminal is behind, and no key asks for a frame
	waiting bool // for the next moment of a replay
}

// New makes the console. It reads the backend's present state at once.
func New(opt Options) *App {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	a := &App{opt: opt, themes: []themes.Theme{opt.Theme}}
	if opt.Keys == nil {
		opt.Keys = table
	}
	a.env = env{keys: opt.Keys, ctx: context.Background(), backend: opt.Backend, now: opt.Now, utc: opt.UTC, still: opt.Still, side: ops.Blue, present: opt.Present, usage: newUsage()}
	for _, name := range themes.Names() {
		if name == opt.Theme.Name {
			continue
		}
		if theme, err := themes.Load(name); err == nil {
			a.themes = append(a.themes, theme)
		}
	}
	if a.replay, _ = opt.Backend.(*Replay); a.replay != nil {
		a.now = a.replay.Clock
	}
	a.read()
	a.restyle()
	a.stack = []screen{newPair(&a.env)}
	switch {
	case a.replay != nil:
		a.stack[0] = newRunView(&a.env)
	case opt.Watch:
		a.watch = true
		a.stack = append(a.stack, newRunView(&a.env))
	}
	return a
}

// Init starts to wait for changes and for the next second.
func (a *App) Init() tea.Cmd {
	return tea.Batch(a.wait(0), a.tick(), a.awaitTheme(), a.awaitRecord(), a.play())
}

// minFrame is the least time between two readings of the backend: 20 frames a second.
const minFrame = 50 * time.Millisecond

// calmFrame is the same for an audience, who cannot read as fast as things change.
const calmFrame = 500 * time.Millisecond

// stillFrame is the same for whoever is disturbed by what moves: the clock, ages and bars stand
// still in between, too. What a key does is shown at once.
const stillFrame = 5 * time.Second

func (a *App) calm() time.Duration {
	if a.present {
		return max(calmFrame, a.pace())
	}
	return a.pace()
}

type backendMsg struct{}

// wait returns when the backend has changed, but not before the pause is over: what
// changes in between is read at once afterwards.
func (a *App) wait(pause time.Duration) tea.Cmd {
	return await(a.ctx, a.backend.Changed(), pause, backendMsg{})
}

// await brings msg once the pause is over and changed has signalled, whichever is later;
// nothing when ctx ends.
func await(ctx context.Context, changed <-chan struct{}, pause time.Duration, msg tea.Msg) tea.Cmd {
	return func() tea.Msg {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-changed:
			return msg
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) tick() tea.Cmd {
	return tea.Every(max(time.Second, a.pace()-minFrame), func(time.Time) tea.Msg { return tickMsg{} })
}

func (a *App) read() {
	snap := a.backend.Snapshot()
	a.steady.hold(&snap, a.now())
	a.snap, a.run = &snap, a.backend.Run()
	a.readTimeline(a.backend.Timeline())
	a.meter.read(&a.env)
	a.version++
}

// restyle makes the sheet anew after the theme or the mode has changed.
func (a *App) restyle() {
	opt := style.Options{ASCII: a.opt.ASCII, NoColor: a.opt.NoColor}
	if a.present {
		opt.Mask = Mask(a.snap.Pair, a.opt.Redact, append(a.people(), a.opt.Names...)...)
	}
	a.sheet = style.New(a.themes[a.theme], opt)
	a.looks++
}

func (a *App) top() screen { return a.stack[len(a.stack)-1] }

// Update takes a message, and what the screens ask for in answer to it: the next key belongs
// to the screen that this one has opened.
func (a *App) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	a.drawn, a.held = false, unasked(msg) && a.link.busy()
	cmds := []tea.Cmd{a.update(msg)}
	for len(a.posted) > 0 {
		next := a.posted[0]
		a.posted = a.posted[1:]
		cmds = append(cmds, a.update(next))
	}
	a.posted = nil
	return a, tea.Batch(cmds...)
}

func (a *App) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		a.size = Size{msg.Width, msg.Height}
		return a.tell(msg)
	case tea.KeyPressMsg:
		return a.press(msg)
	case tea.MouseWheelMsg, tea.MouseClickMsg, tea.PasteMsg:
		if a.size.tiny() {
			return nil
		}
		if wheel, ok := msg.(tea.MouseWheelMsg); ok {
			return a.wheel(wheel)
		}
		return a.give(len(a.stack)-1, msg)
	case backendMsg:
		a.read()
		if a.present {
			a.restyle()
		}
		return tea.Batch(a.tell(changedMsg{}), a.wait(a.calm()))
	case tickMsg:
		return tea.Batch(a.tell(msg), a.poll(), a.tick())
	case playMsg:
		a.waiting = false
		return a.wind()
	case openMsg:
		a.stack = append(a.stack, msg.screen)
		return tea.Batch(a.tell(tea.WindowSizeMsg{Width: a.size.W, Height: a.size.H}), a.poll())
	case overMsg:
		if a.top() == msg.over {
			return a.open(msg.make())
		}
		return nil
	case closeMsg:
		a.drop(msg.screen)
		return nil
	case homeMsg:
		a.close()
		return nil
	case sayMsg:
		a.said = msg
		return nil
	case noticeMsg:
		a.said = sayMsg{}
		return a.open(newNotice(&a.env, msg.title, msg.err))
	case answerMsg:
		return a.answer(msg)
	case planMsg:
		return a.confirm(msg)
	case shellMsg:
		return a.join(msg)
	case actMsg:
		return a.act(msg.action, msg.service)
	case sampledMsg:
		a.sampled(msg)
		return nil
	case themeMsg:
		a.wear(int(msg))
		return nil
	case uv.PrimaryDeviceAttributesEvent:
		a.link.answered()
		return nil
	case restMsg:
		return tea.Sequence(a.link.rest, tea.Quit)
	case themeFileMsg:
		return tea.Batch(a.reread(msg), a.awaitTheme())
	}
	return a.tell(msg)
}

// answer takes what was awaited, unless something else was asked for since.
func (a *App) answer(msg answerMsg) tea.Cmd {
	if msg.what != a.awaited {
		if sh, open := msg.msg.(shellMsg); open {
			sh.Close()
		}
		return nil
	}
	a.awaited = ""
	return a.update(msg.msg)
}

// confirm opens the dialog of a plan.
func (a *App) confirm(msg planMsg) tea.Cmd {
	a.said = sayMsg{}
	return a.open(newConfirm(&a.env, msg.plan, msg.start))
}

// tell hands a message to every screen.
func (a *App) tell(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	for i := range a.stack {
		if cmd := a.give(i, msg); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	return tea.Batch(cmds...)
}

func (a *App) give(i int, msg tea.Msg) tea.Cmd {
	next, cmd := a.stack[i].Update(msg)
	a.stack[i] = next
	return cmd
}

func (a *App) pop() { a.drop(a.top()) }

// drop takes a screen off the stack; the pair stays.
func (a *App) drop(s screen) {
	i := slices.Index(a.stack, s)
	if i < 1 {
		return
	}
	if c, ok := s.(closer); ok {
		c.Close()
	}
	a.stack = slices.Delete(a.stack, i, i+1)
}

// press routes a key: what the table has for the top screen's scope, else as text. Where
// the terminal is too small to show the screen, nothing but leaving it can be meant.
func (a *App) press(key tea.KeyPressMsg) tea.Cmd {
	a.said = sayMsg{}
	if a.present {
		a.echoKey(key)
	}
	b, why := find(&a.env, a.top().Scope(), key.String())
	switch {
	case a.size.tiny() && (b == nil || !b.leaves()):
		return nil
	case b == nil:
		return a.give(len(a.stack)-1, pressed{Key: key})
	case why != "":
		a.said = sayMsg{style.Warn, b.Words + ": not now, " + why}
		return nil
	}
	if d, ok := a.top().(*detail); ok { // what acts on a service acts on the one that is shown
		a.service = d.service
	}
	// In the run of a job, its log is meant.
	if r := a.run; b.Action == actLogs && a.top().Scope() == inRun && r != nil && r.Plan.Request.Op == ops.OpJob && len(r.Plan.Request.Services) == 1 {
		return a.open(newLogs(&a.env, r.Plan.Request.Side, r.Plan.Request.Services[0]))
	}
	if cmd, done := a.global(b.Action); done {
		return cmd
	}
	return a.give(len(a.stack)-1, pressed{Action: b.Action, Key: key})
}

// echoKey keeps the last few keys, for an audience.
func (a *App) echoKey(key tea.KeyPressMsg) {
	const most = 24
	text := a.echo + " " + key.String()
	if len(text) > most {
		text = text[len(text)-most:]
		if i := slices.Index([]byte(text), ' '); i >= 0 {
			text = text[i:]
		}
	}
	a.echo = text
}

// wheel scrolls as the arrow keys do.
func (a *App) wheel(msg tea.MouseWheelMsg) tea.Cmd {
	switch msg.Button {
	case tea.MouseWheelUp:
		return a.give(len(a.stack)-1, pressed{Action: actUp})
	case tea.MouseWheelDown:
		return a.give(len(a.stack)-1, pressed{Action: actDown})
	}
	return nil
}

// act runs an action that did not come from its key.
func (a *App) act(action Action, service string) tea.Cmd {
	if service != "" {
		a.service = service
	}
	for i := range a.keys {
		b := &a.keys[i]
		if b.Action != action {
			continue
		}
		if why := b.reason(&a.env); why != "" {
			a.said = sayMsg{style.Warn, b.Words + ": not now, " + why}
			return nil
		}
		break
	}
	if cmd, done := a.global(action); done {
		return cmd
	}
	if action == actRestart && service != "" {
		return a.ask(ops.Request{Op: ops.OpRestart, Side: a.side, Services: []string{service}})
	}
	return a.give(len(a.stack)-1, pressed{Action: action})
}

// global carries out what does not belong to a single screen.
func (a *App) global(action Action) (tea.Cmd, bool) {
	if a.replay != nil && a.replay.handle(action) {
		return a.wind(), true
	}
	switch action {
	case actDrain:
		return a.ask(ops.Request{Op: ops.OpDrain, Side: a.side}), true
	case actPutBack:
		return a.ask(ops.Request{Op: ops.OpPutBack, Side: a.side}), true
	case actRecover:
		return a.ask(ops.Request{Op: ops.OpRecover, Side: a.side}), true
	case actCanary:
		return a.ask(ops.Request{Op: ops.OpCanary, Side: a.side}), true
	case actJob:
		return a.open(newJobs(&a.env, a.side)), true
	case actPatch:
		return a.open(newVersions(&a.env, a.side)), true
	case actRollBack:
		return a.open(newChoose(&a.env, a.side, a.service)), true
	case actRun:
		return a.open(newRunView(&a.env)), true
	case actLogs:
		return a.open(newLogs(&a.env, a.side, a.service)), true
	case actShell:
		return a.shell(a.side, ""), true
	case actExec:
		return a.shell(a.side, a.service), true
	case actNote:
		return a.open(newNote(&a.env, a.noteOn())), true
	case actTimeline:
		return a.open(newTimeline(&a.env)), true
	case actPin:
		return a.pin(a.service), true
	case actDetail:
		return a.open(newDetail(&a.env, a.service)), true
	case actFindings:
		return a.open(newFindings(&a.env)), true
	case actHelp:
		return a.open(newHelp(&a.env, a.opt.Version)), true
	case actPalette:
		return a.open(newPalette(&a.env, a.top().Scope())), true
	case actReadOnly:
		return a.readOnly(), true
	case actPresent:
		a.present, a.echo = !a.present, ""
		a.restyle()
		return nil, true
	case actTheme:
		return a.open(newThemePicker(&a.env, a.themes, a.theme)), true
	case actMouse:
		a.mouse = !a.mouse
		if a.mouse {
			return a.say(style.Soft, "mouse on: click and wheel; m gives it back to the terminal"), true
		}
		return a.say(style.Soft, "mouse off: the terminal selects text"), true
	case actRedraw:
		return tea.ClearScreen, true
	case actQuit, actLeave:
		return a.quit(), true
	}
	return nil, false
}

// noteOn is the run that a note is about: the one that is shown, or that has not come to its end;
// empty: none.
func (a *App) noteOn() string {
	if r := a.run; r != nil && (a.top().Scope() == inRun || r.Unfinished()) {
		return r.ID
	}
	return ""
}

func (a *App) readOnly() tea.Cmd {
	on := !a.backend.ReadOnly()
	if err := a.backend.SetReadOnly(on); err != nil {
		return a.notice("read-only", err)
	}
	if on {
		return a.say(style.Soft, "read-only: nothing can be changed from here")
	}
	return a.say(style.Warn, "read-write: operations are possible again")
}

// quit leaves at once, a replay always, or asks where a run is under way.
func (a *App) quit() tea.Cmd {
	if b, ok := a.top().(*askBox); ok && b.quits || a.replay != nil || a.run == nil || !a.run.Live() {
		a.close()
		return tea.Quit
	}
	return a.open(newQuit(&a.env))
}

// View draws the frame.
func (a *App) View() tea.View {
	if !a.drawn && !a.held {
		a.frame, a.drawn = a.draw(), true
	}
	v := tea.NewView(a.frame)
	v.AltScreen = true
	v.WindowTitle = "tandem " + a.sheet.Plain(a.snap.Pair.Name)
	if a.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}
