package steps

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

var noon = time.Date(2025, 6, 6, 12, 0, 0, 0, time.UTC)

// calm is a pair on which every guard for green passes.
func calm() ops.Snapshot {
	look := ops.Look{At: noon.Add(-time.Second)}
	s := ops.Snapshot{
		At: noon, Order: ops.OrderConfig, Pair: ops.Pair{Limits: ops.DefaultLimits()},
		Balancer: ops.BalancerStatus{Look: look, Minimum: 1, Blue: ops.SideTraffic{Traffic: ops.InService}, Green: ops.SideTraffic{Traffic: ops.InService}},
	}
	for _, side := range ops.Sides {
		*s.On(side) = ops.SideState{
			Side: side, Host: look, Engine: look, Link: ops.LinkUp, Canary: &ops.CanaryResult{At: noon.Add(-time.Minute), OK: true},
			Services: []ops.ServiceState{{Name: "tcs", Here: true, Ready: true, State: "healthy"}, {Name: "other", State: "not here"}},
			Jobs:     []ops.JobState{{Name: "etl"}}, Images: []ops.Image{{ID: "sha256:abcdef123456", Tags: []string{"tcs:1"}}},
		}
	}
	return s
}

func TestGuards(t *testing.T) {
	g := ops.Green
	refused := &ops.Problem{Doing: "reading", Err: ops.ErrThrottled}
	// What each guard must say when the data behind it is not to be acted upon.
	stale := func(l *ops.Look) { l.At = noon.Add(-16 * time.Second) }
	table := []struct {
		name   string
		guard  ops.Guard
		change func(*ops.Snapshot)
		want   ops.CheckState
		text   string
	}{
		{"versions agree", VersionsAgree(g), func(s *ops.Snapshot) {
			s.Green.Version.Running, s.Green.Facts.Installed = "26.1.5+dfsg1", "26.1.5"
		}, ops.Pass, "GREEN runs the engine that is installed, 26.1.5"},
		{"versions at odds", VersionsAgree(g), func(s *ops.Snapshot) {
			s.Green.Version.Running, s.Green.Facts.Installed = "20.10.24", "26.1.5"
		}, ops.Fail, "GREEN runs engine 20.10.24, another is installed (26.1.5)"},
		{"engine replaced", VersionsAgree(g), func(s *ops.Snapshot) {
			s.Green.Version.Running, s.Green.Facts.EngineReplaced = "20.10.24", true
		}, ops.Fail, "GREEN runs engine 20.10.24, another is installed"},
		{"no package", VersionsAgree(g), func(s *ops.Snapshot) { s.Green.Version.Running = "20.10.24" }, ops.Remark, "which one is installed is not known"},
		{"versions stale", VersionsAgree(g), func(s *ops.Snapshot) { stale(&s.Green.Host) }, ops.NotKnown, "its versions are not known"},
		{"peer in service", PeerInService(g), nil, ops.Pass, "BLUE is in service"},
		{"peer out", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Out }, ops.Fail, "BLUE is out: GREEN is the only side in service"},
		{"peer draining", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Draining }, ops.Fail, "BLUE is draining: GREEN is the only side"},
		{"peer down", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Blue = ops.SideTraffic{Traffic: ops.Down, Check: "L4CON"} }, ops.Fail, "BLUE is failing the balancer's check (L4CON): GREEN is the only side"},
		{"peer unknown", PeerInService(g), func(s *ops.Snapshot) {
			s.Balancer.Blue = ops.SideTraffic{Traffic: ops.Unknown, Detail: "zonal shift"}
		}, ops.NotKnown, "does not say whether BLUE serves (zonal shift)"},
		{"peer never seen", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = "" }, ops.NotKnown, "does not say"},
		{"peer: balancer stale", PeerInService(g), func(s *ops.Snapshot) { stale(&s.Balancer.Look) }, ops.NotKnown, "the balancer was last read 16 s ago"},
		{"peer: balancer throttled", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Look.Err = refused }, ops.NotKnown, "the balancer cannot be read: reading: throttled"},
		{"peer: balancer never read", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Look = ops.Look{} }, ops.NotKnown, "has not been read yet"},
		{"balancer wants two", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Minimum = 2 }, ops.Fail, "wants 2 sides in service, 1 would be left"},
		{"side out, peer out", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Out, ops.Out }, ops.Pass, "GREEN serves nothing already"},
		{"side down, peer out", PeerInService(g), func(s *ops.Snapshot) {
			s.Balancer.Green, s.Balancer.Blue.Traffic = ops.SideTraffic{Traffic: ops.Down, Share: new(float64)}, ops.Out
		}, ops.Pass, "GREEN serves nothing already"},
		{"side down and still given traffic, as by elbv2 without a healthy target", PeerInService(g), func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Down, ops.Down
		}, ops.Fail, "BLUE is failing the balancer's check"},
		{"in a rollback: out", SideOutAgain(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }, ops.Pass, "GREEN is out"},
		{"in a rollback: let in", SideOutAgain(g), nil, ops.Remark, "GREEN is in service again: it is drained first"},
		{"in a rollback: let in, peer out", SideOutAgain(g), func(s *ops.Snapshot) { s.Balancer.Blue.Traffic = ops.Out }, ops.Fail, "GREEN is in service again and cannot be drained: BLUE is out"},
		{"in a rollback: let in, peer not ready", SideOutAgain(g), func(s *ops.Snapshot) {
			s.Blue.Services[0].Ready, s.Blue.Services[0].State = false, "exited"
		}, ops.Fail, "cannot be drained: BLUE: 0 of 1 services ready"},
		{"in a rollback: let in, peer not known", SideOutAgain(g), func(s *ops.Snapshot) { stale(&s.Blue.Engine) }, ops.NotKnown, "cannot be drained: the engine of BLUE was last read"},
		{"in a rollback: balancer stale", SideOutAgain(g), func(s *ops.Snapshot) { stale(&s.Balancer.Look) }, ops.NotKnown, "whether GREEN is still out is not known"},
		{"side draining, peer out", PeerInService(g), func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Draining, ops.Out
		}, ops.Fail, "BLUE is out"},
		{"side unknown, peer out", PeerInService(g), func(s *ops.Snapshot) {
			s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Unknown, ops.Out
		}, ops.Fail, "BLUE is out"},
		{"side out by stale data", PeerInService(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out; stale(&s.Balancer.Look) }, ops.NotKnown, "last read 16 s ago"},

		{"peer ready", PeerReady(g), nil, ops.Pass, "BLUE: 1 of 1 services ready"},
		{"peer not ready", PeerReady(g), func(s *ops.Snapshot) { s.Blue.Services[0].Ready, s.Blue.Services[0].State = false, "exited 1" }, ops.Fail, "0 of 1 services ready; tcs exited 1"},
		{"peer readiness unknown", PeerReady(g), func(s *ops.Snapshot) { s.Blue.Services[0].Ready, s.Blue.Services[0].State = false, "unknown" }, ops.NotKnown, "not known: tcs"},
		{"peer engine stale", PeerReady(g), func(s *ops.Snapshot) { stale(&s.Blue.Engine) }, ops.NotKnown, "the engine of BLUE was last read 16 s ago"},
		{"peer engine silent", PeerReady(g), func(s *ops.Snapshot) { s.Blue.Engine.Err = refused }, ops.NotKnown, "cannot be read"},
		{"peer without services", PeerReady(g), func(s *ops.Snapshot) { s.Blue.Services = nil }, ops.NotKnown, "no service of BLUE is known"},
		{"peer not ready, side out", PeerReady(g), func(s *ops.Snapshot) { s.Blue.Services[0].Ready = false; s.Balancer.Green.Traffic = ops.Out }, ops.Pass, "BLUE need not take over"},

		{"services ready", ServicesReady(g, nil), nil, ops.Pass, "GREEN: 1 of 1"},
		{"not ready as before", ServicesReady(g, []string{"tcs"}), func(s *ops.Snapshot) { s.Green.Services[0].Ready = false }, ops.Remark, "as before this run: tcs"},

		{"peer reachable", PeerReachable(g), nil, ops.Pass, "BLUE answers"},
		{"peer link down", PeerReachable(g), func(s *ops.Snapshot) { s.Blue.Link = ops.LinkDown; s.Blue.Host.Err = refused }, ops.Fail, "BLUE cannot be reached (reading: throttled): the lock cannot be taken there"},
		{"peer link not yet up", PeerReachable(g), func(s *ops.Snapshot) { s.Blue.Link = ops.LinkConnecting }, ops.NotKnown, "not connected to BLUE yet"},
		{"peer never connected", PeerReachable(g), func(s *ops.Snapshot) { s.Blue.Link = ops.LinkNever }, ops.NotKnown, "not connected"},
		{"peer host stale", PeerReachable(g), func(s *ops.Snapshot) { stale(&s.Blue.Host) }, ops.NotKnown, "last read 16 s ago"},

		{"side fresh", SideFresh(g), nil, ops.Pass, "GREEN and its engine answer"},
		{"side link down", SideFresh(g), func(s *ops.Snapshot) { s.Green.Link = ops.LinkDown }, ops.Fail, "GREEN cannot be reached"},
		{"side engine stale", SideFresh(g), func(s *ops.Snapshot) { stale(&s.Green.Engine) }, ops.NotKnown, "the engine of GREEN"},

		{"in balancer", SideInBalancer(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Down }, ops.Pass, "GREEN is down"},
		{"in balancer unknown", SideInBalancer(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Unknown }, ops.NotKnown, "does not say what GREEN gets"},
		{"in balancer stale", SideInBalancer(g), func(s *ops.Snapshot) { stale(&s.Balancer.Look) }, ops.NotKnown, "not known"},

		{"side out", SideOut(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }, ops.Pass, "GREEN is out"},
		{"side out, drain lost", SideOut(g), nil, ops.Fail, "GREEN is in service"},
		{"side out unknown", SideOut(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = "" }, ops.NotKnown, "does not say"},
		{"side out stale", SideOut(g), func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out; stale(&s.Balancer.Look) }, ops.NotKnown, "still out is not known"},

		{"canary", PeerCanary(g), nil, ops.Pass, "BLUE can start a new container"},
		{"canary never", PeerCanary(g), func(s *ops.Snapshot) { s.Blue.Canary = nil }, ops.Remark, "was never tried"},
		{"canary old", PeerCanary(g), func(s *ops.Snapshot) { s.Blue.Canary.At = noon.Add(-2 * time.Hour) }, ops.Remark, "120 min ago"},
		{"canary failed", PeerCanary(g), func(s *ops.Snapshot) { s.Blue.Canary = &ops.CanaryResult{At: noon, Text: "no shim"} }, ops.Fail, "BLUE could not start a new container (no shim)"},

		{"no job", NoJobRunning(g), nil, ops.Pass, "no job is running on GREEN"},
		{"job", NoJobRunning(g), func(s *ops.Snapshot) { s.Green.Jobs[0].Running = true }, ops.Fail, "running on GREEN: etl"},
		{"job unknown", NoJobRunning(g), func(s *ops.Snapshot) { stale(&s.Green.Engine) }, ops.NotKnown, "whether a job runs is not known"},

		{"only here", OnlyHere(g), nil, ops.Pass, "nothing exists only on GREEN"},
		{"only here names", OnlyHere(g), func(s *ops.Snapshot) { s.Green.OnlyHere = []string{"up", "etl"}; s.Green.Jobs[0].Running = true }, ops.Remark, "only on GREEN: up, etl (running)"},
		{"only here unknown", OnlyHere(g), func(s *ops.Snapshot) { stale(&s.Green.Engine) }, ops.Remark, "what exists only there is not known"},

		{"image", ImagePresent(g, "tcs:1", "sha256:abcdef123456"), nil, ops.Pass, "image tcs:1 is on GREEN"},
		{"image absent", ImagePresent(g, "tcs:9", ""), nil, ops.Fail, "image tcs:9 is not on GREEN"},
		{"images not read", ImagePresent(g, "tcs:1", "sha256:abcdef123456"), func(s *ops.Snapshot) { s.Green.Images = nil }, ops.NotKnown, "have not been read"},
		{"images stale", ImagePresent(g, "tcs:1", "sha256:abcdef123456"), func(s *ops.Snapshot) { stale(&s.Green.Engine) }, ops.NotKnown, "not known"},

		{"order from config", OrderKnown(), nil, ops.Pass, "from the config"},
		{"order from labels", OrderKnown(), func(s *ops.Snapshot) { s.Order = ops.OrderLabels }, ops.Pass, "compose labels"},
		{"order unknown", OrderKnown(), func(s *ops.Snapshot) { s.Order = ops.OrderUnknown }, ops.NotKnown, "the start order is not known"},

		{"free", NotLocked("r1"), nil, ops.Pass, "no other run on BLUE and GREEN"},
		{"own lock", NotLocked("r1"), func(s *ops.Snapshot) { s.Blue.Lock = &ops.LockInfo{Run: "r1"} }, ops.Pass, "no other run"},
		{"other lock", NotLocked("r1"), func(s *ops.Snapshot) { s.Blue.Lock = &ops.LockInfo{Run: "r2", By: "sam", From: "desk"} }, ops.Fail, "BLUE: locked by sam at desk"},
		{"other lock, host since gone", NotLocked("r1"), func(s *ops.Snapshot) {
			s.Blue.Lock = &ops.LockInfo{Run: "r2"}
			s.Blue.Link = ops.LinkDown
		}, ops.Fail, "BLUE: locked by"},
		{"one host away", NotLocked("r1"), func(s *ops.Snapshot) { s.Blue.Link = ops.LinkDown }, ops.Pass, "no other run on GREEN"},
		{"both away", NotLocked("r1"), func(s *ops.Snapshot) { s.Blue.Link, s.Green.Link = ops.LinkDown, ops.LinkNever }, ops.NotKnown, "neither host can be read"},
		{"peer hangs: its silence is accepted elsewhere", NotLocked("r1"), func(s *ops.Snapshot) { s.Blue.Host.Err = refused }, ops.Pass, "no other run on GREEN"},
		{"lock stale", NotLocked("r1"), func(s *ops.Snapshot) { stale(&s.Green.Host) }, ops.Pass, "no other run on BLUE"},
		{"both stale", NotLocked("r1"), func(s *ops.Snapshot) { stale(&s.Green.Host); stale(&s.Blue.Host) }, ops.NotKnown, "whether a run is under way is not known"},
	}
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			snap := calm()
			if test.change != nil {
				test.change(&snap)
			}
			c := test.guard.Eval(&snap, noon)
			if c.State != test.want || !strings.Contains(c.Text, test.text) {
				t.Errorf("%s: %q, want %s: %q", c.State, c.Text, test.want, test.text)
			}
			if c.Guard != test.guard.ID || c.Absolute != test.guard.Absolute {
				t.Errorf("check %+v of guard %s", c, test.guard.ID)
			}
			if !c.Allows() && c.Hint == "" {
				t.Error("refused without a hint")
			}
		})
	}
}

