package tui

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
)

// needle is what is searched for in logs: text as it is, in any case.
type needle struct {
	pattern *regexp.Regexp
	lower   string // in small letters, where it is ASCII alone; else empty
}

// newNeedle is nil where there is nothing to search for.
func newNeedle(text string) *needle {
	if text == "" {
		return nil
	}
	n := &needle{pattern: regexp.MustCompile("(?i)" + regexp.QuoteMeta(text))}
	if isASCII(text) {
		n.lower = strings.ToLower(text)
	}
	return n
}

// in tells whether a text has it. A pattern in any case takes thirty times as long as a
// plain comparison, which does for nearly all lines.
func (n *needle) in(text string) bool {
	if n.lower != "" && isASCII(text) {
		return containsFold(text, n.lower)
	}
	return n.pattern.MatchString(text)
}

func isASCII(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// containsFold looks for small letters in a text of ASCII.
func containsFold(text, lower string) bool {
	first := lower[0]
	for i := 0; i+len(lower) <= len(text); i++ {
		if small(text[i]) != first {
			continue
		}
		k := 1
		for k < len(lower) && small(text[i+k]) == lower[k] {
			k++
		}
		if k == len(lower) {
			return true
		}
	}
	return false
}

func small(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// scanMsg brings the lines of both sides that a search has found among those that were
// there when it began; what came later was looked at as it came.
type scanMsg struct {
	of   *logView
	scan uint64
	hits [2][]*logEntry
}

// look begins a search for what has been typed: in a command, for a hundred thousand lines
// take longer than a key press may. A search that another one follows ends by itself.
func (v *logView) look() tea.Cmd {
	v.sync()
	v.search = newNeedle(v.input.Text())
	scan := v.scan.Add(1)
	v.scanning, v.wanted = v.search != nil, 0
	v.merged.found, v.merged.list = nil, nil
	for i, side := range v.sides {
		v.single[i].found, side.hits = nil, nil
	}
	if v.search == nil {
		v.only = false
		return nil
	}
	search, lines := v.search, [2][]*logEntry{}
	for i, side := range v.sides {
		lines[i] = slices.Clone(side.lines)
	}
	return func() tea.Msg {
		msg := scanMsg{of: v, scan: scan}
		for i := range lines {
			for k, e := range lines[i] {
				if k%1024 == 0 && v.scan.Load() != scan {
					return nil
				}
				if search.in(e.Text) {
					msg.hits[i] = append(msg.hits[i], e)
				}
			}
		}
		return msg
	}
}

// looked takes in what a search has found, and goes where it was asked to go meanwhile.
func (v *logView) looked(msg scanMsg) tea.Cmd {
	if msg.scan != v.scan.Load() {
		return nil
	}
	v.sync()
	v.scanning = false
	for i, side := range v.sides {
		side.hits = forget(merge(msg.hits[i], side.hits), side.kept())
	}
	v.merged.list = nil // it is made anew of both
	if v.wanted != 0 {
		return v.find(v.wanted)
	}
	return nil
}

// find goes to the next line in direction step that has what is searched for.
func (v *logView) find(step int) tea.Cmd {
	switch {
	case v.search == nil:
		return nil
	case v.scanning:
		v.wanted = step
		return nil
	}
	v.wanted = 0
	if v.pane().find(step, v.height, v.only) {
		return nil
	}
	where := "below"
	if step < 0 {
		where = "above"
	}
	return v.say(style.Warn, "not found "+where+": "+v.input.Text())
}
