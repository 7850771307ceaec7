package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

// everyScreen is how each screen is reached, from the pair.
var everyScreen = map[string][]string{
	"pair": nil, "filter": {"/"}, "palette": {":"}, "help": {"?"}, "findings": {"f"}, "details": {"enter"}, "logs": {"l"}, "search in logs": {"l", "/"}, "timeline": {"T"}, "filter of the timeline": {"T", "/"},
	"themes": {"t"}, "roll back": {"b"}, "jobs": {"J"}, "patch": {"P"}, "canary": {"c"}, "drain": {"d"}, "recover": {"R"}, "put back": {"u"},
	"restart": {"space", "r"}, "run": {"v"}, "note": {"v", "n"}, "stop?": {"v", "x"}, "roll back?": {"v", "b"}, "resume?": {"v", "s"}, "quit?": {"ctrl+c"},
}

// everyKey are the keys of the table, and what else a keyboard has.
func everyKey() []string {
	var keys []string
	for c := '!'; c < 0x7f; c++ {
		keys = append(keys, string(c))
	}
	for _, b := range table {
		keys = append(keys, b.Keys...)
	}
	keys = append(keys, "backspace", "f1", "ctrl+z", "ctrl+d", "é", "日")
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestEveryKeyOnEveryScreen presses every key on every screen, in every situation: nothing
// panics, every frame fits, and nothing that can hurt happens without its dialog having been
// answered. Read-only, nothing happens at all.
func TestEveryKeyOnEveryScreen(t *testing.T) {
	runs := map[string]*ops.Run{
		"quiet": nil,
		"live":  {ID: "7f3a", Started: ago(time.Minute), Plan: ops.PlanDoc{Title: "restart GREEN"}},
		"half-way": {ID: "7f3a", Started: ago(time.Minute), Ended: ago(time.Second), Outcome: ops.OutcomeStopped,
			Plan: ops.PlanDoc{Title: "restart GREEN"}},
	}
	size := Size{80, 24}
	for _, in := range []struct {
		state    string
		readOnly bool
	}{{"quiet", false}, {"live", false}, {"half-way", false}, {"quiet", true}} {
		for name, way := range everyScreen {
			if in.state != "quiet" && len(way) > 0 && way[0] != "v" { // the others do not know of runs
				continue
			}
			t.Run(in.state+" "+name, func(t *testing.T) {
				t.Parallel()
				for _, k := range everyKey() {
					f := newFake(incident())
					f.run, f.readOnly = runs[in.state], in.readOnly
					a := newConsole(f, size.W, size.H)
					press(a, way...)
					press(a, k)
					checkFrame(t, a.View().Content, size)
					for _, call := range f.calls {
						mild := strings.HasPrefix(call, "ask 7f3a pause") || strings.HasPrefix(call, "ask 7f3a continue")
						answered := k == "y" && strings.HasSuffix(name, "?")
						if !mild && !answered || in.readOnly && k != "ctrl+o" {
							t.Errorf("%s: %q does %q", name, k, call)
						}
					}
				}
			})
		}
	}
}
