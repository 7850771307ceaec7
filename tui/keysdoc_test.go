package tui

import (
	"strings"
	"testing"
)

// Every key with help is in the table of the README, under its group, and nothing else is.
func TestKeysMarkdown(t *testing.T) {
	got := KeysMarkdown()
	for i := range table {
		if k := &table[i]; k.Help != "" && !strings.Contains(got, "| "+k.Words+" | "+markdown(k.Help)+" |\n") {
			t.Errorf("no line of %q:\n%s", k.Words, got)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 4 {
			t.Errorf("not three cells: %s", line)
		}
	}
	for _, want := range []string{"| Operations | | |\n", "| `d` | drain |", "| `ctrl+o` | read-only |", "| `↑` `k` | up |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
