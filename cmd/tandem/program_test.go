package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/creack/pty"

	"tandem/ops"
	"tandem/ops/lab"
)

// An upgrade that takes the program's file away under a console does not keep it from
// starting a run.
func TestRunnerStartsThoughTheProgramWasDeleted(t *testing.T) {
	world, err := lab.Start(lab.Options{Scenario: "calm", Dir: t.TempDir(), Speed: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	cmd := self("run", "drain", "green")
	copied := filepath.Join(t.TempDir(), "tandem")
	copyFile(t, cmd.Path, copied)
	cmd.Path = copied
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "TANDEM_CONFIG="+world.ConfigPath(), "TERM=dumb")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var said strings.Builder
	for buf := make([]byte, 4096); !strings.Contains(said.String(), "type y to go on"); {
		n, err := tty.Read(buf)
		if err != nil {
			t.Fatalf("%v, after:\n%s", err, said.String())
		}
		said.Write(buf[:n])
	}
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	tty.WriteString("y\n")
	io.Copy(&said, tty) // ends with an error when the terminal closes
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), "drain GREEN: done") {
		t.Errorf("%v:\n%s", err, said.String())
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o700); err != nil {
		t.Fatal(err)
	}
}

// A read-only console asks nothing of a run: its runner would do it.
func TestReadOnlyAsksNothingOfARun(t *testing.T) {
	s := &session{readOnly: new(atomic.Bool)}
	s.readOnly.Store(true)
	b := &backend{s: s}
	if err := b.Ask(t.Context(), "r1", ops.AskRollback); !errors.Is(err, ops.ErrReadOnly) {
		t.Errorf("asked: %v", err)
	}
	if err := b.Note(t.Context(), "r1", "what is seen"); !errors.Is(err, ops.ErrReadOnly) {
		t.Errorf("noted: %v", err)
	}
}
