package findings

import (
	"time"

	"tandem/ops"
)

// A change of the engine's packages that is in effect is told for so long, and is one to prove
// for the first days.
const (
	changeTold  = 30 * 24 * time.Hour
	changeFresh = 7 * 24 * time.Hour
)

// engineChanged: the engine's packages were changed, and what runs is what is installed. A
// change that is not in effect, or after which the engines differ, is told where that is; one
// during a run is the run's own, or a foreign one.
func engineChanged(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		c := lastChange(s)
		if c == nil || v.now.Sub(c.At) > changeTold || v.running() || c.Err == "" && v.changeToldElsewhere(s) {
			return nil
		}
		f := ops.Finding{
			ID: "engine-changed", Severity: ops.Note, Side: side, Title: command(c) + " changed " + names(changedNames(c)) + " at " + clock(c.At, v.now),
			Detail: inFull(c, v.now), Hint: "nothing to do: what is installed runs",
		}
		peer := v.On(side.Peer())
		switch {
		case c.Err != "":
			f.Severity, f.Title = ops.Warn, command(c)+" did not succeed at "+clock(c.At, v.now)+": "+c.Err
			f.Hint = "see on the host what is left half-way: dpkg --audit"
		case read(peer.Host) && !sameParts(s, peer):
			f.Severity, f.Hint = ops.Warn, "bring "+string(side.Peer())+" to the same versions: P"
			f.Do = patch(side.Peer(), v.alignment(side.Peer()))
		case provenSince(s, c.At):
			f.Hint = "nothing to do: a canary has passed since"
		case v.now.Sub(c.At) <= changeFresh && blanket(c.Command) != "":
			f.Severity, f.Hint, f.Do = ops.Warn, "prove that a new container can start: c", canary(side)
		}
		return []ops.Finding{f}
	})
}

func (v *view) changeToldElsewhere(s *ops.SideState) bool {
	return changedUnder(s) || s.Facts.EngineReplaced || len(s.Facts.Newer) > 0 || v.enginesDiffer() || misfit(s) != ""
}

func changedNames(c *ops.PackageChange) []string {
	var out []string
	for _, p := range c.Packages {
		out = append(out, p.Name)
	}
	return out
}

// sameParts tells whether both sides have the same versions of the engine's packages that both
// have, whatever the distribution puts around them.
func sameParts(a, b *ops.SideState) bool {
	for name, version := range a.Facts.Packages {
		if other := b.Facts.Packages[name]; ops.OfEngine(name) && other != "" && ops.Upstream(other) != ops.Upstream(version) {
			return false
		}
	}
	return true
}
