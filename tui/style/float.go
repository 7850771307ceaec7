package style

import (
	"slices"

	"github.com/charmbracelet/x/ansi"
)

// Float lays a box of lines over the middle of a frame, whose lines are all width cells
// wide; what stays visible of the frame recedes. Lip Gloss's compositor would do it in
// fewer lines, but at 200x60 a frame then takes 4 ms of CPU and 1.8 MB; with this it
// takes 1 ms and 0.1 MB (BenchmarkFrame/over). It also trims lines that have no colour.
func (s *Sheet) Float(frame, box []string, width int) []string {
	p := s.Page(width)
	boxWidth := 0
	if len(box) > 0 {
		boxWidth = min(ansi.StringWidth(box[0]), width)
	}
	top, col := max(0, (len(frame)-len(box))/2), (width-boxWidth)/2
	for i, line := range frame {
		text := ansi.Strip(line)
		if i < top || i >= top+len(box) {
			p.Put(Ghost, text).End()
			continue
		}
		p.Limit(col).Put(Ghost, Head(text, col)).To(col).Limit(width)
		p.Inlay(box[i-top], boxWidth)
		p.Put(Ghost, Part(text, col+boxWidth, width-col-boxWidth)).End()
	}
	return slices.Clip(p.lines)
}

// Inlay adds a finished line of another page, which is width cells wide.
func (p *Page) Inlay(line string, width int) *Page {
	p.shut()
	p.buf = append(p.buf, line...)
	p.at += width
	return p
}
