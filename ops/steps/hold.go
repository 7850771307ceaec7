package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

// Hold records every container of a side in full and takes its restart policy away, so that
// nothing starts by itself, in no order, when the engine or the host starts again: `always`
// comes back even after `docker stop`, `on-failure` after a stop that ended in a kill
// (measured on 20.10 and 26.1).
//
// What is recorded here is what stop, remove, start and unhold of the same run go by: the
// key keyOriginal(name), the value an original.
type Hold struct {
	Side       ops.Side
	Containers []Was // of services and jobs
	Others     []Was `json:",omitempty"` // of neither
	// Recorded beside them, before anything is removed: the networks that will be, the
	// engine's settings, and what the balancer says of the side, which no drain records where
	// the side was out already.
	Networks []NetworkWas `json:",omitempty"`
	File     string       `json:",omitempty"` // /etc/docker/daemon.json
}

// keyBalancer is the recorded state of the balancer.
const keyBalancer = "balancer"

// recoverGuards must hold right before each act that takes a side further down. The side is
// out by then, which is why the peer has to serve: that the side serves nothing is no excuse.
func recoverGuards(side ops.Side) []ops.Guard {
	return []ops.Guard{SideFresh(side), SideOut(side), PeerServes(side), PeerWell(side), PeerCanary(side), NoJobRunning(side)}
}

// Kind implements [ops.Step], as do the methods below.
func (Hold) Kind() string { return KindHold }

// Title is the act in words.
func (h Hold) Title() string { return "hold the restart policies of " + h.Side.Upper() }

func (h Hold) all() []Was { return append(append([]Was(nil), h.Containers...), h.Others...) }

// Effects are the engine's calls.
func (h Hold) Effects() []string {
	effects := []string{"record the inspect of each: " + names(h.all())}
	for _, n := range h.Networks {
		effects = append(effects, "record the inspect of the network "+n.Name)
	}
	if h.File != "" {
		effects = append(effects, "record "+h.File)
	}
	return append(effects, "docker update --restart no "+names(h.all()))
}

// Risk: a container that ends stays down.
func (Hold) Risk() ops.Level { return ops.Disruptive }

// Guards are those of a recovery.
func (h Hold) Guards() []ops.Guard { return recoverGuards(h.Side) }

// Check: already done when all are recorded and none has a policy.
func (h Hold) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := h.look(ctx, env)
	if err != nil {
		return ops.Blocked, err
	}
	done := true
	for _, was := range h.all() {
		known, err := env.Log.Recall(keyOriginal(was.Name), new(original))
		if err != nil {
			return ops.Blocked, fmt.Errorf("reading the record of %s: %w", was.Name, err)
		}
		c := all.named(was)
		if !known {
			if err := unchanged(h.Side, "holding the restart policies", was, all.byID(was.ID)); err != nil {
				return ops.Blocked, err
			}
		}
		done = done && known && (c == nil || held(c))
	}
	if known, err := env.Log.Recall(keyBalancer, new(json.RawMessage)); err != nil {
		return ops.Blocked, fmt.Errorf("reading the record of the balancer: %w", err)
	} else if done && known { // it is recorded last
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// held tells whether the engine never starts the container by itself.
func held(c *ops.Container) bool { return c.Policy == "no" || c.Policy == "" }

// look reads the containers that have the names now, each for itself: a listing may tell a
// restart policy that was changed by hand minutes ago.
func (h Hold) look(ctx context.Context, env ops.Env) (ops.Engine, listing, error) {
	engine, all, err := list(ctx, env, h.Side)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var now listing
	err = each(h.all(), func(was Was) error {
		c := all.named(was)
		if c == nil {
			return nil
		}
		read, err := engine.Container(ctx, c.ID)
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.Name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		now = append(now, read)
		return nil
	})
	return engine, now, err
}

// named returns the container that has the name now, else the one that had it.
func (l listing) named(was Was) *ops.Container {
	if c := l.byName(was.Name); c != nil {
		return c
	}
	return l.byID(was.ID)
}

// surroundings records what the containers are put into.
func (h Hold) surroundings(ctx context.Context, env ops.Env, engine ops.Engine) error {
	var all []ops.Network
	var err error
	if len(h.Networks) > 0 {
		if all, err = engine.Networks(ctx); err != nil {
			return fmt.Errorf("listing the networks of %s: %w", h.Side, err)
		}
	}
	for _, was := range h.Networks {
		n, there := named(all, was.Name)
		if err := (RemoveNetworks{Side: h.Side}).record(ctx, env, engine, "recording the network "+was.Name, was, n, there); err != nil {
			return err
		}
	}
	if h.File != "" {
		file, err := (Pools{Side: h.Side, File: h.File}).asIs(ctx, env)
		if err != nil {
			return err
		}
		if err := env.Log.Record(keyFile, file); err != nil {
			return fmt.Errorf("recording %s: %w", h.File, err)
		}
	}
	state, err := env.Balancer.Prior(ctx, h.Side)
	if err != nil {
		return fmt.Errorf("reading the balancer's state of %s: %w", h.Side, err)
	}
	if err := env.Log.Record(keyBalancer, state); err != nil {
		return fmt.Errorf("recording the balancer's state of %s: %w", h.Side, err)
	}
	return nil
}

// Do records everything before it changes the first.
func (h Hold) Do(ctx context.Context, env ops.Env) error {
	engine, all, err := h.look(ctx, env)
	if err != nil {
		return err
	}
	for _, was := range h.all() {
		if err := recordOriginal(ctx, env, h.Side, engine, "holding the restart policies", was, all.byID(was.ID)); err != nil {
			return err
		}
	}
	if err := env.Log.Record(keyInOrder, h.Containers); err != nil {
		return fmt.Errorf("recording what is held: %w", err)
	}
	if err := h.surroundings(ctx, env, engine); err != nil {
		return err
	}
	return each(h.all(), func(was Was) error {
		c := all.named(was)
		if c == nil || held(c) {
			return nil
		}
		if err := engine.SetRestartPolicy(ctx, c.ID, "no"); err != nil {
			return fmt.Errorf("holding the restart policy of %s: %w", c.Name, err)
		}
		return nil
	})
}

// keyInOrder are the containers of services, in start order.
const keyInOrder = "in order"

// atOnce is how many containers a step acts on at the same time.
const atOnce = 4

// each acts on containers that do not depend on each other. All are tried; the first error
// counts.
func each(list []Was, act func(Was) error) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, was := range list {
		group.Go(func() error { return act(was) })
	}
	return group.Wait()
}

