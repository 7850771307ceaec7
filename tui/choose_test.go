package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// pastRuns are earlier runs of every outcome.
func pastRuns() []ops.Run {
	var runs []ops.Run
	for i, outcome := range []ops.Outcome{ops.OutcomeDone, ops.OutcomeStopped, ops.OutcomeRolledBack, ops.OutcomeRefused, ops.OutcomeFailed} {
		r := ended(together(), outcome)
		r.ID, r.Started = fmt.Sprintf("20240517-12000%d-000%d", i, i), ago(time.Duration(i+1)*3*time.Hour)
		runs = append(runs, *r)
	}
	return runs
}

func TestChooserFrames(t *testing.T) {
	many := func() (runs []ops.Run) {
		for range 12 {
			runs = append(runs, pastRuns()...)
		}
		return runs
	}
	for _, s := range []struct {
		name   string
		images []ImageChoice
		past   []ops.Run
		keys   []string
		open   func(*App) // nil: with keys, and all is listed
	}{
		{name: "both", images: choices, past: pastRuns()},
		{name: "empty"},
		{name: "long", images: choices, past: many(), keys: []string{"pgdown", "pgdown", "pgdown"}},
		{name: "looking", open: func(a *App) { a.Update(openMsg{newChoose(&a.env, ops.Blue, "tcs")}) }},
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {40, 10}} {
			t.Run(fmt.Sprintf("%s-%dx%d", s.name, size.W, size.H), func(t *testing.T) {
				f := newFake(calm())
				f.images, f.past = s.images, s.past
				a, pass := timed(f, size.W, size.H)
				if s.open != nil {
					s.open(a)
				} else {
					play(a, pass, append([]string{"tab", "j", "j", "j", "j", "b", pause}, s.keys...)...)
				}
				keepFrame(t, a, size)
			})
		}
	}
}

func TestChoosing(t *testing.T) {
	for name, test := range map[string]struct {
		keys []string
		want []ops.Request
		see  string
	}{
		"an image":          {keys: []string{pause, "j", "enter"}, want: []ops.Request{{Op: ops.OpRollback, Side: ops.Blue, Services: []string{"keycloak"}, Images: map[string]string{"keycloak": "sha256:77b01ff00000"}}}, see: "type blue to go on"},
		"the one in use":    {keys: []string{pause, "enter"}, see: "runs this image already"},
		"a run":             {keys: []string{pause, "j", "j", "enter"}, see: "take back run 20240517-120000-0000"},
		"one taken back":    {keys: []string{pause, "j", "j", "j", "j", "enter"}, see: "taken back already"},
		"one refused":       {keys: []string{pause, "j", "j", "j", "j", "j", "enter"}, see: "nothing was changed"},
		"in haste, nothing": {keys: []string{"j", "enter"}, see: "shows the plan"},
	} {
		f := newFake(calm())
		f.plan, f.images, f.past = plannedOK, choices, pastRuns()
		a, pass := timed(f, 120, 40)
		play(a, pass, append([]string{"b"}, test.keys...)...)
		if diff := cmp.Diff(test.want, f.requests); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if name == "a run" {
			if d, ok := a.top().(*confirmDialog); !ok || d.plan.Title != test.see {
				t.Errorf("%s: %T is open", name, a.top())
			}
			continue
		}
		if !strings.Contains(text(a), test.see) {
			t.Errorf("%s: %q is not on the screen:\n%s", name, test.see, text(a))
		}
		if len(f.calls) > 0 {
			t.Errorf("%s: choosing has started %v", name, f.calls)
		}
	}
}

// TestNothingMovesUnderTheCursor checks that nothing can be chosen before all is listed.
func TestNothingMovesUnderTheCursor(t *testing.T) {
	f := newFake(calm())
	f.images, f.past = choices, pastRuns()
	a, pass := timed(f, 120, 40)
	c := newChoose(&a.env, ops.Blue, "keycloak").(*chooser)
	a.Update(openMsg{c})
	a.Update(pastMsg{of: c, runs: f.past})
	play(a, pass, pause, "j", "enter")
	wants(t, a, "looking …")
	a.Update(imagesMsg{c, f.images, nil})
	if _, ok := a.top().(*chooser); !ok || c.window.Cursor != 0 {
		t.Errorf("the cursor is on entry %d of %T", c.window.Cursor, a.top())
	}
}
