package inspect_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/findings"
	"tandem/ops/inspect"
	"tandem/ops/lab"
	"tandem/ops/lb/haproxy"
	"tandem/ops/remote"
)

// open starts a lab and looks at it through the real clients.
func open(t testing.TB, scenario string) (*lab.Lab, *inspect.Inspector) {
	t.Helper()
	return openWith(t, scenario, inspect.Options{Findings: findings.All})
}

func openWith(t testing.TB, scenario string, options inspect.Options) (*lab.Lab, *inspect.Inspector) {
	t.Helper()
	l, err := lab.Start(lab.Options{Scenario: scenario, Speed: 50, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := config.Load(l.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	// Neither the agent nor the SSH config of whoever runs the test.
	t.Setenv("SSH_AUTH_SOCK", "")
	empty := l.Dir() + "/ssh_config"
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := map[ops.Side]ops.Host{}
	for _, side := range ops.Sides {
		h := cfg.Hosts[side]
		host, err := remote.New(remote.Target{
			Side: side, SSH: h.SSH, Identity: h.Identity, KnownHosts: h.KnownHosts, Sudo: h.Sudo, Docker: h.Docker, SSHConfig: empty,
		}, remote.Options{KeepaliveEvery: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = host.Close() }) // it may have been cut off on purpose
		hosts[side] = host
	}
	balancer, err := haproxy.New(haproxy.Config{Socket: cfg.Balancer.HAProxy.Socket, Backends: cfg.Balancer.HAProxy.Backends, Servers: cfg.Balancer.HAProxy.Servers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = balancer.Close() })
	return l, inspect.New(cfg.Pair, hosts, balancer, options)
}

func wait(t *testing.T, l *inspect.Live, what string, holds func(ops.Snapshot) bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !holds(l.Snapshot()) {
		select {
		case <-l.Changed():
		case <-limit:
			snap := l.Snapshot()
			t.Fatalf("waiting for %s; the last was %+v, findings %+v, moments %v", what, snap.Green, snap.Findings, l.Moments())
		}
	}
}

func TestLabLook(t *testing.T) {
	for scenario, want := range map[string][]string{
		"calm":     nil,
		"incident": {"engine-installed", "job-failed", "reboot-required"},
		"one-down": {"service-not-ready"},
		"drift":    {"image-differs", "service-not-ready"},
	} {
		t.Run(scenario, func(t *testing.T) {
			_, i := open(t, scenario)
			snap := i.Look(t.Context())
			for _, side := range ops.Sides {
				s := snap.On(side)
				if s.Host.Err != nil || s.Engine.Err != nil || s.Facts.BootID == "" || s.Version.Running == "" || s.Link != ops.LinkUp {
					t.Fatalf("%s: %v, %v, %+v", side, s.Host.Err, s.Engine.Err, s.Facts)
				}
				if len(s.Others) > 0 {
					t.Errorf("%s: containers of no service: %+v", side, s.Others)
				}
			}
			if snap.Balancer.Look.Err != nil || snap.Balancer.Blue.Traffic != ops.InService {
				t.Errorf("balancer: %+v", snap.Balancer)
			}
			var ids []string
			for _, f := range snap.Findings {
				t.Logf("%s %s %s", f.Severity, f.Side.Upper(), f.Title)
				ids = append(ids, f.ID)
				if want == nil && f.Severity != ops.Note {
					t.Errorf("%s above a note on a calm pair", f.ID)
				}
			}
			for _, id := range want {
				if !slices.Contains(ids, id) {
					t.Errorf("no finding %s in %v", id, ids)
				}
			}
			if !slices.Contains(snap.Green.OnlyHere, "generic-upload") {
				t.Errorf("only on green: %v", snap.Green.OnlyHere)
			}
		})
	}
}

// TestNoFalseAlarm looks at a calm pair a hundred times, at everything there is to look at: no
// finding is above a note, and none comes and goes.
func TestNoFalseAlarm(t *testing.T) {
	_, i := openWith(t, "calm", inspect.Options{Findings: findings.All, Whole: true, Care: true})
	var first []ops.Finding
	for n := range 100 {
		snap := i.Look(t.Context())
		for _, f := range snap.Findings {
			if f.Severity != ops.Note {
				t.Errorf("look %d: %s %s [%s] %s: %s", n, f.Severity, f.Side.Upper(), f.ID, f.Title, f.Detail)
			}
		}
		if n == 0 {
			first = snap.Findings
		}
		if diff := cmp.Diff(first, snap.Findings); diff != "" {
			t.Fatalf("look %d differs from the first: %s", n, diff)
		}
	}
	for _, f := range first {
		t.Logf("%s %s [%s] %s", f.Severity, f.Side.Upper(), f.ID, f.Title)
	}
}

// TestLabLive breaks green in every way in turn; the view follows and recovers.
func TestLabLive(t *testing.T) {
	l, i := open(t, "calm")
	ctx, cancel := context.WithCancel(t.Context())
	live := i.Live(ctx)
	defer live.Wait()
	defer cancel()
	green := l.World().Host("green")
	allReady := func(s ops.Snapshot) bool {
		ready, of := s.Green.Ready()
		return of > 0 && ready == of && s.Green.Engine.Err == nil && s.Green.Host.Err == nil && s.Green.Link == ops.LinkUp && s.Balancer.Green.Traffic == ops.InService
	}
	wait(t, live, "a ready green", allReady)

	if err := green.Kill("tcs", 137); err != nil {
		t.Fatal(err)
	}
	wait(t, live, "a dead tcs", func(s ops.Snapshot) bool { return !s.Green.Service("tcs").Ready })
	wait(t, live, "tcs restarted by its policy", allReady)

	green.StopEngine()
	wait(t, live, "a stopped engine", func(s ops.Snapshot) bool {
		return s.Green.Engine.Err != nil && len(s.Green.Services) > 0 && len(s.Green.Service("tcs").Containers) > 0
	})
	green.StartEngine()
	wait(t, live, "the engine back", allReady)

	boot := live.Snapshot().Green.Facts.BootID
	green.Reboot()
	wait(t, live, "a new boot id", func(s ops.Snapshot) bool { return s.Green.Facts.BootID != boot })
	wait(t, live, "green back from its reboot", allReady)

	green.CutCable()
	wait(t, live, "a lost link", func(s ops.Snapshot) bool { return s.Green.Link != ops.LinkUp && s.Green.Engine.Err != nil })
	if live.Snapshot().Blue.Engine.Err != nil {
		t.Error("blue suffers with green")
	}
	green.RestoreCable()
	wait(t, live, "the link back", allReady)

	var all []string
	for _, m := range live.Moments() {
		all = append(all, string(m.Side)+" "+m.Text)
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"green tcs ", "green rebooted", "green connection lost", "green connected again", "green engine answers again", "green traffic: down, was in service"} {
		if !strings.Contains(text, want) {
			t.Errorf("no moment %q in\n%s", want, text)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	_, i := open(b, "calm")
	i.Look(b.Context())
	for b.Loop() {
		i.Look(b.Context())
	}
}
