package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/lock"
	"tandem/ops/steps"
)

// scheduled is the reason on the record of a canary that nobody asked for.
const scheduled = "on schedule"

// canaries starts canaries as the config has it: canary: every 15m. Each open console and each
// `check --watch` has one. Those on one machine know of each other by the journals, those on
// different machines by the lock alone: there each may try in its turn, which does no harm.
type canaries struct {
	s      *session
	every  time.Duration
	jitter time.Duration          // of this process, so that two do not begin together
	tried  map[ops.Side]time.Time // by this process, whatever came of it
}

func newCanaries(s *session) *canaries {
	every := s.cfg.Pair.Canary
	return &canaries{s: s, every: every, jitter: rand.N(every/10 + 1), tried: map[ops.Side]time.Time{}}
}

// due is the side on which a canary is to be tried now, empty for none: the one whose latest is
// older. While a run is under way, or one stopped half-way, the pair is left alone, and so is a side
// that does not answer.
func (c *canaries) due(snap *ops.Snapshot, now time.Time) ops.Side {
	if c.every == 0 || snap.Blue.Lock != nil || snap.Green.Lock != nil {
		return ""
	}
	var due ops.Side
	var oldest time.Time
	for _, side := range ops.Sides {
		at, last := snap.On(side), c.tried[side]
		if at.Link != ops.LinkUp || !at.Host.Fresh(now, snap.Pair.Limits.Stale) || !at.Engine.Fresh(now, snap.Pair.Limits.Stale) {
			continue
		}
		if at.Canary != nil && at.Canary.At.After(last) {
			last = at.Canary.At
		}
		if now.Sub(last) >= c.every+c.jitter && (due == "" || last.Before(oldest)) {
			due, oldest = side, last
		}
	}
	return due
}

// run starts a canary where one is due and waits for its end. That it was refused, because
// somebody has just taken the lock, is no matter: it becomes due again.
func (c *canaries) run(ctx context.Context, snap ops.Snapshot) error {
	if c.s.readOnly.Load() || c.due(&snap, time.Now()) == "" {
		return nil
	}
	runs, _ := journal.Latest(c.s.state, c.s.cfg.Pair.Name, runsForLook) // another console here may have just tried
	snap.Blue.Canary, snap.Green.Canary = nil, nil
	addKnown(runs, &snap)
	side := c.due(&snap, time.Now())
	if side == "" {
		return nil
	}
	c.tried[side] = time.Now()
	look, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	plan, err := c.s.plan(look, ops.Request{Op: ops.OpCanary, Side: side, Reason: scheduled})
	if err != nil || plan.Refusal() != nil {
		return err
	}
	if err := c.s.launch(plan); err != nil {
		return err
	}
	err = c.s.watch(ctx, plan.ID, func(run *ops.Run, _ []ops.Event) error {
		if !run.Ended.IsZero() {
			return errFollowed
		}
		return nil
	})
	if errors.Is(err, errFollowed) {
		return nil
	}
	return err
}

// tidyTime is how long looking for what canaries left, and removing it, may take.
const tidyTime = 20 * time.Second

// tidy removes what canaries of runs that died have left on the hosts of the snapshot, and tells
// in words what it did. Nothing is touched while a run lives.
func (s *session) tidy(ctx context.Context, snap *ops.Snapshot) []string {
	if s.readOnly.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tidyTime)
	defer cancel()
	var told []string
	for _, side := range ops.Sides {
		if at := snap.On(side); at.Link != ops.LinkUp || at.Engine.Err != nil || at.Engine.At.IsZero() {
			continue
		}
		left, err := s.tidySide(ctx, side)
		if !left.Empty() {
			text := side.Upper() + ": removed what a canary had left: " + strings.Join(left.Names(), ", ")
			if err != nil {
				text = fmt.Sprintf("%s: a canary has left %s: %v", side.Upper(), strings.Join(left.Names(), ", "), err)
			}
			told = append(told, text)
		}
	}
	return told
}

// tidySide lists first and reads the lock afterwards: a run has the lock for as long as a canary
// of it is there, so what was listed under no living lock is nobody's.
func (s *session) tidySide(ctx context.Context, side ops.Side) (steps.Leftovers, error) {
	engine, err := s.hosts[side].Engine(ctx)
	if err != nil {
		return steps.Leftovers{}, err
	}
	left, err := steps.FindLeftovers(ctx, engine)
	if err != nil || left.Empty() {
		return left, err
	}
	held, err := s.locker.Held(ctx)
	mark, known := held[side]
	switch {
	case !known:
		return left, fmt.Errorf("whether its run lives is not known: %w", err)
	case mark != nil && s.alive(*mark):
		return steps.Leftovers{}, nil
	}
	return left, left.Remove(ctx, engine)
}

// alive tells whether somebody carries out the run of a mark. Of one that was begun here the
// journal tells; another user's or machine's gives signs of life.
func (s *session) alive(mark ops.LockInfo) bool {
	if mark.Stopped {
		return false
	}
	if _, err := os.Stat(s.runDir(mark.Run)); err == nil && mark.From == s.machine {
		return s.live(mark.Run)
	}
	return !lock.Dead(mark, time.Now())
}
