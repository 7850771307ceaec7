package tui

import (
	"slices"
	"strings"
)

// KeysMarkdown is the key table as Markdown: the keys with help, a table for each group. A key
// that does the same in two states of a screen has one line. All but the first groups are folded.
func KeysMarkdown() string {
	var b strings.Builder
	for i, group := range groups {
		if i == unfolded {
			b.WriteString("<details><summary>All the others: in a run, in logs, to move, in dialogs</summary>\n\n")
		}
		var lines []string
		for j := range table {
			if k := &table[j]; k.Group == group && k.Help != "" {
				if line := "| " + markdownKey(k.Show) + " | " + k.Words + " | " + markdown(k.Help) + " |\n"; !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
		b.WriteString("| " + string(group) + " | | |\n|---|---|---|\n" + strings.Join(lines, "") + "\n")
	}
	return b.String() + "</details>\n"
}

// unfolded is how many groups are seen at once: what can be done to the pair, and where to look.
const unfolded = 2

// markdownKey writes each key of a binding as code.
func markdownKey(show string) string {
	var keys []string
	for _, key := range strings.Fields(show) {
		if name, ok := strings.CutPrefix(key, "^"); ok {
			key = "ctrl+" + name
		}
		keys = append(keys, "`"+markdown(key)+"`")
	}
	return strings.Join(keys, " ")
}

// markdown keeps text in its cell.
func markdown(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
