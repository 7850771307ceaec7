package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"tandem/ops"
)

const (
	maxCommands = 3 // sessions for commands at once
	maxPipes    = 6 // sessions that carry the Docker API
	maxShells   = 1 // the operator's; with the others, no more than sshd's default of 10
	// A connection that lived this long was a good one: the next wait starts from 1 s.
	goodFor = 30 * time.Second
)

// conn is one SSH connection, alive until done is closed.
type conn struct {
	client   *ssh.Client
	chain    []io.Closer // TCP connection first: closing it ends everything above it
	since    time.Time
	done     chan struct{}
	why      atomic.Pointer[string] // why the watchdog gave up, if it did
	commands chan struct{}
	pipes    chan struct{}
	shells   chan struct{}
	way      atomic.Int32 // a way: how the engine is reached
	// searching is held by the one who looks for another way.
	searching chan struct{}
	fenced    atomic.Int64 // when the fence let a change through last, in ns since 1970
}

func newConn() *conn {
	return &conn{
		since: time.Now(), done: make(chan struct{}),
		commands: make(chan struct{}, maxCommands), pipes: make(chan struct{}, maxPipes), shells: make(chan struct{}, maxShells), searching: make(chan struct{}, 1),
	}
}

// kill ends the connection without waiting for the peer.
func (c *conn) kill(why string) {
	if why != "" {
		c.why.CompareAndSwap(nil, &why)
	}
	for _, closer := range c.chain {
		closer.Close()
	}
}

// dead tells whether the connection has ended.
func (c *conn) dead() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// lost returns "connection lost" if err came from the end of the connection, else nil. The
// library words that end in many ways ("EOF", "unexpected packet in response to channel
// open: <nil>", a missing exit status), sometimes a moment before it says so itself.
func (c *conn) lost(err error) error {
	var missing *ssh.ExitMissingError
	patience := time.Duration(0)
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &missing) || strings.Contains(err.Error(), "unexpected packet in response to channel open") {
		patience = 100 * time.Millisecond
	}
	select {
	case <-c.done:
	case <-time.After(patience):
	}
	if !c.dead() {
		return nil
	}
	text := "connection lost"
	if why := c.why.Load(); why != nil {
		text += ": " + *why
	}
	return as(ops.ErrUnreachable, errors.New(text))
}

// Link is the state of the connection, and why it is down.
func (h *Host) Link() (ops.Link, *ops.Problem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.conn != nil:
		return ops.LinkUp, nil
	case h.attempt != nil && h.problem == nil:
		return ops.LinkConnecting, nil
	case h.problem != nil:
		return ops.LinkDown, h.problem
	}
	return ops.LinkNever, nil
}

// Reconnect drops the connection and makes a new one at once: only a new one proves that
// the machine can be reached.
func (h *Host) Reconnect() {
	h.mu.Lock()
	old := h.conn
	h.conn = nil
	h.generation++
	h.next = time.Time{}
	h.wait.Reset()
	if h.attempt == nil && !h.closed {
		h.connectLocked()
	}
	h.mu.Unlock()
	if old != nil {
		old.kill("")
	}
}

// Close ends the connection; every later call returns an error.
func (h *Host) Close() error {
	h.mu.Lock()
	old := h.conn
	h.conn, h.closed = nil, true
	if h.retry != nil {
		h.retry.Stop()
	}
	h.mu.Unlock()
	h.cancel()
	if old != nil {
		old.kill("")
	}
	return nil
}

