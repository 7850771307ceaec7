package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// HAProxyOptions describe an HAProxy as its config file would.
type HAProxyOptions struct {
	Network, Address string // of the runtime socket: "unix" and a path, or "tcp" and 127.0.0.1:0 (the default)
	Backends         []HAProxyBackend
	Level            string                                              // of the socket: user, operator or admin (the default)
	Hold             time.Duration                                       // how long a made-up request stays open as a session
	Listen           func(network, address string) (net.Listener, error) // nil: net.Listen
	OnChange         func(Request)                                       // see [Options]
}

// HAProxyBackend is one backend section.
type HAProxyBackend struct {
	Name    string
	Servers []HAProxyServer
}

// HAProxyServer is one server line. Zero values are HAProxy's own defaults.
type HAProxyServer struct {
	Name    string
	Addr    string        // shown to operators and administrators: "10.0.1.11:80"
	Weight  int           // 1
	Backup  bool          // gets traffic only when no other server can
	NoCheck bool          // no "check" keyword: always UP, shown as "no check"
	Inter   time.Duration // 2 s
	Fall    int           // 3
	Rise    int           // 2
	Healthy func() bool   // what stands behind it, asked by checks and by requests; nil: always well
	Answer  func() int    // HTTP status of a made-up request; nil: 200
}

// HAProxy is the runtime socket of an HAProxy 2.6, with servers whose state moves as
// measured on 2.6.12: success is an empty line and errors are plain text; a server in
// drain that fails its check is shown as DOWN; "ready" serves at once, whatever the check
// says; leaving maint starts with a server that is UP on trust and with the result of the
// last check before it; a reload puts everything back as configured.
type HAProxy struct {
	opts     HAProxyOptions
	mu       sync.Mutex
	ln       net.Listener
	backends []*haproxyBackend
	level    string
	commands []Request
	turns    turns
	next     int // which backend the next made-up request goes to
	started  time.Time
	hang     chan struct{} // not nil: the fault is on; closed when it is taken back
	conns    map[net.Conn]bool
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

type haproxyBackend struct {
	name    string
	servers []*haproxyServer
}

// Bits of srv_admin_state (HAProxy's management guide, 9.3).
const (
	haproxyForcedMaint = 0x01
	haproxyForcedDrain = 0x08
)

type haproxyServer struct {
	conf      HAProxyServer
	admin     int
	weight    int
	stopping  bool // "set server health stopping": NOLB
	health    int  // 0 .. rise+fall-1; UP from rise on
	checkCode string
	changed   time.Time
	sessions  []time.Time // ends of made-up sessions
	held      int         // sessions held open by SetSessions
	smooth    int         // weighted round robin
	requests  uint64
	errors5xx uint64
	econ      uint64
	retries   uint64
	chkfail   uint64
	chkdown   uint64
}

// NewHAProxy starts one. Every server with a check has been checked once when it returns.
func NewHAProxy(opts HAProxyOptions) (*HAProxy, error) {
	opts.Network, opts.Address = cmp.Or(opts.Network, "tcp"), cmp.Or(opts.Address, "127.0.0.1:0")
	if opts.Listen == nil {
		opts.Listen = net.Listen
	}
	ln, err := opts.Listen(opts.Network, opts.Address)
	if err != nil {
		return nil, fmt.Errorf("opening the runtime socket: %w", err)
	}
	opts.Address = ln.Addr().String()
	h := &HAProxy{opts: opts, level: cmp.Or(opts.Level, "admin"), conns: map[net.Conn]bool{}, ln: ln}
	h.Reload()
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	for _, b := range h.backends {
		for _, s := range b.servers {
			if !s.conf.NoCheck {
				h.done.Go(func() { h.checkLoop(ctx, s) })
			}
		}
	}
	h.done.Go(func() { h.accept(ln) })
	return h, nil
}

// Address is where the socket listens: a path, or host:port.
func (h *HAProxy) Address() string { return h.opts.Address }

// URL is the same as a config file writes it: unix:///path or tcp://host:port.
func (h *HAProxy) URL() string { return h.opts.Network + "://" + h.opts.Address }

// Close stops it and ends its connections.
func (h *HAProxy) Close() error {
	h.cancel()
	h.Hang(false)
	h.mu.Lock()
	err := h.ln.Close()
	for c := range h.conns {
		c.Close()
	}
	h.mu.Unlock()
	h.done.Wait()
	if errors.Is(err, net.ErrClosed) { // it refused connections already
		return nil
	}
	return err
}

// Reload is what "systemctl reload haproxy" without a state file does: every server is
// as configured again, and the counters start at nothing.
func (h *HAProxy) Reload() {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.note(false)
	now := time.Now()
	h.started = now
	first := h.backends == nil
	for i, b := range h.opts.Backends {
		if first {
			h.backends = append(h.backends, &haproxyBackend{name: b.Name})
		}
		for j, conf := range b.Servers {
			conf.Weight, conf.Inter = cmp.Or(conf.Weight, 1), cmp.Or(conf.Inter, 2*time.Second)
			conf.Fall, conf.Rise = cmp.Or(conf.Fall, 3), cmp.Or(conf.Rise, 2)
			if first {
				h.backends[i].servers = append(h.backends[i].servers, &haproxyServer{})
			}
			s := h.backends[i].servers[j]
			*s = haproxyServer{conf: conf, weight: conf.Weight, changed: now, held: s.held, sessions: s.sessions}
			s.health = conf.Rise
			if !conf.NoCheck {
				s.check(now, s.well())
			}
		}
	}
}

// SetLevel changes the level of the socket: user, operator or admin.
func (h *HAProxy) SetLevel(level string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.level = level
}

// Hang makes it accept connections and read commands without ever answering, until it is
// taken back; then every connection that waits is closed.
func (h *HAProxy) Hang(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case on && h.hang == nil:
		h.hang = make(chan struct{})
	case !on && h.hang != nil:
		close(h.hang)
		h.hang = nil
	}
}

