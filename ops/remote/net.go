package remote

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

//go:embed net.sh
var netScript string

const (
	daemonFile = "/etc/docker/daemon.json"
	maxDaemon  = 64 << 10 // of daemonFile, in bytes; net.sh reads one more
)

// dockerdSeen remembers whether the engine's program that was asked last can check a file.
type dockerdSeen struct {
	file      string // path and mtime
	validates bool
}

// Net runs one fixed script, and asks the engine at the same time. Half an answer is an
// error: what is not known must not look free. Only a daemon.json that the user may not
// read costs another round trip, with sudo.
func (h *Host) Net(ctx context.Context) (ops.NetFacts, error) {
	const doing = "reading the host's networks"
	var out []byte
	var pools []ops.Pool
	var own map[string]bool
	h.factsMu.Lock()
	seen := h.dockerd
	h.factsMu.Unlock()
	g, both := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		out, err = h.Exec(both, ops.Command{Args: []string{"sh", "-c", netScript, "sh", seen.file}})
		return err
	})
	g.Go(func() (err error) {
		e := &engine{h}
		if pools, err = e.Pools(both); err != nil {
			return err
		}
		own, err = e.bridges(both)
		return err
	})
	if err := g.Wait(); err != nil {
		p := *ops.AsProblem(err, "", h.target.Side)
		p.Doing = doing
		return ops.NetFacts{}, &p
	}
	facts, seen, hidden, err := parseNet(out, seen, own)
	if err == nil && hidden {
		var file []byte
		if file, err = h.ReadFile(ctx, daemonFile, true); errors.Is(err, fs.ErrNotExist) {
			file, err = nil, nil
		}
		facts.Daemon = string(file)
	}
	if err == nil {
		err = checkDaemon(facts.Daemon)
	}
	if err != nil {
		p := *ops.AsProblem(err, "", h.target.Side)
		p.Doing = doing
		return ops.NetFacts{}, &p
	}
	h.factsMu.Lock()
	h.dockerd = seen
	h.factsMu.Unlock()
	facts.Pools = pools
	return facts, nil
}

// bridges are the interfaces of the engine's networks that have a name of their own; the
// others are known by their names, see isBridge.
func (e *engine) bridges(ctx context.Context) (map[string]bool, error) {
	return call(ctx, e, "listing networks", e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (map[string]bool, error) {
		list, err := cli.NetworkList(ctx, network.ListOptions{})
		own := map[string]bool{}
		for _, n := range list {
			if name := n.Options["com.docker.network.bridge.name"]; name != "" {
				own[name] = true
			}
		}
		return own, err
	})
}

// bridgeName matches the interfaces that the engine names itself: the bridges of its
// networks (br- and the start of the network's id, moby's bridge driver), of its default
// network and of swarm, and the host's ends of container interfaces.
var bridgeName = regexp.MustCompile(`^(docker0|docker_gwbridge|br-[0-9a-f]{12}|veth.*)$`)

func isBridge(name string, own map[string]bool) bool {
	return own[name] || bridgeName.MatchString(name)
}

func checkDaemon(text string) error {
	switch {
	case len(text) > maxDaemon:
		return fmt.Errorf("%s is larger than %d KiB", daemonFile, maxDaemon>>10)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s is not UTF-8 text", daemonFile)
	}
	return nil
}

