package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

// jobOf is a job that ran before and will end with an exit code.
func jobOf(w *world, exit int) (Job, *ops.Container) {
	e := w.hosts[ops.Green].engine
	c := &ops.Container{ID: "etl1", Name: "p-etl-1", State: "exited", StartedAt: time.Now().Add(-time.Hour), FinishedAt: time.Now().Add(-time.Minute)}
	e.containers, e.ends = append(e.containers, c), map[string]int{"p-etl-1": exit}
	return Job{Side: ops.Green, Job: "etl", Run: "r1", Container: Was{Name: c.Name, ID: c.ID, StartedAt: c.StartedAt}, Within: time.Minute}, c
}

func TestJob(t *testing.T) {
	table := []struct {
		name   string
		exit   int
		before func(*world, *Job, *ops.Container)
		calls  []string
		said   []string
		err    string
		over   bool
	}{
		{"started again", 0, nil, []string{"start p-etl-1"}, []string{"p-etl-1 started", "completed", "p-etl-1 ended with exit code 0 after 1 min"}, "", false},
		{"fails", 3, nil, []string{"start p-etl-1"}, []string{"p-etl-1 started", "completed"}, "green: running etl: it ended with exit code 3 after 1 min", true},
		{"out of memory", 137, func(_ *world, _ *Job, c *ops.Container) { c.OOMKilled = true }, []string{"start p-etl-1"}, []string{"p-etl-1 started", "completed"},
			"exit code 137 after 1 min, killed: out of memory", true},
		{"somebody else has started it", 0, func(_ *world, _ *Job, c *ops.Container) { must(t, begin(c)) }, nil, nil, "and was not started by this run", false},
		{"gone", 0, func(w *world, _ *Job, _ *ops.Container) { w.hosts[ops.Green].engine.containers = nil }, nil, nil, "container p-etl-1 is gone", false},
		{"made by compose", 0, func(w *world, j *Job, _ *ops.Container) {
			newTool(w.hosts[ops.Green])
			w.hosts[ops.Green].engine.containers = nil
			j.Container, j.Compose = Was{}, Compose{Command: []string{"docker", "compose"}, Project: "p", Directory: "/opt/p", Service: "etl"}
		}, []string{"compose creates p-etl-1", "compose starts p-etl-1"},
			[]string{"Container p-etl-1  Started", "p-etl-1 started", "completed", "p-etl-1 ended with exit code 0 after 1 min"}, "", false},
		{"compose does not know it", 0, func(w *world, j *Job, _ *ops.Container) {
			newTool(w.hosts[ops.Green]).fails = "no such service: etl\n"
			w.hosts[ops.Green].engine.containers = nil
			j.Container, j.Compose = Was{}, Compose{Command: []string{"docker", "compose"}, Project: "p", Directory: "/opt/p", Service: "etl"}
		}, nil, []string{"no such service: etl"}, "docker compose ended with status 1: no such service: etl", false},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				j, c := jobOf(w, test.exit)
				if test.before != nil {
					test.before(w, &j, c)
				}
				_, err := carryOut(t, j, w.env())
				if test.err == "" {
					must(t, err)
				} else {
					wantErr(t, err, test.err)
				}
				if errors.Is(err, ops.ErrOver) != test.over {
					t.Errorf("over: %v", !test.over)
				}
				if !slices.Equal(w.calls, test.calls) || !slices.Equal(w.said, test.said) {
					t.Errorf("calls %q, said %q", w.calls, w.said)
				}
			})
		})
	}
}

// A runner that dies at any moment is followed by one that attaches: the job starts once.
func TestJobCutAnywhere(t *testing.T) {
	for n, more := 1, true; more; n++ {
		bubble(t, func(t *testing.T) {
			w := newWorld()
			j, c := jobOf(w, 0)
			died, err := w.dieIn(t.Context(), n, func(ctx context.Context) error { return j.Do(ctx, w.env()) })
			if more = died; !died {
				must(t, err)
			}
			_, err = carryOut(t, j, w.env())
			must(t, err)
			if !slices.Equal(w.calls, []string{"start p-etl-1"}) || c.State != "exited" {
				t.Errorf("cut at call %d: calls %q, %s", n, w.calls, c.State)
			}
		})
	}
}

