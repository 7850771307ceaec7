package steps

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/ops"
)

// Wake starts the containers of one service that were stopped and are still there, those that
// ran when they were recorded. It is the other end of [Stop], where Start makes containers anew.
type Wake struct {
	Side       ops.Side
	Service    ops.Service
	Containers []Was
	From       string        // the step that recorded them: hold
	Stop       time.Duration // when undone, a container may take this long to stop
	Within     time.Duration // for getting ready
	Unready    bool          `json:",omitempty"` // not ready when the plan was made: it is not waited for
}

// Kind implements [ops.Step], as do the methods below.
func (Wake) Kind() string { return KindWake }

// Title is the act in words.
func (w Wake) Title() string { return "start " + w.Service.Name + " again" }

// Effects are the engine's calls.
func (w Wake) Effects() []string {
	effects := []string{startAgainWords(w.Containers)}
	if !w.Unready {
		effects = append(effects, fmt.Sprintf("wait until %s is ready, %s at most", w.Service.Name, Words(w.Within)))
	}
	return effects
}

// Risk: what is started can be stopped again.
func (Wake) Risk() ops.Level { return ops.Disruptive }

// Guards: see [Start].
func (w Wake) Guards() []ops.Guard { return []ops.Guard{SideFresh(w.Side)} }

// Check: already done when all that ran run, with their restart policies, and the service is ready.
func (w Wake) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := list(ctx, env, w.Side)
	if err != nil {
		return ops.Blocked, err
	}
	ran, err := w.ran(env)
	if err != nil {
		return ops.Blocked, err
	}
	var now []*ops.Container
	for _, was := range ran {
		kept, _, err := recorded(env, w.From, was)
		if err != nil {
			return ops.Blocked, err
		}
		c := all.byName(was.Name)
		if c == nil || c.State != "running" || !samePolicy(c.Policy, kept.Policy) {
			return ops.Ready, nil
		}
		now = append(now, c)
	}
	if len(ran) == 0 || w.Unready {
		return ops.AlreadyDone, nil
	}
	if _, ready := serviceReady(ctx, env.Hosts[w.Side], w.Service, now); ready {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// ran are the containers that ran when they were recorded, by name.
func (w Wake) ran(env ops.Env) ([]Was, error) {
	var ran []Was
	for _, was := range w.Containers {
		kept, known, err := recorded(env, w.From, was)
		switch {
		case err != nil:
			return nil, err
		case !known:
			return nil, unrecorded(w.Side, "starting "+w.Service.Name, was)
		case kept.Running:
			ran = append(ran, Was{Name: was.Name})
		}
	}
	return ran, nil
}

// Do starts them and waits for the service.
func (w Wake) Do(ctx context.Context, env ops.Env) error {
	if err := env.Log.Record(keyBegun, env.Now()); err != nil {
		return fmt.Errorf("recording the start: %w", err)
	}
	if _, err := w.ran(env); err != nil { // all are recorded
		return err
	}
	tryKeepOut(ctx, env, w.Side)
	ran, err := startAgain(ctx, env, w.Side, w.From, w.Containers)
	if err != nil || len(ran) == 0 || w.Unready {
		return err
	}
	return waitReady(ctx, env, w.Side, w.Service, ran, w.Within)
}

// Verify reads the containers afresh.
func (w Wake) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, w.Side)
	if err != nil {
		return err
	}
	ran, err := w.ran(env)
	if err != nil || len(ran) == 0 || w.Unready {
		return err
	}
	now, _ := all.of(ran)
	return proveReady(ctx, env, w.Side, w.Service, now)
}

