package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Loop is a network in memory. A lab that is on one opens no port of the machine, and all
// of its waits are on channels, conditions and timers, so that it can live in a bubble of
// testing/synctest, where a reboot takes no time.
//
// What is written is never held back, as by a kernel with large buffers; what is read is, by
// a cut cable. Connections know no deadlines, as channels of SSH do not.
type Loop struct {
	mu        sync.Mutex
	listeners map[string]*loopListener
	port      int // the last that was given away
}

// NewLoop makes a network with nobody on it.
func NewLoop() *Loop { return &Loop{listeners: map[string]*loopListener{}, port: 1024} }

// Listen is net.Listen on this network. Only the port counts; ":0" gets a free one.
func (l *Loop) Listen(network, address string) (net.Listener, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if addr.Port == 0 {
		l.port++
		addr.Port = l.port
	}
	if l.listeners[addr.String()] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	ln := &loopListener{loop: l, addr: addr, conns: make(chan net.Conn, 128), done: make(chan struct{})}
	l.listeners[addr.String()] = ln
	return ln, nil
}

// DialContext is that of a net.Dialer on this network. The local port is the connection's own.
func (l *Loop) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	ln := l.listeners[address]
	l.port++
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.port}
	l.mu.Unlock()
	if ln == nil {
		to, _ := net.ResolveTCPAddr("tcp", address)
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	there, back := newLoopPipe(), newLoopPipe()
	near := &loopConn{in: back, out: there, local: from, remote: ln.addr}
	far := &loopConn{in: there, out: back, local: ln.addr, remote: from}
	select {
	case ln.conns <- far:
		return near, nil
	case <-ln.done:
		return nil, &net.OpError{Op: "dial", Net: network, Addr: ln.addr, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type loopListener struct {
	loop  *Loop
	addr  *net.TCPAddr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (ln *loopListener) Accept() (net.Conn, error) {
	select {
	case <-ln.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-ln.conns:
		return c, nil
	case <-ln.done:
		return nil, net.ErrClosed
	}
}

// Close also ends the connections that nobody has accepted.
func (ln *loopListener) Close() error {
	err := net.ErrClosed
	ln.once.Do(func() {
		err = nil
		ln.loop.mu.Lock()
		delete(ln.loop.listeners, ln.addr.String())
		ln.loop.mu.Unlock()
		close(ln.done)
		for {
			select {
			case c := <-ln.conns:
				c.Close()
				continue
			default:
			}
			return
		}
	})
	return err
}

func (ln *loopListener) Addr() net.Addr { return ln.addr }

// loopConn is one end of a connection.
type loopConn struct {
	in, out       *loopPipe
	local, remote net.Addr
}

func (c *loopConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *loopConn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close lets the other end read what was written, then the end; what it writes fails.
func (c *loopConn) Close() error {
	c.in.end(net.ErrClosed)
	c.out.end(io.EOF)
	return nil
}

func (c *loopConn) LocalAddr() net.Addr              { return c.local }
func (c *loopConn) RemoteAddr() net.Addr             { return c.remote }
func (c *loopConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *loopConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *loopConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// loopPipe is one way of a connection.
type loopPipe struct {
	mu     sync.Mutex
	wake   *sync.Cond
	data   []byte
	over   error         // what the reader gets when all is read; nil: more may come
	gone   chan struct{} // closed when the reader has closed its end
	cables []*cable      // that what is read has to pass
}

func newLoopPipe() *loopPipe {
	p := &loopPipe{gone: make(chan struct{})}
	p.wake = sync.NewCond(&p.mu)
	return p
}

func (p *loopPipe) read(b []byte) (int, error) {
	n, err := p.take(b)
	p.mu.Lock()
	cables := p.cables
	p.mu.Unlock()
	for _, c := range cables {
		if stop := c.pass(p.gone); stop != nil {
			return 0, stop
		}
	}
	return n, err
}

func (p *loopPipe) take(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.data) == 0 && p.over == nil {
		p.wake.Wait()
	}
	if len(p.data) == 0 || errors.Is(p.over, net.ErrClosed) {
		return 0, p.over
	}
	n := copy(b, p.data)
	p.data = p.data[n:]
	return n, nil
}

func (p *loopPipe) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(p.over, net.ErrClosed):
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	case p.over != nil:
		return 0, net.ErrClosed
	}
	p.data = append(p.data, b...)
	p.wake.Broadcast()
	return len(b), nil
}

// end ends this way: by its reader with net.ErrClosed, by its writer with io.EOF.
func (p *loopPipe) end(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why == net.ErrClosed && !errors.Is(p.over, net.ErrClosed) {
		close(p.gone)
		p.data = nil
	}
	if p.over == nil || why == net.ErrClosed {
		p.over = why
	}
	p.wake.Broadcast()
}

// through leads the connection over a cable: what either end reads has to pass it.
func (c *loopConn) through(cable *cable) {
	for _, way := range []*loopPipe{c.in, c.out} {
		way.mu.Lock()
		way.cables = append(way.cables, cable)
		way.mu.Unlock()
	}
}
