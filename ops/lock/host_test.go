package lock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/ops"
)

// machine is an ops.Host whose commands run for real on this machine. Each side has its
// own base directory, which takes the place of the one in the arguments.
type machine struct {
	ops.Host // what the lock must not use: nil
	side     ops.Side
	dir      string

	mu       sync.Mutex
	down     bool
	lose     int // answers that are lost after the command ran
	commands []ops.Command
}

const testBase = "/base"

func newPair(t *testing.T) (blue, green *machine, hosts map[ops.Side]ops.Host) {
	t.Helper()
	blue = &machine{side: ops.Blue, dir: filepath.Join(t.TempDir(), "tandem")}
	green = &machine{side: ops.Green, dir: filepath.Join(t.TempDir(), "tandem")}
	return blue, green, map[ops.Side]ops.Host{ops.Blue: blue, ops.Green: green}
}

func newLock(t *testing.T, hosts map[ops.Side]ops.Host) *Lock {
	t.Helper()
	l := New(hosts, Options{Base: testBase, Beat: 20 * time.Millisecond})
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

func (m *machine) Side() ops.Side  { return m.side }
func (m *machine) Address() string { return string(m.side) }

func (m *machine) Link() (ops.Link, *ops.Problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return ops.LinkDown, &ops.Problem{Doing: "connecting", Side: m.side, Err: ops.ErrUnreachable}
	}
	return ops.LinkUp, nil
}

func (m *machine) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *machine) loseAnswers(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose = n
}

func (m *machine) Exec(ctx context.Context, c ops.Command) ([]byte, error) {
	if _, problem := m.Link(); problem != nil {
		return nil, problem
	}
	args := slices.Clone(c.Args)
	for i, arg := range args {
		if arg == testBase {
			args[i] = m.dir
		}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = c.Stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	m.mu.Lock()
	m.commands = append(m.commands, c)
	lost := m.lose > 0 && c.Mutates
	if lost {
		m.lose--
	}
	m.mu.Unlock()
	if lost {
		return nil, fmt.Errorf("the connection broke: %w", ops.ErrUnreachable)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, &ops.ExitError{Args: c.Args, Status: exit.ExitCode(), Stderr: stderr.String()}
	}
	return out, err
}

func (m *machine) ReadFile(_ context.Context, path string, _ bool) ([]byte, error) {
	if _, problem := m.Link(); problem != nil {
		return nil, problem
	}
	return os.ReadFile(m.path(path[len(testBase):]))
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// frozen is what a pipeline asks: test -d /var/lib/tandem/lock.
func (m *machine) frozen() bool {
	info, err := os.Stat(m.path("lock"))
	return err == nil && info.IsDir()
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// eventually waits for a state that the background brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
