package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"tandem/ops"
)

// bridge makes the test binary the `docker system dial-stdio` of the fake docker program.
const bridge = "REMOTE_TEST_BRIDGE"

func TestMain(m *testing.M) {
	if path := os.Getenv(bridge); path != "" {
		conn, err := net.Dial("unix", path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "Cannot connect to the Docker daemon at unix://"+path)
			os.Exit(1)
		}
		go func() {
			io.Copy(conn, os.Stdin)
			conn.(*net.UnixConn).CloseWrite()
		}()
		io.Copy(os.Stdout, conn)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// server is an SSH server that runs commands with the real sh and forwards for real.
type server struct {
	t      *testing.T
	addr   string
	keys   []ssh.Signer
	login  ssh.PublicKey // accepted key; a certificate authority if authority is set
	bin    string        // first in PATH of commands
	listen net.Listener

	mu         sync.Mutex
	authority  bool
	noTCP      bool // forbids direct-tcpip
	noStream   bool // refuses direct-streamlocal
	noSession  bool
	early      *bool         // set: is told whether input, or its end, comes before its command
	frozen     chan struct{} // not nil: nothing is read or written until it is closed
	conns      []net.Conn
	commands   []string
	handshakes int
	wg         sync.WaitGroup
}

// newServer starts a server with an ed25519 host key that lets the login key in.
func newServer(t *testing.T, change ...func(*server)) *server {
	t.Helper()
	s := &server{t: t, keys: []ssh.Signer{newKey(t)}, bin: t.TempDir()}
	for _, c := range change {
		c(s)
	}
	s.start("127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

func (s *server) start(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.listen, s.addr = l, l.Addr().String()
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.wg.Go(func() { s.serve(c) })
		}
	})
}

func (s *server) stop() {
	s.listen.Close()
	s.freeze(false)
	s.cut()
	s.wg.Wait()
}

// cut drops all connections.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// freeze stops the server as SIGSTOP would: TCP lives, nobody answers.
func (s *server) freeze(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.frozen = make(chan struct{})
	} else if s.frozen != nil {
		close(s.frozen)
		s.frozen = nil
	}
}

// stoppable is a connection that obeys freeze.
type stoppable struct {
	net.Conn
	s *server
}

func (c stoppable) wait() {
	c.s.mu.Lock()
	frozen := c.s.frozen
	c.s.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}
func (c stoppable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wait()
	return n, err
}
func (c stoppable) Write(b []byte) (int, error) { c.wait(); return c.Conn.Write(b) }

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) ran() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

func (s *server) serve(raw net.Conn) {
	defer raw.Close()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if cert, ok := key.(*ssh.Certificate); ok && s.authority {
			key = cert.SignatureKey
		}
		if s.login == nil || string(key.Marshal()) != string(s.login.Marshal()) {
			return nil, errors.New("not this one")
		}
		return nil, nil
	}}
	for _, k := range s.keys {
		config.AddHostKey(k)
	}
	sc, channels, requests, err := ssh.NewServerConn(stoppable{raw, s}, config)
	if err != nil {
		return
	}
	s.set(func() { s.handshakes++ })
	go ssh.DiscardRequests(requests)
	var wg sync.WaitGroup
	for ch := range channels {
		wg.Go(func() { s.channel(ch) })
	}
	sc.Close()
	wg.Wait()
}

func (s *server) channel(ch ssh.NewChannel) {
	s.mu.Lock()
	noTCP, noStream, noSession := s.noTCP, s.noStream, s.noSession
	s.mu.Unlock()
	switch ch.ChannelType() {
	case "session":
		if noSession {
			ch.Reject(ssh.ConnectionFailed, "open failed")
			return
		}
		s.session(ch)
	case "direct-tcpip":
		var to struct {
			Host     string
			Port     uint32
			FromHost string
			FromPort uint32
		}
		ssh.Unmarshal(ch.ExtraData(), &to)
		if noTCP {
			ch.Reject(ssh.Prohibited, "administratively prohibited")
			return
		}
		forward(ch, "tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path  string
			Host  string
			Other uint32
		}
		ssh.Unmarshal(ch.ExtraData(), &to)
		if noStream {
			ch.Reject(ssh.ConnectionFailed, "open failed")
			return
		}
		forward(ch, "unix", to.Path)
	default:
		ch.Reject(ssh.UnknownChannelType, "no")
	}
}

