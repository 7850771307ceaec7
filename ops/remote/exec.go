package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"tandem/ops"
)

const (
	maxOutput = 8 << 20  // of a command that does not stream
	maxStderr = 64 << 10 // kept for the error
)

// quote makes text one word of a POSIX shell (POSIX.1-2024, XCU 2.2.2): inside single
// quotes nothing is special but the single quote itself.
func quote(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+:,./-", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// commandLine is the command for the login shell. A NUL cannot be an argument.
func commandLine(args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("no command")
	}
	words := make([]string, len(args))
	for i, a := range args {
		if strings.ContainsRune(a, 0) {
			return "", fmt.Errorf("argument %d holds a NUL", i)
		}
		words[i] = quote(a)
	}
	return strings.Join(words, " "), nil
}

// shown is a command as errors name it: the text of a script would hide the reason.
func shown(args []string) []string {
	if i := slices.Index(args, "-c"); i > 0 && args[i-1] == "sh" && i+1 < len(args) {
		args = slices.Clone(args)
		args[i+1] = "(script)"
	}
	return args
}

func running(cmd ops.Command) string { return "running " + strings.Join(shown(cmd.Args), " ") }

// Exec runs a command. Unless it streams, it has a deadline and its output may have 8 MiB.
func (h *Host) Exec(ctx context.Context, cmd ops.Command) ([]byte, error) {
	doing := running(cmd)
	if cmd.Mutates {
		if err := h.gate(doing); err != nil {
			return nil, err
		}
	}
	if cmd.Stdout == nil {
		var cancel context.CancelFunc
		ctx, cancel = h.within(ctx, h.opt.CommandTimeout)
		defer cancel()
	}
	c, err := h.connection(ctx)
	if err != nil {
		return nil, err
	}
	if cmd.Mutates && !cmd.Fenced {
		if err := h.mayChange(ctx, c, doing); err != nil {
			return nil, err
		}
	}
	return h.execOn(ctx, c, doing, cmd)
}

// execOn runs a command on a connection.
func (h *Host) execOn(ctx context.Context, c *conn, doing string, cmd ops.Command) (_ []byte, err error) {
	args := cmd.Args
	if cmd.Privileged {
		if args, err = h.withSudo(ctx, c, args); err != nil {
			return nil, err
		}
	}
	out, err := h.run(ctx, c, args, cmd)
	return out, h.execProblem(c, doing, cmd, err)
}

// withSudo puts sudo before a command where the user needs it.
func (h *Host) withSudo(ctx context.Context, c *conn, args []string) ([]string, error) {
	needed, err := h.needsSudo(ctx, c)
	if err != nil || !needed {
		return args, err
	}
	return append([]string{"sudo", "-n", "--"}, args...), nil
}

func (h *Host) needsSudo(ctx context.Context, c *conn) (bool, error) {
	h.mu.Lock()
	known := h.sudo
	h.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	needed := h.route[len(h.route)-1].user != "root"
	if needed { // another name may be root too
		out, err := h.run(ctx, c, []string{"id", "-u"}, ops.Command{Args: []string{"id", "-u"}})
		if err != nil {
			return false, h.execProblem(c, "finding out who we are", ops.Command{}, err)
		}
		needed = strings.TrimSpace(string(out)) != "0"
	}
	h.mu.Lock()
	h.sudo = &needed
	h.mu.Unlock()
	return needed, nil
}

// execProblem words the error of a command; an *ops.ExitError stays in the chain.
func (h *Host) execProblem(c *conn, doing string, cmd ops.Command, err error) error {
	if err == nil {
		return nil
	}
	var exit *ops.ExitError
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &exit):
		if cmd.Privileged && sudoRefused(exit) {
			user := h.route[len(h.route)-1].user
			return h.say(doing, as(ops.ErrNotPermitted, err), fmt.Sprintf(
				"as root on the host: echo '%s ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/tandem && chmod 0440 /etc/sudoers.d/tandem && visudo -c", user))
		}
		return h.say(doing, err, "")
	case errors.Is(err, context.DeadlineExceeded):
		return h.say(doing, as(ops.ErrUnreachable, fmt.Errorf("no end within the deadline: %w", err)), "is the machine overloaded?")
	case errors.Is(err, context.Canceled):
		return h.say(doing, err, "")
	case errors.As(err, &refused):
		return h.say(doing, as(ops.ErrUnreachable, err), "the host refuses sessions: see MaxSessions in its sshd_config")
	}
	if lost := c.lost(err); lost != nil {
		return h.say(doing, lost, "it is not known whether the command came to its end")
	}
	return h.say(doing, err, "")
}

