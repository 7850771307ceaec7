package steps

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// carryOut does what the runner does with a step: check, do, verify.
func carryOut(t *testing.T, s ops.Step, env ops.Env) (ops.Verdict, error) {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = Decode(s.Kind(), data); err != nil {
		t.Fatal(err)
	}
	verdict, err := s.Check(t.Context(), env)
	if err != nil || verdict != ops.Ready {
		return verdict, err
	}
	if err := s.Do(t.Context(), env); err != nil {
		return verdict, err
	}
	return verdict, s.Verify(t.Context(), env)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

func wantCalls(t *testing.T, w *world, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func green() Drain { return Drain{Side: ops.Green, Within: time.Minute, Return: time.Minute} }

func TestDrain(t *testing.T) {
	n := func(n int) *int { return &n }
	table := []struct {
		name    string
		before  func(*world)
		verdict ops.Verdict
		err     string
		calls   []string
		after   ops.Traffic
		took    time.Duration
	}{
		{"sessions end", func(w *world) { w.balancer.sessions[ops.Green] = n(3) }, ops.Ready, "", []string{"drain green", "cut off green"}, ops.Out, 3 * time.Second},
		{"sessions stay until the deadline", func(w *world) { w.balancer.sessions[ops.Green], w.balancer.sticky = n(3), true }, ops.Ready, "", []string{"drain green", "cut off green"}, ops.Out, time.Minute},
		{"sessions not known", nil, ops.Ready, "", []string{"drain green", "cut off green"}, ops.Out, time.Minute},
		{"stays draining as ELBv2 does", func(w *world) { w.balancer.slow = true }, ops.Ready, "", []string{"drain green", "cut off green"}, ops.Draining, time.Minute},
		{"out by itself", func(w *world) {
			w.balancer.each = func(looks int) {
				if looks == 5 {
					w.balancer.traffic[ops.Green] = ops.Out
				}
			}
		}, ops.Ready, "", []string{"drain green"}, ops.Out, 2 * time.Second},
		{"out already", func(w *world) { w.balancer.traffic[ops.Green] = ops.Out }, ops.AlreadyDone, "", nil, ops.Out, 0},
		{"drain lost to a reload", func(w *world) {
			w.balancer.sessions[ops.Green] = n(9)
			w.balancer.each = func(looks int) {
				if looks == 5 {
					w.balancer.traffic[ops.Green] = ops.InService
				}
			}
		}, ops.Ready, "the drain was lost", []string{"drain green"}, ops.InService, 2 * time.Second},
		{"peer fails meanwhile", func(w *world) {
			w.balancer.sessions[ops.Green] = n(9)
			w.balancer.each = func(looks int) {
				if looks == 5 {
					w.balancer.traffic[ops.Blue] = ops.Down
				}
			}
		}, ops.Ready, "BLUE left service meanwhile (down): the sessions of GREEN are not cut off", []string{"drain green"}, ops.Draining, 2 * time.Second},
		{"peer left between guard and check", func(w *world) { w.balancer.traffic[ops.Blue] = ops.Down }, ops.Blocked, "BLUE is not in service any more (down)", nil, ops.InService, 0},
		{"peer left between check and act", func(w *world) {
			w.balancer.each = func(looks int) {
				if looks == 2 {
					w.balancer.traffic[ops.Blue] = ops.Out
				}
			}
		}, ops.Ready, "BLUE is not in service any more (out)", nil, ops.InService, 0},
		{"peer not known to serve when sessions have ended", func(w *world) {
			w.balancer.sessions[ops.Green] = n(1)
			w.balancer.each = func(looks int) {
				if looks == 3 {
					w.balancer.traffic[ops.Blue] = ops.Unknown
				}
			}
		}, ops.Ready, "it is not known whether BLUE serves: the sessions of GREEN are not cut off", []string{"drain green"}, ops.Draining, time.Minute},
		{"balancer silent for a while", func(w *world) {
			w.balancer.sessions[ops.Green] = n(2)
			w.balancer.silent = func(looks int) error {
				if looks > 3 && looks < 8 {
					return ops.ErrThrottled
				}
				return nil
			}
		}, ops.Ready, "", []string{"drain green", "cut off green"}, ops.Out, 6 * time.Second},
		{"balancer silent at the start", func(w *world) { w.balancer.silent = func(int) error { return ops.ErrUnreachable } }, ops.Blocked, "unreachable", nil, ops.InService, 0},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				if test.before != nil {
					test.before(w)
				}
				begun := time.Now()
				verdict, err := carryOut(t, green(), w.env())
				if test.err != "" {
					wantErr(t, err, test.err)
				} else if err != nil {
					t.Fatal(err)
				}
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantCalls(t, w, test.calls...)
				if w.balancer.traffic[ops.Green] != test.after {
					t.Errorf("traffic %s, want %s", w.balancer.traffic[ops.Green], test.after)
				}
				if took := time.Since(begun); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
			})
		})
	}
}

func TestDrainTwiceAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		env := w.env()
		if err := green().Undo(t.Context(), env); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo before do: %v", err)
		}
		must(t, green().Do(t.Context(), env))
		must(t, green().Do(t.Context(), env))
		must(t, green().Undo(t.Context(), env))
		if w.balancer.traffic[ops.Green] != ops.InService {
			t.Errorf("traffic %s after undo", w.balancer.traffic[ops.Green])
		}
		must(t, green().Undo(t.Context(), env))
	})
}

// A run resumed while the side drains gives the sessions the rest of their time only.
func TestDrainResumedKeepsItsDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		n := 3
		w.balancer.sessions[ops.Green], w.balancer.sticky = &n, true
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if err := green().Do(ctx, w.env()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("first try: %v", err)
		}
		resumed := time.Now()
		must(t, green().Do(t.Context(), w.env()))
		if took := time.Since(resumed); took != 20*time.Second {
			t.Errorf("the resumed drain took %s, want the 20 s that were left", took)
		}
	})
}

func TestPutBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		w.balancer.traffic[ops.Green] = ops.Out
		env := w.env()
		env.Recorded = func(step, key string, value any) (bool, error) {
			if step != "02-drain" || key != "prior" {
				t.Errorf("asked for %s of %s", key, step)
			}
			return true, json.Unmarshal([]byte(`"in-service"`), value)
		}
		step := PutBack{Side: ops.Green, Within: time.Minute, Drain: time.Minute, From: "02-drain"}
		if err := step.Undo(t.Context(), env); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo before do: %v", err)
		}
		verdict, err := carryOut(t, step, env)
		must(t, err)
		if verdict != ops.Ready {
			t.Errorf("verdict %s", verdict)
		}
		if verdict, err := carryOut(t, step, env); verdict != ops.AlreadyDone || err != nil {
			t.Errorf("second time: %s, %v", verdict, err)
		}
		must(t, step.Undo(t.Context(), env))
		wantCalls(t, w, `put back green "in-service"`, "drain green", "cut off green", `restore green "out"`)
		if err := step.Verify(t.Context(), env); err == nil {
			t.Error("verify passes on a side that is out")
		}
	})
}

