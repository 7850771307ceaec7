package findings

import (
	"slices"
	"strings"

	"tandem/ops"
)

// ChangeKind says how a finding differs from what was told before.
type ChangeKind string

// The kinds of a change.
const (
	New     ChangeKind = "new"
	Changed ChangeKind = "changed"
	Cleared ChangeKind = "cleared"
)

// Change is one difference between the findings told before and those now.
type Change struct {
	Kind ChangeKind
	Now  ops.Finding // of what has cleared: as it was told last
	Was  ops.Finding // as it was told last; zero: it is new
}

// Tracker tells, look by look, how the findings of a pair change. The zero value has seen
// nothing: all that the first look finds is new at once. After that a change is told when two
// looks in a row have it, so that a blip is no news; and what cannot be read now has not
// cleared by that.
type Tracker struct {
	begun bool
	known []known
}

// known is a finding that is followed.
type known struct {
	last    ops.Finding // as seen last
	told    ops.Finding // zero: not told yet
	missing int         // looks in a row that could have seen it, without it
}

// Resume goes on from what was told before, by a process that is gone: that is no news again, and
// what has cleared since is told.
func (t *Tracker) Resume(told []ops.Finding) {
	t.begun, t.known = true, nil
	for _, f := range told {
		t.known = append(t.known, known{last: f, told: f})
	}
}

// See takes the next look, and returns what is to be told: what is new or has changed, in the
// order of the findings, then what has cleared.
func (t *Tracker) See(snap *ops.Snapshot) []Change {
	before := t.match(snap)
	var changes []Change
	for i, f := range snap.Findings {
		k := &t.known[i]
		switch was := before[i]; {
		case t.begun && (was == nil || was.missing > 0): // one look is not enough
		case k.told.ID == "":
			changes = append(changes, Change{Kind: New, Now: f})
			k.told = f
		case !sameWords(k.told, f) && sameWords(was.last, f):
			changes = append(changes, Change{Kind: Changed, Now: f, Was: k.told})
			k.told = f
		}
	}
	for _, k := range t.gone() {
		changes = append(changes, Change{Kind: Cleared, Now: k.told, Was: k.told})
	}
	t.begun = true
	return changes
}

// match puts the findings of a look first among those that are followed, in their order, and
// returns what each was at the look before, nil where it was not. The same finding is first the
// one with the same words, then the one about the same subject, with which its title begins,
// then any of its rule on that side, because a service less is a change of "3 services exited 1" and
// not its end; at last the one of another side with the same words: both sides may share a finding.
func (t *Tracker) match(snap *ops.Snapshot) []*known {
	now := snap.Findings
	before := make([]*known, len(now))
	rest := t.known
	for _, same := range []func(a, b ops.Finding) bool{
		func(a, b ops.Finding) bool { return a.Side == b.Side && a.Title == b.Title },
		func(a, b ops.Finding) bool { return a.Side == b.Side && subject(a) == subject(b) },
		func(a, b ops.Finding) bool { return a.Side == b.Side },
		func(a, b ops.Finding) bool { return a.Title == b.Title },
	} {
		for i, f := range now {
			if before[i] != nil {
				continue
			}
			at := slices.IndexFunc(rest, func(k known) bool { return k.last.ID == f.ID && same(k.last, f) })
			if at >= 0 {
				k := rest[at]
				before[i] = &k
				rest = slices.Delete(slices.Clone(rest), at, at+1)
			}
		}
	}
	t.known = nil
	for i, f := range now {
		k := known{last: f}
		if before[i] != nil {
			k.told = before[i].told
		}
		t.known = append(t.known, k)
	}
	for _, k := range rest {
		if slices.ContainsFunc(now, func(f ops.Finding) bool { return f.Side == "" && f.ID == k.last.ID && f.Title == k.last.Title }) {
			continue // the pair's by now
		}
		if k.missing++; outOfSight(snap, k.told) {
			k.missing = 0
		}
		t.known = append(t.known, k)
	}
	return before
}

// gone takes from what is followed, and returns, what has cleared.
func (t *Tracker) gone() (cleared []known) {
	t.known = slices.DeleteFunc(t.known, func(k known) bool {
		switch {
		case k.missing == 0:
			return false
		case k.told.ID == "": // a blip
			return true
		case k.missing < 2:
			return false
		}
		cleared = append(cleared, k)
		return true
	})
	return cleared
}

func sameWords(a, b ops.Finding) bool {
	return a.Title == b.Title && a.Severity == b.Severity && a.Side == b.Side
}

func subject(f ops.Finding) string {
	word, _, _ := strings.Cut(f.Title, " ")
	return word
}

// outOfSight tells whether something that the finding may be about cannot be read now.
func outOfSight(snap *ops.Snapshot, f ops.Finding) bool {
	switch f.ID {
	case "unreachable":
		return snap.On(f.Side).Host.Err != nil
	case "engine-unreachable":
		return snap.On(f.Side).Engine.Err != nil
	case "balancer-unreachable", "balancer-throttled":
		return snap.Balancer.Look.Err != nil
	}
	for _, side := range ops.Sides {
		s := snap.On(side)
		if (f.Side == "" || f.Side == side) && (s.Host.Err != nil || s.Engine.Err != nil || s.Care.Err != nil) {
			return true
		}
	}
	return snap.Balancer.Look.Err != nil
}
