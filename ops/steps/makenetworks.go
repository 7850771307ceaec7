package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/ops"
)

// MakeNetworks makes the networks again that an earlier step removed: each from its recorded
// inspect, with its driver, options and labels, compose's own among them, so that compose
// takes it for its own. Where the range was the engine's choice the engine chooses again,
// from the pools in effect now.
type MakeNetworks struct {
	Side     ops.Side
	Networks []NetworkWas
	From     string // id of the RemoveNetworks step that recorded them
}

// keyMadeNetwork is recorded before a network is made: it was missing then, so it is this step's.
func keyMadeNetwork(name string) string { return "made network " + name }

// Kind implements [ops.Step], as do the methods below.
func (MakeNetworks) Kind() string { return KindMakeNetworks }

// Title is the act in words.
func (m MakeNetworks) Title() string {
	return "make " + networkCount(m.Networks) + " of " + m.Side.Upper() + " again"
}

// Effects are the engine's calls.
func (m MakeNetworks) Effects() []string {
	var effects []string
	for _, n := range m.Networks {
		text := "create the network " + n.Name + " as recorded"
		if n.AnyRange {
			text += ", with a range from the address pools"
		}
		effects = append(effects, text)
	}
	return effects
}

// Risk: something is made; nothing that runs is touched.
func (MakeNetworks) Risk() ops.Level { return ops.Disruptive }

// Guards: the side is down; bringing it up again must not depend on its peer.
func (m MakeNetworks) Guards() []ops.Guard { return []ops.Guard{SideFresh(m.Side)} }

// Check: already done when all of them are there.
func (m MakeNetworks) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := networks(ctx, env, m.Side)
	if err != nil {
		return ops.Blocked, err
	}
	for _, was := range m.Networks {
		if _, there := named(all, was.Name); !there {
			return ops.Ready, nil
		}
	}
	return ops.AlreadyDone, nil
}

// recorded reads a network's inspect as the earlier step recorded it.
func (m MakeNetworks) recorded(env ops.Env, was NetworkWas) (json.RawMessage, error) {
	var kept json.RawMessage
	known, err := env.Recorded(m.From, keyNetwork(was.Name), &kept)
	if err != nil {
		return nil, fmt.Errorf("reading the record of the network %s: %w", was.Name, err)
	}
	if !known {
		return nil, &ops.Problem{
			Doing: "making the network " + was.Name, Side: m.Side, Err: errors.New("this run has no record of it"), Hint: "roll back, look again and make a new plan",
		}
	}
	return kept, nil
}

// Do makes those that are missing.
func (m MakeNetworks) Do(ctx context.Context, env ops.Env) error {
	for _, was := range m.Networks {
		kept, err := m.recorded(env, was)
		if err != nil {
			return err
		}
		engine, all, err := networks(ctx, env, m.Side)
		if err != nil {
			return err
		}
		if _, there := named(all, was.Name); there {
			continue
		}
		if err := env.Log.Record(keyMadeNetwork(was.Name), true); err != nil {
			return fmt.Errorf("recording that %s was missing: %w", was.Name, err)
		}
		env.Log.Say("making the network " + was.Name)
		if err := makeNetwork(ctx, env, engine, was.Name, kept, was.AnyRange); err != nil {
			return err
		}
	}
	return nil
}

// Verify compares each with its record: driver and labels, without which compose would not
// know it; and its range, the recorded one or one of the pools.
func (m MakeNetworks) Verify(ctx context.Context, env ops.Env) error {
	engine, all, err := networks(ctx, env, m.Side)
	if err != nil {
		return err
	}
	pools, err := engine.Pools(ctx)
	if err != nil {
		return fmt.Errorf("reading the address pools of %s: %w", m.Side, err)
	}
	for _, was := range m.Networks {
		kept, err := m.recorded(env, was)
		if err != nil {
			return err
		}
		wrong := "it is missing"
		if n, there := named(all, was.Name); there {
			now, err := engine.InspectNetwork(ctx, n.ID)
			if err != nil {
				return fmt.Errorf("inspecting the network %s: %w", was.Name, err)
			}
			wrong = differs(shapeOf(kept), shapeOf(now), was.AnyRange, pools)
		}
		if wrong != "" {
			return &ops.Problem{
				Doing: "proving the network " + was.Name, Side: m.Side, Err: errors.New(wrong), Hint: "see who made it so: docker network inspect " + was.Name + "; or roll back",
			}
		}
	}
	return nil
}

// differs says in words how a network is not what it was; empty if it is. Pools that are not
// known prove nothing of a range.
func differs(was, now networkShape, anyRange bool, pools []ops.Pool) string {
	switch {
	case was.Driver != now.Driver:
		return fmt.Sprintf("its driver is %s, it was %s", now.Driver, was.Driver)
	case !maps.Equal(was.Labels, now.Labels):
		return "its labels are not those that it had"
	case !anyRange && !slices.Equal(was.subnets(), now.subnets()):
		return fmt.Sprintf("its range is %v, it was %v", now.subnets(), was.subnets())
	case anyRange && len(pools) > 0 && !ops.AnyRange(now.subnets(), pools):
		return fmt.Sprintf("its range %v is not of the pools %s", now.subnets(), poolWords(pools))
	}
	return ""
}

// Undo removes what this step made, if nothing is on it.
func (m MakeNetworks) Undo(ctx context.Context, env ops.Env) error {
	touched := false
	for _, was := range slices.Backward(m.Networks) {
		made := false
		if _, err := env.Log.Recall(keyMadeNetwork(was.Name), &made); err != nil {
			return fmt.Errorf("reading whether %s was made: %w", was.Name, err)
		}
		if !made {
			continue
		}
		if !touched {
			if err := sweepSide(ctx, env, m.Side); err != nil {
				return err
			}
		}
		touched = true
		if err := m.drop(ctx, env, was); err != nil {
			return err
		}
	}
	if !touched {
		return ops.ErrNoUndo
	}
	return nil
}

func (m MakeNetworks) drop(ctx context.Context, env ops.Env, was NetworkWas) error {
	engine, containers, err := list(ctx, env, m.Side)
	if err != nil {
		return err
	}
	all, err := engine.Networks(ctx)
	if err != nil {
		return fmt.Errorf("listing the networks of %s: %w", m.Side, err)
	}
	n, there := named(all, was.Name)
	if !there {
		return nil
	}
	users, err := endpoints(ctx, engine, n, containers)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		env.Log.Say(fmt.Sprintf("the network %s stays: %s on it", was.Name, strings.Join(users, ", ")))
		return nil
	}
	if err := engine.RemoveNetwork(ctx, n.ID); err != nil {
		return fmt.Errorf("removing the network %s: %w", was.Name, err)
	}
	return nil
}

// Back describes Undo.
func (m MakeNetworks) Back() ops.Undoing {
	var effects []string
	for _, n := range m.Networks {
		effects = append(effects, "docker network rm "+n.Name)
	}
	return ops.Undoing{Title: "remove what was made of " + networkCount(m.Networks) + " of " + m.Side.Upper(), Effects: effects, Risk: ops.Disruptive, Guards: []ops.Guard{SideFresh(m.Side)}}
}
