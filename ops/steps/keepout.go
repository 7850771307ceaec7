package steps

import (
	"context"
	"fmt"
	"time"

	"tandem/ops"
)

// A balancer that restarts or reloads forgets what was taken out of service. Where a run goes
// forward that stops it (see [SideOut]): somebody may have put the side back. A rollback cannot
// wait for somebody: it takes the side out again, where the peer can bear it, and its last act
// restores what the balancer said before the run.

// SideOutAgain is SideOut for what takes a side's services away in a rollback: Undo begins with
// keepOut.
func SideOutAgain(side ops.Side) ops.Guard {
	return guard(GuardSideOut, side.Upper()+" out of service", func(snap *ops.Snapshot, now time.Time) ops.Check {
		out := SideOut(side).Eval(snap, now)
		if out.State != ops.Fail {
			return out
		}
		at := snap.Balancer.Look.At
		for _, g := range []ops.Guard{PeerServes(side), PeerWell(side)} {
			if c := g.Eval(snap, now); c.State != ops.Pass && c.State != ops.Remark {
				return check(c.State, at, side.Upper()+" is in service again and cannot be drained: "+c.Text, c.Hint)
			}
		}
		return check(ops.Remark, at, side.Upper()+" is in service again: it is drained first", "")
	})
}

// keepOut drains a side that the balancer has let in, or would once its check passes. It is for
// Undo: a side that fails its check while the peer does not serve either is left alone, and so
// is one of which the balancer says nothing.
func keepOut(ctx context.Context, env ops.Env, side ops.Side) error {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	switch status.On(side).Traffic {
	case ops.InService:
		env.Log.Say("the balancer has let " + side.Upper() + " in again: draining it")
	case ops.Down:
		if status.On(side.Peer()).Traffic != ops.InService {
			return nil
		}
		env.Log.Say("the balancer would let " + side.Upper() + " in again: draining it")
	default:
		return nil
	}
	return drainAway(ctx, env, side, env.Pair.Limits.Drain)
}
