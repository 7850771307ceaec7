package findings

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2020, 11, 13, 14, 3, 22, 0, time.UTC)

// calm is a pair with nothing to say about.
func calm() ops.Snapshot {
	container := func(name string) ops.Container {
		return ops.Container{
			ID: name, Name: name, State: "running", Health: "healthy", Image: "tis/" + name + ":a9e11f0", ImageID: "sha256:0123456789abcdef",
			CreatedAt: now.Add(-48 * time.Hour), StartedAt: now.Add(-48 * time.Hour),
		}
	}
	side := func(side ops.Side) ops.SideState {
		s := ops.SideState{
			Side: side, Host: ops.Look{At: now}, Engine: ops.Look{At: now}, Link: ops.LinkUp,
			Facts: ops.Facts{
				Installed: "20.10.24", Compose: "1.29.2", BootID: "b", OS: "Debian GNU/Linux 12 (bookworm)", User: "ops",
				Uptime: 48 * time.Hour, CPUs: 2, Load1: 0.4, MemTotal: 16 << 30, MemAvailable: 9 << 30,
				DiskTotal: 100 << 30, DiskUsed: 63 << 30, InodesTotal: 6e6, InodesUsed: 1e6, Ahead: 40 * time.Millisecond,
				Packages: map[string]string{"docker.io": "20.10.24+dfsg1-1", "containerd": "1.6.20~ds1-1+b1", "runc": "1.1.5+ds1-1+b1", "docker-compose": "1.29.2-3"},
			},
			Version: ops.EngineVersion{Running: "20.10.24+dfsg1", API: "1.41", Used: "1.41"},
			Canary:  &ops.CanaryResult{At: now.Add(-10 * time.Minute), OK: true}, Probe: &ops.CanaryResult{At: now.Add(-10 * time.Minute), OK: true},
			Care:   ops.Look{At: now},
			Upkeep: ops.Upkeep{Manager: "apt", ListsAt: now.Add(-20 * time.Hour), Held: []string{"docker.io", "containerd", "runc", "docker-compose"}},
		}
		for _, name := range []string{"keycloak", "tcs", "apache"} {
			s.Services = append(s.Services, ops.ServiceState{Name: name, Here: true, Ready: true, State: "healthy", Containers: []ops.Container{container(name)}})
		}
		return s
	}
	snap := ops.Snapshot{
		Pair: ops.Pair{Name: "tis", Addresses: map[ops.Side]string{ops.Blue: "10.0.1.11", ops.Green: "10.0.1.12"}, Limits: ops.DefaultLimits()},
		At:   now, Order: ops.OrderConfig, Blue: side(ops.Blue), Green: side(ops.Green),
		Services: []ops.Service{{Name: "keycloak"}, {Name: "tcs", After: []string{"keycloak"}}, {Name: "apache", After: []string{"tcs"}}},
		Balancer: ops.BalancerStatus{
			Name: "haproxy lb1", Look: ops.Look{At: now}, Minimum: 1,
			Blue: ops.SideTraffic{Traffic: ops.InService}, Green: ops.SideTraffic{Traffic: ops.InService},
		},
	}
	return snap
}

// thursday is when the engine's packages of the incident were changed.
var thursday = time.Date(2020, 11, 12, 16, 2, 0, 0, time.UTC)

// upgraded is a side on which somebody upgraded where an update was meant.
func upgraded(s *ops.SideState) {
	s.Facts.Installed = "26.1.5"
	s.Facts.Packages = map[string]string{"docker.io": "26.1.5+dfsg1-9", "containerd": "1.7.24~ds1-6", "runc": "1.1.15+ds1-2", "docker-compose": "1.29.2-3"}
	s.Upkeep.Changes = []ops.PackageChange{{
		At: thursday, Command: "apt-get upgrade", By: "jo", Others: 41,
		Packages: []ops.VersionChange{{Name: "docker.io", From: "20.10.24+dfsg1-1", To: "26.1.5+dfsg1-9"}, {Name: "containerd", From: "1.6.20~ds1-1+b1", To: "1.7.24~ds1-6"}},
	}}
	s.Upkeep.Held = nil
	s.Canary, s.Probe = nil, nil
}

// wayBackThere has the host keep the packages from before.
func wayBackThere(s *ops.SideState) {
	s.Upkeep.Kept = map[string][]string{"docker.io": {"20.10.24+dfsg1-1"}, "containerd": {"1.6.20~ds1-1+b1"}}
}

