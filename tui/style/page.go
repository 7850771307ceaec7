package style

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Page is a block of lines of one width, written from left to right and from top to
// bottom. Puts return the page, so that a line reads as a sentence.
type Page struct {
	sheet  *Sheet
	width  int
	limit  int
	at     int
	ink    Ink
	ground Ground
	end    string // what ends the style of the ink
	buf    []byte
	lines  []string
}

const none = inks // no ink is set

// Page starts a block of the given width.
func (s *Sheet) Page(width int) *Page {
	width = max(width, 0)
	return &Page{sheet: s, width: width, limit: width, ink: none, buf: make([]byte, 0, 4*width+64)}
}

// Width of the page.
func (p *Page) Width() int { return p.width }

// At is the column of the next text.
func (p *Page) At() int { return p.at }

// Left is how many cells are left up to the limit.
func (p *Page) Left() int { return max(p.limit-p.at, 0) }

// Limit sets the column before which text must end, until the end of the line.
func (p *Page) Limit(col int) *Page {
	p.limit = max(0, min(col, p.width))
	return p
}

// Free lifts the limit.
func (p *Page) Free() *Page { return p.Limit(p.width) }

// On sets the ground for what follows, until the end of the line.
func (p *Page) On(g Ground) *Page {
	if g != p.ground {
		p.shut()
		p.ground = g
	}
	return p
}

// Put writes text, cut with an ellipsis where it does not fit.
func (p *Page) Put(ink Ink, text string) *Page {
	left := p.limit - p.at
	if left <= 0 || text == "" {
		return p
	}
	plain, width := p.fit(text, left)
	if width == 0 {
		return p
	}
	p.use(ink)
	p.buf = append(p.buf, plain...)
	p.at += width
	return p
}

// Space leaves n cells free.
func (p *Page) Space(n int) *Page { return p.To(p.at + n) }

// To goes on at a column, if it is not there or past it already.
func (p *Page) To(col int) *Page {
	col = min(col, p.limit)
	if p.at >= col {
		return p
	}
	if p.ink == none || p.ink >= BlueChip && p.ink <= DangerChip {
		p.use(Text)
	}
	for ; p.at < col; p.at++ {
		p.buf = append(p.buf, ' ')
	}
	return p
}

// Cell writes text into n cells, to the left, and goes on after them.
func (p *Page) Cell(ink Ink, text string, n int) *Page {
	col, limit := p.at+n, p.limit
	p.limit = min(limit, col)
	p.Put(ink, text)
	p.limit = limit
	return p.To(col)
}

// Number writes text into n cells, to the right, and goes on after them.
func (p *Page) Number(ink Ink, text string, n int) *Page {
	col := p.at + n
	p.To(col - p.Measure(text))
	return p.Cell(ink, text, col-p.at)
}

// Right writes text so that it ends before the limit; it gives way to what is there.
func (p *Page) Right(ink Ink, text string) *Page {
	return p.To(p.limit-p.Measure(text)).Put(ink, text)
}

// Measure is how many cells the text will take, masked and safe.
func (p *Page) Measure(text string) int { return Width(p.tame(text)) }

// Fill repeats a one-cell glyph up to a column.
func (p *Page) Fill(ink Ink, glyph string, col int) *Page {
	col = min(col, p.limit)
	if p.at >= col {
		return p
	}
	p.use(ink)
	glyph = p.tame(glyph)
	for ; p.at < col; p.at++ {
		p.buf = append(p.buf, glyph...)
	}
	return p
}

// End fills the line and starts the next one.
func (p *Page) End() *Page {
	p.limit = p.width
	p.To(p.width)
	p.shut()
	p.lines = append(p.lines, string(p.buf))
	p.buf, p.at, p.ground = p.buf[:0], 0, Plain
	return p
}

// Blank writes n empty lines.
func (p *Page) Blank(n int) *Page {
	for range n {
		p.End()
	}
	return p
}

// Len is how many lines are finished.
func (p *Page) Len() int { return len(p.lines) }

// Lines returns the finished lines.
func (p *Page) Lines() []string { return p.lines }

// Fit returns exactly n lines: the first ones, or with blank ones below.
func (p *Page) Fit(n int) []string {
	for len(p.lines) < n {
		p.End()
	}
	return p.lines[:max(n, 0)]
}

// Wrap writes text over as many lines as it needs, at most most, from the present column.
func (p *Page) Wrap(ink Ink, text string, most int) *Page {
	col, limit := p.at, p.limit
	if limit-col < 8 {
		return p.Put(ink, text).End()
	}
	words := strings.Fields(p.tame(cutBytes(text, most*(limit-col))))
	lines := 1
	for i, word := range words {
		if i > 0 && p.at > col && p.at+1+Width(word) > limit {
			if lines == most {
				p.limit = limit
				p.Put(ink, " "+strings.Join(words[i:], " "))
				break
			}
			p.End()
			lines++
			p.Limit(limit).To(col)
		} else if i > 0 && p.at > col {
			p.Space(1)
		}
		p.Put(ink, word)
	}
	return p.End()
}

func (p *Page) use(ink Ink) {
	if ink == p.ink {
		return
	}
	p.shut()
	face := &p.sheet.faces[p.ground][ink]
	p.buf = append(p.buf, face.open...)
	p.ink, p.end = ink, face.close
}

// shut ends the style of the ink.
func (p *Page) shut() {
	p.buf = append(p.buf, p.end...)
	p.ink, p.end = none, ""
}

// fit makes text safe and cuts it to the cells that are left.
func (p *Page) fit(text string, left int) (string, int) {
	text = p.tame(cutBytes(text, left))
	width := Width(text)
	if width <= left {
		return text, width
	}
	tail := Ellipsis
	if p.sheet.ascii {
		tail = "~"
	}
	text = ansi.Truncate(text, left, tail)
	return text, Width(text)
}

// cutBytes bounds the work on very long text: a cell takes at most four runes (three
// combining marks), and masking needs to see a little more than is shown.
func cutBytes(text string, cells int) string {
	most := 16*cells + 256
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

func (p *Page) tame(text string) string {
	text = p.sheet.Plain(text)
	if p.sheet.ascii {
		return toASCII(text)
	}
	return text
}

// toASCII replaces what is not ASCII, cell by cell.
func toASCII(text string) string {
	i := 0
	for i < len(text) && text[i] < utf8.RuneSelf {
		i++
	}
	if i == len(text) {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:i])
	for _, r := range text[i:] {
		if r < utf8.RuneSelf {
			b.WriteByte(byte(r))
		} else if c, ok := ascii[r]; ok {
			b.WriteByte(c)
		} else {
			for range ansi.StringWidth(string(r)) {
				b.WriteByte('?')
			}
		}
	}
	return b.String()
}
