package tui

import (
	"time"

	"tandem/ops"
)

// steady keeps the number of sessions of a side that serves for a few seconds: it changes with
// every look, says little, and each change costs a slow link a hundred bytes. What drains is
// counted live.
type steady struct {
	shown map[ops.Side]*int
	at    time.Time
}

const steadyFor = 5 * time.Second

// hold puts the numbers shown into a snapshot that was just read, or takes new ones from it.
func (s *steady) hold(snap *ops.Snapshot, now time.Time) {
	fresh := now.Sub(s.at) >= steadyFor || s.shown == nil
	if fresh {
		s.shown, s.at = map[ops.Side]*int{}, now
	}
	for _, side := range ops.Sides {
		at := snap.Balancer.On(side)
		if at.Traffic != ops.InService || at.Sessions == nil {
			delete(s.shown, side)
			continue
		}
		if old, known := s.shown[side]; known && !fresh {
			at.Sessions = old
			continue
		}
		s.shown[side] = at.Sessions
	}
}
