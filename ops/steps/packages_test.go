package steps

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

const installID = "14-install"

func installOf(w *world) (Install, *aptOf) {
	a := newApt(w.hosts[ops.Green])
	a.held = []string{"docker.io", "openssl"}
	return Install{Side: ops.Green, Asked: trixie, Was: beforeTrixie, Within: 5 * time.Minute, Engine: time.Minute}, a
}

const (
	asBefore  = "containerd 1.6.20~ds1-1+b1\ndocker-compose 1.29.2-3\ndocker.io 20.10.24+dfsg1-1+b3\nheld docker.io openssl\nengine 20.10.24"
	patchedTo = "containerd 1.7.24~ds1-6+b4\ndocker-cli 26.1.5+dfsg1-9\ndocker-compose 2.26.1-4\ndocker.io 26.1.5+dfsg1-9\nheld openssl\nengine 20.10.24"
)

const installCall = "install containerd=1.7.24~ds1-6+b4 docker-cli=26.1.5+dfsg1-9 docker-compose=2.26.1-4 docker.io=26.1.5+dfsg1-9"

func TestInstall(t *testing.T) {
	table := []struct {
		name    string
		before  func(*world, *aptOf)
		verdict ops.Verdict
		err     string
		calls   []string
		after   string
	}{
		{"all in one act, off hold before", nil, ops.Ready, "", []string{"apt-mark unhold docker.io", installCall}, patchedTo},
		{"none on hold", func(_ *world, a *aptOf) { a.held = nil }, ops.Ready, "", []string{installCall}, strings.Replace(patchedTo, "openssl", "", 1)},
		{"there already: the record of who did it is lost", func(_ *world, a *aptOf) { a.installed = maps.Clone(trixie) }, ops.Ready, "", nil, ""},
		{"more would change by now", func(_ *world, a *aptOf) {
			a.more = []ops.VersionChange{{Name: "runc", From: "1.1.5", To: "1.1.15"}, {Name: "nginx", From: "1.22"}}
		}, ops.Blocked, "apt would change more than was asked for: runc 1.1.5 → 1.1.15, nginx 1.22 (removed)", nil, asBefore},
		{"apt refuses by now", func(_ *world, a *aptOf) { a.refuses = "Version '9' for 'runc' was not found" }, ops.Blocked, "apt refuses: Version '9'", nil, asBefore},
		{"changed by somebody", func(_ *world, a *aptOf) { a.installed["docker.io"] = "24.0.7-1" }, ops.Blocked, "docker.io is at 24.0.7-1: somebody has changed it since the plan was made", nil, ""},
		{"apt fails", func(_ *world, a *aptOf) {
			a.fails = "Unpacking...\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n"
		}, ops.Ready,
			"docker.io is at 20.10.24+dfsg1-1+b3 (E: Sub-process /usr/bin/dpkg returned an error code (1))", []string{"apt-mark unhold docker.io", installCall}, strings.Replace(asBefore, "docker.io openssl", "openssl", 1)},
		{"takes too long", func(_ *world, a *aptOf) { a.takes = time.Hour }, ops.Ready, "installing packages: deadline passed after 5 min", []string{"apt-mark unhold docker.io", installCall}, ""},
		{"cut off", func(_ *world, a *aptOf) { a.h.cut(0, time.Minute) }, ops.Blocked, "unreachable", nil, ""},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				i, a := installOf(w)
				if test.before != nil {
					test.before(w, a)
				}
				verdict, err := carryOut(t, i, w.envOf(installID))
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantCalls(t, w, test.calls...)
				if test.after != "" && a.shape() != test.after {
					t.Errorf("after:\n%s\nwant\n%s", a.shape(), test.after)
				}
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				if verdict, err := carryOut(t, i, w.envOf(installID)); verdict != ops.AlreadyDone || err != nil {
					t.Errorf("again: %s, %v", verdict, err)
				}
			})
		})
	}
}

func TestInstallWhileAptIsAtWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		i, a := installOf(w)
		a.h.locks = "1: POSIX  ADVISORY  WRITE 708 08:01:1311 0 EOF\n"
		a.h.program = func(c ops.Command) ([]byte, bool, error) {
			if c.Args[0] == "stat" {
				return []byte("1311\n"), true, nil
			}
			return a.program(c)
		}
		verdict, err := carryOut(t, i, w.envOf(installID))
		wantErr(t, err, "apt or dpkg is at work (process 708)")
		if verdict != ops.Blocked || a.shape() != asBefore {
			t.Errorf("%s:\n%s", verdict, a.shape())
		}
	})
}

func TestInstallTwiceAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		i, a := installOf(w)
		if err := i.Undo(t.Context(), w.envOf(installID)); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo of nothing: %v", err)
		}
		must(t, i.Do(t.Context(), w.envOf(installID)))
		acts := w.acts
		must(t, i.Do(t.Context(), w.envOf(installID)))
		if w.acts != acts {
			t.Errorf("done twice: %q", w.calls[acts:])
		}
		a.started()
		must(t, i.Undo(t.Context(), w.envOf(installID)))
		if a.shape() != asBefore {
			t.Errorf("undone:\n%s\nwant\n%s", a.shape(), asBefore)
		}
	})
}

// The earlier versions are not on offer any more, but kept.
func TestInstallBackFromKeptFiles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		i, a := installOf(w)
		must(t, i.Do(t.Context(), w.envOf(installID)))
		for name := range bookworm {
			a.offered[name] = []string{trixie[name]}
			a.debs = append(a.debs, debName(name, bookworm[name])+"_amd64.deb")
		}
		must(t, i.Undo(t.Context(), w.envOf(installID)))
		if a.shape() != asBefore {
			t.Errorf("undone:\n%s\nwant\n%s", a.shape(), asBefore)
		}
	})
}

func TestInstallCutAnywhere(t *testing.T) {
	cutAnywhere(t, installID, func(_ *testing.T, w *world) ops.Step { i, _ := installOf(w); return i },
		func(w *world) string { a := w.hosts[ops.Green].apt; a.facts(); return a.shape() }, patchedTo, asBefore)
}

// The host goes down in the midst: dpkg ends what it has begun, then the rest follows.
func TestInstallAfterAPowerCut(t *testing.T) {
	for _, back := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			w := newWorld()
			i, a := installOf(w)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { time.Sleep(10 * time.Second); cancel() }()
			if err := i.Do(ctx, w.envOf(installID)); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			a.powerCut()
			if back {
				must(t, i.Undo(t.Context(), w.envOf(installID)))
				if a.shape() != asBefore {
					t.Errorf("undone:\n%s", a.shape())
				}
				return
			}
			verdict, err := carryOut(t, i, w.envOf(installID))
			must(t, err)
			if verdict != ops.Ready || a.shape() != patchedTo {
				t.Errorf("%s:\n%s", verdict, a.shape())
			}
		})
	}
}

// The runner's machine was gone with its record before that was copied: the plan knows the way
// back all the same.
func TestInstallBackWithoutARecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		i, a := installOf(w)
		i.Held = []string{"docker.io"}
		must(t, i.Do(t.Context(), w.envOf("lost")))
		verdict, err := carryOut(t, i, w.envOf(installID))
		must(t, err)
		if verdict != ops.Ready {
			t.Errorf("verdict %s: nothing would be taken back", verdict)
		}
		must(t, i.Undo(t.Context(), w.envOf(installID)))
		if a.shape() != asBefore {
			t.Errorf("undone:\n%s\nwant\n%s", a.shape(), asBefore)
		}
	})
}

// An apt that a dead runner left at work is followed, not started again.
func TestInstallIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		i, a := installOf(w)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(5 * time.Second); cancel() }()
		if err := i.Do(ctx, w.envOf(installID)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		_, err := carryOut(t, i, w.envOf(installID))
		must(t, err)
		wantCalls(t, w, "apt-mark unhold docker.io", installCall)
		if !slices.Contains(w.said, "apt is at work from an earlier try: following it to its end") || a.shape() != patchedTo {
			t.Errorf("said %q\n%s", w.said, a.shape())
		}
	})
}

