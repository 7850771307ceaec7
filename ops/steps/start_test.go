package steps

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

const (
	emptied = "backup backup:1 exited no"
	started = emptied + "\ntcs-1 tcs:2 running always\ntcs-2 tcs:2 running always"
	idled   = emptied + "\ntcs-1 tcs:2 created always\ntcs-2 tcs:2 created always"
	// What compose calls them.
	composed     = "backup backup:1 exited no\np-tcs-1 tcs:2 running always\np-tcs-2 tcs:2 running always"
	composedIdle = "backup backup:1 exited no\np-tcs-1 tcs:2 created always\np-tcs-2 tcs:2 created always"
)

func accepting(env ops.Env, guards ...string) ops.Env {
	env.Accepted = func(guard string, _ ...string) bool { return slices.Contains(guards, guard) }
	return env
}

// put adds a container that looks as if the step had made it.
func put(w *world, name, state string) *ops.Container {
	c := &ops.Container{ID: "new" + name, Name: name, State: state, Health: "healthy", Image: "tcs:2", ImageID: "sha256:old000000000", Policy: "always"}
	if state == "running" {
		_ = begin(c)
		c.Health = "healthy"
	}
	w.hosts[ops.Green].engine.containers = append(w.hosts[ops.Green].engine.containers, c)
	return c
}

func TestStartThroughTheEngine(t *testing.T) {
	table := []struct {
		name    string
		before  func(*world, *Start)
		verdict ops.Verdict
		err     string
		calls   []string
		after   string
	}{
		{"all gone", nil, ops.Ready, "", []string{"create tcs-1 tcs:2", "start tcs-1", "create tcs-2 tcs:2", "start tcs-2"}, started},
		{"one runs already", func(w *world, _ *Start) { put(w, "tcs-1", "running") }, ops.Ready, "", []string{"create tcs-2 tcs:2", "start tcs-2"}, started},
		{"all run already", func(w *world, _ *Start) { put(w, "tcs-1", "running"); put(w, "tcs-2", "running") }, ops.AlreadyDone, "", nil, started},
		{"one was never started", func(w *world, _ *Start) { put(w, "tcs-1", "created"); put(w, "tcs-2", "running") }, ops.Ready, "", []string{"remove tcs-1", "create tcs-1 tcs:2", "start tcs-1"}, started},
		{"one has ended", func(w *world, _ *Start) { put(w, "tcs-1", "exited"); put(w, "tcs-2", "running") }, ops.Ready, "", []string{"start tcs-1"}, started},
		{"one without its policy", func(w *world, _ *Start) { put(w, "tcs-1", "running").Policy = "no"; put(w, "tcs-2", "running") }, ops.Ready, "", []string{"policy always tcs-1"}, started},
		{"idle", func(_ *world, s *Start) { s.Idle = true }, ops.Ready, "", []string{"create tcs-1 tcs:2", "create tcs-2 tcs:2"}, idled},
		{"idle, and one was run meanwhile", func(w *world, s *Start) { s.Idle = true; put(w, "tcs-1", "exited") }, ops.Ready, "", []string{"create tcs-2 tcs:2"},
			emptied + "\ntcs-1 tcs:2 exited always\ntcs-2 tcs:2 created always"},
		{"an old one is still there", func(w *world, s *Start) { put(w, "tcs-1", "exited").ID = s.Containers[0].ID }, ops.Blocked, "the old container tcs-1 was not removed", nil,
			emptied + "\ntcs-1 tcs:2 exited always"},
		{"never recorded", func(w *world, s *Start) { s.From = "nothing" }, ops.Blocked, "tcs-1 was never recorded", nil, emptied},
		{"never healthy", func(w *world, _ *Start) { w.hosts[ops.Green].engine.sick["sha256:old000000000"] = true }, ops.Ready, "deadline passed after 1 min; last seen: tcs: starting",
			[]string{"create tcs-1 tcs:2", "start tcs-1", "create tcs-2 tcs:2", "start tcs-2"}, started},
		{"image gone", func(w *world, _ *Start) { w.hosts[ops.Green].engine.images = nil }, ops.Ready, `creating tcs-1 from tcs:2: no image "tcs:2"`, nil, emptied},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				s := startOf(t, w, ops.StartAPI)
				if test.before != nil {
					test.before(w, &s)
				}
				verdict, err := carryOut(t, s, w.envOf("start"))
				if test.err == "" {
					must(t, err)
				} else {
					wantErr(t, err, test.err)
				}
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantCalls(t, w, test.calls...)
				if shape := w.hosts[ops.Green].engine.shape(); shape != test.after {
					t.Errorf("containers\n%s\nwant\n%s", shape, test.after)
				}
				if err != nil {
					return
				}
				if verdict, err := carryOut(t, s, w.envOf("start")); verdict != ops.AlreadyDone || err != nil {
					t.Errorf("again: %s, %v", verdict, err)
				}
				must(t, s.Do(t.Context(), w.envOf("start")))
				wantCalls(t, w, test.calls...)
			})
		})
	}
}

