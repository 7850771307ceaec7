package plans

import (
	"tandem/ops"
	"tandem/ops/steps"
)

// drain takes the side out of traffic and leaves it out.
func drain(d *draft) error {
	side := d.side.Upper()
	d.plan.Title = "drain " + side
	step := d.drainStep(d.unready(nil))
	if d.traffic(d.side) == ops.Out {
		d.say("%s is out already: nothing changes.", side)
		d.ask(d.side, steps.NotLocked(d.plan.ID)) // a run under way may be about to put it back
		d.plan.UndoText = "nothing to take back"
		d.skip(step, "drain", side+" is out already")
		return nil
	}
	d.sayDrained("until " + side + " is put back")
	d.plan.UndoText = "traffic: yes, exactly as it is now"

	lock := d.lock()
	drained := d.add(step, "drain", lock)
	d.unlock(drained)
	return nil
}

// sayDrained tells what a drain does to traffic; until ends "BLUE serves alone ...".
func (d *draft) sayDrained(until string) {
	side, peer := d.side.Upper(), d.side.Peer().Upper()
	switch {
	case d.traffic(d.side) == ops.Down:
		d.say("%s is failing its check and serves nothing now; once drained it does not come back in by itself.", side)
	case d.traffic(d.side.Peer()) == ops.InService:
		d.say("%s serves alone %s.", peer, until)
		d.say("%s gets no new traffic; %s %s to end, then they are cut off.", side, d.sessions(), steps.Words(d.limits().Drain))
	default:
		d.say("Nobody is known to serve %s: %s is %s.", until, peer, d.traffic(d.side.Peer()).Words())
	}
	d.sayOnlyHere()
}
