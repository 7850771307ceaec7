package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
)

// Soak proves that a side stays in service for a while without a gap.
type Soak struct {
	Side  ops.Side
	For   time.Duration
	Stale time.Duration // the balancer may be silent this long, no longer
}

// Kind implements [ops.Step], as do the methods below.
func (Soak) Kind() string { return KindSoak }

// Title is the act in words.
func (s Soak) Title() string { return "soak " + s.Side.Upper() + " for " + Words(s.For) }

// Effects: it only looks.
func (s Soak) Effects() []string {
	return []string{"watch the balancer: " + s.Side.Upper() + " in service for " + Words(s.For) + " without a gap"}
}

// Risk is harmless.
func (Soak) Risk() ops.Level { return ops.Harmless }

// Guards: none.
func (Soak) Guards() []ops.Guard { return nil }

// Check: there is always something to watch.
func (Soak) Check(context.Context, ops.Env) (ops.Verdict, error) { return ops.Ready, nil }

// Do watches. A balancer that is silent for longer than Stale has left a gap.
func (s Soak) Do(ctx context.Context, env ops.Env) error {
	begun := env.Now()
	seen := begun
	return wait(ctx, env, s.For+s.Stale, func() (bool, string, error) {
		status, err := env.Balancer.Status(ctx)
		now := env.Now()
		switch {
		case err != nil && now.Sub(seen) > s.Stale:
			return false, "", s.gap(fmt.Errorf("the balancer is silent for %s: %w", Words(now.Sub(seen)), err))
		case err != nil:
			return false, "the balancer does not answer: " + err.Error(), ctx.Err()
		}
		if at := status.On(s.Side); at.Traffic != ops.InService {
			return false, "", s.gap(fmt.Errorf("it is %s%s", at.Traffic.Words(), reason(at.Detail)))
		}
		seen = now
		return now.Sub(begun) >= s.For, s.Side.Upper() + ": in service", nil
	})
}

func (s Soak) gap(err error) error {
	return &ops.Problem{
		Doing: "watching whether it stays in service", Side: s.Side, Err: err,
		Hint: "see the balancer's check of " + s.Side.Upper() + "; then resume or roll back",
	}
}

// Verify looks once more, and puts on the record what the balancer has counted by now.
func (s Soak) Verify(ctx context.Context, env ops.Env) error {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	if status.On(s.Side).Traffic != ops.InService {
		return s.gap(errors.New("it is " + status.On(s.Side).Traffic.Words()))
	}
	return accountServed(env, &status)
}

// Undo has nothing to take back.
func (Soak) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Soak) Back() ops.Undoing { return ops.Undoing{} }
