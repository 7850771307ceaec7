package tui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/themes"
)

func text(a *App) string { return trimmed(a.View().Content) }

func wants(t *testing.T, a *App, parts ...string) {
	t.Helper()
	frame := text(a)
	for _, part := range parts {
		if !strings.Contains(frame, part) {
			t.Errorf("%q is not on the screen:\n%s", part, frame)
		}
	}
}

func TestOperationsGoToTheFocusedSide(t *testing.T) {
	f := newFake(calm())
	for i, k := range []string{"d", "u", "c", "r"} {
		a := newConsole(f, 120, 40)
		if i%2 == 0 {
			press(a, "tab")
		}
		press(a, k)
	}
	want := []ops.Request{
		{Op: ops.OpDrain, Side: ops.Green}, {Op: ops.OpPutBack, Side: ops.Blue}, {Op: ops.OpCanary, Side: ops.Green}, {Op: ops.OpRestart, Side: ops.Blue},
	}
	if diff := cmp.Diff(want, f.requests); diff != "" {
		t.Error(diff)
	}
	if len(f.calls) > 0 {
		t.Errorf("something was started without a confirmation: %v", f.calls)
	}
}

func TestMarksAreRestartedInStartOrder(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	press(a, "G", "space", "g", "j", "space", "r")
	want := []ops.Request{{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"reference", "apache"}}}
	if diff := cmp.Diff(want, f.requests); diff != "" {
		t.Error(diff)
	}
}

func TestMarksHiddenByTheFilterAreDropped(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	press(a, "space", "space", "/", "r", "e", "f")
	wants(t, a, "13 hidden, 1 mark dropped")
	press(a, "enter", "r")
	want := []ops.Request{{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"reference"}}}
	if diff := cmp.Diff(want, f.requests); diff != "" {
		t.Error(diff)
	}
	a = newConsole(f, 120, 40)
	press(a, "/", "r", "enter", "esc")
	if frame := text(a); strings.Contains(frame, "hidden") {
		t.Error("esc does not clear the filter")
	}
}

func TestWhatIsNotHereCannotBeMarked(t *testing.T) {
	a := newConsole(newFake(calm()), 120, 40)
	press(a, "/", "u", "p", "l", "enter", "space")
	wants(t, a, "generic-upload is not on BLUE")
}

func TestTheCursorStaysOnItsService(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	press(a, "j", "j", "j", "j")
	f.snap.Services = slices.Insert(slices.Clone(f.snap.Services), 0, ops.Service{Name: "new"})
	change(a)
	if a.service != "tcs" || a.stack[0].(*pair).window.Cursor != 5 {
		t.Errorf("the cursor went to %s, row %d", a.service, a.stack[0].(*pair).window.Cursor)
	}
	f.snap.Services = f.snap.Services[:3]
	change(a)
	if a.service != "reference" {
		t.Errorf("its service gone, the cursor is on %q, want the last one", a.service)
	}
}

func TestReadOnlyToggle(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	press(a, "ctrl+o")
	wants(t, a, "READ-ONLY", "nothing can be changed")
	press(a, "ctrl+o")
	wants(t, a, "read-write")
	f.readOnly, f.pinned = true, true
	press(a, "ctrl+o")
	wants(t, a, "started with --read-only", "start tandem without --read-only")
	if !f.readOnly {
		t.Error("read-only was left although the program was started with it")
	}
}

func TestPresenterHidesHosts(t *testing.T) {
	s := incident()
	s.Pair.Addresses[ops.Blue] = "ops@blue1.prod.example.org:22"
	s.Findings[0].Title = "blue1 cannot reach 10.0.9.9 nor 2001:db8::17, ticket for Acme"
	s.Blue.Lock = &ops.LockInfo{Run: "7f3a", By: "grace", From: "desk9"}
	s.Findings[1].Title = "grace at desk9 holds the lock; ops stops nothing by way of bastion"
	f := newFake(s)
	a := newConsole(f, 120, 40)
	a.opt.Redact, a.opt.Names = []string{"hosts", "addresses", "Acme"}, []string{"bastion"}
	press(a, "ctrl+p", "j")
	frame := text(a)
	if !strings.Contains(frame, "stops nothing") {
		t.Error("a part of a word is hidden")
	}
	for _, secret := range []string{"grace", "desk9", "bastion", "blue1", "example.org", "10.0.1.12", "10.0.9.9", "2001:db8", "Acme", "172.31"} {
		if strings.Contains(frame, secret) {
			t.Errorf("%q can be seen:\n%s", secret, frame)
		}
	}
	wants(t, a, "PRESENTING", "IN SERVICE", "blue-host", "20.10.24", " j\n")
	press(a, "ctrl+p")
	wants(t, a, "blue1.prod.example.org", "10.0.1.12")
}

