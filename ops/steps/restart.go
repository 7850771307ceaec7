package steps

import (
	"context"
	"fmt"
	"time"

	"tandem/ops"
)

// Restart restarts one service: its containers one after the other, in container-number
// order, each waited for.
type Restart struct {
	Side       ops.Side
	Service    ops.Service
	Containers []Was         // in container-number order
	Stop       time.Duration // a container may take this long to stop, then it is killed
	Within     time.Duration // for getting ready
	// Out says that the side must be out of service meanwhile; without it the service
	// restarts under traffic and the peer must be able to take it.
	Out       bool `json:",omitempty"`
	Sequenced bool `json:",omitempty"` // one of several: the start order must be known
}

// Kind implements [ops.Step], as do the methods below.
func (Restart) Kind() string { return KindRestart }

// Title is the act in words.
func (r Restart) Title() string { return "restart " + r.Service.Name }

// Effects are the engine's calls.
func (r Restart) Effects() []string {
	return []string{
		fmt.Sprintf("docker restart --time %d %s", int(r.Stop.Seconds()), names(r.Containers)),
		fmt.Sprintf("wait until %s is ready, %s at most", r.Service.Name, Words(r.Within)),
	}
}

// Risk: what serves is stopped and started.
func (Restart) Risk() ops.Level { return ops.Disruptive }

// Guards depend on whether the side serves meanwhile.
func (r Restart) Guards() []ops.Guard { return actGuards(r.Side, r.Out, r.Sequenced) }

// actGuards are the guards of an act on the containers of a side.
func actGuards(side ops.Side, out, sequenced bool) []ops.Guard {
	guards := []ops.Guard{SideFresh(side), SideInBalancer(side), NoJobRunning(side)}
	if sequenced {
		guards = append(guards, OrderKnown())
	}
	if out {
		return append(guards, SideOut(side))
	}
	return append(guards, PeerInService(side), PeerReady(side))
}

// Check: already done when every container has started anew since the plan was made and
// the service is ready.
func (r Restart) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := list(ctx, env, r.Side)
	if err != nil {
		return ops.Blocked, err
	}
	containers, _ := all.of(r.Containers)
	anew := true
	for i, c := range containers {
		if c == nil {
			return ops.Blocked, &ops.Problem{
				Doing: "restarting " + r.Service.Name, Side: r.Side, Err: fmt.Errorf("container %s is gone", r.Containers[i].Name),
				Hint: "see who removed it; roll back, then look again",
			}
		}
		anew = anew && r.Containers[i].startedAnew(c)
	}
	if _, ready := serviceReady(ctx, env.Hosts[r.Side], r.Service, containers); anew && ready {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// startedAnew tells whether the container has started since the plan was made.
func (w Was) startedAnew(c *ops.Container) bool {
	return c.ID != w.ID || !c.StartedAt.Equal(w.StartedAt)
}

// Do restarts what has not started anew, or has and is not well.
func (r Restart) Do(ctx context.Context, env ops.Env) error {
	for i, was := range r.Containers {
		engine, all, err := list(ctx, env, r.Side)
		if err != nil {
			return err
		}
		c := all.find(was)
		if c == nil {
			return &ops.Problem{
				Doing: "restarting " + r.Service.Name, Side: r.Side, Err: fmt.Errorf("container %s is gone", was.Name),
				Hint: "see who removed it; roll back, then look again",
			}
		}
		if !was.startedAnew(c) || c.State != "running" || c.Health == "unhealthy" {
			env.Log.Say("restarting " + c.Name)
			if err := engine.Restart(ctx, c.ID, r.Stop); err != nil {
				return fmt.Errorf("restarting %s: %w", c.Name, err)
			}
		}
		if i == len(r.Containers)-1 {
			break
		}
		if err := waitContainer(ctx, env, r.Side, r.Service, was, r.Within); err != nil {
			return err
		}
	}
	return waitReady(ctx, env, r.Side, r.Service, r.Containers, r.Within)
}

// Verify: every container has started anew and the service is ready.
func (r Restart) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, r.Side)
	if err != nil {
		return err
	}
	containers, _ := all.of(r.Containers)
	for i, c := range containers {
		if c != nil && !r.Containers[i].startedAnew(c) {
			return &ops.Problem{
				Doing: "proving the restart of " + r.Service.Name, Side: r.Side, Err: fmt.Errorf("%s runs since %s as before", c.Name, c.StartedAt.UTC().Format(time.DateTime)),
				Hint: "resume to restart it",
			}
		}
	}
	return proveReady(ctx, env, r.Side, r.Service, containers)
}

func proveReady(ctx context.Context, env ops.Env, side ops.Side, svc ops.Service, containers []*ops.Container) error {
	if word, ready := serviceReady(ctx, env.Hosts[side], svc, containers); !ready {
		return &ops.Problem{
			Doing: "proving that " + svc.Name + " is ready", Side: side, Err: fmt.Errorf("it is %s", word),
			Hint: "read its log: l on " + svc.Name + "; mend it, then resume, or roll back",
		}
	}
	return nil
}

// Undo has nothing to take back.
func (Restart) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Restart) Back() ops.Undoing { return ops.Undoing{} }
