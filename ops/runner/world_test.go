package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
)

var (
	errKilled = errors.New("killed")
	errFault  = errors.New("fault on demand")
)

// ground is what fake steps change, and what runners anywhere see of each other.
type ground struct {
	mu     sync.Mutex
	values map[string]int
	locks  map[ops.Side]string
	owners map[ops.Side]ops.Owner // of the locks
	down   map[ops.Side]bool
	faults map[string]int // how often "<step>/<where>" still fails
	guards map[string]int // how many looks still find the guard unmet
	looks  int
	// What the balancer says, and what takes long in a step.
	traffic ops.BalancerStatus
	slow    map[string]func()
	copies  []ops.Event   // beside the lock
	ended   *ops.LockInfo // the last mark that was released
	wrong   []string      // what must never happen
}

// world is the ground as one machine sees it. It counts instants: one at every event on the
// record and at every act. Something may be set to happen at one of them.
type world struct {
	*ground
	over map[string]bool // steps that the journal says are over

	instants int
	at       map[int]func() // called with mu held
	dead     bool
	cut      bool // nothing of the pair can be reached from here
}

func newWorld() *world {
	return on(&ground{
		values: map[string]int{}, locks: map[ops.Side]string{}, owners: map[ops.Side]ops.Owner{}, down: map[ops.Side]bool{}, faults: map[string]int{},
		guards: map[string]int{},
	})
}

// on is the ground as seen from a new place.
func on(g *ground) *world { return &world{ground: g, over: map[string]bool{}, at: map[int]func(){}} }

func away(side ops.Side) *ops.Problem {
	return &ops.Problem{Doing: "connecting", Side: side, Err: ops.ErrUnreachable}
}

func (w *world) instant() {
	w.instants++
	if act := w.at[w.instants]; act != nil {
		act()
	}
}

