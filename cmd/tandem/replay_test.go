package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
)

// lonely is a pair whose hosts and balancer are all one listener that counts who calls, and a
// machine with the journal of one run.
type lonely struct {
	env   []string
	state string
	calls atomic.Int32
}

func newLonely(t *testing.T) *lonely {
	l := &lonely{state: t.TempDir()}
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.calls.Add(1)
			conn.Close()
		}
	}()
	config := filepath.Join(t.TempDir(), "tandem.yaml")
	text := fmt.Sprintf("pair: tis\nhosts:\n  blue: {ssh: ops@127.0.0.1:%[1]d}\n  green: {ssh: ops@127.0.0.2:%[1]d}\nbalancer:\n  kind: haproxy\n  haproxy: {socket: tcp://127.0.0.1:%[1]d, backends: [tis], servers: {blue: blue, green: green}}\n", listener.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = []string{"TANDEM_CONFIG=" + config, "XDG_STATE_HOME=" + l.state}
	return l
}

// run records a canary on GREEN of which the last events are left out.
func (l *lonely) run(t *testing.T, id string, lessEvents int) {
	j, err := journal.Create(filepath.Join(l.state, "tandem"), "tis", id)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	doc, err := json.Marshal(ops.PlanDoc{ID: id, Pair: "tis", Op: ops.OpCanary, Side: ops.Green, Title: "canary on GREEN", Steps: []ops.StepDoc{{ID: "01-canary", Kind: "canary", Title: "canary on GREEN", Side: ops.Green}}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 26, 14, 0, 0, 0, time.UTC)
	events := []ops.Event{
		{Kind: ops.EvStarted, Text: "ada@desk1", Data: doc}, {Kind: ops.EvIntent, Step: "01-canary"}, {Kind: ops.EvSay, Step: "01-canary", Text: "a container started on 127.0.0.1"},
		{Kind: ops.EvDone, Step: "01-canary"}, {Kind: ops.EvEnded, Text: string(ops.OutcomeDone)},
	}
	for i, e := range events[:len(events)-lessEvents] {
		e.At = at.Add(time.Duration(i) * time.Second)
		if _, err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplayAsksNobody: neither host nor balancer is called, on the screen or in lines.
func TestReplayAsksNobody(t *testing.T) {
	l := newLonely(t)
	l.run(t, "20261126-140000-aaaa", 0)
	cmd := self("replay", "aaaa")
	cmd.Env = append(os.Environ(), l.env...)
	out, err := cmd.CombinedOutput()
	const want = `14:00:00Z  run 20261126-140000-aaaa: canary on GREEN, by ada@desk1
14:00:01Z  canary on GREEN ...
14:00:02Z    a container started on 127.0.0.1
14:00:03Z  canary on GREEN: done in 2s
14:00:04Z  done in 4s
`
	if err != nil || string(out) != want {
		t.Errorf("%v:\n%s\nwant\n%s", err, out, want)
	}
	c := openTerminal(t, 120, 40, l.env, "replay", "--speed", "20")
	c.see("THE END", "done in 0:04", "canary passed")
	c.press("left")
	c.gone("THE END")
	c.press("q")
	if code := c.exited(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if n := l.calls.Load(); n > 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestReplayPresents: no name and no address leaves it in presenter mode, in lines neither.
func TestReplayPresents(t *testing.T) {
	l := newLonely(t)
	l.run(t, "20261126-140000-aaaa", 0)
	cmd := self("replay", "--present")
	cmd.Env = append(os.Environ(), l.env...)
	lines, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	c := openTerminal(t, 120, 40, l.env, "replay", "--present", "--speed", "20")
	c.see("THE END", "PRESENTING")
	c.press("q")
	c.exited()
	for what, text := range map[string]string{"lines": string(lines), "screen": string(c.output())} {
		for _, secret := range []string{"ada", "desk1", "127.0.0.1"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s in\n%s", what, secret, text)
			}
		}
		if !strings.Contains(text, "canary") {
			t.Errorf("%s: nothing in %q", what, text)
		}
	}
}

// TestReplayOfOneThatDied says how it ended, as following it does.
func TestReplayOfOneThatDied(t *testing.T) {
	l := newLonely(t)
	l.run(t, "20261126-140000-bbbb", 2)
	cmd := self("replay")
	cmd.Env = append(os.Environ(), l.env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "the process that carried out run 20261126-140000-bbbb is gone: stopped half-way; the pair is locked: tandem resume, or tandem rollback\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestFollowWithoutHosts: a run that is not of this machine may be under way where no host can be
// asked; one of this machine that is over needs none.
func TestFollowWithoutHosts(t *testing.T) {
	l := newLonely(t)
	l.run(t, "20261126-140000-aaaa", 0)
	for id, want := range map[string]struct {
		code int
		text string
	}{
		"1234": {exitNoLook, "blue:"},
		"aaaa": {exitUsage, "it is over: done in 4s\n  → see how it was: tandem replay 20261126-140000-aaaa\n"},
	} {
		cmd := self("--follow", id)
		cmd.Env = append(os.Environ(), l.env...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != want.code || !strings.Contains(string(out), want.text) {
			t.Errorf("%s: ended with %d: %s", id, cmd.ProcessState.ExitCode(), out)
		}
		if strings.Contains(string(out), "neither host has its mark") {
			t.Errorf("%s: claims to have seen the hosts: %s", id, out)
		}
	}
}
