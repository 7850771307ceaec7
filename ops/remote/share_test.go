package remote

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"tandem/ops"
)

// lent is a host that lends its connection, one that borrows it, and their server.
func lent(t *testing.T) (lender, borrower *Host, s *server) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tandem") // short: a socket's path has room for 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s = newServer(t)
	to := target(t, s)
	lender = newHost(t, to, Options{Share: dir})
	if err := ping(lender); err != nil {
		t.Fatal(err)
	}
	return lender, newHost(t, to, Options{Borrow: dir}), s
}

func (s *server) logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handshakes
}

func TestBorrowedConnection(t *testing.T) {
	_, h, s := lent(t)
	out, err := h.Exec(t.Context(), ops.Command{Args: []string{"cat"}, Stdin: strings.NewReader("there and back")})
	if err != nil || string(out) != "there and back" {
		t.Errorf("%q, %v", out, err)
	}
	var exit *ops.ExitError
	_, err = h.Exec(t.Context(), ops.Command{Args: []string{"sh", "-c", "echo no such thing >&2; exit 3"}})
	if !errors.As(err, &exit) || exit.Status != 3 || exit.Stderr != "no such thing\n" {
		t.Errorf("%v", err)
	}
	if facts, err := h.Facts(t.Context()); err != nil || facts.BootID == "" {
		t.Errorf("%+v, %v", facts, err)
	}
	if _, err := h.DialContext(t.Context(), "unix", "/there/is/none"); err == nil {
		t.Error("a channel that the host refuses is open")
	}
	if n := s.logins(); n != 1 {
		t.Errorf("%d logins, want the lender's alone", n)
	}
}

func TestBorrowerGoesAway(t *testing.T) {
	_, h, s := lent(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := h.Exec(ctx, ops.Command{Args: []string{"cat"}, Stdin: blocked{ctx}})
		done <- err
	}()
	eventually(t, "command started", func() bool { return len(s.ran()) == 2 })
	h.Close()
	cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
}

// blocked is an input that never comes.
type blocked struct{ ctx context.Context }

func (b blocked) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func TestLenderGoesAway(t *testing.T) {
	lender, h, s := lent(t)
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
	lender.Close()
	eventually(t, "the borrower connects by itself", func() bool { return ping(h) == nil && s.logins() == 2 })
}

func TestLostConnectionIsNotLent(t *testing.T) {
	lender, h, s := lent(t)
	s.stop()
	eventually(t, "the lender has noticed", func() bool { link, _ := lender.Link(); return link != ops.LinkUp })
	if err := ping(h); !errors.Is(err, ops.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestOnlyAPrivateDirectoryIsUsed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	to := target(t, s)
	lender, h := newHost(t, to, Options{Share: dir}), newHost(t, to, Options{Borrow: dir})
	for _, host := range []*Host{lender, h} {
		if err := ping(host); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 || s.logins() != 2 {
		t.Errorf("%v, %v, %d logins", list, err, s.logins())
	}
}

func TestSecondLenderLeavesTheFirst(t *testing.T) {
	first, h, s := lent(t)
	second := newHost(t, first.target, first.opt)
	if err := ping(second); err != nil {
		t.Fatal(err)
	}
	second.Close()
	if err := ping(h); err != nil || s.logins() != 2 {
		t.Errorf("%v, %d logins, want the two lenders'", err, s.logins())
	}
}
