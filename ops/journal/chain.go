package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"tandem/ops"
)

// BrokenError is a journal whose chain does not hold: a line was changed, lost or added.
type BrokenError struct {
	Dir  string
	Line int // counted from 1
	Why  string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("journal %s: line %d: %s", e.Dir, e.Line, e.Why)
}

// seal puts the event in its place after the one with the hash prev, and returns it as it
// will be read back, with its line.
func seal(e ops.Event, seq int, prev string) (ops.Event, []byte, error) {
	// encoding/json writes an invalid byte as an escape and reads it as a character that it
	// writes otherwise: the hash would change on the way.
	e.Text = strings.ToValidUTF8(e.Text, "\uFFFD")
	e.Step = strings.ToValidUTF8(e.Step, "\uFFFD")
	e.At = e.At.UTC().Round(0)
	e.Seq, e.Prev, e.Hash = seq, prev, ""
	if e.Data != nil {
		data, err := json.Marshal(e.Data) // compact, as it will stand in the line
		if err != nil {
			return e, nil, fmt.Errorf("encoding the data of event %s: %w", e.Kind, err)
		}
		e.Data = data
	}
	hash, err := hashOf(e)
	if err != nil {
		return e, nil, err
	}
	e.Hash = hash
	line, err := json.Marshal(e)
	if err != nil {
		return e, nil, fmt.Errorf("encoding event %s: %w", e.Kind, err)
	}
	return e, append(line, '\n'), nil
}

func hashOf(e ops.Event) (string, error) {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("encoding event %s: %w", e.Kind, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// reader decodes lines and checks the chain as it goes.
type reader struct {
	dir  string
	seq  int
	prev string
}

// next decodes the whole lines at the beginning of data. used is how many bytes they take;
// what follows is empty, not yet whole, or torn by a power loss.
func (r *reader) next(data []byte) (events []ops.Event, used int, err error) {
	for {
		end := bytes.IndexByte(data[used:], '\n')
		if end < 0 {
			return events, used, nil
		}
		e, ok := decode(data[used : used+end])
		if !ok {
			if solid(data[used+end+1:]) {
				return events, used, r.broken("it cannot be read, though events follow it")
			}
			return events, used, nil
		}
		if why := r.misfit(e); why != "" {
			if e.Kind == ops.EvSay && !solid(data[used+end+1:]) {
				return events, used, nil
			}
			return events, used, r.broken(why)
		}
		r.seq, r.prev = e.Seq, e.Hash
		events = append(events, e)
		used += end + 1
	}
}

func (r *reader) broken(why string) error {
	return &BrokenError{Dir: r.dir, Line: r.seq + 1, Why: why}
}

func (r *reader) misfit(e ops.Event) string {
	hash, err := hashOf(e)
	switch {
	case err != nil || hash != e.Hash:
		return "it is not what was written (its hash differs)"
	case e.Seq != r.seq+1 || e.Prev != r.prev:
		return "it does not follow the line before it"
	}
	return ""
}

func decode(line []byte) (ops.Event, bool) {
	var e ops.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return e, false
	}
	return e, true
}

// solid tells whether data holds an event that was synced: then what stands before it was
// synced too, and cannot be the remains of a power loss.
func solid(data []byte) bool {
	for line := range bytes.Lines(data) {
		e, ok := decode(bytes.TrimSuffix(line, []byte("\n")))
		if !ok || e.Kind == ops.EvSay {
			continue
		}
		if hash, err := hashOf(e); err == nil && hash == e.Hash {
			return true
		}
	}
	return false
}