// connection returns the live connection. It waits for an attempt under way, starts one if
// it is time, and else says at once why there is none.
func (h *Host) connection(ctx context.Context) (*conn, error) {
	for tried := false; ; tried = true {
		h.mu.Lock()
		if h.conn != nil && h.conn.dead() {
			h.lostLocked(h.conn)
		}
		switch {
		case h.closed:
			h.mu.Unlock()
			return nil, h.say("connecting", net.ErrClosed, "")
		case h.conn != nil:
			c := h.conn
			h.mu.Unlock()
			return c, nil
		case h.attempt == nil && (tried && h.problem != nil || h.opt.Now().Before(h.next)):
			p := *h.problem
			if !h.opt.Once {
				p.Err = as(p.Err, fmt.Errorf("%w (next try at %s)", p.Err, h.next.UTC().Format("15:04:05Z")))
			}
			h.mu.Unlock()
			return nil, &p
		case h.attempt == nil:
			h.connectLocked()
		}
		attempt := h.attempt
		h.mu.Unlock()
		select {
		case <-attempt:
		case <-ctx.Done():
			return nil, h.say("connecting", as(ops.ErrUnreachable, fmt.Errorf("no connection yet: %w", ctx.Err())), "")
		}
	}
}

// connectLocked starts an attempt; h.mu is held.
func (h *Host) connectLocked() {
	attempt := make(chan struct{})
	h.attempt = attempt
	generation := h.generation
	if h.retry != nil {
		h.retry.Stop()
	}
	go func() {
		c, err := h.dial(h.ctx)
		h.mu.Lock()
		defer h.mu.Unlock()
		defer close(attempt)
		h.attempt = nil
		if h.closed || generation != h.generation {
			if c != nil {
				c.kill("")
			}
			if !h.closed {
				h.connectLocked()
			}
			return
		}
		if err != nil {
			delay := h.wait.NextBackOff()
			h.next = h.opt.Now().Add(delay)
			h.downLocked(ops.AsProblem(err, "connecting", h.target.Side), delay)
			return
		}
		h.conn, h.problem, h.next = c, nil, time.Time{}
		h.opt.Logf("%s: connected to %s", h.target.Name, h.route[len(h.route)-1])
		go h.watch(c)
	}()
}

// downLocked notes why there is no connection and tries again after the delay; h.mu is
// held.
func (h *Host) downLocked(p *ops.Problem, delay time.Duration) {
	p.Err = as(ops.ErrUnreachable, p.Err)
	h.problem = p
	h.opt.Logf("%s: %v; trying again in %s", h.target.Name, p, delay.Round(time.Millisecond))
	h.retry = time.AfterFunc(delay, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.closed && h.conn == nil && h.attempt == nil {
			h.connectLocked()
		}
	})
}

// watch sends keepalives until the connection ends, then sees to the next one. An answer
// of any kind is a sign of life. The keepalives travel through the jump hosts, so they
// prove these too.
func (h *Host) watch(c *conn) {
	go func() {
		c.client.Wait()
		close(c.done)
	}()
	beat := time.NewTicker(h.opt.KeepaliveEvery)
	defer beat.Stop()
	answered := make(chan struct{}, 1)
	pending, missed := false, 0
	for alive := true; alive; {
		select {
		case <-c.done:
			alive = false
		case <-answered:
			pending, missed = false, 0
		case <-beat.C:
			if pending {
				if missed++; missed >= 3 {
					c.kill(fmt.Sprintf("no answer for %s", 3*h.opt.KeepaliveEvery))
				}
				continue
			}
			pending = true
			go func() {
				if _, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answered <- struct{}{}
				}
			}()
		}
	}
	c.kill("") // the jump hosts' connections

	h.mu.Lock()
	defer h.mu.Unlock()
	h.lostLocked(c)
}

// lostLocked takes leave of a dead connection; h.mu is held. The watchdog and the next
// call both come here: whoever is first.
func (h *Host) lostLocked(c *conn) {
	if h.conn != c { // closed or replaced by us, or done already
		return
	}
	h.conn = nil
	if time.Since(c.since) > goodFor {
		h.wait.Reset()
	}
	// No h.next: the first call after the loss connects at once, the background a little later.
	h.downLocked(h.say("keeping the connection", c.lost(io.EOF), "it is being made again; is the machine up?"), h.wait.NextBackOff())
}

