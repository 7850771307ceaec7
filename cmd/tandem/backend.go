package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
	"tandem/ops/findings"
	"tandem/ops/inspect"
	"tandem/ops/journal"
	"tandem/ops/lock"
	"tandem/ops/plans"
	"tandem/ops/steps"
	"tandem/ops/timeline"
	"tandem/tui"
)

// backend gives the console what it needs: the live view of the pair, and the runs. It
// writes into a latest-wins store and signals once; the console reads when it draws.
type backend struct {
	s      *session
	live   *inspect.Live
	ctx    context.Context // ends with the console
	cancel context.CancelFunc
	tasks  *errgroup.Group

	changed chan struct{}

	log       *timeline.Log
	recording sync.Mutex
	chored    string // the last line of the chores

	mu       sync.Mutex
	snap     ops.Snapshot
	run      *ops.Run
	past     []ops.Run
	runsAt   time.Time // when the last run was begun here, as the file system has it
	timeline []ops.Moment
	telling  telling
	follows  string // run that is being followed
	unfollow context.CancelFunc
	locked   bool   // read-only for good
	only     string // the one run that is followed; empty: whichever is under way
}

// newBackend begins to look at the pair. show is the one run that is followed, nil: any.
func newBackend(ctx context.Context, s *session, g *globals, show *spectacle) *backend {
	ctx, cancel := context.WithCancel(ctx)
	b := &backend{s: s, ctx: ctx, cancel: cancel, changed: make(chan struct{}, 1), log: s.timeline(), locked: g.readOnly}
	if show != nil {
		b.only, b.run = show.run.ID, &show.run
	}
	b.live = s.inspector.Live(ctx)
	b.tasks, ctx = errgroup.WithContext(ctx)
	b.begin(time.Now())
	b.reloadPast()
	b.refresh()
	if show != nil {
		b.spectate(show)
	}
	b.tasks.Go(func() error { return b.watch(ctx) })
	b.tasks.Go(func() error { b.trackFindings(ctx); return nil })
	b.tasks.Go(func() error { b.chores(ctx); return nil })
	return b
}

func (b *backend) close() {
	b.cancel()
	b.live.Wait()
	b.tasks.Wait()
}

// watch turns changes of the live view into what the screen shows. Findings depend on the
// clock too (ages), so they are made anew every few seconds.
func (b *backend) watch(ctx context.Context) error {
	beat := time.NewTicker(5 * time.Second)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.live.Changed():
		case <-beat.C:
		}
		told := b.otherRuns() && b.reloadPast()
		if b.refresh() || told {
			b.signal()
		}
		b.attach(ctx)
	}
}

