package runner

import (
	"context"
	"slices"
	"time"

	"tandem/ops"
)

// watch looks at the peer while a side is out by the hand of a patient run, also while no step
// begins: during a long stop or a reboot no guard is read. It puts on the record that nobody
// serves, once, and when somebody does again. What it sees keeps no step from acting: that is
// for the guards. It is over when stop returns.
func (r *run) watch(ctx context.Context) (stop func()) {
	if r.cfg.Watch <= 0 || !r.plan.Patient {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		beat := time.NewTicker(r.cfg.Watch)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
				r.watchOnce(ctx)
			}
		}
	}()
	return func() {
		cancel()
		<-over
	}
}

func (r *run) watchOnce(ctx context.Context) {
	sides := r.touched()
	if len(sides) == 0 || r.elsewhere() != nil {
		return
	}
	snap, blind := r.look(ctx, nil)
	if blind != nil || snap.Balancer.Look.Err != nil || ctx.Err() != nil {
		return // who serves is not known: nothing has changed as far as can be told
	}
	alarm := r.alarm(&snap.Balancer, sides)
	r.mu.Lock()
	was := r.state.Alarm
	r.mu.Unlock()
	switch {
	case alarm != "" && was == "":
		_ = r.append(ops.Event{Kind: ops.EvAlarm, Text: alarm}) // an error ends the run by itself
	case alarm == "" && was != "":
		_ = r.append(ops.Event{Kind: ops.EvAllClear, Text: serving(&snap.Balancer)})
	}
}

// touched are the sides on which an act that can hurt was begun and has not been taken back.
func (r *run) touched() []ops.Side {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sides []ops.Side
	for id, p := range r.pasts {
		s := r.step(id)
		if side := r.side(s); (p.acted || p.doing) && s.Step.Risk() != ops.Harmless && !slices.Contains(sides, side) {
			sides = append(sides, side)
		}
	}
	return sides
}

// alarm says that nobody serves while one of the sides is out, and what helps; empty where
// somebody serves.
func (r *run) alarm(b *ops.BalancerStatus, sides []ops.Side) string {
	for _, side := range sides {
		peer := side.Peer()
		at, of := b.On(side).Traffic, b.On(peer)
		if side == "" || at != ops.Out && at != ops.Draining && at != ops.Down || of.Traffic == ops.InService {
			continue
		}
		text := peer.Upper() + " is " + of.Traffic.Words()
		if of.Check != "" {
			text += " (" + of.Check + ")"
		}
		text += " while " + side.Upper() + " is " + at.Words() + ": nobody serves; mend " + peer.Upper() +
			", or let the run go on: " + side.Upper() + " is put back as soon as it can serve"
		if back := r.backWords(); back != "" && !r.rolling() {
			text += "; or put it back as it was, roll back: " + back
		}
		return text
	}
	return ""
}

// serving names the sides in service.
func serving(b *ops.BalancerStatus) string {
	text := ""
	for _, side := range ops.Sides {
		if b.On(side).Traffic != ops.InService {
			continue
		}
		if text != "" {
			text += " and "
		}
		text += side.Upper()
	}
	return text + " in service again"
}
