package plans

import (
	"fmt"
	"slices"

	"tandem/ops"
	"tandem/ops/steps"
)

// recovery brings a side back from a broken engine: the ten actions of the incident, in
// its order. Of both, the peer follows once the first side has proven itself.
func recovery(d *draft) error {
	if err := d.recoverable(); err != nil {
		return err
	}
	d.plan.Patient = true
	d.plan.Title = "recover " + d.side.Upper()

	last, err := d.recoverSide(d.lock(), "")
	if err == nil && d.req.Both {
		d.plan.Title += ", then " + d.side.Peer().Upper()
		d.turn(d.side.Peer())
		if !d.req.StraightOn {
			d.pause = fmt.Sprintf("%s is in service again. Go on with %s?", d.side.Peer().Upper(), d.side.Upper())
		}
		d.plan.OnlyHere = append(d.plan.OnlyHere, d.state.OnlyHere...)
		last, err = d.recoverSide(last, d.side.Peer())
	}
	if err != nil {
		return err
	}
	d.turn(d.req.Side)
	d.unlock(last)
	d.sayUndo()
	return nil
}

// recoverSide is the incident's list for one side. first is the side recovered before it in
// a run of both. It returns the id of its last step.
func (d *draft) recoverSide(after string, first ops.Side) (string, error) {
	r, err := d.survey(first)
	if err != nil {
		return "", err
	}
	r.say()
	r.last = []string{after}

	r.then(r.preflight())
	r.askPeerCanary()
	r.then(r.peerCanary())
	r.then(r.drain())
	r.then(r.hold())
	r.stopAll()
	r.then(r.reboot())
	r.then(r.removeContainers())
	r.then(r.removeNetworks())
	r.then(r.pools())
	r.then(r.makeNetworks())
	r.startAll()
	r.then(r.unhold())
	r.then(r.verify())
	r.then(r.canary())
	r.then(r.putBack())
	r.then(r.soak())
	if !r.without(ops.PartReboot) || r.poolsKept() == "" { // the engine that is installed was started
		r.proves(steps.GuardVersionsAgree)
	}
	return r.last[0], nil
}

// then puts a step after what came last, or shows why it is not needed.
func (r *recoveryOf) then(step ops.Step, skip string) {
	if skip != "" {
		r.skip(step, nameOf(step), skip)
		return
	}
	r.ids[step.Kind()] = r.add(step, nameOf(step), r.last...)
	r.last = []string{r.ids[step.Kind()]}
	r.proves(proven[step.Kind()]...)
}

// proven are the guards that hold by a step of the plan once it is done.
var proven = map[string][]string{
	steps.KindCanary: {steps.GuardPeerCanary}, // on the peer before the drain; on the first side before its peer's part
	steps.KindDrain:  {steps.GuardSideOut},
	steps.KindSoak:   {steps.GuardPeerInService, steps.GuardPeerReady}, // of the peer's part
}

func (r *recoveryOf) preflight() (ops.Step, string) {
	how, compose := r.composed()
	return steps.Preflight{
		Side: r.side, Run: r.plan.ID, How: how, Compose: compose, Reboot: !r.without(ops.PartReboot), Pools: r.poolsKept() == "", First: r.first,
	}, ""
}

// askPeerCanary asks before the start what the canary on the peer would find: where the last
// one failed, it is accepted now or mended first, not found out again half-way.
func (r *recoveryOf) askPeerCanary() {
	if c := r.snap.On(r.side.Peer()).Canary; r.first == "" && c != nil && !c.OK {
		r.ask(r.side, steps.PeerCanary(r.side))
	}
}

func (r *recoveryOf) peerCanary() (ops.Step, string) {
	r.turn(r.side.Peer())
	step := r.canaryStep()
	r.turn(r.side.Peer())
	if r.accepts(steps.GuardPeerCanary) {
		return step, steps.GuardPeerCanary + " is accepted as a risk"
	}
	return step, ""
}

func (r *recoveryOf) drain() (ops.Step, string) {
	step := r.drainStep(r.unready(nil))
	if r.traffic(r.side) == ops.Out {
		return step, r.side.Upper() + " is out already"
	}
	return step, ""
}

func (r *recoveryOf) hold() (ops.Step, string) {
	return steps.Hold{Side: r.side, Containers: r.ours(), Others: was(r.others), Networks: r.networks, File: daemonFile}, ""
}

// stopAll stops the jobs, the services in reverse start order, then the other containers.
func (r *recoveryOf) stopAll() {
	l, from := r.limits(), r.ids[steps.KindHold]
	stop := func(p part) ops.Step {
		return steps.Stop{Side: r.side, Service: p.Service, Containers: p.was(), From: from, Stop: l.Stop, Within: within(p.Service, l)}
	}
	if r.accepts(steps.GuardNoJobRunning) { // else none runs
		r.last = r.sideBySide(r.jobs, stop)
	}
	r.last = r.inOrder(reversed(r.before), stop)
	if running := running(r.others); len(running) > 0 {
		others := ops.Service{Name: "other containers", Ready: ops.Readiness{Kind: ops.ReadyRunning}}
		r.then(steps.Stop{Side: r.side, Service: others, Containers: was(running), From: from, Stop: l.Stop, Within: l.Start}, "")
	}
}

