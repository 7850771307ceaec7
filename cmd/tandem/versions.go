package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"tandem/ops"
	"tandem/ops/plans"
	"tandem/tui"
)

// versionChoices are what the packages of the engine on a side could be brought to: where its
// last patch began, and, unless only ways back are wanted, what is on offer.
func (s *session) versionChoices(ctx context.Context, side ops.Side, back bool) ([]tui.VersionChoice, error) {
	var list []tui.VersionChoice
	before, err := s.recorded(side)
	if err != nil {
		return nil, err
	}
	if before != nil {
		list = append(list, tui.VersionChoice{Name: versionName(before), Packages: before, Back: true})
	}
	if back {
		return list, nil
	}
	snap := s.glance(ctx)
	state := snap.On(side)
	if err := unreachable(&snap); err != nil {
		return nil, err
	}
	s.care(ctx, state)
	if state.Care.Err != nil {
		return nil, state.Care.Err
	}
	if versions := newest(state, ""); len(versions) > 0 {
		choice, err := s.offer(ctx, state, versions)
		if err != nil {
			return nil, err
		}
		list = append(list, choice)
	}
	engine := plans.EnginePackage(state)
	seen := map[string]bool{ops.Upstream(state.Facts.Packages[engine]): true}
	for _, version := range state.Upkeep.Offered[engine] {
		upstream := ops.Upstream(version)
		if seen[upstream] {
			continue
		}
		seen[upstream] = true
		versions, err := plans.Versions(state, []string{upstream})
		if err != nil {
			list = append(list, tui.VersionChoice{Name: "engine " + upstream, Why: err.Error()})
			continue
		}
		if up := !(ops.VersionChange{From: state.Facts.Packages[engine], To: version}).GoesBack(); up || ops.ComposeMisfit(state.Facts.Compose, upstream) != "" {
			maps.Copy(versions, newest(state, upstream))
		}
		choice, err := s.offer(ctx, state, versions)
		if err != nil {
			return nil, err
		}
		list = append(list, choice)
	}
	return list, nil
}

// newest are the packages of compose that are on the side and on offer in a newer version, which
// works with the engine; empty: the one that is installed.
func newest(state *ops.SideState, engine string) map[string]string {
	versions := map[string]string{}
	if engine == "" {
		engine = state.Facts.Installed
	}
	for _, name := range ops.ComposePackages {
		have, offered := state.Facts.Packages[name], state.Upkeep.Offered[name]
		if have == "" || len(offered) == 0 || offered[0] == have || (ops.VersionChange{From: have, To: offered[0]}).GoesBack() {
			continue
		}
		if ops.ComposeMisfit(ops.Upstream(offered[0]), engine) == "" {
			versions[name] = offered[0]
		}
	}
	return ops.WithCommand(state, engine, versions)
}

// offer is a choice of versions with what of the engine's own packages apt would change
// besides. Whatever else would change rules it out.
func (s *session) offer(ctx context.Context, state *ops.SideState, versions map[string]string) (tui.VersionChoice, error) {
	why := ""
	for again := true; again; {
		again = false
		sim, err := s.hosts[state.Side].Simulate(ctx, versions)
		if err != nil {
			return tui.VersionChoice{}, err
		}
		var others []string
		for _, c := range sim.Changes {
			_, asked := versions[c.Name]
			switch {
			case asked:
			case ops.OfEngine(c.Name):
				versions[c.Name], again = c.To, true
			default:
				others = append(others, c.Name)
			}
		}
		switch why = sim.Err; {
		case why != "":
			again = false
		case len(others) > 0:
			why = "apt would change " + strings.Join(others, ", ") + " as well"
		}
	}
	return tui.VersionChoice{Name: versionName(versions), Packages: versions, Why: why}, nil
}

// versionName names versions by what an operator knows: "engine 26.1.5, compose 2.26.1".
func versionName(versions map[string]string) string {
	var words []string
	for _, name := range ops.EngineItself {
		if v := versions[name]; v != "" {
			words = append(words, "engine "+ops.Upstream(v))
		}
	}
	for _, name := range ops.ComposePackages {
		if v := versions[name]; v != "" {
			words = append(words, "compose "+ops.Upstream(v))
		}
	}
	if words == nil {
		words = slices.Sorted(maps.Keys(versions))
	}
	return strings.Join(words, ", ")
}
