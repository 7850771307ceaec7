package command

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lb/lbtest"
)

// balancer keeps each side's words in a file beside it.
const balancer = `cd "$(dirname "$0")"
side=${2#--side=}
case $1 in
status) cat "$side" ;;
drain) echo "drain $side" >>log; echo draining >"$side" ;;
ready) echo "ready $side" >>log; echo in-service >"$side" ;;
hang) sleep 3600 ;;
*) echo "no such act: $1" >&2; exit 3 ;;
esac
`

func write(t *testing.T, dir string, side ops.Side, words string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, string(side)), []byte(words), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func open(t *testing.T, change func(*Config)) (*Client, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "lb.sh", balancer)
	program := filepath.Join(dir, "lb.sh")
	for _, side := range ops.Sides {
		write(t, dir, side, "in-service\n")
	}
	conf := Config{Status: []string{"sh", program, "status", "--side={{side}}"}, Drain: []string{"sh", program, "drain", "{{side}}"},
		PutBack: []string{"sh", program, "ready", "{{side}}"}}
	change(&conf)
	c, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	c.poll = 10 * time.Millisecond
	return c, dir
}

func TestContract(t *testing.T) {
	lbtest.Run(t, func(t *testing.T) lbtest.Fixture {
		var readOnly atomic.Bool
		fence := new(lbtest.Fence)
		c, dir := open(t, func(conf *Config) { conf.ReadOnly, conf.Fence = readOnly.Load, fence.Ask })
		return lbtest.Fixture{
			Kind: "command", Balancer: c, ReadOnly: readOnly.Store, Fence: fence,
			SetSessions: func(side ops.Side, n int) {
				word := strings.Fields(read(t, dir, string(side)))[0]
				write(t, dir, side, word+" "+strconv.Itoa(n)+"\n")
				if n > 0 { // a drain keeps the sessions that there are
					c.conf.Drain = []string{"cp", filepath.Join(dir, "drained"), filepath.Join(dir, "{{side}}")}
					write(t, dir, "drained", "draining "+strconv.Itoa(n)+"\n")
				}
			},
			Exact:   func(side ops.Side) string { return read(t, dir, string(side)) },
			Changes: func() int { return strings.Count(read(t, dir, "log"), "\n") },
		}
	})
}

func TestStatusWords(t *testing.T) {
	five := 5
	for _, test := range []struct {
		printed  string
		want     ops.Traffic // empty: an error
		sessions *int
	}{
		{"in-service\n", ops.InService, nil},
		{"draining 5", ops.Draining, &five},
		{"  out\n", ops.Out, nil},
		{"down", ops.Down, nil},
		{"unknown", ops.Unknown, nil},
		{"", "", nil},
		{"ready", "", nil},
		{"In-Service", "", nil},
		{"draining five", "", nil},
		{"draining -1", "", nil},
		{"draining 5 sessions", "", nil},
		{"<html>" + strings.Repeat("x", 1<<20), "", nil},
	} {
		t.Run(test.printed[:min(len(test.printed), 20)], func(t *testing.T) {
			c, dir := open(t, func(*Config) {})
			write(t, dir, ops.Green, test.printed)
			status, err := c.Status(t.Context())
			if test.want == "" {
				var p *ops.Problem
				if !errors.As(err, &p) || p.Side != ops.Green || p.Hint == "" || len(p.Error()) > 500 {
					t.Errorf("Status = %+v, %v, want a short problem of green with a hint", status.Green, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := status.Green
			if got.Traffic != test.want || (got.Sessions == nil) != (test.sessions == nil) || got.Sessions != nil && *got.Sessions != *test.sessions {
				t.Errorf("green is %+v", got)
			}
		})
	}
}

func TestCommandsThatDoNotWork(t *testing.T) {
	dir := t.TempDir()
	plain, script := filepath.Join(dir, "plain"), filepath.Join(dir, "lb.sh")
	write(t, dir, "plain", "not a program\n")
	write(t, dir, "lb.sh", balancer)
	for _, test := range []struct {
		name   string
		status []string
		err    error
		text   string
	}{
		{"no such program", []string{"./nowhere", "status"}, os.ErrNotExist, "nowhere"},
		{"not executable", []string{plain}, ops.ErrNotPermitted, "permission denied"},
		{"exits with its reason", []string{"sh", script, "dance", "{{side}}"}, nil, "exit status 3: no such act: dance"},
		{"never ends", []string{"sh", script, "hang", "{{side}}"}, context.DeadlineExceeded, "no end after"},
		{"no shell reads it", []string{"echo", "out; in-service $(date)"}, nil, "unexpected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := open(t, func(conf *Config) { conf.Status = test.status })
			c.deadline = 5 * time.Second
			if test.err == context.DeadlineExceeded {
				c.deadline = 300 * time.Millisecond
			}
			_, err := c.Status(t.Context())
			var p *ops.Problem
			if !errors.As(err, &p) || p.Hint == "" {
				t.Fatalf("error is %v, want a problem with a hint", err)
			}
			if test.err != nil && !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error is %v, want %v with %q", err, test.err, test.text)
			}
		})
	}
}

// put_back ran, and the side does not come: the error says what the balancer says.
func TestPutBackThatDoesNotHelp(t *testing.T) {
	c, dir := open(t, func(conf *Config) { conf.PutBack = []string{"true", "{{side}}"} })
	write(t, dir, ops.Green, "down\n")
	ctx, cancel := context.WithCancel(t.Context())
	err := c.PutBack(ctx, ops.Green, nil, func(text string) {
		if text == "green is down" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "put_back was run, the balancer says down") {
		t.Errorf("error is %v", err)
	}
	if err := c.Restore(t.Context(), ops.Green, json.RawMessage(`{}`), func(string) {}); err == nil {
		t.Error("an empty record was restored")
	}
}
