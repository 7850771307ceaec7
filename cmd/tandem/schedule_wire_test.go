package main

import (
	"context"
	"net"
	"sync"
	"time"

	"tandem/ops/lab"
)

// uplink is the network of one operator's machine.
type uplink struct {
	loop *lab.Loop

	mu    sync.Mutex
	out   chan struct{} // not nil: cut off; closed when that is over
	back  time.Time     // when that was over last
	conns map[*wire]bool
}

// wire is what one process has of its machine's network. A process that was killed has
// none: what it had sent is on its way, and the other end sees the connections close.
type wire struct {
	up *uplink

	mu    sync.Mutex
	dead  bool
	conns map[*tapped]bool
	ports map[string]bool // of all connections there ever were
}

func newUplink(loop *lab.Loop) *uplink { return &uplink{loop: loop, conns: map[*wire]bool{}} }

func (u *uplink) wire() *wire {
	w := &wire{up: u, conns: map[*tapped]bool{}, ports: map[string]bool{}}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conns[w] = true
	return w
}

// away is not nil while the machine is cut off.
func (u *uplink) away() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.out
}

// cut cuts the machine off: what its processes send is lost, and nothing arrives.
func (u *uplink) cut() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.out == nil {
		u.out = make(chan struct{})
	}
}

// reachable is since when the machine is reached; now while it is not.
func (u *uplink) reachable() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.out != nil {
		return time.Now()
	}
	return u.back
}

// mend ends that. Connections of before are reset, as by a router that has forgotten them.
func (u *uplink) mend() {
	u.mu.Lock()
	out := u.out
	u.out, u.back = nil, time.Now()
	var wires []*wire
	for w := range u.conns {
		wires = append(wires, w)
	}
	u.mu.Unlock()
	if out == nil {
		return
	}
	for _, w := range wires {
		w.reset()
	}
	close(out)
}

func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.Conn.Close()
	}
	clear(w.conns)
}

// die is the end of the process.
func (w *wire) die() {
	w.mu.Lock()
	w.dead = true
	w.mu.Unlock()
	if w.up.away() == nil { // else the other ends do not see it
		w.reset()
	}
}

// is tells whether an address is that of one of the process's connections.
func (w *wire) is(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ports[address]
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for out := w.up.away(); out != nil; out = w.up.away() {
		select {
		case <-out:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c, err := w.up.loop.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t := &tapped{Conn: c, wire: w, gone: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		c.Close()
		return nil, net.ErrClosed
	}
	w.conns[t] = true
	w.ports[c.LocalAddr().String()] = true
	return t, nil
}

// tapped is one connection of a wire.
type tapped struct {
	net.Conn
	wire *wire
	once sync.Once
	gone chan struct{}
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	for out := t.wire.up.away(); out != nil; out = t.wire.up.away() {
		select {
		case <-out:
			return 0, net.ErrClosed
		case <-t.gone:
			return 0, net.ErrClosed
		}
	}
	return n, err
}

func (t *tapped) Write(p []byte) (int, error) {
	t.wire.mu.Lock()
	dead := t.wire.dead
	t.wire.mu.Unlock()
	switch {
	case dead:
		return 0, net.ErrClosed
	case t.wire.up.away() != nil:
		return len(p), nil
	}
	return t.Conn.Write(p)
}

func (t *tapped) Close() error {
	t.once.Do(func() { close(t.gone) })
	if t.wire.up.away() != nil { // the other end learns it at the reset
		return nil
	}
	t.wire.mu.Lock()
	delete(t.wire.conns, t)
	t.wire.mu.Unlock()
	return t.Conn.Close()
}
