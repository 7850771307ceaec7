package findings

import (
	"fmt"
	"net/netip"

	"tandem/ops"
)

// poolsFew is how many free ranges are few.
const poolsFew = 2

// poolsShort: the engine has hardly a range left for another network.
func poolsShort(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Engine) || s.Net == nil {
			return nil
		}
		pools := s.Net.Pools
		if len(pools) == 0 {
			pools = ops.EnginePools
		}
		used, all := inUse(s.Networks, pools)
		f := ops.Finding{
			ID: "pools-short", Severity: ops.Warn, Side: side, Title: fmt.Sprintf("address pools nearly used up: %d of %d ranges taken", used, all),
			Detail: "compose cannot make a network without a free range", Hint: "remove networks that no container is on: docker network prune; or set networks.pools wider and recover: R",
		}
		switch {
		case all == 0 || all-used > poolsFew || used == 0 && all <= poolsFew:
			return nil
		case used >= all:
			f.Severity, f.Title = ops.Block, fmt.Sprintf("address pools used up: %d of %d ranges taken", all, all)
		}
		return []ops.Finding{f}
	})
}

// inUse counts the ranges that the pools give, and those that networks have taken of them.
func inUse(networks []ops.Network, pools []ops.Pool) (used, all int) {
	const most = 1 << 20 // more than any host has networks
	var subnets []netip.Prefix
	for _, n := range networks {
		for _, text := range n.Subnets {
			if p, err := netip.ParsePrefix(text); err == nil {
				subnets = append(subnets, p)
			}
		}
	}
	for _, p := range pools {
		if !p.Base.IsValid() || p.Size < p.Base.Bits() || p.Size > p.Base.Addr().BitLen() {
			continue
		}
		all = min(all+1<<min(p.Size-p.Base.Bits(), 20), most)
		for _, subnet := range subnets {
			switch {
			case !p.Base.Overlaps(subnet):
			case subnet.Bits() >= p.Size:
				used++
			default:
				used = min(used+1<<min(p.Size-max(subnet.Bits(), p.Base.Bits()), 20), most)
			}
		}
	}
	return min(used, all), all
}