func TestJobNotRunning(t *testing.T) {
	at := time.Date(2025, 6, 6, 14, 0, 0, 0, time.UTC)
	was := Was{ID: "e", StartedAt: at.Add(-time.Hour)}
	running := func(since time.Time) []ops.JobState {
		return []ops.JobState{{Name: "other", Running: true, Container: []ops.Container{{ID: "o", State: "running"}}},
			{Name: "etl", Running: true, Container: []ops.Container{{ID: "e", State: "running", StartedAt: since}}}}
	}
	ours := func(s *ops.Snapshot) {
		s.Green.Jobs, s.Green.Lock = running(at), &ops.LockInfo{Run: "r1"}
	}
	silent := &ops.Problem{Doing: "reading", Err: ops.ErrUnreachable}
	for _, test := range []struct {
		name   string
		change func(*ops.Snapshot)
		want   ops.CheckState
		text   string
	}{
		{"on neither", func(*ops.Snapshot) {}, ops.Pass, "etl runs on neither side"},
		{"here", func(s *ops.Snapshot) { s.Green.Jobs = running(at) }, ops.Fail, "etl runs on GREEN since 2025-06-06 14:00:00Z"},
		{"on the peer", func(s *ops.Snapshot) { s.Blue.Jobs = running(at) }, ops.Fail, "etl runs on BLUE"},
		{"started by this run", ours, ops.Remark, "started by this run"},
		{"started by this run, the peer silent", func(s *ops.Snapshot) { ours(s); s.Blue.Engine.Err = silent }, ops.Remark, "started by this run"},
		{"since before this run", func(s *ops.Snapshot) { ours(s); s.Green.Jobs = running(was.StartedAt) }, ops.Fail, "etl runs on GREEN"},
		{"under another run", func(s *ops.Snapshot) { ours(s); s.Green.Lock.Run = "r2" }, ops.Fail, "etl runs on GREEN"},
		{"by this run and on the peer", func(s *ops.Snapshot) { ours(s); s.Blue.Jobs = running(at) }, ops.Fail, "etl runs on BLUE"},
		{"the peer silent", func(s *ops.Snapshot) { s.Blue.Engine.Err = silent }, ops.NotKnown, "whether etl runs there is not known"},
		{"the peer not read", func(s *ops.Snapshot) { s.Blue.Engine.At = time.Time{} }, ops.NotKnown, "whether etl runs there is not known"},
		{"the peer silent, here it runs", func(s *ops.Snapshot) { s.Blue.Engine.Err, s.Green.Jobs = silent, running(at) }, ops.Fail, "etl runs on GREEN"},
	} {
		snap := ops.Snapshot{At: at, Pair: ops.Pair{Limits: ops.DefaultLimits()}}
		snap.Blue.Engine.At, snap.Green.Engine.At = at, at
		test.change(&snap)
		if c := JobNotRunning(ops.Green, "etl", "r1", was).Eval(&snap, at); c.State != test.want || !strings.Contains(c.Text, test.text) {
			t.Errorf("%s: %s %s", test.name, c.State, c.Text)
		}
	}
}

// What a job writes without end is cut to its beginning, a line now and then, and its end.
func TestRelay(t *testing.T) {
	var said []string
	now := time.Now()
	r := relay{say: func(text string) { said = append(said, text) }, now: func() time.Time { return now }}
	for n := range 1000 {
		r.line(fmt.Sprintf("line %d", n+1))
		if now = now.Add(10 * time.Millisecond); n == 500 {
			now = now.Add(relayEvery)
		}
	}
	r.end()
	want := []string{"line 1", "line 200", "(301 lines left out)", "line 502", "(478 lines left out)", "line 981", "line 1000"}
	got := []string{said[0], said[199], said[200], said[201], said[202], said[203], said[len(said)-1]}
	if !slices.Equal(got, want) || len(said) != 200+2+1+logLines {
		t.Errorf("%d lines: %q", len(said), got)
	}
}
