package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
)

// A stop goes on in the engine when whoever asked for it is gone: the end of the request does
// not end it (moby, daemon/stop.go). A rollback that finds such a container running would leave
// it as it is, and see it end a moment later. So stops are recorded, and outlasted before
// anything is concluded from what runs.

func keyStopping(n int) string { return fmt.Sprintf("stopping %d", n) }

// noteStop records that a stop is asked for now.
func noteStop(env ops.Env) error {
	n, _, err := stopsAsked(env)
	if err == nil {
		err = env.Log.Record(keyStopping(n+1), env.Now())
	}
	if err != nil {
		return fmt.Errorf("recording the stop: %w", err)
	}
	return nil
}

// stopsAsked is how many stops the step has asked for, and when the last was.
func stopsAsked(env ops.Env) (n int, last time.Time, err error) {
	for {
		var at time.Time
		known, err := env.Log.Recall(keyStopping(n+1), &at)
		if err != nil {
			return 0, last, fmt.Errorf("reading the record of a stop: %w", err)
		}
		if !known {
			return n, last, nil
		}
		n, last = n+1, at
	}
}

// outlastStops waits until none of the containers of the step can be in the middle of a stop
// any more: it has ended, or the engine would have killed it by now. What was started after the
// stop was asked for is not meant by it. of are the step's containers in a listing, nil where
// one is not there.
func outlastStops(ctx context.Context, env ops.Env, side ops.Side, stop time.Duration, of func(listing) []*ops.Container) error {
	_, asked, err := stopsAsked(env)
	if err != nil || asked.IsZero() {
		return err
	}
	left := asked.Add(stop + lag).Sub(env.Now())
	if left <= 0 {
		return nil
	}
	err = wait(ctx, env, left, func() (bool, string, error) {
		_, all, err := list(ctx, env, side)
		if err != nil {
			return false, "", err
		}
		for _, c := range of(all) {
			if c != nil && halts(c.State) && c.StartedAt.Before(asked) {
				return false, "the stop of " + c.Name + " that was asked for may be under way", nil
			}
		}
		return true, "", nil
	})
	if errors.Is(err, errTimeout) { // it never reached the engine
		return nil
	}
	return err
}