// chores are what a console does by itself while it is open: it removes what canaries of runs
// that died have left, and starts canaries on schedule.
func (b *backend) chores(ctx context.Context) {
	select {
	case <-b.live.Looked():
	case <-ctx.Done():
		return
	}
	schedule := newCanaries(b.s)
	beat := time.NewTicker(5 * time.Second)
	defer beat.Stop()
	for first := true; ; first = false {
		snap := b.Snapshot()
		if first || leftover(&snap) {
			for _, text := range b.s.tidy(ctx, &snap) {
				b.chore(text)
			}
		}
		if schedule.due(&snap, time.Now()) != "" {
			if err := schedule.run(ctx, snap); err != nil && ctx.Err() == nil {
				b.chore("a canary on schedule did not begin: " + err.Error())
			}
			b.reloadPast()
			b.live.Poke()
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

// chore puts what was done by itself on the timeline, once in a row.
func (b *backend) chore(text string) {
	if text != b.chored {
		b.chored = text
		b.happened(ops.Moment{Kind: ops.MomentRun, Text: text}) // what cannot be saved is said there
	}
}

// leftover tells whether a canary's container is seen on either side.
func leftover(snap *ops.Snapshot) bool {
	return slices.ContainsFunc(snap.Blue.Others, steps.IsCanary) || slices.ContainsFunc(snap.Green.Others, steps.IsCanary)
}

func (b *backend) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// refresh reads the live view into the store and tells whether anything is new.
func (b *backend) refresh() bool {
	snap := b.live.Snapshot()
	b.mu.Lock()
	addKnown(b.past, &snap)
	b.mu.Unlock()
	snap.Findings = findings.All(snap, time.Now()) // canaries and ages are not the live view's
	told, _ := b.record(b.live.Moments()...)       // what cannot be saved is said on the timeline
	b.mu.Lock()
	defer b.mu.Unlock()
	news := told || !snap.At.Equal(b.snap.At) || !reflect.DeepEqual(snap.Findings, b.snap.Findings)
	b.snap = snap
	return news
}

// attach follows the run that holds the lock, unless it is being followed already. A canary
// on schedule does not take the screen.
func (b *backend) attach(ctx context.Context) {
	info := b.held()
	b.mu.Lock()
	known := info == nil || b.follows == info.Run || info.Op == ops.OpCanary && info.Reason == scheduled || b.only != "" && b.only != info.Run
	b.mu.Unlock()
	if known {
		return
	}
	if info.From == b.s.machine || b.s.live(info.Run) {
		if _, err := b.s.findRun(info.Run); err == nil {
			b.followLocal(ctx, info.Run)
			return
		}
	}
	b.followRemote(ctx, *info)
}

// held is the mark on the hosts, nil where none is seen.
func (b *backend) held() *ops.LockInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	return firstLock(map[ops.Side]*ops.LockInfo{ops.Blue: b.snap.Blue.Lock, ops.Green: b.snap.Green.Lock})
}

// follow makes this the run that is followed, in place of any other.
func (b *backend) follow(ctx context.Context, id string, task func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	if b.unfollow != nil {
		b.unfollow()
	}
	b.follows, b.unfollow = id, cancel
	b.mu.Unlock()
	b.tasks.Go(func() error {
		defer cancel()
		task(ctx)
		return nil
	})
}

// followLocal reads a journal on this machine from now on: also past the end of the run,
// which may be resumed or taken back.
func (b *backend) followLocal(ctx context.Context, id string) {
	b.follow(ctx, id, func(ctx context.Context) {
		b.s.watch(ctx, id, func(run *ops.Run, news []ops.Event) error {
			b.show(ctx, run)
			if !run.Ended.IsZero() {
				b.reloadPast()
				b.live.Poke()
			}
			return nil
		})
	})
}

// followRemote reads the copy beside the lock while another machine carries out the run.
func (b *backend) followRemote(ctx context.Context, info ops.LockInfo) {
	b.follow(ctx, info.Run, func(ctx context.Context) {
		beat := time.NewTicker(time.Second)
		defer beat.Stop()
		for {
			look, cancel := context.WithTimeout(ctx, 5*time.Second)
			events, err := b.s.locker.Load(look)
			cancel()
			// One copy of two may have been out of reach, and have more.
			shown := b.Run()
			run := ops.Replay(events)
			if now := b.held(); now != nil && lock.Dead(*now, time.Now()) && run.Live() {
				run.Ended, run.Outcome = run.LastAt, ops.OutcomeStopped
			}
			if run.ID == info.Run && (err == nil || shown == nil || shown.ID != run.ID || run.Events > shown.Events) {
				if b.show(ctx, &run) { // no journal here has it
					b.record(run.Moments()...)
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
			}
			if b.released(info.Run) { // its own machine has the rest of the journal
				b.endRemote(info.Run)
				return
			}
		}
	})
}

// released tells whether the run is seen to have no mark any more. Before everything has been
// looked at once, there may be one.
func (b *backend) released(id string) bool {
	select {
	case <-b.live.Looked():
	default:
		return false
	}
	now := b.held()
	if now == nil { // unless the first look has not come as far as the screen
		if b.refresh() {
			b.signal()
		}
		now = b.held()
	}
	return now == nil || now.Run != id
}

// endRemote marks a run of another machine whose lock is gone as over.
func (b *backend) endRemote(id string) {
	b.mu.Lock()
	if b.follows == id {
		b.follows = ""
	}
	if b.run == nil || b.run.ID != id || !b.run.Ended.IsZero() {
		b.mu.Unlock()
		return
	}
	run := *b.run
	run.Ended, run.Outcome = run.LastAt, unlocked(&run)
	b.run, b.telling.now = &run, &run
	b.mu.Unlock()
	b.record(run.Moments()...)
	b.signal()
}

// show puts the run on the screen, unless it is followed no longer.
// It tells whether the timeline has become another one by that.
func (b *backend) show(ctx context.Context, run *ops.Run) (news bool) {
	b.mu.Lock()
	if ctx.Err() == nil {
		b.run = run
		if !sameStory(run, b.telling.now) {
			b.telling.now, news = run, true
			b.timeline = b.telling.all()
		}
	}
	b.mu.Unlock()
	b.signal()
	return news
}

// reloadPast reads the earlier runs anew, and tells whether the timeline has become another one.
func (b *backend) reloadPast() bool {
	runs, _ := b.s.past() // a journal that cannot be read does not hide the others
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past = runs
	before := len(b.timeline)
	b.telling.past(runs)
	b.timeline = b.telling.all()
	return len(b.timeline) != before
}

// otherRuns tells whether there may be news of runs that are not followed: one has begun since, or
// goes on.
func (b *backend) otherRuns() bool {
	info, err := os.Stat(filepath.Dir(b.s.runDir("x")))
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	begun := !info.ModTime().Equal(b.runsAt)
	b.runsAt = info.ModTime()
	return begun || slices.ContainsFunc(b.past, func(r ops.Run) bool { return r.Live() && (b.run == nil || b.run.ID != r.ID) })
}

// What the screen reads.

func (b *backend) Changed() <-chan struct{} { return b.changed }

func (b *backend) Snapshot() ops.Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.snap
}

func (b *backend) Run() *ops.Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.run
}

func (b *backend) Timeline() []ops.Moment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.timeline
}