// act does something to the world, with an instant before and after it.
func (w *world) act(ctx context.Context, f func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instant()
	defer w.instant()
	if w.dead {
		return errKilled
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.cut {
		return away(ops.Green)
	}
	return f()
}

func (w *world) fault(key string) error {
	if w.faults[key] > 0 {
		w.faults[key]--
		return errFault
	}
	return nil
}

func (w *world) event(e ops.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Kind {
	case ops.EvDone, ops.EvAlreadyDone, ops.EvSkipped:
		w.over[e.Step] = true
	case ops.EvUndone, ops.EvNoUndo:
		delete(w.over, e.Step)
	}
	w.instant()
}

func (w *world) look(ctx context.Context) (ops.Snapshot, error) {
	var snap ops.Snapshot
	defer func() {
		if wait := w.slow["look"]; wait != nil {
			wait()
		}
	}()
	err := w.act(ctx, func() error {
		w.looks++
		snap.Balancer = w.traffic
		if err := w.fault("look"); err != nil {
			return err
		}
		if w.fault("green") != nil {
			snap.Green.Host.Err = away(ops.Green)
		}
		if w.fault("balancer") != nil {
			snap.Balancer.Look.Err = away("")
		}
		for id, n := range w.guards {
			if n > 0 {
				w.guards[id]--
				snap.Findings = append(snap.Findings, ops.Finding{ID: id})
			}
		}
		return nil
	})
	if errors.Is(err, ops.ErrUnreachable) {
		snap.Blue.Host.Err, snap.Green.Host.Err, snap.Balancer.Look.Err = away(ops.Blue), away(ops.Green), away("")
		return snap, nil
	}
	return snap, err
}

// worldLock is the pair's lock in the world.
type worldLock struct {
	*world
	me ops.Owner
}

func (l worldLock) Take(ctx context.Context, info ops.LockInfo, allowMissing bool) (missing []ops.Side, err error) {
	err = l.act(ctx, func() error {
		for _, side := range ops.Sides {
			if run := l.locks[side]; !l.down[side] && run != "" && run != info.Run {
				return &ops.HeldError{Side: side, Info: ops.LockInfo{Run: run}}
			}
			if mark := l.mark(side); !l.down[side] && mark != nil && !info.Replaces(*mark) {
				return &ops.MovedError{Side: side, Info: *mark}
			}
			if last := l.ended; !l.down[side] && l.locks[side] == "" && last != nil && last.Run == info.Run && !info.Replaces(*last) {
				return &ops.MovedError{Side: side, Info: *last, Over: true}
			}
			if l.down[side] {
				missing = append(missing, side)
			}
		}
		if len(missing) == 2 || len(missing) > 0 && !allowMissing {
			return ops.ErrUnreachable
		}
		for _, side := range ops.Sides {
			if !l.down[side] {
				l.locks[side], l.owners[side] = info.Run, info.Owner()
			}
		}
		return nil
	})
	return missing, err
}

func (l worldLock) Held(ctx context.Context) (map[ops.Side]*ops.LockInfo, error) {
	held := map[ops.Side]*ops.LockInfo{}
	var unread error
	err := l.act(ctx, func() error {
		for _, side := range ops.Sides {
			if l.down[side] {
				unread = ops.ErrUnreachable
			} else {
				held[side] = l.mark(side)
			}
		}
		return nil
	})
	return held, errors.Join(err, unread)
}

// mark is what a side has. It expects mu to be held.
func (w *world) mark(side ops.Side) *ops.LockInfo {
	if w.locks[side] == "" {
		return nil
	}
	o := w.owners[side]
	return &ops.LockInfo{Run: w.locks[side], By: o.By, From: o.From, PID: o.PID}
}

func (l worldLock) Released(ctx context.Context, run string) (by *ops.LockInfo) {
	_ = l.act(ctx, func() error {
		if l.ended != nil && l.ended.Run == run && len(l.locks) == 0 {
			by = l.ended
		}
		return nil
	})
	return by
}

func (l worldLock) Release(ctx context.Context, run string) error {
	return l.act(ctx, func() error {
		for _, side := range ops.Sides {
			if !l.down[side] && l.locks[side] == run && l.owners[side] == l.me {
				l.ended = l.mark(side)
				delete(l.locks, side)
			}
		}
		if len(l.locks) == 0 {
			l.copies = nil
		}
		return nil
	})
}

// fake is a step on the world. What it does depends on Do_:
//
//	lock, unlock  as they say
//	set           every part of Key becomes To; undone from what was recorded
//	count         every part of Key goes up by one, exactly once; cannot be undone
type fake struct {
	ID    string
	Act   string
	Key   string
	Parts int
	To    int
	Level ops.Level
	Guard string
	Needs []string

	world *world
}

func (f *fake) Kind() string      { return "fake" }
func (f *fake) Title() string     { return f.Act + " " + f.Key }
func (f *fake) Effects() []string { return []string{f.Title()} }
func (f *fake) Risk() ops.Level   { return f.Level }

func (f *fake) Guards() []ops.Guard { return guards(f.Guard) }

func guards(id string) []ops.Guard {
	if id == "" {
		return nil
	}
	return []ops.Guard{{ID: id, Title: id + " holds", Eval: func(snap *ops.Snapshot, now time.Time) ops.Check {
		if snap.Green.Host.Err != nil {
			return ops.Check{State: ops.NotKnown, Text: id + " is not known"}
		}
		if slices.ContainsFunc(snap.Findings, func(f ops.Finding) bool { return f.ID == id }) {
			return ops.Check{State: ops.Fail, Text: id + " does not hold", Hint: "wait", At: now}
		}
		return ops.Check{State: ops.Pass, At: now}
	}}}
}

func (f *fake) part(i int) string { return fmt.Sprint(f.Key, "/", i) }

// met tells whether part i is as the step wants it.
func (f *fake) met(i int) bool {
	if f.Act == "count" {
		return f.world.values[f.part(i)] > 0
	}
	return f.world.values[f.part(i)] == f.To
}

func (f *fake) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	verdict := ops.Ready
	err := f.world.act(ctx, func() error {
		f.expect()
		switch f.Act {
		case "lock":
			if f.world.locks[ops.Blue] == env.Run.Run && f.world.locks[ops.Green] == env.Run.Run {
				verdict = ops.AlreadyDone
			}
		case "unlock":
			if f.world.locks[ops.Blue] != env.Run.Run && f.world.locks[ops.Green] != env.Run.Run {
				verdict = ops.AlreadyDone
			}
		default:
			verdict = ops.AlreadyDone
			for i := range f.Parts {
				if !f.met(i) {
					verdict = ops.Ready
				}
			}
		}
		return f.world.fault(f.ID + "/check")
	})
	return verdict, err
}