func TestRestartEngine(t *testing.T) {
	table := []struct {
		name    string
		before  func(*aptOf)
		verdict ops.Verdict
		err     string
		starts  int
	}{
		{"another is installed", nil, ops.Ready, "", 1},
		{"runs already", func(a *aptOf) { a.started(); a.starts = 0 }, ops.AlreadyDone, "", 0},
		{"containerd is newer", func(a *aptOf) { a.started(); a.starts = 0; a.h.facts.Newer = []string{"containerd"} }, ops.Ready, "", 1},
		{"it does not start", func(a *aptOf) { a.sick = true }, ops.Ready, "Job for docker.service failed", 0},
		{"compose stayed behind", func(a *aptOf) { a.installed["docker-compose"] = "1.29.2-3" }, ops.Ready, "compose is 1.29.2, wanted is 2.26.1", 1},
		{"the engine is away for a while", func(a *aptOf) { a.h.downUntil = time.Now().Add(20 * time.Second) }, ops.Ready, "", 1},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				a := newApt(w.hosts[ops.Green])
				for name, version := range trixie {
					a.installed[name] = version
				}
				a.facts()
				a.starts = 0
				if test.before != nil {
					test.before(a)
				}
				r := RestartEngine{Side: ops.Green, Versions: trixie, Within: time.Minute}
				verdict, err := carryOut(t, r, w.env())
				if verdict != test.verdict || a.starts != test.starts {
					t.Errorf("verdict %s, %d starts; want %s, %d", verdict, a.starts, test.verdict, test.starts)
				}
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				must(t, r.Do(t.Context(), w.env()))
				if a.starts != test.starts {
					t.Error("done twice it starts twice")
				}
				if err := r.Undo(t.Context(), w.env()); !errors.Is(err, ops.ErrNoUndo) {
					t.Errorf("undo: %v", err)
				}
			})
		})
	}
}

func TestFetch(t *testing.T) {
	table := []struct {
		name    string
		before  func(*aptOf)
		verdict ops.Verdict
		err     string
		calls   []string
		said    string
	}{
		{"kept by download", func(a *aptOf) { a.held = []string{"docker.io"} }, ops.Ready, "", []string{
			"download containerd=1.6.20~ds1-1+b1", "download docker-compose=1.29.2-3", "download docker.io=20.10.24+dfsg1-1+b3", "fetch"}, "kept for the way back: 3 of 3 packages"},
		{"kept from the archives", func(a *aptOf) {
			a.archives = []string{"docker.io_20.10.24+dfsg1-1+b3_amd64.deb", "docker.io_20.10.25_amd64.deb", "lock", "partial"}
			a.offered["docker.io"] = []string{trixie["docker.io"]}
		}, ops.Ready, "", []string{
			"download containerd=1.6.20~ds1-1+b1", "download docker-compose=1.29.2-3", "keep docker.io_20.10.24+dfsg1-1+b3_amd64.deb", "fetch"}, "kept for the way back: 3 of 3 packages"},
		{"one cannot be had", func(a *aptOf) { a.offered["docker.io"] = []string{trixie["docker.io"]} }, ops.Ready, "", []string{
			"download containerd=1.6.20~ds1-1+b1", "download docker-compose=1.29.2-3", "fetch"}, "kept for the way back: 2 of 3 packages"},
		{"more would change", func(a *aptOf) { a.more = []ops.VersionChange{{Name: "runc", From: "1.1.5", To: "1.1.15"}} }, ops.Blocked,
			"apt would change more than was asked for: runc 1.1.5 → 1.1.15", nil, ""},
		{"apt refuses", func(a *aptOf) { a.refuses = "Unable to correct problems, you have held broken packages." }, ops.Blocked, "apt refuses: Unable to correct problems", nil, ""},
		{"the download fails", func(a *aptOf) {
			a.fails = "Err:1 http://...\nE: Failed to fetch http://x  Connection refused\nE: Unable to fetch some archives\n"
		}, ops.Ready,
			"green: downloading the packages: E: Failed to fetch http://x", []string{"download containerd=1.6.20~ds1-1+b1", "download docker-compose=1.29.2-3", "download docker.io=20.10.24+dfsg1-1+b3"}, ""},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				a := newApt(w.hosts[ops.Green])
				f := Fetch{Side: ops.Green, Asked: trixie, Was: beforeTrixie, Within: time.Minute}
				if test.before != nil {
					test.before(a)
				}
				verdict, err := carryOut(t, f, w.envOf("fetch"))
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				wantCalls(t, w, test.calls...)
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				if last := w.said[len(w.said)-1]; last != test.said {
					t.Errorf("said %q", last)
				}
				kept := len(a.debs)
				must(t, f.Do(t.Context(), w.envOf("fetch")))
				if len(a.debs) != kept {
					t.Errorf("done twice it keeps %q", a.debs)
				}
				if err := f.Undo(t.Context(), w.envOf("fetch")); !errors.Is(err, ops.ErrNoUndo) {
					t.Errorf("undo: %v", err)
				}
			})
		})
	}
}

func TestRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		a := newApt(w.hosts[ops.Green])
		r := Refresh{Side: ops.Green, Within: time.Minute}
		for range 2 {
			_, err := carryOut(t, r, w.env())
			must(t, err)
		}
		wantCalls(t, w, "update", "update")
		// A source that does not answer is told: what it has may not be needed.
		a.silent = "Err:1 http://old.example stable\nE: The repository 'http://old.example stable Release' does not have a Release file.\n"
		_, err := carryOut(t, r, w.env())
		must(t, err)
		if !slices.Contains(w.said, "not all sources have answered: E: The repository 'http://old.example stable Release' does not have a Release file.") {
			t.Errorf("said %q", w.said)
		}
		if err := r.Undo(t.Context(), w.env()); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo: %v", err)
		}
		a.h.cut(0, time.Hour)
		_, err = carryOut(t, r, w.env())
		wantErr(t, err, "unreachable")
	})
}

func TestHoldPackages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld()
		a := newApt(w.hosts[ops.Green])
		a.held = []string{"openssl", "containerd:amd64"}
		h := HoldPackages{Side: ops.Green, Packages: []string{"containerd", "docker.io"}}
		if err := h.Undo(t.Context(), w.envOf("held")); !errors.Is(err, ops.ErrNoUndo) {
			t.Errorf("undo of nothing: %v", err)
		}
		verdict, err := carryOut(t, h, w.envOf("held"))
		must(t, err)
		if verdict != ops.Ready {
			t.Errorf("verdict %s", verdict)
		}
		if verdict, err := carryOut(t, h, w.envOf("held")); verdict != ops.AlreadyDone || err != nil {
			t.Errorf("again: %s, %v", verdict, err)
		}
		must(t, h.Do(t.Context(), w.envOf("held")))
		must(t, h.Undo(t.Context(), w.envOf("held")))
		wantCalls(t, w, "apt-mark hold docker.io", "apt-mark unhold docker.io")
		if err := h.Verify(t.Context(), w.envOf("held")); err == nil || !strings.Contains(err.Error(), "not on hold: docker.io") {
			t.Errorf("verify: %v", err)
		}
	})
}

func TestPreflightOfPackages(t *testing.T) {
	for name, test := range map[string]struct {
		before func(*aptOf)
		err    string
	}{
		"all well":       {nil, ""},
		"half-installed": {func(a *aptOf) { a.broken = []string{"docker.io"} }, "half-installed: docker.io"},
		"disk full":      {func(a *aptOf) { a.full = true }, "1 MiB are free"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				a := newApt(w.hosts[ops.Green])
				if test.before != nil {
					test.before(a)
				}
				_, err := carryOut(t, Preflight{Side: ops.Green, Run: "r1", How: ops.StartAPI, Packages: true}, w.env())
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
			})
		})
	}
}

// wakeOf is a side that was stopped, to be started again.
func wakeOf(t *testing.T, w *world) Wake {
	t.Helper()
	s := stopOf(t, w)
	must(t, s.Do(t.Context(), w.envOf(stopID)))
	w.calls, w.acts, w.said = nil, 0, nil
	return Wake{Side: s.Side, Service: s.Service, Containers: s.Containers, From: s.From, Stop: s.Stop, Within: s.Within}
}

// awake: those that ran do, and by themselves after a loss of power, too: what is started
// after them may need them.
const awake = "agent tcs:2 running no\nndw-etl tcs:2 exited \ntcs-1 tcs:2 running always\ntcs-2 tcs:2 running on-failure:3"

