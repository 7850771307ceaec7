package steps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// PackagesAtRest holds when apt keeps the packages of the side, does nothing at the moment and
// has left nothing half-way.
func PackagesAtRest(side ops.Side) ops.Guard {
	return guard(GuardPackagesAtRest, "the package manager of "+side.Upper()+" at rest", func(snap *ops.Snapshot, _ time.Time) ops.Check {
		s := snap.On(side)
		u := &s.Upkeep
		switch {
		case s.Care.Err != nil:
			return check(ops.NotKnown, s.Care.At, "the packages of "+side.Upper()+" cannot be read: "+s.Care.Err.Error(), "mend that, then look again")
		case s.Care.At.IsZero():
			return check(ops.NotKnown, s.Care.At, "the packages of "+side.Upper()+" have not been read yet", "look again")
		case u.Manager != "apt":
			text := side.Upper() + " has no package manager that tandem knows"
			if u.Manager != "" {
				text = side.Upper() + " has " + u.Manager
			}
			return check(ops.Fail, s.Care.At, text+": tandem patches with apt alone", "patch it by hand, drained: d on "+side.Upper())
		case u.Busy != "":
			return check(ops.Fail, s.Care.At, "at work on "+side.Upper()+": "+u.Busy, "let it come to its end, then look again")
		case len(u.Broken) > 0:
			return check(ops.Fail, s.Care.At, "half-installed on "+side.Upper()+": "+strings.Join(u.Broken, " "), "on the host: dpkg --configure -a; then look again")
		}
		return check(ops.Pass, s.Care.At, "apt is at rest on "+side.Upper(), "")
	})
}

// PackagesAsAsked holds when a simulation of the patch changes what was asked for and nothing
// else. It is for plans: at the time of the act the step simulates anew.
func PackagesAsAsked(side ops.Side, asked map[string]string) ops.Guard {
	return guard(GuardPackagesAsAsked, "only what was asked for changes on "+side.Upper(), func(snap *ops.Snapshot, _ time.Time) ops.Check {
		return simulated(side, snap.On(side).Simulated, asked)
	})
}

// simulated judges a simulation.
func simulated(side ops.Side, sim *ops.Simulation, asked map[string]string) ops.Check {
	switch {
	case sim == nil:
		return check(ops.NotKnown, time.Time{}, "what the patch of "+side.Upper()+" would change was not simulated", "look again")
	case sim.Err != "":
		return check(ops.Fail, sim.At, "apt refuses: "+sim.Err, "see which versions are on offer: tandem patch "+string(side))
	}
	var more, flags []string
	for _, c := range sim.Changes {
		version, wanted := asked[c.Name]
		if wanted && version == c.To {
			continue
		}
		more = append(more, changeWords(c))
		if c.To != "" {
			flags = append(flags, "--to "+c.Name+"="+c.To)
		} else {
			flags = append(flags, "--to "+c.Name+"=")
		}
	}
	if more == nil {
		return check(ops.Pass, sim.At, fmt.Sprintf("apt would change what was asked for and nothing else: %d packages", len(sim.Changes)), "")
	}
	return check(ops.Fail, sim.At, "apt would change more than was asked for: "+strings.Join(more, ", "),
		"if all of it shall change, ask for it: "+strings.Join(flags, " ")+"; else choose other versions")
}

// changeWords are a change as people read it.
func changeWords(c ops.VersionChange) string {
	switch {
	case c.From == "":
		return c.Name + " " + c.To + " (new)"
	case c.To == "":
		return c.Name + " " + c.From + " (removed)"
	}
	return c.Name + " " + c.From + " → " + c.To
}

// ComposeFits holds when nothing is known against the compose and the engine that the side has
// once the packages are at these versions. That they work together is proven by trying.
func ComposeFits(side ops.Side, asked map[string]string) ops.Guard {
	return guard(GuardComposeFits, "compose and engine of "+side.Upper()+" fit", func(snap *ops.Snapshot, now time.Time) ops.Check {
		s := snap.On(side)
		if why := unread(side.Upper(), s.Host, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, s.Host.At, why+": its versions are not known", "mend the connection to "+side.Upper()+", then look again")
		}
		engine, compose := s.Facts.Installed, s.Facts.Compose
		for name, version := range asked {
			switch {
			case version == "":
			case slices.Contains(ops.EngineItself, name):
				engine = version
			case slices.Contains(ops.ComposePackages, name):
				compose = version
			}
		}
		if why := ops.ComposeMisfit(compose, engine); why != "" {
			return check(ops.Fail, s.Host.At, "after it, "+why, "patch compose together with the engine: add --to docker-compose=VERSION")
		}
		if compose == "" {
			return check(ops.Remark, s.Host.At, "no compose was found on "+side.Upper(), "")
		}
		return check(ops.Pass, s.Host.At, fmt.Sprintf("nothing is known against compose %s on engine %s", ops.Upstream(compose), ops.Upstream(engine)), "")
	})
}

// WayBack tells whether the packages could be brought back to where they are. It never refuses.
func WayBack(side ops.Side, changes []ops.VersionChange) ops.Guard {
	return guard(GuardWayBack, "a way back to the present versions of "+side.Upper(), func(snap *ops.Snapshot, _ time.Time) ops.Check {
		s := snap.On(side)
		var lost []string
		for _, c := range changes {
			if c.From != "" && !slices.Contains(s.Upkeep.Offered[c.Name], c.From) && !slices.Contains(s.Upkeep.Kept[c.Name], c.From) {
				lost = append(lost, c.Name+" "+c.From)
			}
		}
		if lost != nil {
			return check(ops.Remark, s.Care.At, "no way back: neither on offer nor on the host: "+strings.Join(lost, ", "), "")
		}
		if why := UncertainBack(changes); why != "" {
			return check(ops.Remark, s.Care.At, "the way back is not certain: "+why, "")
		}
		return check(ops.Pass, s.Care.At, "the present versions can be had again", "")
	})
}

// UncertainBack says why a way back may not work although the packages can be had; empty where
// nothing speaks against it. An engine of another major may have written what an earlier one
// does not read.
func UncertainBack(changes []ops.VersionChange) string {
	for _, c := range changes {
		from, to := ops.Major(c.From), ops.Major(c.To)
		if OfRuntime(c.Name) && c.From != "" && from < to {
			return fmt.Sprintf("%s goes from %d to %d, which may write to disk what %d does not read", c.Name, from, to, from)
		}
	}
	return ""
}
