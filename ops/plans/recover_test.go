package plans

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tandem/ops"
	"tandem/ops/steps"
)

// recoverable is a calm pair made by compose, with a job that has run, and with pools in
// the config that are not in effect.
func recoverable() ops.Snapshot {
	snap := calm()
	prefix := netip.MustParsePrefix
	snap.Pair.Networks = ops.Networks{
		Pools: []ops.Pool{{Base: prefix("10.200.0.0/16"), Size: 24}}, Reserved: []netip.Prefix{prefix("10.0.0.0/17")},
	}
	labels := func(service string) map[string]string {
		return map[string]string{
			labelProject: "tis", labelService: service, labelDirectory: "/opt/tis", labelFiles: "/opt/tis/docker-compose.yml",
			"com.docker.compose.container-number": "1",
		}
	}
	for i, side := range ops.Sides {
		s := snap.On(side)
		s.Facts.Compose, s.Facts.ComposeHow, s.Facts.Installed = "2.24.5", "docker compose", "26.1.5"
		s.Version = ops.EngineVersion{Running: "26.1.5", API: "1.45"}
		s.Networks = []ops.Network{
			{ID: "n0", Name: "bridge", Driver: "bridge", Subnets: []string{"172.17.0.0/16"}},
			{ID: "n1", Name: "tis_default", Driver: "bridge", Subnets: []string{"172.18.0.0/16"}, Labels: map[string]string{labelNetwork: "default"}},
			{ID: "n2", Name: "shared", Driver: "bridge", Subnets: []string{"10.77.0.0/24"}},
		}
		s.Net = &ops.NetFacts{
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(11 + i)}), 24)},
			Routes:    []netip.Prefix{prefix("10.0.1.0/24")}, Client: netip.MustParseAddr("10.0.1.5"), Validates: true,
		}
		for j := range s.Services {
			svc := &s.Services[j]
			for k := range svc.Containers {
				svc.Containers[k].Labels, svc.Containers[k].Policy = labels(svc.Name), "always"
				if svc.Name == "apache" {
					svc.Containers[k].Networks = append(svc.Containers[k].Networks, "shared")
				}
			}
		}
	}
	etl := ops.Container{
		ID: "etl1", Name: "tis-ndw-etl-1", State: "exited", Image: "ndw-etl:a41f0c9", ImageID: "sha256:aaaaaaaaaaaaaaaa",
		Labels: labels("ndw-etl"), Networks: []string{"tis_default"},
	}
	snap.Green.Jobs[0].Container = []ops.Container{etl}
	return snap
}

// incident is Friday of the incident: both engines upgraded under a compose that stayed
// behind, docker restarted on green, where nothing came back.
func incident(snap *ops.Snapshot) {
	none := 0.0
	for _, side := range ops.Sides {
		s := snap.On(side)
		s.Facts.Compose, s.Facts.ComposeHow = "1.29.2", "docker-compose"
	}
	snap.Blue.Version.Running = "20.10.24"
	snap.Green.Canary = &ops.CanaryResult{At: at, Text: "the engine refused it"}
	snap.Balancer.Green.Traffic, snap.Balancer.Green.Share = ops.Down, &none
	for i := range snap.Green.Services {
		svc := &snap.Green.Services[i]
		svc.Ready, svc.State = false, "exited 1"
		for k := range svc.Containers {
			svc.Containers[k].State = "exited"
		}
	}
}