func (r *recoveryOf) reboot() (ops.Step, string) {
	step := steps.Reboot{Side: r.side, Within: r.limits().Reboot, Quiet: names(r.ours(), was(r.others))}
	if r.without(ops.PartReboot) {
		return step, "left out"
	}
	return step, ""
}

func (r *recoveryOf) removeContainers() (ops.Step, string) {
	return steps.Remove{Side: r.side, Containers: r.ours(), From: r.ids[steps.KindHold]}, ""
}

func (r *recoveryOf) removeNetworks() (ops.Step, string) {
	step := steps.RemoveNetworks{Side: r.side, Networks: r.networks}
	if len(r.networks) == 0 {
		return step, "these containers have no network of their own"
	}
	return step, ""
}

func (r *recoveryOf) pools() (ops.Step, string) {
	l := r.limits()
	return steps.Pools{
		Side: r.side, Pools: r.snap.Pair.Networks.Pools, Reserved: r.snap.Pair.Networks.Reserved, Moved: r.networks,
		Revert: l.Revert, Within: l.Start, File: daemonFile,
	}, r.poolsKept()
}

func (r *recoveryOf) makeNetworks() (ops.Step, string) {
	made := r.made()
	step := steps.MakeNetworks{Side: r.side, Networks: made, From: r.ids[steps.KindRemoveNetworks]}
	switch {
	case len(r.networks) == 0:
		return step, "none was removed"
	case len(made) == 0:
		step.Networks = r.networks
		return step, "compose makes them"
	}
	return step, ""
}

// startAll makes and starts the services in start order, then makes the jobs' containers.
func (r *recoveryOf) startAll() {
	l, from := r.limits(), r.ids[steps.KindHold]
	start := func(p part, idle bool) ops.Step {
		return steps.Start{
			Side: r.side, Service: p.Service, Containers: p.was(), From: from, How: p.how, Compose: p.compose, Idle: idle, Within: within(p.Service, l), Stop: l.Stop,
		}
	}
	r.last = r.inOrder(r.before, func(p part) ops.Step { return start(p, false) })
	for _, name := range r.empty {
		r.skip(start(part{Service: ops.Service{Name: name}}, false), "start-"+name, "no container of it on "+r.side.Upper()+" to make it from")
	}
	r.last = r.sideBySide(r.jobs, func(job part) ops.Step { return start(job, true) })
	r.proves(steps.GuardServicesReady)
}

func (r *recoveryOf) unhold() (ops.Step, string) {
	return steps.Unhold{Side: r.side, Containers: r.ours(), Others: was(r.others), From: r.ids[steps.KindHold], Within: r.limits().Start}, ""
}

func (r *recoveryOf) verify() (ops.Step, string) { return r.verifyStep(r.empty), "" }

func (r *recoveryOf) canary() (ops.Step, string) {
	if r.accepts(steps.GuardSideCanary) {
		return r.canaryStep(), steps.GuardSideCanary + " is accepted as a risk"
	}
	return r.canaryStep(), ""
}

func (r *recoveryOf) putBack() (ops.Step, string) {
	step := r.putBackStep(r.ids[steps.KindDrain], r.empty)
	if r.first != "" {
		step.Prior = nil // what an earlier run recorded was of the first side
	}
	return step, r.stays()
}

func (r *recoveryOf) soak() (ops.Step, string) { return r.soakStep(), r.stays() }

// stays says why the side is not put back; empty: it is.
func (r *recoveryOf) stays() string {
	if r.without(ops.PartPutBack) {
		return "left out: " + r.side.Upper() + " stays out"
	}
	return ""
}

// poolsKept says why the address pools stay as they are; empty: they are moved.
func (r *recoveryOf) poolsKept() string {
	want := r.snap.Pair.Networks.Pools
	switch {
	case r.without(ops.PartPools):
		return "left out"
	case len(want) == 0:
		return "the config names none: networks.pools"
	case r.state.Net != nil && samePools(r.state.Net.Pools, want):
		return "in effect already"
	}
	return ""
}

// recoverable refuses wishes that contradict themselves.
func (d *draft) recoverable() error {
	parts := []string{ops.PartReboot, ops.PartPools, ops.PartPutBack}
	for _, part := range d.req.Without {
		if !slices.Contains(parts, part) {
			return fmt.Errorf("a recovery has no part %q to leave out%s", part, closest(part, parts))
		}
	}
	switch {
	case !slices.Contains([]ops.StartWay{ops.StartAuto, ops.StartCompose, ops.StartAPI}, d.req.Start):
		return fmt.Errorf("services cannot be started by %q: use %s or %s", d.req.Start, ops.StartCompose, ops.StartAPI)
	case len(d.req.Services) > 0:
		return fmt.Errorf("recover is for a whole side: to restart %s use restart", and(d.req.Services))
	case d.req.Both && d.without(ops.PartPutBack):
		return fmt.Errorf("recovering both needs the put-back: %s cannot go out before %s is in service again", d.side.Peer().Upper(), d.side.Upper())
	}
	return nil
}

func (d *draft) without(part string) bool { return slices.Contains(d.req.Without, part) }
