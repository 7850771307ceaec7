package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tandem/ops"
)

// NetworkWas is a network as it was when the plan was made.
type NetworkWas struct {
	Name     string
	ID       string
	Compose  bool `json:",omitempty"` // made by compose: it has the label com.docker.compose.network
	AnyRange bool `json:",omitempty"` // its range was the engine's choice: see [ops.AnyRange]
}

// RemoveNetworks removes the networks of the containers that were removed before. Each is
// recorded in full first, all of them before the first one goes.
type RemoveNetworks struct {
	Side     ops.Side
	Networks []NetworkWas
}

// builtIn are the engine's own networks: they can be neither removed nor made.
var builtIn = []string{"bridge", "host", "none"}

func keyNetwork(name string) string { return "network " + name }

// Kind implements [ops.Step], as do the methods below.
func (RemoveNetworks) Kind() string { return KindRemoveNetworks }

// Title is the act in words.
func (r RemoveNetworks) Title() string {
	return "remove " + networkCount(r.Networks) + " of " + r.Side.Upper()
}

func networkCount(all []NetworkWas) string {
	if len(all) == 1 {
		return "the network " + all[0].Name
	}
	return fmt.Sprintf("%d networks", len(all))
}

// Effects are the engine's calls.
func (r RemoveNetworks) Effects() []string {
	var effects []string
	for _, n := range r.Networks {
		effects = append(effects, "docker network rm "+n.Name)
	}
	return effects
}

// Risk: what a network was is in the journal alone then.
func (RemoveNetworks) Risk() ops.Level { return ops.Destructive }

// Guards are those of every act of a recovery.
func (r RemoveNetworks) Guards() []ops.Guard { return recoverGuards(r.Side) }

// networks is one fresh look at all networks of a side.
func networks(ctx context.Context, env ops.Env, side ops.Side) (ops.Engine, []ops.Network, error) {
	engine, err := env.Hosts[side].Engine(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the engine of %s: %w", side, err)
	}
	all, err := engine.Networks(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("listing the networks of %s: %w", side, err)
	}
	return engine, all, nil
}

// named finds a network by its name.
func named(all []ops.Network, name string) (ops.Network, bool) {
	i := slices.IndexFunc(all, func(n ops.Network) bool { return n.Name == name })
	if i < 0 {
		return ops.Network{}, false
	}
	return all[i], true
}

// Check: already done when none of them is there and all are on record.
func (r RemoveNetworks) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := networks(ctx, env, r.Side)
	if err != nil {
		return ops.Blocked, err
	}
	for _, was := range r.Networks {
		if slices.Contains(builtIn, was.Name) {
			return ops.Blocked, &ops.Problem{
				Doing: "removing the network " + was.Name, Side: r.Side, Err: errors.New("it is the engine's own"), Hint: "make a new plan",
			}
		}
		known, err := env.Log.Recall(keyNetwork(was.Name), new(json.RawMessage))
		if err != nil {
			return ops.Blocked, fmt.Errorf("reading the record of %s: %w", was.Name, err)
		}
		if _, there := named(all, was.Name); there || !known {
			return ops.Ready, nil
		}
	}
	return ops.AlreadyDone, nil
}

// Do records them all, then removes them.
func (r RemoveNetworks) Do(ctx context.Context, env ops.Env) error {
	engine, containers, err := list(ctx, env, r.Side)
	if err != nil {
		return err
	}
	all, err := engine.Networks(ctx)
	if err != nil {
		return fmt.Errorf("listing the networks of %s: %w", r.Side, err)
	}
	var doomed []ops.Network
	for _, was := range r.Networks {
		n, there := named(all, was.Name)
		if err := r.record(ctx, env, engine, "removing the network "+was.Name, was, n, there); err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := r.unused(ctx, engine, n, containers); err != nil {
			return err
		}
		doomed = append(doomed, n)
	}
	for _, n := range doomed {
		env.Log.Say("removing the network " + n.Name)
		if err := engine.RemoveNetwork(ctx, n.ID); err != nil {
			return fmt.Errorf("removing the network %s: %w", n.Name, err)
		}
	}
	return nil
}

