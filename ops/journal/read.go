package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"tandem/ops"
)

// Read returns the events of a run, also while it is under way. A torn end is left out.
func Read(dir string) ([]ops.Event, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	r := reader{dir: dir}
	events, _, err := r.next(data)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return events, nil
}

// List tells the runs of a pair, latest first. A journal that cannot be read does not hide
// the others: they are returned together with the error. A directory without a journal is no
// run: its process died before it recorded anything.
func List(state, pair string) ([]ops.Run, error) { return Latest(state, pair, 0) }

// Latest is List, but reads no more than limit journals, those whose names sort last, which
// begin with the time; 0: all. What has not changed since it was read is not read again.
func Latest(state, pair string, limit int) ([]ops.Run, error) {
	dir := filepath.Dir(Dir(state, pair, "x"))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() })
	if limit > 0 && len(entries) > limit {
		entries = entries[len(entries)-limit:]
	}
	var runs []ops.Run
	var problems []error
	for _, entry := range entries {
		run, err := replayed.read(filepath.Join(dir, entry.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			problems = append(problems, err)
		case run.ID != "":
			runs = append(runs, *run.Clone())
		}
	}
	slices.SortFunc(runs, func(a, b ops.Run) int { return b.Started.Compare(a.Started) })
	return runs, errors.Join(problems...)
}

// replayed remembers the runs that this process has replayed, by directory: a look at the
// pair asks for them every half second while a run waits. Journals only grow, so size and
// time of change tell whether one is the same.
var replayed = shelf{runs: map[string]shelved{}}

type shelf struct {
	mu   sync.Mutex
	runs map[string]shelved
}

type shelved struct {
	size    int64
	changed time.Time
	run     ops.Run
}

func (s *shelf) read(dir string) (ops.Run, error) {
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		return ops.Run{}, fmt.Errorf("reading the journal: %w", err)
	}
	s.mu.Lock()
	known, ok := s.runs[dir]
	s.mu.Unlock()
	if ok && known.size == info.Size() && known.changed.Equal(info.ModTime()) {
		return known.run, nil
	}
	events, err := Read(dir)
	if err != nil {
		return ops.Run{}, err
	}
	run := ops.Replay(events)
	s.mu.Lock()
	s.runs[dir] = shelved{info.Size(), info.ModTime(), run}
	s.mu.Unlock()
	return run, nil
}

// Import makes a journal on this machine from a copy of its events, such as the one kept
// beside the lock, and returns its directory. The chain must hold. If the journal on this
// machine is a beginning of the copy, what it lacks is added; one that knows more stays as
// it is. Where they part because the run was resumed on another machine, [ops.Rightful]
// decides, and a journal that has to give way is kept beside the new one. One that tells
// another story is an error.
func Import(state, pair string, events []ops.Event) (string, error) {
	run := ops.Replay(events)
	if run.ID == "" {
		return "", errors.New("importing a journal: it does not begin with a plan")
	}
	dir := Dir(state, pair, run.ID)
	if err := check(dir, events); err != nil {
		return "", fmt.Errorf("importing a journal: %w", err)
	}
	j, err := Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		j, err = Create(state, pair, run.ID)
	}
	if err != nil {
		return "", err
	}
	return dir, errors.Join(j.add(events), j.Close())
}

func (j *Journal) add(events []ops.Event) error {
	have := j.Events()
	i := 0
	for i < min(len(have), len(events)) && have[i].Hash == events[i].Hash {
		i++
	}
	taken := slices.ContainsFunc(have[i:], ops.Event.TakesLock)
	// Whoever goes on with a run begins so. There, it may have died before it could copy that it has
	// the lock, without which there would be no copy; here, it has not acted before it had the lock.
	resumed := func(e ops.Event) bool {
		return e.Kind == ops.EvResumed || e.Kind == ops.EvAsked && e.Text == string(ops.AskRollback)
	}
	switch {
	case i == len(events):
		return nil
	case i == len(have):
	case i == 0 || !taken && !slices.ContainsFunc(events[i:], ops.Event.TakesLock) && !resumed(events[i]) && !resumed(have[i]):
		return &BrokenError{Dir: j.dir, Line: i + 1, Why: "the copy differs from the journal on this machine"}
	case taken && &ops.Rightful(have, events)[0] == &have[0]:
		return nil
	default:
		return j.replace(events)
	}
	for _, e := range events[i:] {
		if _, err := j.Append(e); err != nil {
			return err
		}
	}
	return nil
}

// replace puts another record in the place of this one, as one act, and keeps this one as
// parted-N.jsonl, N being how many events it had.
func (j *Journal) replace(events []ops.Event) error {
	var text []byte
	prev := ""
	for i, e := range events {
		e, line, err := seal(e, i+1, prev)
		if err != nil {
			return err
		}
		text, prev = append(text, line...), e.Hash
	}
	path := filepath.Join(j.dir, fileName)
	aside := filepath.Join(j.dir, fmt.Sprintf("parted-%d.jsonl", len(j.events)))
	if err := os.Link(path, aside); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Sync(), os.Rename(path+".new", path), syncDir(j.dir)); err != nil {
		return errors.Join(err, file.Close())
	}
	err = j.file.Close()
	j.file, j.events = file, events
	return err
}

func check(dir string, events []ops.Event) error {
	r := reader{dir: dir}
	for _, e := range events {
		if why := r.misfit(e); why != "" {
			return r.broken(why)
		}
		r.seq, r.prev = e.Seq, e.Hash
	}
	return nil
}

// pollEvery is how often Follow and Requests look when no notice of a change arrives, as on
// a network file system.
const pollEvery = time.Second

// Follow calls fn with the events so far and then with new ones as they come, until ctx
// ends, the chain breaks or fn returns an error. It waits for a journal that is not there yet.
func Follow(ctx context.Context, dir string, fn func([]ops.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := watch(ctx, dir)
	r := reader{dir: dir}
	var offset int64
	for {
		data, err := readFrom(filepath.Join(dir, fileName), offset)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("following the journal: %w", err)
		}
		events, used, err := r.next(data)
		if err != nil {
			return fmt.Errorf("following the journal: %w", err)
		}
		offset += int64(used)
		if len(events) > 0 {
			if err := fn(events); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func readFrom(path string, offset int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// watch signals when something in dir may have changed, and every pollEvery. It never
// fails: without notices of the kernel the poll is left. Signals coalesce.
func watch(ctx context.Context, dir string) <-chan struct{} {
	changed := make(chan struct{}, 1)
	go func() {
		watcher, err := fsnotify.NewWatcher()
		if err == nil {
			defer watcher.Close()
		} else {
			watcher = &fsnotify.Watcher{}
		}
		watching := false
		poll := time.NewTicker(pollEvery)
		defer poll.Stop()
		for {
			if !watching && err == nil {
				if watching = watcher.Add(dir) == nil; watching {
					signal(changed) // for what changed before the watch began
				}
			}
			wait := poll.C
			if !watching && err == nil {
				wait = time.After(pollEvery / 20) // for a directory that is about to be made
			}
			select {
			case <-ctx.Done():
				return
			case <-wait:
			case <-watcher.Events:
			case <-watcher.Errors:
			}
			signal(changed)
		}
	}()
	return changed
}

func signal(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}
