package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/ops"
)

// notingLocker is the pair's lock that keeps on the record where it was taken, so that a
// later runner knows where it must still be.
type notingLocker struct {
	ops.Locker
	run *run
}

func (r *run) locker() ops.Locker { return notingLocker{r.cfg.Env.Locker, r} }

func (l notingLocker) Take(ctx context.Context, info ops.LockInfo, allowMissing bool) ([]ops.Side, error) {
	info.Former = l.run.former()
	missing, err := l.Locker.Take(ctx, info, allowMissing)
	if moved := (*ops.MovedError)(nil); errors.As(err, &moved) {
		l.run.givesWay(moved)
	}
	if err != nil {
		return missing, err
	}
	if err := l.run.noteOwner(info.Owner()); err != nil {
		return missing, err
	}
	var sides []ops.Side
	for _, side := range ops.Sides {
		if l.run.cfg.Env.Hosts[side] != nil && !slices.Contains(missing, side) {
			sides = append(sides, side)
		}
	}
	return missing, l.run.noteLock(sides)
}

func (l notingLocker) Release(ctx context.Context, run string) error {
	if err := l.Locker.Release(ctx, run); err != nil {
		return err
	}
	return l.run.noteLock([]ops.Side{})
}

// former are those whose marks of this run this process may replace: who is known to have given
// way to a later owner, who was a process of this user on this machine (it has ended, or the
// journal would be its), and who was found left alone. Whoever took the lock last elsewhere may
// be at work again, however long this process had to wait for the hosts.
func (r *run) former() []ops.LockInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	former := slices.Clone(r.cfg.Left)
	for _, o := range r.owners {
		if o != r.owners[len(r.owners)-1] || o.From == r.info.From && o.By == r.info.By {
			former = append(former, ops.LockInfo{Run: r.plan.ID, By: o.By, From: o.From, PID: o.PID})
		}
	}
	return former
}

