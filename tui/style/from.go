package style

import (
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Tame is the text as a Put would write it: masked, safe, ASCII on request. Of a very long
// text only as much is looked at as fills most cells. Whoever cuts text before it is
// written cuts what this returns: half a name that must be hidden would not be known.
func (p *Page) Tame(text string, most int) string { return p.tame(cutBytes(text, most)) }

// Plain is text for a file: masked and safe, but not cut and in its own letters.
func (s *Sheet) Plain(text string) string {
	text = Safe(text)
	if s.mask != nil {
		text = s.mask(text)
	}
	return text
}

// Part is the width cells of tame text from column col on. Half a wide character at its
// beginning is a space.
func Part(text string, col, width int) string {
	if len(text) == Width(text) { // one byte a cell
		from := min(max(col, 0), len(text))
		return text[from:min(from+width, len(text))]
	}
	part := ansi.Cut(text, col, col+width)
	if Width(part) > width {
		part = " " + ansi.Cut(text, col+1, col+width)
	}
	return part
}

// Rows cuts tame text into rows of at most width cells; none of it is lost. There is one row
// at least.
func Rows(text string, width int) []string {
	width = max(width, 1)
	var rows []string
	for len(text) > width { // a cell takes a byte at least
		row := Head(text, width)
		if row == "" { // a character wider than the row
			_, n := utf8.DecodeRuneInString(text)
			row = text[:n]
		}
		rows = append(rows, row)
		text = text[len(row):]
	}
	if text != "" || rows == nil {
		rows = append(rows, text)
	}
	return rows
}

// Head is the beginning of tame text, as much as fits width cells.
func Head(text string, width int) string {
	if n := min(len(text), max(width, 0)); plain(text[:n]) && (n == len(text) || text[n] < utf8.RuneSelf) {
		return text[:n]
	}
	// Truncate reads all of the text. Most often the cells are within the first few bytes; a
	// cell takes four runes at most.
	for n := 3*max(width, 0) + 16; n < len(text); n *= 2 {
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		if head := ansi.Truncate(text[:n], width, ""); len(head) < n-utf8.UTFMax*4 {
			return head
		}
	}
	return ansi.Truncate(text, width, "")
}

// plain tells whether text is printable ASCII.
func plain(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < 0x20 || text[i] >= 0x7f {
			return false
		}
	}
	return true
}
