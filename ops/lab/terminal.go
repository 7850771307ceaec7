package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// tty is a terminal that a client has asked for: what is typed comes back, a line at a time is
// read, and line ends are those of a terminal.
type tty struct {
	*term.Terminal
	kind string // $TERM

	mu         sync.Mutex
	cols, rows int
}

func newTTY(client io.ReadWriter, kind string, cols, rows int) *tty {
	t := &tty{Terminal: term.NewTerminal(client, ""), kind: kind}
	t.resize(cols, rows)
	return t
}

func (t *tty) resize(cols, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cols, t.rows = cols, rows
	if cols > 0 && rows > 0 {
		t.SetSize(cols, rows) // it fails where the client is gone
	}
}

func (t *tty) size() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%d %d", t.rows, t.cols)
}

type ttyKey struct{}

// stty tells the size of the terminal, where there is one.
func stty(c *call) int {
	t, ok := c.ctx.Value(ttyKey{}).(*tty)
	if !ok {
		c.complain("stty", "'standard input': Inappropriate ioctl for device")
		return 1
	}
	c.say("%s\n", t.size())
	return 0
}

// session reads lines and runs them until one leaves the shell, or the client does. The last
// status is that of the session.
func (t *tty) session(ctx context.Context, prompt func() string, r *interp.Runner, run func(line string, run func(context.Context) int) int) int {
	status := 0
	for {
		t.SetPrompt(prompt())
		line, err := t.ReadLine()
		if err != nil { // ctrl+d, or gone
			return status
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		// Nothing waits for a client that does not read while it holds the world's lock.
		out := newSpool(t)
		status = run(line, func(ctx context.Context) int {
			file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(line), "")
			if err != nil {
				fmt.Fprintf(out, "sh: %v\n", err)
				return 2
			}
			if err := interp.StdIO(nil, out, out)(r); err != nil {
				fmt.Fprintf(out, "sh: %v\n", err)
				return 2
			}
			return statusOf(r.Run(context.WithValue(ctx, ttyKey{}, t), file), out)
		})
		out.flush()
		if r.Exited() || ctx.Err() != nil {
			return status
		}
	}
}

// terminal is the login shell of a user at a terminal.
func (h *Host) terminal(ctx context.Context, u user, from net.Addr, t *tty) int {
	r, err := h.interpreter(u, []string{"TERM=" + t.kind}, nil, func(in io.Reader) io.Reader { return in }, nil, t, t)
	if err != nil {
		fmt.Fprintf(t, "sh: %v\n", err)
		return 2
	}
	prompt := func() string {
		dir := r.Dir
		if dir == u.home {
			dir = "~"
		}
		return fmt.Sprintf("%s@%s:%s$ ", u.name, h.name, dir)
	}
	return t.session(ctx, prompt, r, func(line string, run func(context.Context) int) int {
		return h.recorded(ctx, u, from, line, run)
	})
}