// dial goes from hop to hop to the machine.
func (h *Host) dial(ctx context.Context) (_ *conn, err error) {
	if c := h.borrow(ctx); c != nil {
		return c, nil
	}
	c := newConn()
	defer func() {
		if err != nil {
			c.kill("")
		}
	}()
	for _, p := range h.route {
		if err := h.hop(ctx, c, p); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// hop adds one machine to the chain.
func (h *Host) hop(ctx context.Context, c *conn, p hop) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errSilent := fmt.Errorf("no answer from %s within %s", p.addr, h.opt.HandshakeTimeout)
	limit := time.AfterFunc(h.opt.HandshakeTimeout, func() { cancel(errSilent) })
	defer limit.Stop()

	var raw net.Conn
	var err error
	if c.client == nil {
		if raw, err = h.opt.Dial(ctx, "tcp", p.addr); err == nil {
			raw = quickAck(raw)
		}
	} else {
		raw, err = c.client.DialContext(ctx, "tcp", p.addr)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return h.dialProblem(c, p, err)
	}
	c.chain = append(c.chain, raw)
	// Channels of a jump host have no deadlines; closing the TCP connection ends any wait.
	defer context.AfterFunc(ctx, func() { c.chain[0].Close() })()

	keys, algorithms, err := h.hostKeys(p)
	if err != nil {
		return err
	}
	var keyProblem error
	logins, err := h.logins(ctx, p, func() func() {
		limit.Stop() // the operator may think as long as sshd's LoginGraceTime lets him
		return func() { limit.Reset(h.opt.HandshakeTimeout) }
	})
	if err != nil {
		return err
	}
	defer logins.Close()
	sc, channels, requests, err := ssh.NewClientConn(raw, p.addr, &ssh.ClientConfig{
		User: p.user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(logins.signers...)},
		HostKeyCallback: func(name string, remote net.Addr, key ssh.PublicKey) error {
			keyProblem = keys(name, remote, key)
			return keyProblem
		},
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-tandem",
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if keyProblem != nil {
			err = keyProblem
		}
		return h.handshakeProblem(p, logins, err)
	}
	c.client = ssh.NewClient(sc, channels, requests)
	return nil
}

// dialProblem words a TCP connection that was not made.
func (h *Host) dialProblem(c *conn, p hop, err error) error {
	hint := "is the machine up, and may this one reach " + p.addr + "?"
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		hint = "the jump host forbids forwarding: set AllowTcpForwarding yes in its sshd_config"
	case errors.As(err, &refused):
		hint = "the jump host answers, but not " + p.addr + " behind it"
	case isDNS(err):
		hint = "is the name right, in the config and in ~/.ssh/config?"
	case strings.Contains(err.Error(), "connection refused"):
		hint = "the machine is up, but no sshd listens there: is the port right?"
	}
	return h.say("connecting to "+p.String(), err, hint)
}

func isDNS(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}

// handshakeProblem words a handshake that did not succeed.
func (h *Host) handshakeProblem(p hop, l *logins, err error) error {
	var problem *ops.Problem
	var locked *lockedError
	text := err.Error()
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &locked):
		return h.say("logging in to "+p.String(), as(errRefusedLogin, locked), "ssh-add "+quote(locked.path))
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"):
		return h.say("logging in to "+p.String(), as(errRefusedLogin, fmt.Errorf("no key was accepted: %s", strings.Join(l.offered, ", "))),
			fmt.Sprintf("add one of these keys to authorized_keys of %s there, or set `identity` in the config; `ssh -v %s` says more", p.user, p))
	case strings.Contains(text, "no common algorithm for host key"):
		return h.say("verifying the host key of "+p.String(), fmt.Errorf("it no longer has a key of the type that known_hosts has: %w", err),
			fmt.Sprintf("was the host installed anew? compare its keys on its own console, then mend %s", p.userKnown))
	case errors.Is(err, os.ErrDeadlineExceeded), strings.HasPrefix(text, "no answer from"):
		return h.say("connecting to "+p.String(), err, "the port is open, but no SSH handshake comes: is the machine frozen, or rebooting?")
	}
	return h.say("connecting to "+p.String(), err, "`ssh -v "+p.String()+"` says more")
}
