package steps

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"
	"pgregory.net/rapid"

	"tandem/ops"
)

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func freshNet() ops.Snapshot {
	now := ops.Look{At: time.Unix(1000, 0)}
	s := ops.Snapshot{At: now.At, Pair: ops.Pair{Limits: ops.DefaultLimits()}}
	s.Pair.Networks.Reserved = []netip.Prefix{prefix("10.0.0.0/17")}
	for i, side := range ops.Sides {
		*s.On(side) = ops.SideState{Side: side, Host: now, Engine: now, Link: ops.LinkUp, Net: &ops.NetFacts{
			Addresses: []netip.Prefix{prefix(fmt.Sprintf("10.0.1.1%d/24", i+1))},
			Routes:    []netip.Prefix{prefix("10.201.0.0/16")},
			Resolvers: []netip.Addr{netip.MustParseAddr("10.202.0.2")},
			Client:    netip.MustParseAddr("::ffff:10.203.4.5"),
		}, Networks: []ops.Network{
			{Name: "bridge", Subnets: []string{"172.17.0.0/16"}},
			{Name: "tis_default", Subnets: []string{"172.18.0.0/16"}},
			{Name: "ext", Subnets: []string{"10.204.5.0/24"}},
		}}
	}
	s.Green.Net.Routes, s.Green.Networks = nil, s.Green.Networks[:2]
	return s
}

func TestPoolsFree(t *testing.T) {
	table := []struct {
		name, pool string
		size       int
		state      ops.CheckState
		text, hint string
		change     func(*ops.Snapshot)
	}{
		{"free", "10.210.0.0/16", 24, ops.Pass, "10.210.0.0/16 in /24 overlaps nothing", "", nil},
		{"reserved", "10.0.0.0/16", 24, ops.Fail, "10.0.0.0/16 overlaps 10.0.0.0/17, reserved in the config", "10.200.0.0/16 is free on both", nil},
		{"an address", "10.0.1.0/24", 28, ops.Fail, "10.0.1.0/24 overlaps 10.0.1.0/24, an address of BLUE", "10.200.0.0/24 is free", nil},
		{"a route of the peer", "10.201.0.0/20", 24, ops.Fail, "10.201.0.0/20 overlaps 10.201.0.0/16, a route of BLUE", "10.200.0.0/20 is free", nil},
		{"a resolver", "10.202.0.0/16", 24, ops.Fail, "10.202.0.0/16 overlaps 10.202.0.2/32, a resolver of GREEN", "10.200.0.0/16 is free", nil},
		{"the console", "10.203.0.0/16", 24, ops.Fail, "10.203.0.0/16 overlaps 10.203.4.5/32, where our connection to GREEN comes from", "10.200.0.0/16 is free", nil},
		{"the default bridge moves", "172.17.0.0/16", 24, ops.Pass, "", "", nil},
		{"the default bridge is fixed", "172.17.0.0/16", 24, ops.Fail, "172.17.0.0/16 overlaps 172.17.0.0/16, the network bridge of GREEN", "10.200.0.0/16 is free", func(s *ops.Snapshot) {
			s.Green.Net.Daemon = `{"bip": "172.17.0.1/16"}`
		}},
		{"fixed by a flag", "172.17.0.0/16", 24, ops.Fail, "the network bridge of GREEN", "10.200.0.0/16 is free", func(s *ops.Snapshot) {
			s.Green.Net.Flags = []string{"dockerd", "--bip", "172.17.0.1/16"}
		}},
		{"one that is made anew", "172.18.0.0/16", 24, ops.Pass, "", "", nil},
		{"a network of the peer", "10.204.0.0/16", 24, ops.Pass, "", "", nil},
		{"in effect, in use", "10.204.0.0/16", 24, ops.Pass, "", "", func(s *ops.Snapshot) {
			s.Green.Networks = append(s.Green.Networks, s.Blue.Networks[2])
			s.Green.Net.Pools = []ops.Pool{{Base: prefix("10.204.0.0/16"), Size: 24}}
		}},
		{"in use, not in effect", "10.204.0.0/16", 24, ops.Fail, "the network ext of GREEN", "10.200.0.0/16 is free", func(s *ops.Snapshot) {
			s.Green.Networks = append(s.Green.Networks, s.Blue.Networks[2])
		}},
		{"no such size", "10.210.0.0/16", 8, ops.Fail, "no network of size 8", "networks.pools", nil},
		{"not read", "10.210.0.0/16", 24, ops.NotKnown, "routes of BLUE have not been read", "BLUE", func(s *ops.Snapshot) { s.Blue.Net = nil }},
		{"the console not known", "10.210.0.0/16", 24, ops.NotKnown, "where our connection to GREEN comes from is not known", "GREEN", func(s *ops.Snapshot) { s.Green.Net.Client = netip.Addr{} }},
		{"old", "10.210.0.0/16", 24, ops.NotKnown, "GREEN was last read", "GREEN", func(s *ops.Snapshot) { s.Green.Host.At = time.Unix(1, 0) }},
		{"engine old", "10.210.0.0/16", 24, ops.NotKnown, "the engine of GREEN", "GREEN", func(s *ops.Snapshot) { s.Green.Engine.At = time.Unix(1, 0) }},
	}
	for _, c := range table {
		s := freshNet()
		if c.change != nil {
			c.change(&s)
		}
		g := PoolsFree(ops.Green, []ops.Pool{{Base: prefix(c.pool), Size: c.size}}, nil, goneNetworks)
		got := g.Eval(&s, time.Unix(1000, 0))
		if got.State != c.state || !strings.Contains(got.Text, c.text) || !strings.Contains(got.Hint, c.hint) || c.hint != "" && got.Hint == "" {
			t.Errorf("%s: %s %q, hint %q", c.name, got.State, got.Text, got.Hint)
		}
	}
	twice := []ops.Pool{{Base: prefix("10.210.0.0/16"), Size: 24}, {Base: prefix("10.210.8.0/24"), Size: 28}}
	s := freshNet()
	if got := PoolsFree(ops.Green, twice, nil, nil).Eval(&s, time.Unix(1000, 0)); got.State != ops.Fail || !strings.Contains(got.Text, "another of the pools") {
		t.Errorf("pools over each other: %+v", got)
	}
}