// sudoRefused tells sudo's own refusals from a command's. Under -n sudo asks nothing and
// says "sudo: a password is required" (in the host's language, but always after "sudo: "),
// or "Sorry, user ops is not allowed to execute ..."; both end with status 1.
func sudoRefused(e *ops.ExitError) bool {
	return e.Status == 1 && (strings.HasPrefix(e.Stderr, "sudo: ") || strings.HasPrefix(e.Stderr, "Sorry, user "))
}

// run runs one command in a session of its own.
func (h *Host) run(ctx context.Context, c *conn, args []string, cmd ops.Command) ([]byte, error) {
	line, err := commandLine(args)
	if err != nil {
		return nil, err
	}
	s, release, err := c.session(ctx, c.commands)
	if err != nil {
		return nil, err
	}
	defer release()
	stop := context.AfterFunc(ctx, func() {
		s.Signal(ssh.SIGTERM) // sshd passes it on since OpenSSH 7.9, but not for root
		s.Close()
	})
	defer stop()

	errs := &tail{max: maxStderr}
	out := &capped{max: maxOutput, full: func() { s.Close() }}
	s.Stderr, s.Stdout = errs, out
	if cmd.Stdout != nil {
		s.Stdout = cmd.Stdout
	}
	var in io.WriteCloser
	if cmd.Stdin != nil {
		// Not s.Stdin: Wait would wait for a reader that the command never asked for.
		if in, err = s.StdinPipe(); err != nil {
			return nil, err
		}
	}
	ended := make(chan error, 1)
	go func() {
		if err := s.Start(line); err != nil {
			ended <- err
			return
		}
		if in != nil {
			// Not before there is a command: OpenSSH's sshd forgets an end of input that comes
			// before it, and the command waits for one that never comes.
			go func() {
				io.Copy(in, cmd.Stdin)
				in.Close()
			}()
		}
		ended <- s.Wait()
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		// Not waited for: on a frozen connection neither Start nor Close comes back.
		return nil, ctx.Err()
	case <-c.done:
		return nil, io.EOF
	}
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	if out.over {
		return nil, fmt.Errorf("the output is larger than %d MiB", maxOutput>>20)
	}
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		err = &ops.ExitError{Args: shown(args), Status: exit.ExitStatus(), Stderr: errs.String()}
	}
	if cmd.Stdout != nil {
		if err == nil {
			return nil, nil
		}
		return errs.Bytes(), err
	}
	return out.buf, err
}

// session opens a session when one of the slots is free.
func (c *conn) session(ctx context.Context, slots chan struct{}) (*ssh.Session, func(), error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("waiting for a free session: %w", ctx.Err())
	case <-c.done:
		return nil, nil, io.EOF
	}
	free := func() { <-slots }
	type result struct {
		s   *ssh.Session
		err error
	}
	opened := make(chan result, 1)
	go func() {
		s, err := c.client.NewSession()
		opened <- result{s, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			free()
			return nil, nil, r.err
		}
		return r.s, sync.OnceFunc(func() {
			go func() { // Close writes, which a frozen connection blocks
				r.s.Close()
				free()
			}()
		}), nil
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.s != nil {
				r.s.Close()
			}
			free()
		}()
		return nil, nil, ctx.Err()
	}
}

// capped keeps output up to a limit, then calls full once.
type capped struct {
	buf  []byte
	max  int
	over bool
	full func()
}

func (c *capped) Write(p []byte) (int, error) {
	if c.over {
		return len(p), nil
	}
	if len(c.buf)+len(p) > c.max {
		c.over = true
		go c.full()
		return len(p), nil
	}
	c.buf = append(c.buf, p...)
	return len(p), nil
}

// tail keeps the end of what is written: the reason usually stands last.
type tail struct {
	mu  sync.Mutex
	buf []byte
	max int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf)
}

func (t *tail) String() string { return string(t.Bytes()) }
