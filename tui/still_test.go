package tui

import (
	"context"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
)

// With reduced motion news waits for its time, and what a key does is shown at once.
func TestReducedMotion(t *testing.T) {
	f := newFake(calm())
	a := New(Options{Backend: f, Theme: dark(), UTC: true, Still: true, Now: func() time.Time { return noon }})
	if got := a.calm(); got != stillFrame {
		t.Errorf("news is shown every %s, want %s", got, stillFrame)
	}
	a.present = true
	if got := a.calm(); got != stillFrame {
		t.Errorf("presenting, news is shown every %s, want %s", got, stillFrame)
	}
	if b := New(Options{Backend: f, Theme: dark(), Now: func() time.Time { return noon }}); b.calm() != minFrame {
		t.Errorf("without it, news is shown every %s, want %s", b.calm(), minFrame)
	}
	a.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	ctx, end := context.WithTimeout(t.Context(), 10*minFrame)
	defer end()
	a.ctx = ctx
	f.changed <- struct{}{}
	if msg := a.wait(a.calm())(); msg != nil { // ten frames have gone by
		t.Errorf("news is shown at once: %T", msg)
	}
	press(a, "tab")
	if a.side != ops.Green {
		t.Error("a key waits, too")
	}
}
