package tui

import (
	"strings"
	"testing"

	"tandem/ops"
)

// scopes are all that screens can have.
var scopes = []Scope{inPair, inFilter, inPalette, inList, inDetails, inNotice, inConfirm, inNamed, inTyped, inAsk, inRefused, inRisky, inChoose, inRun, inReplay, inLogs}

// states are the situations on which bindings depend.
func states() map[string]*env {
	make := func(readOnly bool, run *ops.Run) *env {
		f := newFake(calm())
		f.readOnly, f.run = readOnly, run
		return &newConsole(f, 120, 40).env
	}
	return map[string]*env{
		"quiet":     make(false, nil),
		"read-only": make(true, nil),
		"live":      make(false, &ops.Run{ID: "1", Started: noon}),
		"paused":    make(false, &ops.Run{ID: "1", Started: noon, Paused: true}),
		"stopped":   make(false, &ops.Run{ID: "1", Started: noon, Ended: noon, Outcome: ops.OutcomeStopped}),
		"done":      make(false, &ops.Run{ID: "1", Started: noon, Ended: noon, Outcome: ops.OutcomeDone}),
	}
}

// TestOneMeaningAKey checks that in no situation a key has two meanings.
func TestOneMeaningAKey(t *testing.T) {
	for state, e := range states() {
		for _, scope := range scopes {
			taken := map[string]Action{}
			for i := range table {
				b := &table[i]
				if !b.In(scope) || b.reason(e) != "" {
					continue
				}
				for _, k := range b.Keys {
					if other, ok := taken[k]; ok {
						t.Errorf("%s, %s: %q means both %q and %q", state, scope, k, other, b.Action)
					}
					taken[k] = b.Action
				}
			}
		}
	}
}

// TestTypingIsNotTaken checks that letters reach the screens that take text.
func TestTypingIsNotTaken(t *testing.T) {
	e := states()["quiet"]
	for _, scope := range []Scope{inFilter, inPalette, inTyped, inNamed} {
		for c := '!'; c < 0x7f; c++ {
			digit := c >= '0' && c <= '9' // no side has one in its name
			if b, _ := find(e, scope, key(string(c)).String()); b != nil && !(digit && scope == inNamed) {
				t.Errorf("%s: %q is taken by %s", scope, c, b.Action)
			}
		}
	}
}

// TestEveryScreenHasAWayOut checks esc and ctrl+c everywhere.
func TestEveryScreenHasAWayOut(t *testing.T) {
	for state, e := range states() {
		for _, scope := range scopes {
			if b, why := find(e, scope, "esc"); b == nil || why != "" || b.Action != actBack {
				t.Errorf("%s: esc does not go back from %s", state, scope)
			}
			if b, why := find(e, scope, "ctrl+c"); b == nil || why != "" || b.Action != actLeave {
				t.Errorf("%s: ctrl+c does not leave from %s", state, scope)
			}
		}
	}
}

// TestHelpHasEveryKey checks that what is bound is explained, and that operations of
// later versions are not promised.
func TestHelpHasEveryKey(t *testing.T) {
	f := newFake(calm())
	a := newConsole(f, 120, 200)
	press(a, "?")
	help := trimmed(a.View().Content)
	explained := map[Action]bool{}
	for i := range table {
		b := &table[i]
		if b.Help == "" {
			continue
		}
		explained[b.Action] = true
		if !strings.Contains(help, b.Show+" ") || !strings.Contains(help, b.Words) {
			t.Errorf("help lacks %s %s", b.Show, b.Words)
		}
	}
	for i := range table {
		if !explained[table[i].Action] {
			t.Errorf("no word in help of what %s does", table[i].Action)
		}
	}
}

func TestReadOnlySaysWhy(t *testing.T) {
	f := newFake(calm())
	f.readOnly = true
	a := newConsole(f, 120, 40)
	for _, k := range []string{"d", "u", "r", "R", "b", "c"} {
		press(a, k)
		if text := trimmed(a.View().Content); !strings.Contains(text, "not now, read-only") {
			t.Errorf("%s: no reason on the screen", k)
		}
	}
	if len(f.requests)+len(f.calls) > 0 {
		t.Errorf("read-only, yet asked for %v %v", f.requests, f.calls)
	}
}