// record keeps all that is needed to make the network again.
func (r RemoveNetworks) record(ctx context.Context, env ops.Env, engine ops.Engine, doing string, was NetworkWas, n ops.Network, there bool) error {
	var kept json.RawMessage
	known, err := env.Log.Recall(keyNetwork(was.Name), &kept)
	if err != nil {
		return fmt.Errorf("reading the record of %s: %w", was.Name, err)
	}
	switch {
	case known && !there:
		return nil
	case !there || n.ID != was.ID:
		return &ops.Problem{
			Doing: doing, Side: r.Side, Err: errors.New("it was removed or made anew since the plan was made"),
			Hint: "see who did it; roll back, look again and make a new plan",
		}
	case known:
		return nil
	}
	inspect, err := engine.InspectNetwork(ctx, n.ID)
	if err != nil {
		return fmt.Errorf("inspecting the network %s: %w", n.Name, err)
	}
	if err := env.Log.Record(keyNetwork(was.Name), inspect); err != nil {
		return fmt.Errorf("recording the network %s: %w", n.Name, err)
	}
	return nil
}

// unused refuses a network that somebody is on: by its own inspect, which tells running
// endpoints, and by the containers, since the engine would remove one under a stopped
// container, which then cannot start any more.
func (r RemoveNetworks) unused(ctx context.Context, engine ops.Engine, n ops.Network, containers listing) error {
	users, err := endpoints(ctx, engine, n, containers)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return &ops.Problem{
			Doing: "removing the network " + n.Name, Side: r.Side, Err: fmt.Errorf("on it: %s", strings.Join(users, ", ")),
			Hint: "disconnect or remove them, then resume; or roll back",
		}
	}
	return nil
}

// endpoints names who is on a network.
func endpoints(ctx context.Context, engine ops.Engine, n ops.Network, containers listing) ([]string, error) {
	raw, err := engine.InspectNetwork(ctx, n.ID)
	if err != nil {
		return nil, fmt.Errorf("inspecting the network %s: %w", n.Name, err)
	}
	var seen struct {
		Containers map[string]struct{ Name string }
	}
	if err := json.Unmarshal(raw, &seen); err != nil {
		return nil, fmt.Errorf("reading the inspect of the network %s: %w", n.Name, err)
	}
	var users []string
	for _, e := range seen.Containers {
		users = append(users, e.Name)
	}
	for _, c := range containers {
		if slices.Contains(c.Networks, n.Name) {
			users = append(users, c.Name)
		}
	}
	slices.Sort(users)
	return slices.Compact(users), nil
}

// Verify: none of them is there.
func (r RemoveNetworks) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := networks(ctx, env, r.Side)
	if err != nil {
		return err
	}
	for _, was := range r.Networks {
		if _, there := named(all, was.Name); there {
			return &ops.Problem{
				Doing: "proving that the network " + was.Name + " is gone", Side: r.Side, Err: errors.New("it is there"), Hint: "see who made it again; resume, or roll back",
			}
		}
	}
	return nil
}

// Undo makes those that are missing again, exactly. A range that is another network's now
// cannot be had again: then the engine chooses one, which is said.
func (r RemoveNetworks) Undo(ctx context.Context, env ops.Env) error {
	touched := false
	for _, was := range r.Networks {
		var kept json.RawMessage
		known, err := env.Log.Recall(keyNetwork(was.Name), &kept)
		if err != nil {
			return fmt.Errorf("reading the record of %s: %w", was.Name, err)
		}
		if !known {
			continue
		}
		if !touched {
			if err := sweepSide(ctx, env, r.Side); err != nil {
				return err
			}
		}
		touched = true
		if err := r.bringBack(ctx, env, was, kept); err != nil {
			return err
		}
	}
	if !touched {
		return ops.ErrNoUndo
	}
	return nil
}

