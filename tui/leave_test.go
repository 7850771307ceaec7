package tui

import (
	"errors"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// What a key opens or leaves is so before the next key comes, were it in the same packet: no
// command has to run in between.
func TestTheNextKeyBelongsToTheScreenThatIsThere(t *testing.T) {
	a := newConsole(newFake(calm()), 120, 40)
	typed := func(keys ...string) {
		for _, k := range keys {
			a.Update(key(k))
		}
	}
	typed(":", "l", "o", "g", "s")
	if p, ok := a.top().(*palette); !ok || p.input.Text() != "logs" {
		t.Errorf("the top screen is a %T; want the palette with what was typed", a.top())
	}
	typed("esc", "f", "esc", "?")
	if a.top().Scope() != newHelp(&a.env, "").Scope() || len(a.stack) != 2 {
		t.Errorf("%d screens, the top one is a %T; want the pair and the help", len(a.stack), a.top())
	}
	typed("esc", "esc", "tab")
	if len(a.stack) != 1 || a.side != "green" {
		t.Errorf("%d screens, %s has the focus; want the pair alone, and green", len(a.stack), a.side)
	}
}

// A screen that leaves by itself closes no other one that lies over it.
func TestLeavingClosesTheScreenThatWasLeft(t *testing.T) {
	a := newConsole(newFake(calm()), 120, 40)
	findings := newFindings(&a.env)
	box := newNotice(&a.env, "read-only", errors.New("started with --read-only"))
	for _, msg := range []tea.Msg{openMsg{findings}, openMsg{box}, closeMsg{findings}, closeMsg{findings}} {
		a.Update(msg)
	}
	if a.top() != screen(box) || len(a.stack) != 2 {
		t.Errorf("%d screens, the top one is a %T; want the pair and the notice", len(a.stack), a.top())
	}
	a.Update(closeMsg{box})
	if len(a.stack) != 1 {
		t.Errorf("%d screens; want the pair alone", len(a.stack))
	}
}

// Who presses a key again because nothing has come yet gets one answer, and who has asked for
// something else meanwhile gets that.
func TestWhatIsAskedForTwiceComesOnce(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	var asked []tea.Cmd
	typed := func(keys ...string) {
		for _, k := range keys {
			_, cmd := a.Update(key(k))
			asked = append(asked, cmd)
		}
	}
	answer := func() {
		for _, cmd := range asked {
			settle(a, cmd)
		}
		asked = nil
	}
	top := func(want string) {
		t.Helper()
		switch s := a.top().(type) {
		case *confirmDialog:
			if len(a.stack) != 2 || s.plan.Title != want {
				t.Errorf("%d screens, the top one is the dialog of %q; want %q over the pair", len(a.stack), s.plan.Title, want)
			}
		case *noticeBox:
			if len(a.stack) != 2 || s.title != want {
				t.Errorf("%d screens, the top one is the notice %q; want %q over the pair", len(a.stack), s.title, want)
			}
		default:
			t.Errorf("the top screen is a %T; want %q", s, want)
		}
	}
	typed("d", "d", "d")
	answer()
	top("drain BLUE")
	typed("esc", "d", "r")
	answer()
	top("restart BLUE")
	if n := len(f.requests); n != 3 {
		t.Errorf("%d plans were made; want 3: %v", n, f.requests)
	}
	typed("esc")
	f.shellErr = errors.New("no answer")
	typed("s", "s")
	answer()
	top("shell on BLUE")
	typed("esc", "s")
	f.shellErr = nil
	typed("d") // a shell that comes late is closed
	answer()
	top("drain BLUE")
	if len(f.shells) != 2 || f.closed != 1 {
		t.Errorf("%d shells were opened, %d of them closed; want 2, and the late one closed", len(f.shells), f.closed)
	}
}
