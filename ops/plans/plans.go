// Package plans turns a wish and a look at the pair into a plan: an ordered list of steps
// with a reason, what it does to traffic, the checks just made, and what can be taken back.
//
// It is pure: a Snapshot and a Request are all it sees. Time is the snapshot's. One file
// per operation; each reads as a list of steps. The dialog, `tandem plan`, the journal and
// the run all show the same plan.
//
// # Rules
//
//   - Traffic first: a side that serves is drained before its containers are touched, and
//     put back afterwards only if it was in before. A side that was out stays out.
//   - Start order: a service waits for those that it comes after (Service.After), also
//     through services that are not part of the plan. Services with no path between them
//     go together. Names never make an order.
//   - A check that an earlier step of the plan will make true (services ready after their
//     restart) is not asked in advance; the step itself asks when its turn comes.
//   - What cannot be planned is an error that says what would be possible.
package plans

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/ops"
	"tandem/ops/steps"
)

// operations is the one list of operations.
var operations = map[ops.Op]func(*draft) error{
	ops.OpDrain:    drain,
	ops.OpPutBack:  putBack,
	ops.OpRestart:  restart,
	ops.OpRecover:  recovery,
	ops.OpRollback: rollback,
	ops.OpCanary:   canary,
	ops.OpJob:      job,
	ops.OpPatch:    patch,
}

// Make makes the plan of a request from one look at the pair. The id names the plan and
// the run that will carry it out. A plan whose checks do not allow it is returned as it
// is: see [ops.Plan.Refusal]. An error is a request that makes no sense on this pair, or an
// [ops.Refusal] where the side could not be read.
func Make(snap ops.Snapshot, req ops.Request, id string) (ops.Plan, error) {
	op, ok := operations[req.Op]
	if !ok {
		return ops.Plan{}, fmt.Errorf("there is no operation %q: use one of %s", req.Op, strings.Join(opNames(), ", "))
	}
	if req.Both && req.Op != ops.OpRecover {
		return ops.Plan{}, fmt.Errorf("%s is for one side: use blue or green", req.Op)
	}
	if req.Both && req.Side == "" {
		req.Side = First(&snap)
	}
	if req.Side != ops.Blue && req.Side != ops.Green {
		return ops.Plan{}, fmt.Errorf("%s of which side? use blue or green", req.Op)
	}
	if err := accepted(req); err != nil {
		return ops.Plan{}, err
	}
	d := newDraft(&snap, req, id)
	if err := op(d); err != nil {
		return ops.Plan{}, d.unread(err)
	}
	return d.finish(req)
}

func opNames() []string {
	var names []string
	for op := range operations {
		names = append(names, string(op))
	}
	slices.Sort(names)
	return names
}

// unread is the refusal of a plan that could not be made on a side that was not read: what
// looks missing there may only not have been seen.
func (d *draft) unread(err error) error {
	c := steps.SideFresh(d.side).Eval(d.snap, d.snap.At)
	if c.Allows() {
		return err
	}
	return &ops.Refusal{What: fmt.Sprintf("%s %s", d.req.Op, d.side.Upper()), Checks: []ops.Check{c}, Hint: c.Hint}
}

// accepted refuses risks that are none: a misspelt one must not look accepted.
func accepted(req ops.Request) error {
	for _, r := range req.Accept {
		if strings.TrimSpace(r.Reason) == "" {
			r.Reason = req.Reason
		}
		if err := Acceptable([]ops.Risk{r}); err != nil {
			return err
		}
	}
	return nil
}

// Acceptable is an error for risks that nobody can accept, that do not exist, or that come
// without a reason.
func Acceptable(risks []ops.Risk) error {
	for _, r := range risks {
		switch {
		case slices.Contains(steps.Absolutes, r.Guard):
			return fmt.Errorf("%s cannot be accepted as a risk: it always holds", r.Guard)
		case !slices.Contains(steps.Risks, r.Guard):
			return fmt.Errorf("there is no risk %q%s", r.Guard, closest(r.Guard, steps.Risks))
		case strings.TrimSpace(r.Reason) == "":
			return fmt.Errorf("accepting %s needs a reason, for the record", r.Guard)
		}
	}
	return nil
}

// draft is a plan in the making.
type draft struct {
	snap  *ops.Snapshot
	req   ops.Request
	side  ops.Side
	state *ops.SideState
	plan  ops.Plan
	// proven are guards that a step of the plan makes true before they are asked.
	proven map[string]bool
	pause  string // what the next step asks before it begins
}

func newDraft(snap *ops.Snapshot, req ops.Request, id string) *draft {
	return &draft{
		snap: snap, req: req, side: req.Side, state: snap.On(req.Side),
		plan: ops.Plan{
			ID: id, Pair: snap.Pair.Name, Request: req, Made: snap.At, OnlyHere: slices.Clone(snap.On(req.Side).OnlyHere),
		},
		proven: map[string]bool{},
	}
}

