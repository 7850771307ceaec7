package tui

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/hinshun/vt10x"

	"tandem/ops"
)

// line is the terminal at the end of a link: it counts what arrives, and tells when the screen
// changes.
type line struct {
	mu      sync.Mutex
	screen  vt10x.Terminal
	bytes   int
	changed chan struct{}
}

func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += len(p)
	// As the terminal's driver does (termios(3), ONLCR).
	_, err := l.screen.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), err
}

func (l *line) sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// see waits until the text is on the screen.
func (l *line) see(t *testing.T, text string) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		there, changed := strings.Contains(l.screen.String(), text), l.changed
		l.mu.Unlock()
		if there {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("waited for %q; the screen:\n%s", text, l.screen.String())
		}
	}
}

// TestSlowLink counts the bytes that the console sends: at 9,600 baud there are 960 a second.
// An idle minute, with a clock and numbers of sessions that change every second, takes less
// than 5 KB; a second of a run in which every line of its screen moves, less than 2 KB; and a
// key shows its effect with less than fits into the first moments.
func TestSlowLink(t *testing.T) {
	var mu sync.Mutex
	at := noon
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
	f := newFake(calm())
	a := New(Options{Backend: f, Theme: dark(), UTC: true, Now: clock})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.ctx = ctx
	end := &line{screen: vt10x.New(vt10x.WithSize(120, 40)), changed: make(chan struct{})}
	p := tea.NewProgram(quietApp{a}, tea.WithContext(ctx), tea.WithInput(&bytes.Buffer{}), tea.WithOutput(end), tea.WithWindowSize(120, 40),
		tea.WithColorProfile(colorprofile.TrueColor), tea.WithFPS(frames), tea.WithoutSignals())
	done := make(chan struct{})
	go func() { defer close(done); _, _ = p.Run() }()
	defer func() { cancel(); <-done }()
	end.see(t, "14:03:22Z")

	second := func(n int) {
		mu.Lock()
		at = at.Add(time.Second)
		now := at
		mu.Unlock()
		snap := calm()
		for i, side := range ops.Sides {
			sessions := 40 + (n*7+i*3)%9
			snap.Balancer.On(side).Sessions = &sessions
			snap.Balancer.Look.At = now
			snap.On(side).Host.At, snap.On(side).Engine.At = now, now
		}
		f.mu.Lock()
		f.snap = snap
		f.mu.Unlock()
		p.Send(backendMsg{})
		p.Send(tickMsg{})
		end.see(t, now.Format("15:04:05Z"))
	}
	second(0)
	before := end.sent()
	for n := range 60 {
		second(n)
	}
	idle := end.sent() - before
	t.Logf("an idle minute: %d bytes", idle)
	if idle > 5000 {
		t.Errorf("an idle minute takes %d bytes", idle)
	}
	// What a key does begins at the top of what changes, and is there with the first hundred bytes.
	for _, key := range []struct {
		press tea.KeyPressMsg
		see   string
		most  int
	}{
		{tea.KeyPressMsg{Code: tea.KeyTab}, "BLUE", 1500}, // both cards change their edges
		{tea.KeyPressMsg{Code: tea.KeyDown}, "BLUE", 1000},
		{tea.KeyPressMsg{Code: '/', Text: "/"}, "clear", 2500},
	} {
		before := end.sent()
		p.Send(key.press)
		second(0) // a frame later
		end.see(t, key.see)
		if took := end.sent() - before; took > key.most {
			t.Errorf("%s: %d bytes", key.press, took)
		}
	}
	// Every second a step of a recovery ends, the next begins, and both have said something.
	f.run = recoveryAt(10, 1, nil)
	p.Send(tea.KeyPressMsg{Code: tea.KeyEscape})
	second(0)
	p.Send(tea.KeyPressMsg{Code: 'v', Text: "v"})
	second(0)
	end.see(t, "recover GREEN, then BLUE")
	before, most := end.sent(), 0
	const seconds = 30
	for n := range seconds {
		f.run = recoveryAt(11+n, 1, func(r *ops.Run) {
			r.Events += n
			for step := range 11 + n {
				lines(r, step, "9 s so far", "ready, 8 s")
			}
		})
		was := end.sent()
		second(n)
		most = max(most, end.sent()-was)
	}
	t.Logf("a second of a run: %d bytes, %d at most", (end.sent()-before)/seconds, most)
	if most > 2000 {
		t.Errorf("a second of a run takes up to %d bytes", most)
	}
}

// quietApp is the App without what it waits for: the test sends that.
type quietApp struct{ *App }

func (q quietApp) Init() tea.Cmd { return nil }

func (q quietApp) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg.(type) {
	case backendMsg, tickMsg:
		q.App.Update(msg)
		return q, nil
	}
	_, cmd := q.App.Update(msg)
	return q, cmd
}
