package tui

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"
)

// logStream keeps the last lines of the log of one side and reads it again when it breaks
// off: a restarted container or a lost connection ends a stream, not the watching. Lines lie
// in chunks that never move, so that the screen takes only what is new and keeps pointers
// to the rest: a hundred thousand lines cost a frame no more than a thousand.
type logStream struct {
	side   int // in ops.Sides
	mu     sync.Mutex
	chunks [][]logEntry // oldest first; all but the last are full
	first  uint64       // number of the oldest line kept; numbers start at 1
	next   uint64       // number that the next line gets
	bytes  int
	ends   map[string]logEnd    // by container: its newest line
	seen   map[string]time.Time // where the ends were when the stream was opened: what is older has come already
	state  logState
}

// logEntry is a line as it is kept. It is never written to again.
type logEntry struct {
	LogLine
	side   int    // in ops.Sides
	at     int64  // its place in time: never before the line that its container wrote before it
	number uint64 // among the lines of its side, in the order in which they came
}

// logEnd is where the log of a container is.
type logEnd struct {
	said  time.Time // the time of its newest line
	place int64     // and its place among the lines of all containers
}

// logState is what is to be said of a stream.
type logState struct {
	opening bool
	ended   bool  // it is opened again soon
	over    bool  // it has come to the time until which it was asked for
	err     error // why it ended; nil: with its containers
}

// What is kept of a side. Once there is more than the most, the oldest goes until the least
// is left: what has to follow that does so now and then and not with every line.
const (
	logKept      = 100_000
	logKeptMost  = logKept + 4096
	logBytesMost = 32 << 20
	logBytes     = logBytesMost - 2<<20
	logChunk     = 256             // lines
	logMost      = 8 << 10         // bytes kept of a line
	logPause     = 2 * time.Second // after its end a stream is opened again
)

func newLogStream(side int) *logStream {
	return &logStream{side: side, first: 1, next: 1, ends: map[string]logEnd{}, state: logState{opening: true}}
}

// run follows until ctx ends, or the stream does and over says that nothing can follow.
// changed gets one signal however many lines have come.
func (s *logStream) run(ctx context.Context, changed chan<- struct{}, open func(context.Context, func(LogLine)) error, over func() bool) {
	signal := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for {
		s.reopen()
		err := open(ctx, func(l LogLine) {
			s.add(l)
			signal()
		})
		if ctx.Err() != nil {
			return
		}
		end := logState{ended: true, err: err}
		if err == nil && over() {
			end = logState{over: true}
		}
		s.mu.Lock()
		s.state = end
		s.mu.Unlock()
		signal()
		if end.over {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(logPause):
		}
	}
}

// reopen takes note of where each container's log is: a stream begins with its tail.
func (s *logStream) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = map[string]time.Time{}
	for name, end := range s.ends {
		s.seen[name] = end.said
	}
}

func (s *logStream) add(l LogLine) {
	if len(l.Text) > logMost {
		cut := logMost
		for cut > 0 && !utf8.RuneStart(l.Text[cut]) {
			cut--
		}
		l.Text = strings.Clone(l.Text[:cut]) + " … cut" // the rest is not kept alive
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = logState{}
	if last, ok := s.seen[l.Container]; ok && !l.At.IsZero() && !l.At.After(last) {
		return
	}
	place := s.ends[l.Container].place
	if !l.At.IsZero() {
		place = max(place, l.At.UnixNano())
	}
	s.ends[l.Container] = logEnd{l.At, place}
	n := len(s.chunks)
	if n == 0 || len(s.chunks[n-1]) == logChunk {
		s.chunks = append(s.chunks, make([]logEntry, 0, logChunk))
		n++
	}
	s.chunks[n-1] = append(s.chunks[n-1], logEntry{l, s.side, place, s.next})
	s.next++
	s.bytes += weight(&l)
	s.forget()
}

// weight is what a line takes of the memory that a side may have.
func weight(l *LogLine) int { return int(unsafe.Sizeof(logEntry{})) + len(l.Text) }

// forget drops the oldest chunks once there are too many lines, or they are too long.
func (s *logStream) forget() {
	if s.next-s.first <= logKeptMost && s.bytes <= logBytesMost {
		return
	}
	for len(s.chunks) > 1 && (s.next-s.first-logChunk >= logKept || s.bytes > logBytes) {
		for i := range s.chunks[0] {
			s.bytes -= weight(&s.chunks[0][i].LogLine)
		}
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
		s.first += logChunk
	}
}

// logNewsOf is what a reader that had all lines before a number has to take in.
type logNewsOf struct {
	lines []*logEntry // new ones, in the order in which they came
	first uint64      // number of the oldest line kept: what is before it is gone
	next  uint64      // number of the line that comes next
	state logState
	names int // containers that have written
}

// read returns what is new since the line that has the number from.
func (s *logStream) read(from uint64) logNewsOf {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := logNewsOf{first: s.first, next: s.next, state: s.state, names: len(s.ends)}
	for n := max(from, s.first); n < s.next; n++ {
		i := int(n - s.first)
		news.lines = append(news.lines, &s.chunks[i/logChunk][i%logChunk])
	}
	return news
}