// expect notes what the runner must never do: begin a step whose needs are not over, or one
// that is over itself.
func (f *fake) expect() {
	for _, need := range f.Needs {
		if !f.world.over[need] {
			f.world.wrong = append(f.world.wrong, fmt.Sprintf("%s began before %s was over", f.ID, need))
		}
	}
	if f.world.over[f.ID] {
		f.world.wrong = append(f.world.wrong, f.ID+" was begun again after it was done")
	}
}

func (f *fake) Do(ctx context.Context, env ops.Env) error {
	switch f.Act {
	case "lock":
		_, err := env.Locker.Take(ctx, env.Run, false)
		return err
	case "unlock":
		return f.release(ctx, env)
	}
	env.Log.Say("begins")
	if wait := f.world.slow[f.ID]; wait != nil {
		wait()
	}
	prior := map[string]int{}
	if err := f.world.act(ctx, func() error {
		f.expect()
		if f.world.fault(f.ID+"/overtaken") != nil {
			return &ops.MovedError{Side: ops.Green, Info: ops.LockInfo{Run: env.Run.Run, From: "desk"}}
		}
		if f.Level != ops.Harmless && (f.world.locks[ops.Blue] != env.Run.Run || f.world.owners[ops.Blue] != env.Run.Owner()) {
			f.world.wrong = append(f.world.wrong, f.ID+" acted without the lock")
		}
		for i := range f.Parts {
			prior[f.part(i)] = f.world.values[f.part(i)]
		}
		return nil
	}); err != nil {
		return err
	}
	if err := env.Log.Record("prior", prior); err != nil {
		return err
	}
	for i := range f.Parts {
		if err := f.world.act(ctx, func() error {
			if f.met(i) {
				return nil
			}
			if i == f.Parts/2 && f.world.fault(f.ID+"/away") != nil {
				return away(ops.Green)
			}
			if f.Act == "count" {
				f.world.values[f.part(i)]++
			} else {
				f.world.values[f.part(i)] = f.To
			}
			if i == f.Parts/2 {
				return f.world.fault(f.ID + "/do")
			}
			return nil
		}); err != nil {
			return err
		}
	}
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	if f.world.fault(f.ID+"/over") != nil {
		return ops.ErrOver
	}
	return nil
}

// release may lose its answer.
func (f *fake) release(ctx context.Context, env ops.Env) error {
	if err := env.Locker.Release(ctx, env.Run.Run); err != nil {
		return err
	}
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	if f.world.fault(f.ID+"/answer") != nil {
		return away(ops.Green)
	}
	return nil
}

func (f *fake) Verify(ctx context.Context, _ ops.Env) error {
	return f.world.act(ctx, func() error { return f.world.fault(f.ID + "/verify") })
}

func (f *fake) Back() ops.Undoing {
	switch f.Act {
	case "lock":
		return ops.Undoing{Title: "release the lock", Risk: ops.Harmless}
	case "set":
		return ops.Undoing{Title: "set " + f.Key + " back", Risk: f.Level, Guards: guards(f.Guard)}
	case "count":
		return ops.Undoing{Title: "nothing", Risk: ops.Harmless}
	}
	return ops.Undoing{}
}

