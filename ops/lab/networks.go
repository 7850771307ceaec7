package lab

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The network around the hosts. Each has an address in it; the console comes from behind
// the router, as does whatever else has no route of its own.
const (
	consoleAddress = "10.0.7.9"
	hostNetwork    = "10.0.1.0/24"
	router         = "10.0.1.1"
	resolver       = "10.0.0.2"
)

// inside is the host's address in its network.
func (h *Host) inside() string { return fmt.Sprintf("10.0.1.%d", 11+slices.Index(Sides, h.side)) }

// overNetwork leads to the SSH server of another host, nil where nothing answers there: what
// either sends to the other must not end in a network of its engine. It expects the lock.
func (h *Host) overNetwork(address string, port int) func(net.Conn) {
	for _, o := range h.w.hosts {
		if o == h || o.inside() != address || port != 22 || !o.up {
			continue
		}
		for _, way := range []struct{ from, to *Host }{{h, o}, {o, h}} {
			if way.from.sshd.cable.isCut(pulled) || way.from.hides(netip.MustParseAddr(way.to.inside())) {
				return nil
			}
		}
		return func(c net.Conn) { go o.sshd.serve(c) }
	}
	return nil
}

// hides tells whether what the host sends to an address ends in a network of its engine.
func (h *Host) hides(address netip.Addr) bool {
	return slices.ContainsFunc(h.bridges(), func(l link) bool { return l.address.Masked().Contains(address) })
}

// network is a network of an engine.
type network struct {
	id         string
	name       string
	driver     string
	scope      string
	subnet     string // of IPv4; empty: has none
	gate       string // empty: the first address
	created    time.Time
	labels     map[string]string
	options    map[string]string
	ipam       obj // as asked for: Driver, Options, Config
	internal   bool
	attachable bool
	ipv6       bool
	builtin    bool
}

func (n *network) prefix() netip.Prefix { return netip.MustParsePrefix(n.subnet) }
func (n *network) bits() int            { return n.prefix().Bits() }

func (n *network) gateway() string {
	if n.gate != "" {
		return n.gate
	}
	return n.prefix().Masked().Addr().Next().String()
}

// endpoint is a container's place in a network.
type endpoint struct {
	networkID string // empty until the network was found
	id        string
	aliases   []string
	ipam      obj    // addresses asked for
	options   any    // DriverOpts
	links     any    // of the legacy kind
	address   string // while the container runs
	mac       string
}

func (ep *endpoint) static() string {
	address, _ := ep.ipam["IPv4Address"].(string)
	return address
}

// addressPool is one of the ranges that the engine cuts networks of Size bits from, as
// GET /info shows it.
type addressPool struct {
	Base string
	Size int
}

func (e *engine) network(ref string) (*network, error) {
	if n, ok := e.networks[ref]; ok {
		return n, nil
	}
	for _, n := range e.networks {
		if ref != "" && strings.HasPrefix(n.id, ref) {
			return n, nil
		}
	}
	return nil, apiError{http.StatusNotFound, "network " + ref + " not found"}
}

// joined finds the network of an endpoint. The engine goes by the id that it noted, so that
// a network that was made anew under the same name is not the container's any more; only
// its own networks, and one that was never found, go by name.
func (e *engine) joined(name string, ep *endpoint) (*network, error) {
	if n := e.networks[name]; n != nil && (n.builtin || ep.networkID == "") {
		return n, nil
	}
	if ep.networkID == "" {
		return e.network(name)
	}
	return e.network(ep.networkID)
}

// mayJoin refuses a start into a network that is gone, or on an address that is taken.
func (e *engine) mayJoin(c *container, name string, ep *endpoint) error {
	n, err := e.joined(name, ep)
	if err != nil {
		return err
	}
	if want := ep.static(); want != "" && slices.Contains(e.taken(n, c), want) {
		return apiError{http.StatusForbidden, "Address already in use"}
	}
	return nil
}

// taken lists the addresses of a network that others than c hold.
func (e *engine) taken(n *network, c *container) []string {
	out := []string{n.gateway()}
	for _, other := range e.containers {
		for _, ep := range other.networks {
			if other != c && ep.networkID == n.id && ep.address != "" {
				out = append(out, ep.address)
			}
		}
	}
	return out
}

