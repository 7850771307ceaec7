package steps

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

const rebootID = "06-reboot"

func rebootOf(t *testing.T, w *world) Reboot {
	t.Helper()
	s := stopOf(t, w)
	must(t, s.Do(t.Context(), w.envOf(stopID)))
	w.calls, w.acts = nil, 0
	return Reboot{Side: ops.Green, Within: 5 * time.Minute, Quiet: []string{"tcs-1", "tcs-2"}}
}

const aptAtWork = "1: POSIX  ADVISORY  READ 312 08:01:77 128 128\n2: POSIX  ADVISORY  WRITE 708 08:01:1311 0 EOF\n2: -> POSIX  ADVISORY  WRITE 709 08:01:1312 0 EOF\n"

func TestReboot(t *testing.T) {
	once := []string{"reboot green"}
	table := []struct {
		name    string
		before  func(*world, *host)
		verdict ops.Verdict
		err     string // and the hint
		calls   []string
		took    time.Duration
	}{
		{"comes back", nil, ops.Ready, "", once, 22 * time.Second},
		{"comes back degraded", func(_ *world, h *host) { h.system = "degraded" }, ops.Ready, "", once, 22 * time.Second},
		{"its system takes longer", func(_ *world, h *host) { h.slow = 5 }, ops.Ready, "", once, 27 * time.Second},
		{"the answer is lost", func(_ *world, h *host) { h.mute = true }, ops.Ready, "", []string{"reboot green", "reboot green"}, 22 * time.Second},
		{"the first asking is not heard", func(_ *world, h *host) { h.deaf = true }, ops.Ready, "", once, 23 * time.Second},
		{"its engine comes later", func(_ *world, h *host) {
			h.downUntil = time.Now().Add(40 * time.Second)
		}, ops.Ready, "", once, 40 * time.Second},
		{"the link drops again after it came back", func(_ *world, h *host) {
			h.slow = 3
			h.cut(22500*time.Millisecond, 9*time.Second)
		}, ops.Ready, "", once, 34 * time.Second},
		{"never comes back", func(_ *world, h *host) { h.comesBack = 24 * time.Hour }, ops.Ready,
			"it does not come back (asked to reboot at 00:00:00Z): deadline passed after 5 min; last seen: GREEN is away: no route to host: unreachable | look at its console", once, 5 * time.Minute},
		{"never goes down", func(_ *world, h *host) { h.stays = true }, ops.Ready,
			"it never rebooted: its boot id is the same (asked to reboot at 00:00:00Z): deadline passed after 5 min | systemctl list-jobs", once, 5 * time.Minute},
		{"its engine never comes", func(_ *world, h *host) { h.down = ops.ErrUnreachable }, ops.Ready,
			"it has rebooted and is not up (asked to reboot at 00:00:00Z): deadline passed after 5 min; last seen: GREEN has rebooted, its system is running, its engine does not answer yet | systemctl status docker", once, 5 * time.Minute},
		{"its system never starts", func(_ *world, h *host) { h.system = "maintenance" }, ops.Ready, "last seen: GREEN has rebooted, its system is maintenance | systemctl list-jobs", once, 5 * time.Minute},
		{"something starts by itself", func(_ *world, h *host) { h.engine.byName("tcs-2").Policy = "on-failure:3" }, ops.Ready,
			"running since the reboot: tcs-2 | stop them, then resume", once, 22 * time.Second},
		{"apt is at work", func(_ *world, h *host) { h.dpkg, h.locks = "1310\n1311\n", aptAtWork }, ops.Blocked, "apt or dpkg is at work (process 708) | let it come to its end", nil, 0},
		{"apt only waits", func(_ *world, h *host) { h.dpkg, h.locks = "1312\n", aptAtWork }, ops.Ready, "", once, 22 * time.Second},
		{"not permitted", func(_ *world, h *host) { h.exec = ops.ErrNotPermitted }, ops.Ready, "asking green to reboot: not permitted", nil, 0},
		{"cannot be reached", func(_ *world, h *host) { h.cut(0, time.Minute) }, ops.Blocked, "unreachable", nil, 0},
		{"does not tell its boot id", func(_ *world, h *host) { h.boots = 0 }, ops.Ready, "a reboot could not be proven | --without reboot", nil, 0},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				r, h := rebootOf(t, w), w.hosts[ops.Green]
				if test.before != nil {
					test.before(w, h)
				}
				begun := time.Now()
				verdict, err := carryOut(t, r, w.envOf(rebootID))
				if took := time.Since(begun); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantCalls(t, w, test.calls...)
				if test.err != "" {
					text, hint, _ := strings.Cut(test.err, " | ")
					wantErr(t, err, text)
					if p := ops.AsProblem(err, "", ""); !strings.Contains(p.Hint, hint) {
						t.Errorf("hint %q, want %q in it", p.Hint, hint)
					}
					if errors.Is(err, errTimeout) && errors.Is(err, ops.ErrUnreachable) {
						t.Error("a host whose time is over is to be looked at, not to be waited for")
					}
					return
				}
				must(t, err)
				if h.boots != 2 || greenShape(w) != "agent tcs:2 exited no\nndw-etl tcs:2 exited \ntcs-1 tcs:2 exited no\ntcs-2 tcs:2 exited no" {
					t.Errorf("boot %d, containers\n%s", h.boots, greenShape(w))
				}
				if verdict, err := carryOut(t, r, w.envOf(rebootID)); verdict != ops.AlreadyDone || err != nil {
					t.Errorf("again: %s, %v", verdict, err)
				}
				must(t, r.Do(t.Context(), w.envOf(rebootID)))
				if h.boots != 2 {
					t.Error("done twice, it reboots twice")
				}
			})
		})
	}
}

