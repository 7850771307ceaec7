// Package cast records what a program writes to its terminal, as asciicast v2
// (https://docs.asciinema.org/manual/asciicast/v2/): a header line, then a line for each
// event, [seconds since the start, "o", output] or [seconds, "r", "COLUMNSxROWS"]. Nothing is
// in it that the terminal has not got, and no key that was typed.
package cast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/term"
)

// Recording is a file that is being written. Whenever the program dies, it holds whole lines: each
// is handed to the system in one piece.
type Recording struct {
	out  Sink
	now  func() time.Time
	size func() (cols, rows int)

	mu         sync.Mutex
	began      time.Time
	cols, rows int
	cut        []byte // the start of a character whose rest has not come yet
	queue      []byte // lines for the file
	over       bool   // no line is taken any more
	failed     chan error
	wake       chan struct{}
	done       chan struct{}
}

// Sink is what a recording needs of its file.
type Sink interface {
	io.WriteCloser
	Truncate(size int64) error
}

// Create begins a recording of the terminal in a new file, which is the operator's alone. One that
// exists already is an error (fs.ErrExist).
func Create(path string, terminal *os.File) (*Recording, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already, and nothing is written over: %w", path, fs.ErrExist)
	}
	if err != nil {
		return nil, fmt.Errorf("making the recording: %w", err)
	}
	return New(file, time.Now, func() (int, int) {
		cols, rows, err := term.GetSize(terminal.Fd())
		if err != nil {
			return 0, 0
		}
		return cols, rows
	}), nil
}

// New begins a recording that is written to out, with the clock and the size of the terminal that
// are passed in.
func New(out Sink, now func() time.Time, size func() (cols, rows int)) *Recording {
	r := &Recording{out: out, now: now, size: size, began: now(), failed: make(chan error, 1), wake: make(chan struct{}, 1), done: make(chan struct{})}
	if r.cols, r.rows = size(); r.cols <= 0 {
		r.cols, r.rows = 80, 24
	}
	env := map[string]string{}
	for _, name := range []string{"TERM", "COLORTERM"} { // the others are not an audience's business
		if value := os.Getenv(name); value != "" {
			env[name] = value
		}
	}
	r.put(struct {
		Version   int               `json:"version"`
		Width     int               `json:"width"`
		Height    int               `json:"height"`
		Timestamp int64             `json:"timestamp"`
		Env       map[string]string `json:"env"`
	}{2, r.cols, r.rows, r.began.Unix(), env})
	go r.write()
	return r
}

// put queues a line; mu is held, or nobody else knows of r yet.
func (r *Recording) put(line any) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		panic(err) // strings and numbers alone
	}
	r.queue = append(r.queue, text.Bytes()...)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// most bounds what waits for a disk that does not keep up, in bytes: hours of a console.
const most = 64 << 20

// add records what the terminal has got.
func (r *Recording) add(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if len(r.queue) > most {
		r.stop(errors.New("the disk does not keep up"))
		return
	}
	at := json.RawMessage(fmt.Sprintf("%.6f", r.now().Sub(r.began).Seconds()))
	if cols, rows := r.size(); cols > 0 && (cols != r.cols || rows != r.rows) {
		r.cols, r.rows = cols, rows
		r.put([]any{at, "r", fmt.Sprintf("%dx%d", cols, rows)})
	}
	text := append(r.cut, p...)
	whole := len(text)
	for i := max(0, whole-utf8.UTFMax+1); i < whole; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
		}
	}
	r.cut = bytes.Clone(text[whole:])
	if whole > 0 {
		r.put([]any{at, "o", string(text[:whole])})
	}
}

// stop ends the recording for a reason that is told once; mu is held.
func (r *Recording) stop(err error) {
	r.over, r.queue = true, nil
	r.failed <- err
	close(r.failed)
}

// write carries the queue to the file: a slow disk does not slow the terminal.
func (r *Recording) write() {
	defer close(r.done)
	var kept int64
	for range r.wake {
		r.mu.Lock()
		lines := r.queue
		r.queue = nil
		r.mu.Unlock()
		n, err := r.out.Write(lines)
		if err != nil {
			// What fits is kept, up to the last whole line.
			whole := bytes.LastIndexByte(lines[:n], '\n') + 1
			r.out.Truncate(kept + int64(whole))
			var path *fs.PathError
			if errors.As(err, &path) {
				err = path.Err // an audience need not see the path
			}
			r.mu.Lock()
			if !r.over {
				r.stop(err)
			}
			r.mu.Unlock()
			return
		}
		kept += int64(n)
	}
}

// Failed brings the reason why a recording has stopped before its end, once.
func (r *Recording) Failed() <-chan error { return r.failed }

// Close waits until all is in the file. What is written to the terminal afterwards is not. There
// is nothing to close where nothing is recorded (nil).
func (r *Recording) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return nil
	}
	r.over = true
	close(r.wake)
	r.mu.Unlock()
	<-r.done
	return r.out.Close()
}

// Terminal is a terminal all of whose output is recorded.
type Terminal struct {
	term.File
	rec *Recording
}

// Of returns the terminal with its output recorded.
func (r *Recording) Of(terminal term.File) *Terminal { return &Terminal{terminal, r} }

// Write writes to the terminal, and then to the recording what has got there.
func (t *Terminal) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	t.rec.add(p[:n])
	return n, err
}
