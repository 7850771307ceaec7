package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/ops"
)

// Request is what someone wants of the process that carries out a run: an ask, or a note
// to be put on the record.
type Request struct {
	Ask  ops.Ask `json:"ask,omitempty"`
	Note string  `json:"note,omitempty"`
	By   string  `json:"by,omitempty"` // user@machine
}

// Ask leaves a request for the process that carries out the run in dir. Without such a
// process it is ErrNotLive: a request must not wait for a run that someone resumes days later.
func Ask(dir string, ask ops.Ask, by string) error {
	if _, live := Owner(dir); !live {
		return &ops.Problem{Doing: "asking run " + filepath.Base(dir) + " to " + string(ask), Err: ErrNotLive,
			Hint: "if it stopped half-way: resume it or roll it back"}
	}
	return leave(dir, Request{Ask: ask, By: by})
}

// Note puts a line of an operator on the record, through the process that carries out the
// run if there is one.
func Note(dir, text, by string) error {
	j, err := Open(dir)
	if busy := (*BusyError)(nil); errors.As(err, &busy) {
		return leave(dir, Request{Note: text, By: by})
	}
	if err != nil {
		return err
	}
	_, err = j.Append(noteEvent(Request{Note: text, By: by}))
	return errors.Join(err, j.Close())
}

func noteEvent(r Request) ops.Event {
	text := r.Note
	if r.By != "" {
		text = r.By + ": " + text
	}
	return ops.Event{Kind: ops.EvNote, Text: text}
}

// Event is the request as it goes on the record.
func (r Request) Event() ops.Event {
	if r.Ask != "" {
		return ops.Event{Kind: ops.EvAsked, Text: string(r.Ask)}
	}
	return noteEvent(r)
}

// leave writes the request under a name that sorts by time, whole or not at all.
func leave(dir string, r Request) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("leaving a request: %w", err)
	}
	asks := filepath.Join(dir, asksName)
	file, err := os.CreateTemp(asks, fmt.Sprintf(".%020d-*", time.Now().UnixNano()))
	if err != nil {
		return fmt.Errorf("leaving a request: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		name := strings.TrimPrefix(filepath.Base(file.Name()), ".")
		err = os.Rename(file.Name(), filepath.Join(asks, name))
	}
	if err != nil {
		return fmt.Errorf("leaving a request: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// Requests delivers what is asked of this run, in order, until ctx ends; then the channel
// is closed. A request is taken away once it has been received.
func (j *Journal) Requests(ctx context.Context) <-chan Request {
	out := make(chan Request)
	asks := filepath.Join(j.dir, asksName)
	changed := watch(ctx, asks)
	go func() {
		defer close(out)
		seen := map[string]bool{} // a file that cannot be removed is not delivered again
		for {
			for name, r := range pending(asks) {
				if seen[name] {
					continue
				}
				select {
				case out <- r:
					seen[name] = true
					os.Remove(name)
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// pending yields the requests that wait, oldest first. A file that is not a request is left alone.
func pending(asks string) func(func(string, Request) bool) {
	return func(yield func(string, Request) bool) {
		entries, err := os.ReadDir(asks) // sorted by name, so by time
		if err != nil {
			return
		}
		for _, entry := range entries {
			name := filepath.Join(asks, entry.Name())
			if strings.HasPrefix(entry.Name(), ".") {
				continue
			}
			text, err := os.ReadFile(name)
			var r Request
			if err != nil || json.Unmarshal(text, &r) != nil {
				continue
			}
			if !yield(name, r) {
				return
			}
		}
	}
}

func dropAsks(dir string) error {
	asks := filepath.Join(dir, asksName)
	if err := os.Mkdir(asks, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for name, r := range pending(asks) {
		if r.Ask != "" {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