func TestLock(t *testing.T) {
	w := newWorld()
	env := w.env()
	lock, unlock := Lock{Side: ops.Green, Run: "r1"}, Unlock{Run: "r1"}
	for i, want := range []ops.Verdict{ops.Ready, ops.AlreadyDone} {
		if verdict, err := carryOut(t, lock, env); verdict != want || err != nil {
			t.Errorf("lock %d: %s, %v", i, verdict, err)
		}
	}
	for i, want := range []ops.Verdict{ops.Ready, ops.AlreadyDone} {
		if verdict, err := carryOut(t, unlock, env); verdict != want || err != nil {
			t.Errorf("unlock %d: %s, %v", i, verdict, err)
		}
	}
	must(t, unlock.Undo(t.Context(), env))
	if w.lock.held[ops.Blue] == nil {
		t.Error("undoing the unlock did not take the lock")
	}
	must(t, lock.Undo(t.Context(), env))
	if w.lock.held[ops.Blue] != nil || w.lock.held[ops.Green] != nil {
		t.Error("undoing the lock did not release it")
	}

	w.lock.held[ops.Green] = &ops.LockInfo{Run: "other", By: "sam", From: "desk", Op: ops.OpRestart}
	_, err := carryOut(t, lock, env)
	wantErr(t, err, "locked by sam at desk for restart")
	var held *ops.HeldError
	if !errors.As(err, &held) {
		t.Errorf("%v is no HeldError", err)
	}
}

func TestLockWithoutAHost(t *testing.T) {
	w := newWorld()
	w.lock.missing = []ops.Side{ops.Blue}
	env := w.env()
	_, err := carryOut(t, Lock{Side: ops.Green, Run: "r1"}, env)
	wantErr(t, err, "unreachable")
	_, err = carryOut(t, Lock{Side: ops.Blue, Run: "r1", AllowMissing: []ops.Side{ops.Green}}, env)
	wantErr(t, err, "blue: taking the lock: unreachable")

	_, err = carryOut(t, Lock{Side: ops.Green, Run: "r1", AllowMissing: []ops.Side{ops.Blue}}, env)
	must(t, err)
	_, err = carryOut(t, Lock{Side: ops.Green, Run: "r1", Alone: true}, env)
	must(t, err)
	_, err = carryOut(t, Unlock{Run: "r1"}, env)
	wantErr(t, err, "unreachable")
	if w.lock.held[ops.Green] == nil {
		t.Error("the lock was released on one host, while the other has to answer")
	}
	_, err = carryOut(t, Unlock{Run: "r1", AllowMissing: []ops.Side{ops.Blue}}, env)
	must(t, err)
}

// two is a service of two containers on green.
func two(w *world, health string) (ops.Service, []Was) {
	var was []Was
	for _, name := range []string{"tcs-1", "tcs-2"} {
		c := &ops.Container{
			ID: "id" + name + "xxxxxxxx", Name: name, State: "running", Health: health, Image: "tcs:2", ImageID: "sha256:old000000000",
			StartedAt: time.Now().Add(-time.Hour), Policy: "always",
		}
		w.hosts[ops.Green].engine.containers = append(w.hosts[ops.Green].engine.containers, c)
		was = append(was, Was{Name: name, ID: c.ID, StartedAt: c.StartedAt, Image: c.Image, ImageID: c.ImageID})
	}
	return ops.Service{Name: "tcs"}, was
}

func restartOf(w *world, health string) Restart {
	svc, was := two(w, health)
	return Restart{Side: ops.Green, Service: svc, Containers: was, Stop: 10 * time.Second, Within: time.Minute, Out: true}
}