// parseNet reads what net.sh prints. hidden: there may be a daemon.json, and the user may
// not read it. A line of addresses or routes that is not understood is an error.
func parseNet(out []byte, seen dockerdSeen, own map[string]bool) (facts ops.NetFacts, now dockerdSeen, hidden bool, err error) {
	refuse := func(err error) (ops.NetFacts, dockerdSeen, bool, error) { return ops.NetFacts{}, seen, false, err }
	text, whole := strings.CutSuffix(string(out), "\n@end\n")
	head, daemon, found := strings.Cut(text, "\n@daemon ")
	if !whole || !found {
		return refuse(errors.New("the answer broke off"))
	}
	switch kind, content, _ := strings.Cut(daemon, "\n"); kind {
	case "file":
		facts.Daemon = content
	case "hidden":
		hidden = true
	case "none":
	default:
		return refuse(fmt.Errorf("%s is said to be %q", daemonFile, kind))
	}
	var routed, stub bool
	var uplinks []netip.Addr
	part := ""
	for line := range strings.Lines(head) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "@"); ok {
			part = first(name)
			switch part {
			case "ssh":
				facts.Client, facts.Server = sshEnds(strings.Fields(name)[1:])
			case "routes", "route":
				routed = true
			case "dockerd":
				if now.file = strings.TrimPrefix(name, "dockerd "); now.file == seen.file {
					now = seen
				}
			case "validates":
				now.validates = name == "validates yes"
			}
			continue
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch part {
		case "addresses":
			err = addAddress(&facts, words, own)
		case "routes":
			err = addRoute(&facts, words, own)
		case "route":
			err = addKernelRoute(&facts, words, own)
		case "ipv6_route":
			err = addKernelRoute6(&facts, words, own)
		case "resolvers", "uplinks":
			switch a := resolver(words); {
			case !a.IsValid():
			case part == "uplinks":
				uplinks = append(uplinks, a)
			default:
				facts.Resolvers = append(facts.Resolvers, a)
				stub = stub || a == netip.AddrFrom4([4]byte{127, 0, 0, 53})
			}
		case "flags":
			facts.Flags = append(facts.Flags, line)
		}
		if err != nil {
			return refuse(fmt.Errorf("reading %q: %w", line, err))
		}
	}
	if !routed {
		return refuse(errors.New("the host did not tell its routes"))
	}
	if stub { // systemd-resolved asks these
		facts.Resolvers = append(facts.Resolvers, uplinks...)
	}
	slices.SortFunc(facts.Resolvers, netip.Addr.Compare)
	facts.Resolvers = slices.Compact(facts.Resolvers)
	facts.Validates = now.validates
	tidy(&facts)
	return facts, now, hidden, nil
}

// tidy leaves out what says nothing about free ranges: the routes to the host's own
// addresses, and link-local and multicast ranges of IPv6, which every host has.
func tidy(facts *ops.NetFacts) {
	everywhere := func(p netip.Prefix) bool {
		return p.Addr().Is6() && (p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast())
	}
	ours := func(p netip.Prefix) bool {
		return p.IsSingleIP() && slices.ContainsFunc(facts.Addresses, func(a netip.Prefix) bool { return a.Addr() == p.Addr() })
	}
	facts.Addresses = slices.DeleteFunc(facts.Addresses, everywhere)
	facts.Routes = slices.DeleteFunc(facts.Routes, func(p netip.Prefix) bool { return everywhere(p) || ours(p) })
	for _, list := range []*[]netip.Prefix{&facts.Addresses, &facts.Routes} {
		slices.SortFunc(*list, netip.Prefix.Compare)
		*list = slices.Compact(*list)
	}
}

// sshEnds reads SSH_CONNECTION: address and port of the client, then of the server (ssh(1)).
func sshEnds(words []string) (client netip.Addr, server netip.AddrPort) {
	if len(words) > 0 {
		client = ipOf(words[0])
	}
	if len(words) > 3 {
		if port, err := strconv.ParseUint(words[3], 10, 16); err == nil {
			server = netip.AddrPortFrom(ipOf(words[2]), uint16(port))
		}
	}
	return client, server
}

// ipOf reads an address without its zone; an invalid one if it is none.
func ipOf(text string) netip.Addr {
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// resolver reads a line of resolv.conf(5).
func resolver(words []string) netip.Addr {
	if len(words) < 2 || words[0] != "nameserver" {
		return netip.Addr{}
	}
	return ipOf(words[1])
}

// prefix reads a range, or an address as the range that holds it alone.
func prefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a.WithZone(""), a.BitLen()), nil
}

