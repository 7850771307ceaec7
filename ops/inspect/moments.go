package inspect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// momentsKept is how many a view keeps for whoever asks too seldom.
const momentsKept = 500

// Moments hands over what has happened since they were asked for last, as it was seen.
func (l *Live) Moments() []ops.Moment {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.moments
	l.moments = nil
	return list
}

// remember is called with the lock held.
func (l *Live) remember(more ...ops.Moment) {
	l.moments = append(l.moments, more...)
	if extra := len(l.moments) - momentsKept; extra > 0 {
		l.moments = slices.Delete(l.moments, 0, extra)
	}
}

// moments are the differences between two snapshots that an operator wants in a timeline.
// What is seen for the first time is none, but for what package managers have on record: that
// has a time of its own.
func moments(before, after *ops.Snapshot, now time.Time) []ops.Moment {
	var out []ops.Moment
	kind := ops.MomentBalancer
	add := func(side ops.Side, format string, args ...any) {
		out = append(out, ops.Moment{At: now, Kind: kind, Side: side, Text: fmt.Sprintf(format, args...)})
	}
	if !before.Balancer.Look.At.IsZero() {
		for _, side := range ops.Sides {
			was, is := before.Balancer.On(side), after.Balancer.On(side)
			if was.Traffic != is.Traffic {
				add(side, "traffic: %s, was %s", is.Traffic.Words(), was.Traffic.Words())
			}
			if was.DrainLost.IsZero() && !is.DrainLost.IsZero() {
				add(side, "drain lost: serves again, and no run put it back")
			}
		}
	}
	lookChanged(before.Balancer.Look, after.Balancer.Look, func(err *ops.Problem) {
		if err != nil {
			add("", "the balancer does not answer: %v", err.Err)
			return
		}
		add("", "the balancer answers again")
	})
	for _, side := range ops.Sides {
		was, is := before.On(side), after.On(side)
		if was.Facts.BootID != "" && is.Facts.BootID != "" && was.Facts.BootID != is.Facts.BootID {
			kind = ops.MomentHost
			add(side, "rebooted")
		}
		kind = ops.MomentEngine
		lookChanged(was.Engine, is.Engine, func(err *ops.Problem) {
			switch {
			case err == nil:
				add(side, "engine answers again")
			case is.Link == ops.LinkUp:
				add(side, "engine does not answer: %v", err.Err)
			}
		})
		if a, b := was.Version.Running, is.Version.Running; a != "" && b != "" && a != b {
			add(side, "engine %s, was %s", b, a)
		}
		if a, b := was.Facts.Installed, is.Facts.Installed; a != "" && b != "" && a != b {
			kind = ops.MomentPackages
			add(side, "engine package %s, was %s", b, a)
		}
		for _, c := range newChanges(was.Upkeep.Changes, is.Upkeep.Changes) {
			if now.Sub(c.At) < packagesKnown {
				out = append(out, ops.Moment{At: c.At, Kind: ops.MomentPackages, Side: side, Who: c.By, Text: changeWords(c)})
			}
		}
		if was.Engine.At.IsZero() {
			continue
		}
		kind = ops.MomentEngine
		for _, text := range containerMoments(named(was), named(is)) {
			add(side, "%s", text)
		}
	}
	return out
}

// packagesKnown is how old the acts of a package manager are that still matter.
const packagesKnown = 30 * 24 * time.Hour

// newChanges are the acts of a package manager that were not known before.
func newChanges(before, after []ops.PackageChange) []ops.PackageChange {
	var out []ops.PackageChange
	for _, c := range after {
		known := slices.ContainsFunc(before, func(b ops.PackageChange) bool {
			return b.At.Equal(c.At) && b.Command == c.Command && b.Err == c.Err
		})
		if !known {
			out = append(out, c)
		}
	}
	return out
}

// changeWords tell an act of a package manager: "packages changed by ann: apt-get
// upgrade: docker.io 20.10.24 -> 26.1.5".
func changeWords(c ops.PackageChange) string {
	var what []string
	for _, p := range c.Packages {
		switch {
		case p.From == "":
			what = append(what, p.Name+" "+p.To+" installed")
		case p.To == "":
			what = append(what, p.Name+" "+p.From+" removed")
		default:
			what = append(what, p.Name+" "+p.From+" -> "+p.To)
		}
	}
	text := "packages changed"
	if c.By != "" {
		text += " by " + c.By
	}
	if c.Command != "" {
		text += ": " + c.Command
	}
	text += ": " + strings.Join(what, ", ")
	if c.Err != "" {
		text += " (" + c.Err + ")"
	}
	return text
}

// lookChanged calls say when a part that was read before stops answering or answers again.
func lookChanged(before, after ops.Look, say func(*ops.Problem)) {
	if !before.At.IsZero() && (before.Err == nil) != (after.Err == nil) {
		say(after.Err)
	}
}

// place is a container under the name of its service where that is enough.
type place struct {
	name string
	c    ops.Container
}

// named lists a side's containers by their own names, in the order of the screen.
func named(s *ops.SideState) []place {
	var out []place
	take := func(name string, list []ops.Container) {
		for _, c := range list {
			p := place{name: name, c: c}
			if name == "" || len(list) > 1 {
				p.name = c.Name
			}
			out = append(out, p)
		}
	}
	for _, service := range s.Services {
		take(service.Name, service.Containers)
	}
	for _, job := range s.Jobs {
		take(job.Name, job.Container)
	}
	take("", s.Others)
	return out
}

func containerMoments(before, after []place) []string {
	earlier := map[string]ops.Container{}
	for _, p := range before {
		earlier[p.c.Name] = p.c
	}
	var out []string
	for _, p := range after {
		was, known := earlier[p.c.Name]
		delete(earlier, p.c.Name)
		switch is := p.c; {
		case !known:
			out = append(out, p.name+" appeared: "+words(is))
		case is.Restarts > was.Restarts && is.ID == was.ID:
			out = append(out, fmt.Sprintf("%s restarted by the engine (%d times so far), last exit status %d", p.name, is.Restarts, is.ExitCode))
		case is.ID != was.ID:
			out = append(out, p.name+" replaced: "+words(is))
		case words(is) != words(was):
			out = append(out, p.name+" "+words(is))
		case is.State == "running" && !is.StartedAt.Equal(was.StartedAt):
			out = append(out, p.name+" restarted: "+words(is))
		}
	}
	for _, p := range before {
		if _, gone := earlier[p.c.Name]; gone {
			out = append(out, p.name+" removed")
		}
	}
	return out
}

func words(c ops.Container) string {
	_, state, _ := containerState(c, ops.Readiness{}, tested{})
	return state
}
