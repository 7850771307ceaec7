// Package inspect looks at a pair, once or live, and returns snapshots. It is the only
// reader of the world before a plan.
//
// Rules:
//
//   - An error never looks like an empty host: it is in the Look of the part that could
//     not be read. The live view keeps the last good rows beside it, with their age.
//   - A snapshot is immutable: it is replaced, never changed. Readers share it freely.
//   - What was never read is unknown, and unknown is not ready.
//   - Engine events are hints. They say that it is time to list, never what there is: the
//     engine drops slow subscribers after 100 ms and forgets its 256 events when it
//     restarts (moby daemon/events/events.go).
//   - Every call has a deadline.
//
// Services come from the config, else from compose labels (labels.go in docker/compose:
// com.docker.compose.project, service, container-number, oneoff, depends_on). The label
// depends_on is written by compose v2 only; without it the order is unknown.
package inspect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

// Options of an Inspector. The zero value is fit for use.
type Options struct {
	Now     func() time.Time // default time.Now
	Timeout time.Duration    // of one read; default 10 s
	// Whole has Look read what only plans need too: the images and the networks of the hosts.
	Whole bool
	// Care has it ask the package managers, too, which takes seconds: a plan that waits for
	// that is one made of a pair that has changed meanwhile.
	Care bool
	// Findings, if set, fills Snapshot.Findings.
	Findings func(snap ops.Snapshot, now time.Time) []ops.Finding
}

// Inspector reads a pair.
type Inspector struct {
	pair  ops.Pair
	hosts map[ops.Side]ops.Host
	lb    ops.Balancer
	opts  Options
}

// New makes an Inspector; it needs a host for each side and a balancer.
func New(pair ops.Pair, hosts map[ops.Side]ops.Host, lb ops.Balancer, opts Options) *Inspector {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	return &Inspector{pair: pair, hosts: hosts, lb: lb, opts: opts}
}

// world is everything read, before it is put in order.
type world struct {
	blue, green seen
	balancer    ops.BalancerStatus
}

func (w *world) on(side ops.Side) *seen {
	if side == ops.Green {
		return &w.green
	}
	return &w.blue
}

// seen is what was read of one side.
type seen struct {
	link         ops.Link
	lost         bool // the connection was there, and has not come back yet
	host, engine ops.Look
	facts        ops.Facts
	lock         *ops.LockInfo
	net          *ops.NetFacts // nil: not read
	care         ops.Look      // of upkeep
	upkeep       ops.Upkeep
	containers
	tests map[string]tested
}

// containers is one listing of an engine.
type containers struct {
	version  ops.EngineVersion
	list     []ops.Container
	networks []ops.Network
	images   []ops.Image // nil: not read
}

// tested is the outcome of a readiness test that is not in the container's own state.
type tested struct {
	passed bool
	known  bool // false: it could not be carried out
	why    string
}

// Look reads everything once, in parallel; images and host networks only with Options.Whole,
// package managers with Options.Care. It returns within the timeout, which is longer for the package
// managers; whatever could not be read has its error in the snapshot.
func (i *Inspector) Look(ctx context.Context) ops.Snapshot {
	w := i.unseen()
	var wg sync.WaitGroup
	for _, side := range ops.Sides {
		host, s := i.hosts[side], w.on(side)
		wg.Go(func() {
			facts, err := i.facts(ctx, host)
			s.host = i.look(s.host, err, "reading the host", side)
			s.facts, s.lock = facts, facts.Lock
		})
		wg.Go(func() {
			list, err := i.engine(ctx, host, i.opts.Whole)
			s.engine = i.look(s.engine, err, "reading the engine", side)
			s.containers = list
		})
		wg.Go(func() { s.tests = i.test(ctx, host) })
		if i.opts.Whole {
			wg.Go(func() { s.net, _ = i.net(ctx, host) })
		}
		if i.opts.Care {
			wg.Go(func() {
				upkeep, err := i.upkeep(ctx, host)
				s.care = i.look(s.care, err, doingUpkeep, side)
				s.upkeep = upkeep
			})
		}
	}
	wg.Go(func() { w.balancer = i.status(ctx, w.balancer) })
	wg.Wait()
	for _, side := range ops.Sides {
		w.on(side).link, _ = i.hosts[side].Link()
	}
	now := i.opts.Now()
	snap := assemble(i.pair, &w, now)
	if i.opts.Findings != nil {
		snap.Findings = i.opts.Findings(snap, now)
	}
	return snap
}

// unseen is the world before the first look.
func (i *Inspector) unseen() world {
	return world{balancer: ops.BalancerStatus{
		Name: i.lb.Name(), Minimum: 1,
		Blue: ops.SideTraffic{Traffic: ops.Unknown}, Green: ops.SideTraffic{Traffic: ops.Unknown},
	}}
}

// look is the Look after a read: an error leaves the time of the last good one.
func (i *Inspector) look(before ops.Look, err error, doing string, side ops.Side) ops.Look {
	if err != nil {
		return ops.Look{At: before.At, Err: ops.AsProblem(err, doing, side)}
	}
	return ops.Look{At: i.opts.Now()}
}

func (i *Inspector) facts(ctx context.Context, host ops.Host) (ops.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, i.opts.Timeout)
	defer cancel()
	return host.Facts(ctx)
}

