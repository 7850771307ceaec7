package plans

import (
	"fmt"
	"slices"
	"time"

	"tandem/ops"
	"tandem/ops/steps"
)

// restart restarts services of the side in start order, each waited for. A side that
// serves is drained first and put back afterwards.
func restart(d *draft) error {
	services, err := d.chosen(d.req.Services)
	if err != nil {
		return err
	}
	var names, empty []string
	for _, s := range services {
		if len(d.was(s.Name)) > 0 {
			names = append(names, s.Name)
			continue
		}
		empty = append(empty, s.Name)
	}
	if len(names) == 0 || len(d.req.Services) > 0 && len(empty) > 0 {
		return fmt.Errorf("%s has no container on %s: there is nothing to restart", and(empty), d.side.Upper())
	}
	d.plan.Title = fmt.Sprintf("restart %s of %s", count(len(names), "service"), d.side.Upper())
	if len(names) == 1 {
		d.plan.Title = fmt.Sprintf("restart %s on %s", names[0], d.side.Upper())
	}
	d.plan.UndoText = "traffic: yes    restarts: no"
	if !d.drains() {
		d.plan.UndoText = "restarts: no"
	}

	return d.aroundTraffic(names, func(start []string, out bool) ([]string, error) {
		if len(names) > 1 {
			d.say("%s of %s restart in start order, each waited for until ready.", count(len(names), "service"), d.side.Upper())
		}
		l := d.limits()
		return d.sequence(services, start, func(s ops.Service) (ops.Step, string, string) {
			step := steps.Restart{
				Side: d.side, Service: s, Containers: d.was(s.Name), Stop: l.Stop, Within: within(s, l),
				Out: out, Sequenced: len(names) > 1,
			}
			if len(step.Containers) == 0 {
				return step, "restart-" + s.Name, "no container of it on " + d.side.Upper()
			}
			return step, "restart-" + s.Name, ""
		})
	})
}

func within(s ops.Service, l ops.Limits) time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return l.Start
}

// drains tells whether the side is taken out of traffic for an act on its containers.
func (d *draft) drains() bool { return !d.req.NoDrain && d.traffic(d.side) != ops.Out }

// aroundTraffic is the frame of every act on the containers of a side: lock, drain where
// the side is in traffic, the acts, canary, verify, put back what was drained, unlock.
// touched are the services acted upon; acts returns the ids of its last steps.
func (d *draft) aroundTraffic(touched []string, acts func(start []string, out bool) ([]string, error)) error {
	side := d.side.Upper()
	unready := d.unready(touched)
	start := d.lock()
	drained := ""
	switch {
	case d.drains():
		d.sayDrained("until " + side + " is back")
		drained = d.add(d.drainStep(d.unready(nil)), "drain", start)
		start = drained
		d.proves(steps.GuardSideOut)
	case d.traffic(d.side) == ops.Out:
		d.say("%s is out and stays out: traffic does not change.", side)
	case d.traffic(d.side) == ops.Down:
		d.say("%s is failing its check; it may come back into service meanwhile: it is not drained.", side)
	case d.traffic(d.side) == ops.Draining:
		d.say("%s goes on draining: its last sessions can break.", side)
	default:
		d.say("%s stays in service meanwhile: requests that it gets while a service is away do not succeed.", side)
	}
	last, err := acts([]string{start}, drained != "" || d.traffic(d.side) == ops.Out)
	if err != nil {
		return err
	}
	d.proves(steps.GuardServicesReady)
	tried := d.add(d.canaryStep(), "canary", last...)
	done := d.add(d.verifyStep(unready), "verify", tried)
	if drained != "" {
		back := d.add(d.putBackStep(drained, unready), "put-back", done)
		done = d.add(d.soakStep(), "soak", back)
	}
	d.unlock(done)
	if len(unready) > 0 {
		d.say("Not ready now and not touched: %s.", and(slices.Clone(unready)))
	}
	return nil
}
