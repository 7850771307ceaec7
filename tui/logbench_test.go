package tui

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkLogs draws logs whose lines are as long as they are kept, both sides, wrapped.
func BenchmarkLogs(b *testing.B) {
	for name, text := range map[string]string{"plain": strings.Repeat("x", 1<<20), "accents": strings.Repeat("é", 1<<19), "short": "INFO it works"} {
		b.Run(name, func(b *testing.B) {
			a, v := logScreen(200, 60)
			for i := range 5000 {
				for _, side := range v.sides {
					side.stream.add(logLine(i, text))
				}
			}
			press(a, "w", "/", "y", "enter")
			b.ReportAllocs()
			for b.Loop() {
				v.sides[0].stream.add(logLine(0, text))
				a.drawn = false
				a.View()
			}
		})
	}
}

// benchLines is a log of n lines a side, searched for what every seventh line has.
func benchLines(n int, keys ...string) (*App, *logView) {
	a, v := logScreen(200, 60)
	fill(v, n)
	press(a, append(keys, "/", "w", "a", "r", "n", "enter", "f")...)
	return a, v
}

// BenchmarkLogLines is what a long log costs beside a short one.
func BenchmarkLogLines(b *testing.B) {
	for _, act := range logActs {
		for _, n := range []int{1000, logKept} {
			b.Run(fmt.Sprintf("%s/%d", act.name, n), func(b *testing.B) {
				a, v := benchLines(n, act.keys...)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					act.do(a, v, n+i)
				}
			})
		}
	}
}

// logActs are what happens many times in a log, or at a key.
var logActs = []struct {
	name string
	keys []string
	do   func(a *App, v *logView, i int)
}{
	{"append", nil, func(_ *App, v *logView, i int) { v.sides[0].stream.add(logLine(2*i, "INFO it works")) }},
	{"follow", nil, follow},
	{"follow merged", []string{"o"}, follow},
	{"next", nil, func(a *App, _ *logView, i int) {
		if i%100 == 0 {
			a.Update(key("g"))
		}
		a.Update(key("n"))
		a.View()
	}},
	{"scroll", nil, func(a *App, _ *logView, i int) {
		a.Update(key([]string{"pgup", "up", "g", "G"}[i%4]))
		a.View()
	}},
	{"type", nil, func(a *App, v *logView, i int) { // what is found comes from a command
		v.typing = true
		a.Update(key([]string{"x", "backspace"}[i%2]))
		a.View()
	}},
	{"sides", nil, func(a *App, _ *logView, _ int) {
		a.Update(key("o"))
		a.View()
	}},
}

// follow lets a hundred lines come on each side, and draws them.
func follow(a *App, v *logView, i int) {
	for k := range 100 {
		for _, side := range v.sides {
			side.stream.add(logLine(2*i+k, "INFO it works"))
		}
	}
	a.drawn = false
	a.View()
}

// TestLongLogsCostNoMore follows a short log and a long one: what is read anew for a frame is
// what is new, and not all that is kept. Bytes are counted, for time depends on the machine.
func TestLongLogsCostNoMore(t *testing.T) {
	cost := func(n int) map[string]uint64 {
		a, v := benchLines(n)
		costs := map[string]uint64{}
		for _, act := range logActs {
			for _, k := range act.keys {
				a.Update(key(k))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range 30 {
				act.do(a, v, n+i)
			}
			runtime.ReadMemStats(&after)
			costs[act.name] = after.TotalAlloc - before.TotalAlloc
		}
		return costs
	}
	short, long := cost(1000), cost(logKept)
	for name := range short {
		// A list that grows is moved now and then, and a key that begins a search or shows both
		// sides in one column has to take the lists with it: eight bytes a line.
		room := uint64(2 * 2 * 8 * logKept)
		if name == "type" || name == "sides" {
			room *= 30
		}
		if long[name] > 2*short[name]+room {
			t.Errorf("%s: %d bytes for %d lines, %d for 1000", name, long[name], logKept, short[name])
		}
	}
}