// noteOwner records who took the lock: an owner that is not in the journal took it elsewhere.
func (r *run) noteOwner(owner ops.Owner) error {
	data, err := json.Marshal(owner)
	if err != nil {
		return fmt.Errorf("recording the owner of the lock: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.owners); n > 0 && r.owners[n-1] == owner {
		return nil
	}
	return r.appendLocked(ops.Event{Kind: ops.EvRecord, Text: ops.OwnerKey, Data: data})
}

func (r *run) noteLock(sides []ops.Side) error {
	data, err := json.Marshal(sides)
	if err != nil {
		return fmt.Errorf("recording the lock: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(sides, r.sides) {
		return nil
	}
	return r.appendLocked(ops.Event{Kind: ops.EvRecord, Text: lockKey, Data: data})
}

// release gives back a lock that is still held when everything has ended well.
func (r *run) release(ctx context.Context) error {
	r.mu.Lock()
	held := len(r.sides) > 0
	r.mu.Unlock()
	if !held {
		return nil
	}
	return r.locker().Release(ctx, r.plan.ID)
}

// left are the hosts that still have a mark of this run, which has ended: they did not answer
// then. A mark by an owner that is neither on the record nor on this machine is not one that
// was left: somebody goes on with the run there.
func (r *run) left(ctx context.Context) (sides []string) {
	held, _ := r.cfg.Env.Locker.Held(ctx) // what does not answer now is tried another time
	for _, side := range ops.Sides {
		mark := held[side]
		switch {
		case mark == nil || mark.Run != r.plan.ID:
		case mark.From != r.info.From && !slices.Contains(r.owners, mark.Owner()):
			return nil
		default:
			sides = append(sides, side.Upper())
		}
	}
	return sides
}

func (r *run) releaseLeft(ctx context.Context, sides []string) error {
	if err := r.cfg.Env.Locker.Release(ctx, r.plan.ID); err != nil {
		return err
	}
	return r.append(ops.Event{Kind: ops.EvSay, Text: "the lock that was left on " + strings.Join(sides, " and ") + " is released"})
}

// mayAct makes sure that the lock is this run's before an act. For a harmless act it only
// matters that nobody goes on with the run elsewhere.
func (r *run) mayAct(ctx context.Context, risk ops.Level, anyReachable bool) error {
	if risk == ops.Disruptive || risk == ops.Destructive {
		return r.stillLocked(ctx, anyReachable)
	}
	r.mu.Lock()
	held := len(r.sides) > 0
	r.mu.Unlock()
	if held {
		if err := r.stillLocked(ctx, true); errors.As(err, new(*ops.MovedError)) {
			return err
		}
	}
	return nil
}

// elsewhere is who goes on with this run, nil as far as nobody is known to.
func (r *run) elsewhere() *ops.MovedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

// stillLocked checks that this process holds the lock wherever the run took it. With
// anyReachable a side that cannot be read is passed over, as long as one holds: nobody can
// have taken the pair without finding that one. What may only be a matter of time is a *later.
//
// A mark of an earlier owner of this run, on a host that did not answer when the lock was
// taken over from it, is taken over now.
func (r *run) stillLocked(ctx context.Context, anyReachable bool) error {
	held, err := r.cfg.Env.Locker.Held(ctx)
	r.mu.Lock()
	sides, info := r.sides, r.info
	r.mu.Unlock()
	info.Former = r.former()
	var ours []ops.Side
	var waits error
	behind := false
	for _, side := range ops.Sides {
		mark, known := held[side]
		switch {
		case mark != nil && mark.Run != r.plan.ID:
			return notHeld(side, &ops.HeldError{Side: side, Info: *mark})
		case mark != nil && !info.Replaces(*mark):
			return r.givesWay(&ops.MovedError{Side: side, Info: *mark})
		case mark != nil:
			ours = append(ours, side)
			behind = behind || mark.Owner() != info.Owner()
		case !slices.Contains(sides, side):
		case known:
			return r.lockGone(ctx, side, info)
		case !anyReachable && waits == nil:
			if err == nil {
				err = errors.New("not known whether the lock is still there")
			}
			waits = &later{err: notHeld(side, err)}
		}
	}
	switch {
	case waits != nil:
		return waits
	case len(ours) == 0 && err != nil:
		return &later{err: notHeld("", errors.Join(errors.New("this run is not known to hold the lock"), err))}
	case len(ours) == 0:
		return notHeld("", errors.New("this run does not hold the lock"))
	case behind:
		_, err := r.locker().Take(ctx, info, true)
		if moved := (*ops.MovedError)(nil); errors.As(err, &moved) {
			return r.givesWay(moved)
		}
		if err != nil {
			return &later{err: fmt.Errorf("taking over the lock: %w", err)}
		}
	case len(sides) == 0:
		// The runner before died between taking the lock and recording it.
		return r.noteLock(ours)
	}
	return nil
}

// lockGone says of a mark that this run has no more who ended the run elsewhere, where somebody
// other than info and its former owners did.
func (r *run) lockGone(ctx context.Context, side ops.Side, info ops.LockInfo) error {
	if last := r.cfg.Env.Locker.Released(ctx, r.plan.ID); last != nil && !info.Replaces(*last) {
		return r.givesWay(&ops.MovedError{Side: side, Info: *last, Over: true})
	}
	return notHeld(side, ops.ErrLockGone)
}

// givesWay ends this runner: another process took over. What follows is for the record on
// this machine alone, the marks and the copies beside them are the other's.
func (r *run) givesWay(moved *ops.MovedError) error {
	r.mu.Lock()
	r.moved = moved
	r.mu.Unlock()
	return &ops.Problem{Doing: "checking the lock before acting", Side: moved.Side, Err: moved, Hint: "follow it there, or stop it there before it is resumed here"}
}

// overtaken ends this runner where an act found that another process took over while it waited
// for its host.
func (r *run) overtaken(err error) error {
	moved := (*ops.MovedError)(nil)
	if r.elsewhere() == nil && errors.As(err, &moved) {
		return errors.Join(r.givesWay(moved), err)
	}
	return err
}

func notHeld(side ops.Side, err error) error {
	return &ops.Problem{Doing: "checking the lock before acting", Side: side, Err: err,
		Hint: "see `tandem lock show`; when nobody else is at work, resume or roll back"}
}
