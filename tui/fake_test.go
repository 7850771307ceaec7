package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/themes"
)

// noon is the present of all frames.
var noon = time.Date(2024, 5, 17, 14, 3, 22, 0, time.UTC)

// fake is a Backend whose answers are set by the test. What is asked of it is counted.
type fake struct {
	mu       sync.Mutex
	changed  chan struct{}
	snap     ops.Snapshot
	run      *ops.Run
	timeline []ops.Moment
	readOnly bool
	pinned   bool // started with --read-only

	plan     func(ops.Request) (ops.Plan, error)
	start    func(ops.Plan) error
	past     []ops.Run
	images   []ImageChoice
	versions []VersionChoice
	logs     func(ctx context.Context, side ops.Side, name string, line func(LogLine)) error
	spans    []LogSpan // of Logs
	shellErr error
	details  func(side ops.Side, service string) ([]ops.Detail, error)
	samples  func(side ops.Side, ids []string) ([]ops.Sample, error)
	usual    map[string]time.Duration

	requests []ops.Request // of Plan
	calls    []string      // of everything that changes something
	shells   []string      // opened: that changes nothing yet
	closed   int           // of the shells
}

func newFake(snap ops.Snapshot) *fake {
	return &fake{changed: make(chan struct{}, 1), snap: snap}
}

func (f *fake) Changed() <-chan struct{}     { return f.changed }
func (f *fake) Snapshot() ops.Snapshot       { return f.snap }
func (f *fake) Run() *ops.Run                { return f.run }
func (f *fake) Timeline() []ops.Moment       { return f.timeline }
func (f *fake) Usual(k string) time.Duration { return f.usual[k] }
func (f *fake) ReadOnly() bool               { return f.readOnly }

func (f *fake) SetReadOnly(on bool) error {
	if f.pinned && !on {
		return &ops.Problem{Doing: "leaving read-only mode", Err: errors.New("started with --read-only"), Hint: "start tandem without --read-only"}
	}
	f.readOnly = on
	return nil
}

func (f *fake) call(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fake) Plan(_ context.Context, r ops.Request) (ops.Plan, error) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	if f.plan == nil {
		return ops.Plan{Request: r, Title: string(r.Op) + " " + r.Side.Upper()}, nil
	}
	return f.plan(r)
}

func (f *fake) Start(_ context.Context, p ops.Plan) error {
	f.call("start %s", p.Title)
	if f.start == nil {
		return nil
	}
	return f.start(p)
}

func (f *fake) PlanRollback(_ context.Context, run string) (ops.Plan, error) {
	return ops.Plan{Title: "take back run " + run}, nil
}

func (f *fake) Rollback(_ context.Context, run string, p ops.Plan) error {
	f.call("roll back %s", run)
	if f.start == nil {
		return nil
	}
	return f.start(p)
}

func (f *fake) Resume(_ context.Context, run string, accept []ops.Risk) error {
	f.call("%s", strings.TrimSpace(fmt.Sprint("resume ", run, " ", strings.Trim(fmt.Sprint(accept), "[]"))))
	return nil
}

func (f *fake) Ask(_ context.Context, run string, ask ops.Ask) error {
	f.call("ask %s %s", run, ask)
	return nil
}

func (f *fake) Note(_ context.Context, run, text string) error {
	f.call("note %s %s", run, text)
	return nil
}

func (f *fake) Markdown(pair string, list []ops.Moment) string {
	text := pair + "\n"
	for _, m := range list {
		text += m.Who + " " + m.Text + "\n"
	}
	return text
}

func (f *fake) Past(context.Context) ([]ops.Run, error) { return f.past, nil }

func (f *fake) Images(context.Context, ops.Side, string) ([]ImageChoice, error) {
	return f.images, nil
}

func (f *fake) Versions(_ context.Context, _ ops.Side, back bool) ([]VersionChoice, error) {
	var list []VersionChoice
	for _, v := range f.versions {
		if v.Back || !back {
			list = append(list, v)
		}
	}
	return list, nil
}

func (f *fake) Logs(ctx context.Context, side ops.Side, name string, span LogSpan, line func(LogLine)) error {
	f.mu.Lock()
	f.spans = append(f.spans, span)
	f.mu.Unlock()
	if f.logs == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.logs(ctx, side, name, line)
}

func (f *fake) Shell(_ context.Context, side ops.Side, service string) (Shell, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shells = append(f.shells, strings.TrimSpace(string(side)+" "+service))
	if f.shellErr != nil {
		return nil, f.shellErr
	}
	return &fakeShell{of: f}, nil
}

func (f *fake) Inspect(_ context.Context, side ops.Side, service string) ([]ops.Detail, error) {
	if f.details == nil {
		return nil, errors.New("no answer within 10s")
	}
	return f.details(side, service)
}

func (f *fake) Sample(_ context.Context, side ops.Side, ids []string) ([]ops.Sample, error) {
	if f.samples == nil {
		return nil, errors.New("no answer within 10s")
	}
	return f.samples(side, ids)
}

// fakeShell ends with status 3 as soon as it is run.
type fakeShell struct{ of *fake }

func (*fakeShell) SetStdin(io.Reader)  {}
func (*fakeShell) SetStdout(io.Writer) {}
func (*fakeShell) SetStderr(io.Writer) {}
func (*fakeShell) Run() error          { return nil }
func (*fakeShell) Title() string       { return "shell on BLUE" }
func (*fakeShell) Exit() int           { return 3 }

func (s *fakeShell) Close() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.closed++
}

// dark is the theme of most frames.
func dark() themes.Theme {
	theme, err := themes.Load(themes.Default)
	if err != nil {
		panic(err)
	}
	return theme
}

// newConsole makes the App on a fake, with the clock at noon and a terminal of w x h. Its
// context has ended: settle runs every command, and none may wait for news that never comes.
func newConsole(f *fake, w, h int) *App {
	a := New(Options{Backend: f, Theme: dark(), UTC: true, Now: func() time.Time { return noon }, Version: "v0"})
	ended, end := context.WithCancel(context.Background())
	end()
	a.ctx = ended
	a.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return a
}

// key is a key press by its name: "d", "enter", "ctrl+o".
func key(name string) tea.KeyPressMsg { return keysOf(name)[0] }

// press sends keys and runs the commands that follow, except those that wait for time or
// for the backend.
func press(a *App, keys ...string) {
	for _, k := range keys {
		_, cmd := a.Update(key(k))
		settle(a, cmd)
	}
}

// settle runs a command and what its message leads to. Quit is dropped.
func settle(a *App, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil, tea.QuitMsg:
	case tea.BatchMsg:
		for _, c := range msg {
			settle(a, c)
		}
	default:
		if cmds, ok := sequence(msg); ok {
			for _, c := range cmds {
				settle(a, c)
			}
			return
		}
		_, next := a.Update(msg)
		settle(a, next)
	}
}

// change makes the console read the backend anew.
func change(a *App) {
	a.read()
	_, cmd := a.Update(changedMsg{})
	settle(a, cmd)
}
