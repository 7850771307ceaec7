// Package findings turns a snapshot into what the operator should know: what is broken,
// what differs, what will hurt. It is pure: the same snapshot and time give the same
// findings.
//
// Rules: one file for each, or for two of one kind; one list of them below. A rule reads only what was read
// with success: what could not be read is one finding about that (unreachable.go, unread.go),
// not many about its old data. A title is short and says the cause in words; a hint is the
// exact next act, and Do is that act where it is an operation of tandem. The side is not
// repeated in the title. Times are named, not ages, and thresholds, not readings: what is the
// same must not look new at every look.
//
// A block is what hurts now, or will at the very next act. A warn is what somebody has to see
// to. A note may be known: on a healthy pair, run as Debian is delivered, there are no others.
//
// # The findings
//
// Traffic and balancer:
//
//   - both-out (block): no side is in service
//   - side-down (block): in, but failing the balancer's check
//   - drain-lost (block): was drained, and serves again
//   - pools-disagree (block): serves in some pools and not in others
//   - traffic-unknown (block): the balancer does not say whether the side serves
//   - balancer-unreachable (block), balancer-throttled (warn): the balancer does not answer
//   - one-side (warn): one side carries everything, and no run is at it
//   - side-out (warn): out though healthy: since when, by whom
//   - zonal-shift (warn): healthy, and kept from traffic by a shift of its zone
//   - balancer-minimum (warn): the balancer's thresholds cannot be met with a side out
//   - balancer-fault (warn), balancer-remark (note): what the balancer says of itself
//
// Looking:
//
//   - unreachable, engine-unreachable (block): a host or its engine cannot be read
//   - stale (warn; note of the package manager): no error, yet no news either
//   - unread (note): not looked at yet
//   - upkeep-unread (warn, note): the package manager cannot be read, or not all of it
//
// Engine and compose:
//
//   - canary-failed (block): a new container could not start
//   - compose-misfit (block): compose and the running engine are known not to work together
//   - compose-probe (block): compose was tried and could not make a container
//   - engine-installed (warn): the package was changed under the running engine
//   - engine-replaced, parts-newer (warn; note once proven): programs replaced under it
//   - engine-differs, compose-differs (warn; note during a patch): blue and green differ
//   - compose-missing (warn): the services were made by a compose that is not there
//   - engine-changed (warn, note): what the package manager did, in effect meanwhile
//   - canary-old (note): whether a new container could start now is not known
//   - api-differs, os-differs (note): blue and green differ
//
// Packages:
//
//   - packages-broken (warn): half-installed or half-configured
//   - upgrades-pending (note; warn where compose would not work then): an upgrade takes the engine along
//   - not-held, lists-old, sources-silent, packages-busy (note)
//
// Host:
//
//   - disk-full, inodes-full (warn above 85 %, block above 95 %): of the engine's directory
//   - memory-short (warn), load-high (note above 4 for each processor, warn above 10)
//   - clock-apart (warn): from ours or the peer's by more than 2 s
//   - reboot-required (note)
//
// Services and jobs:
//
//   - service-not-ready (block; warn where it starts, or is not known)
//   - restart-loop, out-of-memory (warn): runs at this look
//   - image-differs (warn): between the sides
//   - image-outdated (note): the tag means another image by now
//   - health-missing (note): counted ready because it runs
//   - job-failed (block)
//   - job-overdue, job-never, job-long (warn)
//
// Networks:
//
//   - networks-overlap (warn): a network of the engine has addresses that are in use
//   - pools-overlap (warn; note for the engine's own pools): the next one may
//   - pools-short (warn; block when none is left)
//
// Runs:
//
//   - lock-dead, run-stopped (block): a run holds the pair and does not go on by itself
//   - foreign-change (block): somebody deploys, or changes the engine, during a run
package findings

import (
	"cmp"
	"slices"
	"time"

	"tandem/ops"
)

// view is what a rule sees.
type view struct {
	ops.Snapshot
	now time.Time
}

// rules in the order in which findings of one severity are shown.
var rules = []func(view) []ops.Finding{
	bothOut,
	unreachable,
	balancerUnreachable,
	foreignChange,
	sideDown,
	drainLost,
	trafficUnknown,
	canaryFailed,
	composeMisfit,
	composeProbe,
	serviceNotReady,
	jobFailed,
	lockDead,
	oneSide,
	sideOut,
	zonalShift,
	engineInstalled,
	engineReplaced,
	partsNewer,
	engineDiffers,
	composeDiffers,
	composeMissing,
	engineChanged,
	restartLoop,
	outOfMemory,
	imageDiffers,
	jobOverdue,
	jobLong,
	diskFull,
	memoryShort,
	loadTooHigh,
	clocks,
	networksOverlap,
	poolsShort,
	poolsOverlap,
	balancerMinimum,
	balancerFaults,
	packagesBroken,
	upkeepUnread,
	stale,
	unread,
	rebootRequired,
	upgradesPending,
	canaryOld,
	packagesBusy,
	notHeld,
	listsOld,
	sourcesSilent,
	osDiffers,
	apiDiffers,
	imageOutdated,
	healthMissing,
	balancerRemarks,
}

// All are the findings of a snapshot at a time, worst first.
func All(snap ops.Snapshot, now time.Time) []ops.Finding {
	v := view{snap, now}
	out := []ops.Finding{}
	for _, rule := range rules {
		out = append(out, rule(v)...)
	}
	slices.SortStableFunc(out, func(a, b ops.Finding) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return out
}

func rank(s ops.Severity) int { return slices.Index([]ops.Severity{ops.Block, ops.Warn, ops.Note}, s) }

// eachSide collects the findings of a rule that looks at one side at a time.
func eachSide(v view, rule func(side ops.Side, s *ops.SideState) []ops.Finding) []ops.Finding {
	var out []ops.Finding
	for _, side := range ops.Sides {
		out = append(out, rule(side, v.On(side))...)
	}
	return out
}

func read(l ops.Look) bool { return l.Err == nil && !l.At.IsZero() }

// alike is eachSide for rules of which both sides mostly say the same: then the pair is said
// to, once. What is proposed begins with blue.
func alike(v view, rule func(side ops.Side, s *ops.SideState) []ops.Finding) []ops.Finding {
	blue, green := rule(ops.Blue, &v.Blue), rule(ops.Green, &v.Green)
	if !slices.EqualFunc(blue, green, func(a, b ops.Finding) bool {
		return a.ID == b.ID && a.Severity == b.Severity && a.Title == b.Title && a.Detail == b.Detail && a.Hint == b.Hint
	}) {
		return append(blue, green...)
	}
	for i := range blue {
		blue[i].Side = ""
		if blue[i].Hint != "" && blue[i].Do != nil {
			blue[i].Hint += ", on each side"
		}
	}
	return blue
}

// run is the run under way, nil without one: the pair is then as it is on purpose.
func (v *view) run() *ops.LockInfo {
	for _, side := range ops.Sides {
		if l := v.On(side).Lock; l != nil && !l.Stopped && !dead(l, v.now) {
			return l
		}
	}
	return nil
}

func (v *view) running() bool { return v.run() != nil }

// patching tells whether a patch of a side is under way: its versions change on purpose.
func (v *view) patching(side ops.Side) bool {
	l := v.run()
	return l != nil && l.Op == ops.OpPatch && makes(l, side)
}
