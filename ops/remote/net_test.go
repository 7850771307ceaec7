package remote

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tandem/ops"
)

const netOut = `Welcome to blue
@ssh ::ffff:10.9.9.9 50000 ::ffff:192.0.2.2 2222
@addresses
1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host \       valid_lft forever preferred_lft forever
2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet6 fd00::2/64 scope global nodad \       valid_lft forever preferred_lft forever
2: eth0    inet6 fe80::fc:ff:fe00:1/64 scope link \       valid_lft forever preferred_lft forever
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\       valid_lft forever preferred_lft forever
4: br-0123456789ab    inet 172.18.0.1/16 brd 172.18.255.255 scope global br-0123456789ab
5: br-lan    inet 10.1.0.1/16 scope global br-lan
6: tisbr    inet 10.210.0.1/24 scope global tisbr
7: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0
8: veth1@if9    inet6 fd99::1/64 scope global
@routes
default via 192.0.2.1 dev eth0 
0.0.0.0/1 via 10.8.0.2 dev tun0
128.0.0.0/1 via 10.8.0.2 dev tun0
10.1.0.0/16 dev br-lan proto kernel scope link src 10.1.0.1 
10.40.0.0/14 proto static metric 20
	nexthop via 192.0.2.3 dev eth0 weight 1
10.8.0.2 dev tun0 proto kernel scope link src 10.8.0.1
10.210.0.0/24 dev tisbr proto kernel scope link src 10.210.0.1
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown 
172.18.0.0/16 dev br-0123456789ab proto kernel scope link src 172.18.0.1 
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2 
unreachable 198.18.0.0/15 metric 4278198272
10.50.0.0/16 via 192.0.2.9 dev eth0 table 100
local 172.17.0.1 dev docker0 table local proto kernel scope host src 172.17.0.1 
local 192.0.2.2 dev eth0 table local proto kernel scope host src 192.0.2.2 
local 10.66.0.0/24 dev lo table local scope host
broadcast 192.0.2.255 dev eth0 table local proto kernel scope link src 192.0.2.2 
fd00::/64 dev eth0 proto kernel metric 256 pref medium
fe80::/64 dev eth0 proto kernel metric 256 pref medium
default via fd00::1 dev eth0 metric 1024 pref medium
unreachable default dev lo metric 4294967295 error -101
local ::1 dev lo table local proto kernel metric 0 pref medium
multicast ff00::/8 dev eth0 table local proto kernel metric 256 pref medium
ff00::/8 dev eth0 table local metric 256
@resolvers
# made by systemd-resolved
nameserver 127.0.0.53
nameserver fe80::1%eth0
options edns0 trust-ad
@uplinks
nameserver 10.0.0.53
@flags
/usr/bin/dockerd
-H
fd://
--log-opt=max size=1m

@dockerd /usr/bin/dockerd 1605190000
@validates yes
`

