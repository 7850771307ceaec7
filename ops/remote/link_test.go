package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"tandem/ops"
)

func ping(h *Host) error {
	_, err := h.Exec(context.Background(), ops.Command{Args: []string{"true"}})
	return err
}

func TestUnknownHostKey(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	to.KnownHosts = write(t, "known_hosts", "")
	err := ping(newHost(t, to, Options{}))
	_, port, _ := net.SplitHostPort(s.addr)
	problem(t, err, ops.ErrUnreachable, ssh.FingerprintSHA256(s.keys[0].PublicKey()), "ssh-keyscan -p "+port+" 127.0.0.1 >> "+to.KnownHosts)
	if data, _ := os.ReadFile(to.KnownHosts); len(data) > 0 {
		t.Errorf("known_hosts was written: %s", data)
	}
}

func TestNoKnownHostsFile(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	to.KnownHosts = filepath.Join(t.TempDir(), "none")
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "the host key is not known: ED25519 SHA256:", to.KnownHosts)
}

func TestChangedHostKey(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	to.KnownHosts = write(t, "known_hosts", knownhosts.Line([]string{s.addr}, newKey(t).PublicKey())+"\n")
	err := ping(newHost(t, to, Options{}))
	problem(t, err, ops.ErrUnreachable, "the host key has changed: it is now ED25519 "+ssh.FingerprintSHA256(s.keys[0].PublicKey()),
		"ssh-keygen -R '"+knownhosts.Normalize(s.addr)+"' -f "+to.KnownHosts)
}

// A server with several keys must be asked for the one that is known (golang/go#29286).
func TestSeveralHostKeys(t *testing.T) {
	known := newRSA(t)
	s := newServer(t, func(s *server) { s.keys = []ssh.Signer{known, newKey(t)} })
	if err := ping(newHost(t, target(t, s), Options{})); err != nil {
		t.Fatal(err)
	}
}

// A repaired known_hosts counts at the next try, without a new start of the program.
func TestKnownHostsIsReadAnew(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	good := to.KnownHosts
	to.KnownHosts = write(t, "known_hosts", "")
	h := newHost(t, to, Options{})
	if ping(h) == nil {
		t.Fatal("connected to an unknown host")
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to.KnownHosts, data, 0o600); err != nil {
		t.Fatal(err)
	}
	h.Reconnect()
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
}

func TestNoAgentAndNoKey(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	to.Identity = ""
	t.Setenv("HOME", t.TempDir())
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "no key to log in with: no SSH agent", "ssh-add")
}

func TestKeyNotAccepted(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	s.set(func() { s.login = newKey(t).PublicKey() })
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "no key was accepted: no SSH agent, "+to.Identity, "authorized_keys of ops")
}

