package plans

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tandem/ops"
	"tandem/ops/steps"
)

// anyPair draws a pair in any state, the broken and unknown ones among them.
func anyPair(t *rapid.T) ops.Snapshot {
	snap := calm()
	look := func(name string) ops.Look {
		l := ops.Look{At: at.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, name+" age")) * time.Second)}
		switch rapid.IntRange(0, 9).Draw(t, name+" trouble") {
		case 0:
			l.Err = &ops.Problem{Doing: "reading", Err: ops.ErrThrottled}
		case 1:
			l.At = time.Time{}
		}
		return l
	}
	snap.Balancer.Look = look("balancer")
	snap.Balancer.Minimum = rapid.IntRange(0, 2).Draw(t, "minimum")
	snap.Order = rapid.SampledFrom([]ops.OrderSource{ops.OrderConfig, ops.OrderLabels, ops.OrderUnknown}).Draw(t, "order")
	for _, side := range ops.Sides {
		s := snap.On(side)
		snap.Balancer.On(side).Traffic = rapid.SampledFrom([]ops.Traffic{
			ops.InService, ops.InService, ops.InService, ops.Draining, ops.Out, ops.Down, ops.Unknown, "",
		}).Draw(t, string(side)+" traffic")
		s.Link = rapid.SampledFrom([]ops.Link{ops.LinkUp, ops.LinkUp, ops.LinkUp, ops.LinkDown, ops.LinkConnecting, ops.LinkNever}).Draw(t, string(side)+" link")
		s.Host, s.Engine = look(string(side)+" host"), look(string(side)+" engine")
		for i := range s.Services {
			if s.Services[i].Here && rapid.IntRange(0, 15).Draw(t, "broken") == 0 {
				s.Services[i].Ready = false
				s.Services[i].State = rapid.SampledFrom([]string{"exited 1", "starting", "unknown", ""}).Draw(t, "state")
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "locked") == 0 {
			s.Lock = &ops.LockInfo{Run: rapid.SampledFrom([]string{"r1", "other"}).Draw(t, "holder")}
		}
		if rapid.Bool().Draw(t, "job") && len(s.Jobs) > 0 {
			s.Jobs[0].Running = true
		}
	}
	return snap
}

func anyRequest(t *rapid.T) ops.Request {
	req := ops.Request{
		Op:      rapid.SampledFrom([]ops.Op{ops.OpDrain, ops.OpPutBack, ops.OpRestart, ops.OpRecover, ops.OpRollback, ops.OpCanary}).Draw(t, "op"),
		Side:    rapid.SampledFrom(ops.Sides[:]).Draw(t, "side"),
		NoDrain: rapid.Bool().Draw(t, "no drain"),
	}
	for _, s := range order {
		if s.On(req.Side) && rapid.Bool().Draw(t, "asked") {
			req.Services = append(req.Services, s.Name)
		}
	}
	if req.Op == ops.OpRecover {
		return recoveryWish(t, req.Side)
	}
	if req.Op == ops.OpRollback {
		req.Services, req.Images = nil, map[string]string{"tcs": "tcs:77b01ff"}
	}
	return req
}

func recoveryWish(t *rapid.T, side ops.Side) ops.Request {
	req := ops.Request{Op: ops.OpRecover, Side: side, Both: rapid.Bool().Draw(t, "both"), StraightOn: rapid.Bool().Draw(t, "straight on")}
	if req.Both && rapid.Bool().Draw(t, "worse first") {
		req.Side = ""
	}
	for _, part := range []string{ops.PartReboot, ops.PartPools, ops.PartPutBack} {
		if (part != ops.PartPutBack || !req.Both) && rapid.Bool().Draw(t, "without "+part) {
			req.Without = append(req.Without, part)
		}
	}
	req.Start = rapid.SampledFrom([]ops.StartWay{ops.StartAuto, ops.StartAPI}).Draw(t, "start")
	return req
}

