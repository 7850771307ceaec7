package steps

import (
	"context"
	"fmt"
	"time"

	"tandem/ops"
)

// A balancer that restarts or reloads forgets what was taken out of service. Before an act that
// takes services away, going forward, that stops a run (see [SideOut]): somebody may have put the
// side back. A rollback cannot wait for somebody, and services that start must not meet users one
// by one: there the side is taken out again, where the peer can bear it. What the run does last
// puts it back, or restores what the balancer said before.

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

// keepOut drains a side that the balancer has let in, or would once its check passes. A side that
// fails its check while the peer does not serve either is left alone, and so is one of which the
// balancer says nothing.
func keepOut(ctx context.Context, env ops.Env, side ops.Side) error {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	peer := status.On(side.Peer()).Traffic
	switch status.On(side).Traffic {
	case ops.InService:
		if accepted(env, GuardSideOut) {
			return nil
		}
		if peer != ops.InService { // whatever was accepted when the run began
			return &ops.Problem{
				Doing: "keeping " + side.Upper() + " out of service", Side: side, Err: fmt.Errorf("the balancer has let it in again, and %s is %s", side.Peer().Upper(), peer.Words()),
				Hint: "get " + side.Peer().Upper() + " into service first",
			}
		}
		env.Log.Say("the balancer has let " + side.Upper() + " in again: draining it")
	case ops.Down:
		if peer != ops.InService {
			return nil
		}
		env.Log.Say("the balancer would let " + side.Upper() + " in again: draining it")
	case ops.Draining: // not cut off yet by a runner that died meanwhile?
		begun, err := env.Log.Recall(keyAsked, new(time.Time))
		if err != nil || !begun || peer != ops.InService {
			return err
		}
	default:
		return nil
	}
	if err := drainAway(ctx, env, side, env.Pair.Limits.Drain); err != nil {
		return err
	}
	return Drain{Side: side}.Verify(ctx, env)
}

// tryKeepOut is keepOut before services start: they are needed all the more where it fails.
func tryKeepOut(ctx context.Context, env ops.Env, side ops.Side) {
	if err := keepOut(ctx, env, side); err != nil {
		env.Log.Say(err.Error())
	}
}
