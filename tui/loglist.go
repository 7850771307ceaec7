package tui

import (
	"cmp"
	"slices"
	"sort"

	"tandem/ops"
)

// logList is a log in the order of time, and of it the lines that are searched for.
type logList struct {
	lines, hits []*logEntry
}

// byTime is the one order of log lines: by time, then blue first, then as they came.
func byTime(a, b *logEntry) int {
	switch {
	case a.at != b.at:
		return cmp.Compare(a.at, b.at)
	case a.side != b.side:
		return a.side - b.side
	}
	return cmp.Compare(a.number, b.number)
}

// add puts lines that are in order where they belong, which is most often the end.
func (l *logList) add(news []*logEntry, search *needle) {
	l.lines = merge(l.lines, news)
	if search == nil {
		return
	}
	var hits []*logEntry
	for _, e := range news {
		if search.in(e.Text) {
			hits = append(hits, e)
		}
	}
	l.hits = merge(l.hits, hits)
}

// forget drops the lines that their stream has dropped.
func (l *logList) forget(first [2]uint64) {
	l.lines, l.hits = forget(l.lines, first), forget(l.hits, first)
}

func forget(list []*logEntry, first [2]uint64) []*logEntry {
	gone := func(e *logEntry) bool { return e.number < first[e.side] }
	n := 0
	for n < len(list) && gone(list[n]) {
		list[n] = nil
		n++
	}
	list = list[n:]
	return slices.DeleteFunc(list, gone) // those between younger ones of the other side
}

// merge puts news into list; both are in order, and list may be written to.
func merge(list, news []*logEntry) []*logEntry {
	if len(news) == 0 {
		return list
	}
	from := len(list)
	for from > 0 && byTime(news[0], list[from-1]) < 0 {
		from--
	}
	later := slices.Clone(list[from:])
	return appendBoth(list[:from], later, news)
}

// appendBoth adds two lists in order to one that is before both.
func appendBoth(list, a, b []*logEntry) []*logEntry {
	list = slices.Grow(list, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if byTime(b[0], a[0]) < 0 {
			list, b = append(list, b[0]), b[1:]
		} else {
			list, a = append(list, a[0]), a[1:]
		}
	}
	return append(append(list, a...), b...)
}

// place is where e is in a list, or would be; nil is before all.
func place(list []*logEntry, e *logEntry) int {
	if e == nil {
		return 0
	}
	return sort.Search(len(list), func(i int) bool { return byTime(list[i], e) >= 0 })
}

// logSide is the log of one side as the screen has read it.
type logSide struct {
	logList
	stream *logStream
	first  uint64 // what is before it is gone
	next   uint64 // what is from it on has not been read
	state  logState
	names  int // containers that have written
}

func newLogSide(side ops.Side) *logSide {
	return &logSide{stream: newLogStream(slices.Index(ops.Sides[:], side)), first: 1, next: 1}
}

// sync takes in what has come, and returns it in order; dropped: lines have gone as well.
func (s *logSide) sync(search *needle) (news []*logEntry, dropped bool) {
	got := s.stream.read(s.next)
	s.state, s.names, s.next = got.state, got.names, got.next
	if dropped = got.first != s.first; dropped {
		s.first = got.first
		s.forget(s.kept())
	}
	if !slices.IsSortedFunc(got.lines, byTime) {
		slices.SortFunc(got.lines, byTime)
	}
	s.add(got.lines, search)
	return got.lines, dropped
}

// kept is the number of the oldest line that is kept, of either side; 0: of all there were.
func (s *logSide) kept() (first [2]uint64) {
	first[s.stream.side] = s.first
	return first
}

// both is the log of both sides, made anew.
func both(sides [2]*logSide) *logList {
	return &logList{
		lines: appendBoth(nil, sides[0].lines, sides[1].lines),
		hits:  appendBoth(nil, sides[0].hits, sides[1].hits),
	}
}
