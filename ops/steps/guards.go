package steps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// The names of the guards. A guard that is not absolute is also the name of the risk that
// an operator may accept.
const (
	GuardPeerInService  = "peer-in-service"
	GuardPeerReady      = "peer-ready"
	GuardPeerReachable  = "peer-reachable"
	GuardPeerCanary     = "peer-canary"
	GuardSideCanary     = "side-canary" // asked by the canary step of a put-back, not from a snapshot
	GuardSideFresh      = "side-fresh"
	GuardSideOut        = "side-out"
	GuardSideInBalancer = "side-in-balancer-known"
	GuardServicesReady  = "services-ready"
	GuardNoJobRunning   = "no-job-running"
	GuardJobNotRunning  = "job-not-running"
	GuardOnlyHere       = "only-here"
	GuardImagePresent   = "image-present"
	GuardOrderKnown     = "order-known"
	GuardNotLocked      = "not-locked"
	GuardVersionsAgree  = "versions-agree"
	GuardPoolsFree      = "pools-free"

	GuardPackagesAtRest  = "packages-at-rest"
	GuardPackagesAsAsked = "packages-as-asked"
	GuardComposeFits     = "compose-fits"
	GuardWayBack         = "way-back" // a remark at worst
)

// Risks are the guards that an operator may accept.
var Risks = []string{
	GuardPeerInService, GuardPeerReady, GuardPeerReachable, GuardPeerCanary, GuardSideCanary, GuardSideFresh, GuardSideOut,
	GuardSideInBalancer, GuardServicesReady, GuardNoJobRunning, GuardJobNotRunning, GuardOnlyHere, GuardImagePresent, GuardVersionsAgree, GuardPoolsFree,
	GuardComposeFits, GuardWayBack,
}

// Absolutes are the guards that nobody may accept.
var Absolutes = []string{GuardOrderKnown, GuardNotLocked, GuardPackagesAtRest, GuardPackagesAsAsked}

// canaryAge is how long a canary's result counts as recent.
const canaryAge = time.Hour

func guard(id, title string, eval func(snap *ops.Snapshot, now time.Time) ops.Check) ops.Guard {
	absolute := slices.Contains(Absolutes, id)
	whole := id == GuardImagePresent || id == GuardPoolsFree
	return ops.Guard{ID: id, Title: title, Absolute: absolute, Whole: whole, Eval: func(snap *ops.Snapshot, now time.Time) ops.Check {
		c := eval(snap, now)
		c.Guard, c.Absolute = id, absolute
		return c
	}}
}

func check(state ops.CheckState, at time.Time, text, hint string) ops.Check {
	return ops.Check{State: state, At: at, Text: text, Hint: hint}
}

// unread says why data may not be acted upon; empty if it may.
func unread(what string, look ops.Look, now time.Time, stale time.Duration) string {
	switch {
	case look.Fresh(now, stale):
		return ""
	case look.Err != nil:
		return what + " cannot be read: " + look.Err.Error()
	case look.At.IsZero():
		return what + " has not been read yet"
	default:
		return fmt.Sprintf("%s was last read %s ago", what, Words(now.Sub(look.At)))
	}
}

// notServing tells whether the balancer says for certain that the side serves nothing, so
// that no act on it can take service away. A draining side still has sessions.
func notServing(snap *ops.Snapshot, now time.Time, side ops.Side) bool {
	return snap.Balancer.Look.Fresh(now, snap.Pair.Limits.Stale) && servesNothing(snap.Balancer.On(side))
}

// servesNothing tells it of one look. A side that fails its check serves nothing only where
// the balancer says that its share is none: ELBv2 sends traffic to all targets of a group
// when none of them is healthy, and then tells no share.
func servesNothing(at *ops.SideTraffic) bool {
	return at.Traffic == ops.Out || at.Traffic == ops.Down && at.Share != nil && *at.Share == 0
}