// add puts a step into its place and asks its guards. It returns the step's id.
func (d *draft) add(step ops.Step, name string, needs ...string) string {
	id, side := fmt.Sprintf("%02d-%s", len(d.plan.Steps)+1, name), d.about(step)
	d.plan.Steps = append(d.plan.Steps, ops.PlannedStep{ID: id, Needs: slices.Clone(needs), Side: side, Service: service(step), Step: step, Pause: d.pause})
	d.pause = ""
	for _, g := range step.Guards() {
		d.ask(side, g)
	}
	return id
}

// skip shows a step that is not needed, and why.
func (d *draft) skip(step ops.Step, name, why string) {
	id := fmt.Sprintf("%02d-%s", len(d.plan.Steps)+1, name)
	d.plan.Steps = append(d.plan.Steps, ops.PlannedStep{ID: id, Side: d.about(step), Step: step, Skip: why})
}

// about is the side that a step is about: a recovery tries a canary on the peer too.
func (d *draft) about(step ops.Step) ops.Side {
	if c, ok := step.(steps.Canary); ok {
		return c.Side
	}
	return d.side
}

// service is the one that a step is about, if it is about one: the operator can be asked to go
// on without it.
func service(step ops.Step) string {
	if s, ok := step.(steps.Start); ok {
		return s.Service.Name
	}
	return ""
}

// turn makes the steps that follow those of a side.
func (d *draft) turn(to ops.Side) { d.side, d.state = to, d.snap.On(to) }

// ask evaluates a guard of the side's steps. Two of one name differ in what they are about (the
// images of two services): the worse outcome is shown. One that passes on the second side of
// a run as on the first is shown once.
func (d *draft) ask(side ops.Side, g ops.Guard) {
	if d.proven[g.ID] {
		return
	}
	c := g.Eval(d.snap, d.snap.At)
	c.Accepted = !c.Allows() && !g.Absolute && d.req.Accepts(d.req.Accept, side, g.ID, c.Services...)
	if side != d.req.Side {
		c.Side = side
	}
	for i := range d.plan.Checks {
		if at := &d.plan.Checks[i]; at.Guard == g.ID && (at.Side == c.Side || c.State == ops.Pass) {
			if worse(c.State) > worse(at.State) {
				*at = c
			}
			return
		}
	}
	d.plan.Checks = append(d.plan.Checks, c)
}

// worse ranks outcomes.
func worse(s ops.CheckState) int {
	return slices.Index([]ops.CheckState{ops.Pass, ops.Remark, ops.NotKnown, ops.Fail}, s)
}

// proves says that from here on the guards hold by the plan's own steps.
func (d *draft) proves(guards ...string) {
	for _, g := range guards {
		d.proven[g] = true
	}
}

func (d *draft) say(format string, args ...any) {
	d.plan.Headline = append(d.plan.Headline, fmt.Sprintf(format, args...))
}

func (d *draft) finish(req ops.Request) (ops.Plan, error) {
	var err error
	if d.plan.Basis, err = basis(d.snap, req); err != nil {
		return ops.Plan{}, fmt.Errorf("fingerprinting the plan: %w", err)
	}
	return d.plan, nil
}

// traffic is what a side gets; unknown where the balancer's word is too old to act upon.
func (d *draft) traffic(side ops.Side) ops.Traffic {
	if !d.snap.Balancer.Look.Fresh(d.snap.At, d.limits().Stale) {
		return ops.Unknown
	}
	return d.snap.Balancer.On(side).Traffic
}

// missing are the hosts that need not answer: their silence was accepted.
func (d *draft) missing() []ops.Side {
	var sides []ops.Side
	for _, r := range d.req.Accept {
		side := r.Side
		if side == "" {
			side = d.req.Side
		}
		switch r.Guard {
		case steps.GuardPeerReachable:
			sides = append(sides, side.Peer())
		case steps.GuardSideFresh:
			sides = append(sides, side)
		}
	}
	return sides
}

// accepts tells whether the operator has accepted a guard as a risk for the side's steps.
func (d *draft) accepts(guard string) bool { return d.req.Accepts(d.req.Accept, d.side, guard) }

// limits with defaults where the snapshot carries none.
func (d *draft) limits() ops.Limits {
	if d.snap.Pair.Limits == (ops.Limits{}) {
		return ops.DefaultLimits()
	}
	return d.snap.Pair.Limits
}

func (d *draft) lock() string {
	return d.add(steps.Lock{Side: d.side, Run: d.plan.ID, AllowMissing: d.missing()}, steps.KindLock)
}

func (d *draft) unlock(needs ...string) {
	d.add(steps.Unlock{Run: d.plan.ID, AllowMissing: d.missing()}, steps.KindUnlock, needs...)
}