// security is a side that got a small update of the engine's packages, named by somebody.
func security(s *ops.SideState, at time.Time, command string) {
	s.Upkeep.Changes = []ops.PackageChange{{At: at, Command: command, Packages: []ops.VersionChange{{Name: "runc", From: "1.1.5+ds1-1", To: "1.1.5+ds1-1+b1"}}}}
}

// prefixes reads ranges.
func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func netFacts() *ops.NetFacts {
	return &ops.NetFacts{
		Addresses: prefixes("10.0.1.11/24"), Routes: prefixes("10.0.1.0/24"), Resolvers: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
		Client: netip.MustParseAddr("10.0.9.9"), Pools: []ops.Pool{{Base: netip.MustParsePrefix("10.200.0.0/16"), Size: 24}},
	}
}

// state breaks a service.
func state(s *ops.SideState, name, state, why string) {
	service := s.Service(name)
	service.Ready, service.State, service.Why = false, state, why
	if state == "missing" || state == "not here" {
		service.Containers = nil
	}
}

func problem(doing, text, hint string) *ops.Problem {
	return &ops.Problem{Doing: doing, Err: errors.New(text), Hint: hint}
}

var cases = []struct {
	name   string
	change func(s *ops.Snapshot)
}{
	{"calm", func(*ops.Snapshot) {}},
	{"unreachable", func(s *ops.Snapshot) {
		s.Green.Link = ops.LinkDown
		s.Green.Host = ops.Look{At: now.Add(-5 * time.Minute), Err: problem("connecting", "dial tcp 10.0.1.12:22: i/o timeout", "")}
		s.Green.Engine = ops.Look{At: now.Add(-5 * time.Minute), Err: problem("listing containers", "not connected", "")}
		state(&s.Green, "tcs", "exited 1", "") // old data: not repeated
	}},
	{"never-seen", func(s *ops.Snapshot) {
		s.Blue = ops.SideState{Side: ops.Blue, Link: ops.LinkDown}
		s.Blue.Host.Err = problem("connecting", "the host key has changed: SHA256:abc", "compare it with the owner of the host, then ssh-keygen -R 10.0.1.11")
	}},
	{"connecting", func(s *ops.Snapshot) { s.Blue = ops.SideState{Side: ops.Blue, Link: ops.LinkConnecting} }},
	{"sudo-password", func(s *ops.Snapshot) {
		s.Green.Host.Err = problem("reading the host", "sudo needs a password", "allow ops to run sudo without one, see the README")
	}},
	{"socket-refused", func(s *ops.Snapshot) {
		s.Green.Engine.Err = problem("connecting to the engine", "permission denied on /var/run/docker.sock", "add ops to the group docker, or set sudo: true")
	}},
	{"stale", func(s *ops.Snapshot) {
		s.Blue.Engine.At, s.Blue.Host.At, s.Green.Host.At = now.Add(-40*time.Second), now.Add(-40*time.Second), now.Add(-50*time.Second)
		s.Balancer.Look.At = now.Add(-16 * time.Second)
		s.Green.Care.At = now.Add(-61 * time.Minute)
	}},
	{"balancer-unreachable", func(s *ops.Snapshot) {
		s.Balancer.Look = ops.Look{At: now.Add(-time.Minute), Err: problem("asking haproxy", "connection refused", "start haproxy on lb1")}
		s.Balancer.Green.Traffic = ops.Down
	}},
	{"balancer-throttled", func(s *ops.Snapshot) {
		s.Balancer.Look = ops.Look{At: now.Add(-12 * time.Second), Err: &ops.Problem{Doing: "asking AWS", Err: fmt.Errorf("DescribeTargetHealth: %w", ops.ErrThrottled)}}
	}},
	{"balancer-remarks", func(s *ops.Snapshot) {
		s.Balancer.Remarks = []string{"no server state file: a reload forgets drains"}
	}},
	{"side-down", func(s *ops.Snapshot) {
		s.Balancer.Green = ops.SideTraffic{Traffic: ops.Down, Check: "L7STS 503", Detail: "since 14:01Z"}
		s.Balancer.Blue = ops.SideTraffic{Traffic: ops.Down}
		state(&s.Green, "tcs", "unhealthy", "GET http://localhost:8093/: status 503")
	}},
	{"traffic-unknown", func(s *ops.Snapshot) {
		s.Balancer.Green = ops.SideTraffic{Traffic: ops.Unknown, Detail: "partly: in service in web; out in api"}
		s.Balancer.Blue = ops.SideTraffic{Traffic: ops.Unknown}
	}},
	{"side-out", func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }},
	{"side-out-in-a-run", func(s *ops.Snapshot) {
		s.Balancer.Green.Traffic = ops.Out
		s.Blue.Lock = &ops.LockInfo{Run: "7f3a", Op: ops.OpDrain, Beat: now.Add(-5 * time.Second)}
	}},
	{"both-out", func(s *ops.Snapshot) {
		s.Balancer.Blue.Traffic, s.Balancer.Green.Traffic = ops.Out, ops.Draining
		state(&s.Blue, "tcs", "starting", "")
	}},
	{"drain-lost", func(s *ops.Snapshot) { s.Balancer.Green.DrainLost = now.Add(-time.Minute) }},
	{"service-exited", func(s *ops.Snapshot) { state(&s.Green, "tcs", "exited 1", "") }},
	{"service-restarting", func(s *ops.Snapshot) {
		state(&s.Green, "tcs", "restarting", "last exit status 1, restarted 6 times")
	}},
	{"services-exited", func(s *ops.Snapshot) {
		for _, name := range []string{"keycloak", "tcs", "apache"} {
			state(&s.Green, name, "exited 137", "")
		}
	}},
	{"service-missing", func(s *ops.Snapshot) { state(&s.Green, "tcs", "missing", "") }},
	{"service-missing-on-both", func(s *ops.Snapshot) {
		state(&s.Green, "tcs", "missing", "")
		state(&s.Blue, "tcs", "missing", "")
	}},
	{"service-not-here", func(s *ops.Snapshot) {
		state(&s.Green, "tcs", "not here", "")
		s.Green.Service("tcs").Here = false
	}},
	{"service-starting", func(s *ops.Snapshot) {
		state(&s.Green, "tcs", "starting", "")
		s.Green.Service("tcs").Containers[0].StartedAt = now.Add(-6 * time.Minute)
		state(&s.Green, "apache", "starting", "")
		s.Green.Service("apache").Containers[0].StartedAt = now.Add(-time.Minute)
	}},
	{"service-unknown", func(s *ops.Snapshot) {
		state(&s.Green, "tcs", "unknown", "its readiness was not tested yet")
	}},
	{"service-without-health-check", func(s *ops.Snapshot) {
		state(&s.Green, "tcs", "running", "the container has no health check, but the config says ready: healthy")
	}},
	{"job-failed", func(s *ops.Snapshot) {
		s.Green.Jobs = []ops.JobState{
			{Name: "ndw-etl", Here: true, Last: &ops.Container{State: "exited", ExitCode: 125, FinishedAt: now.Add(-13 * time.Hour)}},
			{Name: "esr-etl", Here: true, Last: &ops.Container{State: "created", ExitCode: 127, CreatedAt: now.Add(-37 * time.Hour)}},
			{Name: "gmc-sync", Here: true, Last: &ops.Container{State: "exited", ExitCode: 137, OOMKilled: true, FinishedAt: now.Add(-time.Hour)}},
			{Name: "reval-etl", Here: true, Last: &ops.Container{State: "exited"}},
			{Name: "again", Here: true, Running: true, Last: &ops.Container{State: "restarting", ExitCode: 1}},
			{Name: "never", Here: true},
		}
	}},
	{"lock-dead", func(s *ops.Snapshot) {
		l := &ops.LockInfo{Run: "7f3a", Op: ops.OpRestart, Side: ops.Green, By: "jo", From: "laptop", Since: now.Add(-time.Hour), Beat: now.Add(-2 * time.Minute), Step: "03-restart-tcs"}
		s.Blue.Lock, s.Green.Lock = l, l
	}},
	{"run-stopped", func(s *ops.Snapshot) {
		s.Blue.Lock = &ops.LockInfo{Run: "7f3a", Op: ops.OpRestart, Side: ops.Green, By: "jo", From: "laptop", Since: now.Add(-time.Minute), Beat: now, Stopped: true}
	}},
	{"engine-differs", func(s *ops.Snapshot) {
		s.Green.Version.Running, s.Green.Facts.Installed, s.Green.Facts.Compose, s.Blue.Facts.Compose = "24.0.7", "24.0.7", "2.24.5", "2.24.5"
		s.Green.Version.API = "1.43"
	}},
	{"engine-differs-alignable", func(s *ops.Snapshot) {
		upgraded(&s.Green)
		s.Green.Version.Running, s.Green.Facts.Compose, s.Blue.Facts.Compose = "26.1.5", "2.26.1", "2.26.1"
		s.Green.Canary = &ops.CanaryResult{At: now, OK: true}
		s.Blue.Upkeep.Offered = map[string][]string{"docker.io": {"26.1.5+dfsg1-9"}, "containerd": {"1.7.24~ds1-6"}, "runc": {"1.1.15+ds1-2"}}
	}},
	{"engine-differs-in-a-patch", func(s *ops.Snapshot) {
		s.Green.Version.Running, s.Green.Facts.Installed, s.Green.Facts.Compose = "26.1.5", "26.1.5", "2.26.1"
		s.Blue.Lock = &ops.LockInfo{Run: "7f3a", Op: ops.OpPatch, Side: ops.Green, Since: now.Add(-time.Hour), Beat: now}
	}},
	{"engine-installed", func(s *ops.Snapshot) {
		s.Green.Facts.Installed, s.Green.Facts.EngineReplaced, s.Green.Facts.Compose, s.Blue.Facts.Compose = "24.0.7", true, "2.24.5", "2.24.5"
	}},
	{"engine-installed-by-upgrade", func(s *ops.Snapshot) {
		upgraded(&s.Green)
		upgraded(&s.Blue)
		wayBackThere(&s.Green)
		s.Blue.Upkeep.Offered = map[string][]string{"docker-compose": {"2.26.1-4", "1.29.2-3"}}
		s.Blue.Facts.RebootRequired = true
	}},
	{"engine-installed-canary-failed", func(s *ops.Snapshot) {
		upgraded(&s.Green)
		s.Green.Facts.Compose, s.Blue.Facts.Compose = "2.26.1", "2.26.1"
		s.Green.Canary = &ops.CanaryResult{At: now.Add(-3 * time.Hour), Text: "runc did not terminate successfully: exit status 127"}
	}},
	{"engine-installed-in-a-patch", func(s *ops.Snapshot) {
		upgraded(&s.Green)
		s.Blue.Lock = &ops.LockInfo{Run: "7f3a", Op: ops.OpPatch, Side: ops.Green, Since: now.Add(-time.Hour), Beat: now}
	}},
	{"engine-replaced", func(s *ops.Snapshot) { s.Green.Facts.EngineReplaced = true }},
	{"engine-replaced-proven", func(s *ops.Snapshot) {
		s.Green.Facts.EngineReplaced = true
		security(&s.Green, now.Add(-2*time.Hour), "apt-get install --reinstall docker.io")
	}},
	{"parts-newer", func(s *ops.Snapshot) {
		s.Green.Facts.Newer = []string{"containerd", "runc"}
		security(&s.Green, now.Add(-5*time.Minute), "/usr/bin/unattended-upgrade")
	}},
	{"compose-misfit", func(s *ops.Snapshot) {
		upgraded(&s.Green)
		wayBackThere(&s.Green)
		s.Green.Version.Running, s.Green.Version.API = "26.1.5+dfsg1", "1.45"
		s.Green.Probe = &ops.CanaryResult{At: now.Add(-20 * time.Minute), Text: "recreating a container: KeyError: 'ContainerConfig'"}
	}},
	{"compose-probe", func(s *ops.Snapshot) {
		s.Green.Probe = &ops.CanaryResult{At: now.Add(-20 * time.Minute), Text: "client version 1.43 is too old"}
	}},
	{"canary-failed", func(s *ops.Snapshot) {
		s.Green.Canary = &ops.CanaryResult{At: now.Add(-20 * time.Minute), Text: "no space left on device"}
	}},
	{"canary-old", func(s *ops.Snapshot) { s.Green.Canary.At = now.Add(-61 * time.Minute) }},
	{"canary-never", func(s *ops.Snapshot) { s.Blue.Canary, s.Green.Canary = nil, nil }},
	{"compose-never-tried", func(s *ops.Snapshot) {
		s.Green.Probe = nil
		s.Green.Service("tcs").Containers[0].Labels = map[string]string{labelProject: "tis"}
	}},
	{"canary-before-the-change", func(s *ops.Snapshot) {
		security(&s.Green, now.Add(-5*time.Minute), "apt-get install runc=1.1.5+ds1-1+b1")
	}},
	{"changed-by-upgrade", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			security(s.On(side), now.Add(-26*time.Hour), "apt-get -o Dpkg::Options::=--force-confold -y upgrade")
			s.On(side).Canary = nil
		}
	}},
	{"changed-by-upgrade-proven", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			security(s.On(side), now.Add(-26*time.Hour), "apt-get dist-upgrade")
		}
	}},
	{"changed-long-ago", func(s *ops.Snapshot) {
		security(&s.Blue, now.Add(-9*24*time.Hour), "apt upgrade")
		security(&s.Green, now.Add(-31*24*time.Hour), "apt upgrade")
		s.Blue.Canary, s.Green.Canary = nil, nil
	}},
	{"changed-on-one-side", func(s *ops.Snapshot) {
		security(&s.Green, now.Add(-3*24*time.Hour), "apt-get install containerd=1.6.24~ds1-1")
		s.Green.Facts.Packages["containerd"] = "1.6.24~ds1-1"
		s.Blue.Upkeep.Offered = map[string][]string{"containerd": {"1.6.24~ds1-1"}}
	}},
	{"change-interrupted", func(s *ops.Snapshot) {
		security(&s.Green, now.Add(-3*24*time.Hour), "apt-get upgrade")
		s.Green.Upkeep.Changes[0].Err = "interrupted"
		s.Green.Upkeep.Broken = []string{"runc"}
	}},
	{"upgrades-pending", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			s.On(side).Upkeep.Held = []string{"docker-compose"}
			s.On(side).Upkeep.Pending = []ops.VersionChange{
				{Name: "docker.io", From: "20.10.24+dfsg1-1", To: "20.10.24+dfsg1-1+deb12u1"}, {Name: "runc", From: "1.1.5+ds1-1+b1", To: "1.1.5+ds1-1+deb12u1"},
				{Name: "docker-compose", From: "1.29.2-3", To: "1.29.2-4"},
			}
		}
	}},
	{"upgrades-pending-misfit", func(s *ops.Snapshot) {
		s.Green.Upkeep.Held = nil
		s.Green.Upkeep.Pending = []ops.VersionChange{{Name: "docker.io", From: "20.10.24+dfsg1-1", To: "26.1.5+dfsg1-9"}}
	}},
	{"packages-as-delivered", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			u := &s.On(side).Upkeep
			u.Held, u.ListsAt, u.Silent = nil, now.Add(-8*24*time.Hour), []string{"http://deb.debian.org/debian bookworm InRelease"}
		}
	}},
	{"packages-busy", func(s *ops.Snapshot) {
		s.Green.Upkeep.Busy, s.Green.Upkeep.Broken = "apt-get, process 4711", []string{"runc"}
	}},
	{"upkeep-unread", func(s *ops.Snapshot) {
		s.Blue.Care = ops.Look{Err: problem("reading the package manager", "no answer in 10s", "")}
		s.Green.Upkeep = ops.Upkeep{Manager: "apt", Unread: []string{"/var/log/apt/history.log"}}
	}},
	{"upkeep-none", func(s *ops.Snapshot) { s.Green.Upkeep = ops.Upkeep{} }},
	{"unread-alike", func(s *ops.Snapshot) { s.Blue.Care, s.Green.Care = ops.Look{}, ops.Look{} }},
	{"unread", func(s *ops.Snapshot) {
		s.Blue.Care, s.Blue.Images, s.Balancer.Look = ops.Look{}, []ops.Image{}, ops.Look{}
	}},
	{"os-and-api-differ", func(s *ops.Snapshot) {
		s.Green.Facts.OS, s.Green.Version.API = "Debian GNU/Linux 13 (trixie)", "1.40"
	}},
	{"disk-and-inodes", func(s *ops.Snapshot) {
		s.Blue.Facts.DiskUsed, s.Blue.Facts.InodesUsed = 86<<30, 5.8e6
		s.Green.Facts.DiskUsed, s.Green.Facts.InodesTotal = 96<<30, 0
	}},
	{"memory-and-load", func(s *ops.Snapshot) {
		s.Green.Facts.MemAvailable, s.Green.Facts.Load1 = 700<<20, 20.5
		s.Blue.Facts.Load1 = 8.5
	}},
	{"load-at-the-start", func(s *ops.Snapshot) { s.Blue.Facts.Load1, s.Blue.Facts.Uptime = 30, 5*time.Minute }},
	{"clock-apart", func(s *ops.Snapshot) { s.Green.Facts.Ahead = -47 * time.Second }},
	{"clock-ours", func(s *ops.Snapshot) {
		s.Blue.Facts.Ahead, s.Green.Facts.Ahead = 3*time.Hour, 3*time.Hour+time.Second
	}},
	{"clock-of-the-peer", func(s *ops.Snapshot) {
		s.Blue.Facts.Ahead, s.Green.Facts.Ahead = 1500*time.Millisecond, -1500*time.Millisecond
	}},
	{"restart-loop", func(s *ops.Snapshot) {
		c := &s.Green.Service("tcs").Containers[0]
		c.Restarts, c.StartedAt = 12, now.Add(-20*time.Second)
		s.Blue.Service("tcs").Containers[0].Restarts = 12 // long ago
	}},
	{"out-of-memory", func(s *ops.Snapshot) { s.Green.Service("tcs").Containers[0].OOMKilled = true }},
	{"service-out-of-memory", func(s *ops.Snapshot) {
		for _, name := range []string{"tcs", "apache"} {
			s.Green.Service(name).Containers[0].OOMKilled, s.Green.Service(name).Containers[0].State = true, "exited"
			state(&s.Green, name, "exited 137", "killed: out of memory")
		}
	}},
	{"health-missing", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			for _, name := range []string{"tcs", "apache"} {
				s.On(side).Service(name).Containers[0].Health = ""
			}
		}
		s.Services[2].Ready.Kind = ops.ReadyHTTP
	}},
	{"image-outdated", func(s *ops.Snapshot) {
		s.Green.Images = []ops.Image{{ID: "sha256:77", Tags: []string{"tis/tcs:a9e11f0"}}, {ID: "sha256:0123456789abcdef", Tags: []string{"tis/apache:a9e11f0"}}}
		s.Green.Net = netFacts()
	}},
	{"image-differs-way-back", func(s *ops.Snapshot) {
		c := &s.Green.Service("tcs").Containers[0]
		c.Image, c.ImageID, c.CreatedAt = "tis/tcs:b770c1e", "sha256:ffff", now.Add(-time.Hour)
		s.Green.Images, s.Green.Net = []ops.Image{{ID: "sha256:ffff"}, {ID: "sha256:0123456789abcdef"}}, netFacts()
	}},
	{"jobs-overdue", func(s *ops.Snapshot) {
		s.Pair.Jobs = []ops.Job{
			{Name: "ndw-etl", MaxAge: 26 * time.Hour, Only: ops.Green}, {Name: "esr-etl", MaxAge: 26 * time.Hour, Only: ops.Green},
			{Name: "on-either", MaxAge: 26 * time.Hour}, {Name: "running", MaxAge: time.Hour, Only: ops.Green}, {Name: "whenever", Only: ops.Green},
		}
		old, good := ops.Container{State: "exited", FinishedAt: now.Add(-40 * time.Hour)}, ops.Container{State: "exited", FinishedAt: now.Add(-4 * time.Hour)}
		s.Green.Jobs = []ops.JobState{
			{Name: "ndw-etl", Here: true, Last: &old}, {Name: "esr-etl", Here: true}, {Name: "on-either", Here: true, Last: &old}, {Name: "running", Here: true, Running: true}, {Name: "whenever", Here: true},
		}
		s.Blue.Jobs = []ops.JobState{{Name: "on-either", Here: true, Last: &good}}
	}},
	{"jobs-long", func(s *ops.Snapshot) {
		s.Pair.Jobs = []ops.Job{{Name: "new", MaxAge: 2 * time.Hour}, {Name: "known", MaxAge: 26 * time.Hour}, {Name: "usual", MaxAge: time.Hour}}
		run := func(began time.Duration) ops.Container {
			return ops.Container{State: "running", StartedAt: now.Add(-began)}
		}
		before := ops.Container{State: "exited", StartedAt: now.Add(-25 * time.Hour), FinishedAt: now.Add(-24*time.Hour - 40*time.Minute)}
		s.Green.Jobs = []ops.JobState{
			{Name: "new", Here: true, Running: true, Container: []ops.Container{run(3 * time.Hour)}},
			{Name: "known", Here: true, Running: true, Container: []ops.Container{before, run(61 * time.Minute)}},
			{Name: "usual", Here: true, Running: true, Container: []ops.Container{before, run(59 * time.Minute)}},
		}
	}},
	{"networks-overlap", func(s *ops.Snapshot) {
		s.Pair.Networks = ops.Networks{Reserved: prefixes("172.31.0.0/16"), Pools: []ops.Pool{{Base: netip.MustParsePrefix("10.200.0.0/16"), Size: 24}}}
		s.Blue.Net, s.Green.Net = netFacts(), netFacts()
		s.Blue.Networks = []ops.Network{{Name: "tis_default", Subnets: []string{"172.18.0.0/16"}}}
		s.Green.Networks = []ops.Network{
			{Name: "bridge", Subnets: []string{"172.18.0.0/16"}}, {Name: "tis_default", Subnets: []string{"172.31.0.0/16", "odd"}}, {Name: "wide", Subnets: []string{"10.0.0.0/15"}},
		}
	}},
	{"network-overlaps-the-peer", func(s *ops.Snapshot) {
		s.Green.Networks = []ops.Network{{Name: "tis_default", Subnets: []string{"10.0.1.0/24"}}}
	}},
	{"pools-overlap", func(s *ops.Snapshot) {
		s.Pair.Networks.Reserved = prefixes("10.200.128.0/17", "172.31.0.0/16")
		s.Blue.Net, s.Green.Net = netFacts(), netFacts()
		s.Blue.Net.Pools = nil
	}},
	{"pools-short", func(s *ops.Snapshot) {
		s.Blue.Net, s.Green.Net = netFacts(), netFacts()
		s.Blue.Net.Pools = []ops.Pool{{Base: netip.MustParsePrefix("10.200.0.0/22"), Size: 24}}
		s.Green.Net.Pools = s.Blue.Net.Pools
		for i := range 4 {
			n := ops.Network{Name: fmt.Sprint("n", i), Subnets: []string{fmt.Sprintf("10.200.%d.0/24", i)}}
			s.Green.Networks = append(s.Green.Networks, n)
			if i < 2 {
				s.Blue.Networks = append(s.Blue.Networks, n)
			}
		}
	}},
	{"balancer-wants-both", func(s *ops.Snapshot) {
		s.Balancer.Minimum, s.Balancer.Wants = 2, []string{"web wants 2 healthy targets (unhealthy state routing)"}
		s.Balancer.Faults = []string{"load balancer tis is failed"}
	}},
	{"balancer-wants-more", func(s *ops.Snapshot) {
		s.Balancer.Minimum, s.Balancer.Wants = 3, []string{"web wants 3 healthy targets (dns failover)"}
	}},
	{"zonal-shift", func(s *ops.Snapshot) {
		s.Balancer.Green = ops.SideTraffic{Traffic: ops.Down, Members: []ops.Member{{Pool: "web", Traffic: ops.Down, Shifted: true}, {Pool: "api", Traffic: ops.InService}}}
	}},
	{"pools-disagree", func(s *ops.Snapshot) {
		s.Balancer.Green = ops.SideTraffic{Traffic: ops.Unknown, Detail: "partly: in service in web; out in api", Members: []ops.Member{{Pool: "web", Traffic: ops.InService}, {Pool: "api", Traffic: ops.Out}}}
	}},
	{"side-out-known", func(s *ops.Snapshot) {
		s.Balancer.Green.Traffic = ops.Out
		s.Green.Drained = &ops.Drained{Run: "7f3a", At: now.Add(-26 * time.Hour), By: "jo", From: "laptop"}
	}},
	{"side-out-unknown", func(s *ops.Snapshot) {
		s.Balancer.Green.Traffic, s.Balancer.Green.Since = ops.Draining, now.Add(-time.Hour)
	}},
	{"one-side", func(s *ops.Snapshot) {
		s.Balancer.Green.Traffic = ops.Out
		state(&s.Green, "tcs", "exited 1", "")
	}},
	{"no-side", func(s *ops.Snapshot) {
		s.Balancer.Blue.Traffic, s.Balancer.Green.Traffic = ops.Down, ops.Out
	}},
	{"foreign-change", func(s *ops.Snapshot) {
		s.Blue.Lock = &ops.LockInfo{Run: "7f3a", Op: ops.OpRecover, Side: ops.Green, By: "jo", From: "laptop", Since: now.Add(-time.Hour), Beat: now}
		for _, side := range ops.Sides { // green is the run's own
			for _, name := range []string{"tcs", "apache"} {
				s.On(side).Service(name).Containers[0].CreatedAt = now.Add(-10 * time.Minute)
			}
		}
		s.Blue.Others = []ops.Container{{Name: "tandem-canary-1", CreatedAt: now, Labels: map[string]string{ops.LabelCanary: "1"}}}
		security(&s.Green, now.Add(-12*time.Minute), "apt-get upgrade")
	}},
	{"own-change", func(s *ops.Snapshot) {
		s.Blue.Lock = &ops.LockInfo{Run: "7f3a", Op: ops.OpRecover, Side: ops.Green, Both: true, Since: now.Add(-time.Hour), Beat: now}
		for _, side := range ops.Sides {
			s.On(side).Service("tcs").Containers[0].CreatedAt = now.Add(-10 * time.Minute)
		}
		s.Green.Facts.Ahead = time.Second
	}},
	{"compose-differs", func(s *ops.Snapshot) { s.Green.Facts.Compose = "2.29.1" }},
	{"compose-missing-on-both", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			s.On(side).Facts.Compose = ""
			s.On(side).Service("tcs").Containers[0].Labels = map[string]string{labelProject: "tis"}
		}
	}},
	{"compose-missing", func(s *ops.Snapshot) { s.Blue.Facts.Compose = "" }},
	{"reboot-required", func(s *ops.Snapshot) { s.Green.Facts.RebootRequired = true }},
	{"image-differs", func(s *ops.Snapshot) {
		s.Green.Service("tcs").Containers[0].Image, s.Green.Service("tcs").Containers[0].ImageID = "lb:5000/tis/tcs:b770c1e", "sha256:ffff"
	}},
	{"image-behind-one-tag", func(s *ops.Snapshot) {
		s.Green.Service("tcs").Containers[0].ImageID = "sha256:ffffeeeeddddcccc"
	}},
	{"images-differ", func(s *ops.Snapshot) {
		for _, name := range []string{"keycloak", "tcs"} {
			c := &s.Green.Service(name).Containers[0]
			c.Image, c.ImageID = "tis/"+name+":new", "sha256:ffff"
		}
	}},
	{"incident", func(s *ops.Snapshot) {
		for _, side := range ops.Sides {
			upgraded(s.On(side))
			s.On(side).Facts.RebootRequired = true
		}
		s.Green.Jobs = []ops.JobState{{Name: "ndw-etl", Here: true, Last: &ops.Container{State: "exited", ExitCode: 125, FinishedAt: now.Add(-13 * time.Hour)}}}
		state(&s.Green, "apache", "exited 1", "")
		s.Balancer.Green = ops.SideTraffic{Traffic: ops.Down, Check: "L4CON"}
	}},
}

