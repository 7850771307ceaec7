package plans

import (
	"tandem/ops"
	"tandem/ops/steps"
)

// putBack lets the side serve again once its services are proven and a new container can
// start there.
func putBack(d *draft) error {
	side, peer := d.side.Upper(), d.side.Peer()
	d.plan.Title = "put " + side + " back"
	step := d.putBackStep("", nil)
	if d.traffic(d.side) == ops.InService {
		d.say("%s is in service already: nothing changes.", side)
		d.ask(d.side, steps.NotLocked(d.plan.ID)) // a run under way may be about to take it out
		d.plan.UndoText = "nothing to take back"
		d.skip(step, "put-back", side+" is in service already")
		return nil
	}
	if d.traffic(peer) == ops.InService {
		d.say("%s serves again, beside %s.", side, peer.Upper())
	} else {
		d.say("%s serves again, alone: %s is %s.", side, peer.Upper(), d.traffic(peer).Words())
	}
	d.say("It gets traffic only after the balancer's own check has passed.")
	d.plan.UndoText = "traffic: yes, drained again as it is now"

	lock := d.lock()
	var unready []string // what is accepted as it is must not be waited for
	if d.accepts(steps.GuardServicesReady) {
		unready = d.unready(nil)
	}
	if len(unready) > 0 {
		d.say("Not ready, and put back all the same: %s.", and(unready))
	}
	proven := d.add(d.verifyStep(unready), "verify", lock)
	if d.accepts(steps.GuardSideCanary) {
		// Running containers can serve where no new one can start.
		d.say("Whether a new container can start on %s is not tried.", side)
		d.skip(d.canaryStep(), "canary", steps.GuardSideCanary+" is accepted as a risk")
	} else {
		proven = d.add(d.canaryStep(), "canary", proven)
	}
	back := d.add(step, "put-back", proven)
	soaked := d.add(d.soakStep(), "soak", back)
	d.unlock(soaked)
	return nil
}