// PeerInService holds when the peer serves, by a fresh look at the balancer, and enough
// sides for the balancer stay in service once side is out.
func PeerInService(side ops.Side) ops.Guard { return peerInService(side, false) }

// PeerServes is PeerInService for acts that take a side further down: that the side serves
// nothing already does not stand for the peer.
func PeerServes(side ops.Side) ops.Guard { return peerInService(side, true) }

func peerInService(side ops.Side, always bool) ops.Guard {
	peer := side.Peer()
	return guard(GuardPeerInService, peer.Upper()+" in service", func(snap *ops.Snapshot, now time.Time) ops.Check {
		b := &snap.Balancer
		if why := unread("the balancer", b.Look, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, b.Look.At, why+": whether "+peer.Upper()+" serves is not known", "wait until the balancer answers, then look again")
		}
		if !always && notServing(snap, now, side) {
			return check(ops.Pass, b.Look.At, fmt.Sprintf("%s serves nothing already: no service is taken away", side.Upper()), "")
		}
		only := ""
		if b.On(side).Traffic == ops.InService {
			only = ": " + side.Upper() + " is the only side in service"
		}
		at := b.On(peer)
		switch at.Traffic {
		case ops.InService:
			if b.Minimum > 1 {
				return check(ops.Fail, b.Look.At, fmt.Sprintf("the balancer wants %d sides in service, 1 would be left", b.Minimum),
					"lower minimum_healthy_targets of the target groups to 1 first")
			}
			return check(ops.Pass, b.Look.At, peer.Upper()+" is in service", "")
		case ops.Out, ops.Draining:
			return check(ops.Fail, b.Look.At, peer.Upper()+" is "+at.Traffic.Words()+only, fmt.Sprintf("put %s back first: u on %s", peer, peer.Upper()))
		case ops.Down:
			text := peer.Upper() + " is failing the balancer's check"
			if at.Check != "" {
				text += " (" + at.Check + ")"
			}
			return check(ops.Fail, b.Look.At, text+only, fmt.Sprintf("mend %s first: the balancer must see it in service", peer.Upper()))
		default:
			return check(ops.NotKnown, b.Look.At, "the balancer does not say whether "+peer.Upper()+" serves"+reason(at.Detail), "wait until the balancer knows, then look again")
		}
	})
}

