package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tandem/ops"
	"tandem/tui"
)

// spectacle is a run under way that somebody only watches.
type spectacle struct {
	run ops.Run
	at  *ops.LockInfo // whose copy on the hosts is read; nil: its journal is on this machine
}

// liveRun finds a run under way by its id or the end of one: on this machine, else by its mark on
// the hosts, where another user or another machine carries it out.
func (s *session) liveRun(ctx context.Context, id string) (*spectacle, error) {
	run, err := s.findRun(id)
	if err == nil && s.live(run.ID) {
		return &spectacle{run: run}, nil
	}
	doing := "watching run " + id
	held, unseen := s.locker.Held(ctx)
	marks := slices.DeleteFunc([]*ops.LockInfo{held[ops.Blue], held[ops.Green]}, func(l *ops.LockInfo) bool { return l == nil || !called(l.Run, id) })
	if len(marks) > 0 {
		mark := marks[0]
		if mark.Stopped || err == nil && mark.From == s.machine { // by its owner, or its process is gone
			return nil, &codeError{exitUsage, &ops.Problem{Doing: doing, Err: errors.New("it has stopped half-way"), Hint: "tandem replay shows how that came, tandem resume goes on with it"}}
		}
		events, err := s.locker.Load(ctx)
		if run := ops.Replay(events); run.ID == mark.Run {
			return &spectacle{run, mark}, nil
		}
		if err == nil {
			err = errors.New("its copy is not on the hosts yet")
		}
		return nil, &codeError{exitNoLook, &ops.Problem{Doing: doing, Err: err, Hint: "try again"}}
	}
	switch last := s.locker.Released(ctx, id); {
	case err == nil:
		return nil, &codeError{exitUsage, &ops.Problem{Doing: doing, Err: fmt.Errorf("it is over: %s", endWords(&run)), Hint: "see how it was: tandem replay " + run.ID}}
	case unseen != nil:
		return nil, &codeError{exitNoLook, unseen}
	case last != nil:
		return nil, &codeError{exitUsage, &ops.Problem{Doing: doing, Err: fmt.Errorf("it has come to its end, by %s at %s", last.By, last.From), Hint: "see how it was there: tandem replay " + last.Run}}
	}
	return nil, &codeError{exitUsage, &ops.Problem{Doing: doing, Err: errors.New("it is not recorded on this machine, and neither host has its mark"), Hint: "tandem lock show tells the run under way, tandem runs those of this machine"}}
}

// spectate makes the run the only one that the console follows.
func (b *backend) spectate(show *spectacle) {
	if show.at == nil {
		b.followLocal(b.ctx, b.only)
		return
	}
	b.followRemote(b.ctx, *show.at)
}

// printLive writes a run line by line until it ends, as it comes. Nothing is asked of it.
func (s *session) printLive(ctx context.Context, out io.Writer, show *spectacle) error {
	var told ops.Run
	tell := func(events []ops.Event) bool {
		for _, e := range events {
			told.Apply(e)
			printEvent(out, &told, e)
		}
		return !told.Ended.IsZero()
	}
	if show.at == nil {
		err := s.watch(ctx, show.run.ID, func(run *ops.Run, news []ops.Event) error {
			if len(news) == 0 {
				told = *run
				fmt.Fprintln(out, goneWords(run))
				return errFollowed
			}
			if tell(news) {
				return errFollowed
			}
			return nil
		})
		if errors.Is(err, errFollowed) {
			return runError(&told)
		}
		return err
	}
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		events, _ := s.locker.Load(ctx) // what cannot be read now comes later
		if ops.Replay(events).ID == show.run.ID && tell(events[min(told.Events, len(events)):]) {
			return runError(&told)
		}
		if marks, err := s.marks(ctx, show.run.ID); err == nil && len(marks) == 0 {
			told.Ended, told.Outcome = told.LastAt, unlocked(&told)
			if told.Outcome == ops.OutcomeUnknown {
				fmt.Fprintf(out, "the lock is gone; how it ended is known to %s\n", safe(told.By))
			} else {
				fmt.Fprintln(out, endWords(&told))
			}
			return runError(&told)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		}
	}
}

// plainLive is printLive on the terminal of this process.
func (s *session) plainLive(ctx context.Context, g *globals, out io.Writer, show *spectacle) error {
	err := s.printLive(ctx, s.masked(out, g, tui.PeopleOf(&show.run)...), show)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
