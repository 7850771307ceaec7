package tui

import (
	"regexp"
	"slices"

	"tandem/ops"
)

// logPane is a column of the log screen: the lines of one side, or of both by time. Lines
// have numbers that stay, however many come or go: number n is lines[n-first].
type logPane struct {
	sides   []ops.Side
	lines   []paneLine
	first   uint64
	total   uint64 // lines that have come so far
	follow  bool
	top     uint64 // number of the first line shown, when not following
	found   uint64 // number of the line found last; 0: none. Numbers start at 1
	several bool   // containers, so that lines must say which
	had     [2]uint64
	kept    [2][]LogLine
	states  [2]logState
}

type paneLine struct {
	*LogLine
	side ops.Side
}

func newLogPane(sides ...ops.Side) *logPane { return &logPane{sides: sides, follow: true, first: 1} }

// update reads the streams anew, if more has come.
func (p *logPane) update(streams [2]*logStream) {
	var total uint64
	for i, side := range ops.Sides {
		if slices.Contains(p.sides, side) {
			var n uint64
			p.kept[i], n, p.states[i] = streams[i].read(p.kept[i], p.had[i])
			p.had[i] = n
			total += n
		}
	}
	if total == p.total {
		return
	}
	p.total = total
	p.merge()
	p.first = total - uint64(len(p.lines)) + 1
	names := map[string]bool{}
	for _, l := range p.lines {
		if names[l.Container] = true; len(names) > len(p.sides) {
			break
		}
	}
	p.several = len(names) > len(p.sides)
}

// merge orders the lines of the sides by time.
func (p *logPane) merge() {
	p.lines = p.lines[:0]
	blue, green := p.kept[0], p.kept[1]
	for len(blue)+len(green) > 0 {
		if len(green) == 0 || len(blue) > 0 && !blue[0].At.After(green[0].At) {
			p.lines = append(p.lines, paneLine{&blue[0], ops.Blue})
			blue = blue[1:]
		} else {
			p.lines = append(p.lines, paneLine{&green[0], ops.Green})
			green = green[1:]
		}
	}
}

// end is the number after the last line.
func (p *logPane) end() uint64 { return p.first + uint64(len(p.lines)) }

// hold keeps a line number within what is kept.
func (p *logPane) hold(n uint64) uint64 { return max(p.first, min(n, max(p.end()-1, p.first))) }

// move scrolls by n lines; height is how many are shown. At the end it follows again.
func (p *logPane) move(n, height int) {
	last := p.first
	if len(p.lines) > height {
		last = p.end() - uint64(height)
	}
	if p.follow {
		p.top, p.follow = last, false
	}
	if n < 0 {
		p.top = p.hold(p.top - min(uint64(-n), p.top))
		return
	}
	p.top = p.hold(p.top + uint64(n))
	p.follow = p.top >= last
}

// find goes to the next line in direction step that has the text; false: there is none.
func (p *logPane) find(pattern *regexp.Regexp, step, height int) bool {
	at := p.top
	switch {
	case p.found >= p.first && p.found != 0:
		at = p.found
	case p.follow:
		at = p.end()
	}
	for n := int64(at) + int64(step); n >= int64(p.first) && n < int64(p.end()); n += int64(step) {
		if pattern.MatchString(p.lines[uint64(n)-p.first].Text) {
			p.found, p.follow = uint64(n), false
			p.top = p.hold(p.found - min(uint64(height/2), p.found))
			return true
		}
	}
	return false
}