func TestQuitting(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	if _, cmd := a.Update(key("q")); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not quit")
	}
	f.run = &ops.Run{ID: "7", Started: noon, Plan: ops.PlanDoc{Title: "restart GREEN"}}
	change(a)
	press(a, "q")
	wants(t, a, "The run goes on without this console.")
	press(a, "esc")
	if len(a.stack) != 1 {
		t.Fatal("esc does not stay")
	}
	press(a, "ctrl+c")
	if _, cmd := a.Update(key("ctrl+c")); cmd == nil || cmd() != tea.Quit() {
		t.Error("the second ctrl+c does not quit")
	}
}

func TestRefusalIsRead(t *testing.T) {
	f := newFake(calm())
	f.plan = func(r ops.Request) (ops.Plan, error) {
		return ops.Plan{}, &ops.Refusal{What: "drain BLUE", Checks: []ops.Check{{Text: "GREEN is out", Hint: "put GREEN back first"}}}
	}
	a := newConsole(f, 80, 24)
	press(a, "d")
	wants(t, a, "nothing was changed", "GREEN is out", "put GREEN back first")
	press(a, "esc")
	if len(a.stack) != 1 {
		t.Error("esc does not close the notice")
	}
}

func TestPalette(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	press(a, ":")
	for _, c := range "restart tcs" {
		press(a, key(string(c)).String())
	}
	press(a, "enter")
	want := []ops.Request{{Op: ops.OpRestart, Side: ops.Blue, Services: []string{"tcs"}}}
	if diff := cmp.Diff(want, f.requests); diff != "" {
		t.Error(diff)
	}
	a = newConsole(f, 120, 40)
	press(a, ":", "z", "q", "x", "enter")
	wants(t, a, "no command has this name")
}

func TestMouse(t *testing.T) {
	a := newConsole(newFake(calm()), 120, 40)
	if a.View().MouseMode != tea.MouseModeNone {
		t.Error("the mouse is on without being asked for")
	}
	press(a, "m")
	if a.View().MouseMode != tea.MouseModeCellMotion {
		t.Error("m does not switch the mouse on")
	}
	lines := strings.Split(text(a), "\n")
	y := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "profile") })
	a.Update(tea.MouseClickMsg{X: 80, Y: y, Button: tea.MouseLeft})
	if a.side != ops.Green || a.service != "profile" {
		t.Errorf("a click on green's profile selects %s %s", a.side, a.service)
	}
	a.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	if a.service != "usermanagement" {
		t.Errorf("the wheel goes to %s", a.service)
	}
}

// TestThemePicker: the screen is in the theme under the cursor; esc goes back, enter keeps.
func TestThemePicker(t *testing.T) {
	a := newConsole(newFake(calm()), 120, 40)
	first := a.View().Content
	press(a, "t", "down")
	if a.theme != 1 {
		t.Errorf("theme %d while the cursor is on the second", a.theme)
	}
	wants(t, a, "Theme", "dark", "color-safe", "terminal", "keeps it")
	press(a, "esc")
	if a.View().Content != first {
		t.Error("esc does not go back to the theme before")
	}
	press(a, "t")
	for range a.themes {
		press(a, "t")
	}
	press(a, "enter")
	if press(a, "j", "k"); a.View().Content != first {
		t.Error("a whole round of themes does not end where it began")
	}
	press(a, "t", "down", "enter")
	if a.theme != 1 {
		t.Errorf("theme %d was kept", a.theme)
	}
}

// TestThemeFile: the operator's own theme changes on the screen when its file does; a mistake
// in it is said and changes nothing.
func TestThemeFile(t *testing.T) {
	own := dark()
	own.Name = "mine.yaml"
	a := New(Options{Backend: newFake(calm()), Theme: own, UTC: true, Now: func() time.Time { return noon }})
	a.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	before := a.View().Content
	_, cmd := a.Update(themeFileMsg{err: errors.New("mine.yaml:3:5: no colour")})
	settle(a, cmd)
	wants(t, a, "stays unread", "mine.yaml:3:5: no colour")
	press(a, "esc")
	bright, err := themes.Load("light")
	if err != nil {
		t.Fatal(err)
	}
	bright.Name = own.Name
	_, cmd = a.Update(themeFileMsg{theme: bright})
	settle(a, cmd)
	wants(t, a, "mine.yaml read anew")
	if press(a, "j", "k"); a.View().Content == before {
		t.Error("the screen is as before")
	}
}

// TestChangesComeFromTheBackend runs the real waiting command.
func TestChangesComeFromTheBackend(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	a.ctx = t.Context()
	before := a.version
	f.snap = oneDown()
	f.changed <- struct{}{}
	msg := a.wait(0)()
	a.Update(msg)
	if a.version == before {
		t.Error("the change was not read")
	}
	wants(t, a, "unreachable, seen 42s ago", "trying again")
}

func TestNoTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	if err := Run(t.Context(), Options{}); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("got %v", err)
	}
	t.Setenv("NO_COLOR", "yes")
	if !NoColor() {
		t.Error("NO_COLOR=yes is not obeyed")
	}
}