func TestRestart(t *testing.T) {
	table := []struct {
		name    string
		before  func(*world, *Restart)
		verdict ops.Verdict
		err     string
		calls   []string
	}{
		{"in number order, each waited for", nil, ops.Ready, "", []string{"restart tcs-1", "restart tcs-2"}},
		{"one was done before a crash", func(w *world, _ *Restart) { _ = begin(w.hosts[ops.Green].engine.byName("tcs-1")) }, ops.Ready, "", []string{"restart tcs-2"}},
		{"all were done", func(w *world, _ *Restart) {
			for _, c := range w.hosts[ops.Green].engine.containers {
				c.StartedAt = time.Now()
			}
		}, ops.AlreadyDone, "", nil},
		{"done, still starting", func(w *world, _ *Restart) {
			for _, c := range w.hosts[ops.Green].engine.containers {
				_ = begin(c)
			}
		}, ops.Ready, "", nil},
		{"replaced meanwhile, found by name", func(w *world, _ *Restart) {
			c := w.hosts[ops.Green].engine.byName("tcs-1")
			c.ID, c.StartedAt = "other", time.Now()
		}, ops.Ready, "", []string{"restart tcs-2"}},
		{"one was exited", func(w *world, _ *Restart) { w.hosts[ops.Green].engine.byName("tcs-2").State = "exited" }, ops.Ready, "", []string{"restart tcs-1", "restart tcs-2"}},
		{"one is gone", func(w *world, _ *Restart) {
			w.hosts[ops.Green].engine.containers = w.hosts[ops.Green].engine.containers[:1]
		}, ops.Blocked, "container tcs-2 is gone", nil},
		{"never gets healthy", func(w *world, _ *Restart) { w.hosts[ops.Green].engine.sick["sha256:old000000000"] = true }, ops.Ready, "deadline passed after 1 min; last seen: tcs-1: starting", []string{"restart tcs-1"}},
		{"http answers 503", func(w *world, r *Restart) {
			r.Service.Ready = ops.Readiness{Kind: ops.ReadyHTTP, URL: "http://x/"}
			w.hosts[ops.Green].http["http://x/"] = 503
		}, ops.Ready, "last seen: tcs: http 503", []string{"restart tcs-1", "restart tcs-2"}},
		{"http answers 302", func(w *world, r *Restart) {
			r.Service.Ready = ops.Readiness{Kind: ops.ReadyHTTP, URL: "http://x/"}
			w.hosts[ops.Green].http["http://x/"] = 302
		}, ops.Ready, "", []string{"restart tcs-1", "restart tcs-2"}},
		{"exec says no", func(w *world, r *Restart) {
			r.Service.Ready = ops.Readiness{Kind: ops.ReadyExec, Exec: []string{"/opt/up"}}
			w.hosts[ops.Green].exec = &ops.ExitError{Args: []string{"/opt/up"}, Status: 3}
		}, ops.Ready, "/opt/up: exit status 3", []string{"restart tcs-1", "restart tcs-2"}},
		{"engine cannot be reached", func(w *world, _ *Restart) { w.hosts[ops.Green].down = ops.ErrUnreachable }, ops.Blocked, "unreachable", nil},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				r := restartOf(w, "healthy")
				if test.before != nil {
					test.before(w, &r)
				}
				verdict, err := carryOut(t, r, w.env())
				if test.err != "" {
					wantErr(t, err, test.err)
				} else if err != nil {
					t.Fatal(err)
				}
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantCalls(t, w, test.calls...)
			})
		})
	}
}

func TestRestartTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		r := restartOf(w, "")
		must(t, r.Do(t.Context(), w.env()))
		must(t, r.Do(t.Context(), w.env()))
		wantCalls(t, w, "restart tcs-1", "restart tcs-2")
		if err := r.Undo(t.Context(), w.env()); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo: %v", err)
		}
		if !slices.Contains(w.said, "tcs: running, 1 s") && !slices.Contains(w.said, "tcs: running") {
			t.Errorf("said %q", w.said)
		}
	})
}

// A container without a health check that ends at once is not taken for ready.
func TestRunningForAnInstantIsNotReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		svc, was := two(w, "")
		c := w.hosts[ops.Green].engine.byName("tcs-2")
		w.hosts[ops.Green].engine.each = func(looks int) {
			if looks == 2 {
				c.State, c.ExitCode = "exited", 1
			}
		}
		err := waitReady(t.Context(), w.env(), ops.Green, svc, was, 10*time.Second)
		wantErr(t, err, "last seen: tcs: exited 1")
	})
}