// Every guard has its place in exactly one of the two lists of names.
func TestGuardNames(t *testing.T) {
	seen := map[string]int{}
	for _, id := range append(append([]string{}, Risks...), Absolutes...) {
		seen[id]++
	}
	for _, g := range []ops.Guard{
		PeerInService(""), PeerReady(""), PeerReachable(""), PeerCanary(""), SideFresh(""), SideOut(""), SideInBalancer(""),
		ServicesReady("", nil), NoJobRunning(""), JobNotRunning("", "", "", Was{}), OnlyHere(""), ImagePresent("", "", ""), OrderKnown(), NotLocked(""),
		VersionsAgree(""), PoolsFree("", nil, nil, nil), PackagesAtRest(""), PackagesAsAsked("", nil), ComposeFits("", nil), WayBack("", nil),
	} {
		if seen[g.ID] != 1 {
			t.Errorf("guard %s is listed %d times", g.ID, seen[g.ID])
		}
		delete(seen, g.ID)
	}
	delete(seen, GuardSideCanary) // a step's outcome, not a snapshot's
	if len(seen) > 0 {
		t.Errorf("listed, but no guard: %s", fmt.Sprint(seen))
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 12 * time.Second: "12 s", 5 * time.Minute: "5 min", 90 * time.Second: "1 min 30 s", 2 * time.Hour: "120 min",
	} {
		if got := Words(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
