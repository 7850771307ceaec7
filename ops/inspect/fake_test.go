package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/ops"
)

// fakeHost is a host in memory. Everything is changed through change.
type fakeHost struct {
	ops.Host // the rest is never called
	side     ops.Side

	mu       sync.Mutex
	link     ops.Link
	err      error // of everything, while the link is down
	facts    ops.Facts
	lock     *ops.LockInfo
	last     string         // what a run that released the lock has left
	statuses map[string]int // of URLs
	execErr  error
	netErr   error
	hang     bool // calls wait for their deadline
	engine   *fakeEngine
	factsN   int
	upkeep   ops.Upkeep
	upkeepN  int
	careErr  error
	netN     int
}

func newHost(side ops.Side) *fakeHost {
	return &fakeHost{side: side, link: ops.LinkUp, facts: ops.Facts{BootID: "first", User: "ops"}, statuses: map[string]int{}, engine: newEngine()}
}

func (h *fakeHost) change(f func(*fakeHost)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

func (h *fakeHost) factsRead() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.factsN
}

func (h *fakeHost) enter(ctx context.Context) error {
	h.mu.Lock()
	err, hang := h.err, h.hang
	h.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (h *fakeHost) Side() ops.Side  { return h.side }
func (h *fakeHost) Address() string { return "10.0.0.1" }
func (h *fakeHost) Close() error    { return nil }

func (h *fakeHost) Link() (ops.Link, *ops.Problem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.link, nil
}

func (h *fakeHost) Exec(ctx context.Context, _ ops.Command) ([]byte, error) {
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return nil, h.execErr
}

func (h *fakeHost) ReadFile(ctx context.Context, path string, _ bool) ([]byte, error) {
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if path == lastFile && h.last != "" {
		return []byte(h.last), nil
	}
	if path != lockFile || h.lock == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return json.Marshal(h.lock)
}

func (h *fakeHost) WriteFile(context.Context, string, []byte, fs.FileMode, bool) error {
	return errors.ErrUnsupported
}

func (h *fakeHost) Get(ctx context.Context, url string) (int, error) {
	if err := h.enter(ctx); err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	code, ok := h.statuses[url]
	if !ok {
		return 0, errors.New("connection refused")
	}
	return code, nil
}

func (h *fakeHost) Facts(ctx context.Context) (ops.Facts, error) {
	if err := h.enter(ctx); err != nil {
		return ops.Facts{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.factsN++
	f := h.facts
	f.Lock = h.lock
	f.Clock = time.Now()
	return f, nil
}

func (h *fakeHost) Net(ctx context.Context) (ops.NetFacts, error) {
	if err := h.enter(ctx); err != nil {
		return ops.NetFacts{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.netN++
	return ops.NetFacts{Daemon: "{}"}, h.netErr
}

func (h *fakeHost) Upkeep(ctx context.Context) (ops.Upkeep, error) {
	if err := h.enter(ctx); err != nil {
		return ops.Upkeep{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.upkeepN++
	return h.upkeep, h.careErr
}

func (h *fakeHost) Engine(ctx context.Context) (ops.Engine, error) {
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	return h.engine, nil
}

// fakeEngine is the reading half of an engine.
type fakeEngine struct {
	ops.Engine // the rest is never called

	mu         sync.Mutex
	err        error
	version    string
	containers map[string]ops.Container
	lists      int
	streams    map[chan ops.EngineEvent]bool
}

func newEngine() *fakeEngine {
	return &fakeEngine{version: "20.10.24", containers: map[string]ops.Container{}, streams: map[chan ops.EngineEvent]bool{}}
}

// put sets a container and tells the subscribers, as an engine does.
func (e *fakeEngine) put(c ops.Container, action string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.containers[c.Name] = c
	for s := range e.streams {
		s <- ops.EngineEvent{Type: "container", Action: action, Name: c.Name}
	}
}

func (e *fakeEngine) say(action string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.streams {
		s <- ops.EngineEvent{Type: "container", Action: action}
	}
}

// stop breaks all streams and refuses everything; start lets it answer again.
func (e *fakeEngine) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = errors.New("the daemon is down")
	for s := range e.streams {
		close(s)
	}
	clear(e.streams)
}

func (e *fakeEngine) start(version string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err, e.version = nil, version
}

func (e *fakeEngine) listed() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lists
}

func (e *fakeEngine) Parts(context.Context) map[string]string { return nil }

func (e *fakeEngine) Version(context.Context) (ops.EngineVersion, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return ops.EngineVersion{Running: e.version}, e.err
}

func (e *fakeEngine) Containers(context.Context) ([]ops.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lists++
	var out []ops.Container
	for _, name := range slices.Sorted(maps.Keys(e.containers)) {
		out = append(out, e.containers[name])
	}
	return out, e.err
}

func (e *fakeEngine) Networks(context.Context) ([]ops.Network, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return nil, e.err
}

func (e *fakeEngine) Images(context.Context) ([]ops.Image, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return []ops.Image{{ID: "sha256:0123"}}, e.err
}

func (e *fakeEngine) Events(ctx context.Context, ready func(), event func(ops.EngineEvent)) error {
	stream := make(chan ops.EngineEvent, 100)
	e.mu.Lock()
	if err := e.err; err != nil {
		e.mu.Unlock()
		return err
	}
	e.streams[stream] = true
	e.mu.Unlock()
	ready()
	for {
		select {
		case <-ctx.Done():
			e.mu.Lock()
			delete(e.streams, stream)
			e.mu.Unlock()
			return ctx.Err()
		case ev, open := <-stream:
			if !open {
				return io.ErrUnexpectedEOF
			}
			event(ev)
		}
	}
}

// fakeBalancer is the reading half of a balancer.
type fakeBalancer struct {
	ops.Balancer

	every time.Duration
	mu    sync.Mutex
	err   error
	blue  ops.Traffic
	green ops.Traffic
	asked []time.Time
}

func (b *fakeBalancer) Name() string         { return "fake" }
func (b *fakeBalancer) Every() time.Duration { return b.every }

func (b *fakeBalancer) Effects(act string, side ops.Side) []string {
	return []string{act + " " + string(side)}
}

func (b *fakeBalancer) times() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

func (b *fakeBalancer) set(blue, green ops.Traffic, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blue, b.green, b.err = blue, green, err
}

func (b *fakeBalancer) Status(context.Context) (ops.BalancerStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, time.Now())
	if b.err != nil {
		return ops.BalancerStatus{}, b.err
	}
	return ops.BalancerStatus{Minimum: 1, Blue: ops.SideTraffic{Traffic: b.blue}, Green: ops.SideTraffic{Traffic: b.green}}, nil
}

// scene is a small pair of fakes.
type scene struct {
	blue, green *fakeHost
	lb          *fakeBalancer
	pair        ops.Pair
}

func newScene() *scene {
	s := &scene{blue: newHost(ops.Blue), green: newHost(ops.Green), lb: &fakeBalancer{every: time.Second, blue: ops.InService, green: ops.InService}}
	s.pair = ops.Pair{Name: "tis", Limits: ops.DefaultLimits(), Services: []ops.Service{{Name: "tcs"}}}
	for _, h := range []*fakeHost{s.blue, s.green} {
		h.engine.containers["tcs"] = running("tcs")
	}
	return s
}

func (s *scene) inspector() *Inspector {
	return New(s.pair, map[ops.Side]ops.Host{ops.Blue: s.blue, ops.Green: s.green}, s.lb, Options{})
}

func running(name string) ops.Container {
	return ops.Container{ID: name, Name: name, State: "running", Health: "healthy", StartedAt: time.Unix(1000, 0)}
}
