package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/steps"
)

// errFollowed ends a watch that has seen what it waited for.
var errFollowed = errors.New("seen")

// watch calls fn with a run on this machine and its new events, until ctx ends or fn
// returns an error. Where the process that carries it out is gone without a word, the run
// is shown as stopped, with no new event: nothing more will come of it by itself.
func (s *session) watch(ctx context.Context, id string, fn func(run *ops.Run, news []ops.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed, ended := make(chan []ops.Event), make(chan error, 1)
	go func() {
		ended <- journal.Follow(ctx, s.runDir(id), func(events []ops.Event) error {
			select {
			case feed <- events:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	var run ops.Run
	for {
		var news []ops.Event
		select {
		case err := <-ended:
			return err
		case news = <-feed:
			for _, e := range news {
				run.Apply(e)
			}
		case <-beat.C:
			if !s.died(&run) {
				continue
			}
		}
		if err := fn(run.Clone(), news); err != nil {
			return err
		}
	}
}

// died marks a run whose process is gone without a word as stopped half-way, which is what
// it is, and tells whether it has.
func (s *session) died(run *ops.Run) bool {
	if !run.Live() || s.live(run.ID) {
		return false
	}
	// Its last words may have been written since it was read.
	events, err := journal.Read(s.runDir(run.ID))
	if err != nil || len(events) != run.Events {
		return false
	}
	run.Ended, run.Outcome = run.LastAt, ops.OutcomeStopped
	return true
}

// unlocked is how a run of another machine ended whose lock is gone, as far as the last copy
// of its journal tells: a lock is also broken, and the last second of a run is not copied.
func unlocked(run *ops.Run) ops.Outcome {
	var back time.Time // when taking back began
	for _, l := range run.Lines {
		if l.Kind == ops.EvRollback {
			back = l.At
		}
	}
	for i := range run.Steps {
		s := &run.Steps[i]
		switch {
		case s.Doc.Kind == steps.KindLock, s.Doc.Kind == steps.KindUnlock:
		case s.Phase == ops.Skipped, run.Rolling && (s.Phase == ops.Waiting || s.Phase == ops.Undone):
		case (s.Phase == ops.Done || s.Phase == ops.Already) && !s.Ended.Before(back):
		default:
			return ops.OutcomeUnknown
		}
	}
	if run.Rolling {
		return ops.OutcomeRolledBack
	}
	return ops.OutcomeDone
}

// live tells whether a process on this machine carries out the run.
func (s *session) live(id string) bool {
	_, live := journal.Owner(s.runDir(id))
	return live
}

// lifeSigns is how long a run of another machine is watched before it counts as left
// alone: its owner renews the mark on the hosts every 5 s. Comparing two looks needs no
// clocks that agree.
const lifeSigns = 12 * time.Second

// leftAlone makes sure that nobody carries out a run of another machine or user any more: two
// processes at one run would undo each other's work. It returns the run's marks as it found them;
// the hosts may differ, where one did not answer when the run changed hands.
func (s *session) leftAlone(ctx context.Context, id string) ([]ops.LockInfo, error) {
	first, err := s.marks(ctx, id)
	var found []ops.LockInfo
	watch := false
	for _, mark := range first {
		found = append(found, mark)
		// Of this user's runs on this machine the journal is here, and no process holds it.
		watch = watch || !mark.Stopped && (mark.From != s.machine || mark.By != s.user)
	}
	if !watch {
		if len(first) > 0 {
			err = nil
		}
		return found, err
	}
	ctx, cancel := context.WithTimeout(ctx, lifeSigns)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return found, nil
		case <-tick.C:
		}
		now, _ := s.marks(ctx, id)
		for side, mark := range now {
			if was, seen := first[side]; seen && !mark.Beat.Equal(was.Beat) {
				return nil, &codeError{exitRefused, &ops.Problem{
					Doing: "going on with run " + id, Err: fmt.Errorf("it is being carried out by %s at %s", mark.By, mark.From),
					Hint: "ask there to stop it; nothing was changed",
				}}
			}
		}
	}
}

// marks are the run's marks on the hosts, as far as they can be read.
func (s *session) marks(ctx context.Context, id string) (map[ops.Side]ops.LockInfo, error) {
	held, err := s.locker.Held(ctx)
	marks := map[ops.Side]ops.LockInfo{}
	for side, mark := range held {
		if mark != nil && mark.Run == id {
			marks[side] = *mark
		}
	}
	return marks, err
}
