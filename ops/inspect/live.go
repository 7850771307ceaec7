package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

// The beats of a live view.
const (
	listEvery  = 10 * time.Second       // a full list, whatever the events say
	coalesce   = 250 * time.Millisecond // events that come together are one reason to list
	factsEvery = 30 * time.Second
	lockEvery  = 5 * time.Second
	testsEvery = 10 * time.Second
	linkEvery  = time.Second
	netEvery   = 5 * time.Minute
	careEvery  = 15 * time.Minute // a changed Facts.Packaging comes before
	retryFirst = time.Second      // doubles up to retryMost while a stream does not open
	retryMost  = 30 * time.Second
)

// lockFile holds an ops.LockInfo; anyone may read it.
const lockFile = "/var/lib/tandem/lock/owner.json"

// lastFile is what a run that released the lock leaves of lockFile, see ops/lock.
const lastFile = "/var/lib/tandem/last.json"

// Live is a view of the pair that keeps itself up to date until its context ends.
type Live struct {
	i       *Inspector
	current atomic.Pointer[ops.Snapshot]
	changed chan struct{}
	pokes   []chan struct{} // one for each loop
	locks   []chan struct{} // those of the loops that read the locks
	looked  chan struct{}
	first   sync.WaitGroup // loops that have not tried yet
	done    chan struct{}

	mu      sync.Mutex // guards all below
	world   world
	moments []ops.Moment
	drains  map[ops.Side]*drain
}

// Live starts looking. Everything it starts ends with ctx; Wait waits for that.
func (i *Inspector) Live(ctx context.Context) *Live {
	l := &Live{
		i: i, changed: make(chan struct{}, 1), looked: make(chan struct{}), done: make(chan struct{}), world: i.unseen(),
		drains: map[ops.Side]*drain{ops.Blue: {}, ops.Green: {}},
	}
	l.update(func(*world) bool { return true })
	var g errgroup.Group
	for _, side := range ops.Sides {
		host := i.hosts[side]
		engine, facts, lock, tests, net, care := l.poke(), l.poke(), l.poke(), l.poke(), l.poke(), l.poke()
		l.locks = append(l.locks, lock)
		loops := []chan struct{}{engine, facts, lock, tests, net}
		g.Go(func() error { return l.watchLink(ctx, host, loops) })
		tried := l.expect()
		g.Go(func() error { return l.watchEngine(ctx, host, engine, facts, tests, loops, tried) })
		g.Go(l.keep(ctx, facts, every(factsEvery), func() error { return l.readFacts(ctx, host, care) }))
		g.Go(l.keep(ctx, lock, every(lockEvery), func() error { return l.readLock(ctx, host) }))
		g.Go(l.keep(ctx, net, every(netEvery), func() error { return l.readNet(ctx, host) }))
		g.Go(l.keep(ctx, care, func() time.Duration { return l.careAgain(side) }, func() error { return l.readUpkeep(ctx, host) }))
		if i.tested(side) {
			g.Go(l.keep(ctx, tests, every(testsEvery), func() error { return l.runTests(ctx, host) }))
		}
	}
	g.Go(l.keep(ctx, l.poke(), func() time.Duration { return jittered(i.lb.Every()) }, func() error { return l.readBalancer(ctx) }))
	go func() {
		l.first.Wait()
		close(l.looked)
	}()
	go func() {
		_ = g.Wait() // the loops end with ctx and return nothing else
		close(l.done)
	}()
	return l
}

// Wait returns when everything that Live started has ended.
func (l *Live) Wait() { <-l.done }

// Looked is closed when everything has been looked at once, with or without success. Before
// that, what is not in a snapshot may only not have been read yet.
func (l *Live) Looked() <-chan struct{} { return l.looked }

// expect returns what a loop calls when it has tried once.
func (l *Live) expect() (tried func()) {
	l.first.Add(1)
	return sync.OnceFunc(l.first.Done)
}

// keep is a loop that repeats what it does, and is part of the first look.
func (l *Live) keep(ctx context.Context, poke <-chan struct{}, pause func() time.Duration, do func() error) func() error {
	tried := l.expect()
	return func() error {
		return repeat(ctx, poke, pause, func() error {
			defer tried()
			return do()
		})
	}
}

// Snapshot is the latest; it must not be changed.
func (l *Live) Snapshot() ops.Snapshot { return *l.current.Load() }

// Changed receives a signal when something visible has changed; ages alone are none.
func (l *Live) Changed() <-chan struct{} { return l.changed }

