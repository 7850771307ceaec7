package lab

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// aptPID is the process of apt-get while it is at work.
const aptPID = 2211

// dpkgLocks are the files that apt and dpkg hold while they work.
var dpkgLocks = []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"}

// procLocks is /proc/locks.
func (h *Host) procLocks() string {
	var b strings.Builder
	if w := h.apt.worker; w != nil {
		for i, name := range dpkgLocks {
			if n, err := h.files.find(name, true); err == nil {
				fmt.Fprintf(&b, "%d: POSIX  ADVISORY  WRITE %d 103:01:%d 0 EOF\n", i+1, w.pid, h.files.inode(n))
			}
		}
	}
	if w := h.apt.asking; w != nil {
		if n, err := h.files.find(aptLists+"/lock", true); err == nil {
			fmt.Fprintf(&b, "9: POSIX  ADVISORY  WRITE %d 103:01:%d 0 EOF\n", w.pid, h.files.inode(n))
		}
	}
	return b.String()
}

// fuser sees the files that others hold open only as root.
func fuser(c *call) int {
	_, rest := c.options("")
	var busy *worker
	c.h.with(func() { busy = c.h.apt.worker })
	status := 1
	for _, name := range rest {
		if err := c.onFiles(false, func(f *files) error { _, err := f.find(c.path(name), true); return err }); err != nil {
			fmt.Fprintf(c.stderr, "Specified filename %s does not exist.\n", name)
			continue
		}
		if busy != nil && c.user.uid == 0 && slices.Contains(dpkgLocks, c.path(name)) {
			fmt.Fprintf(c.stderr, "%s:", name)
			c.say("%6d", busy.pid)
			fmt.Fprintln(c.stderr)
			status = 0
		}
	}
	return status
}

// flock runs a command under a lock on a file or a directory, which it waits for; with -n
// it does not wait. What dpkg holds is of another kind, and no matter to it.
func flock(c *call) int {
	flags, rest := c.options("wE")
	if len(rest) < 2 {
		c.complain("flock", "bad file descriptor or missing command")
		return 64
	}
	name, command := c.path(rest[0]), rest[1:]
	err := c.onFiles(false, func(f *files) error {
		n, err := f.find(name, true)
		if err == nil && !c.user.may(n, 4) {
			err = syscall.EACCES
		}
		return err
	})
	if errors.Is(err, syscall.ENOENT) {
		err = c.write(name, nil, 0o644, true)
	}
	if err != nil {
		c.complain("flock", "cannot open lock file %s: %s", rest[0], errText(err))
		return 66
	}
	if command[0] == "-c" && len(command) > 1 {
		command = append([]string{"sh"}, command...)
	}
	free, ok := c.locked(name, has(flags, "n", "nonblock"))
	if !ok {
		return 1
	}
	defer free()
	return c.again(c.user, command)
}

// locked takes the lock on a file, and gives what frees it.
func (c *call) locked(name string, now bool) (free func(), ok bool) {
	for {
		var held chan struct{}
		c.h.with(func() {
			if held = c.h.flocks[name]; held == nil {
				mine := make(chan struct{})
				c.h.flocks[name] = mine
				free = func() {
					c.h.with(func() { delete(c.h.flocks, name) })
					close(mine)
				}
			}
		})
		switch {
		case held == nil:
			return free, true
		case now:
			return nil, false
		}
		select {
		case <-held:
		case <-c.ctx.Done():
			return nil, false
		}
	}
}

// link is an interface of a host with its address.
type link struct {
	name    string
	address netip.Prefix // as on the interface: 10.0.1.11/24
}

// bridges are the interfaces of the engine's networks: made when it starts, and left behind
// when it stops.
func (h *Host) bridges() []link {
	var out []link
	if h.engine.started.Before(h.booted) {
		return nil
	}
	for _, n := range slices.SortedFunc(maps.Values(h.engine.networks), func(a, b *network) int {
		return cmp.Or(a.created.Compare(b.created), strings.Compare(a.name, b.name))
	}) {
		if n.driver != "bridge" || n.subnet == "" {
			continue
		}
		subnet := n.subnet
		name := cmp.Or(n.options["com.docker.network.bridge.name"], "br-"+n.id[:12])
		if n.name == "bridge" {
			subnet = h.docker0
		}
		if subnet != "" {
			p := netip.MustParsePrefix(subnet)
			gateway := p.Masked().Addr().Next()
			if subnet == n.subnet {
				gateway = netip.MustParseAddr(n.gateway())
			}
			out = append(out, link{name, netip.PrefixFrom(gateway, p.Bits())})
		}
	}
	return out
}

