package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

const defaultDocker = "unix:///var/run/docker.sock"

// build makes the Config and checks what the table cannot say. It works on what could
// be read, so that mistakes of both kinds are reported together.
func (r *reader) build(root *value) *Config {
	c := &Config{
		Path: r.file,
		Pair: ops.Pair{
			Name:      root.get("pair").string(),
			Addresses: map[ops.Side]string{},
			Balancer:  root.get("balancer").get("kind").string(),
			Compose: ops.Compose{
				Project:   root.get("compose").get("project").string(),
				Directory: root.get("compose").get("directory").string(),
			},
			Services: r.services(root.get("services")),
			Networks: r.networks(root.get("networks")),
			Limits:   limits(root.get("limits")),
		},
		Hosts:    r.hosts(root.get("hosts")),
		Balancer: r.balancer(root.get("balancer")),
		Notify:   Notify{SlackWebhookEnv: root.get("notify").get("slack").get("webhook_env").string()},
		Display:  r.display(root.get("display")),
	}
	if every := root.get("canary"); every != nil {
		c.Pair.Canary = every.any.(time.Duration)
	}
	c.Pair.Jobs = r.jobs(root.get("jobs"), c.Pair.Services)
	for _, side := range ops.Sides {
		c.Pair.Addresses[side] = shown(c.Hosts[side].SSH)
	}
	return c
}

func (r *reader) hosts(v *value) map[ops.Side]Host {
	hosts := map[ops.Side]Host{}
	for _, side := range ops.Sides {
		hosts[side] = r.host(v.get(string(side)))
	}
	blue, green := v.get("blue").get("ssh"), v.get("green").get("ssh")
	if blue != nil && green != nil && sameMachine(hosts[ops.Blue], hosts[ops.Green]) {
		r.wrong(green.at, fmt.Sprintf("green is the same machine as blue, %s in line %d", blue.text, blue.at.line), "expected two machines")
	}
	return hosts
}

func (r *reader) host(v *value) Host {
	h := Host{
		SSH:        v.get("ssh").string(),
		Jump:       v.get("jump").string(),
		Identity:   r.path(v.get("identity")),
		KnownHosts: r.path(v.get("known_hosts")),
		Docker:     defaultDocker,
	}
	if docker := v.get("docker"); docker != nil {
		h.Docker = docker.text
	}
	if sudo := v.get("sudo"); sudo != nil {
		b := sudo.any.(bool)
		h.Sudo = &b
	}
	return h
}

func sameMachine(a, b Host) bool {
	if a.Jump != b.Jump {
		return false // the same address behind two gates may be two machines
	}
	x, _ := parseMachine(a.SSH)
	y, _ := parseMachine(b.SSH)
	port := func(t sshTarget) int {
		if t.port == 0 {
			return 22
		}
		return t.port
	}
	return strings.EqualFold(x.host, y.host) && port(x) == port(y)
}

// shown is an address for the screen: without user and without the usual port.
func shown(ssh string) string {
	t, _ := parseMachine(ssh)
	if t.port == 0 || t.port == 22 {
		return t.host
	}
	if strings.Contains(t.host, ":") {
		return "[" + t.host + "]:" + strconv.Itoa(t.port)
	}
	return t.host + ":" + strconv.Itoa(t.port)
}

// path expands ~ and makes the path absolute, seen from the file.
func (r *reader) path(v *value) string {
	if v == nil {
		return ""
	}
	if v.text == "~" || strings.HasPrefix(v.text, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			r.wrong(v.at, "~ is not known here: "+err.Error(), "expected $HOME to be set, or an absolute path")
			return ""
		}
		return filepath.Join(home, v.text[1:])
	}
	if strings.HasPrefix(v.text, "~") {
		r.wrong(v.at, "the home directory of another user is not known here", "expected ~/ or an absolute path")
		return ""
	}
	return r.fromHere(v.text)
}

func (r *reader) fromHere(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	joined := filepath.Join(filepath.Dir(r.file), path)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined
}

func (r *reader) balancer(v *value) Balancer {
	b := Balancer{Kind: v.get("kind").string()}
	if b.Kind != "" && !v.had[b.Kind] {
		r.wrong(v.get("kind").at, fmt.Sprintf("the kind is %s, but there is no %s section", b.Kind, b.Kind), "expected balancer."+b.Kind)
	}

	h := v.get("haproxy")
	b.HAProxy = HAProxy{Socket: h.get("socket").string(), Backends: r.distinct(h.get("backends")), Servers: r.sides(h.get("servers"), "server")}
	if via := h.get("via"); via != nil {
		host := Host{SSH: via.text, Docker: defaultDocker}
		if via.keys != nil {
			host = r.host(via)
		}
		b.HAProxy.Via = &host
	}

	e := v.get("elbv2")
	b.ELBv2 = ELBv2{
		Region: e.get("region").string(), Profile: e.get("profile").string(), Endpoint: e.get("endpoint").string(),
		TargetGroups: r.distinct(e.get("target_groups")), Targets: r.sides(e.get("targets"), "target"),
	}

	c := v.get("command")
	b.Command = Command{Status: r.command(c.get("status")), Drain: r.command(c.get("drain")), PutBack: r.command(c.get("put_back"))}
	return b
}

