package tui

import "tandem/ops"

// logPane is a column of the log screen: the lines of one side, or of both by time. Where it
// stands is kept as lines and not as their positions, which change as lines come and go.
type logPane struct {
	sides  []ops.Side
	list   *logList // nil: the column is not on the screen
	follow bool
	top    *logEntry // first line shown, when not following
	found  *logEntry // the line found last; nil: none
	seen   *logEntry // the last line there was when following ended
}

func newLogPane(list *logList, sides ...ops.Side) *logPane {
	return &logPane{list: list, sides: sides, follow: true}
}

// stand goes to the place of another column: at the same line, or where that would be.
func (p *logPane) stand(at *logPane) {
	p.follow, p.top, p.found, p.seen = at.follow, at.top, at.found, at.seen
}

// inSight tells whether the line found last is among the height lines from the top on.
func (p *logPane) inSight(lines []*logEntry, height int) bool {
	n := place(lines, p.found) - p.at(lines)
	return n >= 0 && n < height
}

// shown are the lines to be read: all, or only those that are searched for.
func (p *logPane) shown(only bool) []*logEntry {
	if only {
		return p.list.hits
	}
	return p.list.lines
}

// at is the position of the first line shown.
func (p *logPane) at(lines []*logEntry) int { return max(min(place(lines, p.top), len(lines)-1), 0) }

// stop ends following, with the line at the given position on top.
func (p *logPane) stop(lines []*logEntry, at int) {
	if p.follow {
		p.follow, p.seen = false, nil
		if n := len(lines); n > 0 {
			p.seen = lines[n-1]
		}
	}
	p.top = nil
	if at = min(at, len(lines)-1); at > 0 {
		p.top = lines[at]
	}
}

// news is how many lines have come since following ended.
func (p *logPane) news(lines []*logEntry) int {
	if p.follow {
		return 0
	}
	n := place(lines, p.seen)
	if n < len(lines) && lines[n] == p.seen {
		n++
	}
	return len(lines) - n
}

// move scrolls by n lines; height is how many are shown. At the end it follows again.
func (p *logPane) move(n, height int, only bool) {
	lines := p.shown(only)
	last := max(len(lines)-height, 0)
	at := last
	if !p.follow {
		at = p.at(lines)
	}
	at = max(min(at+n, len(lines)-1), 0)
	if n > 0 && at >= last {
		p.follow = true
		return
	}
	p.stop(lines, at)
}

// find goes to the next line in direction step that is searched for; false: there is none.
func (p *logPane) find(step, height int, only bool) bool {
	hits := p.list.hits
	n := place(hits, p.top)
	switch {
	case p.found != nil:
		n = place(hits, p.found)
		if step > 0 && (n == len(hits) || hits[n] != p.found) { // it is no longer kept
			n--
		}
		n += step
	case p.follow:
		n = len(hits) + min(step, 0)
	case step < 0:
		n--
	}
	if n < 0 || n >= len(hits) {
		return false
	}
	p.found = hits[n]
	lines := p.shown(only)
	p.stop(lines, place(lines, p.found)-height/2)
	return true
}

// rank is which of the lines that are searched for is the one found last; 0: none.
func (p *logPane) rank() int {
	n := place(p.list.hits, p.found)
	if p.found == nil || n == len(p.list.hits) || p.list.hits[n] != p.found {
		return 0
	}
	return n + 1
}