func reason(detail string) string {
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

// PeerReady holds when every service that belongs to the peer is ready, by a fresh look.
func PeerReady(side ops.Side) ops.Guard { return peerReady(side, false) }

// PeerWell is PeerReady for acts that take a side further down, as PeerServes is.
func PeerWell(side ops.Side) ops.Guard { return peerReady(side, true) }

func peerReady(side ops.Side, always bool) ops.Guard {
	peer := side.Peer()
	return guard(GuardPeerReady, "all services of "+peer.Upper()+" ready", func(snap *ops.Snapshot, now time.Time) ops.Check {
		if !always && notServing(snap, now, side) {
			return check(ops.Pass, snap.Balancer.Look.At, fmt.Sprintf("%s serves nothing already: %s need not take over", side.Upper(), peer.Upper()), "")
		}
		return servicesReady(snap, now, peer, nil)
	})
}

// ServicesReady holds when every service of the side is ready. Those in except were not
// ready before the run and are not its matter: they are named, not refused.
func ServicesReady(side ops.Side, except []string) ops.Guard {
	return guard(GuardServicesReady, "all services of "+side.Upper()+" ready", func(snap *ops.Snapshot, now time.Time) ops.Check {
		return servicesReady(snap, now, side, except)
	})
}

func servicesReady(snap *ops.Snapshot, now time.Time, side ops.Side, except []string) ops.Check {
	s := snap.On(side)
	if why := unread("the engine of "+side.Upper(), s.Engine, now, snap.Pair.Limits.Stale); why != "" {
		return check(ops.NotKnown, s.Engine.At, why+": its services are not known", "mend the connection to "+side.Upper()+", then look again")
	}
	var bad, unknown, before, missing []string
	for i := range s.Services {
		svc := &s.Services[i]
		switch {
		case !svc.Here || svc.Ready:
		case slices.Contains(except, svc.Name):
			before = append(before, svc.Name)
		case svc.State == string(ops.Unknown) || svc.State == "":
			unknown, missing = append(unknown, svc.Name), append(missing, svc.Name)
		default:
			bad, missing = append(bad, svc.Name+" "+svc.State), append(missing, svc.Name)
		}
	}
	ready, of := s.Ready()
	count := fmt.Sprintf("%s: %d of %d services ready", side.Upper(), ready, of)
	switch {
	case of == 0:
		return check(ops.NotKnown, s.Engine.At, "no service of "+side.Upper()+" is known", "name the services in the config, in start order")
	case len(bad) > 0:
		c := check(ops.Fail, s.Engine.At, count+"; "+strings.Join(bad, ", "), fmt.Sprintf("get them ready first: r on the service at %s, l shows its log", side.Upper()))
		c.Services = missing
		return c
	case len(unknown) > 0:
		c := check(ops.NotKnown, s.Engine.At, count+"; not known: "+strings.Join(unknown, ", "), "see why their readiness test gives no answer, then look again")
		c.Services = missing
		return c
	case len(before) > 0:
		return check(ops.Remark, s.Engine.At, count+"; not ready, as before this run: "+strings.Join(before, ", "), "")
	default:
		return check(ops.Pass, s.Engine.At, count, "")
	}
}

// PeerReachable holds when the peer answers, so that the lock can be taken there.
func PeerReachable(side ops.Side) ops.Guard {
	peer := side.Peer()
	return guard(GuardPeerReachable, peer.Upper()+" reachable", func(snap *ops.Snapshot, now time.Time) ops.Check {
		return reachable(snap, now, peer, "the lock cannot be taken there")
	})
}

func reachable(snap *ops.Snapshot, now time.Time, side ops.Side, so string) ops.Check {
	s := snap.On(side)
	hint := "mend the connection to " + side.Upper() + ", then look again"
	switch s.Link {
	case ops.LinkUp:
	case ops.LinkDown:
		text := side.Upper() + " cannot be reached"
		if s.Host.Err != nil {
			text += " (" + s.Host.Err.Error() + ")"
		}
		return check(ops.Fail, s.Host.At, text+": "+so, hint)
	default:
		return check(ops.NotKnown, s.Host.At, "not connected to "+side.Upper()+" yet: "+so, hint)
	}
	if why := unread(side.Upper(), s.Host, now, snap.Pair.Limits.Stale); why != "" {
		return check(ops.NotKnown, s.Host.At, why+": "+so, hint)
	}
	return check(ops.Pass, s.Host.At, side.Upper()+" answers", "")
}

// SideFresh holds when the side answers and what is known of its host and engine may be
// acted upon.
func SideFresh(side ops.Side) ops.Guard {
	return guard(GuardSideFresh, side.Upper()+" answers", func(snap *ops.Snapshot, now time.Time) ops.Check {
		if c := reachable(snap, now, side, "its present state is not known"); c.State != ops.Pass {
			return c
		}
		s := snap.On(side)
		if why := unread("the engine of "+side.Upper(), s.Engine, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, s.Engine.At, why, "mend the engine of "+side.Upper()+", then look again")
		}
		return check(ops.Pass, s.Engine.At, side.Upper()+" and its engine answer", "")
	})
}

// SideInBalancer holds when the balancer knows the side, whatever its traffic.
func SideInBalancer(side ops.Side) ops.Guard {
	return guard(GuardSideInBalancer, "the balancer knows "+side.Upper(), func(snap *ops.Snapshot, now time.Time) ops.Check {
		b := &snap.Balancer
		if why := unread("the balancer", b.Look, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, b.Look.At, why+": the traffic of "+side.Upper()+" is not known", "wait until the balancer answers, then look again")
		}
		t := b.On(side)
		if t.Traffic == ops.Unknown || t.Traffic == "" {
			return check(ops.NotKnown, b.Look.At, "the balancer does not say what "+side.Upper()+" gets"+reason(t.Detail), "check the server and target names in the config")
		}
		return check(ops.Pass, b.Look.At, side.Upper()+" is "+t.Traffic.Words(), "")
	})
}

