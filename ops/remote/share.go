package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// A program that stays (the console) lends its connections to those that come and go
// (status, gate): logging in costs more than all that they ask, on both ends. It serves
// SSH on a socket that only the same user can reach, and passes every channel on as it is.
// Whoever borrows has its own handshake with the lender, so that nothing above knows the
// difference.

// shareFile is the socket of this machine's connection: same route, same key, same user.
func (h *Host) shareFile(dir string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%v\x00%s\x00%s\x00%s", h.route, h.target.Identity, h.target.KnownHosts, h.target.SSHConfig))
	return filepath.Join(dir, hex.EncodeToString(sum[:8])+".sock")
}

// private makes the directory, or checks that it is nobody else's.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || ok && int(owner.Uid) != os.Getuid() {
		return fmt.Errorf("%s is not this user's alone", dir)
	}
	return nil
}

// borrow connects through a program that has a connection; nil if there is none.
func (h *Host) borrow(ctx context.Context) *conn {
	if h.opt.Borrow == "" || private(h.opt.Borrow) != nil {
		return nil
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "unix", h.shareFile(h.opt.Borrow))
	if err != nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	// The socket's directory is this user's alone: that is what vouches for the other end,
	// which has verified the host's key.
	sc, channels, requests, err := ssh.NewClientConn(raw, "shared", &ssh.ClientConfig{
		User: h.route[len(h.route)-1].user, HostKeyCallback: ssh.InsecureIgnoreHostKey(), ClientVersion: "SSH-2.0-tandem",
	})
	if err != nil {
		raw.Close()
		return nil
	}
	c := newConn()
	c.client, c.chain = ssh.NewClient(sc, channels, requests), []io.Closer{raw}
	return c
}

// share lends the host's connection until the host is closed. One lender is enough: where
// another serves already it does nothing.
func (h *Host) share(dir string) error {
	if err := private(dir); err != nil {
		return err
	}
	file := h.shareFile(dir)
	if c, err := net.Dial("unix", file); err == nil {
		return c.Close()
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", file)
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: "SSH-2.0-tandem"}
	config.AddHostKey(signer)
	context.AfterFunc(h.ctx, func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go h.lend(raw, config)
		}
	}()
	return nil
}

// lend serves one borrower. Without a live connection it hangs up: the borrower then
// connects by itself, and finds out what is the matter.
func (h *Host) lend(raw net.Conn, config *ssh.ServerConfig) {
	defer raw.Close()
	h.mu.Lock()
	c := h.conn
	h.mu.Unlock()
	if c == nil || c.dead() {
		return
	}
	sc, channels, requests, err := ssh.NewServerConn(raw, config)
	if err != nil {
		return
	}
	defer sc.Close()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-c.done:
			raw.Close()
		case <-over:
		}
	}()
	go func() {
		for r := range requests {
			_ = r.Reply(false, nil) // keepalives: any answer will do
		}
	}()
	for n := range channels {
		go pass(n, c.client)
	}
}

// pass joins a borrower's channel to one on the lent connection.
func pass(n ssh.NewChannel, client *ssh.Client) {
	far, farRequests, err := client.OpenChannel(n.ChannelType(), n.ExtraData())
	if err != nil {
		reason, text := ssh.ConnectionFailed, err.Error()
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			reason, text = refused.Reason, refused.Message
		}
		_ = n.Reject(reason, text)
		return
	}
	near, nearRequests, err := n.Accept()
	if err != nil {
		far.Close()
		return
	}
	var asked sync.Mutex // held until a request of the borrower has its answer
	ask := func(r *ssh.Request, to ssh.Channel) {
		ok, err := to.SendRequest(r.Type, r.WantReply, r.Payload)
		if r.WantReply {
			_ = r.Reply(ok && err == nil, nil)
		}
	}
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.CloseWrite()
	}()
	go func() {
		for r := range nearRequests {
			asked.Lock()
			ask(r, far)
			asked.Unlock()
		}
		far.Close() // the borrower has closed the channel, or is gone
	}()
	var output sync.WaitGroup
	output.Go(func() { _, _ = io.Copy(near, far) })
	output.Go(func() { _, _ = io.Copy(near.Stderr(), far.Stderr()) })
	ended := make(chan struct{})
	go func() {
		output.Wait() // of both: what comes on standard error after an end of output is dropped
		_ = near.CloseWrite()
		close(ended)
	}()
	for r := range farRequests { // the exit status among them; ends when the host closes the channel
		ask(r, near)
	}
	<-ended
	asked.Lock() // a command may be over before the answer that it has begun is passed on
	defer asked.Unlock()
	near.Close()
}
