package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/ops"
)

// Unhold gives every container its recorded restart policy again, and starts the
// containers of no service and no job that ran.
type Unhold struct {
	Side       ops.Side
	Containers []Was
	Others     []Was         // of no service and no job
	From       string        // the step that recorded them: hold
	Within     time.Duration // for the others to run
}

// Kind implements [ops.Step], as do the methods below.
func (Unhold) Kind() string { return KindUnhold }

// Title is the act in words.
func (u Unhold) Title() string { return "restore the restart policies of " + u.Side.Upper() }

// Effects are the engine's calls.
func (u Unhold) Effects() []string {
	effects := []string{"docker update --restart (as recorded) " + names(u.all())}
	if len(u.Others) > 0 {
		effects = append(effects, "docker start, those that ran: "+names(u.Others))
	}
	return effects
}

// Risk: containers of no service start.
func (Unhold) Risk() ops.Level { return ops.Disruptive }

// Guards: see [Start].
func (u Unhold) Guards() []ops.Guard { return []ops.Guard{SideFresh(u.Side)} }

// Check: already done when all policies are as recorded and the others that ran run.
func (u Unhold) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := list(ctx, env, u.Side)
	if err != nil {
		return ops.Blocked, err
	}
	return u.verdict(env, all)
}

func (u Unhold) verdict(env ops.Env, all listing) (ops.Verdict, error) {
	for i, was := range u.all() {
		kept, err := u.kept(env, was)
		if err != nil {
			return ops.Blocked, err
		}
		c, other := all.byName(was.Name), i >= len(u.Containers)
		switch {
		case c != nil && !samePolicy(c.Policy, kept.Policy):
			return ops.Ready, nil
		case other && kept.Running && (c == nil || c.State != "running"):
			return ops.Ready, nil
		}
	}
	return ops.AlreadyDone, nil
}

func (u Unhold) all() []Was { return slices.Concat(u.Containers, u.Others) }

func (u Unhold) kept(env ops.Env, was Was) (original, error) {
	kept, known, err := recorded(env, u.From, was)
	if err == nil && !known {
		err = unrecorded(u.Side, "restoring the restart policies", was)
	}
	return kept, err
}

// Do restores the policies, then starts what ran of the others.
func (u Unhold) Do(ctx context.Context, env ops.Env) error {
	engine, all, err := list(ctx, env, u.Side)
	if err != nil {
		return err
	}
	for _, was := range u.Containers {
		kept, err := u.kept(env, was)
		if err != nil {
			return err
		}
		c := all.byName(was.Name)
		if c == nil {
			env.Log.Say("there is no container " + was.Name + ": no restart policy to restore under that name")
			continue
		}
		if err := restorePolicy(ctx, engine, c, kept.Policy); err != nil {
			return err
		}
	}
	var ran []Was
	for _, was := range u.Others {
		kept, err := u.kept(env, was)
		if err != nil {
			return err
		}
		if err := u.other(ctx, env, engine, was, kept, all.byName(was.Name)); err != nil {
			return err
		}
		if kept.Running {
			ran = append(ran, Was{Name: was.Name})
		}
	}
	if len(ran) == 0 {
		return nil
	}
	others := ops.Service{Name: "other containers", Ready: ops.Readiness{Kind: ops.ReadyRunning}}
	return waitReady(ctx, env, u.Side, others, ran, u.Within)
}

// other brings a container of no service back to what it was.
func (u Unhold) other(ctx context.Context, env ops.Env, engine ops.Engine, was Was, kept original, c *ops.Container) error {
	if c == nil && !kept.Running {
		return nil
	}
	if c == nil { // --rm: the stop took it away
		id, err := remake(ctx, env, u.Side, engine, was, kept, nil)
		if err != nil {
			return err
		}
		c = &ops.Container{ID: id, Name: was.Name}
	}
	if err := restorePolicy(ctx, engine, c, kept.Policy); err != nil {
		return err
	}
	if !kept.Running || c.State == "running" {
		return nil
	}
	if err := engine.Start(ctx, c.ID); err != nil {
		return fmt.Errorf("starting %s: %w", was.Name, err)
	}
	return nil
}

// restorePolicy gives a container a recorded restart policy again.
func restorePolicy(ctx context.Context, engine ops.Engine, c *ops.Container, policy string) error {
	if samePolicy(c.Policy, policy) {
		return nil
	}
	if err := engine.SetRestartPolicy(ctx, c.ID, policy); err != nil {
		return fmt.Errorf("restoring the restart policy of %s: %w", c.Name, err)
	}
	return nil
}

// samePolicy: no policy is the policy no.
func samePolicy(a, b string) bool {
	return a == b || held(&ops.Container{Policy: a}) && held(&ops.Container{Policy: b})
}

// Verify reads the containers afresh.
func (u Unhold) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, u.Side)
	if err != nil {
		return err
	}
	verdict, err := u.verdict(env, all)
	if err == nil && verdict != ops.AlreadyDone {
		err = &ops.Problem{
			Doing: "proving the restart policies", Side: u.Side, Err: errors.New("not all containers are as recorded"), Hint: "resume to restore them",
		}
	}
	return err
}

// Undo has nothing to take back: the hold step restores policies, the stop step states.
func (Unhold) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Unhold) Back() ops.Undoing { return ops.Undoing{} }
