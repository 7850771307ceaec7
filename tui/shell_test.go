package tui

import (
	"errors"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
)

// opened presses keys up to the point where the terminal is handed over, and tells whether it was.
func opened(t *testing.T, a *App, f *fake, keys ...string) bool {
	t.Helper()
	before := f.closed
	press(a, keys...)
	return len(f.shells) > 0 && f.closed == before
}

func TestShellKeys(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	if !opened(t, a, f, "s") || !opened(t, a, f, "tab", "j", "x") {
		t.Error("no shell was opened")
	}
	if want := []string{"blue", "green reference"}; !slices.Equal(f.shells, want) {
		t.Errorf("opened %q, want %q", f.shells, want)
	}
}

func TestShellsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*App, *fake)
		keys []string
		see  []string
	}{
		"read-only":   {func(_ *App, f *fake) { f.readOnly = true }, []string{"s"}, []string{"shell: not now, read-only"}},
		"presenting":  {func(a *App, _ *fake) { press(a, "ctrl+p") }, []string{"x"}, []string{"not now, presenting: what a shell shows cannot be masked"}},
		"not here":    {func(a *App, _ *fake) { a.service = "generic-upload" }, []string{"x"}, []string{"not now, generic-upload is not on blue"}},
		"by its name": {func(_ *App, f *fake) { f.readOnly = true }, append(append([]string{":"}, typing("shell")...), "enter"), []string{"read-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(calm())
			a := newConsole(f, 120, 40)
			test.set(a, f)
			if opened(t, a, f, test.keys...) {
				t.Fatal("a shell was opened")
			}
			wants(t, a, test.see...)
			if len(f.shells) > 0 {
				t.Errorf("asked for %q", f.shells)
			}
		})
	}
}

func TestShellThatCannotBeOpened(t *testing.T) {
	f := newFake(calm())
	f.shellErr = &ops.Problem{Doing: "opening a shell in tis_keycloak_1", Side: ops.Blue, Err: errors.New("its image has no shell"), Hint: "open one on the host"}
	a := newConsole(f, 120, 40)
	press(a, "x")
	wants(t, a, "shell in keycloak on BLUE", "its image has no shell", "open one on the host")
}

// TestShellWhileARunIsUnderWay asks first, and names the run.
func TestShellWhileARunIsUnderWay(t *testing.T) {
	f := newFake(calm())
	f.run = &ops.Run{ID: "7f3a", Started: ago(time.Minute), Plan: ops.PlanDoc{Title: "restart 14 services of GREEN"}, Steps: []ops.RunStep{{Phase: ops.Running}}}
	at := noon
	a := New(Options{Backend: f, Theme: dark(), UTC: true, Now: func() time.Time { return at }})
	a.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	press(a, "s")
	wants(t, a, "Open a shell on BLUE?", "restart 14 services of GREEN")
	at = at.Add(time.Second)
	press(a, "enter")
	if len(f.shells) > 0 {
		t.Fatal("enter opens a shell")
	}
	press(a, "s")
	at = at.Add(time.Second)
	if !opened(t, a, f, "y") {
		t.Error("y opens no shell")
	}
}

// TestShellThatComesLate is closed where the operator has gone elsewhere, or begun to present,
// while it was being opened.
func TestShellThatComesLate(t *testing.T) {
	for key, why := range map[string]string{"f": "another screen is open", "ctrl+p": "presenting", "ctrl+o": "read-only"} {
		f := newFake(calm())
		a := newConsole(f, 120, 40)
		_, opens := a.Update(tea.KeyPressMsg{Code: 's', Text: "s"})
		press(a, key)
		settle(a, opens)
		if f.closed != 1 {
			t.Errorf("%s: the shell was not closed", key)
		}
		wants(t, a, "shell on BLUE: not now, "+why)
	}
}
