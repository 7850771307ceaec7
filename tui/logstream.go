package tui

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// logStream keeps the last lines of a log and reads it again when it breaks off: a
// restarted container or a lost connection ends a stream, not the watching.
type logStream struct {
	mu    sync.Mutex
	ring  []LogLine
	first int                  // index of the oldest line, once the ring is full
	total uint64               // lines that have come so far
	ends  map[string]time.Time // by container: its newest line
	seen  map[string]time.Time // ends when the stream was opened: what is older has come already
	state logState
}

// logState is what is to be said of a stream.
type logState struct {
	opening bool
	ended   bool  // it is opened again soon
	err     error // why it ended; nil: with its containers
}

const (
	logKept  = 5000            // lines kept a side
	logMost  = 8 << 10         // bytes kept of a line
	logPause = 2 * time.Second // after its end a stream is opened again
)

func newLogStream() *logStream {
	return &logStream{ends: map[string]time.Time{}, state: logState{opening: true}}
}

// run follows until ctx ends. changed gets one signal however many lines have come.
func (s *logStream) run(ctx context.Context, changed chan<- struct{}, open func(context.Context, func(LogLine)) error) {
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
		s.mu.Lock()
		s.state = logState{ended: true, err: err}
		s.mu.Unlock()
		signal()
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
	for name, at := range s.ends {
		s.seen[name] = at
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
	s.ends[l.Container] = l.At
	s.total++
	if len(s.ring) < logKept {
		s.ring = append(s.ring, l)
		return
	}
	s.ring[s.first] = l
	s.first = (s.first + 1) % logKept
}

// read returns the lines kept, oldest first, how many have come in all, and the state. The
// lines are copied to into, if it has room, only if more have come than had.
func (s *logStream) read(into []LogLine, had uint64) ([]LogLine, uint64, logState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total == had {
		return into, had, s.state
	}
	into = append(into[:0], s.ring[s.first:]...)
	into = append(into, s.ring[:s.first]...)
	return into, s.total, s.state
}