// joinAll gives the container an address in each of its networks.
func (c *container) joinAll() {
	e := c.engine
	for _, name := range slices.Sorted(maps.Keys(c.networks)) {
		ep := c.networks[name]
		n, err := e.joined(name, ep)
		if err != nil || ep.address != "" {
			continue
		}
		ep.networkID, ep.id = n.id, e.host.w.newID()
		if n.subnet == "" {
			continue
		}
		ep.address = ep.static()
		if ep.address == "" {
			taken := e.taken(n, c)
			for a := n.prefix().Masked().Addr().Next(); n.prefix().Contains(a); a = a.Next() {
				if !slices.Contains(taken, a.String()) {
					ep.address = a.String()
					break
				}
			}
		}
		h := fnv.New32a()
		h.Write([]byte(ep.address))
		ep.mac = fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", byte(h.Sum32()>>24), byte(h.Sum32()>>16), byte(h.Sum32()>>8), byte(h.Sum32()))
	}
}

// leaveAll gives the addresses back.
func (c *container) leaveAll() {
	for _, ep := range c.networks {
		ep.address, ep.mac, ep.id = "", "", ""
	}
}

// builtinPools are the engine's own: 172.17 to 172.31, then 192.168 in /20s.
func builtinPools() []netip.Prefix {
	var pools []netip.Prefix
	for b := range 15 {
		pools = append(pools, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(17 + b), 0, 0}), 16))
	}
	for b := range 16 {
		pools = append(pools, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(16 * b), 0}), 20))
	}
	return pools
}

// freeRange is the first of the pools in effect that overlaps no network of the engine,
// no route and no resolver that the host knows; empty: there is none. What lies behind the
// router it cannot see.
func (e *engine) freeRange() string {
	free := func(p netip.Prefix) bool {
		for _, n := range e.networks {
			if n.subnet != "" && n.prefix().Overlaps(p) {
				return false
			}
		}
		for _, r := range append([]string{hostNetwork, resolver + "/32"}, e.host.avoided()...) {
			if netip.MustParsePrefix(r).Overlaps(p) {
				return false
			}
		}
		return true
	}
	if e.config.pools == nil {
		for _, p := range builtinPools() {
			if free(p) {
				return p.String()
			}
		}
		return ""
	}
	for _, pool := range e.config.pools {
		base, size := netip.MustParsePrefix(pool.Base), pool.Size
		for a := base.Masked().Addr(); base.Contains(a); a = after(a, size) {
			if p := netip.PrefixFrom(a, size); free(p) {
				return p.String()
			}
		}
	}
	return ""
}

// after is the first address behind the range of that size that begins at a.
func after(a netip.Addr, bits int) netip.Addr {
	b := a.As4()
	n := uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
	n += 1 << (32 - bits)
	if n >= 1<<32 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// avoided are the routes beyond the host's own network that the engine keeps away from: all
// before 23.0; since then only those on the link, of which there are no more.
func (h *Host) avoided() []string {
	if minor(releases[h.engine.next].api) >= 42 {
		return nil
	}
	return h.routes
}

// AddRoute gives the host a route through its router, to a range that is in use behind it.
func (h *Host) AddRoute(to string) error {
	if _, err := netip.ParsePrefix(to); err != nil {
		return fmt.Errorf("adding a route: %w", err)
	}
	h.with(func() { h.routes = append(h.routes, to) })
	return nil
}

// electBridge gives the default bridge its range when the daemon starts. It keeps the range
// that it had, which the daemon has on record (network/files/local-kv.db) and makes it with
// where the interface is gone, even after a boot; unless pools are configured: then the daemon
// takes it away and makes it anew out of them (daemon_unix.go, removeDefaultBridgeInterface).
func (e *engine) electBridge() {
	bridge := e.networks["bridge"]
	bridge.subnet = ""
	switch h := e.host; {
	case e.config.pools != nil || h.docker0 == "" && h.record0 == "":
		h.docker0 = e.freeRange()
	case h.docker0 == "":
		h.docker0 = h.record0
	}
	bridge.subnet = e.host.docker0
	e.host.record0 = e.host.docker0
	e.host.rerouted()
}

// rerouted looks whether the console's address is now in a network of the engine's: then
// the host sends its answers there, and nobody gets them.
func (h *Host) rerouted() {
	if h.sshd == nil {
		return
	}
	if h.hides(netip.MustParseAddr(consoleAddress)) {
		h.sshd.cable.cut(shadowed)
		return
	}
	h.sshd.cable.restore(shadowed)
}
