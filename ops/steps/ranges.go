package steps

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"

	"tandem/ops"
)

// spaces are where a free range is looked for, in this order: the private ranges of
// RFC 1918, and of these first a part that cloud networks and home routers seldom use.
var spaces = []netip.Prefix{
	netip.MustParsePrefix("10.200.0.0/13"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// Taken is a range that is somebody's.
type Taken struct {
	Range netip.Prefix
	Whose string // in words: "a route of GREEN"
}

// Clash is a wanted pool that overlaps a range of somebody.
type Clash struct {
	Pool netip.Prefix
	With Taken
}

func (c Clash) String() string {
	return fmt.Sprintf("%s overlaps %s, %s", c.Pool, c.With.Range, c.With.Whose)
}

// Clashes finds all overlaps of the pools with what is taken and with each other.
func Clashes(pools []ops.Pool, taken []Taken) []Clash {
	var found []Clash
	for i, p := range pools {
		for _, other := range pools[:i] {
			if p.Base.Overlaps(other.Base) {
				found = append(found, Clash{p.Base, Taken{other.Base, "another of the pools"}})
			}
		}
		for _, t := range taken {
			if p.Base.Overlaps(t.Range) {
				found = append(found, Clash{p.Base, t})
			}
		}
	}
	return found
}

// FreeRange is the first private range of that many bits that overlaps none of the taken
// ones: the same answer for the same question. False if there is none.
func FreeRange(bits int, taken []Taken) (netip.Prefix, bool) {
	for _, space := range spaces {
		var b netipx.IPSetBuilder
		b.AddPrefix(space)
		for _, t := range taken {
			b.RemovePrefix(t.Range)
		}
		free, err := b.IPSet()
		if err != nil {
			return netip.Prefix{}, false
		}
		for _, p := range free.Prefixes() {
			if p.Bits() <= bits {
				return netip.PrefixFrom(p.Addr(), bits), true
			}
		}
	}
	return netip.Prefix{}, false
}

// takenRanges are the ranges that a pool of the side must leave alone: what the config
// reserves, what either host has, reaches or asks, and the networks of the side that stay.
//
// The networks of the engine on the peer are no matter: they are behind its own address. The
// default bridge of the side moves with the pools, see Pools, unless its place is fixed.
func takenRanges(snap *ops.Snapshot, side ops.Side, pools []ops.Pool, reserved []netip.Prefix, moved []NetworkWas) []Taken {
	var taken []Taken
	add := func(r netip.Prefix, whose string) {
		if t := (Taken{r.Masked(), whose}); r.IsValid() && !slices.Contains(taken, t) {
			taken = append(taken, t)
		}
	}
	for _, r := range append(slices.Clone(reserved), snap.Pair.Networks.Reserved...) {
		add(r, "reserved in the config")
	}
	for _, s := range []ops.Side{side, side.Peer()} {
		net := snap.On(s).Net
		if net == nil {
			continue
		}
		for _, a := range net.Addresses {
			add(a, "an address of "+s.Upper())
		}
		for _, r := range net.Routes {
			add(r, "a route of "+s.Upper())
		}
		for _, a := range net.Resolvers {
			add(one(a), "a resolver of "+s.Upper())
		}
		add(one(net.Client), "where our connection to "+s.Upper()+" comes from")
	}
	for _, n := range snap.On(side).Networks {
		net := snap.On(side).Net
		moves := n.Name == "bridge" && net != nil && !bridgeFixed([]byte(net.Daemon), net.Flags)
		if moves || own(n, net, pools) || slices.ContainsFunc(moved, func(m NetworkWas) bool { return m.Name == n.Name && m.AnyRange }) {
			continue
		}
		for _, text := range n.Subnets {
			if r, err := netip.ParsePrefix(text); err == nil {
				add(r, "the network "+n.Name+" of "+side.Upper())
			}
		}
	}
	return taken
}

// own tells whether the engine took the network's range from one of the wanted pools, in
// effect already: it keeps its own networks apart.
func own(n ops.Network, net *ops.NetFacts, pools []ops.Pool) bool {
	if net == nil {
		return false
	}
	var both []ops.Pool
	for _, p := range net.Pools {
		if slices.Contains(pools, p) {
			both = append(both, p)
		}
	}
	return len(both) > 0 && ops.AnyRange(n.Subnets, both)
}

// one is the range of a single address; not valid where there is none.
func one(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// PoolsFree holds when the pools overlap nothing that the side could need: see takenRanges.
// moved are networks of the side that will be made anew with a range from the pools.
func PoolsFree(side ops.Side, pools []ops.Pool, reserved []netip.Prefix, moved []NetworkWas) ops.Guard {
	return guard(GuardPoolsFree, "the new address pools are free on "+side.Upper(), func(snap *ops.Snapshot, now time.Time) ops.Check {
		at := snap.On(side).Host.At
		for _, p := range pools {
			if !p.Base.IsValid() || p.Size < p.Base.Bits() || p.Size > p.Base.Addr().BitLen() {
				return check(ops.Fail, at, fmt.Sprintf("no network of size %d can be cut from %s", p.Size, p.Base), "correct networks.pools in the config")
			}
		}
		for _, s := range []ops.Side{side, side.Peer()} {
			if why := unreadNet(snap.On(s), now, snap.Pair.Limits.Stale); why != "" {
				return check(ops.NotKnown, snap.On(s).Host.At, why+": whether the pools are free is not known", "mend the connection to "+s.Upper()+", then look again")
			}
		}
		if why := unread("the engine of "+side.Upper(), snap.On(side).Engine, now, snap.Pair.Limits.Stale); why != "" {
			return check(ops.NotKnown, snap.On(side).Engine.At, why+": its networks are not known", "mend the engine of "+side.Upper()+", then look again")
		}
		taken := takenRanges(snap, side, pools, reserved, moved)
		clashes := Clashes(pools, taken)
		if len(clashes) == 0 {
			return check(ops.Pass, at, poolWords(pools)+" overlaps nothing that "+side.Upper()+" and "+side.Peer().Upper()+" use", "")
		}
		var texts []string
		for _, c := range clashes {
			texts = append(texts, c.String())
		}
		hint := "choose another range for networks.pools in the config"
		if free, ok := FreeRange(clashes[0].Pool.Bits(), append(taken, poolsTaken(pools)...)); ok && free.Addr().Is4() == clashes[0].Pool.Addr().Is4() {
			hint = free.String() + " is free on both: use it for networks.pools in the config"
		}
		return check(ops.Fail, at, strings.Join(texts, "; "), hint)
	})
}

// unreadNet says why the addresses of a side are not known; empty if they are.
func unreadNet(s *ops.SideState, now time.Time, stale time.Duration) string {
	switch why := unread(s.Side.Upper(), s.Host, now, stale); {
	case why != "":
		return why
	case s.Net == nil:
		return "the addresses and routes of " + s.Side.Upper() + " have not been read"
	case !s.Net.Client.IsValid():
		return "where our connection to " + s.Side.Upper() + " comes from is not known"
	}
	return ""
}

func poolsTaken(pools []ops.Pool) []Taken {
	var taken []Taken
	for _, p := range pools {
		taken = append(taken, Taken{Range: p.Base})
	}
	return taken
}

// poolWords writes pools as people read them: "10.200.0.0/16 in /24".
func poolWords(pools []ops.Pool) string {
	if len(pools) == 0 {
		return "the engine's own pools"
	}
	var words []string
	for _, p := range pools {
		words = append(words, fmt.Sprintf("%s in /%d", p.Base, p.Size))
	}
	return strings.Join(words, ", ")
}