// net reads what addresses a host has. Without an answer it is not known, which is for the
// one to judge who needs it: the host may serve all the same.
func (i *Inspector) net(ctx context.Context, host ops.Host) (*ops.NetFacts, error) {
	ctx, cancel := context.WithTimeout(ctx, i.opts.Timeout)
	defer cancel()
	facts, err := host.Net(ctx)
	if err != nil {
		return nil, err
	}
	return &facts, nil
}

const doingUpkeep = "reading what the package manager did"

// upkeep asks a package manager, which thinks for seconds where its cache is not at hand.
func (i *Inspector) upkeep(ctx context.Context, host ops.Host) (ops.Upkeep, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*i.opts.Timeout)
	defer cancel()
	return host.Upkeep(ctx)
}

// engine reads an engine, with its images where they are wanted.
func (i *Inspector) engine(ctx context.Context, host ops.Host, images bool) (containers, error) {
	ctx, cancel := context.WithTimeout(ctx, i.opts.Timeout)
	defer cancel()
	engine, err := host.Engine(ctx)
	if err != nil {
		return containers{}, err
	}
	return list(ctx, engine, images)
}

// list reads an engine whole: all of it, or an error.
func list(ctx context.Context, engine ops.Engine, images bool) (containers, error) {
	var c containers
	var err error
	if c.version, err = engine.Version(ctx); err != nil { // first: it agrees on the API version for the rest
		return containers{}, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { c.list, err = engine.Containers(ctx); return err })
	g.Go(func() (err error) { c.networks, err = engine.Networks(ctx); return err })
	var parts map[string]string
	g.Go(func() error { parts = engine.Parts(ctx); return nil })
	if images {
		g.Go(func() (err error) { c.images, err = engine.Images(ctx); return err })
	}
	if err := g.Wait(); err != nil {
		return containers{}, err
	}
	c.version.Parts = parts
	// The engine keeps these in maps: without an order every listing would look new.
	c.list, c.networks = slices.Clone(c.list), slices.Clone(c.networks)
	slices.SortFunc(c.networks, func(a, b ops.Network) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	for i := range c.list {
		c.list[i].Networks = slices.Sorted(slices.Values(c.list[i].Networks))
		c.list[i].Ports = slices.Sorted(slices.Values(c.list[i].Ports))
	}
	return c, nil
}

// status reads the balancer; on an error what it had stays.
func (i *Inspector) status(ctx context.Context, before ops.BalancerStatus) ops.BalancerStatus {
	ctx, cancel := context.WithTimeout(ctx, i.opts.Timeout)
	defer cancel()
	status, err := i.lb.Status(ctx)
	if err != nil {
		before.Look = i.look(before.Look, err, "reading the balancer", "")
		return before
	}
	if status.Name == "" {
		status.Name = i.lb.Name()
	}
	for _, side := range ops.Sides {
		t := status.On(side)
		if t.Traffic == "" {
			t.Traffic = ops.Unknown
		}
		t.Calls = map[string][]string{}
		for _, act := range []string{"drain", "cut-off", "put-back"} {
			t.Calls[act] = i.lb.Effects(act, side)
		}
	}
	if status.Look.At.IsZero() {
		status.Look.At = i.opts.Now()
	}
	return status
}

// testsAtOnce keeps readiness tests well below the 10 sessions that sshd allows a
// connection (MaxSessions).
const testsAtOnce = 4

// test runs the readiness tests that a listing cannot answer, for the services that
// belong on the host's side.
func (i *Inspector) test(ctx context.Context, host ops.Host) map[string]tested {
	ctx, cancel := context.WithTimeout(ctx, i.opts.Timeout)
	defer cancel()
	var mu sync.Mutex
	out := map[string]tested{}
	var g errgroup.Group
	g.SetLimit(testsAtOnce)
	for _, s := range i.pair.Services {
		if !s.On(host.Side()) || s.Ready.Kind != ops.ReadyHTTP && s.Ready.Kind != ops.ReadyExec {
			continue
		}
		g.Go(func() error {
			result := testOne(ctx, host, s.Ready)
			mu.Lock()
			defer mu.Unlock()
			out[s.Name] = result
			return nil
		})
	}
	_ = g.Wait() // the functions return no errors
	return out
}

func testOne(ctx context.Context, host ops.Host, r ops.Readiness) tested {
	if r.Kind == ops.ReadyHTTP {
		code, err := host.Get(ctx, r.URL)
		switch {
		case err != nil:
			return tested{known: ctx.Err() == nil && linked(host), why: fmt.Sprintf("GET %s: %v", r.URL, err)}
		case code < 200 || code > 399:
			return tested{known: true, why: fmt.Sprintf("GET %s: status %d", r.URL, code)}
		}
		return tested{known: true, passed: true}
	}
	if _, err := host.Exec(ctx, ops.Command{Args: r.Exec}); err != nil {
		return tested{known: ctx.Err() == nil && linked(host), why: err.Error()}
	}
	return tested{known: true, passed: true}
}

// linked tells whether an error may be the service's own and not the connection's.
func linked(host ops.Host) bool {
	link, _ := host.Link()
	return link == ops.LinkUp
}