// asked is a request in one line.
func asked(r *ops.Request) string {
	words := append([]string{string(r.Op), string(r.Side)}, r.Services...)
	for _, m := range []map[string]string{r.Images, r.Packages} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			words = append(words, name+"="+m[name])
		}
	}
	if r.Start != "" {
		words = append(words, "start="+string(r.Start))
	}
	return strings.Join(words, " ")
}

func TestAll(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			snap := calm()
			c.change(&snap)
			var b strings.Builder
			for _, f := range All(snap, now) {
				fmt.Fprintf(&b, "%s %s [%s] %s\n", f.Severity, f.Side.Upper(), f.ID, f.Title)
				if f.Detail != "" {
					fmt.Fprintf(&b, "  detail: %s\n", f.Detail)
				}
				if f.Hint != "" {
					fmt.Fprintf(&b, "  hint: %s\n", f.Hint)
				}
				if f.Do != nil {
					fmt.Fprintf(&b, "  do: %s\n", asked(f.Do))
				}
			}
			path := filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEveryRuleSpeaks: a rule that no case makes speak is not tested.
func TestEveryRuleSpeaks(t *testing.T) {
	for i, rule := range rules {
		spoke := false
		for _, c := range cases {
			snap := calm()
			c.change(&snap)
			spoke = spoke || len(rule(view{snap, now})) > 0
		}
		if !spoke {
			t.Errorf("rule %d has no case", i)
		}
	}
}

// TestDoc: the list in the package's doc is whole, and every finding of it is in a golden.
func TestDoc(t *testing.T) {
	source, err := os.ReadFile("findings.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, _, _ := strings.Cut(string(source), "\npackage findings")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^//   - (.*?)( \(|:|$)`).FindAllStringSubmatch(doc, -1) {
		for part := range strings.SplitSeq(m[1], ", ") {
			listed[part] = true
		}
	}
	for _, m := range regexp.MustCompile(`, ([a-z-]+) \(`).FindAllStringSubmatch(doc, -1) {
		listed[m[1]] = true
	}
	spoken := map[string]bool{}
	for _, c := range cases {
		golden, err := os.ReadFile(filepath.Join("testdata", c.name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^[a-z]+ [A-Z]+ \[([a-z-]+)\]`).FindAllStringSubmatch(string(golden), -1) {
			spoken[m[1]] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(spoken)), slices.Sorted(maps.Keys(listed))); diff != "" {
		t.Errorf("in the goldens (-), in the doc (+): %s", diff)
	}
}

func TestBlanket(t *testing.T) {
	for command, want := range map[string]bool{
		"apt-get upgrade": true, "apt-get -y -o Dpkg::Options::=--force-confold upgrade": true, "apt full-upgrade": true, "/usr/bin/apt-get dist-upgrade -q": true,
		"/usr/bin/python3 /usr/bin/unattended-upgrade": true, "/usr/bin/unattended-upgrade": true, "yum update": true, "dnf -y upgrade": true,
		"aptitude safe-upgrade": true, "packagekitd role='update-packages'": true,
		"apt-get install docker.io=20.10.24+dfsg1-1": false, "apt-get update": false, "dnf upgrade docker-ce": false, "apt-get -t upgrade install x": false, "": false, "sudo": false,
	} {
		if got := blanket(command); (got != "") != want {
			t.Errorf("%q is said to be %q", command, got)
		}
	}
}