func (f *fake) Undo(ctx context.Context, env ops.Env) error {
	switch f.Act {
	case "lock":
		return f.release(ctx, env)
	case "count":
		return ops.ErrNoUndo
	}
	prior := map[string]int{}
	found, err := env.Log.Recall("prior", &prior)
	if err != nil {
		return err
	}
	if !found {
		return ops.ErrNoUndo
	}
	for _, part := range slices.Sorted(maps.Keys(prior)) {
		if err := f.world.act(ctx, func() error {
			f.world.values[part] = prior[part]
			return f.world.fault(f.ID + "/undo")
		}); err != nil {
			return err
		}
	}
	return nil
}

// bench is a run on the world with its journal.
type bench struct {
	t        testing.TB
	world    *world
	plan     ops.Plan
	dir      string
	requests chan journal.Request
	events   []ops.Event  // as Copy received them
	read     []ops.Event  // as the journal has them after the latest attempt
	run      ops.Run      // as they tell it
	info     ops.LockInfo // for the mark, as Copy received it last
	onPause  func()
	after    map[string]func() // what happens, once, when a step is done
	onUndone map[string]func() // and when it is taken back
	from     string            // the machine
	pid      int
	accept   []ops.Risk
	left     []ops.LockInfo // what bring found
	watch    time.Duration
	cancel   func() // ends the context of the attempt under way
	kill     func() // ends its process, as far as the world can tell
	answers  []ops.Ask
	severed  chan struct{} // closed when the machine is cut off
}

func newBench(t testing.TB, w *world, dir string, steps ...*fake) *bench {
	b := &bench{t: t, world: w, dir: dir, from: "laptop", plan: ops.Plan{ID: "r1", Pair: "tis", Title: "change things", Request: ops.Request{Op: ops.OpRestart, Side: ops.Green}}}
	for _, s := range steps {
		b.plan.Steps = append(b.plan.Steps, ops.PlannedStep{ID: s.ID, Needs: s.Needs, Step: s})
	}
	return b
}

func (b *bench) path() string { return journal.Dir(b.dir, b.plan.Pair, b.plan.ID) }

// wayOf is Start (with the plan), Resume or Rollback.
type wayOf func(context.Context, Config, ops.Plan) (ops.Outcome, error)

func resume(ctx context.Context, cfg Config, _ ops.Plan) (ops.Outcome, error) {
	return Resume(ctx, cfg)
}
func rollback(ctx context.Context, cfg Config, _ ops.Plan) (ops.Outcome, error) {
	return Rollback(ctx, cfg)
}

// happens is what happens at one instant of an attempt.
type happens struct {
	at   int // 0: nothing happens
	what string
}

