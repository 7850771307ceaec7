package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tandem/ops"
)

const (
	fileName = "journal.jsonl"
	pidName  = "pid"
	asksName = "asks"
)

// BusyError is a journal that another process appends to.
type BusyError struct {
	Dir string
	PID int // 0: not known
}

func (e *BusyError) Error() string {
	if e.PID == 0 {
		return "run " + filepath.Base(e.Dir) + " is being carried out by another process"
	}
	return fmt.Sprintf("run %s is being carried out by process %d", filepath.Base(e.Dir), e.PID)
}

// ErrNotLive is a request to a run that no process on this machine carries out.
var ErrNotLive = errors.New("no process on this machine carries out this run")

// Journal appends to the record of one run. It is safe for use from several goroutines.
type Journal struct {
	dir  string
	lock *os.File // the directory, flocked

	mu     sync.Mutex
	file   *os.File
	events []ops.Event
	dead   error // why nothing more may be appended
}

// Dir is where the journal of a run lies.
func Dir(state, pair, run string) string { return filepath.Join(state, pair, "runs", run) }

// Create begins the journal of a new run. There must be none yet.
func Create(state, pair, run string) (*Journal, error) {
	for _, name := range []string{pair, run} {
		if name == "" || name == "." || name != filepath.Base(name) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("creating the journal: %q cannot be the name of a directory", name)
		}
	}
	dir := Dir(state, pair, run)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("creating the journal: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the journal: %w", err)
	}
	j, err := claim(dir)
	if err != nil {
		return nil, err
	}
	if err := j.create(state); err != nil {
		return nil, errors.Join(fmt.Errorf("creating the journal: %w", err), j.Close())
	}
	return j, nil
}

func (j *Journal) create(state string) error {
	if err := os.Mkdir(filepath.Join(j.dir, asksName), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(j.dir, fileName), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	j.file = file
	// A file is only as safe as the names that lead to it.
	for dir := j.dir; ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return err
		}
		if dir == filepath.Clean(state) || dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// Open goes on with an earlier run: it verifies the chain and cuts off what a power loss
// left at the end, with a note on the record. Requests that were meant for the process
// before are dropped; notes stay.
func Open(dir string) (*Journal, error) {
	j, err := claim(dir)
	if err != nil {
		return nil, err
	}
	if err := j.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the journal: %w", err), j.Close())
	}
	return j, nil
}

func (j *Journal) open() error {
	file, err := os.OpenFile(filepath.Join(j.dir, fileName), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	j.file = file
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	r := reader{dir: j.dir}
	events, used, err := r.next(data)
	if err != nil {
		return err
	}
	j.events = events
	if err := dropAsks(j.dir); err != nil {
		return err
	}
	torn := len(data) - used
	if torn == 0 {
		return nil
	}
	if err := file.Truncate(int64(used)); err != nil {
		return err
	}
	_, err = j.Append(ops.Event{Kind: ops.EvNote, Text: fmt.Sprintf("the end of the journal was torn, as after a power loss: %d bytes cut off", torn)})
	return err
}

// claim makes this the one process that appends.
func claim(dir string) (*Journal, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	// Owner holds a shared lock for an instant: one try is not enough.
	for try := 0; ; try++ {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking the journal: %w", err), lock.Close())
		}
		if try == 20 {
			return nil, errors.Join(&BusyError{Dir: dir, PID: readPID(dir)}, lock.Close())
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := os.WriteFile(filepath.Join(dir, pidName), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the journal: %w", err), lock.Close())
	}
	return &Journal{dir: dir, lock: lock}, nil
}

// Owner tells whether a process on this machine carries out the run, and which.
func Owner(dir string) (pid int, live bool) {
	lock, err := os.Open(dir)
	if err != nil {
		return 0, false
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, false
	}
	return readPID(dir), true
}

func readPID(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// Dir is where this journal lies.
func (j *Journal) Dir() string { return j.dir }

// Events are all events so far.
func (j *Journal) Events() []ops.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

// Append writes the event in its place and returns it with sequence number and hashes. A
// zero time becomes the present. When it returns without an error, the event is on the
// disk, but for lines of progress.
func (j *Journal) Append(e ops.Event) (ops.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead != nil {
		return e, fmt.Errorf("writing the journal: %w", j.dead)
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	prev := ""
	if n := len(j.events); n > 0 {
		prev = j.events[n-1].Hash
	}
	e, line, err := seal(e, len(j.events)+1, prev)
	if err != nil {
		return e, err
	}
	if _, err := j.file.Write(line); err != nil {
		j.dead = err
		return e, fmt.Errorf("writing the journal: %w", err)
	}
	if e.Kind != ops.EvSay {
		if err := j.file.Sync(); err != nil {
			j.dead = err
			return e, fmt.Errorf("writing the journal: %w", err)
		}
	}
	j.events = append(j.events, e)
	return e, nil
}

// Close syncs what is left and lets another process append.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if errors.Is(j.dead, os.ErrClosed) {
		return nil
	}
	var err error
	if j.file != nil {
		err = errors.Join(j.file.Sync(), j.file.Close())
	}
	j.dead = os.ErrClosed
	return errors.Join(err, j.lock.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