// A degraded system is accepted, and what has failed in it is said.
func TestRebootNamesFailedUnits(t *testing.T) {
	for name, test := range map[string]struct {
		units string
		err   error
		want  string
	}{
		"two": {"smartd.service     loaded failed failed Self Monitoring and Reporting Technology (SMART) Daemon\nvar-old.mount loaded failed failed /var/old\n", nil,
			"system degraded (failed: smartd.service, var-old.mount), the engine answers"},
		"none any more": {"", nil, "system degraded (no unit has failed any more), the engine answers"},
		"not known":     {"", errors.New("no answer"), "system degraded (which units failed is not known: no answer), the engine answers"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				r, h := rebootOf(t, w), w.hosts[ops.Green]
				h.system, h.units, h.unitsErr = "degraded", test.units, test.err
				_, err := carryOut(t, r, w.envOf(rebootID))
				must(t, err)
				if last := w.said[len(w.said)-1]; !strings.Contains(last, test.want) {
					t.Errorf("said %q, want %q in it", last, test.want)
				}
			})
		})
	}
}

// A runner that dies at any call, and is resumed at once, in the middle of the reboot or
// after it, has rebooted the host once in the end.
func TestRebootCutAnywhere(t *testing.T) {
	for _, later := range []time.Duration{0, time.Second, 10 * time.Second, time.Hour} {
		for n, more := 1, true; more; n++ {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				r, h := rebootOf(t, w), w.hosts[ops.Green]
				died, err := w.dieIn(t.Context(), n, func(ctx context.Context) error {
					if verdict, err := r.Check(ctx, w.envOf(rebootID)); verdict != ops.Ready {
						return err
					}
					if err := r.Do(ctx, w.envOf(rebootID)); err != nil {
						return err
					}
					return r.Verify(ctx, w.envOf(rebootID))
				})
				if more = died; !died {
					must(t, err)
				}
				time.Sleep(later)
				if _, err := carryOut(t, r, w.envOf(rebootID)); err != nil {
					t.Errorf("call %d, resumed %s later: %v", n, later, err)
				}
				if h.boots != 2 {
					t.Errorf("call %d, resumed %s later: boot %d", n, later, h.boots)
				}
				if err := r.Undo(t.Context(), w.envOf(rebootID)); !errors.Is(err, ops.ErrNoUndo) {
					t.Errorf("undo: %v", err)
				}
			})
		}
	}
}

// The clock of a cancelled run is not waited for.
func TestRebootCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		r := rebootOf(t, w)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		if err := r.Do(ctx, w.envOf(rebootID)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