func forward(ch ssh.NewChannel, network, addr string) {
	conn, err := net.Dial(network, addr)
	if err != nil {
		ch.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	c, requests, err := ch.Accept()
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	go func() {
		io.Copy(conn, c)
		conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	io.Copy(c, conn)
	c.Close()
	conn.Close()
}

func (s *server) session(ch ssh.NewChannel) {
	c, requests, err := ch.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	var cmd *exec.Cmd
	ended := make(chan uint32, 1)
	for {
		select {
		case status := <-ended:
			c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			return
		case r, ok := <-requests:
			if !ok {
				if cmd != nil {
					syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
					<-ended
				}
				return
			}
			if r.Type != "exec" {
				r.Reply(false, nil)
				continue
			}
			var msg struct{ Line string }
			ssh.Unmarshal(r.Payload, &msg)
			s.set(func() { s.commands = append(s.commands, msg.Line) })
			if s.early != nil {
				*s.early = hasInput(c)
			}
			cmd = exec.Command("sh", "-c", msg.Line)
			cmd.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Stdout, cmd.Stderr = c, c.Stderr()
			in, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			r.Reply(err == nil, nil)
			if err != nil {
				return
			}
			go func() {
				io.Copy(in, c)
				in.Close()
			}()
			go func() {
				cmd.Wait()
				ended <- uint32(max(cmd.ProcessState.ExitCode(), 0))
			}()
		}
	}
}

// hasInput tells whether something was sent. A client that waits for the answer to its
// command has sent nothing, and never will in this time.
func hasInput(c ssh.Channel) bool {
	first := make(chan struct{})
	go func() {
		c.Read(make([]byte, 1))
		close(first)
	}()
	select {
	case <-first:
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// program puts a shell script into the PATH of commands.
func (s *server) program(name, script string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newRSA(t *testing.T) ssh.Signer {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keyFile writes a new private key and returns its path and public half.
func keyFile(t *testing.T, passphrase string) (string, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

// known writes a known_hosts file with the first key of each server.
func known(t *testing.T, servers ...*server) string {
	t.Helper()
	var b strings.Builder
	for _, s := range servers {
		fmt.Fprintln(&b, knownhosts.Line([]string{s.addr}, s.keys[0].PublicKey()))
	}
	return write(t, "known_hosts", b.String())
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startAgent serves an SSH agent with the keys.
func startAgent(t *testing.T, keys ...agent.AddedKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		if err := ring.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, c)
		}
	}()
	return path
}

// target is the way to a server with a key that it accepts.
func target(t *testing.T, s *server) Target {
	t.Helper()
	path, public := keyFile(t, "")
	s.set(func() { s.login = public })
	return Target{
		Side: ops.Blue, SSH: "ops@" + s.addr, Identity: path, KnownHosts: known(t, s),
		SSHConfig: write(t, "config", "IdentityAgent none\n"), Sudo: new(bool),
	}
}

func newHost(t *testing.T, target Target, o Options) *Host {
	t.Helper()
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = 10 * time.Second
	}
	h, err := New(target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// connect is a host on a new server.
func connect(t *testing.T) (*Host, *server) {
	t.Helper()
	s := newServer(t)
	return newHost(t, target(t, s), Options{}), s
}

// eventually waits for a state.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// problem checks that err is a Problem of a kind with words in its text and hint.
func problem(t *testing.T, err, kind error, text, hint string) {
	t.Helper()
	var p *ops.Problem
	if !errors.As(err, &p) {
		t.Fatalf("not a Problem: %v", err)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%v is not %v", err, kind)
	}
	if !strings.Contains(p.Error(), text) || !strings.Contains(p.Hint, hint) {
		t.Errorf("got %q, hint %q; want %q, hint %q", p.Error(), p.Hint, text, hint)
	}
}
