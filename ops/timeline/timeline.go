// Package timeline keeps what happened to a pair on the disk of this machine, so that it
// survives restarts of whatever saw it.
//
// # Layout
//
//	<state>/<pair>/timeline.jsonl            0600, one moment a line, append-only
//	<state>/<pair>/timeline.old.jsonl        what was in it before it grew too large
//	<state>/<pair>/timeline.watched          empty; its time is when somebody last watched
//
// # Rules
//
//   - Several processes may add at once: each holds flock(2) on the directory while it does, and
//     lets go of it within milliseconds. Reading needs no lock.
//   - What two of them have seen of the same thing is kept once: what others have written of an
//     observation in the same words, at about the same time, is that observation.
//   - A line that is not whole, because its process died or the disk was full, is passed over,
//     and what is added next begins on a line of its own. Nothing waits for the disk: a power loss
//     may take the last lines.
//   - It is bounded: once the file would be larger than 1 MiB it takes the place of the old one,
//     which goes. That leaves between some 5,000 and 10,000 moments.
//   - What cannot be written stays in memory and is tried again with what comes next.
//
// Runs are not in it: their journals are. The texts are for eyes; whoever adds them leaves
// secrets out.
package timeline

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tandem/ops"
)

const (
	most     = 1 << 20 // of a file, in bytes
	textMost = 2000    // of a text, in bytes
	waiting  = 1000    // moments that are kept while they cannot be written
	// sameTime is how far apart two processes may see the same thing: they list engines every
	// 10 s, and compare findings every 5 s.
	sameTime = 30 * time.Second
)

// Log is the timeline of a pair as far as it is on the disk. It is safe for use from several
// goroutines.
type Log struct {
	path   string
	most   int64
	writer string // names this Log among others that write the same file

	mu      sync.Mutex
	waiting []ops.Moment // not written yet
	file    fs.FileInfo  // what was read, nil: nothing
	read    int64        // how much of it, in bytes
	entries []entry      // in the order of the file
	sorted  []ops.Moment // nil: to be made anew
}

// entry is a line of the file.
type entry struct {
	ops.Moment
	Writer string `json:"writer"`
	taken  bool   // an observation of ours was this one
}

// Open is the timeline of a pair below the state directory. Nothing is read or made yet.
func Open(state, pair string) *Log {
	return &Log{path: filepath.Join(state, pair, "timeline.jsonl"), most: most, writer: rand.Text()[:8]}
}

// Read returns all moments, oldest first, with those that could not be written; the list must not
// be changed. With an error it is what is known.
func (l *Log) Read() ([]ops.Moment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.catchUp()
	if l.sorted == nil {
		l.sorted = make([]ops.Moment, 0, len(l.entries)+len(l.waiting))
		for i := range l.entries {
			l.sorted = append(l.sorted, l.entries[i].Moment)
		}
		l.sorted = append(l.sorted, l.waiting...)
		slices.SortStableFunc(l.sorted, func(a, b ops.Moment) int { return a.At.Compare(b.At) })
	}
	if err != nil {
		return l.sorted, fmt.Errorf("reading the timeline: %w", err)
	}
	return l.sorted, nil
}

// Add writes moments, but for those that are there already. After an error they are kept, and
// written with the next.
func (l *Log) Add(list ...ops.Moment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range list {
		m.At = m.At.UTC().Round(0)
		m.Text = head(m.Text, textMost)
		l.waiting = append(l.waiting, m)
	}
	if len(l.waiting) == 0 {
		return nil
	}
	l.sorted = nil
	l.waiting = l.waiting[max(0, len(l.waiting)-waiting):]
	if err := l.write(); err != nil {
		return fmt.Errorf("writing the timeline: %w", err)
	}
	l.waiting = nil
	return l.catchUp()
}

// Watched notes that the pair is watched at this time, and returns when somebody last watched it
// before; zero: never, or it is not known.
func (l *Log) Watched(now time.Time) (before time.Time, err error) {
	path := strings.TrimSuffix(l.path, ".jsonl") + ".watched"
	if info, err := os.Stat(path); err == nil {
		before = info.ModTime()
	}
	err = os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600), os.Chtimes(path, now, now))
	}
	if err != nil {
		return before, fmt.Errorf("noting on the timeline that the pair is watched: %w", err)
	}
	return before, nil
}

func (l *Log) write() error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := l.catchUp(); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, m := range l.waiting {
		if l.known(&m) {
			continue
		}
		line, err := json.Marshal(entry{Moment: m, Writer: l.writer})
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	if text.Len() == 0 {
		return nil
	}
	size := int64(0)
	if l.file != nil {
		size = l.file.Size()
	}
	torn := size > l.read
	if size > 0 && size+int64(text.Len()) > l.most {
		if err := os.Rename(l.path, l.old()); err != nil {
			return err
		}
		torn = false
	}
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	data := text.Bytes()
	if torn {
		data = append([]byte("\n"), data...)
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

func (l *Log) old() string { return strings.TrimSuffix(l.path, ".jsonl") + ".old.jsonl" }

// known tells whether the moment is there already: itself, or as another process has seen it,
// which then is no other moment of ours as well.
func (l *Log) known(m *ops.Moment) bool {
	for i := range slices.Backward(l.entries) {
		e := &l.entries[i]
		same := e.Text == m.Text
		if e.Finding != nil && m.Finding != nil { // one console may know more of its beginning
			same = *e.Finding == *m.Finding
		}
		if e.Kind != m.Kind || e.Side != m.Side || !same {
			continue
		}
		if e.At.Equal(m.At) {
			return true
		}
		typed := m.Kind == ops.MomentNote || m.Kind == ops.MomentShell
		if !typed && !e.taken && e.Writer != l.writer && e.At.Sub(m.At).Abs() <= sameTime {
			e.taken = true
			return true
		}
	}
	return false
}

// lock waits until no other process writes, for a second at most. It makes the directory.
func (l *Log) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return nil, err
	}
	dir, err := os.Open(filepath.Dir(l.path))
	if err != nil {
		return nil, err
	}
	for range 200 {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { dir.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("locking %s: %w", filepath.Dir(l.path), err), dir.Close())
}

// catchUp reads what has been written since, all where the file is another one by now.
func (l *Log) catchUp() error {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		if l.file != nil || l.entries == nil {
			l.file = nil
			return l.afresh()
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if l.file == nil || !os.SameFile(info, l.file) || info.Size() < l.read {
		if err := l.afresh(); err != nil {
			return err
		}
	} else if info.Size() == l.read {
		l.file = info
		return nil
	}
	data := make([]byte, info.Size()-l.read)
	n, err := file.ReadAt(data, l.read)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	l.file = info
	l.read += l.take(data[:n])
	return nil
}

// afresh forgets all but what the old file has.
func (l *Log) afresh() error {
	l.entries, l.sorted, l.read = []entry{}, nil, 0
	data, err := os.ReadFile(l.old())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.take(data)
	return nil
}

// take adds the whole lines of data, and returns how many bytes they are. What is no moment is
// passed over.
func (l *Log) take(data []byte) int64 {
	end := bytes.LastIndexByte(data, '\n') + 1
	for line := range bytes.Lines(data[:end]) {
		var e entry
		if json.Unmarshal(line, &e) == nil && !e.At.IsZero() {
			l.entries, l.sorted = append(l.entries, e), nil
		}
	}
	return int64(end)
}

// head is the beginning of a text, whole characters.
func head(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}
