package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
)

// Verify proves that every service of a side is ready.
type Verify struct {
	Side    ops.Side
	Within  time.Duration
	Unready []string `json:",omitempty"` // not ready when the plan was made, and not its matter
}

// Kind implements [ops.Step], as do the methods below.
func (Verify) Kind() string { return KindVerify }

// Title is the act in words.
func (v Verify) Title() string { return "verify the services of " + v.Side.Upper() }

// Effects: it only looks.
func (v Verify) Effects() []string {
	return []string{"look at every service of " + v.Side.Upper() + " until all are ready, " + Words(v.Within) + " at most"}
}

// Risk is harmless.
func (Verify) Risk() ops.Level { return ops.Harmless }

// Guards: none.
func (Verify) Guards() []ops.Guard { return nil }

// Check: there is always something to look at.
func (Verify) Check(context.Context, ops.Env) (ops.Verdict, error) { return ops.Ready, nil }

// Do looks until all services are ready, or the operator has accepted that some are not.
func (v Verify) Do(ctx context.Context, env ops.Env) error {
	err := wait(ctx, env, v.Within, func() (bool, string, error) {
		_, c, err := v.look(ctx, env)
		if err != nil {
			return false, err.Error(), ctx.Err()
		}
		return c.Allows() || v.accepts(env, c), c.Text, nil
	})
	if errors.Is(err, errTimeout) {
		return &ops.Problem{
			Doing: "verifying the services", Side: v.Side, Err: err,
			Hint: "read the log of the one that is not ready, mend it, then resume; or go on without it: resume --accept " + GuardServicesReady + " --reason WHY; or roll back",
		}
	}
	return err
}

// accepts tells whether the operator has accepted what is seen. What is not known was not
// accepted: it is waited for.
func (v Verify) accepts(env ops.Env, c ops.Check) bool {
	return c.State == ops.Fail && accepted(env, GuardServicesReady, c.Services...)
}

func (v Verify) look(ctx context.Context, env ops.Env) (ops.Snapshot, ops.Check, error) {
	snap, err := env.Look(ctx)
	if err != nil {
		return snap, ops.Check{}, fmt.Errorf("looking at the pair: %w", err)
	}
	return snap, ServicesReady(v.Side, v.Unready).Eval(&snap, env.Now()), nil
}

// Verify looks once more, and puts on the record what the side runs now.
func (v Verify) Verify(ctx context.Context, env ops.Env) error {
	snap, c, err := v.look(ctx, env)
	if err != nil {
		return err
	}
	switch {
	case v.accepts(env, c):
		env.Log.Say(c.Text + ": accepted (" + GuardServicesReady + ")")
	case !c.Allows():
		return &ops.Problem{Doing: "verifying the services", Side: v.Side, Err: errors.New(c.Text), Hint: c.Hint}
	}
	return account(env, &snap, v.Side)
}

// Undo has nothing to take back.
func (Verify) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Verify) Back() ops.Undoing { return ops.Undoing{} }
