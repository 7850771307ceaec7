package remote

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// logins are the keys that can be offered to a hop.
type logins struct {
	signers []ssh.Signer
	offered []string // in words, for the error when none is accepted
	agent   io.Closer
}

func (l *logins) Close() {
	if l.agent != nil {
		l.agent.Close()
	}
}

// logins collects the agent's keys, those that match the named identities first (sshd
// gives up after six keys), then the identity files. pause is called around a question to
// the operator.
func (h *Host) logins(ctx context.Context, p hop, pause func() (resume func())) (*logins, error) {
	l := &logins{}
	var named [][]byte // public keys of the identities
	var files []ssh.Signer
	for _, path := range p.identities {
		s, err := h.identity(path, pause)
		if err != nil {
			l.offered = append(l.offered, fmt.Sprintf("%s not usable (%v)", path, err))
			if pub := publicHalf(path); pub != nil { // its private half may be in the agent
				named = append(named, pub.Marshal())
			}
			continue
		}
		l.offered = append(l.offered, path)
		named = append(named, s.PublicKey().Marshal())
		files = append(files, s)
	}
	isNamed := func(s ssh.Signer) bool {
		key := s.PublicKey()
		if cert, ok := key.(*ssh.Certificate); ok {
			key = cert.Key
		}
		return slices.ContainsFunc(named, func(b []byte) bool { return bytes.Equal(b, key.Marshal()) })
	}
	switch fromAgent, err := l.ask(ctx, p.agent); {
	case p.agent == "":
		l.offered = append([]string{"no SSH agent"}, l.offered...)
	case err != nil:
		l.offered = append([]string{fmt.Sprintf("SSH agent not usable (%v)", err)}, l.offered...)
	default:
		if p.only {
			fromAgent = slices.DeleteFunc(fromAgent, func(s ssh.Signer) bool { return !isNamed(s) })
		}
		slices.SortStableFunc(fromAgent, func(a, b ssh.Signer) int {
			switch x, y := isNamed(a), isNamed(b); {
			case x && !y:
				return -1
			case y && !x:
				return 1
			}
			return 0
		})
		l.signers = fromAgent
		l.offered = append([]string{fmt.Sprintf("%d from the SSH agent", len(fromAgent))}, l.offered...)
	}
	l.signers = append(l.signers, files...)
	if len(l.signers) == 0 {
		l.Close()
		return nil, h.say("logging in to "+p.String(), as(errRefusedLogin, errors.New("no key to log in with: "+strings.Join(l.offered, ", "))),
			"ssh-add a key that the host accepts, or set `identity` in the config")
	}
	return l, nil
}

// errRefusedLogin marks errors of authentication.
var errRefusedLogin = errors.New("login refused")

func (l *logins) ask(ctx context.Context, socket string) ([]ssh.Signer, error) {
	if socket == "" {
		return nil, nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	l.agent = conn
	// A hardware key may wait for a touch: only the list has a deadline of its own.
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	signers, err := agent.NewClient(conn).Signers()
	conn.SetDeadline(time.Time{})
	return signers, err
}

// publicHalf reads path.pub, nil if there is none.
func publicHalf(path string) ssh.PublicKey {
	data, err := os.ReadFile(path + ".pub")
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}

// identity reads a key file. A key with a passphrase whose public half can be read is
// opened only when a server has said that it would accept it.
func (h *Host) identity(path string, pause func() func()) (ssh.Signer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		return s, err
	}
	public := locked.PublicKey
	if public == nil { // the older PEM formats do not hold it in clear
		public = publicHalf(path)
	}
	key := &lockedKey{public: public, open: func() (ssh.Signer, error) {
		defer pause()()
		return opened.get(path, data, h.opt.Passphrase)
	}}
	if public == nil {
		return key.open()
	}
	return key, nil
}

// Locked lists the key files on the way to the machine that have a passphrase and have not
// been opened by this process: to connect may mean to ask for them.
func (h *Host) Locked() []string {
	var paths []string
	for _, p := range h.route {
		for _, path := range p.identities {
			data, err := os.ReadFile(path)
			if err != nil || slices.Contains(paths, path) {
				continue
			}
			_, err = ssh.ParsePrivateKey(data)
			if errors.As(err, new(*ssh.PassphraseMissingError)) && !opened.has(path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// lockedKey is a key whose passphrase is asked for at the first signature.
type lockedKey struct {
	public ssh.PublicKey
	open   func() (ssh.Signer, error)
}

func (k *lockedKey) PublicKey() ssh.PublicKey { return k.public }

func (k *lockedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(rand, data, "")
}

func (k *lockedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	if s, ok := s.(ssh.AlgorithmSigner); ok {
		return s.SignWithAlgorithm(rand, data, algorithm)
	}
	return s.Sign(rand, data)
}

// opened holds the keys that were opened with a passphrase, for the life of the process:
// both hosts and their jump hosts usually share one, and the operator is asked once.
var opened = openedKeys{keys: map[string]openedKey{}}

type openedKeys struct {
	mu   sync.Mutex
	keys map[string]openedKey
}

type openedKey struct {
	signer ssh.Signer
	err    error
}

// lockedError is a key that cannot be opened.
type lockedError struct {
	path string
	err  error
}

func (e *lockedError) Error() string { return "opening the key " + e.path + ": " + e.err.Error() }
func (e *lockedError) Unwrap() error { return e.err }

func (o *openedKeys) has(path string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.keys[path].signer != nil
}

// phraseTries is how often a passphrase is asked for: ssh_config(5), NumberOfPasswordPrompts.
const phraseTries = 3

func (o *openedKeys) get(path string, pem []byte, ask func(path string, again bool) (string, error)) (ssh.Signer, error) {
	o.mu.Lock() // held while asking: a second host waits for the answer to the same question
	defer o.mu.Unlock()
	if k, ok := o.keys[path]; ok {
		return k.signer, k.err
	}
	if ask == nil {
		return nil, &lockedError{path, errors.New("it has a passphrase, and there is no terminal to ask on")}
	}
	var k openedKey
	err := x509.IncorrectPasswordError
	for n := 0; n < phraseTries && errors.Is(err, x509.IncorrectPasswordError); n++ {
		var phrase string
		if phrase, err = ask(path, n > 0); err == nil {
			k.signer, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(phrase))
		}
	}
	if errors.Is(err, x509.IncorrectPasswordError) {
		err = errors.New("no passphrase that was given opens it")
	}
	if err != nil {
		k.err = &lockedError{path, err}
	}
	o.keys[path] = k
	return k.signer, k.err
}
