package plans

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/steps"
)

const (
	earlier = "20.10.24+dfsg1-1+deb12u1+b2"
	later   = "26.1.5+dfsg1-9+b1"
)

// forward are the packages of the patch that the incident should have been.
var forward = map[string]string{
	"docker.io": later, "docker-cli": later, "containerd": "1.7.24~ds1-6+b4", "runc": "1.1.15+ds1-2+b4", "docker-compose": "2.26.1-4",
}

// patchable is a pair of Debian 12 that is offered the packages of Debian 13.
func patchable() ops.Snapshot {
	snap := recoverable()
	for _, side := range ops.Sides {
		s := snap.On(side)
		s.Facts.Compose, s.Facts.ComposeHow, s.Facts.Installed = "1.29.2", "docker-compose", "20.10.24"
		s.Version = ops.EngineVersion{Running: "20.10.24+dfsg1", API: "1.41"}
		s.Facts.Packages = map[string]string{"docker.io": earlier, "containerd": "1.6.20~ds1-1+b1", "runc": "1.1.5+ds1-1+deb12u1", "docker-compose": "1.29.2-3"}
		s.Care = ops.Look{At: at}
		s.Upkeep = ops.Upkeep{Manager: "apt", ListsAt: at, Offered: map[string][]string{
			"docker.io": {later, earlier}, "docker-cli": {later}, "containerd": {"1.7.24~ds1-6+b4", "1.6.20~ds1-1+b1"},
			"runc": {"1.1.15+ds1-2+b4", "1.1.5+ds1-1+deb12u1"}, "docker-compose": {"2.26.1-4", "1.29.2-3"},
		}}
	}
	simulate(&snap.Green, forward)
	return snap
}

// simulate is an apt that does what it is asked to.
func simulate(s *ops.SideState, asked map[string]string, more ...ops.VersionChange) {
	s.Simulated = &ops.Simulation{At: at, Asked: asked, Changes: more}
	for _, name := range sortedKeys(asked) {
		if s.Facts.Packages[name] != asked[name] {
			s.Simulated.Changes = append(s.Simulated.Changes, ops.VersionChange{Name: name, From: s.Facts.Packages[name], To: asked[name]})
		}
	}
}