// bringBack makes one network again if it is missing, or if another has its name that
// nobody is on: compose may have made one meanwhile, with another range.
func (r RemoveNetworks) bringBack(ctx context.Context, env ops.Env, was NetworkWas, kept json.RawMessage) error {
	engine, containers, err := list(ctx, env, r.Side)
	if err != nil {
		return err
	}
	all, err := engine.Networks(ctx)
	if err != nil {
		return fmt.Errorf("listing the networks of %s: %w", r.Side, err)
	}
	if n, there := named(all, was.Name); there {
		stays, err := r.stays(ctx, env, engine, n, was, kept, containers)
		if stays || err != nil {
			return err
		}
		if err := engine.RemoveNetwork(ctx, n.ID); err != nil {
			return fmt.Errorf("removing the network %s: %w", n.Name, err)
		}
		all = slices.DeleteFunc(all, func(o ops.Network) bool { return o.ID == n.ID })
	}
	owner := rangeOwner(kept, all)
	if owner != "" {
		env.Log.Say(fmt.Sprintf("the range of the network %s is that of %s now: it gets another", was.Name, owner))
	}
	return makeNetwork(ctx, env, engine, was.Name, kept, owner != "")
}

// stays tells whether the network that has the name now is to be left: it is the one that
// was, or like it, or in use.
func (r RemoveNetworks) stays(ctx context.Context, env ops.Env, engine ops.Engine, n ops.Network, was NetworkWas, kept json.RawMessage, containers listing) (bool, error) {
	if n.ID == was.ID {
		return true, nil
	}
	now, err := engine.InspectNetwork(ctx, n.ID)
	if err != nil {
		return false, fmt.Errorf("inspecting the network %s: %w", n.Name, err)
	}
	wrong := differs(shapeOf(kept), shapeOf(now), false, nil)
	if wrong == "" {
		return true, nil
	}
	users, err := endpoints(ctx, engine, n, containers)
	if len(users) > 0 {
		env.Log.Say(fmt.Sprintf("the network %s stays though %s: %s on it", n.Name, wrong, strings.Join(users, ", ")))
	}
	return len(users) > 0, err
}

func makeNetwork(ctx context.Context, env ops.Env, engine ops.Engine, name string, like json.RawMessage, anyRange bool) error {
	_, lost, err := engine.CreateNetwork(ctx, like, anyRange)
	if err != nil {
		return fmt.Errorf("making the network %s: %w", name, err)
	}
	return tellLost(env, "the network "+name, lost)
}

// rangeOwner names a network that has the recorded one's range, or a part of it; empty if
// none has.
func rangeOwner(inspect json.RawMessage, all []ops.Network) string {
	for _, text := range shapeOf(inspect).subnets() {
		r, err := netip.ParsePrefix(text)
		if err != nil {
			continue
		}
		for _, n := range all {
			for _, other := range n.Subnets {
				if o, err := netip.ParsePrefix(other); err == nil && o.Overlaps(r) {
					return n.Name
				}
			}
		}
	}
	return ""
}

// networkShape is the part of a network's inspect that is compared after it was made again.
type networkShape struct {
	Driver string
	Labels map[string]string
	IPAM   struct {
		Config []struct{ Subnet string }
	}
}

// shapeOf reads an inspect; one that cannot be read has no shape, which equals no other.
func shapeOf(inspect json.RawMessage) networkShape {
	var s networkShape
	if json.Unmarshal(inspect, &s) != nil {
		return networkShape{}
	}
	return s
}

func (s networkShape) subnets() []string {
	var all []string
	for _, c := range s.IPAM.Config {
		if c.Subnet != "" {
			all = append(all, c.Subnet)
		}
	}
	return all
}

// Back describes Undo.
func (r RemoveNetworks) Back() ops.Undoing {
	var effects []string
	for _, n := range r.Networks {
		effects = append(effects, "create the network "+n.Name+" as recorded")
	}
	return ops.Undoing{Title: "make " + networkCount(r.Networks) + " of " + r.Side.Upper() + " again", Effects: effects, Risk: ops.Disruptive, Guards: []ops.Guard{SideFresh(r.Side)}}
}