// Promise 1: no plan that may be started takes service away unless the peer is known to
// serve, ready, reachable and enough for the balancer; and every plan is well formed.
func TestNeverFewerThanOneInService(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap, req := anyPair(t), anyRequest(t)
		plan, err := Make(snap, req, "r1")
		if err != nil {
			t.Fatalf("planning: %v", err)
		}
		wellFormed(t, plan)
		idle := !slices.ContainsFunc(plan.Steps, func(s ops.PlannedStep) bool { return s.Skip == "" })
		if plan.Refusal() != nil || idle {
			return
		}
		for _, side := range ops.Sides {
			if l := snap.On(side).Lock; l != nil && l.Run != "r1" {
				t.Fatalf("allowed under the lock of %s", l.Run)
			}
		}
		acts := slices.ContainsFunc(plan.Steps, func(s ops.PlannedStep) bool {
			return s.Skip == "" && slices.Contains([]string{steps.KindDrain, steps.KindRestart, steps.KindSwap, steps.KindHold}, s.Step.Kind())
		})
		req.Side = plan.Request.Side
		mine := snap.Balancer.On(req.Side).Traffic
		fresh := snap.Balancer.Look.Fresh(at, snap.Pair.Limits.Stale)
		if acts && !fresh {
			t.Fatalf("allowed without knowing the balancer:\n%s", dump(plan))
		}
		if !acts || mine == ops.Out {
			return
		}
		peer := snap.On(req.Side.Peer())
		ready, of := peer.Ready()
		if snap.Balancer.On(req.Side.Peer()).Traffic != ops.InService || snap.Balancer.Minimum > 1 ||
			ready < of || !peer.Engine.Fresh(at, snap.Pair.Limits.Stale) || peer.Link != ops.LinkUp {
			t.Fatalf("takes %s (%s) away though the peer cannot serve:\n%s", req.Side, mine, dump(plan))
		}
	})
}

// Promise 1 within the plan of a recovery: of two sides the second goes out only when the
// first is in service again, and nothing is done to a side that is not drained, or while
// something else is done to its peer.
func TestRecoveryOneSideAtATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap, req := anyRecovery(t)
		plan, err := Make(snap, req, "r1")
		if err != nil {
			t.Fatalf("planning: %v", err)
		}
		wellFormed(t, plan)
		before := closure(plan)
		acts := map[ops.Side][]ops.PlannedStep{}
		last := map[ops.Side]ops.PlannedStep{}
		for _, s := range plan.Steps {
			if s.Skip != "" || s.Step.Risk() == ops.Harmless && s.Step.Kind() != steps.KindSoak {
				continue
			}
			drained := slices.ContainsFunc(acts[s.Side], func(a ops.PlannedStep) bool { return a.Step.Kind() == steps.KindDrain })
			out := snap.Balancer.On(s.Side).Traffic == ops.Out && snap.Balancer.Look.Fresh(at, snap.Pair.Limits.Stale)
			if !drained && !out && s.Step.Kind() != steps.KindDrain {
				t.Fatalf("%s without a drain:\n%s", s.ID, dump(plan))
			}
			if peer := last[s.Side.Peer()]; peer.ID != "" && (peer.Step.Kind() != steps.KindSoak || !before[s.ID][peer.ID]) {
				t.Fatalf("%s before %s has proven itself:\n%s", s.ID, s.Side.Peer(), dump(plan))
			}
			for _, a := range acts[s.Side] {
				// Only services go side by side.
				if one := a.Step.Kind(); !before[s.ID][a.ID] && (one != s.Step.Kind() || one != steps.KindStop && one != steps.KindStart) {
					t.Fatalf("%s does not wait for %s:\n%s", s.ID, a.ID, dump(plan))
				}
			}
			acts[s.Side], last[s.Side] = append(acts[s.Side], s), s
		}
		if pauses := slices.ContainsFunc(plan.Steps, func(s ops.PlannedStep) bool { return s.Pause != "" }); pauses != (req.Both && !req.StraightOn) {
			t.Fatalf("pauses: %v", pauses)
		}
	})
}