// SideOut holds while the side gets no new traffic. A balancer's reload can lose a drain.
func SideOut(side ops.Side) ops.Guard {
	return guard(GuardSideOut, side.Upper()+" out of service", func(snap *ops.Snapshot, now time.Time) ops.Check {
		b := &snap.Balancer
		if why := unread("the balancer", b.Look, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, b.Look.At, why+": whether "+side.Upper()+" is still out is not known", "wait until the balancer answers, then resume")
		}
		switch t := b.On(side).Traffic; t {
		case ops.Out, ops.Draining, ops.Down:
			return check(ops.Pass, b.Look.At, side.Upper()+" is "+t.Words(), "")
		case ops.InService:
			return check(ops.Fail, b.Look.At, side.Upper()+" is in service: its services would restart under traffic",
				"somebody or a reload of the balancer has put it back: take it out at the balancer, or roll this run back and begin anew")
		default:
			return check(ops.NotKnown, b.Look.At, "the balancer does not say whether "+side.Upper()+" is out", "wait until the balancer knows, then resume")
		}
	})
}

// PeerCanary tells whether the peer could start a new container when it was last tried.
func PeerCanary(side ops.Side) ops.Guard {
	peer := side.Peer()
	return guard(GuardPeerCanary, peer.Upper()+" can start a new container", func(snap *ops.Snapshot, now time.Time) ops.Check {
		c := snap.On(peer).Canary
		try := fmt.Sprintf("try it: c on %s", peer.Upper())
		switch {
		case c == nil:
			return check(ops.Remark, time.Time{}, "whether "+peer.Upper()+" can start a new container was never tried", try)
		case !c.OK:
			return check(ops.Fail, c.At, peer.Upper()+" could not start a new container"+reason(c.Text), "mend it, then "+try+"; or accept that it only goes on serving")
		case now.Sub(c.At) > canaryAge:
			return check(ops.Remark, c.At, fmt.Sprintf("%s could start a new container %s ago", peer.Upper(), Words(now.Sub(c.At).Truncate(time.Minute))), try)
		default:
			return check(ops.Pass, c.At, peer.Upper()+" can start a new container", "")
		}
	})
}

// NoJobRunning holds when no job runs on the side: a restart would break it half-way.
func NoJobRunning(side ops.Side) ops.Guard {
	return guard(GuardNoJobRunning, "no job running on "+side.Upper(), func(snap *ops.Snapshot, now time.Time) ops.Check {
		s := snap.On(side)
		if why := unread("the engine of "+side.Upper(), s.Engine, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, s.Engine.At, why+": whether a job runs is not known", "mend the connection to "+side.Upper()+", then look again")
		}
		if running := runningJobs(s); len(running) > 0 {
			return check(ops.Fail, s.Engine.At, "running on "+side.Upper()+": "+strings.Join(running, ", "), "wait for its end")
		}
		return check(ops.Pass, s.Engine.At, "no job is running on "+side.Upper(), "")
	})
}

func runningJobs(s *ops.SideState) []string {
	var running []string
	for _, j := range s.Jobs {
		if j.Running {
			running = append(running, j.Name)
		}
	}
	return running
}