// prefixes reads a list with blanks between.
func prefixes(text string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range strings.Fields(text) {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

var comparePlain = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func TestParseNet(t *testing.T) {
	const daemon = "{\n  \"bip\": \"10.3.0.1/16\"\r\n}"
	got, seen, hidden, err := parseNet([]byte(netOut+"@daemon file\n"+daemon+"\n@end\n"), dockerdSeen{}, map[string]bool{"tisbr": true})
	if err != nil || hidden {
		t.Fatal(hidden, err)
	}
	want := ops.NetFacts{
		Addresses: prefixes("10.1.0.1/16 10.8.0.1/32 127.0.0.1/8 192.0.2.2/24 ::1/128 fd00::2/64"),
		Routes:    prefixes("10.1.0.0/16 10.8.0.2/32 10.40.0.0/14 10.50.0.0/16 10.66.0.0/24 192.0.2.0/24 198.18.0.0/15 fd00::/64"),
		Resolvers: []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("127.0.0.53"), netip.MustParseAddr("fe80::1")},
		Client:    netip.MustParseAddr("10.9.9.9"),
		Server:    netip.MustParseAddrPort("192.0.2.2:2222"),
		Daemon:    daemon,
		Flags:     []string{"/usr/bin/dockerd", "-H", "fd://", "--log-opt=max size=1m"},
		Validates: true,
	}
	slices.SortFunc(want.Addresses, netip.Prefix.Compare)
	slices.SortFunc(want.Routes, netip.Prefix.Compare)
	if d := cmp.Diff(want, got, comparePlain...); d != "" {
		t.Error(d)
	}
	// The same program is not asked again.
	again := strings.Replace(netOut, "@validates yes\n", "", 1) + "@daemon none\n\n@end\n"
	if got, _, _, err := parseNet([]byte(again), seen, nil); err != nil || !got.Validates || got.Daemon != "" {
		t.Errorf("validates %v, %v", got.Validates, err)
	}
	other := strings.Replace(again, "1605190000", "1605190001", 1)
	if got, _, _, err := parseNet([]byte(other), seen, nil); err != nil || got.Validates {
		t.Errorf("validates %v, %v", got.Validates, err)
	}
}

// Hosts without ip(8) have the kernel's tables.
func TestParseNetFromTheKernel(t *testing.T) {
	const out = `@ssh 
@route
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	0000280A	010200C0	0003	0	0	0	0000FCFF	0	0	0
@ipv6_route
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
@resolvers
nameserver 10.255.255.53
@uplinks
nameserver 10.0.0.1
@flags
@daemon hidden

@end
`
	got, _, hidden, err := parseNet([]byte(out), dockerdSeen{}, nil)
	if err != nil || !hidden {
		t.Fatal(hidden, err)
	}
	want := ops.NetFacts{Routes: prefixes("10.40.0.0/14 192.0.2.0/24 fd00::/64"), Resolvers: []netip.Addr{netip.MustParseAddr("10.255.255.53")}}
	slices.SortFunc(want.Routes, netip.Prefix.Compare)
	if d := cmp.Diff(want, got, comparePlain...); d != "" {
		t.Error(d)
	}
}

// What is not known must not look free.
func TestParseNetRefuses(t *testing.T) {
	const end = "@daemon none\n\n@end\n"
	for name, out := range map[string]string{
		"nothing":                 "",
		"a broken answer":         netOut,
		"no word of daemon.json":  netOut + "\n@end\n",
		"an odd word of it":       netOut + "@daemon maybe\n\n@end\n",
		"no routes":               "@ssh 10.0.0.1 50000 10.0.0.2 22\n" + end,
		"an odd route":            "@routes\nsomewhere dev eth0\n" + end,
		"an odd kind of route":    "@routes\nlocal\n" + end,
		"an odd address":          "@routes\n@addresses\n2: eth0    inet 10.0.0.300/8\n" + end,
		"half an address":         "@routes\n@addresses\n2: eth0\n" + end,
		"an odd kernel route":     "@route\neth0 0\n" + end,
		"a mask with gaps":        "@route\neth0 0000000A 0 1 0 0 0 00FF00FF\n" + end,
		"an odd number":           "@route\neth0 0000000A 0 1 0 0 0 xyz\n" + end,
		"an odd kernel v6 route":  "@route\n@ipv6_route\nfd00 40 0 0 0 0 0 0 0 eth0\n" + end,
		"a v6 length beyond 128":  "@route\n@ipv6_route\nfd000000000000000000000000000000 ff 0 0 0 0 0 0 0 eth0\n" + end,
		"too few v6 words":        "@route\n@ipv6_route\nfd00\n" + end,
		"a peer that is no range": "@routes\n@addresses\n2: tun0    inet 10.0.0.3 peer x\n" + end,
	} {
		if facts, _, _, err := parseNet([]byte(out), dockerdSeen{}, nil); err == nil {
			t.Errorf("%s: %+v", name, facts)
		}
	}
	for name, text := range map[string]string{"larger than": strings.Repeat(" ", maxDaemon+1), "not UTF-8": "\xff"} {
		if err := checkDaemon(text); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// onNet is a host with a fake engine that tells pools and a bridge with a name of its own.
func onNet(t *testing.T) (*Host, *server) {
	t.Helper()
	f, s := newFakeEngine(t), newServer(t)
	f.answer("GET /info", map[string]any{"DefaultAddressPools": []any{map[string]any{"Base": "10.240.0.0/16", "Size": 24}}})
	f.answer("GET /networks", []any{map[string]any{"Name": "tis", "Options": map[string]string{"com.docker.network.bridge.name": "tisbr"}}})
	to := target(t, s)
	to.Docker = "unix://" + f.path
	return newHost(t, to, Options{}), s
}

// The script itself, on this machine, through a connection.
func TestNet(t *testing.T) {
	h, s := onNet(t)
	t.Setenv("SSH_CONNECTION", "192.0.2.77 50000 192.0.2.2 22")
	asked := filepath.Join(t.TempDir(), "asked")
	s.program("dockerd", "echo $* >> "+quote(asked)+"; echo '      --validate   Validate daemon configuration and exit'\n")
	s.program("ip", `case "$*" in
"-o addr show") echo '2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\       valid_lft forever'; echo '3: tisbr    inet 10.210.0.1/24 scope global tisbr' ;;
"-4 route show table all") echo 'default via 192.0.2.1 dev eth0'; echo '10.50.0.0/16 via 192.0.2.9 dev eth0 table 100' ;;
"-6 route show table all") echo 'fd00::/64 dev eth0' ;;
*) exit 1 ;;
esac
`)
	for range 2 {
		f, err := h.Net(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Resolvers, f.Flags, f.Daemon = nil, nil, "" // this machine's
		want := ops.NetFacts{
			Addresses: prefixes("192.0.2.2/24"), Routes: prefixes("10.50.0.0/16 fd00::/64"), Client: netip.MustParseAddr("192.0.2.77"), Server: netip.MustParseAddrPort("192.0.2.2:22"),
			Pools: []ops.Pool{{Base: netip.MustParsePrefix("10.240.0.0/16"), Size: 24}}, Validates: true,
		}
		if d := cmp.Diff(want, f, comparePlain...); d != "" {
			t.Error(d)
		}
	}
	if got, err := os.ReadFile(asked); err != nil || string(got) != "--help\n" {
		t.Errorf("dockerd was asked %q, %v", got, err)
	}
	s.program("ip", "exit 1\n") // without it the kernel's tables tell
	if f, err := h.Net(t.Context()); err != nil || len(f.Addresses) > 0 {
		t.Errorf("%v, %v", f.Addresses, err)
	}
}

// What the engine does not answer is no answer.
func TestNetWithoutTheEngine(t *testing.T) {
	f, s := newFakeEngine(t), newServer(t)
	to := target(t, s)
	to.Docker = "unix://" + f.path
	_, err := newHost(t, to, Options{}).Net(t.Context())
	problem(t, err, nil, "No such thing", "")
}

// A reach is over a connection of its own, and does not count for the one that there is.
func TestReach(t *testing.T) {
	h, s := onNet(t)
	if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	shakes := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.handshakes
	}
	before := shakes()
	if err := h.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := shakes() - before; n != 1 {
		t.Errorf("%d new connections", n)
	}
	s.listen.Close()
	if err := h.Reach(t.Context()); err == nil {
		t.Error("reached anew where nobody listens")
	}
	if link, _ := h.Link(); link != ops.LinkUp {
		t.Errorf("the connection is %s", link)
	}
}

func FuzzParseNet(f *testing.F) {
	f.Add([]byte(netOut + "@daemon file\n{}\n@end\n"))
	f.Add([]byte("@route\neth0 000200C0 0 1 0 0 0 00FFFFFF\n@ipv6_route\n@daemon hidden\n\n@end\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		facts, _, _, err := parseNet(out, dockerdSeen{}, nil)
		if err != nil {
			return
		}
		for _, p := range facts.Routes {
			if !p.IsValid() || p != p.Masked() || p.Bits() == 0 {
				t.Errorf("route %s", p)
			}
		}
		for _, p := range facts.Addresses {
			if !p.IsValid() {
				t.Errorf("address %s", p)
			}
		}
	})
}