func (d *draft) drainStep(unready []string) steps.Drain {
	l := d.limits()
	return steps.Drain{Side: d.side, Within: l.Drain, Return: l.Start, Unready: unready, Calls: d.calls()}
}

func (d *draft) putBackStep(from string, unready []string) steps.PutBack {
	l := d.limits()
	return steps.PutBack{Side: d.side, Within: l.Start, Drain: l.Drain, Prior: d.req.Prior, From: from, Unready: unready, Calls: d.calls()}
}

func (d *draft) calls() map[string][]string { return maps.Clone(d.snap.Balancer.On(d.side).Calls) }

// canaryStep tries the network on which the services are, where they agree on one.
func (d *draft) canaryStep() steps.Canary {
	network := ""
	for _, s := range d.state.Services {
		for _, c := range s.Containers {
			for _, n := range c.Networks {
				if network == "" && slices.ContainsFunc(d.state.Networks, func(have ops.Network) bool { return have.Name == n && have.Driver == "bridge" }) {
					network = n
				}
			}
		}
	}
	return steps.Canary{Side: d.side, Run: d.plan.ID, Network: network}
}

func (d *draft) verifyStep(unready []string) steps.Verify {
	return steps.Verify{Side: d.side, Within: d.limits().Start, Unready: unready}
}

func (d *draft) soakStep() steps.Soak {
	l := d.limits()
	return steps.Soak{Side: d.side, For: l.Soak, Stale: l.Stale}
}

// unready are the services of the side that are not ready now and not in except.
func (d *draft) unready(except []string) []string {
	var names []string
	for i := range d.state.Services {
		if s := &d.state.Services[i]; s.Here && !s.Ready && !slices.Contains(except, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// sayOnlyHere tells what nobody serves while the side is out.
func (d *draft) sayOnlyHere() {
	if n := len(d.state.OnlyHere); n > 0 {
		verb := "are"
		if n == 1 {
			verb = "is"
		}
		d.say("%s %s only on %s and %s missing meanwhile.", and(d.state.OnlyHere), verb, d.side.Upper(), verb)
	}
}

// sessions in words: "its 39 sessions".
func (d *draft) sessions() string {
	n := d.snap.Balancer.On(d.side).Sessions
	switch {
	case n == nil:
		return "its sessions have"
	case *n == 1:
		return "its 1 session has"
	default:
		return fmt.Sprintf("its %d sessions have", *n)
	}
}

// basis is a short hash of what a plan relies on: no ages, no counters.
func basis(snap *ops.Snapshot, req ops.Request) (string, error) {
	type container struct{ ID, Name, Started, Image, State string }
	type service struct {
		Name        string
		Here, Ready bool
		Containers  []container
	}
	type side struct {
		Traffic  ops.Traffic
		Link     ops.Link
		Lock     string
		Services []service
		Running  []string
		Readable [2]bool
		CanaryOK *bool
		OnlyHere []string
		Recovery *recoveryBasis `json:",omitempty"`
		Patch    *patchBasis    `json:",omitempty"`
	}
	of := func(name ops.Side) side {
		s := snap.On(name)
		out := side{
			Traffic: snap.Balancer.On(name).Traffic, Link: s.Link, OnlyHere: s.OnlyHere,
			Readable: [2]bool{s.Host.Err == nil && !s.Host.At.IsZero(), s.Engine.Err == nil && !s.Engine.At.IsZero()},
		}
		if s.Lock != nil {
			out.Lock = s.Lock.Run
		}
		if s.Canary != nil {
			out.CanaryOK = &s.Canary.OK
		}
		for _, svc := range s.Services {
			v := service{Name: svc.Name, Here: svc.Here, Ready: svc.Ready}
			for _, c := range svc.Containers {
				v.Containers = append(v.Containers, container{c.ID, c.Name, c.StartedAt.UTC().Format("20060102T150405.000000000"), c.ImageID, c.State})
			}
			out.Services = append(out.Services, v)
		}
		for _, j := range s.Jobs {
			if j.Running {
				out.Running = append(out.Running, j.Name)
			}
		}
		if req.Op == ops.OpRecover {
			out.Recovery = recoveryBasisOf(s)
		}
		if req.Op == ops.OpPatch && name == req.Side {
			out.Patch = patchBasisOf(s)
		}
		return out
	}
	data, err := json.Marshal(struct {
		Request     ops.Request
		Order       ops.OrderSource
		Services    []ops.Service
		Minimum     int
		Networks    ops.Networks
		BalancerOK  bool
		Blue, Green side
	}{req, snap.Order, snap.Services, snap.Balancer.Minimum, snap.Pair.Networks, snap.Balancer.Look.Err == nil, of(ops.Blue), of(ops.Green)})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6]), nil
}
