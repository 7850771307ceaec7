package style

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Safe makes text from a host harmless for a terminal: escape sequences go as a whole;
// line ends and tabs become a space; control characters (C0, C1), direction marks and
// other invisible characters go; invalid bytes become U+FFFD; at most three combining
// marks stay on a character. What is left has the same width by grapheme (UAX 29) and by
// wcwidth, so that no terminal disagrees about where the next cell is. The price is paid
// by scripts whose letters join (vowel signs of India's scripts go, loose Hangul jamo
// become U+FFFD) and by flags, which become their two letters.
func Safe(text string) string {
	if clean(text) {
		return text
	}
	if strings.ContainsFunc(text, introducer) || !utf8.ValidString(text) {
		text = ansi.Strip(text)
	}
	var b strings.Builder
	b.Grow(len(text))
	marks := 0
	for _, r := range text {
		switch kind(r) {
		case asIs:
			b.WriteRune(r)
			marks = 0
		case blank:
			b.WriteByte(' ')
			marks = 0
		case mark:
			if marks++; marks <= 3 && b.Len() > 0 {
				b.WriteRune(r)
			}
		case joins:
			b.WriteRune(utf8.RuneError)
			marks = 0
		case flag:
			b.WriteRune('A' + r - 0x1f1e6)
			marks = 0
		}
	}
	return b.String()
}

// introducer tells whether a rune begins an escape or control sequence (ECMA-48).
func introducer(r rune) bool { return r == 0x1b || r >= 0x80 && r < 0xa0 }

// clean tells whether nothing has to be done: the common case, without an allocation.
func clean(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c >= utf8.RuneSelf {
			return cleanRunes(text[i:])
		} else if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}

func cleanRunes(text string) bool {
	for _, r := range text {
		if kind(r) != asIs {
			return false
		}
	}
	return utf8.ValidString(text)
}

// What is done with a rune.
type treatment uint8

const (
	asIs treatment = iota
	gone
	blank
	mark
	joins
	flag
)

func kind(r rune) treatment {
	switch {
	case r >= 0x20 && r < 0x7f, r >= 0x2190 && r < 0x2800, r >= 0x4e00 && r < 0xa000: // ASCII, signs, ideographs: at once
		return asIs
	case r == '\n', r == '\r', r == '\t', r == '\v', r == '\f', r == 0x2028, r == 0x2029:
		return blank
	case r < 0x20, r >= 0x7f && r < 0xa0, unicode.Is(unicode.Cf, r):
		return gone
	case r >= 0x1f1e6 && r <= 0x1f1ff:
		return flag
	case unicode.Is(vanishing, r), unicode.Is(unicode.Mc, r):
		return gone
	case unicode.Is(joining, r):
		return joins
	case unicode.In(r, unicode.Mn, unicode.Me):
		if unicode.Is(brahmic, r) {
			return gone
		}
		return mark
	}
	return asIs
}

// vanishing: fillers and joiners without a cell, variation selectors, the keycap mark,
// half-width voicing marks, skin tones, tags.
var vanishing = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, {Lo: 0x180b, Hi: 0x180f, Stride: 1}, {Lo: 0x20e3, Hi: 0x20e3, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xfe00, Hi: 0xfe0f, Stride: 1}, {Lo: 0xff9e, Hi: 0xffa0, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f3fb, Hi: 0x1f3ff, Stride: 1}, {Lo: 0xe0000, Hi: 0xe0fff, Stride: 1}},
}

// joining runes are drawn into the cell of a neighbour: Hangul jamo, am of Thai and Lao, and the
// letters that UAX 29 calls prepending.
var joining = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x0d4e, Hi: 0x0d4e, Stride: 1}, {Lo: 0x0e33, Hi: 0x0e33, Stride: 1}, {Lo: 0x0eb3, Hi: 0x0eb3, Stride: 1}, {Lo: 0x1100, Hi: 0x11ff, Stride: 1}, {Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xd7b0, Hi: 0xd7ff, Stride: 1}},
	R32: []unicode.Range32{
		{Lo: 0x111c2, Hi: 0x111c3, Stride: 1}, {Lo: 0x113d1, Hi: 0x113d1, Stride: 1}, {Lo: 0x1193f, Hi: 0x11941, Stride: 2}, {Lo: 0x11a3a, Hi: 0x11a3a, Stride: 1},
		{Lo: 0x11a84, Hi: 0x11a89, Stride: 1}, {Lo: 0x11d46, Hi: 0x11d46, Stride: 1}, {Lo: 0x11f02, Hi: 0x11f02, Stride: 1},
	},
}

// brahmic is where marks tie letters into one cluster (UAX 29, rule GB9c).
var brahmic = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x0900, Hi: 0x0dff, Stride: 1}, {Lo: 0x1000, Hi: 0x109f, Stride: 1}, {Lo: 0x1700, Hi: 0x1cff, Stride: 1}, {Lo: 0xa800, Hi: 0xabff, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x10a00, Hi: 0x11fff, Stride: 1}},
}

// Width is how many cells safe text takes.
func Width(text string) int {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0x20 || c >= 0x7f {
			return ansi.StringWidth(text)
		}
	}
	return len(text)
}
