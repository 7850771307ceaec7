package lab

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxSessions is OpenSSH's default MaxSessions, per connection.
const maxSessions = 10

// sshd is the SSH server of a host.
type sshd struct {
	host     *Host
	addr     string
	accepted ssh.PublicKey // the key that may log in, as any user of the host
	cable    *cable

	mu       sync.Mutex
	key      ssh.Signer
	listener net.Listener
	conns    map[net.Conn]struct{}
	closed   bool
}

func newSSHD(h *Host, accepted ssh.PublicKey) (*sshd, error) {
	s := &sshd{host: h, accepted: accepted, cable: &cable{}, conns: map[net.Conn]struct{}{}}
	if err := s.newKey(); err != nil {
		return nil, err
	}
	ln, err := h.w.listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for ssh of %s: %w", h.side, err)
	}
	s.addr, s.listener = ln.Addr().String(), ln
	go s.accept(ln)
	return s, nil
}

func (s *sshd) newKey() error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("making a host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("making a host key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = signer
	return nil
}

func (s *sshd) hostKey() ssh.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

func (s *sshd) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return // the listener was closed
		}
		wired := s.cable.plug(conn)
		s.mu.Lock()
		if s.listener != ln {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.conns[wired] = struct{}{}
		s.mu.Unlock()
		go func() {
			s.serve(wired)
			wired.Close()
			s.mu.Lock()
			delete(s.conns, wired)
			s.mu.Unlock()
		}()
	}
}

// down closes the listener and every connection; up listens on the same port again.
func (s *sshd) down() {
	s.mu.Lock()
	ln := s.listener
	s.listener = nil
	s.mu.Unlock()
	if ln != nil {
		ln.Close()
	}
	s.drop()
}

func (s *sshd) up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.listener != nil {
		return
	}
	ln, err := s.host.w.listen("tcp", s.addr)
	if err != nil {
		// Another process took the port in the meantime: try until it is free, as the
		// address is in the operator's config.
		time.AfterFunc(100*time.Millisecond, s.up)
		return
	}
	s.listener = ln
	go s.accept(ln)
}

func (s *sshd) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *sshd) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.down()
}

var errNoSuchKey = errors.New("this key may not log in")

// serve carries one connection until it ends.
func (s *sshd) serve(conn net.Conn) {
	var hang bool
	s.host.with(func() { hang = s.host.faults.hangOnAccept })
	if hang {
		// Reading and never answering looks from the other end like a machine that
		// accepted and then stopped running programs.
		io.Copy(io.Discard, conn)
		return
	}
	config := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if _, ok := s.host.users[meta.User()]; !ok || string(key.Marshal()) != string(s.accepted.Marshal()) {
				return nil, errNoSuchKey
			}
			return nil, nil
		},
	}
	config.AddHostKey(s.hostKey())
	sc, channels, globals, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // the client went away or was refused: it knows why
	}
	// A request that is not known, keepalive@openssh.com too, is refused: which is the answer
	// that the client's keepalive waits for.
	go ssh.DiscardRequests(globals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &login{sshd: s, user: s.host.users[sc.User()]}
	_, port, _ := net.SplitHostPort(conn.RemoteAddr().String())
	l.from = conn.RemoteAddr()
	l.user.from = fmt.Sprintf("%s %s %s 22", consoleAddress, port, s.host.inside())
	for ch := range channels {
		switch ch.ChannelType() {
		case "session":
			l.session(ctx, ch)
		case "direct-streamlocal@openssh.com":
			l.forwardSocket(ch)
		case "direct-tcpip":
			l.forwardTCP(ch)
		default:
			ch.Reject(ssh.UnknownChannelType, "unknown channel type")
		}
	}
}

// login is one authenticated connection.
type login struct {
	sshd     *sshd
	user     user
	from     net.Addr
	mu       sync.Mutex
	sessions int
}

func (l *login) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions == maxSessions {
		return false
	}
	l.sessions++
	return true
}

func (l *login) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions--
}