func TestWake(t *testing.T) {
	table := []struct {
		name    string
		before  func(*world, *engine, *Wake)
		verdict ops.Verdict
		err     string
		calls   []string
	}{
		{"those that ran", nil, ops.Ready, "", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}},
		{"one runs", func(_ *world, e *engine, _ *Wake) { _ = begin(e.byName("tcs-1")) }, ops.Ready, "", []string{"policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}},
		{"all run", func(_ *world, e *engine, _ *Wake) {
			_, _ = begin(e.byName("tcs-1")), begin(e.byName("tcs-2"))
			e.byName("tcs-1").Policy, e.byName("tcs-2").Policy = "always", "on-failure:3"
		}, ops.AlreadyDone, "", nil},
		{"the stop took one away", func(_ *world, e *engine, _ *Wake) { e.containers = e.containers[1:] }, ops.Ready, "", []string{"create tcs-1 tcs:2", "policy no tcs-1", "start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}},
		{"never recorded", func(w *world, _ *engine, _ *Wake) { delete(w.logs[holdID].kept, keyOriginal("tcs-2")) }, ops.Blocked, "tcs-2 was never recorded", nil},
		{"it does not stay up", func(_ *world, e *engine, _ *Wake) { e.each = func(int) { e.byName("tcs-2").State = "exited" } }, ops.Ready, "last seen: tcs: exited 137", nil},
		{"it was not ready before", func(_ *world, e *engine, k *Wake) {
			k.Unready = true
			e.each = func(int) { e.byName("tcs-2").State = "exited" }
		}, ops.Ready, "", []string{"start tcs-1", "policy always tcs-1", "start tcs-2", "policy on-failure:3 tcs-2"}},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld()
				k := wakeOf(t, w)
				if test.before != nil {
					test.before(w, w.hosts[ops.Green].engine, &k)
				}
				verdict, err := carryOut(t, k, w.envOf("wake"))
				if verdict != test.verdict {
					t.Errorf("verdict %s, want %s", verdict, test.verdict)
				}
				if test.err != "" {
					wantErr(t, err, test.err)
					return
				}
				must(t, err)
				wantActs(t, w, test.calls...)
			})
		})
	}
}

func TestWakeCutAnywhere(t *testing.T) {
	cutAnywhere(t, "wake", func(t *testing.T, w *world) ops.Step { return wakeOf(t, w) }, greenShape, awake, stopped)
}

func TestComposeFits(t *testing.T) {
	for name, test := range map[string]struct {
		facts ops.Facts
		asked map[string]string
		state ops.CheckState
	}{
		"both go":                {ops.Facts{Installed: "20.10.24", Compose: "1.29.2"}, trixie, ops.Pass},
		"compose stays":          {ops.Facts{Installed: "20.10.24", Compose: "1.29.2"}, map[string]string{"docker.io": "26.1.5+dfsg1-9"}, ops.Fail},
		"compose goes back":      {ops.Facts{Installed: "26.1.5", Compose: "2.26.1"}, map[string]string{"docker-compose": "1.29.2-3"}, ops.Fail},
		"none there":             {ops.Facts{Installed: "20.10.24"}, map[string]string{"docker.io": "26.1.5+dfsg1-9"}, ops.Remark},
		"neither is asked for":   {ops.Facts{Installed: "20.10.24", Compose: "1.29.2"}, map[string]string{"runc": "1"}, ops.Pass},
		"compose is taken away":  {ops.Facts{Installed: "20.10.24", Compose: "1.29.2"}, map[string]string{"docker-compose": ""}, ops.Pass},
		"docker's own, by major": {ops.Facts{Installed: "24.0.7", Compose: "1.29.2"}, map[string]string{"docker-ce": "5:26.1.4-1~debian.12~bookworm"}, ops.Fail},
	} {
		now := time.Now()
		snap := ops.Snapshot{Pair: ops.Pair{Limits: ops.DefaultLimits()}}
		snap.Green.Host, snap.Green.Facts = ops.Look{At: now}, test.facts
		if c := ComposeFits(ops.Green, test.asked).Eval(&snap, now); c.State != test.state {
			t.Errorf("%s: %+v", name, c)
		}
		if c := ComposeFits(ops.Green, test.asked).Eval(&snap, now.Add(time.Hour)); c.State != ops.NotKnown {
			t.Errorf("%s, stale: %+v", name, c)
		}
	}
}
