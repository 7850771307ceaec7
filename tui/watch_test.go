package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
)

// TestWatchFrames: a console that only watches begins with the run, offers nothing, and says when
// it has ended.
func TestWatchFrames(t *testing.T) {
	for name, run := range map[string]*ops.Run{
		"under way": together(), "paused": peerLost(), "over": ended(restarting(all(ops.Done, everyID...)), ops.OutcomeDone), "half-way": ended(half(), ops.OutcomeStopped),
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {40, 10}} {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", name, size.W, size.H), " ", "-"), func(t *testing.T) {
				f := newFake(calm())
				f.run, f.usual, f.readOnly, f.pinned = run, usuals(), true, true
				a := New(Options{Backend: f, Theme: dark(), UTC: true, Now: func() time.Time { return noon }, Watch: true})
				ended, end := context.WithCancel(context.Background())
				end()
				a.ctx = ended
				a.Update(tea.WindowSizeMsg{Width: size.W, Height: size.H})
				frame := a.View().Content
				checkFrame(t, frame, size)
				if size.W >= 80 {
					keepFrame(t, a, size)
					for _, offer := range []string{"rolls back", "retries", "takes it back", "ctrl+o"} {
						if strings.Contains(frame, offer) {
							t.Errorf("offers %q", offer)
						}
					}
				}
				for _, k := range everyKey() {
					press(a, k)
				}
				if len(f.calls)+len(f.requests)+len(f.shells) > 0 {
					t.Errorf("asked for %v %v %v", f.calls, f.requests, f.shells)
				}
			})
		}
	}
}