// Services stop in the reverse of the order in which they start.
func TestRecoveryOrder(t *testing.T) {
	full, err := after(order, order)
	if err != nil {
		t.Fatal(err)
	}
	reach := reachable(full)
	rapid.Check(t, func(t *rapid.T) {
		snap, req := anyRecovery(t)
		plan, err := Make(snap, req, "r1")
		if err != nil {
			t.Fatalf("planning: %v", err)
		}
		before := closure(plan)
		type place struct {
			side ops.Side
			name string
		}
		stops, starts := map[place]string{}, map[place]string{}
		for _, s := range plan.Steps {
			switch step := s.Step.(type) {
			case steps.Stop:
				stops[place{step.Side, step.Service.Name}] = s.ID
			case steps.Start:
				starts[place{step.Side, step.Service.Name}] = s.ID
			}
		}
		for a := range starts {
			for b := range starts {
				if a.side != b.side || a == b || full[a.name] == nil && full[b.name] == nil {
					continue
				}
				if reach[a.name] == nil || reach[b.name] == nil {
					continue // a job
				}
				if reach[a.name][b.name] != before[starts[a]][starts[b]] || reach[a.name][b.name] != before[stops[b]][stops[a]] {
					t.Fatalf("%s and %s of %s are out of order:\n%s", a.name, b.name, a.side, dump(plan))
				}
			}
		}
	})
}

func anyRecovery(t *rapid.T) (ops.Snapshot, ops.Request) {
	return anyPair(t), recoveryWish(t, rapid.SampledFrom(ops.Sides[:]).Draw(t, "side"))
}

// A side that serves is out of traffic while its containers restart, unless the operator
// asked otherwise; then the headline says so.
func TestRestartOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap, req := anyPair(t), anyRequest(t)
		req = ops.Request{Op: ops.OpRestart, Side: cmp.Or(req.Side, ops.Green), Services: req.Services, NoDrain: req.NoDrain}
		plan, err := Make(snap, req, "r1")
		if err != nil {
			t.Fatalf("planning: %v", err)
		}
		before := closure(plan)
		place := map[string]string{}
		drained := ""
		for _, s := range plan.Steps {
			switch step := s.Step.(type) {
			case steps.Drain:
				drained = s.ID
			case steps.Restart:
				place[step.Service.Name] = s.ID
				if drained != "" && !before[s.ID][drained] {
					t.Fatalf("%s does not wait for the drain", s.ID)
				}
				out := snap.Balancer.Look.Fresh(at, snap.Pair.Limits.Stale) && snap.Balancer.On(req.Side).Traffic == ops.Out
				if step.Out != (drained != "" || out) {
					t.Fatalf("%s: out %v, but drained by %q", s.ID, step.Out, drained)
				}
			}
		}
		full, err := after(order, order)
		if err != nil {
			t.Fatal(err)
		}
		reach := reachable(full)
		for a, idA := range place {
			for b, idB := range place {
				if a != b && reach[a][b] != before[idA][idB] {
					t.Fatalf("%s after %s: %v by the start order, %v in the plan", a, b, reach[a][b], before[idA][idB])
				}
			}
		}
	})
}

func closure(plan ops.Plan) map[string]map[string]bool {
	needs := map[string][]string{}
	for _, s := range plan.Steps {
		needs[s.ID] = s.Needs
	}
	return reachable(needs)
}

func reachable(needs map[string][]string) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	var visit func(string) map[string]bool
	visit = func(id string) map[string]bool {
		if out[id] == nil {
			out[id] = map[string]bool{}
			for _, n := range needs[id] {
				out[id][n] = true
				for below := range visit(n) {
					out[id][below] = true
				}
			}
		}
		return out[id]
	}
	for id := range needs {
		visit(id)
	}
	return out
}