func TestPatch(t *testing.T) {
	green := ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: forward}
	without := func(names ...string) map[string]string {
		some := maps.Clone(forward)
		for _, name := range names {
			delete(some, name)
		}
		return some
	}
	table := []struct {
		name   string
		change func(*ops.Snapshot)
		req    ops.Request
	}{
		{"forward", nil, green},
		{"back", func(s *ops.Snapshot) {
			was := s.Green.Facts.Packages
			s.Green.Facts.Packages, s.Green.Facts.Installed, s.Green.Facts.Compose = maps.Clone(forward), "26.1.5", "2.26.1"
			s.Green.Version.Running = "26.1.5+dfsg1"
			asked := maps.Clone(was)
			asked["docker-cli"] = ""
			simulate(&s.Green, asked)
		}, ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: map[string]string{
			"docker.io": earlier, "docker-cli": "", "containerd": "1.6.20~ds1-1+b1", "runc": "1.1.5+ds1-1+deb12u1", "docker-compose": "1.29.2-3",
		}}},
		{"more-than-asked", func(s *ops.Snapshot) {
			simulate(&s.Green, without("containerd", "docker-cli"), ops.VersionChange{Name: "containerd", From: "1.6.20~ds1-1+b1", To: "1.7.24~ds1-6+b4"},
				ops.VersionChange{Name: "docker-cli", To: later}, ops.VersionChange{Name: "nginx", From: "1.22.1-9"})
		}, ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: without("containerd", "docker-cli")}},
		{"compose-left-behind", func(s *ops.Snapshot) { simulate(&s.Green, without("docker-compose")) },
			ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: without("docker-compose")}},
		{"compose-left-behind-accepted", func(s *ops.Snapshot) { simulate(&s.Green, without("docker-compose")) },
			ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: without("docker-compose"), Accept: []ops.Risk{{Guard: "compose-fits", Reason: "compose is not used"}}}},
		{"compose-alone", func(s *ops.Snapshot) { simulate(&s.Green, map[string]string{"docker-compose": "2.26.1-4"}) },
			ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: map[string]string{"docker-compose": "2.26.1-4"}}},
		{"no-way-back", func(s *ops.Snapshot) { s.Green.Upkeep.Offered["docker.io"] = []string{later} }, green},
		{"kept-on-the-host", func(s *ops.Snapshot) {
			s.Green.Upkeep.Offered["docker.io"] = []string{later}
			s.Green.Upkeep.Kept = map[string][]string{"docker.io": {earlier}}
		}, green},
		{"apt-refuses", func(s *ops.Snapshot) {
			s.Green.Simulated.Changes, s.Green.Simulated.Err = nil, "Version '9' for 'runc' was not found"
		}, green},
		{"apt-at-work", func(s *ops.Snapshot) { s.Green.Upkeep.Busy = "apt-get, process 4711" }, green},
		{"half-installed", func(s *ops.Snapshot) { s.Green.Upkeep.Broken = []string{"docker.io"} }, green},
		{"dnf", func(s *ops.Snapshot) { s.Green.Upkeep.Manager = "dnf" }, green},
		{"not-simulated", func(s *ops.Snapshot) { s.Green.Simulated = nil }, green},
		{"out-already", func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }, green},
		{"peer-not-proven", func(s *ops.Snapshot) {
			s.Balancer.Blue.Traffic = ops.Down
			s.Blue.Services[1].Ready, s.Blue.Services[1].State = false, "exited 1"
		}, green},
		{"job-running", func(s *ops.Snapshot) { s.Green.Jobs[0].Running = true; s.Green.Jobs[0].Container[0].State = "running" }, green},
		{"one-not-ready", func(s *ops.Snapshot) { s.Green.Services[2].Ready, s.Green.Services[2].State = false, "unhealthy" }, green},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := patchable()
			if test.change != nil {
				test.change(&snap)
			}
			plan, err := Make(snap, test.req, "r1")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, dump(plan))
			wellFormed(t, plan)
			if !plan.Patient {
				t.Error("it is not patient")
			}
		})
	}
}

func TestBadPatches(t *testing.T) {
	for name, test := range map[string]struct {
		req ops.Request
		err string
	}{
		"nothing":  {ops.Request{}, "patch to which versions? give at least one: --to 26.1.5, or --to PACKAGE=VERSION"},
		"present":  {ops.Request{Packages: map[string]string{"docker.io": earlier, "runc": "1.1.5+ds1-1+deb12u1"}}, "GREEN has these versions already: docker.io and runc"},
		"services": {ops.Request{Packages: forward, Services: []string{"tcs"}}, "patch is for a whole side, not for services of it"},
		"no drain": {ops.Request{Packages: forward, NoDrain: true}, "a side is not patched while it serves: --no-drain is for restart and rollback"},
		"both":     {ops.Request{Packages: forward, Both: true}, "patch is for one side: use blue or green"},
	} {
		snap := patchable()
		snap.Green.Simulated = nil
		test.req.Op, test.req.Side = ops.OpPatch, ops.Green
		if _, err := Make(snap, test.req, "r1"); err == nil || err.Error() != test.err {
			t.Errorf("%s: %v, want %q", name, err, test.err)
		}
	}
}

// What is known of the peer's canary is asked before the start: mended or accepted then, not
// found out again half-way.
func TestPatchAsksForThePeersCanary(t *testing.T) {
	snap := patchable()
	snap.Blue.Canary = &ops.CanaryResult{At: at, Text: "no address left"}
	plan, err := Make(snap, ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: forward}, "r1")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(plan.Checks, func(c ops.Check) bool { return c.Guard == steps.GuardPeerCanary && c.State != ops.Pass }) {
		t.Errorf("the failed canary is not among the checks: %+v", plan.Checks)
	}
}