func (h *Host) links() []link {
	return append([]link{{"lo", netip.MustParsePrefix("127.0.0.1/8")}, {"eth0", netip.MustParsePrefix(h.inside() + "/24")}}, h.bridges()...)
}

// ip knows addr, route and link delete, as far as addresses and ranges go.
func ip(c *call) int {
	flags := map[string]bool{}
	args := c.args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flags[args[0]] = true
		args = args[1:]
	}
	six, single := flags["-6"], flags["-o"] || flags["-oneline"]
	object, rest := "", []string(nil)
	if len(args) > 0 {
		object, rest = args[0], args[1:]
	}
	var links []link
	var routes []string
	c.h.with(func() { links, routes = c.h.links(), slices.Clone(c.h.routes) })
	switch {
	case object != "" && strings.HasPrefix("address", object):
		for i, l := range links {
			c.sayLink(i+1, l, six, single)
		}
		return 0
	case object != "" && strings.HasPrefix("route", object) && !six:
		c.sayRoutes(links, routes, slices.Contains(rest, "all"))
		return 0
	case object != "" && strings.HasPrefix("route", object):
		c.say("fe80::/64 dev eth0 proto kernel metric 256 pref medium\n")
		return 0
	case object == "link" && len(rest) > 1 && strings.HasPrefix("delete", rest[0]):
		name := rest[len(rest)-1]
		if !slices.ContainsFunc(links, func(l link) bool { return l.name == name }) {
			fmt.Fprintf(c.stderr, "Cannot find device %q\n", name)
			return 1
		}
		if c.user.uid != 0 {
			fmt.Fprintln(c.stderr, "RTNETLINK answers: Operation not permitted")
			return 2
		}
		if name != "docker0" {
			fmt.Fprintln(c.stderr, "RTNETLINK answers: Operation not supported")
			return 2
		}
		return c.acts(func() { c.h.docker0 = ""; c.h.rerouted() })
	case object == "link":
		for i, l := range links {
			c.say("%d: %s: <UP,LOWER_UP> mtu 1500 state UP\n", i+1, l.name)
		}
		return 0
	}
	fmt.Fprintf(c.stderr, "Object %q is unknown, try \"ip help\".\n", object)
	return 1
}

func (c *call) sayLink(n int, l link, six, single bool) {
	family, address, scope := "inet", l.address.String(), "global"
	if l.name == "lo" {
		scope = "host"
	}
	if six {
		family, address, scope = "inet6", fmt.Sprintf("fe80::42:ff:fe00:%x/64", n), "link"
		if l.name == "lo" {
			address, scope = "::1/128", "host"
		}
	}
	if single {
		c.say("%d: %s    %s %s scope %s %s\\       valid_lft forever preferred_lft forever\n", n, l.name, family, address, scope, l.name)
		return
	}
	c.say("%d: %s: <UP,LOWER_UP> mtu 1500 state UP\n    %s %s scope %s %s\n       valid_lft forever preferred_lft forever\n", n, l.name, family, address, scope, l.name)
}

func (c *call) sayRoutes(links []link, routes []string, all bool) {
	c.say("default via %s dev eth0 \n", router)
	for _, l := range links[1:] {
		c.say("%s dev %s proto kernel scope link src %s \n", l.address.Masked(), l.name, l.address.Addr())
	}
	for _, r := range routes {
		c.say("%s via %s dev eth0 \n", r, router)
	}
	if !all {
		return
	}
	c.say("local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1 \n")
	for _, l := range links {
		c.say("local %s dev %s table local proto kernel scope host src %s \n", l.address.Addr(), l.name, l.address.Addr())
	}
}
