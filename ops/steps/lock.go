package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tandem/ops"
)

// Lock takes the lock on both hosts. Its mark is also the freeze that deployments respect.
type Lock struct {
	Side ops.Side // the side of the run
	Run  string   // the run's id: its own mark does not refuse it
	// AllowMissing are hosts that need not answer: their absence was accepted as a risk.
	AllowMissing []ops.Side `json:",omitempty"`
	// Alone says that the peer's mark is wished for, not needed: the run does not touch it.
	Alone bool `json:",omitempty"`
}

// Kind implements [ops.Step], as do the methods below.
func (Lock) Kind() string { return KindLock }

// Title is the act in words.
func (Lock) Title() string { return "take the lock" }

// Effects are the marks to be made.
func (l Lock) Effects() []string {
	return []string{fmt.Sprintf("mark run %s in /var/lib/tandem/lock on both hosts", l.Run)}
}

// Risk is harmless: nothing that serves is touched.
func (Lock) Risk() ops.Level { return ops.Harmless }

// Guards: no other run, and both hosts answer.
func (l Lock) Guards() []ops.Guard {
	guards := []ops.Guard{NotLocked(l.Run), SideFresh(l.Side)}
	if !l.Alone {
		guards = append(guards, PeerReachable(l.Side))
	}
	return guards
}

// Check finds the run's own marks.
func (l Lock) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	held, err := env.Locker.Held(ctx)
	if err == nil && mine(held[ops.Blue], env) && mine(held[ops.Green], env) {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// Do takes the lock on both hosts, or on none.
func (l Lock) Do(ctx context.Context, env ops.Env) error {
	return take(ctx, env, l.allowed())
}

func (l Lock) allowed() []ops.Side {
	if l.Alone {
		return append(slices.Clone(l.AllowMissing), l.Side.Peer())
	}
	return l.AllowMissing
}

// mine tells whether the mark is this run's.
func mine(mark *ops.LockInfo, env ops.Env) bool { return mark != nil && mark.Run == env.Run.Run }

func take(ctx context.Context, env ops.Env, allowed []ops.Side) error {
	missing, err := env.Locker.Take(ctx, env.Run, len(allowed) > 0)
	var held *ops.HeldError
	if errors.As(err, &held) {
		return &ops.Problem{Doing: "taking the lock", Side: held.Side, Err: err, Hint: "attach to that run, or wait for its end"}
	}
	if err != nil {
		return fmt.Errorf("taking the lock: %w", err)
	}
	for _, side := range missing {
		if !slices.Contains(allowed, side) {
			err := &ops.Problem{Doing: "taking the lock", Side: side, Err: ops.ErrUnreachable, Hint: "mend the connection to " + side.Upper()}
			return errors.Join(err, env.Locker.Release(ctx, env.Run.Run))
		}
		env.Log.Say(side.Upper() + " cannot be reached: locked on " + side.Peer().Upper() + " alone")
	}
	return nil
}

// Verify reads the marks afresh.
func (l Lock) Verify(ctx context.Context, env ops.Env) error {
	return holds(ctx, env, l.allowed())
}

func holds(ctx context.Context, env ops.Env, allowed []ops.Side) error {
	held, err := env.Locker.Held(ctx)
	for _, side := range ops.Sides {
		if !mine(held[side], env) && !slices.Contains(allowed, side) {
			if err == nil {
				err = errors.New("the mark is not there")
			}
			return &ops.Problem{Doing: "reading the lock", Side: side, Err: err, Hint: "see who removed it: tandem lock show"}
		}
	}
	return nil
}

// Undo releases the lock.
func (l Lock) Undo(ctx context.Context, env ops.Env) error { return release(ctx, env, l.allowed()) }

// Back describes Undo.
func (Lock) Back() ops.Undoing {
	return ops.Undoing{Title: "release the lock", Effects: []string{"remove the run's marks on both hosts"}, Risk: ops.Harmless}
}

// Unlock releases the lock.
type Unlock struct {
	Run          string
	AllowMissing []ops.Side `json:",omitempty"` // hosts where the lock need not be
}

// Kind implements [ops.Step], as do the methods below.
func (Unlock) Kind() string { return KindUnlock }

// Title is the act in words.
func (Unlock) Title() string { return "release the lock" }

// Effects are the marks to be removed.
func (u Unlock) Effects() []string {
	return []string{fmt.Sprintf("remove the mark of run %s on both hosts", u.Run)}
}

// Risk is harmless.
func (Unlock) Risk() ops.Level { return ops.Harmless }

// Guards: none, a run may always let go.
func (Unlock) Guards() []ops.Guard { return nil }

// Check looks for marks of this run.
func (u Unlock) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	held, err := env.Locker.Held(ctx)
	if err == nil && !mine(held[ops.Blue], env) && !mine(held[ops.Green], env) {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// Do removes the marks of this run.
func (u Unlock) Do(ctx context.Context, env ops.Env) error { return release(ctx, env, u.AllowMissing) }

// release lets go; a host where the lock need not be may stay silent. Where one does not answer
// that has to, the mark stays on the other, too: of a run that has ended half here and half there,
// nobody else could tell whether it has.
func release(ctx context.Context, env ops.Env, allowed []ops.Side) error {
	if len(allowed) == 0 {
		if _, err := env.Locker.Held(ctx); err != nil {
			return fmt.Errorf("releasing the lock: %w", err)
		}
	}
	err := env.Locker.Release(ctx, env.Run.Run)
	if err != nil && (len(allowed) == 0 || released(ctx, env, allowed) != nil) {
		return fmt.Errorf("releasing the lock: %w", err)
	}
	return nil
}

func released(ctx context.Context, env ops.Env, allowed []ops.Side) error {
	held, err := env.Locker.Held(ctx)
	for _, side := range ops.Sides {
		if mine(held[side], env) {
			return &ops.Problem{Doing: "releasing the lock", Side: side, Err: errors.New("the mark is still there"), Hint: "release it again: resume the run"}
		}
	}
	// Without the answer of a host nobody knows whether its mark is gone, except where
	// none was made.
	if err != nil && len(allowed) == 0 {
		return fmt.Errorf("reading the lock: %w", err)
	}
	return nil
}

// Verify reads the marks afresh.
func (u Unlock) Verify(ctx context.Context, env ops.Env) error {
	return released(ctx, env, u.AllowMissing)
}

// Undo takes the lock again: what follows in a rollback needs it.
func (u Unlock) Undo(ctx context.Context, env ops.Env) error {
	if err := take(ctx, env, u.AllowMissing); err != nil {
		return err
	}
	return holds(ctx, env, u.AllowMissing)
}

// Back describes Undo.
func (u Unlock) Back() ops.Undoing {
	return ops.Undoing{
		Title: "take the lock again", Effects: []string{fmt.Sprintf("mark run %s on both hosts", u.Run)},
		Risk: ops.Harmless, Guards: []ops.Guard{NotLocked(u.Run)},
	}
}