// What the plan was confirmed for is what it relies on.
func TestPatchBasis(t *testing.T) {
	req := ops.Request{Op: ops.OpPatch, Side: ops.Green, Packages: forward}
	basis := func(change func(*ops.Snapshot)) string {
		snap := patchable()
		change(&snap)
		plan, err := Make(snap, req, "r1")
		if err != nil {
			t.Fatal(err)
		}
		return plan.Basis
	}
	same := basis(func(*ops.Snapshot) {})
	if later := basis(func(s *ops.Snapshot) { s.Green.Simulated.At = at.Add(60e9) }); later != same {
		t.Error("another time of the simulation is another basis")
	}
	for name, change := range map[string]func(*ops.Snapshot){
		"more changes": func(s *ops.Snapshot) {
			s.Green.Simulated.Changes = append(s.Green.Simulated.Changes, ops.VersionChange{Name: "nginx", To: "1"})
		},
		"another version": func(s *ops.Snapshot) { s.Green.Facts.Packages["runc"] = "1.1.6" },
	} {
		if basis(change) == same {
			t.Errorf("%s: the same basis", name)
		}
	}
}

func TestVersions(t *testing.T) {
	table := []struct {
		name   string
		change func(*ops.SideState)
		to     []string
		want   map[string]string
		err    string
	}{
		{"engine", nil, []string{"26.1.5"}, map[string]string{"docker.io": later, "docker-cli": later}, ""},
		{"engine, in full", nil, []string{earlier}, map[string]string{"docker.io": earlier}, ""},
		{"engine and compose", nil, []string{"26.1.5", "docker-compose=2.26.1-4"}, map[string]string{"docker.io": later, "docker-cli": later, "docker-compose": "2.26.1-4"}, ""},
		{"what is named counts", nil, []string{"docker-cli=9", "26.1.5"}, map[string]string{"docker.io": later, "docker-cli": "9"}, ""},
		{"taken away", nil, []string{"docker-cli="}, map[string]string{"docker-cli": ""}, ""},
		{"docker's own", func(s *ops.SideState) {
			s.Facts.Packages = map[string]string{"docker-ce": "5:24.0.7-1~debian.12~bookworm", "docker-ce-cli": "5:24.0.7-1~debian.12~bookworm"}
			for _, name := range []string{"docker-ce", "docker-ce-cli", "docker-ce-rootless-extras"} {
				s.Upkeep.Offered[name] = []string{"5:26.1.4-1~debian.12~bookworm", "5:24.0.7-1~debian.12~bookworm"}
			}
		}, []string{"26.1.4"}, map[string]string{"docker-ce": "5:26.1.4-1~debian.12~bookworm", "docker-ce-cli": "5:26.1.4-1~debian.12~bookworm"}, ""},
		{"not on offer", nil, []string{"27.0.0"}, nil, "docker.io 27.0.0 is not on offer on GREEN: there are " + later + " and " + earlier},
		{"offers not read", func(s *ops.SideState) { s.Care, s.Upkeep = ops.Look{}, ops.Upkeep{} }, []string{"26.1.5"}, nil,
			"which versions of docker.io are on offer on GREEN could not be read: give PACKAGE=VERSION"},
		{"engine of no package", func(s *ops.SideState) { s.Facts.Packages = nil }, []string{"26.1.5"}, nil,
			"which package the engine of GREEN comes from is not known: give PACKAGE=VERSION"},
		{"twice", nil, []string{"runc=1", "runc=2"}, nil, "runc to which version? 1 and 2 were given"},
		{"nameless", nil, []string{"=1"}, nil, `"=1" is neither a version nor PACKAGE=VERSION`},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := patchable()
			if test.change != nil {
				test.change(&snap.Green)
			}
			got, err := Versions(&snap.Green, test.to)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != test.err || !cmp.Equal(got, test.want) {
				t.Errorf("%v, %v; want %v, %q", got, err, test.want, test.err)
			}
		})
	}
}