// JobNotRunning holds when the job runs on neither side. One that this run has started since
// the plan was made is no other.
func JobNotRunning(side ops.Side, job, run string, was Was) ops.Guard {
	return guard(GuardJobNotRunning, job+" runs on neither side", func(snap *ops.Snapshot, now time.Time) ops.Check {
		unknown, ours := ops.Check{}, false
		for _, on := range []ops.Side{side, side.Peer()} {
			s := snap.On(on)
			if why := unread("the engine of "+on.Upper(), s.Engine, now, snap.Pair.Limits.Stale); why != "" {
				unknown = check(ops.NotKnown, s.Engine.At, why+": whether "+job+" runs there is not known", "mend the connection to "+on.Upper()+", then look again")
				continue
			}
			for _, c := range running(s, job) {
				if on == side && s.Lock != nil && s.Lock.Run == run && anew(&c, was) {
					ours = true
					continue
				}
				return check(ops.Fail, s.Engine.At, fmt.Sprintf("%s runs on %s since %s", job, on.Upper(), c.StartedAt.UTC().Format(time.DateTime+"Z")), "wait for its end")
			}
		}
		switch {
		case ours: // there is nothing to be started any more
			return check(ops.Remark, snap.On(side).Engine.At, job+" runs on "+side.Upper()+", started by this run", "")
		case unknown.State != "":
			return unknown
		}
		return check(ops.Pass, snap.On(side).Engine.At, job+" runs on neither side", "")
	})
}

// running are the containers of a job that run.
func running(s *ops.SideState, job string) []ops.Container {
	var list []ops.Container
	for _, j := range s.Jobs {
		for _, c := range j.Container {
			if j.Name == job && halts(c.State) {
				list = append(list, c)
			}
		}
	}
	return list
}

// OnlyHere names what nobody serves while the side is out.
func OnlyHere(side ops.Side) ops.Guard {
	return guard(GuardOnlyHere, "nothing exists only on "+side.Upper(), func(snap *ops.Snapshot, now time.Time) ops.Check {
		s := snap.On(side)
		if len(s.OnlyHere) == 0 {
			if why := unread("the engine of "+side.Upper(), s.Engine, now, snap.Pair.Limits.Stale); why != "" {
				return check(ops.Remark, s.Engine.At, why+": what exists only there is not known", "")
			}
			return check(ops.Pass, s.Engine.At, "nothing exists only on "+side.Upper(), "")
		}
		running := runningJobs(s)
		names := make([]string, 0, len(s.OnlyHere))
		for _, name := range s.OnlyHere {
			if slices.Contains(running, name) {
				name += " (running)"
			}
			names = append(names, name)
		}
		return check(ops.Remark, s.Engine.At, "only on "+side.Upper()+": "+strings.Join(names, ", "), "")
	})
}

// ImagePresent holds when the image is on the side's host. ref is how it was asked for.
func ImagePresent(side ops.Side, ref, id string) ops.Guard {
	return guard(GuardImagePresent, "image "+ref+" on "+side.Upper(), func(snap *ops.Snapshot, now time.Time) ops.Check {
		s := snap.On(side)
		if why := unread("the engine of "+side.Upper(), s.Engine, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, s.Engine.At, why+": its images are not known", "mend the connection to "+side.Upper()+", then look again")
		}
		if s.Images == nil {
			return check(ops.NotKnown, s.Engine.At, "the images of "+side.Upper()+" have not been read", "look again")
		}
		if i, ok := FindImage(s.Images, id); ok && id != "" {
			return check(ops.Pass, s.Engine.At, "image "+ref+" is on "+side.Upper()+", made "+i.Created.UTC().Format("2006-01-02 15:04Z"), "")
		}
		return check(ops.Fail, s.Engine.At, "image "+ref+" is not on "+side.Upper(), "choose an image from the list: b on the service")
	})
}

// OrderKnown holds when the start order is known: nothing is sequenced by its name.
func OrderKnown() ops.Guard {
	return guard(GuardOrderKnown, "start order known", func(snap *ops.Snapshot, _ time.Time) ops.Check {
		switch snap.Order {
		case ops.OrderConfig:
			return check(ops.Pass, snap.At, "start order from the config", "")
		case ops.OrderLabels:
			return check(ops.Pass, snap.At, "start order from compose labels", "")
		}
		return check(ops.NotKnown, snap.At, "the start order is not known: neither the config nor compose labels tell it", "list the services in the config, in start order; or restart one service at a time")
	})
}