// addAddress reads a line of `ip -o addr show`: "4: eth0    inet 192.0.2.2/24 brd ...", or
// "inet 10.8.0.1 peer 10.8.0.2/32" at one end of a tunnel.
func addAddress(facts *ops.NetFacts, words []string, own map[string]bool) error {
	if len(words) < 4 {
		return errors.New("not an address")
	}
	name, _, _ := strings.Cut(strings.TrimSuffix(words[1], ":"), "@")
	if words[2] != "inet" && words[2] != "inet6" || isBridge(name, own) {
		return nil // "link/ether" and the like
	}
	p, err := prefix(words[3])
	if err != nil {
		return err
	}
	facts.Addresses = append(facts.Addresses, p)
	if len(words) > 5 && words[4] == "peer" {
		if p, err = prefix(words[5]); err != nil {
			return err
		}
		facts.Routes = append(facts.Routes, p.Masked())
	}
	return nil
}

// addRoute reads a line of `ip route show table all`: an optional kind, the destination,
// then pairs of words (ip-route(8)).
func addRoute(facts *ops.NetFacts, words []string, own map[string]bool) error {
	switch words[0] {
	case "nexthop": // goes on from the line before
		return nil
	case "broadcast", "multicast", "anycast":
		return nil
	case "unicast", "local", "unreachable", "blackhole", "prohibit", "throw", "nat":
		words = words[1:]
	}
	if len(words) == 0 {
		return errors.New("no destination")
	}
	if i := slices.Index(words, "dev"); i > 0 && i+1 < len(words) && isBridge(words[i+1], own) {
		return nil
	}
	if words[0] == "default" {
		return nil
	}
	p, err := prefix(words[0])
	if err != nil {
		return err
	}
	addRange(facts, p)
	return nil
}

// addRange adds a destination that is not the default's. A default is also made of halves
// (0.0.0.0/1 and 128.0.0.0/1, 2000::/3), as VPNs do to go before the one that there is.
func addRange(facts *ops.NetFacts, p netip.Prefix) {
	if p.Addr().Is4() && p.Bits() > 1 || p.Addr().Is6() && p.Bits() > 3 {
		facts.Routes = append(facts.Routes, p.Masked())
	}
}

// addKernelRoute reads a line of /proc/net/route: interface, destination, gateway, flags,
// three counts, mask. Addresses are hexadecimal, in the byte order of the machine, which is
// taken to be little-endian (net/ipv4/fib_trie.c).
func addKernelRoute(facts *ops.NetFacts, words []string, own map[string]bool) error {
	if words[0] == "Iface" || isBridge(words[0], own) {
		return nil
	}
	if len(words) < 8 {
		return errors.New("not a route")
	}
	var number [2]uint32
	for i, text := range []string{words[1], words[7]} {
		n, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return err
		}
		number[i] = bits.ReverseBytes32(uint32(n))
	}
	length := bits.LeadingZeros32(^number[1])
	if number[1]<<length != 0 {
		return errors.New("the mask has gaps")
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], number[0])
	addRange(facts, netip.PrefixFrom(netip.AddrFrom4(a), length))
	return nil
}

// addKernelRoute6 reads a line of /proc/net/ipv6_route: destination and its length first,
// the interface last, all hexadecimal (net/ipv6/route.c).
func addKernelRoute6(facts *ops.NetFacts, words []string, own map[string]bool) error {
	if len(words) < 10 {
		return errors.New("not a route")
	}
	if isBridge(words[9], own) {
		return nil
	}
	raw, err := hex.DecodeString(words[0])
	if err != nil {
		return err
	}
	length, err := strconv.ParseUint(words[1], 16, 8)
	if err != nil {
		return err
	}
	a, ok := netip.AddrFromSlice(raw)
	if !ok || !a.Is6() || length > 128 {
		return errors.New("not a route")
	}
	addRange(facts, netip.PrefixFrom(a, int(length)))
	return nil
}