// drawPrefix is mostly a private range, so that clashes are common.
func drawPrefix(t *rapid.T, label string) netip.Prefix {
	base := rapid.SampledFrom([]string{"10.0.0.0", "10.200.0.0", "172.16.0.0", "192.168.0.0", "0.0.0.0"}).Draw(t, label+" base")
	a := netip.MustParseAddr(base).As4()
	a[1] |= rapid.Byte().Draw(t, label+" 1")
	a[2] |= rapid.Byte().Draw(t, label+" 2")
	return netip.PrefixFrom(netip.AddrFrom4(a), rapid.IntRange(8, 32).Draw(t, label+" bits")).Masked()
}

// Two ranges clash if and only if they share an address; a proposed range is private, of the
// size asked for, and clashes with nothing; where none is proposed there is none.
func TestRangesProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var taken []Taken
		var all netipx.IPSetBuilder
		for i := range rapid.IntRange(0, 12).Draw(t, "taken") {
			p := drawPrefix(t, fmt.Sprint(i))
			taken = append(taken, Taken{p, "somebody's"})
			all.AddPrefix(p)
		}
		used, err := all.IPSet()
		if err != nil {
			t.Fatal(err)
		}
		pool := drawPrefix(t, "pool")
		if got := len(Clashes([]ops.Pool{{Base: pool, Size: 30}}, taken)) > 0; got != used.OverlapsPrefix(pool) {
			t.Fatalf("%s clashes: %v", pool, got)
		}
		bits := rapid.IntRange(9, 30).Draw(t, "bits")
		free, ok := FreeRange(bits, taken)
		if again, _ := FreeRange(bits, taken); again != free {
			t.Fatalf("%s, then %s", free, again)
		}
		if ok && (free.Bits() != bits || free != free.Masked() || !free.Addr().IsPrivate() || used.OverlapsPrefix(free)) {
			t.Fatalf("%s proposed for /%d", free, bits)
		}
		if !ok {
			for _, space := range spaces[1:] {
				for a := space.Addr(); space.Contains(a) && space.Bits() <= bits; {
					p := netip.PrefixFrom(a, bits)
					if !used.OverlapsPrefix(p) {
						t.Fatalf("%s is free and was not found", p)
					}
					a = netipx.PrefixLastIP(p).Next()
					if bits > 20 {
						break // too many to try: the first of each space
					}
				}
			}
		}
	})
}
