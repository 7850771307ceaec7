package inspect

import (
	"time"

	"tandem/ops"
)

// drain follows whether a side that was taken out serves again without a run of ours. A
// reload of HAProxy forgets a drain (haproxy#199). A run holds the lock while it puts a
// side back and for the soak time after it, so a look at the locks begun after the change
// tells the two apart. Taking back a drain is over in less time than passes between two looks,
// so what the latest run has left on the hosts is compared, too, with what was there while the
// side was out.
type drain struct {
	out   bool                // draining or out, as last seen
	since time.Time           // began to serve again; zero: nothing to decide
	lost  bool                // decided: no run did it
	free  map[ops.Side]bool   // hosts whose lock was seen free since then
	last  map[ops.Side]string // what the latest run had left on the hosts while the side was out
	left  time.Time           // when that was seen to change
}

// justLeft is how long a run that has been seen to end may have put a side back: the locks are
// looked at less often than the balancer.
const justLeft = 2 * lockEvery

// drained tells whether a side is out, or whether it has to be decided how it came back.
func (l *Live) drained() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.drains {
		if d.out || !d.since.IsZero() && !d.lost {
			return true
		}
	}
	return false
}

// trafficSeen takes a new status of a side and marks it when its drain was lost.
func (l *Live) trafficSeen(side ops.Side, before ops.Traffic, t *ops.SideTraffic, now time.Time) {
	d := l.drains[side]
	switch t.Traffic {
	case ops.Draining, ops.Out:
		if !d.out {
			*d = drain{out: true, last: map[ops.Side]string{}}
			l.pokeLocks()
		}
	case ops.InService:
		if d.out && before != ops.InService {
			if now.Sub(d.left) < justLeft {
				*d = drain{}
				break
			}
			*d = drain{since: now, free: map[ops.Side]bool{}, last: d.last}
			l.pokeLocks()
		}
		if d.lost {
			t.DrainLost = d.since
		}
	}
}

func (l *Live) pokeLocks() {
	for _, p := range l.locks {
		signal(p)
	}
}

// lockSeen takes a look at a lock that began at asked, and what the latest run has left beside
// it; it tells whether a drain has been found lost, or is no longer.
func (l *Live) lockSeen(w *world, side ops.Side, asked time.Time, last string) bool {
	changed := false
	for _, drained := range ops.Sides {
		d, t := l.drains[drained], w.balancer.On(drained)
		if d.since.IsZero() {
			if d.out && last != "" && w.on(side).lock == nil {
				if was := d.last[side]; was != "" && was != last {
					d.left = l.i.opts.Now()
				}
				d.last[side] = last
			}
			continue
		}
		if w.on(side).lock != nil {
			// A run is at work: it put the side back, or it looks after it now.
			changed = changed || d.lost
			*d, t.DrainLost = drain{}, time.Time{}
			continue
		}
		if was := d.last[side]; !d.lost && was != "" && last != "" && was != last {
			*d = drain{} // a run has come and gone meanwhile
			continue
		}
		if !asked.Before(d.since) {
			d.free[side] = true
		}
		if !d.lost && l.allFree(w, d) {
			d.lost, t.DrainLost, changed = true, d.since, true
		}
	}
	return changed
}

// allFree tells whether the lock was seen free on every host that can be reached.
func (l *Live) allFree(w *world, d *drain) bool {
	for _, side := range ops.Sides {
		if !d.free[side] && w.on(side).link == ops.LinkUp {
			return false
		}
	}
	return len(d.free) > 0
}
