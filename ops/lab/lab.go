package lab

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Options of a lab. The zero value is a calm one at the speed of life with HAProxy.
type Options struct {
	Scenario string  // one of Scenarios; empty: calm
	Dir      string  // for the key, known_hosts and tandem.yaml; empty: one of its own, removed at Close
	Speed    float64 // 1 (or 0) is like life; at 20, start-ups and stops take a twentieth
	Balancer string  // haproxy (the default) or elbv2
	// Reboot is how long a host is away when it reboots, of the lab's time; 12 s where
	// nothing is said. Its engine is there a second later.
	Reboot time.Duration
	// Services are those that the pair has, by name, with their place in the order; none: all
	// of them. What is left depends on nothing that is not there.
	Services []string
	// Loop is a network in memory for the wires of the hosts and of HAProxy; nil: 127.0.0.1.
	Loop *Loop
	// OnChange is told of every request to a host or to HAProxy that changes something, when it
	// is about to, with the lock of what it changes held: it must not ask the lab anything.
	OnChange func(Request)
}

// Lab is a running world.
type Lab struct {
	world    *World
	balancer balancer
	dir      string
	ownDir   bool
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// Start builds the world of a scenario and opens its wires.
func Start(o Options) (*Lab, error) {
	o.Scenario, o.Speed, o.Balancer = cmp.Or(o.Scenario, "calm"), cmp.Or(o.Speed, 1), cmp.Or(o.Balancer, "haproxy")
	at := slices.IndexFunc(scenarios, func(s Scenario) bool { return s.Name == o.Scenario })
	if at < 0 {
		var names []string
		for _, s := range scenarios {
			names = append(names, s.Name)
		}
		return nil, fmt.Errorf("there is no scenario %q: there are %s", o.Scenario, strings.Join(names, ", "))
	}
	if o.Speed < 0 {
		return nil, fmt.Errorf("a lab cannot run at speed %g", o.Speed)
	}
	services, err := chosen(o.Services)
	if err != nil {
		return nil, err
	}
	l := &Lab{dir: o.Dir, world: &World{
		speed: o.Speed, away: cmp.Or(o.Reboot, 12*time.Second), services: services, loop: o.Loop, onChange: o.OnChange, hosts: map[string]*Host{}, web: newWeb(),
	}}
	if err := l.open(o, scenarios[at]); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) open(o Options, s Scenario) error {
	if l.dir == "" {
		dir, err := os.MkdirTemp("", "tandem-lab-")
		if err != nil {
			return fmt.Errorf("making the lab's folder: %w", err)
		}
		l.dir, l.ownDir = dir, true
	}
	key, err := l.writeKey()
	if err != nil {
		return err
	}
	w := l.world
	w.mu.Lock()
	for _, side := range Sides {
		h := newHost(w, side)
		w.hosts[side] = h
		if h.sshd, err = newSSHD(h, key); err != nil {
			w.mu.Unlock()
			return err
		}
	}
	s.set(w)
	w.mu.Unlock()
	if err := l.writeKnownHosts(); err != nil {
		return err
	}
	if l.balancer, err = newBalancer(o, w, s.out); err != nil {
		return err
	}
	l.writeHAProxyConfig()
	if err := os.WriteFile(l.ConfigPath(), []byte(l.config()), 0o600); err != nil {
		return fmt.Errorf("writing the lab's config: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.done.Go(func() { l.traffic(ctx) })
	return nil
}

// World is where the faults are.
func (l *Lab) World() *World { return l.world }

// HAProxy is the lab's balancer, nil where it is of another kind.
func (l *Lab) HAProxy() *HAProxy {
	b, _ := l.balancer.(haproxyBalancer)
	return b.HAProxy
}

// ELBv2 is the lab's balancer, nil where it is of another kind.
func (l *Lab) ELBv2() *ELBv2 {
	b, _ := l.balancer.(elbv2Balancer)
	return b.ELBv2
}

// Dir is the folder with the key, known_hosts and tandem.yaml.
func (l *Lab) Dir() string { return l.dir }

// ConfigPath is a complete tandem.yaml for this lab.
func (l *Lab) ConfigPath() string { return filepath.Join(l.dir, "tandem.yaml") }

// KeyPath is the private key that may log in; KnownHostsPath knows both hosts.
func (l *Lab) KeyPath() string { return filepath.Join(l.dir, "id_ed25519") }

// KnownHostsPath is a known_hosts file with the hosts' keys as they were at the start.
func (l *Lab) KnownHostsPath() string { return filepath.Join(l.dir, "known_hosts") }

// Requests is every request on every wire so far: those of a host in the order in
// which they came, then the balancer's.
func (l *Lab) Requests() []Request {
	out := l.world.Requests()
	if l.balancer != nil {
		out = append(out, l.balancer.requests()...)
	}
	return out
}

// Close ends everything and closes every wire.
func (l *Lab) Close() error {
	if l.cancel != nil {
		l.cancel()
	}
	l.done.Wait()
	var err error
	if l.balancer != nil {
		err = l.balancer.Close()
	}
	w := l.world
	w.mu.Lock()
	w.closed = true
	hosts := slices.Collect(maps.Values(w.hosts))
	for _, h := range hosts {
		h.engine.shutdown()
	}
	w.mu.Unlock()
	for _, h := range hosts {
		if h.sshd != nil {
			for _, why := range []reason{pulled, dark, shadowed} {
				h.sshd.cable.restore(why)
			}
			h.sshd.close()
		}
		h.die()
	}
	w.web.close()
	if l.ownDir {
		err = errors.Join(err, os.RemoveAll(l.dir))
	}
	return err
}

func (l *Lab) writeKey() (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the lab's key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "tandem lab")
	if err != nil {
		return nil, fmt.Errorf("writing the lab's key: %w", err)
	}
	if err := os.WriteFile(l.KeyPath(), pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, fmt.Errorf("writing the lab's key: %w", err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("making the lab's key: %w", err)
	}
	return key, nil
}

func (l *Lab) writeKnownHosts() error {
	var text strings.Builder
	for _, side := range Sides {
		s := l.world.hosts[side].sshd
		fmt.Fprintln(&text, knownhosts.Line([]string{s.addr}, s.hostKey().PublicKey()))
	}
	if err := os.WriteFile(l.KnownHostsPath(), []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("writing the lab's known_hosts: %w", err)
	}
	return nil
}

// writeHAProxyConfig puts HAProxy's config on blue, where it is said to run.
func (l *Lab) writeHAProxyConfig() {
	h := l.HAProxy()
	if h == nil {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, `global
    log /dev/log local0
    stats socket ipv4@%s level admin
    user haproxy
    group haproxy
    daemon

defaults
    mode http
    option httplog
    option redispatch
    timeout connect 5s
    timeout client 50s
    timeout server 50s

frontend www
    bind :8000
    default_backend tis

backend tis
    balance roundrobin
    option httpchk GET /
`, h.Address())
	for i, side := range Sides {
		fmt.Fprintf(&b, "    server %s 10.0.1.%d:80 check inter 1s fall 2 rise 2\n", side, 11+i)
	}
	l.world.hosts["blue"].with(func() { l.world.hosts["blue"].files.put("/etc/haproxy/haproxy.cfg", 0o644, b.String()) })
}

// config is a complete tandem.yaml.
func (l *Lab) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# A lab: made-up hosts in one process. Everything here listens on 127.0.0.1.\npair: tis\nhosts:\n")
	for _, side := range Sides {
		fmt.Fprintf(&b, "  %s: {ssh: %q, identity: %q, known_hosts: %q, sudo: true}\n", side, "ops@"+l.world.hosts[side].sshd.addr, l.KeyPath(), l.KnownHostsPath())
	}
	b.WriteString(l.balancer.config())
	b.WriteString("compose: {project: tis, directory: /opt/tis}\nservices:\n")
	for _, s := range l.world.services {
		if s.job {
			continue
		}
		fmt.Fprintf(&b, "  - {name: %s, after: [%s], timeout: 2m", s.name, strings.Join(s.after, ", "))
		switch {
		case s.front:
			fmt.Fprintf(&b, ", ready: {http: \"http://localhost:%d/\"}", s.port)
		default:
			b.WriteString(", ready: healthy")
		}
		if s.only != "" {
			fmt.Fprintf(&b, ", only: %s", s.only)
		}
		b.WriteString("}\n")
	}
	b.WriteString("jobs:\n")
	for _, s := range l.world.services {
		if s.job {
			fmt.Fprintf(&b, "  - {name: %s, service: %s, max_age: 26h, only: %s}\n", s.name, s.name, s.only)
		}
	}
	b.WriteString(`networks:
  pools: [{base: 10.200.0.0/16, size: 24}]
  reserved: [10.0.0.0/17, 172.31.0.0/16]
limits: {drain: 30s, stop: 30s, start: 3m, reboot: 3m, soak: 5s, stale: 15s, revert: 90s}
`)
	return b.String()
}

// The machine that both hosts are.
const (
	kernel     = "6.1.0-28-amd64"
	osName     = "Debian GNU/Linux 12 (bookworm)"
	cpus       = 4
	memTotal   = 16 << 30
	diskTotal  = 120 << 30
	diskSystem = 58 << 30
	dockerRoot = "/var/lib/docker"
	enginePID  = 812
	ticks      = 100 // of the kernel's clock in a second
)

func newHost(w *World, side string) *Host {
	h := &Host{
		w: w, side: side, name: "tis-" + side, bootID: newBootID(), up: true, cgroup: 2, apt: newPackaging(),
		faults: faults{trouble: map[string]Trouble{}, noShell: map[string]bool{}}, units: map[string]*unit{}, flocks: map[string]chan struct{}{}, settled: true,
		flags: []string{"-H", "fd://", "--containerd=/run/containerd/containerd.sock"},
		users: map[string]user{
			"root":  root,
			"ops":   {name: "ops", uid: 1000, groups: []string{"ops", "sudo", "docker"}, home: "/home/ops", sudo: true},
			"plain": {name: "plain", uid: 1001, groups: []string{"plain"}, home: "/home/plain"},
		},
	}
	h.booted = h.now().Add(-12*24*time.Hour - 3*time.Hour)
	h.live()
	h.files = newFiles(h.now)
	h.engine = newEngine(h, "20.10.24")
	h.furnish()
	h.install("20.10.24", h.booted.Add(-90*24*time.Hour))
	h.furnishPackages()
	return h
}

// furnish puts the files in place that every Debian host with Docker has.
func (h *Host) furnish() {
	f := h.files
	for _, dir := range []string{"/bin", "/etc", "/home/ops", "/home/plain", "/opt", "/proc", "/root", "/run", "/tmp", "/usr/bin", "/usr/local/bin", "/var/lib/apt/lists", "/var/log/apt", dockerRoot} {
		f.mkdirAll(dir)
	}
	f.link("/var/run", "/run")
	for dir, mode := range map[string]os.FileMode{"/tmp": 0o777, "/root": 0o700, dockerRoot: 0o710} {
		f.mkdirAll(dir).mode = os.ModeDir | mode
	}
	for _, u := range h.users {
		home := f.mkdirAll(u.home)
		home.uid, home.gid = u.uid, groupIDs[u.groups[0]]
	}
	f.put("/etc/hostname", 0o644, h.name+"\n")
	f.put("/etc/debian_version", 0o644, "12.9\n")
	f.put("/etc/os-release", 0o644, "PRETTY_NAME=\""+osName+"\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n")
	f.put("/etc/docker/daemon.json", 0o644, "{\n  \"log-driver\": \"json-file\",\n  \"log-opts\": {\"max-size\": \"50m\", \"max-file\": \"3\"}\n}\n")
	f.put("/opt/tis/docker-compose.yml", 0o644, composeFile(h.w.services))

	f.proc("/proc/sys/kernel/random/boot_id", func() string { return h.bootID + "\n" })
	f.proc("/proc/sys/kernel/osrelease", func() string { return kernel + "\n" })
	f.proc("/proc/sys/kernel/hostname", func() string { return h.name + "\n" })
	f.proc("/proc/uptime", func() string {
		up := h.now().Sub(h.booted).Seconds()
		return fmt.Sprintf("%.2f %.2f\n", up, up*cpus*0.93)
	})
	f.proc("/proc/stat", func() string {
		return fmt.Sprintf("cpu  1204533 0 502114 98110244 10233 0 9120 0 0 0\nbtime %d\nprocesses 204113\n", h.booted.Unix())
	})
	f.proc("/proc/loadavg", func() string {
		load := h.load()
		return fmt.Sprintf("%.2f %.2f %.2f 2/913 40211\n", load, load*0.95, load*0.9)
	})
	f.proc("/proc/meminfo", func() string {
		used := int64(1<<30) + int64(h.engine.count("running"))*420<<20
		return fmt.Sprintf("MemTotal:       %8d kB\nMemFree:        %8d kB\nMemAvailable:   %8d kB\nBuffers:          212040 kB\nCached:          2411012 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n",
			memTotal>>10, (memTotal-used-2<<30)>>10, (memTotal-used)>>10)
	})
	var info strings.Builder
	for n := range cpus {
		fmt.Fprintf(&info, "processor\t: %d\nmodel name\t: Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz\n\n", n)
	}
	f.put("/proc/cpuinfo", 0o444, info.String())
	f.mkdirAll("/sys/devices/system/cpu")
	f.put("/sys/devices/system/cpu/online", 0o444, fmt.Sprintf("0-%d\n", cpus-1))
	f.proc(fmt.Sprintf("/proc/%d/stat", enginePID), func() string {
		return fmt.Sprintf("%d (dockerd) S 1 %d %d 0 -1 1077936384 53211 0 120 0 9120 4410 0 0 20 0 24 0 %d 1913245696 22110 18446744073709551615\n",
			enginePID, enginePID, enginePID, h.engine.started.Sub(h.booted)/(time.Second/ticks))
	})
	f.proc("/proc/net/unix", func() string {
		text := "Num       RefCount Protocol Flags    Type St Inode Path\n"
		if h.engine.up {
			text += "0000000000000000: 00000002 00000000 00010000 0001 01 18233 " + socketPath + "\n"
		}
		return text
	})
	f.put("/run/docker.pid", 0o644, fmt.Sprint(enginePID))
	h.furnishSystem()
}

// furnishSystem adds what tells how the engine is started and how the host is connected.
func (h *Host) furnishSystem() {
	f := h.files
	h.writeUnit()
	h.installCompose("1.29.2", h.booted.Add(-200*24*time.Hour))
	f.proc(fmt.Sprintf("/proc/%d/cmdline", enginePID), func() string {
		return strings.Join(append([]string{dockerd}, h.flags...), "\x00") + "\x00"
	})
	f.put("/etc/resolv.conf", 0o644, "search eu-west-2.compute.internal\nnameserver "+resolver+"\n")
	f.put("/etc/hosts", 0o644, "127.0.0.1 localhost\n"+h.inside()+" "+h.name+"\n")
	f.proc("/proc/locks", h.procLocks)
	f.mkdirAll("/run/systemd/system")
	f.mkdirAll(wantsDir)
	f.proc("/proc/net/if_inet6", func() string { return "fe8000000000000000420afffe000001 02 40 20 80     eth0\n" })
	f.put("/var/lib/dpkg/lock", 0o640, "")
	f.put("/var/lib/dpkg/lock-frontend", 0o640, "")
}

// load is what a host with so many containers at work has; starting ones work hardest.
func (h *Host) load() float64 {
	load := 0.02 * float64(h.engine.count("running"))
	for _, c := range h.engine.containers {
		if c.state == "running" && !c.ready && c.health == "starting" {
			load += 0.35
		}
	}
	return load + float64(mix(uint64(h.now().Unix()/10)+uint64(len(h.side)))%15)/100
}

func (e *engine) count(state string) int {
	n := 0
	for _, c := range e.containers {
		if c.state == state {
			n++
		}
	}
	return n
}

// composeFile is what the containers were made from.
func composeFile(services []service) string {
	var b strings.Builder
	b.WriteString("version: \"2.4\"\nservices:\n")
	volumes := ""
	for _, s := range services {
		secret := sha256.Sum256([]byte(s.name))
		fmt.Fprintf(&b, "  %s:\n    image: %s:%s\n    environment: [SPRING_PROFILES_ACTIVE=prod, DB_HOST=tis-prod.mysql.example.internal, DB_PASSWORD=lab-%x]\n    mem_limit: 1g\n    logging: {driver: json-file, options: {max-size: 50m}}\n",
			s.name, s.repo(), s.tags[0], secret[:4])
		switch s.name {
		case "keycloak", "generic-upload":
			fmt.Fprintf(&b, "    volumes: [\"%s-data:/data:rw\"]\n", s.name)
			volumes += "  " + s.name + "-data: {}\n"
		default:
			fmt.Fprintf(&b, "    volumes: [\"./%s:/config:ro\"]\n", s.name)
		}
		if s.port != 0 {
			fmt.Fprintf(&b, "    ports: [\"%d:%d\"]\n", s.port, s.port)
		}
		if !s.job {
			fmt.Fprintf(&b, "    healthcheck: {test: [CMD-SHELL, \"curl -fs http://localhost:%d%s || exit 1\"], interval: 10s, timeout: 5s, retries: 3}\n    restart: unless-stopped\n", s.port, s.health())
		}
		if len(s.after) > 0 {
			b.WriteString("    depends_on: [" + strings.Join(s.after, ", ") + "]\n")
		}
	}
	return b.String() + "volumes:\n" + volumes
}
