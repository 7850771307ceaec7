package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"tandem/ops/lab"
)

// grace is how long a fault may go unnoticed: the balancer's check needs two failures to
// take a side out, and a guard that was read just before cannot know what comes just after.
const grace = time.Second

// checkServed is promise 1: never fewer than one side in service by our hand. What is looked
// at is what the balancer gave each side (lab.Trace). Our hand are requests to the balancer,
// and requests of runners that stop containers, the engine or the host.
//
//   - A request to the balancer may not take a side out while the other is not in service.
//   - A stop, reboot or restart of the engine may not hit a side that is in service while
//     the other is not.
//
// The time in which the world itself took the other side away does not count by itself: a
// power loss, a cut cable, a stopped engine, a restarted balancer may leave no side in
// service at all. But once that has lasted for grace, whatever we do then is by our hand; and where
// somebody asked the balancer for it, that is known at once.
func (tr *trial) checkServed() {
	trace := tr.lab.Trace()
	// stood tells whether the side has been (or not been) in service for grace at that time, or was
	// taken out by request.
	stood := func(side string, serves bool, at time.Time) bool {
		now, since, asked := "", time.Time{}, false
		for _, t := range trace {
			if t.At.After(at) {
				break
			}
			if t.Side == side && (t.State == "in-service") != (now == "in-service") || now == "" && t.Side == side {
				since, asked = t.At, t.Asked
			}
			if t.Side == side {
				now = t.State
			}
		}
		return (now == "in-service") == serves && (at.Sub(since) >= grace || now == "" || asked && !serves)
	}
	for _, t := range trace {
		if t.Asked && t.State != "in-service" && stood(peerOf(t.Side), false, t.At) && !t.At.Before(tr.began) {
			was := stateBefore(trace, t)
			if was == "in-service" {
				tr.breaks("promise 1: at %.3f %s was made %q while %s was not in service", t.At.Sub(tr.began).Seconds(), t.Side, t.State, peerOf(t.Side))
			}
		}
	}
	for _, c := range tr.changes {
		if c.by == nil || !takesAway(c.What) {
			continue
		}
		if stood(c.Side, true, c.At) && stood(peerOf(c.Side), false, c.At) {
			tr.breaks("promise 1: at %.3f %s was hit, the only side in service, by %s: %s", c.At.Sub(tr.began).Seconds(), c.Side, c.by, firstWords(c.What))
		}
	}
}

// stateBefore is what the side had before a turn.
func stateBefore(trace []lab.Turn, of lab.Turn) (state string) {
	for _, t := range trace {
		if t == of {
			return state
		}
		if t.Side == of.Side {
			state = t.State
		}
	}
	return state
}

func peerOf(side string) string { return lab.Sides[1-slices.Index(lab.Sides, side)] }

var stops = regexp.MustCompile(`^POST .*/containers/[^/]+/(stop|kill|restart)`)

func takesAway(what string) bool {
	return stops.MatchString(what) || strings.Contains(what, "systemctl reboot") || strings.Contains(what, "restart docker")
}

// checkOwners is promise 4: one run at a time. Once a runner has taken the lock, no runner that
// took it before, or not at all, changes anything any more. Scripts of the lock itself look on the
// host whose it is, and are left out.
func (tr *trial) checkOwners() {
	for _, c := range tr.changes {
		if c.by == nil || strings.Contains(c.What, "tandem-lock") {
			continue
		}
		for _, later := range tr.all {
			if later.owns.After(c.by.owns) && c.At.After(later.owns) {
				tr.breaks("promise 4: %s still did %q on %s at %.3f, after %s took the lock at %.3f", c.by, firstWords(c.What), c.Side,
					c.At.Sub(tr.began).Seconds(), later, later.owns.Sub(tr.began).Seconds())
			}
		}
	}
}

// checkTaking is promise 4 as well: a runner takes the lock from nobody who is at work. It is
// called when it has. A sign of life needs some seconds to be seen: who was cut off a moment ago
// may be taken for gone.
func (tr *trial) checkTaking(by *actor) {
	for _, p := range tr.all {
		if p != by && !p.owns.IsZero() && !p.killed && !p.said && time.Since(p.office.net.reachable()) > lifeSigns+5*time.Second {
			tr.wrong = append(tr.wrong, fmt.Sprintf("promise 4: %s took the lock at %.3f, while %s was at work", by, time.Since(tr.began).Seconds(), p))
		}
	}
}
