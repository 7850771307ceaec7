package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/ops"
)

// Stop stops the containers of one service. Hold comes before it: without that, what is
// stopped here could come back by itself.
type Stop struct {
	Side       ops.Side
	Service    ops.Service
	Containers []Was
	From       string        // the id of the hold step
	Stop       time.Duration // a container may take this long to stop, then it is killed
	Within     time.Duration // for getting ready, when undone
}

// keyWasReady tells whether the service was ready before it was stopped.
const keyWasReady = "was ready"

// Kind implements [ops.Step], as do the methods below.
func (Stop) Kind() string { return KindStop }

// Title is the act in words.
func (s Stop) Title() string { return "stop " + s.Service.Name }

// Effects are the engine's calls.
func (s Stop) Effects() []string {
	return []string{fmt.Sprintf("docker stop --time %d %s", int(s.Stop.Seconds()), names(s.Containers))}
}

// Risk: what serves is stopped.
func (Stop) Risk() ops.Level { return ops.Disruptive }

// Guards are those of a recovery.
func (s Stop) Guards() []ops.Guard { return recoverGuards(s.Side) }

// Check: already done when none of them runs, and this step has stopped those that did. What an
// outage has stopped is to be started by a rollback, too, and so is for Do to record.
func (s Stop) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := list(ctx, env, s.Side)
	if err != nil {
		return ops.Blocked, err
	}
	running, err := s.running(env, all)
	if err != nil {
		return ops.Blocked, err
	}
	if len(running) > 0 {
		return ops.Ready, nil
	}
	ran, err := s.ran(env)
	if err != nil {
		return ops.Blocked, err
	}
	known, err := env.Log.Recall(keyWasReady, new(bool))
	if err != nil {
		return ops.Blocked, fmt.Errorf("reading whether %s was ready: %w", s.Service.Name, err)
	}
	if len(ran) > 0 && !known {
		return ops.Ready, nil
	}
	return ops.AlreadyDone, nil
}

// ran are the records of those that ran when they were recorded.
func (s Stop) ran(env ops.Env) ([]original, error) {
	var ran []original
	for _, was := range s.Containers {
		kept, _, err := recorded(env, s.From, was)
		if err != nil {
			return nil, err
		}
		if kept.Running {
			ran = append(ran, kept)
		}
	}
	return ran, nil
}

// running are the containers that are still to be stopped, as they are named and known now.
// One that is gone has stopped.
func (s Stop) running(env ops.Env, all listing) ([]Was, error) {
	doing := "stopping " + s.Service.Name
	var list []Was
	for _, was := range s.Containers {
		_, known, err := recorded(env, s.From, was)
		if err != nil {
			return nil, err
		}
		if old := all.byID(was.ID); old != nil && old.Name != was.Name {
			return nil, unchanged(s.Side, doing, was, old)
		}
		c := all.byName(was.Name)
		switch {
		case c == nil || !halts(c.State):
			continue
		case !known:
			return nil, unrecorded(s.Side, doing, was)
		case c.ID != was.ID && !held(c):
			// A rollback makes containers anew and holds them; this one is somebody else's.
			return nil, unchanged(s.Side, doing, was, nil)
		}
		list = append(list, Was{Name: c.Name, ID: c.ID})
	}
	return list, nil
}

// Do stops what runs, all at once: the order is between services.
func (s Stop) Do(ctx context.Context, env ops.Env) error {
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	running, err := s.running(env, all)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		return s.fell(env)
	}
	containers, _ := all.of(byName(s.Containers))
	_, ready := serviceReady(ctx, env.Hosts[s.Side], s.Service, containers)
	if err := env.Log.Record(keyWasReady, ready); err != nil {
		return fmt.Errorf("recording whether %s was ready: %w", s.Service.Name, err)
	}
	if err := noteStop(env); err != nil {
		return err
	}
	env.Log.Say("stopping " + names(running))
	return each(running, func(c Was) error {
		if err := engine.Stop(ctx, c.ID, s.Stop); err != nil {
			return fmt.Errorf("stopping %s: %w", c.Name, err)
		}
		return nil
	})
}

// fell records of a service that something else has stopped whether it was well before, as far
// as the record of its containers tells.
func (s Stop) fell(env ops.Env) error {
	ran, err := s.ran(env)
	if err != nil || len(ran) == 0 {
		return err
	}
	well := !slices.ContainsFunc(ran, func(o original) bool { return o.Health != "" && o.Health != "healthy" })
	if err := env.Log.Record(keyWasReady, well); err != nil {
		return fmt.Errorf("recording whether %s was ready: %w", s.Service.Name, err)
	}
	env.Log.Say(s.Service.Name + " has been stopped by something else")
	return nil
}

// lag is how long an engine's list may take to catch up with an act. Since 17.11 it is read
// from a copy, which an engine under load updates after it has answered (seen on 26.1: a
// container that was stopped is listed as running for some tenths of a second).
const lag = 5 * time.Second

// Verify reads the containers afresh.
func (s Stop) Verify(ctx context.Context, env ops.Env) error {
	var running []Was
	err := wait(ctx, env, lag, func() (bool, string, error) {
		_, all, err := list(ctx, env, s.Side)
		if err != nil {
			return false, "", err
		}
		running, err = s.running(env, all)
		return len(running) == 0, "", err
	})
	if errors.Is(err, errTimeout) {
		return &ops.Problem{
			Doing: "proving that " + s.Service.Name + " is stopped", Side: s.Side, Err: fmt.Errorf("still running: %s", names(running)),
			Hint: "see who started it, then resume; or roll back",
		}
	}
	return err
}

// Undo starts those that ran, whatever their ids are now, and waits for the service where
// it was ready before.
func (s Stop) Undo(ctx context.Context, env ops.Env) error {
	was, err := s.ran(env)
	if err != nil {
		return err
	}
	if len(was) > 0 {
		tryKeepOut(ctx, env, s.Side)
	}
	err = outlastStops(ctx, env, s.Side, s.Stop, func(all listing) (mine []*ops.Container) {
		for _, was := range s.Containers {
			mine = append(mine, all.byName(was.Name))
		}
		return mine
	})
	if err != nil {
		return err
	}
	if err := startFallen(ctx, env, s.Side, s.From, s.Containers); err != nil {
		return err
	}
	ran, err := startAgain(ctx, env, s.Side, s.From, s.Containers)
	if err != nil {
		return err
	}
	if len(ran) == 0 {
		return ops.ErrNoUndo
	}
	var ready bool
	if _, err := env.Log.Recall(keyWasReady, &ready); err != nil {
		return fmt.Errorf("reading whether %s was ready: %w", s.Service.Name, err)
	}
	if !ready {
		env.Log.Say(s.Service.Name + " was not ready before: it runs again and is not waited for")
		return nil
	}
	return waitReady(ctx, env, s.Side, s.Service, ran, s.Within)
}

// Back describes Undo.
func (s Stop) Back() ops.Undoing {
	return ops.Undoing{
		Title: "start " + s.Service.Name,
		Effects: []string{
			startAgainWords(s.Containers),
			fmt.Sprintf("wait until %s is ready, %s at most", s.Service.Name, Words(s.Within)),
		},
		Risk: ops.Disruptive, Guards: []ops.Guard{SideFresh(s.Side)},
	}
}