// Poke has everything looked at again now.
func (l *Live) Poke() {
	for _, p := range l.pokes {
		signal(p)
	}
}

func (l *Live) poke() chan struct{} {
	p := make(chan struct{}, 1)
	l.pokes = append(l.pokes, p)
	return p
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func every(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// jittered spreads slow beats by a fifth to either side, so that many consoles do not ask
// a throttled API at the same instant.
func jittered(d time.Duration) time.Duration {
	if d < 5*time.Second {
		return d
	}
	return d*4/5 + rand.N(d*2/5)
}

// repeat calls do at once, then after each pause or poke. While do returns an error, slow
// beats become quicker and quick ones slower: from 5 s, or the usual pause if that is
// less, to 10 s, or the usual pause if that is more.
func repeat(ctx context.Context, poke <-chan struct{}, pause func() time.Duration, do func() error) error {
	failures := 0
	for {
		err := do()
		wait := pause()
		if err == nil {
			failures = 0
		} else {
			wait = min(max(retry(failures), min(wait, 5*time.Second)), max(wait, 10*time.Second))
			failures++
		}
		if !sleep(ctx, wait, poke) {
			return nil
		}
	}
}

func retry(failures int) time.Duration {
	return min(retryFirst<<min(failures, 5), retryMost)
}

// sleep returns after d or at a poke; false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, poke <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-poke:
	}
	return ctx.Err() == nil
}

// watchLink follows the connection.
func (l *Live) watchLink(ctx context.Context, host ops.Host, loops []chan struct{}) error {
	return repeat(ctx, nil, every(linkEvery), func() error {
		l.seeLink(host, loops)
		return nil
	})
}

// seeLink notes the state of the connection, and has everything of the side read again when
// it is back.
func (l *Live) seeLink(host ops.Host, loops []chan struct{}) {
	link, _ := host.Link()
	if l.current.Load().On(host.Side()).Link == link {
		return
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		text := ""
		switch {
		case s.link == link: // told meanwhile by another loop
		case s.link == ops.LinkUp:
			text, s.lost = "connection lost", true
		case link == ops.LinkUp && s.lost:
			text, s.lost = "connected again", false
		}
		s.link = link
		if text != "" {
			l.remember(ops.Moment{At: l.i.opts.Now(), Kind: ops.MomentHost, Side: host.Side(), Text: text})
		}
		return true
	})
	if link == ops.LinkUp {
		for _, p := range loops {
			signal(p)
		}
	}
}

// watchEngine keeps a stream of events open, and lists when it opens, after events, and
// on a beat.
func (l *Live) watchEngine(ctx context.Context, host ops.Host, poke, facts, tests chan struct{}, loops []chan struct{}, tried func()) error {
	defer tried()
	failures := 0
	for {
		listed, err := l.follow(ctx, host, poke, tests, tried)
		if ctx.Err() != nil {
			return nil
		}
		l.seeLink(host, loops) // a lost connection is told apart from a stopped engine
		l.update(func(w *world) bool {
			s := w.on(host.Side())
			s.engine = l.i.look(s.engine, err, "following the engine", host.Side())
			return true
		})
		tried()
		if listed {
			failures = 0
			// The connection may have come back between two looks at it: only the facts tell
			// whether that was a new boot, or a new engine.
			signal(facts)
		}
		if !sleep(ctx, retry(failures), poke) {
			return nil
		}
		failures++
	}
}

// follow returns when the stream of events breaks or a list does not succeed, and tells
// whether there was a good list before.
func (l *Live) follow(ctx context.Context, host ops.Host, poke, tests chan struct{}, tried func()) (listed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dial, stop := context.WithTimeout(ctx, l.i.opts.Timeout)
	engine, err := host.Engine(dial)
	stop()
	if err != nil {
		return false, err
	}
	hint, open, ended := make(chan struct{}, 1), make(chan struct{}, 1), make(chan error, 1)
	// Subscribe first: what happens during the list is then an event after it.
	go func() {
		ended <- engine.Events(ctx, func() { signal(open) }, func(e ops.EngineEvent) {
			if tells(e) {
				signal(hint)
			}
		})
	}()
	defer func() { cancel(); <-ended }()

	tick := time.NewTicker(listEvery)
	defer tick.Stop()
	// Nothing waits for the stream to open: it may never, and the list is wanted now.
	if err := l.list(ctx, host, engine, tests); err != nil {
		return false, err
	}
	tried()
	var soon <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case err := <-ended:
			ended <- err
			if err == nil {
				err = errors.New("the stream of events ended")
			}
			return true, err
		case <-hint:
			if soon == nil {
				soon = time.After(coalesce)
			}
			continue
		case <-soon:
			soon = nil
		case <-open:
		case <-poke:
		case <-tick.C:
		}
		if err := l.list(ctx, host, engine, tests); err != nil {
			return true, err
		}
	}
}

