package findings

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tandem/ops"
)

// held is a range that an engine must leave alone, and whose it is.
type held struct {
	prefix netip.Prefix
	who    string
}

// takenFrom are the ranges that the engine of a side must leave alone. The networks of the
// peer's engine are no matter: they are behind its own address, and both sides may use the same.
func (v *view) takenFrom(side ops.Side) []held {
	var out []held
	add := func(r netip.Prefix, who string) {
		if r.IsValid() {
			out = append(out, held{r.Masked(), who})
		}
	}
	one := func(a netip.Addr) netip.Prefix {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen())
	}
	for _, r := range v.Pair.Networks.Reserved {
		add(r, "reserved in the config")
	}
	here, there := v.On(side).Net, v.On(side.Peer()).Net
	if here != nil {
		for _, r := range here.Addresses {
			add(r, "an address of the host")
		}
		for _, r := range here.Routes {
			add(r, "a route of the host")
		}
		for _, a := range here.Resolvers {
			if !a.IsLoopback() {
				add(one(a), "a resolver of the host")
			}
		}
		add(one(here.Client), "where our connection comes from")
	}
	if there != nil {
		for _, r := range there.Addresses {
			add(one(r.Addr()), "an address of "+string(side.Peer()))
		}
	}
	if a, err := netip.ParseAddr(v.Pair.Addresses[side.Peer()]); err == nil {
		add(one(a), "the address of "+string(side.Peer()))
	}
	return out
}

// networksOverlap: a network of the engine takes addresses that somebody else has: what is
// there cannot be reached from this host any more.
func networksOverlap(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Engine) {
			return nil
		}
		var list, detail []string
		for _, n := range s.Networks {
			for _, text := range n.Subnets {
				subnet, err := netip.ParsePrefix(text)
				if err != nil {
					continue
				}
				for _, t := range v.takenFrom(side) {
					if !subnet.Overlaps(t.prefix) {
						continue
					}
					if !slices.Contains(list, n.Name) {
						list = append(list, n.Name)
					}
					if what := fmt.Sprintf("%s %s overlaps %s, %s", n.Name, subnet, t.prefix, t.who); !slices.Contains(detail, what) {
						detail = append(detail, what)
					}
				}
			}
		}
		if len(list) == 0 {
			return nil
		}
		f := ops.Finding{
			ID: "networks-overlap", Severity: ops.Warn, Side: side, Title: detail[0], Detail: strings.Join(detail[1:], "; "),
			Hint: "move the engine's networks with a recovery: R", Do: recovery(side),
		}
		if len(list) > 1 {
			f.Title, f.Detail = count(len(list), "network")+" overlap what is in use: "+names(list), strings.Join(detail, "; ")
		}
		if len(v.Pair.Networks.Pools) == 0 {
			f.Hint, f.Do = "set networks.pools in the config to a range that is free, then recover the side: R", nil
		}
		return []ops.Finding{f}
	})
}