// Verify reads the policies afresh.
func (h Hold) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := h.look(ctx, env)
	if err != nil {
		return err
	}
	for _, was := range h.all() {
		if c := all.named(was); c != nil && !held(c) {
			return &ops.Problem{
				Doing: "proving that nothing starts by itself", Side: h.Side, Err: fmt.Errorf("%s has restart policy %s", c.Name, c.Policy),
				Hint: "see who set it, then resume",
			}
		}
	}
	return nil
}

// Undo restores the recorded policies, on whatever container has the name now: by then the
// recorded one may have been made anew. What ran and has fallen meanwhile, as all does that is
// held when the host loses its power, is started again.
func (h Hold) Undo(ctx context.Context, env ops.Env) error {
	engine, all, err := h.look(ctx, env)
	if err != nil {
		return err
	}
	touched := false
	for _, was := range h.all() {
		var kept original
		known, err := env.Log.Recall(keyOriginal(was.Name), &kept)
		if err != nil {
			return fmt.Errorf("reading the record of %s: %w", was.Name, err)
		}
		if !known {
			continue
		}
		touched = true
		c := all.named(was)
		if c == nil {
			env.Log.Say(was.Name + " is gone: it has no restart policy to restore")
			continue
		}
		// The policy comes first: one that ends at once, because what it needs is not ready yet, is
		// then started again by it.
		if err := restorePolicy(ctx, engine, c, kept.Policy); err != nil {
			return err
		}
		if kept.Running && !halts(c.State) {
			if err := engine.Start(ctx, c.ID); err != nil {
				return fmt.Errorf("starting %s: %w", was.Name, err)
			}
		}
	}
	if !touched {
		return ops.ErrNoUndo
	}
	return nil
}

// Back describes Undo.
func (h Hold) Back() ops.Undoing {
	var effects []string
	for _, was := range h.all() {
		effects = append(effects, "docker update --restart (as recorded) "+was.Name)
	}
	effects = append(effects, "docker start of those that ran and do not any more")
	return ops.Undoing{
		Title: "restart policies of " + h.Side.Upper() + " as they were", Effects: effects,
		Risk: ops.Disruptive, Guards: []ops.Guard{SideFresh(h.Side)},
	}
}

// recorded reads what the hold step of this run recorded of a container.
func recorded(env ops.Env, from string, was Was) (kept original, known bool, err error) {
	if env.Recorded != nil {
		known, err = env.Recorded(from, keyOriginal(was.Name), &kept)
	}
	if err != nil {
		return kept, false, fmt.Errorf("reading the record of %s: %w", was.Name, err)
	}
	return kept, known, nil
}

// unrecorded is the refusal to touch what could not be brought back.
func unrecorded(side ops.Side, doing string, was Was) error {
	return &ops.Problem{
		Doing: doing, Side: side, Err: fmt.Errorf("%s was never recorded: it could not be brought back", was.Name),
		Hint: "roll back, look again and make a new plan",
	}
}