func TestAgentWithCertificate(t *testing.T) {
	authority := newKey(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{"ops"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	to := target(t, s)
	s.set(func() { s.login, s.authority = authority.PublicKey(), true })
	to.Identity = ""
	to.SSHConfig = write(t, "config", "IdentityAgent "+startAgent(t, agent.AddedKey{PrivateKey: private, Certificate: cert})+"\nIdentityFile none\n")
	if err := ping(newHost(t, to, Options{})); err != nil {
		t.Fatal(err)
	}
}

func TestPassphraseIsAskedOnce(t *testing.T) {
	path, public := keyFile(t, "swordfish")
	var asked atomic.Int32
	ask := func(p string, _ bool) (string, error) {
		asked.Add(1)
		if p != path {
			t.Errorf("asked for %s", p)
		}
		return "swordfish", nil
	}
	for range 2 {
		s := newServer(t)
		to := target(t, s)
		to.Identity = path
		s.set(func() { s.login = public })
		if err := ping(newHost(t, to, Options{Passphrase: ask})); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestPassphraseMistyped: it is asked for three times, then no more.
func TestPassphraseMistyped(t *testing.T) {
	for name, test := range map[string]struct {
		typed []string
		opens bool
	}{
		"once":   {[]string{"sworfdish", "swordfish"}, true},
		"twice":  {[]string{"Swordfish", "sworfdish", "swordfish"}, true},
		"always": {[]string{"a", "b", "c"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path, public := keyFile(t, "swordfish")
			s := newServer(t)
			to := target(t, s)
			to.Identity = path
			s.set(func() { s.login = public })
			var asked atomic.Int32
			ask := func(_ string, again bool) (string, error) {
				n := int(asked.Add(1))
				if again != (n > 1) || n > len(test.typed) {
					t.Errorf("asked for the %d. time, again: %v", n, again)
					return "", errors.New("asked too often")
				}
				return test.typed[n-1], nil
			}
			for range 2 { // what came of it holds for the process
				err := ping(newHost(t, to, Options{Passphrase: ask}))
				if test.opens && err != nil {
					t.Error(err)
				}
				if !test.opens {
					problem(t, err, ops.ErrUnreachable, "opening the key "+path+": no passphrase that was given opens it", "ssh-add "+path)
				}
			}
			if n := int(asked.Load()); n != len(test.typed) {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestPassphraseIsNotAskedForAKeyThatIsNotAccepted(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	to.Identity, _ = keyFile(t, "swordfish")
	err := ping(newHost(t, to, Options{Passphrase: func(string, bool) (string, error) {
		t.Error("asked")
		return "", nil
	}}))
	problem(t, err, ops.ErrUnreachable, "no key was accepted", "")
}

func TestPassphraseWithoutTerminal(t *testing.T) {
	path, public := keyFile(t, "swordfish")
	s := newServer(t)
	to := target(t, s)
	to.Identity = path
	s.set(func() { s.login = public })
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "opening the key "+path+": it has a passphrase, and there is no terminal", "ssh-add "+path)
}

func TestJump(t *testing.T) {
	bastion, s := newServer(t), newServer(t)
	to := target(t, s)
	bastion.login = s.login
	to.KnownHosts = known(t, bastion, s)
	to.SSHConfig = write(t, "config", fmt.Sprintf(`
IdentityAgent none
Host hop
  HostName 127.0.0.1
  Port %s
  User ops
Host deep
  ProxyJump hop
`, port(bastion)))
	to.Jump = "hop"
	if err := ping(newHost(t, to, Options{})); err != nil {
		t.Fatal(err)
	}
	if bastion.handshakes != 1 || s.handshakes != 1 {
		t.Errorf("handshakes: %d at the jump host, %d at the host", bastion.handshakes, s.handshakes)
	}

	to.KnownHosts = known(t, s)
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "verifying the host key of ops@"+bastion.addr, "ssh-keyscan")
	to.KnownHosts = known(t, bastion)
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "verifying the host key of ops@"+s.addr, "ssh-keyscan")

	to.KnownHosts = known(t, bastion, s)
	bastion.set(func() { bastion.noTCP = true })
	problem(t, ping(newHost(t, to, Options{})), ops.ErrUnreachable, "connecting to ops@"+s.addr, "AllowTcpForwarding")
}

func port(s *server) string {
	_, p, _ := net.SplitHostPort(s.addr)
	return p
}

func TestHangAfterAccept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newServer(t)
	to := target(t, s)
	to.SSH = "ops@" + l.Addr().String()
	h := newHost(t, to, Options{HandshakeTimeout: 50 * time.Millisecond})
	problem(t, ping(h), ops.ErrUnreachable, "no answer from", "frozen, or rebooting")
	if state, p := h.Link(); state != ops.LinkDown || p == nil {
		t.Errorf("link %q, %v", state, p)
	}
}

// The same behind a jump host, where a channel has no deadline.
func TestHangBehindAJump(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bastion := newServer(t)
	to := target(t, bastion)
	to.Jump, to.SSH = to.SSH, "ops@"+l.Addr().String()
	problem(t, ping(newHost(t, to, Options{HandshakeTimeout: 200 * time.Millisecond})), ops.ErrUnreachable, "no answer from "+l.Addr().String(), "")
}

func TestRefusedConnection(t *testing.T) {
	s := newServer(t)
	to := target(t, s)
	s.stop()
	var ahead atomic.Int64
	h := newHost(t, to, Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	problem(t, ping(h), ops.ErrUnreachable, "connection refused", "is the port right?")

	// While it waits it says so at once, with the reason and the time.
	start := time.Now()
	problem(t, ping(h), ops.ErrUnreachable, "connection refused (next try at ", "is the port right?")
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("took %s", took)
	}
	// After the wait a call tries again.
	s.start(s.addr)
	ahead.Store(int64(time.Minute))
	eventually(t, "connected again", func() bool { return ping(h) == nil })
}

// A frozen host: the watchdog ends the connection, calls say so, and it is made again.
func TestFrozenMidSession(t *testing.T) {
	s := newServer(t)
	h := newHost(t, target(t, s), Options{KeepaliveEvery: 20 * time.Millisecond})
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
	s.freeze(true)
	problem(t, ping(h), ops.ErrUnreachable, "connection lost: no answer for 60ms", "")
	eventually(t, "link down", func() bool { state, _ := h.Link(); return state != ops.LinkUp })
	s.freeze(false)
	eventually(t, "link up", func() bool { state, _ := h.Link(); return state == ops.LinkUp })
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
}

// A call on a frozen host ends with its context even without a watchdog.
func TestFrozenCallEndsWithItsContext(t *testing.T) {
	h, s := connect(t)
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
	s.freeze(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := h.Exec(ctx, ops.Command{Args: []string{"true"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestConnectionLostDuringACommand(t *testing.T) {
	h, s := connect(t)
	done := make(chan error, 1)
	go func() {
		_, err := h.Exec(context.Background(), ops.Command{Args: []string{"sleep", "60"}})
		done <- err
	}()
	eventually(t, "command started", func() bool { return len(s.ran()) == 1 })
	s.cut()
	problem(t, <-done, ops.ErrUnreachable, "connection lost", "not known whether")
	if err := ping(h); err != nil { // at once: the connection had been good
		t.Fatal(err)
	}
}

func TestReconnectIsAFreshConnection(t *testing.T) {
	h, s := connect(t)
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
	h.Reconnect()
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
	if s.handshakes != 2 {
		t.Errorf("%d handshakes", s.handshakes)
	}
}

func TestLinkBeforeUseAndAfterClose(t *testing.T) {
	h, _ := connect(t)
	if state, p := h.Link(); state != ops.LinkNever || p != nil {
		t.Errorf("link %q, %v", state, p)
	}
	h.Close()
	if err := ping(h); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("SSH_AUTH_SOCK", "/run/agent")
	config := write(t, "config", `
Host blue
  HostName %h.example.com
  Port 2222
  User ops
  IdentityFile ~/.ssh/%r-%h
  IdentitiesOnly yes
  UserKnownHostsFile ~/.ssh/kh-%p %d/kh2
  ProxyJump bastion,inner
Host bastion
  HostName 10.0.0.1
  ProxyJump none
Host inner
  HostKeyAlias inner-key
  ProxyJump bastion
Host round
  ProxyJump round
Host *
  User jump
`)
	for _, tt := range []struct {
		ssh, jump, want, wantErr string
	}{
		{ssh: "ops@10.0.1.11:22", want: "ops@10.0.1.11:22"},
		{ssh: "ops@10.0.1.11", want: "ops@10.0.1.11:22"},
		{ssh: "ops@[::1]:2200", want: "ops@[::1]:2200"},
		{ssh: "ops@[::1]", want: "ops@[::1]:22"},
		{ssh: "::1", want: "jump@[::1]:22"},
		{ssh: "blue", want: "jump@10.0.0.1:22 jump@inner:22 ops@blue.example.com:2222"},
		{ssh: "me@blue:22", jump: "none", want: "me@blue.example.com:22"},
		{ssh: "x", jump: "a@b:3", want: "a@b:3 jump@x:22"},
		{ssh: "inner", want: "jump@10.0.0.1:22 jump@inner:22"},
		{ssh: "round", wantErr: "circle"},
		{ssh: "", wantErr: "not user@host:port"},
		{ssh: "-oProxyCommand=x", wantErr: "not user@host:port"},
		{ssh: "a b", wantErr: "not user@host:port"},
	} {
		t.Run(tt.ssh, func(t *testing.T) {
			hops, err := resolve(Target{SSH: tt.ssh, Jump: tt.jump, SSHConfig: config})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range hops {
				got = append(got, h.user+"@"+h.addr)
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	hops, err := resolve(Target{SSH: "blue", SSHConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	h := hops[2]
	if got, want := fmt.Sprintf("%v %v %v %v", h.identities, h.only, h.agent, h.knownHosts), "[/home/me/.ssh/ops-blue.example.com] true /run/agent [/home/me/.ssh/kh-2222 /home/me/kh2 /etc/ssh/ssh_known_hosts]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if hops[1].keyName != "inner-key:22" {
		t.Errorf("key name %s", hops[1].keyName)
	}
}

func TestNewRefusesBadTargets(t *testing.T) {
	config := write(t, "config", "")
	for name, to := range map[string]Target{
		"docker":        {SSH: "a@b", SSHConfig: config, Docker: "npipe:////./pipe/docker"},
		"docker path":   {SSH: "a@b", SSHConfig: config, Docker: "unix://run/docker.sock"},
		"no ssh config": {SSH: "a@b", SSHConfig: config + "x"},
		"match exec":    {SSH: "a@b", SSHConfig: write(t, "config", "Match exec true\n  User x\n")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(to, Options{})
			problem(t, err, nil, "", "")
		})
	}
}