// sides reads a text for each side; the same for both would steer one machine twice.
func (r *reader) sides(v *value, what string) map[ops.Side]string {
	blue, green := v.get("blue"), v.get("green")
	if blue != nil && green != nil && blue.text == green.text {
		r.wrong(green.at, fmt.Sprintf("%q is the %s of blue already", green.text, what), "expected two different "+what+"s")
	}
	if v == nil {
		return nil
	}
	return map[ops.Side]string{ops.Blue: blue.string(), ops.Green: green.string()}
}

func (r *reader) distinct(v *value) []string {
	seen := map[string]bool{}
	for _, item := range v.list() {
		if item == nil {
			continue
		}
		if seen[item.text] {
			r.wrong(item.at, fmt.Sprintf("%q is in this list twice", item.text), "expected it once")
		}
		seen[item.text] = true
	}
	return v.strings()
}

var placeholder = regexp.MustCompile(`\{\{.*?\}\}`)

func (r *reader) command(v *value) []string {
	named := false
	for _, item := range v.list() {
		for _, p := range placeholder.FindAllString(item.string(), -1) {
			if p == "{{side}}" {
				named = true
				continue
			}
			named = true // one mistake, not two
			r.wrong(item.at, p+" is not known", "expected {{side}}")
		}
	}
	if v != nil && !named && !slices.Contains(v.items, nil) {
		r.wrong(v.at, "the command does not say which side", "expected {{side}} in one of its arguments")
	}
	args := v.strings()
	if len(args) > 0 {
		if args[0] == "" {
			r.wrong(v.items[0].at, "the program has no name", "expected a program, then its arguments")
		}
		if strings.HasPrefix(args[0], "./") || strings.HasPrefix(args[0], "../") {
			args[0] = r.fromHere(args[0])
		}
	}
	return args
}

func (r *reader) services(v *value) []ops.Service {
	var out []ops.Service
	var names []string
	lines := map[string]int{}
	for _, item := range v.list() {
		n := item.get("name")
		if n == nil {
			continue
		}
		if line, twice := lines[n.text]; twice {
			r.wrong(n.at, fmt.Sprintf("there is a service %q already, in line %d", n.text, line), "expected a name of its own")
			continue
		}
		lines[n.text] = n.at.line
		names = append(names, n.text)
	}
	afters := map[string]*value{}
	previous := ""
	for _, item := range v.list() {
		n := item.get("name")
		if n == nil || lines[n.text] != n.at.line || afters[n.text] != nil {
			continue
		}
		s := ops.Service{Name: n.text, Ready: readiness(item.get("ready")), Only: ops.Side(item.get("only").string())}
		if t := item.get("timeout"); t != nil {
			s.Timeout = t.any.(time.Duration)
		}
		after := item.get("after")
		switch {
		case after != nil:
			s.After = r.after(after, s.Name, names)
		case !item.had["after"] && previous != "":
			s.After = []string{previous}
		}
		if after == nil {
			after = n
		}
		afters[s.Name] = after
		previous = s.Name
		out = append(out, s)
	}
	r.cycles(out, afters)
	return out
}

func (r *reader) after(v *value, self string, names []string) []string {
	out := []string{}
	for _, item := range v.items {
		switch {
		case item == nil:
		case item.text == self:
			r.wrong(item.at, fmt.Sprintf("%q comes after itself", self), "expected other services, or [] for none")
		case !slices.Contains(names, item.text):
			r.wrong(item.at, fmt.Sprintf("there is no service %q", item.text), "expected one of "+orList(names)+didYouMean(item.text, names))
		case slices.Contains(out, item.text):
			r.wrong(item.at, fmt.Sprintf("%q is in this list twice", item.text), "expected it once")
		default:
			out = append(out, item.text)
		}
	}
	return out
}

// cycles reports each circle in the start order once, at the place that closes it.
func (r *reader) cycles(services []ops.Service, afters map[string]*value) {
	byName := map[string]ops.Service{}
	for _, s := range services {
		byName[s.Name] = s
	}
	done := map[string]bool{}
	var trail []string
	var walk func(name string)
	walk = func(name string) {
		if i := slices.Index(trail, name); i >= 0 {
			circle := append(slices.Clone(trail[i:]), name)
			r.wrong(afters[trail[len(trail)-1]].at, "the start order is a circle: "+strings.Join(circle, " after "), "expected an order with a first one")
			return
		}
		if done[name] {
			return
		}
		trail = append(trail, name)
		for _, next := range byName[name].After {
			walk(next)
		}
		trail = trail[:len(trail)-1]
		done[name] = true
	}
	for _, s := range services {
		walk(s.Name)
	}
}

