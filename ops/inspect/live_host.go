package inspect

import (
	"context"
	"time"

	"tandem/ops"
)

// readFacts reads a host, and has its package manager asked anew when that has done
// something.
func (l *Live) readFacts(ctx context.Context, host ops.Host, care chan struct{}) error {
	facts, err := l.i.facts(ctx, host)
	if ctx.Err() != nil {
		return nil
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		before := *s
		s.host = l.i.look(s.host, err, "reading the host", host.Side())
		if err == nil {
			s.facts, s.lock = facts, facts.Lock
			if !before.host.At.IsZero() && before.facts.Packaging != facts.Packaging {
				signal(care)
			}
		}
		return !sameFacts(before.facts, s.facts) || !sameLook(before.host, s.host)
	})
	return err
}

// readNet reads a host's networks. Without an answer they stay as they were.
func (l *Live) readNet(ctx context.Context, host ops.Host) error {
	net, err := l.i.net(ctx, host)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		changed := !equal(s.net, net)
		if changed {
			s.net = net
		}
		return changed
	})
	return nil
}

// readUpkeep asks a host's package manager. Without an answer what it said last stays.
func (l *Live) readUpkeep(ctx context.Context, host ops.Host) error {
	upkeep, err := l.i.upkeep(ctx, host)
	if ctx.Err() != nil {
		return nil
	}
	l.update(func(w *world) bool {
		s := w.on(host.Side())
		before := *s
		s.care = l.i.look(s.care, err, doingUpkeep, host.Side())
		if err == nil {
			s.upkeep = upkeep
		}
		return !equal(before.upkeep, s.upkeep) || !sameLook(before.care, s.care)
	})
	return err
}

// careAgain is when to ask a package manager again: one at work will have done something soon.
func (l *Live) careAgain(side ops.Side) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.world.on(side).upkeep.Busy != "" {
		return factsEvery
	}
	return careEvery
}