// Undo stops them again, and keeps them from starting by themselves when the engine restarts.
func (w Wake) Undo(ctx context.Context, env ops.Env) error {
	begun, err := env.Log.Recall(keyBegun, new(time.Time))
	if err != nil {
		return fmt.Errorf("reading when it was begun: %w", err)
	}
	if !begun {
		return ops.ErrNoUndo
	}
	if err := keepOut(ctx, env, w.Side); err != nil {
		return err
	}
	engine, all, err := list(ctx, env, w.Side)
	if err != nil {
		return err
	}
	return each(byName(w.Containers), func(was Was) error {
		c := all.byName(was.Name)
		if c == nil {
			return nil
		}
		if err := restorePolicy(ctx, engine, c, "no"); err != nil {
			return err
		}
		if !halts(c.State) {
			return nil
		}
		if err := engine.Stop(ctx, c.ID, w.Stop); err != nil {
			return fmt.Errorf("stopping %s: %w", was.Name, err)
		}
		return nil
	})
}

// Back describes Undo.
func (w Wake) Back() ops.Undoing {
	return ops.Undoing{
		Title: "stop " + w.Service.Name, Effects: []string{
			"docker update --restart no " + names(w.Containers), fmt.Sprintf("docker stop --time %d %s", int(w.Stop.Seconds()), names(w.Containers)),
		},
		Risk: ops.Disruptive, Guards: []ops.Guard{SideFresh(w.Side), SideOutAgain(w.Side)},
	}
}

// startAgainWords are the engine's calls of startAgain.
func startAgainWords(containers []Was) string {
	return "docker start " + names(containers) + " (those that ran); restart policies as recorded"
}

// startAgain starts those of the containers that ran when they were recorded, whatever their ids
// are now, and returns them by name. What was never recorded is left alone. Each has its restart
// policy again at once: a host that loses its power from here on brings it back by itself, and
// what is started after it may need it.
func startAgain(ctx context.Context, env ops.Env, side ops.Side, from string, containers []Was) ([]Was, error) {
	engine, all, err := list(ctx, env, side)
	if err != nil {
		return nil, err
	}
	var ran []Was
	for _, was := range containers {
		kept, known, err := recorded(env, from, was)
		if err != nil {
			return nil, err
		}
		if !known || !kept.Running {
			continue
		}
		ran = append(ran, Was{Name: was.Name})
		c := all.byName(was.Name)
		if c == nil { // --rm: the stop took it away
			id, err := remake(ctx, env, side, engine, was, kept, nil)
			if err != nil {
				return nil, err
			}
			c = &ops.Container{ID: id, Name: was.Name}
		}
		if c.State != "running" {
			if err := engine.Start(ctx, c.ID); err != nil {
				return nil, fmt.Errorf("starting %s: %w", was.Name, err)
			}
		}
		if err := restorePolicy(ctx, engine, c, kept.Policy); err != nil {
			return nil, err
		}
	}
	return ran, nil
}

// startFallen starts what was held by the step from, stands before these in start order, ran
// then and does not run now: a host that loses its power brings nothing back by itself that is
// held, and these may need it. Steps that stopped it are taken back before theirs.
func startFallen(ctx context.Context, env ops.Env, side ops.Side, from string, before []Was) error {
	var held []Was
	if env.Recorded == nil {
		return nil
	}
	if _, err := env.Recorded(from, keyInOrder, &held); err != nil {
		return fmt.Errorf("reading what was held: %w", err)
	}
	engine, all, err := list(ctx, env, side)
	if err != nil {
		return err
	}
	for _, was := range held {
		if slices.ContainsFunc(before, func(b Was) bool { return b.Name == was.Name }) {
			return nil
		}
		kept, known, err := recorded(env, from, was)
		if err != nil {
			return err
		}
		c := all.byName(was.Name)
		if !known || !kept.Running || c == nil || halts(c.State) {
			continue
		}
		env.Log.Say(was.Name + " has fallen meanwhile: starting it")
		if err := restorePolicy(ctx, engine, c, kept.Policy); err != nil {
			return err
		}
		if err := engine.Start(ctx, c.ID); err != nil {
			return fmt.Errorf("starting %s: %w", was.Name, err)
		}
	}
	return nil
}