func (l *login) session(ctx context.Context, open ssh.NewChannel) {
	if !l.enter() {
		open.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	ch, requests, err := open.Accept()
	if err != nil {
		l.leave()
		return
	}
	go func() {
		defer l.leave()
		defer ch.Close()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var t *tty
		for req := range requests {
			var payload struct{ Command string }
			switch {
			case req.Type == "env":
				req.Reply(false, nil) // AcceptEnv is empty but for LANG, which nothing here heeds
			case req.Type == "pty-req":
				t = askedTTY(ch, req.Payload)
				req.Reply(t != nil, nil)
			case req.Type == "shell" && t != nil:
				req.Reply(true, nil)
				go func() {
					defer cancel()
					t.follow(requests)
				}()
				ended(ch, l.sshd.host.terminal(ctx, l.user, l.from, t))
				return
			case req.Type != "exec" || ssh.Unmarshal(req.Payload, &payload) != nil:
				req.Reply(false, nil)
			default:
				req.Reply(true, nil)
				go func() { // the end of the requests is the end of the session
					defer cancel()
					for r := range requests {
						r.Reply(false, nil)
					}
				}()
				out, errs := newSpool(ch), newSpool(ch.Stderr())
				status := l.sshd.host.run(ctx, l.user, l.from, payload.Command, ch, out, errs)
				out.flush()
				errs.flush()
				ended(ch, status)
				return
			}
		}
	}()
}

// ended tells the client that its command has come to its end.
func ended(ch ssh.Channel, status int) {
	ch.CloseWrite()
	ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
}

// askedTTY is the terminal that a client asks for (RFC 4254, 6.2); nil: it cannot be read.
func askedTTY(ch ssh.Channel, payload []byte) *tty {
	var want struct {
		Term                      string
		Cols, Rows, Width, Height uint32
		Modes                     string
	}
	if ssh.Unmarshal(payload, &want) != nil {
		return nil
	}
	return newTTY(ch, want.Term, int(want.Cols), int(want.Rows))
}

// follow changes the size as the client's changes (RFC 4254, 6.7), until the session ends.
func (t *tty) follow(requests <-chan *ssh.Request) {
	for r := range requests {
		var size struct{ Cols, Rows, Width, Height uint32 }
		if r.Type == "window-change" && ssh.Unmarshal(r.Payload, &size) == nil {
			t.resize(int(size.Cols), int(size.Rows))
		}
		r.Reply(false, nil) // where one is wanted: a change of size wants none
	}
}

// forwardSocket leads a channel to a socket of the host. OpenSSH refuses a missing
// socket, a forbidden one, one that nobody listens on and forwarding itself with the
// same words.
func (l *login) forwardSocket(open ssh.NewChannel) {
	var payload struct {
		Path     string
		Reserved string
		Port     uint32
	}
	h := l.sshd.host
	err := ssh.Unmarshal(open.ExtraData(), &payload)
	var dial func(net.Conn)
	if err == nil {
		h.with(func() {
			if !h.faults.noForwarding {
				dial = h.socket(l.user, payload.Path)
			}
			h.w.record(Request{Side: h.side, Wire: "forward", User: l.user.name, What: payload.Path})
		})
	}
	l.forward(open, dial, ssh.ConnectionFailed)
}

// forwardTCP leads a channel to a port that a service of the host publishes, or to the other
// host's SSH server. Here OpenSSH does say that forwarding is forbidden (serverloop.c,
// server_request_direct_tcpip).
func (l *login) forwardTCP(open ssh.NewChannel) {
	var payload struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	h := l.sshd.host
	err := ssh.Unmarshal(open.ExtraData(), &payload)
	var dial func(net.Conn)
	reason := ssh.ConnectionFailed
	if err == nil {
		h.with(func() {
			if h.faults.noForwarding {
				reason = ssh.Prohibited
			} else if dial = h.port(payload.Host, int(payload.Port)); dial == nil {
				dial = h.overNetwork(payload.Host, int(payload.Port))
			}
			h.w.record(Request{Side: h.side, Wire: "forward", User: l.user.name, What: net.JoinHostPort(payload.Host, strconv.Itoa(int(payload.Port)))})
		})
	}
	l.forward(open, dial, reason)
}

// forward joins a channel with a server of the host through a pipe, because an HTTP
// server needs deadlines and a channel has none.
func (l *login) forward(open ssh.NewChannel, dial func(net.Conn), reason ssh.RejectionReason) {
	if dial == nil {
		open.Reject(reason, "open failed")
		return
	}
	ch, requests, err := open.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	near, far := net.Pipe()
	dial(calling{far, l.from})
	go join(ch, near)
}

// calling is a connection from somebody's address.
type calling struct {
	net.Conn
	from net.Addr
}

func (c calling) RemoteAddr() net.Addr { return c.from }

// join copies both ways until either side ends, and then ends both.
func join(a io.ReadWriteCloser, b net.Conn) {
	done := make(chan struct{}, 2)
	go func() {
		out := newSpool(a)
		io.Copy(out, b)
		out.flush()
		done <- struct{}{}
	}()
	go func() { io.Copy(b, a); done <- struct{}{} }()
	<-done
	a.Close()
	b.Close()
	<-done
}
