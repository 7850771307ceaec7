package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// patience is how long a test waits for a state before it gives up. It is no measure of
// speed: these waits end as soon as the state is there.
const patience = 2 * time.Minute

// terminal is the built program in a real terminal (pty), with an emulator that knows
// what is on its screen.
type terminal struct {
	t       failer
	cmd     *exec.Cmd
	tty     *os.File
	line    io.ReadWriter // tty, or what lies between it and the one who types
	screen  vt10x.Terminal
	mu      sync.Mutex
	sent    []byte        // everything the program wrote
	changed chan struct{} // closed and made anew at every change
	ended   chan struct{}
	err     error
}

// failer is the part of testing.TB that a terminal needs; stories bring their own.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// self is the command of this test binary acting as tandem, see TestMain.
func self(args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Args[0] = "tandem"
	return cmd
}

func openTerminal(t failer, cols, rows int, env []string, args ...string) *terminal {
	t.Helper()
	return runTerminal(t, cols, rows, self(args...), env, nil)
}

// runTerminal runs a command in a terminal of its own, over a line if there is one.
func runTerminal(t failer, cols, rows int, cmd *exec.Cmd, env []string, over func(io.ReadWriter) io.ReadWriter) *terminal {
	t.Helper()
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "COLORTERM="), env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)})
	if err != nil {
		t.Fatalf("starting tandem in a terminal: %v", err)
	}
	term := &terminal{t: t, cmd: cmd, tty: tty, line: tty, screen: vt10x.New(vt10x.WithSize(cols, rows)), changed: make(chan struct{}), ended: make(chan struct{})}
	if over != nil {
		term.line = over(tty)
	}
	go term.read()
	t.Cleanup(term.close)
	return term
}

func (c *terminal) read() {
	in := bufio.NewReader(c.line)
	buf := make([]byte, 32<<10)
	var cut []byte // the start of a character whose rest has not come yet: the emulator would drop it
	for {
		n, err := in.Read(buf)
		text := append(cut, buf[:n]...)
		whole := len(text)
		for i := max(0, whole-utf8.UTFMax); i < whole; i++ {
			if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
				whole = i
			}
		}
		cut = slices.Clone(text[whole:])
		c.mu.Lock()
		c.screen.Write(text[:whole])
		c.sent = append(c.sent, buf[:n]...)
		asked := bytes.Count(c.sent[max(0, len(c.sent)-n-len(asksFor)+1):], []byte(asksFor))
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			break
		}
		// As terminals do; the emulator does not.
		_, _ = io.WriteString(c.line, strings.Repeat("\x1b[?62;22c", asked))
	}
	c.err = c.cmd.Wait()
	close(c.ended)
}

// asksFor is the question for the primary device attributes (DA1).
const asksFor = "\x1b[c"

func (c *terminal) close() {
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		c.cmd.Process.Kill()
		<-c.ended
	}
	c.tty.Close()
}

// text is what the screen shows, and a channel that closes when it changes.
func (c *terminal) text() (string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.String(), c.changed
}

// output is everything the program has written.
func (c *terminal) output() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// recorded is of the output what a recording has: questions to the terminal are not recorded, or
// the answers would be typed text where it is played.
func (c *terminal) recorded() string { return strings.ReplaceAll(string(c.output()), asksFor, "") }

// until waits for a state of the screen.
func (c *terminal) until(what string, ok func(screen string) bool) {
	c.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		text, changed := c.text()
		if ok(text) {
			return
		}
		select {
		case <-changed:
		case <-c.ended:
			if text, _ := c.text(); ok(text) {
				return
			}
			c.t.Fatalf("tandem ended (%v) while waiting for %s; the screen:\n%s", c.err, what, text)
		case <-deadline.C:
			c.t.Fatalf("waited %s for %s; the screen:\n%s", patience, what, text)
		}
	}
}

// see waits until all the texts are on the screen.
func (c *terminal) see(texts ...string) {
	c.t.Helper()
	c.until(fmt.Sprintf("%q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// gone waits until the text is not on the screen.
func (c *terminal) gone(text string) {
	c.t.Helper()
	c.until("no "+text, func(screen string) bool { return !strings.Contains(screen, text) })
}

// insist types a key until all the texts are on the screen, or none of them. It waits between
// two keys, longer each time, so that one too many is rare, and harmless where it is used.
func (c *terminal) insist(key string, there bool, texts ...string) {
	c.t.Helper()
	reached := func(screen string) bool {
		return !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(screen, text) != there })
	}
	pause := 500 * time.Millisecond
	for deadline := time.Now().Add(patience); ; pause *= 2 {
		c.press(key)
		again := time.After(pause)
		for waiting := true; waiting; {
			screen, changed := c.text()
			if reached(screen) {
				return
			}
			if time.Now().After(deadline) {
				c.t.Fatalf("typed %s for %s, but %q, wanted there: %v; the screen:\n%s", key, patience, texts, there, screen)
			}
			select {
			case <-changed:
			case <-again:
				waiting = false
			case <-c.ended:
				if !there { // gone with the console
					return
				}
				c.t.Fatalf("tandem ended (%v) while typing %s; the screen:\n%s", c.err, key, screen)
			}
		}
	}
}

// keyBytes are the keys with names, as an xterm sends them; but for esc, whose one byte
// with a key close behind is another key: it is sent as terminals with CSI u do.
var keyBytes = map[string]string{
	"enter": "\r", "esc": "\x1b[27u", "tab": "\t", "space": " ", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
	"ctrl+c": "\x03", "ctrl+o": "\x0f", "ctrl+p": "\x10", "ctrl+l": "\x0c", "pgup": "\x1b[5~", "pgdown": "\x1b[6~", "backspace": "\x7f",
}

// press types keys, by name or as text.
func (c *terminal) press(keys ...string) {
	c.t.Helper()
	for _, key := range keys {
		if named, ok := keyBytes[key]; ok {
			key = named
		}
		if _, err := io.WriteString(c.line, key); err != nil {
			c.t.Fatalf("typing %q: %v", key, err)
		}
	}
}

func (c *terminal) resize(cols, rows int) {
	c.t.Helper()
	c.mu.Lock()
	c.screen.Resize(cols, rows)
	c.mu.Unlock()
	if err := pty.Setsize(c.tty, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		c.t.Fatalf("resizing the terminal: %v", err)
	}
}

// exited waits for the end of the program and returns its exit code.
func (c *terminal) exited() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		text, _ := c.text()
		c.t.Fatalf("tandem did not end within %s; the screen:\n%s", patience, text)
	}
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// kill ends the program as a crash would.
func (c *terminal) kill() {
	c.t.Helper()
	c.cmd.Process.Kill()
	<-c.ended
}
