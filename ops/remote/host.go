package remote

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tandem/ops"
)

// Target says which machine, and how to get there.
type Target struct {
	Side ops.Side // empty for a machine that is not a side, such as the balancer's
	Name string   // as shown; empty: the host part of SSH
	SSH  string   // user@host:port, or an alias of the SSH config
	// Jump is a list of jump hosts, first hop first, separated by commas, as in ProxyJump.
	// Empty: from the SSH config; "none": no jump.
	Jump       string
	Identity   string // key file tried before those of the SSH config
	KnownHosts string // instead of the SSH config's files
	// Sudo sends privileged commands through `sudo -n`. nil: when the user is not root.
	Sudo      *bool
	Docker    string // unix:///path or tcp://host:port as seen from the machine; empty: unix:///var/run/docker.sock
	SSHConfig string // empty: ~/.ssh/config, then /etc/ssh/ssh_config; a missing file is an error only when named
}

// Options are the same for all targets of a program. The zero value works.
type Options struct {
	// ReadOnly is asked before every change; nil: never read-only.
	ReadOnly func() bool
	// Passphrase asks the operator for the passphrase of a key file, again where the one just
	// given does not open it. nil: there is no terminal to ask on.
	Passphrase func(path string, again bool) (string, error)
	// HandshakeTimeout bounds TCP connect and SSH handshake of each hop; 0: 10 s. Waiting
	// for a passphrase does not count.
	HandshakeTimeout time.Duration
	// CommandTimeout bounds a call whose context has no deadline; 0: 30 s. Streams (a
	// Command with Stdout, Logs, Events) are bounded by their context alone.
	CommandTimeout time.Duration
	// KeepaliveEvery is the beat of the watchdog; 0: 5 s. Three beats without an answer
	// end the connection.
	KeepaliveEvery time.Duration
	// Dial makes the TCP connections of this machine; nil: a net.Dialer does.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Share is a directory for sockets on which this program lends its connection to others
	// of the same user; Borrow is where it looks for one lent. Empty: neither. Both are
	// this user's alone, else nothing is lent or borrowed.
	Share, Borrow string
	// Once: the program looks once and ends, so errors do not name the time of the next try.
	Once bool
	Now  func() time.Time
	Logf func(format string, args ...any)
}

// Host is a machine over SSH. It implements [ops.Host]; all methods may be called at the
// same time.
type Host struct {
	target Target
	opt    Options
	route  []hop // jump hosts, then the machine itself
	docker address

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu         sync.Mutex // guards what follows
	closed     bool
	conn       *conn         // nil: not connected
	attempt    chan struct{} // closed at the end of the attempt under way; nil: none
	generation int           // an attempt of an earlier one is thrown away
	problem    *ops.Problem  // why there is no connection
	next       time.Time     // no attempt before this
	retry      *time.Timer
	wait       *backoff.ExponentialBackOff
	sudo       *bool // whether privileged commands need sudo, once known
	fence      Fence // nil: none

	engineMu sync.Mutex
	link     *dockerLink
	inspects inspectCache

	factsMu sync.Mutex // guards what follows
	compose composeSeen
	dockerd dockerdSeen
	parts   partsSeen
}

var _ ops.Host = (*Host)(nil)

// New prepares a host. It reads the SSH config and no more: the connection is made at the
// first use.
func New(t Target, o Options) (*Host, error) {
	defaultTo(&o.HandshakeTimeout, 10*time.Second)
	defaultTo(&o.CommandTimeout, 30*time.Second)
	defaultTo(&o.KeepaliveEvery, 5*time.Second)
	if o.ReadOnly == nil {
		o.ReadOnly = func() bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	route, err := resolve(t)
	if err != nil {
		return nil, ops.AsProblem(err, "finding the way to "+t.SSH, t.Side)
	}
	docker, err := parseDocker(t.Docker)
	if err != nil {
		return nil, &ops.Problem{Doing: "reading the docker address", Side: t.Side, Err: err, Hint: "use unix:///var/run/docker.sock or tcp://127.0.0.1:2375"}
	}
	if t.Name == "" {
		t.Name, _, _ = net.SplitHostPort(route[len(route)-1].addr)
	}
	h := &Host{target: t, opt: o, route: route, docker: docker, sudo: t.Sudo, wait: newWait()}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if o.Share != "" {
		if err := h.share(o.Share); err != nil {
			o.Logf("%s: its connection is not lent: %v", t.Name, err)
		}
	}
	return h, nil
}

func defaultTo(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

func newWait() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: time.Second, Multiplier: 2, MaxInterval: 30 * time.Second, RandomizationFactor: 0.2,
	}
}

// Side is the side of the pair that this machine is.
func (h *Host) Side() ops.Side { return h.target.Side }

// Address is the host as shown.
func (h *Host) Address() string { return h.target.Name }

// gate is the one place where a read-only host refuses to change anything.
func (h *Host) gate(doing string) error {
	return ops.MayChange(context.Background(), h.opt.ReadOnly, nil, doing, h.target.Side)
}

// Fence is asked on every new connection, before the first change that goes over it, and after
// every fenceTime again, whether changes may still be made; exec runs a command on that very
// connection. What was waiting for a host to answer again may have been overtaken meanwhile.
type Fence func(ctx context.Context, exec func(context.Context, ops.Command) ([]byte, error)) error

// fenceTime is by the clock on the wall: a laptop that slept has not measured the time.
const fenceTime = 5 * time.Second

// SetFence has changes asked for, from the next one on.
func (h *Host) SetFence(f Fence) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fence = f
}

// mayChange asks the fence where it is time.
func (h *Host) mayChange(ctx context.Context, c *conn, doing string) error {
	h.mu.Lock()
	fence := h.fence
	h.mu.Unlock()
	now := h.opt.Now().UnixNano()
	if since := now - c.fenced.Load(); fence == nil || since >= 0 && since < int64(fenceTime) {
		return nil
	}
	err := ops.MayChange(ctx, nil, func(ctx context.Context) error {
		return fence(ctx, func(ctx context.Context, cmd ops.Command) ([]byte, error) { return h.execOn(ctx, c, running(cmd), cmd) })
	}, doing, h.target.Side)
	if err == nil {
		c.fenced.Store(now)
	}
	return err
}

// say makes a Problem of this host.
func (h *Host) say(doing string, err error, hint string) *ops.Problem {
	return &ops.Problem{Doing: doing, Side: h.target.Side, Err: err, Hint: hint}
}

// within gives the context a deadline if it has none.
func (h *Host) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// kindError gives an error a kind for errors.Is without changing its text.
type kindError struct {
	kind error
	err  error
}

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }

// as marks err as being of a kind: ops.ErrUnreachable, fs.ErrNotExist, ...
func as(kind, err error) error {
	if err == nil || errors.Is(err, kind) {
		return err
	}
	return &kindError{kind, err}
}

var errNotFound = fs.ErrNotExist
