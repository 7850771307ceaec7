package main

import (
	"os"
	"syscall"
	"testing"
)

// TestTermEndsTheConsole: signals end a console at whatever moment they come. Of two handlers, one
// waited for the other for ever, every third time.
func TestTermEndsTheConsole(t *testing.T) {
	l := newLonely(t)
	for i := range 12 {
		c := openTerminal(t, 80, 24, l.env)
		c.see("tandem")
		if err := c.cmd.Process.Signal([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}[i%3]); err != nil {
			t.Fatal(err)
		}
		if code := c.exited(); code != 0 {
			t.Errorf("ended with %d", code)
		}
	}
}