// NotLocked holds when no other run holds the lock on either side. A host that cannot be
// read, because it cannot be reached or hangs, is the matter of PeerReachable and SideFresh,
// which can be accepted: a dead peer must not keep a side out of service. One of the two
// must answer here.
func NotLocked(run string) ops.Guard {
	return guard(GuardNotLocked, "no other run under way", func(snap *ops.Snapshot, now time.Time) ops.Check {
		var free []string
		var at time.Time
		for _, side := range ops.Sides {
			s := snap.On(side)
			if l := s.Lock; l != nil && l.Run != run {
				held := ops.HeldError{Side: side, Info: *l}
				hint := "attach to it: its run is shown in the console"
				if l.Stopped {
					hint = "it stopped half-way: resume it or roll it back"
				}
				return check(ops.Fail, s.Host.At, side.Upper()+": "+held.Error(), hint)
			}
			if s.Link != ops.LinkUp || unread(side.Upper(), s.Host, now, snap.Pair.Limits.Stale) != "" {
				continue
			}
			free = append(free, side.Upper())
			if at.IsZero() || s.Host.At.Before(at) {
				at = s.Host.At
			}
		}
		if free == nil {
			return check(ops.NotKnown, time.Time{}, "neither host can be read: whether a run is under way is not known", "mend the connection to one of them")
		}
		return check(ops.Pass, at, "no other run on "+strings.Join(free, " and "), "")
	})
}

// VersionsAgree holds when the running engine of the side is the one that is installed. An
// engine that came from no package has no installed version to compare with.
func VersionsAgree(side ops.Side) ops.Guard {
	return guard(GuardVersionsAgree, "running and installed engine of "+side.Upper()+" agree", func(snap *ops.Snapshot, now time.Time) ops.Check {
		s := snap.On(side)
		for _, look := range []ops.Look{s.Host, s.Engine} {
			if why := unread(side.Upper(), look, now, snap.Pair.Limits.Stale); why != "" {
				return check(ops.NotKnown, look.At, why+": its versions are not known", "mend the connection to "+side.Upper()+", then look again")
			}
		}
		running, installed := ops.Upstream(s.Version.Running), s.Facts.Installed
		switch {
		case s.Facts.EngineReplaced || installed != "" && running != ops.Upstream(installed):
			text := side.Upper() + " runs engine " + running + ", another is installed"
			if installed != "" {
				text += " (" + ops.Upstream(installed) + ")"
			}
			return check(ops.Fail, s.Host.At, text, "restart the engine of "+side.Upper()+" while it is out of service, then look again")
		case installed == "":
			return check(ops.Remark, s.Host.At, side.Upper()+" runs engine "+running+"; which one is installed is not known", "")
		default:
			return check(ops.Pass, s.Host.At, side.Upper()+" runs the engine that is installed, "+running, "")
		}
	})
}

// FindImage finds an image by id, short id or tag.
func FindImage(images []ops.Image, ref string) (ops.Image, bool) {
	bare := strings.TrimPrefix(ref, "sha256:")
	for _, i := range images {
		if i.ID == ref || slices.Contains(i.Tags, ref) || slices.Contains(i.Tags, ref+":latest") {
			return i, true
		}
	}
	var found ops.Image
	hits := 0
	for _, i := range images {
		if len(bare) >= 6 && strings.HasPrefix(strings.TrimPrefix(i.ID, "sha256:"), bare) {
			found, hits = i, hits+1
		}
	}
	return found, hits == 1
}

// accepted tells whether the operator has accepted a guard as a risk, of all the services named.
func accepted(env ops.Env, guard string, services ...string) bool {
	return env.Accepted != nil && env.Accepted(guard, services...)
}
