package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
)

func TestRemap(t *testing.T) {
	for _, c := range []struct {
		changes []KeyChange
		at      int
		err     string
	}{
		{[]KeyChange{{"drain", "D"}, {"put-back", "f5"}}, 0, ""},
		{[]KeyChange{{"drain", "r"}, {"restart", "d"}}, 0, ""}, // each other's
		{[]KeyChange{{"drain", "r"}}, 0, "r means restart already"},
		{[]KeyChange{{"put back", "D"}, {"drian", "X"}}, 1, `"drian" is no act with a key of its own; there are drain, put back`},
		{[]KeyChange{{"drain", "dd"}}, 0, `"dd" is no key`},
		{[]KeyChange{{"drain", "y"}}, 0, "y stays what it is"},
		{[]KeyChange{{"drain", "D"}, {"drain", "E"}}, 1, "drain has two keys"},
		{[]KeyChange{{"up", "w"}}, 0, `"up" is no act`},
	} {
		keys, at, err := Remap(c.changes)
		if c.err == "" {
			if err != nil || keys == nil {
				t.Errorf("%v: %v", c.changes, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.err) || at != c.at {
			t.Errorf("%v: at %d: %v; want %q at %d", c.changes, at, err, c.err, c.at)
		}
	}
}

// TestRemappedKeys: the old key is nothing any more, bar and help show the new one.
func TestRemappedKeys(t *testing.T) {
	keys, _, err := Remap([]KeyChange{{"drain", "D"}})
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(calm())
	a := New(Options{Backend: f, Theme: dark(), UTC: true, Now: newConsole(f, 120, 40).now, Keys: keys})
	a.ctx = newConsole(f, 120, 40).ctx
	a.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	press(a, "d")
	if len(f.requests) != 0 {
		t.Errorf("d still asks for %v", f.requests)
	}
	wants(t, a, "D drain")
	press(a, "D")
	if len(f.requests) != 1 || f.requests[0].Op != ops.OpDrain {
		t.Errorf("D asks for %v", f.requests)
	}
}