func TestStartThroughCompose(t *testing.T) {
	up := "docker compose --project-name p --project-directory /opt/p -f /opt/p/docker-compose.yml -f /etc/p.yml --env-file /opt/p/.env up --no-deps --no-build "
	calls := []string{"compose creates p-tcs-1", "compose starts p-tcs-1", "compose creates p-tcs-2", "compose starts p-tcs-2", "policy always p-tcs-1", "policy always p-tcs-2"}
	table := []struct {
		name   string
		before func(*world, *Start, *tool)
		err    string
		calls  []string
		asked  string
		after  string
		said   string
	}{
		{"by other names", nil, "", calls, up + "-d --scale tcs=2 tcs", composed, "compose made p-tcs-1 in the place of tcs-1"},
		{"as root", func(_ *world, _ *Start, c *tool) { c.rooted = true }, "", calls, up + "-d --scale tcs=2 tcs", composed, "Container p-tcs-2  Started"},
		{"idle", func(_ *world, s *Start, _ *tool) { s.Idle = true }, "",
			[]string{"compose creates p-tcs-1", "compose creates p-tcs-2", "policy always p-tcs-1", "policy always p-tcs-2"}, up + "--no-start --scale tcs=2 tcs", composedIdle, ""},
		{"one with an anonymous volume", func(_ *world, s *Start, _ *tool) { s.Containers[1].Anonymous = []string{"v"} }, "",
			[]string{"create tcs-1 tcs:2", "start tcs-1", "create tcs-2 tcs:2", "start tcs-2"}, "", started, ""},
		{"another image in its files", func(_ *world, _ *Start, c *tool) { c.image = "tcs:1" }, "", calls, up + "-d --scale tcs=2 tcs",
			strings.ReplaceAll(composed, "tcs:2", "tcs:1"), "tcs-1 could not keep its image: it runs new000000000 (tcs:1), it ran old000000000 (tcs:2)"},
		{"it fails", func(_ *world, _ *Start, c *tool) { c.fails = "oh\nno such service: tcs\n" }, "docker compose ended with status 1: no such service: tcs", nil,
			up + "-d --scale tcs=2 tcs", emptied, "oh"},
		{"the service is not in its files", func(_ *world, _ *Start, c *tool) { c.empty = true }, "there is no container in the place of tcs-1", nil,
			up + "-d --scale tcs=2 tcs", emptied, ""},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				s, c := startOf(t, w, ops.StartCompose), newTool(w.hosts[ops.Green])
				if test.before != nil {
					test.before(w, &s, c)
				}
				_, err := carryOut(t, s, w.envOf("start"))
				if test.err == "" {
					must(t, err)
				} else {
					wantErr(t, err, test.err)
				}
				wantCalls(t, w, test.calls...)
				if test.asked != "" && !slices.Contains(c.asked, "/opt/p: "+test.asked) || test.asked == "" && c.asked != nil {
					t.Errorf("asked %q\nwant %q", c.asked, test.asked)
				}
				if shape := w.hosts[ops.Green].engine.shape(); shape != test.after {
					t.Errorf("containers\n%s\nwant\n%s", shape, test.after)
				}
				if test.said != "" && !slices.Contains(w.said, test.said) {
					t.Errorf("said %q", w.said)
				}
				if err != nil {
					return
				}
				if verdict, err := carryOut(t, s, w.envOf("start")); verdict != ops.AlreadyDone || err != nil {
					t.Errorf("again: %s, %v", verdict, err)
				}
				wantCalls(t, w, test.calls...)
			})
		})
	}
}

// At every call the runner may die: doing it again ends well, and so does taking it back.
func TestStartCutAnywhere(t *testing.T) {
	for _, test := range []struct {
		name string
		how  ops.StartWay
		idle bool
		done string
	}{
		{"engine", ops.StartAPI, false, started}, {"engine, idle", ops.StartAPI, true, idled},
		{"compose", ops.StartCompose, false, composed}, {"compose, idle", ops.StartCompose, true, composedIdle},
	} {
		t.Run(test.name, func(t *testing.T) {
			cutAnywhere(t, "start", func(t *testing.T, w *world) ops.Step {
				newTool(w.hosts[ops.Green])
				s := startOf(t, w, test.how)
				s.Idle = test.idle
				return s
			}, func(w *world) string { return w.hosts[ops.Green].engine.shape() }, test.done, emptied)
		})
	}
}

func TestStartUndoneBeforeItWasBegun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := startOf(t, w, ops.StartAPI)
		put(w, "tcs-1", "running")
		if err := s.Undo(t.Context(), w.envOf("start")); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo before do: %v", err)
		}
		wantCalls(t, w)
	})
}