func TestCanary(t *testing.T) {
	table := []struct {
		name   string
		before func(*host)
		err    string
	}{
		{"passes", nil, ""},
		{"arm", func(h *host) { h.machine = "aarch64" }, ""},
		{"leftovers are removed", func(h *host) {
			h.engine.containers = []*ops.Container{{ID: "l", Name: "tandem-canary-r0", State: "running", Labels: map[string]string{LabelCanary: "r0"}}}
			h.engine.images = append(h.engine.images, ops.Image{ID: "sha256:c", Tags: []string{"tandem-canary:r0"}})
		}, ""},
		{"cannot start", func(h *host) { h.engine.runErr = errors.New("OCI runtime create failed") }, "starting a new container: OCI runtime create failed"},
		{"ends with another code", func(h *host) { h.engine.exit = 139 }, "exit code 139 instead of 0"},
		{"unknown machine", func(h *host) { h.machine = "riscv64" }, `no canary for machine "riscv64"`},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				h := w.hosts[ops.Green]
				if test.before != nil {
					test.before(h)
				}
				_, err := carryOut(t, Canary{Side: ops.Green, Run: "r1:x"}, w.env())
				if test.err != "" {
					wantErr(t, err, test.err)
				} else if err != nil {
					t.Fatal(err)
				}
				if len(h.engine.containers) != 0 || len(h.engine.images) != 2 {
					t.Errorf("left: %d containers, images %v", len(h.engine.containers), h.engine.images)
				}
			})
		})
	}
}

func TestVerify(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		two(w, "healthy")
		e := w.hosts[ops.Green].engine
		must(t, begin(e.byName("tcs-1")))
		_, err := carryOut(t, Verify{Side: ops.Green, Within: time.Minute}, w.env())
		must(t, err)
		e.byName("tcs-2").State, e.byName("tcs-2").ExitCode = "exited", 1
		_, err = carryOut(t, Verify{Side: ops.Green, Within: time.Minute}, w.env())
		wantErr(t, err, "GREEN: 1 of 2 services ready; tcs-2 exited 1")
		_, err = carryOut(t, Verify{Side: ops.Green, Within: time.Minute, Unready: []string{"tcs-2"}}, w.env())
		must(t, err)
	})
}

func TestSoak(t *testing.T) {
	table := []struct {
		name   string
		before func(*balancer)
		err    string
	}{
		{"without a gap", nil, ""},
		{"a gap", func(b *balancer) {
			b.each = func(looks int) {
				if looks == 6 {
					b.traffic[ops.Green] = ops.Down
				}
			}
		}, "it is down"},
		{"silent for less than stale", func(b *balancer) {
			b.silent = func(looks int) error {
				if looks > 2 && looks < 6 {
					return ops.ErrThrottled
				}
				return nil
			}
		}, ""},
		{"silent for longer", func(b *balancer) {
			b.silent = func(looks int) error {
				if looks > 2 {
					return ops.ErrThrottled
				}
				return nil
			}
		}, "the balancer is silent for 16 s"},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				if test.before != nil {
					test.before(&w.balancer)
				}
				begun := time.Now()
				_, err := carryOut(t, Soak{Side: ops.Green, For: 15 * time.Second, Stale: 15 * time.Second}, w.env())
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				if took := time.Since(begun); took != 15*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestDecodeIsStrict(t *testing.T) {
	for _, test := range []struct{ kind, data, err string }{
		{"teleport", `{}`, `step "teleport" is not known`},
		{"drain", `{"Side":"green","Force":true}`, "unknown field"},
		{"drain", `{} {}`, "something follows"},
		{"drain", `[]`, "cannot unmarshal"},
	} {
		_, err := Decode(test.kind, []byte(test.data))
		wantErr(t, err, test.err)
	}
	for kind := range kinds {
		s, err := Decode(kind, []byte(`{"Side":"green"}`))
		if kind == KindUnlock {
			s, err = Decode(kind, []byte(`{"Run":"r1"}`))
		}
		if err != nil || s.Kind() != kind {
			t.Errorf("%s: %v, %v", kind, s, err)
		}
	}
}
