package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/ops"
)

var errCrash = errors.New("the runner died here")

// world is a pair in memory. Its clock is the bubble's.
type world struct {
	balancer balancer
	hosts    map[ops.Side]*host
	log      *record            // of the step under test
	logs     map[string]*record // of the steps with an id: see envOf
	lock     *locker
	said     []string
	look     func() ops.Snapshot
	// acts counts mutating calls; the one with the number crashAt does not happen, the
	// one with crashAfter happens and its answer is lost.
	acts, crashAt, crashAfter int
	calls                     []string
	// count counts every call, looks and records too. The one with the number dieAt does
	// not happen, nor does any after it until revive; dying is called then.
	count, dieAt int
	dead         bool
	dying        func()
	mu           sync.Mutex
}

// alive is called before every call.
func (w *world) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count++; w.count == w.dieAt {
		w.dead = true
		w.dying()
	}
	if w.dead {
		return errCrash
	}
	return nil
}

// dieIn lets an act die at its n-th call and tells whether it came that far.
func (w *world) dieIn(ctx context.Context, n int, act func(context.Context) error) (died bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.count, w.dieAt, w.dying = 0, n, cancel
	err = act(ctx)
	died = w.dead
	w.dead, w.dieAt = false, 0
	return died, err
}

// act is called before a change; do makes it.
func (w *world) act(do func() error, format string, args ...any) error {
	if err := w.alive(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acts++
	if w.acts == w.crashAt {
		return errCrash
	}
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
	if err := do(); err != nil {
		return err
	}
	if w.acts == w.crashAfter {
		return errCrash
	}
	return nil
}

func newWorld() *world {
	w := &world{log: newRecord(), logs: map[string]*record{}, hosts: map[ops.Side]*host{}}
	w.balancer = balancer{w: w, traffic: map[ops.Side]ops.Traffic{ops.Blue: ops.InService, ops.Green: ops.InService}, sessions: map[ops.Side]*int{}}
	w.lock = &locker{w: w, held: map[ops.Side]*ops.LockInfo{}}
	for _, side := range ops.Sides {
		h := &host{w: w, side: side, machine: "x86_64", http: map[string]int{}, boots: 1, system: "running", comesBack: 20 * time.Second}
		h.engine = &engine{w: w, h: h, images: []ops.Image{{ID: "sha256:old000000000", Tags: []string{"tcs:2"}}, {ID: "sha256:new000000000", Tags: []string{"tcs:1"}}}, sick: map[string]bool{}}
		w.hosts[side] = h
	}
	w.look = w.snapshot
	return w
}

func (w *world) env() ops.Env {
	return ops.Env{
		Hosts:    map[ops.Side]ops.Host{ops.Blue: w.hosts[ops.Blue], ops.Green: w.hosts[ops.Green]},
		Balancer: &w.balancer, Locker: w.lock, Now: time.Now, Poll: time.Second, Log: logger{w, w.log}, Run: ops.LockInfo{Run: "r1"},
		Look: func(context.Context) (ops.Snapshot, error) { return w.look(), nil },
	}
}

// envOf is the environment of the step with an id: it has a record of its own and reads
// those of the others.
func (w *world) envOf(id string) ops.Env {
	env := w.env()
	if w.logs[id] == nil {
		w.logs[id] = newRecord()
	}
	env.Log = logger{w, w.logs[id]}
	env.Recorded = func(step, key string, value any) (bool, error) {
		if w.logs[step] == nil {
			return false, nil
		}
		return w.logs[step].read(key, value)
	}
	return env
}

func (w *world) snapshot() ops.Snapshot {
	now := ops.Look{At: time.Now()}
	s := ops.Snapshot{At: now.At, Pair: ops.Pair{Limits: ops.DefaultLimits()}}
	for _, side := range ops.Sides {
		st := s.On(side)
		*st = ops.SideState{Side: side, Host: now, Engine: now, Link: ops.LinkUp}
		all, _ := w.hosts[side].engine.Containers(context.Background())
		for _, c := range all {
			word, ready := containerState(&c)
			st.Services = append(st.Services, ops.ServiceState{Name: c.Name, Here: true, Ready: ready, State: word})
		}
	}
	return s
}

// record is a journal's memory of one step.
type record struct{ kept map[string]json.RawMessage }

func newRecord() *record { return &record{kept: map[string]json.RawMessage{}} }

func (r *record) read(key string, value any) (bool, error) {
	data, ok := r.kept[key]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(data, value)
}

type logger struct {
	w   *world
	log *record
}

func (l logger) Say(text string) { l.w.said = append(l.w.said, text) }
func (l logger) Record(key string, value any) error {
	if err := l.w.alive(); err != nil {
		return err
	}
	if _, ok := l.log.kept[key]; ok {
		return nil
	}
	data, err := json.Marshal(value)
	l.log.kept[key] = data
	return err
}
func (l logger) Recall(key string, value any) (bool, error) { return l.log.read(key, value) }

type locker struct {
	w       *world
	held    map[ops.Side]*ops.LockInfo
	missing []ops.Side
}

func (l *locker) Take(_ context.Context, info ops.LockInfo, allow bool) ([]ops.Side, error) {
	for _, side := range ops.Sides {
		if h := l.held[side]; h != nil && h.Run != info.Run {
			return nil, &ops.HeldError{Side: side, Info: *h}
		}
	}
	if len(l.missing) > 0 && !allow {
		return nil, ops.ErrUnreachable
	}
	return l.missing, l.w.act(func() error {
		for _, side := range ops.Sides {
			if !slices.Contains(l.missing, side) {
				l.held[side] = &info
			}
		}
		return nil
	}, "take")
}

func (l *locker) Held(context.Context) (map[ops.Side]*ops.LockInfo, error) {
	if len(l.missing) > 0 {
		return l.held, ops.ErrUnreachable
	}
	return l.held, nil
}

func (l *locker) Released(context.Context, string) *ops.LockInfo { return nil }

func (l *locker) Release(_ context.Context, run string) error {
	err := l.w.act(func() error {
		for _, side := range ops.Sides {
			if l.held[side] != nil && l.held[side].Run == run && !slices.Contains(l.missing, side) {
				l.held[side] = nil
			}
		}
		return nil
	}, "release")
	if err == nil && len(l.missing) > 0 {
		return ops.ErrUnreachable
	}
	return err
}

// balancer drains like HAProxy: sessions end by themselves, one a second.
type balancer struct {
	ops.Balancer
	w        *world
	traffic  map[ops.Side]ops.Traffic
	sessions map[ops.Side]*int
	sticky   bool            // sessions never end
	slow     bool            // cutting off does not make it out, as with ELBv2
	each     func(looks int) // called at each look
	silent   func(looks int) error
	looks    int
}

func (b *balancer) Status(context.Context) (ops.BalancerStatus, error) {
	b.looks++
	if b.each != nil {
		b.each(b.looks)
	}
	if b.silent != nil {
		if err := b.silent(b.looks); err != nil {
			return ops.BalancerStatus{}, err
		}
	}
	s := ops.BalancerStatus{Look: ops.Look{At: time.Now()}, Minimum: 1}
	for _, side := range ops.Sides {
		at := s.On(side)
		at.Traffic = b.traffic[side]
		if n := b.sessions[side]; n != nil {
			left := *n
			at.Sessions = &left
			if b.traffic[side] == ops.Draining && !b.sticky && *n > 0 {
				*n--
			}
		}
	}
	return s, nil
}

func (b *balancer) Prior(_ context.Context, side ops.Side) (json.RawMessage, error) {
	return json.Marshal(b.traffic[side])
}

func (b *balancer) Drain(_ context.Context, side ops.Side) error {
	return b.w.act(func() error {
		if b.traffic[side] != ops.Out {
			b.traffic[side] = ops.Draining
		}
		return nil
	}, "drain %s", side)
}

func (b *balancer) CutOff(_ context.Context, side ops.Side) error {
	return b.w.act(func() error {
		if !b.slow {
			b.traffic[side] = ops.Out
		}
		return nil
	}, "cut off %s", side)
}

func (b *balancer) PutBack(_ context.Context, side ops.Side, prior json.RawMessage, _ func(string)) error {
	return b.w.act(func() error { b.traffic[side] = ops.InService; return nil }, "put back %s %s", side, prior)
}

func (b *balancer) Restore(_ context.Context, side ops.Side, prior json.RawMessage, _ func(string)) error {
	return b.w.act(func() error {
		var t ops.Traffic
		if err := json.Unmarshal(prior, &t); err != nil {
			return err
		}
		b.traffic[side] = t
		return nil
	}, "restore %s %s", side, prior)
}

type host struct {
	ops.Host
	w       *world
	side    ops.Side
	machine string
	http    map[string]int
	exec    error // what commands that it does not know end with
	engine  *engine
	down    error // of the engine
	// A reboot takes comesBack. locks is /proc/locks, dpkg
	// the inodes of dpkg's locks. deaf makes a reboot's command unheard, mute its answer.
	boots      int
	comesBack  time.Duration
	system     string // what systemctl is-system-running says
	units      string // what systemctl --failed says
	unitsErr   error
	slow       int // how often it says starting first, after a reboot
	locks      string
	dpkg       string
	deaf, mute bool
	stays      bool // asked to reboot, it does not
	outages    []outage
	rebootAt   time.Time
	downUntil  time.Time // its engine
	facts      ops.Facts // but for the boot id
	apt        *aptOf    // nil: no command of a package manager is known
	// program answers commands first; known is false for those that it is not.
	program func(ops.Command) (out []byte, known bool, err error)
}

// outage is a time without a connection.
type outage struct{ from, until time.Time }

// cut drops the connection after a while for some time.
func (h *host) cut(after, long time.Duration) {
	from := time.Now().Add(after)
	h.outages = append(h.outages, outage{from, from.Add(long)})
}

// reach is called before every call to the host. What has fallen due meanwhile happens.
func (h *host) reach() error {
	if err := h.w.alive(); err != nil {
		return err
	}
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	now := time.Now()
	if !h.rebootAt.IsZero() && !now.Before(h.rebootAt) {
		h.rebootAt = time.Time{}
		h.reboot()
	}
	if slices.ContainsFunc(h.outages, func(o outage) bool { return !now.Before(o.from) && now.Before(o.until) }) {
		return fmt.Errorf("no route to host: %w", ops.ErrUnreachable)
	}
	return nil
}

func (h *host) Engine(context.Context) (ops.Engine, error) {
	if err := h.reach(); err != nil {
		return nil, err
	}
	if time.Now().Before(h.downUntil) {
		return nil, fmt.Errorf("the engine does not run: %w", ops.ErrUnreachable)
	}
	return h.engine, h.down
}

func (h *host) Facts(context.Context) (ops.Facts, error) {
	if err := h.reach(); err != nil {
		return ops.Facts{}, err
	}
	if h.boots == 0 {
		return ops.Facts{}, nil
	}
	facts := h.facts
	facts.BootID = fmt.Sprintf("boot-%d", h.boots)
	return facts, nil
}

func (h *host) Get(_ context.Context, url string) (int, error) {
	code, ok := h.http[url]
	if !ok {
		return 0, errors.New("connection refused")
	}
	return code, nil
}

func (h *host) Exec(_ context.Context, c ops.Command) ([]byte, error) {
	if err := h.reach(); err != nil {
		return nil, err
	}
	if h.program != nil {
		if out, known, err := h.program(c); known {
			return out, err
		}
	}
	switch {
	case c.Args[0] == "uname":
		return []byte(h.machine + "\n"), nil
	case c.Args[0] == "stat":
		return []byte(h.dpkg), &ops.ExitError{Args: c.Args, Status: 1, Stderr: "No such file or directory"}
	case c.Args[0] == "systemctl" && c.Args[1] == "is-system-running":
		word := h.system
		if h.slow > 0 {
			h.slow--
			word = "starting"
		}
		if word == "running" {
			return []byte("running\n"), nil
		}
		return []byte(word + "\n"), &ops.ExitError{Args: c.Args, Status: 1}
	case c.Args[0] == "systemctl" && c.Args[1] == "--failed":
		return []byte(h.units), h.unitsErr
	case c.Args[0] == "sh" && c.Args[2] == rebootScript && h.exec == nil:
		if !c.Privileged || !c.Mutates {
			return nil, errors.New("Interactive authentication required")
		}
		return nil, h.askedToReboot(c.Args[4])
	}
	return nil, h.exec
}

func (h *host) askedToReboot(boot string) error {
	if h.deaf {
		h.deaf = false
		return fmt.Errorf("connection lost: %w", ops.ErrUnreachable)
	}
	err := h.w.act(func() error {
		if boot == fmt.Sprintf("boot-%d", h.boots) && !h.stays && h.rebootAt.IsZero() {
			h.cut(2*time.Second, h.comesBack)
			h.rebootAt = time.Now().Add(2 * time.Second)
		}
		return nil
	}, "reboot %s", h.side)
	if err == nil && h.mute {
		err = fmt.Errorf("connection lost: %w", ops.ErrUnreachable)
	}
	return err
}

// reboot ends every container and starts those that their restart policy brings back.
func (h *host) reboot() {
	h.boots++
	for _, c := range h.engine.containers {
		ran := c.State == "running"
		if ran {
			c.State, c.ExitCode = "exited", 0
		}
		policy, _, _ := strings.Cut(c.Policy, ":")
		if policy == "always" || policy == "unless-stopped" && ran || policy == "on-failure" && c.ExitCode != 0 {
			_ = begin(c)
		}
	}
}

func (h *host) ReadFile(_ context.Context, path string, _ bool) ([]byte, error) {
	if err := h.reach(); err != nil {
		return nil, err
	}
	if path == "/proc/locks" {
		return []byte(h.locks), nil
	}
	if h.apt != nil && path == aptLog {
		return []byte(h.apt.log), nil
	}
	return nil, fs.ErrNotExist
}

type engine struct {
	ops.Engine
	w          *world
	h          *host
	containers []*ops.Container
	images     []ops.Image
	sick       map[string]bool // ids of images whose containers never get healthy
	born       int
	each       func(looks int) // called at each listing
	looks      int
	exit       int
	runErr     error
	byHand     map[string]string   // policies changed by hand that listings do not tell yet
	deafTo     map[string]bool     // names of containers that do not end when asked and are killed
	lost       map[string][]string // what Create cannot keep, by name
	ends       map[string]int      // exit codes of those that end while their log is followed, by name
	behind     int                 // so many listings after a stop still tell what ran before
	version    string
	late       []ops.Container // what ran before
}

func (e *engine) get(id string) (*ops.Container, error) {
	for _, c := range e.containers {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no such container %s", id)
}

func (e *engine) byName(name string) *ops.Container {
	for _, c := range e.containers {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func (e *engine) Containers(context.Context) ([]ops.Container, error) {
	if err := e.h.reach(); err != nil {
		return nil, err
	}
	e.looks++
	if e.late != nil && e.behind > 0 {
		e.behind--
		return e.late, nil
	}
	if e.each != nil {
		e.each(e.looks)
	}
	var all []ops.Container
	for _, c := range e.containers {
		if c.State == "running" && c.Health == "starting" && time.Since(c.StartedAt) >= 3*time.Second && !e.sick[c.ImageID] {
			c.Health = "healthy"
		}
		all = append(all, *c)
	}
	return all, nil
}
func (e *engine) Container(_ context.Context, id string) (ops.Container, error) {
	if err := e.h.reach(); err != nil {
		return ops.Container{}, err
	}
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	c, err := e.get(id)
	if err != nil {
		return ops.Container{}, err
	}
	read := *c
	if p, ok := e.byHand[c.Name]; ok {
		read.Policy = p
	}
	return read, nil
}
func (e *engine) Images(context.Context) ([]ops.Image, error) { return e.images, nil }

func (e *engine) change(id, what string, do func(*ops.Container) error) error {
	e.w.mu.Lock()
	c, err := e.get(id)
	e.w.mu.Unlock()
	if err != nil {
		return err
	}
	return e.w.act(func() error { return do(c) }, "%s %s", what, c.Name)
}

func begin(c *ops.Container) error {
	c.State, c.StartedAt = "running", time.Now()
	if c.Health != "" {
		c.Health = "starting"
	}
	return nil
}

func (e *engine) Start(_ context.Context, id string) error { return e.change(id, "start", begin) }
func (e *engine) Restart(_ context.Context, id string, _ time.Duration) error {
	return e.change(id, "restart", begin)
}
func (e *engine) Stop(_ context.Context, id string, _ time.Duration) error {
	e.w.mu.Lock()
	if e.late == nil && e.behind > 0 {
		for _, c := range e.containers {
			e.late = append(e.late, *c)
		}
	}
	e.w.mu.Unlock()
	return e.change(id, "stop", func(c *ops.Container) error {
		c.State, c.ExitCode = "exited", 0
		if e.deafTo[c.Name] {
			c.ExitCode = 137
		}
		return nil
	})
}
func (e *engine) Rename(_ context.Context, id, name string) error {
	if e.byName(name) != nil {
		return fmt.Errorf("the name %s is taken", name)
	}
	return e.change(id, "rename", func(c *ops.Container) error { c.Name = name; return nil })
}
func (e *engine) SetRestartPolicy(_ context.Context, id, policy string) error {
	return e.change(id, "policy "+policy, func(c *ops.Container) error {
		c.Policy = policy
		delete(e.byHand, c.Name)
		return nil
	})
}
func (e *engine) Remove(_ context.Context, id string) error {
	return e.change(id, "remove", func(c *ops.Container) error {
		if c.State == "running" {
			return fmt.Errorf("%s is running", c.Name)
		}
		e.containers = slices.DeleteFunc(e.containers, func(x *ops.Container) bool { return x.ID == id })
		return nil
	})
}
func (e *engine) Inspect(_ context.Context, id string) (json.RawMessage, error) {
	if err := e.h.reach(); err != nil {
		return nil, err
	}
	c, err := e.get(id)
	if err != nil {
		return nil, err
	}
	return json.Marshal(c)
}
func (e *engine) Create(_ context.Context, like json.RawMessage, name, image string) (string, []string, error) {
	var c ops.Container
	if err := json.Unmarshal(like, &c); err != nil {
		return "", nil, err
	}
	if e.byName(name) != nil {
		return "", nil, fmt.Errorf("the name %s is taken", name)
	}
	if image == "" {
		image = c.Image
	}
	i, ok := FindImage(e.images, image)
	if !ok {
		return "", nil, fmt.Errorf("no image %q", image)
	}
	e.born++
	c.ID, c.Name, c.Image, c.ImageID, c.State = fmt.Sprintf("made%04d", e.born), name, image, i.ID, "created"
	err := e.w.act(func() error { e.containers = append(e.containers, &c); return nil }, "create %s %s", name, image)
	return c.ID, e.lost[name], err
}
func (e *engine) Import(_ context.Context, tar io.Reader, ref string, _ []string) (string, error) {
	if _, err := io.Copy(&bytes.Buffer{}, tar); err != nil {
		return "", err
	}
	return "sha256:canary", e.w.act(func() error {
		e.images = append(e.images, ops.Image{ID: "sha256:canary", Tags: []string{ref}})
		return nil
	}, "import %s", ref)
}
func (e *engine) RemoveImage(_ context.Context, ref string) error {
	return e.w.act(func() error {
		e.images = slices.DeleteFunc(e.images, func(i ops.Image) bool { return slices.Contains(i.Tags, ref) })
		return nil
	}, "remove image %s", ref)
}
func (e *engine) Run(_ context.Context, spec ops.RunSpec) (int, error) {
	return e.exit, e.w.act(func() error {
		if e.runErr != nil {
			e.containers = append(e.containers, &ops.Container{ID: "left", Name: spec.Name, State: "created", Labels: spec.Labels})
		}
		return e.runErr
	}, "run %s", spec.Image)
}

// shape is what a rollback must give back: names, images, states and policies.
func (e *engine) shape() string {
	var lines []string
	for _, c := range e.containers {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", c.Name, c.Image, c.State, c.Policy))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// cutAnywhere lets a step die at each of its calls in turn and then does it again, takes it
// back, or takes it back dying at each call of that as well. look tells the world in words.
func cutAnywhere(t *testing.T, id string, build func(*testing.T, *world) ops.Step, look func(*world) string, done, undone string) {
	t.Helper()
	for n, more := 1, true; more; n++ {
		for _, way := range []string{"again", "back", "back, dying too"} {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				s := build(t, w)
				died, err := w.dieIn(t.Context(), n, func(ctx context.Context) error {
					if verdict, err := s.Check(ctx, w.envOf(id)); verdict != ops.Ready {
						return err
					}
					if err := s.Do(ctx, w.envOf(id)); err != nil {
						return err
					}
					return s.Verify(ctx, w.envOf(id))
				})
				if more = died; !died {
					must(t, err)
				}
				want := undone
				switch way {
				case "again":
					want = done
					_, err := carryOut(t, s, w.envOf(id))
					must(t, err)
				case "back":
					if err := s.Undo(t.Context(), w.envOf(id)); err != nil && !errors.Is(err, ops.ErrNoUndo) {
						t.Fatalf("call %d, %s: %v", n, way, err)
					}
				default:
					for k := 1; ; k++ {
						died, err := w.dieIn(t.Context(), k, func(ctx context.Context) error { return s.Undo(ctx, w.envOf(id)) })
						if !died {
							if err != nil && !errors.Is(err, ops.ErrNoUndo) {
								t.Fatalf("call %d, %s at %d: %v", n, way, k, err)
							}
							break
						}
					}
				}
				if got := look(w); got != want {
					t.Errorf("call %d, %s:\n%s\nwant\n%s", n, way, got, want)
				}
			})
		}
	}
}
