package plans

import (
	"strings"

	"tandem/ops/steps"
)

// canary proves that the side can start a new container, through the engine and through
// compose where it is on the host. The peer need not answer: it is not touched.
func canary(d *draft) error {
	side := d.side.Upper()
	d.plan.Title = "canary on " + side
	d.say("Traffic does not change.")
	d.say("One throw-away container is created, started and removed on %s.", side)
	d.plan.UndoText = "nothing to take back: the canary removes itself"

	lock := d.add(steps.Lock{Side: d.side, Run: d.plan.ID, AllowMissing: d.missing(), Alone: true}, steps.KindLock)
	tried := d.add(d.canaryStep(), "canary", lock)
	probe := d.probeStep()
	if len(probe.Command) > 0 {
		d.say("Then %s creates, recreates and removes another.", strings.Join(probe.Command, " "))
		tried = d.add(probe, steps.KindComposeProbe, tried)
	} else {
		probe.Command = []string{"docker", "compose"}
		d.skip(probe, steps.KindComposeProbe, "no compose was found on "+side)
	}
	d.add(steps.Unlock{Run: d.plan.ID, AllowMissing: append(d.missing(), d.side.Peer())}, steps.KindUnlock, tried)
	return nil
}

// probeStep tries the compose that was found on the host; its command is empty where none was.
func (d *draft) probeStep() steps.ComposeProbe {
	return steps.ComposeProbe{Side: d.side, Run: d.plan.ID, Command: strings.Fields(d.state.Facts.ComposeHow)}
}