func TestRecover(t *testing.T) {
	green := ops.Request{Op: ops.OpRecover, Side: ops.Green}
	with := func(change func(*ops.Request)) ops.Request {
		req := green
		change(&req)
		return req
	}
	other := func(name, state string, networks ...string) func(*ops.Snapshot) {
		return func(s *ops.Snapshot) {
			s.Green.Others = append(s.Green.Others, ops.Container{ID: name + "1", Name: name, State: state, Policy: "always", Networks: networks})
		}
	}
	table := []struct {
		name   string
		change func(*ops.Snapshot)
		req    ops.Request
	}{
		{"calm", nil, green},
		{"incident", incident, green},
		{"incident-both", incident, ops.Request{Op: ops.OpRecover, Both: true}},
		{"both-straight-on", nil, ops.Request{Op: ops.OpRecover, Both: true, StraightOn: true}},
		{"both-peer-canary-accepted", incident, ops.Request{Op: ops.OpRecover, Both: true, Reason: "BLUE only has to go on serving", Accept: []ops.Risk{{Guard: "peer-canary"}}}},
		{"blue", nil, ops.Request{Op: ops.OpRecover, Side: ops.Blue}},
		{"out-already", func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }, green},
		{"without-everything", nil, with(func(r *ops.Request) { r.Without = []string{ops.PartReboot, ops.PartPools, ops.PartPutBack} })},
		{"no-pools-in-config", func(s *ops.Snapshot) { s.Pair.Networks.Pools = nil }, green},
		{"pools-in-effect", func(s *ops.Snapshot) { s.Green.Net.Pools = s.Pair.Networks.Pools }, green},
		{"start-api", nil, with(func(r *ops.Request) { r.Start = ops.StartAPI })},
		{"not-by-compose", func(s *ops.Snapshot) {
			s.Green.Services[2].Containers[0].Labels = nil
			s.Green.Services[3].Containers[0].Anonymous = []string{"0123456789abcdef"}
		}, green},
		{"two-first-services", func(s *ops.Snapshot) {
			s.Services = append([]ops.Service{{Name: "mail"}}, s.Services...)
			c := s.Green.Services[0].Containers[0]
			c.ID, c.Name = "mail1", "tis-mail-1"
			s.Green.Services = append(s.Green.Services, ops.ServiceState{Name: "mail", Here: true, Ready: true, State: "healthy", Containers: []ops.Container{c}})
		}, green},
		{"others", func(s *ops.Snapshot) {
			other("grafana", "running")(s)
			other("old-batch", "exited")(s)
			other(ops.KeptName("tis-tcs-1", "0123456789"), "exited")(s)
		}, green},
		{"foreign-on-network", other("grafana", "running", "tis_default"), green},
		{"missing-container", func(s *ops.Snapshot) {
			s.Green.Services[2] = ops.ServiceState{Name: "profile", Here: true, State: "missing"}
		}, green},
		{"peer-down", func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Down }, green},
		{"job-running", func(s *ops.Snapshot) { s.Green.Jobs[0].Running = true; s.Green.Jobs[0].Container[0].State = "running" }, green},
		{"job-running-accepted", func(s *ops.Snapshot) { s.Green.Jobs[0].Running = true; s.Green.Jobs[0].Container[0].State = "running" },
			with(func(r *ops.Request) { r.Accept = []ops.Risk{{Guard: "no-job-running", Reason: "it can run again"}} })},
		{"pools-clash", func(s *ops.Snapshot) { s.Pair.Networks.Pools[0].Base = netip.MustParsePrefix("10.0.0.0/16") }, green},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := recoverable()
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