// A service that does not get ready stops the run with its last lines. Tried again it gets
// its whole time; skipped it gets what is left of it, which is one look.
func TestStartNotReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := startOf(t, w, ops.StartAPI)
		w.hosts[ops.Green].engine.sick["sha256:old000000000"] = true
		for range 2 {
			begun := time.Now()
			_, err := carryOut(t, s, w.envOf("start"))
			wantErr(t, err, "waiting for tcs to be ready: deadline passed")
			var p *ops.Problem
			if !errors.As(err, &p) || !strings.Contains(p.Hint, "resume --accept services-ready") || !strings.Contains(p.Hint, "roll back") {
				t.Errorf("hint %+v", p)
			}
			if took := time.Since(begun); took != time.Minute {
				t.Errorf("took %s", took)
			}
		}
		lines := slices.DeleteFunc(slices.Clone(w.said), func(s string) bool { return !strings.HasPrefix(s, "tcs-2 | ") })
		if len(lines) != 40 || lines[19] != "tcs-2 | line 20 of tcs-2" {
			t.Errorf("log lines %q", lines)
		}
		begun := time.Now()
		_, err := carryOut(t, s, accepting(w.envOf("start"), GuardServicesReady))
		must(t, err)
		if took := time.Since(begun); took != 0 {
			t.Errorf("the skip took %s", took)
		}
		if last := w.said[len(w.said)-1]; !strings.HasSuffix(last, "it is starting: accepted") {
			t.Errorf("said %q", last)
		}
	})
}

// What was accepted is a service that is not ready, not a host that cannot be reached.
func TestStartUnreachable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := startOf(t, w, ops.StartAPI)
		w.hosts[ops.Green].engine.sick["sha256:old000000000"] = true
		w.hosts[ops.Green].cut(10*time.Second, 5*time.Minute)
		err := s.Do(t.Context(), accepting(w.envOf("start"), GuardServicesReady))
		if !errors.Is(err, ops.ErrUnreachable) {
			t.Errorf("error %v", err)
		}
	})
}

func TestStartSaysWhatIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := startOf(t, w, ops.StartAPI)
		w.hosts[ops.Green].engine.lost = map[string][]string{"tcs-2": {"its MAC address"}}
		_, err := carryOut(t, s, w.envOf("start"))
		must(t, err)
		var lost []string
		if _, err := w.envOf("start").Log.Recall("lost tcs-2", &lost); err != nil || !slices.Equal(lost, []string{"its MAC address"}) {
			t.Errorf("recorded %q, %v", lost, err)
		}
		if !slices.Contains(w.said, "tcs-2 could not keep its MAC address") {
			t.Errorf("said %q", w.said)
		}
	})
}

func TestStartEffects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := startOf(t, newWorld(), ops.StartCompose)
		s.Containers = s.Containers[:1]
		s.Compose = Compose{Command: []string{"docker-compose"}, Project: "p", Directory: "/opt/p", Service: "tcs"}
		want := []string{
			"cd /opt/p && flock . docker-compose --project-name p --project-directory /opt/p up --no-deps --no-build -d tcs",
			"wait until tcs is ready, 1 min at most",
		}
		if diff := cmp.Diff(want, s.Effects()); diff != "" {
			t.Errorf("by compose: %s", diff)
		}
		s.Containers[0].Anonymous = []string{"a", "b"}
		s.Idle = true
		if diff := cmp.Diff([]string{"create tcs-1 as recorded, with its 2 anonymous volumes"}, s.Effects()); diff != "" {
			t.Errorf("through the engine: %s", diff)
		}
	})
}

func TestLines(t *testing.T) {
	var got []string
	l := lines{each: func(line string) { got = append(got, line) }}
	for _, part := range []string{"Pul", "ling a\rPulling b\r\n\n", "Traceback (most recent call last):\n  File x\nKeyError: 'ContainerConfig'\n[7] Failed to execute script docker-compose\n"} {
		_, _ = l.Write([]byte(part))
	}
	l.end()
	if diff := cmp.Diff([]string{"Pulling a", "Pulling b"}, got); diff != "" || l.last != "KeyError: 'ContainerConfig'" || l.denied {
		t.Errorf("%s, last %q, denied %v", diff, l.last, l.denied)
	}
}

// Compose that never ends is not a host that cannot be reached.
func TestComposeThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		s := startOf(t, w, ops.StartCompose)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hung := hanging{w.hosts[ops.Green]}
		err := s.Compose.run(ctx, hung, "/", []string{"docker", "compose", "up"}, nil, time.Minute, func(string) {})
		wantErr(t, err, "docker compose: deadline passed after 1 min")
		if errors.Is(err, ops.ErrUnreachable) {
			t.Errorf("%v is unreachable", err)
		}
	})
}

type hanging struct{ *host }

func (hanging) Exec(ctx context.Context, _ ops.Command) ([]byte, error) {
	<-ctx.Done()
	return nil, errors.Join(ops.ErrUnreachable, ctx.Err())
}