func readiness(v *value) ops.Readiness {
	switch {
	case v == nil:
		return ops.Readiness{}
	case v.get("http") != nil:
		return ops.Readiness{Kind: ops.ReadyHTTP, URL: v.get("http").text}
	case v.get("exec") != nil:
		return ops.Readiness{Kind: ops.ReadyExec, Exec: v.get("exec").strings()}
	}
	return ops.Readiness{Kind: ops.ReadinessKind(v.text)}
}

func (r *reader) jobs(v *value, services []ops.Service) []ops.Job {
	var out []ops.Job
	for _, item := range v.list() {
		n := item.get("name")
		if n == nil {
			continue
		}
		j := ops.Job{Name: n.text, Service: n.text, Only: ops.Side(item.get("only").string())}
		at := n.at
		if s := item.get("service"); s != nil {
			j.Service, at = s.text, s.at
		}
		if age := item.get("max_age"); age != nil {
			j.MaxAge = age.any.(time.Duration)
		}
		if slices.ContainsFunc(out, func(o ops.Job) bool { return o.Name == j.Name }) {
			r.wrong(n.at, fmt.Sprintf("there is a job %q already", j.Name), "expected a name of its own")
			continue
		}
		if slices.ContainsFunc(services, func(s ops.Service) bool { return s.Name == j.Service }) {
			r.wrong(at, fmt.Sprintf("%q is a service already", j.Service), "expected a job to be no service: it ends by itself")
		}
		out = append(out, j)
	}
	return out
}

func (r *reader) networks(v *value) ops.Networks {
	var n ops.Networks
	canonical := func(item *value) (netip.Prefix, bool) {
		if item == nil {
			return netip.Prefix{}, false
		}
		p := item.any.(netip.Prefix)
		if p != p.Masked() {
			r.wrong(item.at, fmt.Sprintf("%s is an address within a network", p), "expected "+p.Masked().String())
			return netip.Prefix{}, false
		}
		return p, true
	}
	for _, item := range v.get("reserved").list() {
		if p, ok := canonical(item); ok {
			if slices.Contains(n.Reserved, p) {
				r.wrong(item.at, fmt.Sprintf("%s is in this list twice", p), "expected it once")
			}
			n.Reserved = append(n.Reserved, p)
		}
	}
	for _, item := range v.get("pools").list() {
		base, ok := canonical(item.get("base"))
		if !ok {
			continue
		}
		at := item.get("base").at
		for _, other := range n.Pools {
			if other.Base.Overlaps(base) {
				r.wrong(at, fmt.Sprintf("the pool %s overlaps the pool %s", base, other.Base), "expected pools apart from each other")
			}
		}
		for _, reserved := range n.Reserved {
			if reserved.Overlaps(base) {
				r.wrong(at, fmt.Sprintf("the pool %s overlaps %s, which is reserved", base, reserved), "expected a range that Docker may use")
			}
		}
		pool := ops.Pool{Base: base}
		if size := item.get("size"); size != nil {
			pool.Size = size.any.(int)
			// Two bits are the least for a gateway and a container besides network and broadcast.
			if largest := base.Addr().BitLen() - 2; pool.Size < base.Bits() || pool.Size > largest {
				r.wrong(size.at, fmt.Sprintf("%s cannot be cut into networks of /%d", base, pool.Size), fmt.Sprintf("expected %d to %d", base.Bits(), largest))
			}
		}
		n.Pools = append(n.Pools, pool)
	}
	return n
}

func limits(v *value) ops.Limits {
	l := ops.DefaultLimits()
	for name, field := range map[string]*time.Duration{
		"drain": &l.Drain, "stop": &l.Stop, "start": &l.Start, "reboot": &l.Reboot, "soak": &l.Soak, "stale": &l.Stale, "revert": &l.Revert,
	} {
		if d := v.get(name); d != nil {
			*field = d.any.(time.Duration)
		}
	}
	return l
}

func (r *reader) display(v *value) Display {
	d := Display{Theme: "dark", UTC: true, Redact: r.distinct(v.get("redact"))}
	if t := v.get("theme"); t != nil {
		d.Theme, d.ThemeAt = t.text, At{t.at.line, t.at.column}
		// A path, as the themes tell one from a name.
		if strings.ContainsRune(t.text, filepath.Separator) || strings.HasSuffix(t.text, ".yaml") || strings.HasSuffix(t.text, ".yml") {
			d.Theme = r.path(t)
		}
	}
	if keys := v.get("keys"); keys != nil {
		for _, k := range keys.list() {
			d.Keys = append(d.Keys, Key{k.get("act").text, k.get("key").text, At{k.at.line, k.at.column}})
		}
	}
	if utc := v.get("utc"); utc != nil {
		d.UTC = utc.any.(bool)
	}
	if still := v.get("reduced_motion"); still != nil {
		d.Still = still.any.(bool)
	}
	return d
}