// tells whether an event may change what a list shows. Health checks run by exec, every
// few seconds for every container, and do not.
func tells(e ops.EngineEvent) bool {
	return !strings.HasPrefix(e.Action, "exec_") && e.Action != "top" && e.Action != "resize" && e.Action != "attach" && e.Action != "detach"
}

func (l *Live) list(ctx context.Context, host ops.Host, engine ops.Engine, tests chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, l.i.opts.Timeout)
	defer cancel()
	found, err := list(ctx, engine, false)
	if err != nil {
		return err
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		changed := s.engine.Err != nil || s.engine.At.IsZero() || !equal(s.containers, found)
		s.engine = l.i.look(s.engine, nil, "", host.Side())
		if changed {
			s.containers = found
			signal(tests)
		}
		return changed
	})
	return nil
}

// readLock is cheap, so that a run begun elsewhere shows soon. Without an answer the lock
// stays as it was.
func (l *Live) readLock(ctx context.Context, host ops.Host) error {
	asked := l.i.opts.Now()
	read, cancel := context.WithTimeout(ctx, l.i.opts.Timeout)
	defer cancel()
	data, err := host.ReadFile(read, lockFile, false)
	var lock *ops.LockInfo
	last := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if l.drained() {
			last = l.lastRun(read, host)
		}
	case err != nil:
		return err
	default:
		lock = new(ops.LockInfo)
		if err := json.Unmarshal(data, lock); err != nil {
			return err // half-written: the next beat reads it whole
		}
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		changed := !equal(s.lock, lock)
		s.lock = lock
		return l.lockSeen(w, host.Side(), asked, last) || changed
	})
	return nil
}

// lastRun is what the latest run to release the lock has left on the host; empty: not known.
func (l *Live) lastRun(ctx context.Context, host ops.Host) string {
	data, err := host.ReadFile(ctx, lastFile, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "none"
	case err != nil:
		return ""
	}
	return string(data)
}

func (l *Live) runTests(ctx context.Context, host ops.Host) error {
	results := l.i.test(ctx, host)
	if ctx.Err() != nil || !linked(host) {
		return nil // what was seen last stays, as the rows do; the engine's Look has the error
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		changed := !equal(s.tests, results)
		s.tests = results
		return changed
	})
	return nil
}

// tested tells whether a side has services with a test of their own.
func (i *Inspector) tested(side ops.Side) bool {
	for _, s := range i.pair.Services {
		if s.On(side) && (s.Ready.Kind == ops.ReadyHTTP || s.Ready.Kind == ops.ReadyExec) {
			return true
		}
	}
	return false
}

func (l *Live) readBalancer(ctx context.Context) error {
	l.mu.Lock()
	before := l.world.balancer
	l.mu.Unlock()
	status := l.i.status(ctx, before)
	if ctx.Err() != nil {
		return nil
	}
	asked := l.i.opts.Now()
	l.update(func(w *world) bool {
		for _, side := range ops.Sides {
			l.trafficSeen(side, w.balancer.On(side).Traffic, status.On(side), asked)
		}
		changed := !sameStatus(w.balancer, status)
		w.balancer = status
		return changed
	})
	if status.Look.Err != nil {
		return status.Look.Err
	}
	return nil
}

// update changes the world and publishes what follows from it. The function tells whether
// anything visible has changed; if not, only the ages are brought up to date.
func (l *Live) update(change func(*world) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := change(&l.world)
	now := l.i.opts.Now()
	var before, snap ops.Snapshot
	if p := l.current.Load(); p != nil {
		before = *p
	}
	if changed {
		snap = assemble(l.i.pair, &l.world, now)
	} else {
		snap = before
		snap.At, snap.Balancer = now, l.world.balancer
		for _, side := range ops.Sides {
			s := l.world.on(side)
			snap.On(side).Host, snap.On(side).Engine, snap.On(side).Facts, snap.On(side).Care = s.host, s.engine, s.facts, s.care
		}
	}
	if l.i.opts.Findings != nil {
		snap.Findings = l.i.opts.Findings(snap, now)
		changed = changed || !equal(before.Findings, snap.Findings)
	}
	if changed {
		l.remember(moments(&before, &snap, now)...)
	}
	l.current.Store(&snap)
	if changed {
		signal(l.changed)
	}
}