func (b *backend) Usual(title string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return usual(b.past, title)
}

func (b *backend) ReadOnly() bool { return b.s.readOnly.Load() }

func (b *backend) SetReadOnly(on bool) error {
	if b.only != "" && !on {
		return errors.New("this console only watches run " + b.only + ": start another one to act")
	}
	if b.locked && !on {
		return errors.New("this console was started with --read-only: start it again without")
	}
	b.s.readOnly.Store(on)
	return nil
}

// What the screen asks for.

func (b *backend) Plan(ctx context.Context, req ops.Request) (ops.Plan, error) {
	return b.s.plan(ctx, req)
}

func (b *backend) Start(ctx context.Context, plan ops.Plan) error {
	again, err := b.s.plan(ctx, plan.Request)
	if err != nil {
		return err
	}
	if changed(&plan, &again) {
		return &tui.ChangedError{Plan: again}
	}
	if err := b.s.launch(again); err != nil {
		return err
	}
	b.followLocal(b.ctx, again.ID)
	return nil
}

func (b *backend) PlanRollback(ctx context.Context, id string) (ops.Plan, error) {
	run, err := b.s.bring(ctx, id)
	if err != nil {
		return ops.Plan{}, err
	}
	return b.s.planUndo(ctx, run.Run)
}

func (b *backend) Rollback(ctx context.Context, id string, plan ops.Plan) error {
	run, err := b.s.bring(ctx, id)
	if err != nil {
		return err
	}
	again, err := b.s.planUndo(ctx, run.Run)
	if err != nil {
		return err
	}
	if changed(&plan, &again) {
		return &tui.ChangedError{Plan: again}
	}
	return b.restart(run, modeRollback)
}

func (b *backend) Resume(ctx context.Context, id string, accept []ops.Risk) error {
	if err := plans.Acceptable(accept); err != nil {
		return err
	}
	run, err := b.s.bring(ctx, id)
	if err != nil {
		return err
	}
	return b.restart(run, modeResume, accept...)
}

func (b *backend) restart(run leftRun, mode string, accept ...ops.Risk) error {
	if err := b.s.relaunch(run, mode, accept...); err != nil {
		return err
	}
	b.followLocal(b.ctx, run.ID)
	return nil
}

func (b *backend) Ask(_ context.Context, id string, ask ops.Ask) error {
	if b.ReadOnly() { // what is asked of a runner reaches the hosts through it
		return &ops.Problem{Doing: "asking run " + id + " to " + string(ask), Err: ops.ErrReadOnly, Hint: "leave read-only mode first"}
	}
	if _, err := b.s.findRun(id); err != nil {
		return b.elsewhere(id)
	}
	return journal.Ask(b.s.runDir(id), ask, operator())
}

func (b *backend) Note(_ context.Context, id, text string) error {
	if id == "" {
		if err := b.happened(ops.Moment{Kind: ops.MomentNote, Who: operator(), Text: text}); err != nil {
			return &ops.Problem{Doing: "saving the note", Err: err, Hint: "it stays on the timeline while this console is open; see to the folder"}
		}
		return nil
	}
	if b.ReadOnly() { // its runner copies it to the hosts
		return &ops.Problem{Doing: "noting in run " + id, Err: ops.ErrReadOnly, Hint: "leave read-only mode first"}
	}
	if _, err := b.s.findRun(id); err != nil {
		return b.elsewhere(id)
	}
	return journal.Note(b.s.runDir(id), text, operator())
}

// elsewhere says why a run of another machine cannot be asked anything from here.
func (b *backend) elsewhere(id string) error {
	owner := "another machine"
	if run := b.Run(); run != nil && run.ID == id {
		owner = run.By
	}
	return &ops.Problem{Doing: "asking run " + id, Err: errors.New("it is carried out by " + owner), Hint: "ask there; if that machine is gone, use tandem resume here"}
}

func (b *backend) Past(context.Context) ([]ops.Run, error) { return b.s.past() }

func (b *backend) Images(ctx context.Context, side ops.Side, service string) ([]tui.ImageChoice, error) {
	return b.s.images(ctx, b.Snapshot(), side, service)
}

func (b *backend) Versions(ctx context.Context, side ops.Side, back bool) ([]tui.VersionChoice, error) {
	return b.s.versionChoices(ctx, side, back)
}

func (b *backend) Logs(ctx context.Context, side ops.Side, name string, span tui.LogSpan, line func(tui.LogLine)) error {
	snap := b.Snapshot()
	return b.s.logs(ctx, &snap, side, name, span, line)
}