// attempt carries the run out in one way, as one process would, and returns what it returned.
func (b *bench) attempt(way wayOf, what happens) (ops.Outcome, error) {
	b.t.Helper()
	var j *journal.Journal
	var err error
	if _, statErr := os.Stat(b.path()); statErr != nil {
		j, err = journal.Create(b.dir, b.plan.Pair, b.plan.ID)
	} else {
		j, err = journal.Open(b.path())
	}
	if err != nil {
		b.t.Fatalf("the journal: %v", err)
	}
	defer b.reread()
	defer j.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.cancel = cancel
	clear(b.world.over)
	for _, s := range ops.Replay(j.Events()).Steps {
		b.world.over[s.Doc.ID] = s.Phase == ops.Done || s.Phase == ops.Already || s.Phase == ops.Skipped
	}
	b.requests = make(chan journal.Request, 10)
	b.pid++
	w := b.world
	w.instants, w.dead, w.at = 0, false, map[int]func(){}
	kill := func() {
		w.dead = true
		j.Close()
	}
	b.kill = func() { w.set(kill) }
	if what.at > 0 {
		w.at[what.at] = func() {
			switch what.what {
			case "kill":
				kill()
			case "cancel":
				cancel()
			case "cut":
				w.cut = true
				close(b.severed)
			default:
				b.requests <- journal.Request{Ask: ops.Ask(what.what), By: "bo@desk"}
				if ops.Ask(what.what) == ops.AskPause {
					b.requests <- journal.Request{Ask: ops.AskContinue, By: "bo@desk"}
				}
			}
		}
	}
	return way(ctx, Config{
		Env: ops.Env{
			Hosts:  map[ops.Side]ops.Host{ops.Blue: noHost{}, ops.Green: noHost{}},
			Locker: worldLock{w, ops.Owner{By: "ana", From: b.from, PID: b.pid}}, Look: w.look, Now: time.Now, Run: ops.LockInfo{By: "ana", From: b.from, PID: b.pid},
		},
		Journal: j, Decode: b.decode, Requests: b.requests, By: "ana@" + b.from, MaxParallel: 2, Accept: b.accept, Left: append(b.left, b.ours()...), Watch: b.watch,
		OnEvent: b.onEvent,
		Copy: func(info ops.LockInfo, events []ops.Event) {
			b.info = info
			if len(events) > 0 && events[0].Seq == 1 {
				b.events = nil
			}
			b.events = append(b.events, events...)
			w.keep(info.Owner(), b.events)
		},
	}, b.plan)
}

// ours are the marks that an earlier process on this machine left, which has ended.
func (b *bench) ours() (ours []ops.LockInfo) {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	for _, side := range ops.Sides {
		if mark := b.world.mark(side); mark != nil && mark.From == b.from {
			ours = append(ours, *mark)
		}
	}
	return ours
}

func (b *bench) onEvent(e ops.Event) {
	b.world.event(e)
	if e.Kind == ops.EvPaused && b.onPause != nil {
		b.onPause()
	}
	if e.Kind == ops.EvPaused && len(b.answers) > 0 && slices.ContainsFunc(b.plan.Steps, func(s ops.PlannedStep) bool { return s.ID == e.Step && s.Pause == e.Text }) {
		b.requests <- journal.Request{Ask: b.answers[0], By: "bo@desk"}
		b.answers = append(b.answers[1:], ops.AskContinue)
	}
	then := b.after
	if e.Kind == ops.EvUndone {
		then = b.onUndone
	}
	if act := then[e.Step]; act != nil && (e.Kind == ops.EvDone || e.Kind == ops.EvUndone) {
		delete(then, e.Step)
		b.world.mu.Lock()
		defer b.world.mu.Unlock()
		act()
	}
}

func (b *bench) decode(_ string, data json.RawMessage) (ops.Step, error) {
	f := &fake{world: b.world}
	return f, json.Unmarshal(data, f)
}

// noHost is never called: the runner only counts hosts.
type noHost struct{ ops.Host }

// reread reads the journal, which verifies its chain.
func (b *bench) reread() {
	b.t.Helper()
	var err error
	if b.read, err = journal.Read(b.path()); err != nil {
		b.t.Errorf("the journal: %v", err)
	}
	b.run = ops.Replay(b.read)
}

// kinds are the events of one step, or of the run itself, without progress.
func (b *bench) kinds(step string) []ops.EventKind {
	var kinds []ops.EventKind
	for _, e := range b.read {
		if e.Step == step && e.Kind != ops.EvSay && e.Kind != ops.EvRecord {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// keep is what reaches the copy beside the lock.
func (w *world) keep(owner ops.Owner, events []ops.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut && !w.dead && w.owners[ops.Blue] == owner && w.locks[ops.Blue] != "" {
		w.copies = slices.Clone(events)
	}
}

func (w *world) locked() bool { return w.marked("r1") }
func (w *world) free() bool   { return w.marked("") }

// marked tells whether the marks on both hosts are those of a run.
func (w *world) marked(run string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.locks[ops.Blue] == run && w.locks[ops.Green] == run
}

// fastDir is a directory where fsync costs nothing, if there is one.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tandem-runner-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
