package lock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/ops"
)

// secondCopy is how long the second copy is waited for once the first is there.
const secondCopy = 300 * time.Millisecond

const (
	planName    = "plan.json"
	journalName = "journal.jsonl"
)

// copies is what the background has to keep beside the mark.
type copies struct {
	info   ops.LockInfo
	events []ops.Event
	wake   map[ops.Side]chan struct{} // nil until the first Progress
	keep   map[ops.Side]*keeper
	stop   chan struct{}
	done   sync.WaitGroup
}

// Progress tells where the run stands, with the events that are new; the first of all is
// ops.EvStarted with the plan. It returns at once: signs of life and copies are sent to both
// hosts in the background from now on, until Close.
func (l *Lock) Progress(info ops.LockInfo, events []ops.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.info = info
	l.events = append(l.events, events...)
	if l.wake == nil {
		stop := make(chan struct{})
		l.wake, l.keep, l.stop = map[ops.Side]chan struct{}{}, map[ops.Side]*keeper{}, stop
		for side := range l.hosts {
			wake, k := make(chan struct{}, 1), &keeper{lock: l, side: side}
			l.wake[side], l.keep[side] = wake, k
			l.done.Go(func() { l.follow(k, wake, stop) })
		}
	}
	for _, wake := range l.wake {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// Close sends what has not been sent yet, as long as ctx lasts, and ends the signs of life.
func (l *Lock) Close(ctx context.Context) error {
	l.mu.Lock()
	stop := l.stop
	l.stop = nil
	l.mu.Unlock()
	if stop == nil {
		return nil
	}
	close(stop)
	ended := make(chan struct{})
	go func() { l.done.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("copying the journal to the hosts: %w", ctx.Err())
	}
}

// Sync returns when what Progress was told so far is beside the mark on every host that
// answers, or ctx is over. Without it, what was recorded just before an act would be gone with
// the machine of the runner. Once one host has it, the other gets a moment more: what was looked
// at before the act grows old meanwhile. A host that did not take its latest copy is not waited
// for until the background has reached it again.
func (l *Lock) Sync(ctx context.Context) {
	l.mu.Lock()
	keepers := maps.Clone(l.keep)
	l.mu.Unlock()
	has := make(chan bool, len(keepers))
	for _, k := range keepers {
		go func() { has <- k.now(context.WithoutCancel(ctx)) }() // a copy under way is not broken off
	}
	var enough <-chan time.Time
	for range keepers {
		select {
		case copied := <-has:
			if copied && enough == nil {
				enough = time.After(secondCopy)
			}
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
}

// follow keeps one host's copy. A host that does not answer holds up only its own.
func (l *Lock) follow(k *keeper, wake, stop <-chan struct{}) {
	beat := time.NewTicker(l.opt.Beat)
	defer beat.Stop()
	for {
		select {
		case <-stop:
			k.keep(context.Background())
			return
		case <-wake:
		case <-beat.C:
		}
		k.keep(context.Background())
		// Events come in bursts; this makes one copy of many.
		select {
		case <-stop:
		case <-time.After(l.opt.Beat / 20):
		}
	}
}

// keeper knows what one host has. What may change is guarded by the host's gate.
type keeper struct {
	lock *Lock
	side ops.Side
	sent int  // events that are surely there
	sure bool // the host's copy is exactly the first sent events
	// failed: the host did not answer the latest copy.
	failed atomic.Bool
}

// now brings the host's copy up to date unless it is, or the host does not answer, and tells
// whether it is now.
func (k *keeper) now(ctx context.Context) bool {
	if k.failed.Load() {
		return false
	}
	l := k.lock
	defer l.gates[k.side].enter()()
	l.mu.Lock()
	current := k.sure && k.sent == len(l.events)
	l.mu.Unlock()
	if !current && !k.failed.Load() {
		k.copy(ctx)
	}
	return k.sure
}

func (k *keeper) keep(ctx context.Context) {
	defer k.lock.gates[k.side].enter()()
	k.copy(ctx)
}

// copy expects the gate to be its own.
func (k *keeper) copy(ctx context.Context) {
	l := k.lock
	l.mu.Lock()
	info, events := l.info, slices.Clone(l.events)
	l.mu.Unlock()
	how := "append"
	if !k.sure {
		how, k.sent = "replace", 0
		if ok := k.put(ctx, info, "replace", planName, planOf(events)); !ok {
			return
		}
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, e := range events[k.sent:] {
		if err := encoder.Encode(e); err != nil {
			return
		}
	}
	if lines.Len() == 0 {
		how = "beat"
	}
	k.sure = k.put(ctx, info, how, journalName, lines.Bytes())
	if k.sure {
		k.sent = len(events)
	}
}

// put is false where it is not known to have succeeded, also where there is no mark of ours:
// none, another run's, or this run's after it was resumed from another machine.
func (k *keeper) put(ctx context.Context, info ops.LockInfo, how, file string, data []byte) bool {
	owner, err := k.lock.describe(info)
	if err != nil {
		return false
	}
	word, _, err := k.lock.script(ctx, k.lock.hosts[k.side], true, bytes.NewReader(data), keepScript, info.Run, owner, signature(info.Owner()), how, file)
	k.failed.Store(err != nil)
	return err == nil && word == "kept"
}

func planOf(events []ops.Event) []byte {
	for _, e := range events {
		if e.Kind == ops.EvStarted {
			return append(slices.Clone(e.Data), '\n')
		}
	}
	return []byte("{}\n")
}

// Load reads the copies of the journal beside the marks and returns the one that counts, see
// [ops.Rightful]. Where a host could not be read, its copy may have known more: then there is
// an error as well as the events. No copy at all and no error means that there is none.
func (l *Lock) Load(ctx context.Context) ([]ops.Event, error) {
	var found []ops.Event
	var errs []error
	for _, side := range ops.Sides {
		host := l.hosts[side]
		if host == nil {
			continue
		}
		data, err := host.ReadFile(ctx, l.opt.Base+"/lock/"+journalName, true)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, ops.AsProblem(err, "reading the copy of the journal", side))
			continue
		}
		found = ops.Rightful(found, lines(data))
	}
	return found, errors.Join(errs...)
}

// lines decodes events up to the first line that is not whole.
func lines(data []byte) []ops.Event {
	var events []ops.Event
	for line := range bytes.Lines(data) {
		var e ops.Event
		if json.Unmarshal(line, &e) != nil || e.Seq != len(events)+1 {
			break
		}
		events = append(events, e)
	}
	return events
}
