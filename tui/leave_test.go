package tui

import (
	"errors"
	"testing"
)

// A key pressed right after esc may open something before esc has been carried out: what
// is closed then is the screen that was left, not the one that has just been opened.
func TestLeavingClosesTheScreenThatWasLeft(t *testing.T) {
	a := newConsole(newFake(calm()), 120, 40)
	findings := newFindings(&a.env)
	a.Update(openMsg{findings})
	late := leave(findings)()
	box := newNotice(&a.env, "read-only", errors.New("started with --read-only"))
	a.Update(openMsg{box})
	a.Update(late)
	if a.top() != screen(box) || len(a.stack) != 2 {
		t.Errorf("%d screens, the top one is a %T; want the pair and the notice", len(a.stack), a.top())
	}
	a.Update(late) // it is gone already
	a.Update(leave(box)())
	if len(a.stack) != 1 {
		t.Errorf("%d screens; want the pair alone", len(a.stack))
	}
}
