package tui

import (
	"strings"
	"testing"
	"time"
)

// bigConsole shows 2 x 1,000 containers at 200x60.
func bigConsole() (*App, *fake) {
	s := big(1000)
	s.Findings = incident().Findings
	f := newFake(s)
	f.timeline = incidentTimeline()
	return newConsole(f, 200, 60), f
}

// changed is what a signal of the backend costs: everything is read and drawn anew.
func changed(a *App) {
	a.Update(backendMsg{})
	a.View()
}

func BenchmarkFrame(b *testing.B) {
	b.Run("changed", func(b *testing.B) {
		a, _ := bigConsole()
		b.ReportAllocs()
		for b.Loop() {
			changed(a)
		}
	})
	b.Run("key", func(b *testing.B) {
		a, _ := bigConsole()
		b.ReportAllocs()
		for b.Loop() {
			a.Update(key("down"))
			a.View()
		}
	})
	b.Run("second", func(b *testing.B) {
		a, _ := bigConsole()
		b.ReportAllocs()
		for b.Loop() {
			a.Update(tickMsg{})
			a.View()
		}
	})
	b.Run("over", func(b *testing.B) { // something floats over the frame
		a, _ := bigConsole()
		press(a, ":")
		b.ReportAllocs()
		for b.Loop() {
			a.Update(tickMsg{})
			a.View()
		}
	})
}

// TestAllocations keeps a frame of 2 x 1,000 containers under 2,000 allocations.
func TestAllocations(t *testing.T) {
	a, _ := bigConsole()
	if n := testing.AllocsPerRun(20, func() { changed(a) }); n >= 2000 {
		t.Errorf("a changed frame takes %.0f allocations, want under 2,000", n)
	}
	if n := testing.AllocsPerRun(20, func() { a.Update(key("down")); a.View() }); n >= 2000 {
		t.Errorf("a key takes %.0f allocations, want under 2,000", n)
	}
	if n := testing.AllocsPerRun(20, func() { a.Update(tickMsg{}); a.View() }); n >= 150 {
		t.Errorf("a second without news takes %.0f allocations, want under 150", n)
	}
}

// TestASecondChangesTheClockOnly checks that nothing moves when nothing happens.
func TestASecondChangesTheClockOnly(t *testing.T) {
	f := newFake(calm())
	now := noon
	a := newConsole(f, 120, 40)
	a.now = func() time.Time { return now }
	before := strings.Split(a.View().Content, "\n")
	now = now.Add(time.Second)
	a.Update(tickMsg{})
	after := strings.Split(a.View().Content, "\n")
	for i := range before {
		if (before[i] != after[i]) != (i == 0) {
			t.Errorf("line %d: %q became %q", i, before[i], after[i])
		}
	}
	cards := a.stack[0].(*pair).cards
	a.Update(tickMsg{})
	a.View()
	for i, c := range a.stack[0].(*pair).cards {
		if &c.lines[0] != &cards[i].lines[0] {
			t.Errorf("card %d was written again although nothing had changed", i)
		}
	}
	// After a while the data is older than limits.stale, and that is shown.
	now = now.Add(15 * time.Second)
	a.Update(tickMsg{})
	if text := trimmed(a.View().Content); !strings.Contains(text, "old: seen 18s ago") || !strings.Contains(text, "? of 2 in service") {
		t.Errorf("data has become stale without a sign:\n%s", text)
	}
}
