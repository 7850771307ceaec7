package ops

import (
	"net/netip"
	"slices"
)

// EnginePools are the pools of an engine that was given none (moby,
// daemon/libnetwork/ipamutils/utils.go; the same since 18.09).
var EnginePools = []Pool{
	{Base: netip.MustParsePrefix("172.17.0.0/16"), Size: 16},
	{Base: netip.MustParsePrefix("172.18.0.0/16"), Size: 16},
	{Base: netip.MustParsePrefix("172.19.0.0/16"), Size: 16},
	{Base: netip.MustParsePrefix("172.20.0.0/14"), Size: 16},
	{Base: netip.MustParsePrefix("172.24.0.0/14"), Size: 16},
	{Base: netip.MustParsePrefix("172.28.0.0/14"), Size: 16},
	{Base: netip.MustParsePrefix("192.168.0.0/16"), Size: 20},
}

// AnyRange tells whether a network's range was the engine's own choice: all its subnets are
// of the pools in effect, cut to their size; of the engine's own pools where it was given
// none. A range that somebody chose and that looks the same cannot be told from it. One
// without a subnet has nothing to choose.
func AnyRange(subnets []string, pools []Pool) bool {
	if len(pools) == 0 {
		pools = EnginePools
	}
	for _, text := range subnets {
		subnet, err := netip.ParsePrefix(text)
		if err != nil || !slices.ContainsFunc(pools, func(p Pool) bool { return subnet.Bits() == p.Size && within(subnet, p.Base) }) {
			return false
		}
	}
	return len(subnets) > 0
}

// within tells whether inner is a part of outer, or the same.
func within(inner, outer netip.Prefix) bool {
	return inner.Bits() >= outer.Bits() && outer.Overlaps(inner)
}