// Refuse closes the listening socket, as when HAProxy is not running, or opens it again
// at the same address.
func (h *HAProxy) Refuse(on bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if on {
		return h.ln.Close()
	}
	ln, err := h.opts.Listen(h.opts.Network, h.opts.Address)
	if err != nil {
		return fmt.Errorf("opening the runtime socket again: %w", err)
	}
	h.ln = ln
	h.done.Go(func() { h.accept(ln) })
	return nil
}

// Commands are all command lines that were received, in order.
func (h *HAProxy) Commands() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, c := range h.commands {
		out = append(out, c.What)
	}
	return out
}

// Do carries out a command as an administrator beside the socket would. It is not among
// the Commands.
func (h *HAProxy) Do(command string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	level := h.level
	h.level = "admin"
	defer func() { h.level = level }()
	defer h.note(true)
	return h.answer(command)
}

// SetSessions holds n sessions open on a server, in the first backend that has it, beside
// those of made-up requests.
func (h *HAProxy) SetSessions(server string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.backends {
		for _, s := range b.servers {
			if s.conf.Name == server {
				s.held = n
				return
			}
		}
	}
}

// Request is one made-up request: it goes to the backends in turn and there to the server
// that the balancer would pick. It returns that server's name, or none when no server can
// take it (the client gets a 503), and whether the client got an answer below 500.
func (h *HAProxy) Request() (server string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.backends[h.next%len(h.backends)]
	h.next++
	s := b.pick()
	if s == nil {
		return "", false
	}
	s.requests++
	if !s.well() {
		s.econ++
		s.retries += 3
		return s.conf.Name, false
	}
	s.sessions = append(s.current(time.Now()), time.Now().Add(h.opts.Hold))
	if s.conf.Answer != nil && s.conf.Answer() >= 500 {
		s.errors5xx++
		return s.conf.Name, false
	}
	return s.conf.Name, true
}

// pick is weighted round robin over the servers that take new traffic; backups only when
// nothing else does.
func (b *haproxyBackend) pick() *haproxyServer {
	for _, backup := range []bool{false, true} {
		var best *haproxyServer
		total := 0
		for _, s := range b.servers {
			if s.conf.Backup != backup || !s.takes() {
				continue
			}
			total += s.weight
			s.smooth += s.weight
			if best == nil || s.smooth > best.smooth {
				best = s
			}
		}
		if best != nil {
			best.smooth -= total
			return best
		}
	}
	return nil
}

func (s *haproxyServer) well() bool { return s.conf.Healthy == nil || s.conf.Healthy() }

// up is the check's opinion; without a check a server is always up.
func (s *haproxyServer) up() bool { return s.conf.NoCheck || s.health >= s.conf.Rise }

func (s *haproxyServer) inMaint() bool { return s.admin&haproxyForcedMaint != 0 }

func (s *haproxyServer) inDrain() bool { return s.admin&haproxyForcedDrain != 0 }

func (s *haproxyServer) takes() bool {
	return !s.inMaint() && !s.inDrain() && !s.stopping && s.weight > 0 && s.up()
}

// current drops the made-up sessions that have ended.
func (s *haproxyServer) current(now time.Time) []time.Time {
	kept := s.sessions[:0]
	for _, end := range s.sessions {
		if end.After(now) {
			kept = append(kept, end)
		}
	}
	s.sessions = kept
	return kept
}

// gives is what a server gets: worse comes first where several backends differ.
func (s *haproxyServer) gives() string {
	switch {
	case s.inMaint():
		return "out"
	case !s.up():
		return "down"
	case !s.takes():
		return "draining"
	}
	return "in-service"
}

// note adds to the trace what has changed.
func (h *HAProxy) note(asked bool) {
	worst := map[string]string{}
	for _, word := range []string{"in-service", "draining", "down", "out"} {
		for _, b := range h.backends {
			for _, s := range b.servers {
				if s.gives() == word {
					worst[s.conf.Name] = word
				}
			}
		}
	}
	for _, side := range Sides {
		if word := worst[side]; word != "" {
			h.turns.note(side, word, asked)
		}
	}
}

func (h *HAProxy) checkLoop(ctx context.Context, s *haproxyServer) {
	h.mu.Lock()
	ticker, healthy := time.NewTicker(s.conf.Inter), s.conf.Healthy
	h.mu.Unlock()
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		well := healthy == nil || healthy() // outside the lock: it may take its time
		h.mu.Lock()
		if !s.inMaint() {
			s.check(time.Now(), well)
			h.note(false)
		}
		h.mu.Unlock()
	}
}

// check is one result of the health check, counted as HAProxy counts: a server that is UP
// stays so for fall failures, one that is DOWN for rise passes.
func (s *haproxyServer) check(now time.Time, passed bool) {
	was := s.up()
	full := s.conf.Rise + s.conf.Fall - 1
	switch {
	case passed:
		s.checkCode = "L7OK"
		if s.health++; s.health >= s.conf.Rise {
			s.health = full
		}
	default:
		s.checkCode = "L4CON"
		s.chkfail++
		if s.health--; s.health < s.conf.Rise {
			s.health = 0
		}
	}
	if s.up() != was {
		s.changed = now
		if was {
			s.chkdown++
		}
	}
}
