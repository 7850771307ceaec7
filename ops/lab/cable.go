package lab

import (
	"net"
	"sync"
)

// cable holds back what is read and written on its connections while it is cut, as
// a network does that drops packets and restores them by retransmission.
type cable struct {
	mu     sync.Mutex
	why    map[reason]bool
	broken chan struct{} // nil: whole; closed when the last reason is gone
}

// reason is why no bytes go over a cable.
type reason string

const (
	pulled   reason = "pulled"   // the cable itself
	dark     reason = "dark"     // the host has no power
	shadowed reason = "shadowed" // the host answers into a network of Docker's that covers the console's address
)

func (c *cable) cut(why reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.why = map[reason]bool{}
	}
	c.why[why] = true
	if c.broken == nil {
		c.broken = make(chan struct{})
	}
}

func (c *cable) restore(why reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.why, why)
	if c.broken != nil && len(c.why) == 0 {
		close(c.broken)
		c.broken = nil
	}
}

func (c *cable) state() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

func (c *cable) isCut(why reason) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why[why]
}

// pass waits until the cable is whole, or whoever waits is gone.
func (c *cable) pass(gone <-chan struct{}) error {
	for {
		broken := c.state()
		if broken == nil {
			return nil
		}
		select {
		case <-broken:
		case <-gone:
			return net.ErrClosed
		}
	}
}

// plug leads a connection over the cable. One of a Loop holds back what is read itself.
func (c *cable) plug(conn net.Conn) net.Conn {
	if loop, ok := conn.(*loopConn); ok {
		loop.through(c)
		return loop
	}
	return &wired{Conn: conn, cable: c, gone: make(chan struct{})}
}

// wired is a connection over a cable.
type wired struct {
	net.Conn
	cable *cable
	once  sync.Once
	gone  chan struct{}
}

func (w *wired) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if stop := w.cable.pass(w.gone); stop != nil {
		return 0, stop
	}
	return n, err
}

func (w *wired) Write(p []byte) (int, error) {
	if err := w.cable.pass(w.gone); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

func (w *wired) Close() error {
	w.once.Do(func() { close(w.gone) })
	return w.Conn.Close()
}
