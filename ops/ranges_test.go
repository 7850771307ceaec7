package ops

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAnyRange(t *testing.T) {
	mine := []Pool{{Base: netip.MustParsePrefix("10.200.0.0/16"), Size: 24}}
	table := []struct {
		subnets string
		pools   []Pool
		want    bool
	}{
		{"172.17.0.0/16", nil, true},
		{"172.31.0.0/16", nil, true},
		{"172.16.0.0/16", nil, false},
		{"172.32.0.0/16", nil, false},
		{"172.20.0.0/24", nil, false}, // somebody's choice: the engine takes /16 there
		{"192.168.16.0/20", nil, true},
		{"192.168.16.0/24", nil, false},
		{"10.200.7.0/24", nil, false},
		{"10.200.7.0/24", mine, true},
		{"10.200.0.0/20", mine, false},
		{"10.201.7.0/24", mine, false},
		{"172.18.0.0/16", mine, false},
		{"10.200.7.0/24 fd00:1::/64", mine, false},
		{"10.200.7.0/24 10.200.8.0/24", mine, true},
		{"nonsense", mine, false},
		{"", mine, false},
	}
	for _, c := range table {
		if got := AnyRange(strings.Fields(c.subnets), c.pools); got != c.want {
			t.Errorf("%q of %v: %v", c.subnets, c.pools, got)
		}
	}
}

// What the engine cuts from its pools is its own choice, whatever the pools.
func TestAnyRangeProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "second"), rapid.Byte().Draw(t, "third"), 0}), rapid.IntRange(8, 32).Draw(t, "bits")).Masked()
		pools := rapid.SampledFrom([][]Pool{nil, {{Base: base, Size: 0}}}).Draw(t, "pools")
		from := EnginePools
		if pools != nil {
			pools[0].Size = rapid.IntRange(pools[0].Base.Bits(), 32).Draw(t, "size")
			from = pools
		}
		p := rapid.SampledFrom(from).Draw(t, "from")
		b := p.Base.Addr().As4()
		n := rapid.Uint32().Draw(t, "which") &^ (^uint32(0) << (32 - p.Base.Bits()))
		for i := range b {
			b[i] |= byte(n >> (24 - 8*i))
		}
		subnet := netip.PrefixFrom(netip.AddrFrom4(b), p.Size).Masked()
		if !AnyRange([]string{subnet.String()}, pools) {
			t.Fatalf("%s of %v", subnet, from)
		}
		if shorter := netip.PrefixFrom(subnet.Addr(), max(0, p.Base.Bits()-1)).Masked(); p.Base.Bits() > 0 && AnyRange([]string{shorter.String()}, pools) && pools != nil {
			t.Fatalf("%s is wider than %v", shorter, from)
		}
	})
}