func TestBadRecoveries(t *testing.T) {
	table := []struct {
		name   string
		req    ops.Request
		change func(*ops.Snapshot)
		want   string
	}{
		{"part misspelt", ops.Request{Side: ops.Green, Without: []string{"rebot"}}, nil, `a recovery has no part "rebot" to leave out: did you mean reboot?`},
		{"way unknown", ops.Request{Side: ops.Green, Start: "hand"}, nil, `services cannot be started by "hand": use compose or api`},
		{"services", ops.Request{Side: ops.Green, Services: []string{"tcs"}}, nil, "recover is for a whole side: to restart tcs use restart"},
		{"both without the put-back", ops.Request{Side: ops.Green, Both: true, Without: []string{"put-back"}}, nil,
			"recovering both needs the put-back: BLUE cannot go out before GREEN is in service again"},
		{"not made by compose", ops.Request{Side: ops.Green, Start: ops.StartCompose}, func(s *ops.Snapshot) { s.Green.Services[0].Containers[0].Labels = nil },
			"compose cannot start keycloak on GREEN: tis-keycloak-1 was not made by compose; without --start compose it is started through the engine's API"},
		{"no compose", ops.Request{Side: ops.Green, Start: ops.StartCompose}, func(s *ops.Snapshot) { s.Green.Facts.ComposeHow = "" },
			"compose cannot start keycloak on GREEN: it was not found there; without --start compose it is started through the engine's API"},
		{"nothing there", ops.Request{Side: ops.Green}, func(s *ops.Snapshot) {
			for i := range s.Green.Services {
				s.Green.Services[i].Containers = nil
			}
		}, "no service of GREEN has a container to make anew: resume or roll back the run that removed them, or start them with compose"},
		{"two projects", ops.Request{Side: ops.Green}, func(s *ops.Snapshot) {
			s.Green.Services[0] = ops.ServiceState{Name: "keycloak", Here: true, State: "unknown", Why: "two projects have it"}
		}, "the containers of keycloak on GREEN are not known: two projects have it"},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := recoverable()
			if test.change != nil {
				test.change(&snap)
			}
			test.req.Op = ops.OpRecover
			if _, err := Make(snap, test.req, "r1"); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	if _, err := Make(recoverable(), ops.Request{Op: ops.OpDrain, Both: true}, "r1"); err == nil || err.Error() != "drain is for one side: use blue or green" {
		t.Errorf("drain of both: %v", err)
	}
}

// The recovery of both begins with the side in the worse state.
func TestFirst(t *testing.T) {
	table := map[string]struct {
		change func(*ops.Snapshot)
		want   ops.Side
	}{
		"calm":                     {func(*ops.Snapshot) {}, ops.Green},
		"incident":                 {incident, ops.Green},
		"blue out":                 {func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Out; s.Green.Services[0].Ready = false }, ops.Blue},
		"fewer of blue are ready":  {func(s *ops.Snapshot) { s.Blue.Services[0].Ready = false }, ops.Blue},
		"fewer of green are ready": {func(s *ops.Snapshot) { s.Green.Services[0].Ready = false }, ops.Green},
	}
	for name, test := range table {
		snap := recoverable()
		test.change(&snap)
		if got := First(&snap); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A network gets a new range only where the engine may have chosen the old one, and pools
// are moved.
func TestEngineChose(t *testing.T) {
	for subnet, want := range map[string]bool{
		"172.18.0.0/16": true, "172.31.0.0/16": true, "192.168.16.0/20": true, "10.200.7.0/24": true, "10.66.1.0/24": true,
		"172.18.1.0/24": false, "10.77.0.0/24": false, "192.168.0.0/24": false, "fd00::/64": false, "x": false, "": false,
	} {
		snap := recoverable()
		snap.Green.Net.Pools = []ops.Pool{{Base: netip.MustParsePrefix("10.66.0.0/16"), Size: 24}}
		r := &recoveryOf{draft: newDraft(&snap, ops.Request{Side: ops.Green}, "r1")}
		n := ops.Network{Name: "n"}
		if subnet != "" {
			n.Subnets = []string{subnet}
		}
		if got := r.engineChose(n); got != want {
			t.Errorf("%s: %v", subnet, got)
		}
	}
}

func TestBasisOfARecovery(t *testing.T) {
	made := func(change func(*ops.Snapshot)) string {
		snap := recoverable()
		if change != nil {
			change(&snap)
		}
		plan, err := Make(snap, ops.Request{Op: ops.OpRecover, Side: ops.Green}, "r1")
		if err != nil {
			t.Fatal(err)
		}
		return plan.Basis
	}
	first := made(nil)
	if made(func(s *ops.Snapshot) { s.At = s.At.Add(1); s.Green.Facts.Load1 = 3; s.Green.Facts.Uptime = 7 }) != first {
		t.Error("an age changed the basis")
	}
	for name, change := range map[string]func(*ops.Snapshot){
		"network":         func(s *ops.Snapshot) { s.Green.Networks[1].ID = "new" },
		"another network": func(s *ops.Snapshot) { s.Blue.Networks = s.Blue.Networks[:1] },
		"pools":           func(s *ops.Snapshot) { s.Green.Net.Pools = s.Pair.Networks.Pools },
		"config":          func(s *ops.Snapshot) { s.Pair.Networks.Pools[0].Size = 26 },
		"job container":   func(s *ops.Snapshot) { s.Green.Jobs[0].Container[0].ID = "new" },
		"other container": func(s *ops.Snapshot) { s.Green.Others = []ops.Container{{ID: "x", Name: "x"}} },
		"compose":         func(s *ops.Snapshot) { s.Green.Facts.Compose = "2.29.0" },
	} {
		if made(change) == first {
			t.Errorf("%s did not change the basis", name)
		}
	}
}

func TestUndoOfARecovery(t *testing.T) {
	for _, name := range []string{"reboot", "start", "start, let in again", "soak"} {
		t.Run(name, func(t *testing.T) {
			last, again, _ := strings.Cut(name, ", ")
			plan, err := Make(recoverable(), ops.Request{Op: ops.OpRecover, Side: ops.Green}, "r1")
			if err != nil {
				t.Fatal(err)
			}
			over := false
			run := ran(t, plan, func(_, kind string) ops.StepPhase {
				switch {
				case over:
					return ops.Waiting
				case kind == last:
					over = true
					return ops.Failed
				}
				return ops.Done
			})
			now := recoverable()
			if last != "soak" && again == "" {
				now.Balancer.Green.Traffic = ops.Out
			}
			back, err := Undo(run, plan, now)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, dump(back))
		})
	}
}

// What the second side of both is asked is about it, and its traffic.
func TestBothNamesEachSide(t *testing.T) {
	plan, err := Make(recoverable(), ops.Request{Op: ops.OpRecover, Both: true}, "r1")
	if err != nil {
		t.Fatal(err)
	}
	sides := map[ops.Side]int{}
	turns := 0
	for i, s := range plan.Steps {
		sides[s.Side]++
		if i > 0 && plan.Steps[i-1].Side != s.Side {
			turns++
		}
	}
	// GREEN, canary on BLUE, GREEN; BLUE, canary on GREEN, BLUE; unlock.
	if sides[ops.Blue] == 0 || sides[ops.Green] == 0 || turns != 6 {
		t.Errorf("steps by side %v, %d turns", sides, turns)
	}
	if got := fmt.Sprint(plan.OnlyHere); got != "[generic-upload ndw-etl]" {
		t.Errorf("only on one side: %s", got)
	}
}

// A job that runs on the second side is not accepted with one that runs on the first: its own
// check is shown, and has to be accepted for that side.
func TestARiskOfOneSideIsAskedOfTheOther(t *testing.T) {
	request := ops.Request{Op: ops.OpRecover, Side: ops.Green, Both: true, Accept: []ops.Risk{{Guard: "no-job-running", Reason: "INC-42"}}}
	refused := func(accept ...ops.Risk) []string {
		snap := recoverable()
		for _, side := range ops.Sides {
			on := snap.On(side)
			on.Jobs = []ops.JobState{{Name: "gmc-sync", Running: true, Container: on.Services[0].Containers}}
		}
		request.Accept = append(request.Accept, accept...)
		plan, err := Make(snap, request, "r1")
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		if r := plan.Refusal(); r != nil {
			for _, c := range r.Checks {
				texts = append(texts, c.Text)
			}
		}
		return texts
	}
	if got := refused(); !slices.Equal(got, []string{"running on BLUE: gmc-sync"}) {
		t.Errorf("refused: %q", got)
	}
	if got := refused(ops.Risk{Guard: "no-job-running", Reason: "INC-42", Side: ops.Blue}); got != nil {
		t.Errorf("accepted for both, and refused: %q", got)
	}
}

// What the last canary on the peer found is asked before the start, so that it can be
// accepted there: the run would find it again, take itself back, and leave nothing to accept.
func TestAFailedCanaryOfThePeerIsAsked(t *testing.T) {
	snap := recoverable()
	incident(&snap)
	snap.Blue.Canary = &ops.CanaryResult{At: snap.At, Text: "no address left"}
	request := ops.Request{Op: ops.OpRecover, Side: ops.Green, Both: true, Start: ops.StartAPI, Without: []string{"pools"}}
	plan, err := Make(snap, request, "r1")
	if err != nil {
		t.Fatal(err)
	}
	r := plan.Refusal()
	if r == nil || len(r.Checks) != 1 || r.Checks[0].Guard != "peer-canary" || r.Checks[0].Absolute {
		t.Fatalf("the refusal is %v", r)
	}
	request.Accept = []ops.Risk{{Guard: "peer-canary", Reason: "INC-42"}}
	if plan, err = Make(snap, request, "r1"); err != nil || plan.Refusal() != nil {
		t.Errorf("accepted: %v, %v", plan.Refusal(), err)
	}
}

// Without a restart of its engine the first side may go on at odds with what is installed
// there, which would keep the second part from beginning: the plan says so.
func TestVersionsAreAskedWhereNoEngineIsRestarted(t *testing.T) {
	for _, without := range [][]string{{"reboot", "pools"}, {"pools"}} {
		snap := recoverable()
		snap.Green.Facts.EngineReplaced = true
		plan, err := Make(snap, ops.Request{Op: ops.OpRecover, Side: ops.Green, Both: true, Without: without}, "r1")
		if err != nil {
			t.Fatal(err)
		}
		asked := slices.ContainsFunc(plan.Checks, func(c ops.Check) bool { return c.Guard == "versions-agree" && c.State == ops.Fail })
		if asked != (len(without) == 2) {
			t.Errorf("without %q: asked %t", without, asked)
		}
	}
}

func TestEverythingIsRecordedBeforeTheFirstIsRemoved(t *testing.T) {
	snap := recoverable()
	snap.Balancer.Green.Traffic = ops.Out
	plan, err := Make(snap, ops.Request{Op: ops.OpRecover, Side: ops.Green, Without: []string{"pools"}}, "r1")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Steps {
		switch step := s.Step.(type) {
		case steps.Hold:
			if step.File == "" || len(step.Networks) == 0 {
				t.Errorf("it records %+v", step)
			}
			return
		case steps.Remove, steps.RemoveNetworks, steps.Pools:
			t.Fatalf("%s comes first", s.ID)
		}
	}
}
