package rig

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// Options shape a rig. The zero value is the ordinary one.
type Options struct {
	Services int           // long-running containers on blue, green has one more; 0: 7
	Warmup   time.Duration // from a container's start to a healthy answer; 0: 1 s
	Check    time.Duration // pause between docker health checks; 0: 3 s, 10 s from 12 services on
	Stay     bool          // left running for several test processes, see Shared
	Log      func(format string, args ...any)
}

func (o Options) withDefaults() Options {
	if o.Services == 0 {
		o.Services = 7
	}
	if o.Warmup == 0 {
		o.Warmup = time.Second
	}
	if o.Check == 0 {
		o.Check = 3 * time.Second
		if o.Services >= 12 {
			o.Check = 10 * time.Second // every check starts a process in the container
		}
	}
	if o.Log == nil {
		o.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, "rig: "+format+"\n", args...) }
	}
	return o
}

// Rig is a running pair of hosts with its load balancer.
type Rig struct {
	Services []Service // in start order
	opts     Options
	dir      string
	machines map[string]*Machine
	own      *os.File // lock held by the process that booted it; nil: attached
	use      *os.File // lock held by the process that tests with it
	filter   string   // bridge-nf-call-iptables as it was before
}

const (
	stateDir = "/var/lib/tandem-rig"
	// maxBoot is how long a first boot may take with a slow mirror; the usual times are
	// in the package comment.
	maxBoot = 6 * time.Minute
	// maxReset leaves room for two hosts that have to boot.
	maxReset = 3 * time.Minute
)

// state is what other processes need to know of a rig.
type state struct {
	PID     int
	Options struct {
		Services      int
		Warmup, Check time.Duration
	}
	Filter string
}

// Boot removes what a killed rig left behind, makes a new one and returns when every
// service is healthy and HAProxy calls both sides UP. It waits for a rig of another test
// process to end, until ctx does; one that was left running by hand it refuses to wait for.
func Boot(ctx context.Context, opts Options) (*Rig, error) {
	opts = opts.withDefaults()
	if err := checkMachine(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var own *os.File
	err := waitFor(ctx, 500*time.Millisecond, func() (err error) {
		if own, err = tryFile(ownLock); err == nil {
			return nil
		}
		if s, failed := readState("stay.json"); failed == nil {
			cancel() // that one will not end by itself
			return fmt.Errorf("process %d keeps one running: stop it with kill %d", s.PID, s.PID)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for the rig of another process to end: %w", err)
	}
	return boot(ctx, opts, own)
}

// boot makes a rig under a lock that is already held, and gives it up on an error.
func boot(ctx context.Context, opts Options, own *os.File) (_ *Rig, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxBoot)
	defer cancel()
	begin := time.Now()
	r := newRig(opts)
	r.own = own
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	// A rig that was killed could not put the setting back: then its note is the truth.
	if last, err := readState("rig.json"); err == nil {
		r.filter = last.Filter
	} else {
		r.filter = bridgeFilterNow()
	}
	if err := r.phase("cleared leftovers", func() error { return r.remove(ctx) }); err != nil {
		return nil, err
	}
	if err := r.phase("packages", func() error { return installPackages(ctx) }); err != nil {
		return nil, err
	}
	if err := r.make(ctx); err != nil {
		return nil, err
	}
	if opts.Stay {
		if err := r.writeState("stay.json"); err != nil {
			return nil, err
		}
	}
	opts.Log("up after %.1f s", time.Since(begin).Seconds())
	return r, nil
}

func newRig(opts Options) *Rig {
	r := &Rig{Services: services(opts.Services), opts: opts, dir: stateDir, machines: map[string]*Machine{}}
	for _, side := range sides {
		r.machines[side] = &Machine{Side: side, Address: addresses[side], dir: filepath.Join(stateDir, side)}
	}
	return r
}

// phase does a part of the boot and logs how long it took.
func (r *Rig) phase(name string, do func() error) error {
	begin := time.Now()
	if err := do(); err != nil {
		return err
	}
	r.opts.Log("%-22s %5.1f s", name, time.Since(begin).Seconds())
	return nil
}

func readState(name string) (s state, err error) {
	text, err := os.ReadFile(filepath.Join(stateDir, name))
	if err != nil {
		return s, fmt.Errorf("reading the state of the rig: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("reading the state of the rig: %w", err)
	}
	return s, nil
}

// make makes the rig on a clean machine.
func (r *Rig) make(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(r.dir, "haproxy"), 0o755); err != nil {
		return fmt.Errorf("making the rig's directory: %w", err)
	}
	if err := r.writeState("rig.json"); err != nil {
		return err
	}
	var root string
	err := both(
		func() error {
			return r.phase("root file system", func() (err error) { root, err = rootFS(ctx, cacheDir()); return err })
		},
		func() error {
			return r.phase("service and images", func() error {
				binary := filepath.Join(r.dir, "service")
				if err := buildService(ctx, binary); err != nil {
					return err
				}
				return writeImages(filepath.Join(r.dir, "images.tar"), binary, r.Services)
			})
		})
	if err != nil {
		return err
	}
	if err := r.phase("network and disks", func() error { return r.makeHosts(ctx, root) }); err != nil {
		return err
	}
	if err := r.startHAProxy(); err != nil {
		return err
	}
	bring := func(side string) func() error { return func() error { return r.bring(ctx, r.machines[side]) } }
	if err := both(bring(Blue), bring(Green)); err != nil {
		return err
	}
	return r.phase("HAProxy 2 of 2 UP", func() error { return r.bothUp(ctx) })
}

// cacheDir is where what was downloaded stays for the next rig.
func cacheDir() string {
	if dir := os.Getenv("TANDEM_RIG_CACHE"); dir != "" {
		return dir
	}
	return "/var/cache/tandem-rig"
}

// bring makes a host with new disks calm: booted, every service up.
func (r *Rig) bring(ctx context.Context, m *Machine) error {
	for _, p := range []struct {
		name string
		do   func() error
	}{
		{"engine up", func() error { return m.PowerOn(ctx) }},
		{"images loaded", func() error {
			_, err := m.Docker(ctx, "load", "--quiet", "--input", "/var/lib/docker/images.tar")
			return err
		}},
		{"compose up", func() error { return m.composeUp(ctx) }},
		{"healthy", func() error { return r.Healthy(ctx, m.Side) }},
	} {
		if err := r.phase(m.Side+" "+p.name, p.do); err != nil {
			return err
		}
	}
	return nil
}

// both does two things at once and waits for both.
func both(one, other func() error) error {
	var wg sync.WaitGroup
	var first error
	wg.Go(func() { first = one() })
	second := other()
	wg.Wait()
	return errors.Join(first, second)
}

// writeState writes what the next boot needs to know of this one (rig.json), or what
// another process needs to use it (stay.json, once it is up).
func (r *Rig) writeState(name string) error {
	s := state{PID: os.Getpid(), Filter: r.filter}
	s.Options.Services, s.Options.Warmup, s.Options.Check = r.opts.Services, r.opts.Warmup, r.opts.Check
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.dir, name), text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("noting the state of the rig: %w", err)
	}
	return nil
}

// makeHosts makes the network, the key, and both hosts' disks.
func (r *Rig) makeHosts(ctx context.Context, root string) error {
	// Where the machine is no systemd machine, this is a plain directory, and nspawn
	// cannot clear it when a machine reboots.
	if err := os.MkdirAll("/run/systemd/nspawn", 0o755); err != nil {
		return fmt.Errorf("preparing nspawn: %w", err)
	}
	if mounted, err := isMount("/run/systemd/nspawn"); err != nil || !mounted {
		if err := run(ctx, "mount", "-t", "tmpfs", mountName, "/run/systemd/nspawn"); err != nil {
			return fmt.Errorf("preparing nspawn: %w", err)
		}
	}
	if err := makeNetwork(ctx); err != nil {
		return err
	}
	key, public, err := newKey("tandem-rig")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "id_ed25519"), key, 0o600); err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	for _, m := range r.machines {
		hostKey, hostPublic, err := newKey(m.Side)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(m.dir, "keys"), 0o700); err != nil {
			return fmt.Errorf("making the disk of %s: %w", m.Side, err)
		}
		for name, data := range map[string][]byte{"keys/host": hostKey, "keys/host.pub": hostPublic, "keys/user.pub": public, "lower": []byte(root)} {
			if err := os.WriteFile(filepath.Join(m.dir, name), data, 0o600); err != nil {
				return fmt.Errorf("making the disk of %s: %w", m.Side, err)
			}
		}
		if err := r.makeDisks(ctx, m, root); err != nil {
			return err
		}
	}
	return nil
}

// makeDisks makes the disks of a host on a root file system, with the host's own keys.
func (r *Rig) makeDisks(ctx context.Context, m *Machine, root string) error {
	for _, sub := range []string{"upper", "work", "root", "docker"} {
		if err := os.MkdirAll(filepath.Join(m.dir, sub), 0o755); err != nil {
			return fmt.Errorf("making the disk of %s: %w", m.Side, err)
		}
	}
	if err := run(ctx, "mount", "-t", "overlay", mountName, "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s",
		root, filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work")), filepath.Join(m.dir, "root")); err != nil {
		return fmt.Errorf("mounting the disk of %s: %w", m.Side, err)
	}
	var keys [3][]byte
	for i, name := range []string{"host", "host.pub", "user.pub"} {
		data, err := os.ReadFile(filepath.Join(m.dir, "keys", name))
		if err != nil {
			return fmt.Errorf("furnishing %s: %w", m.Side, err)
		}
		keys[i] = data
	}
	if err := r.furnish(m, keys[0], keys[1], keys[2]); err != nil {
		return fmt.Errorf("furnishing %s: %w", m.Side, err)
	}
	return nil
}

// controllers mounts the controllers of cgroup v1 again: nspawn gives them read-only,
// and dockerd has to make groups in them. Right after a reboot a mount may not take yet, so
// that is tried until a group can be made. Under v2 there is nothing to do.
const controllers = `#!/bin/sh
[ -e /sys/fs/cgroup/cgroup.procs ] && exit 0
for c in memory cpu cpuacct cpuset blkio devices freezer pids; do
	group=/sys/fs/cgroup/$c/rig-probe-$$
	n=0
	until mkdir "$group" 2>/dev/null; do
		n=$((n + 1))
		[ $n -gt 100 ] && exit 1
		[ $n -gt 1 ] && sleep 0.1
		umount /sys/fs/cgroup/$c
		mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c
	done
	rmdir "$group"
done
exit 0
`

// The configuration of the engine at the beginning.
const (
	daemonFile   = "etc/docker/daemon.json"
	daemonConfig = `{"storage-driver": "overlay2", "log-opts": {"max-size": "5m"}}` + "\n"
)

// furnish writes what makes a root file system this host.
func (r *Rig) furnish(m *Machine, hostKey, hostPublic, user []byte) error {
	type file struct {
		path string
		data []byte
		mode fs.FileMode
		uid  int
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	files := []file{
		{"etc/machine-id", fmt.Appendf(nil, "%x\n", id), 0o444, 0}, // without one, systemd-firstboot runs and fails
		{"etc/hostname", []byte(m.Side + "\n"), 0o644, 0},
		{"etc/hosts", fmt.Appendf(nil, "127.0.0.1 localhost\n127.0.1.1 %s\n%s blue\n%s green\n%s lb1\n",
			m.Side, addresses[Blue], addresses[Green], lbAddress), 0o644, 0},
		{"etc/ssh/ssh_host_ed25519_key", hostKey, 0o600, 0},
		{"etc/ssh/ssh_host_ed25519_key.pub", hostPublic, 0o644, 0},
		{daemonFile, []byte(daemonConfig), 0o644, 0},
		{"etc/systemd/system/docker.service.d/rig.conf", []byte("[Service]\nExecStartPre=-/usr/local/sbin/rig-controllers\n"), 0o644, 0},
		{"usr/local/sbin/rig-controllers", []byte(controllers), 0o755, 0},
		{Directory[1:] + "/docker-compose.yml", []byte(composeFile(r.Services, m.Side, r.opts.Warmup, r.opts.Check)), 0o644, 0},
		{"root/.ssh/authorized_keys", user, 0o600, 0},
		{"home/ops/.ssh/authorized_keys", user, 0o600, 1000},
		{"home/plain/.ssh/authorized_keys", user, 0o600, 1001},
	}
	root := filepath.Join(m.dir, "root")
	for _, f := range files {
		path := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
		if f.uid == 0 {
			continue
		}
		for _, owned := range []string{filepath.Dir(path), path} {
			if err := os.Chown(owned, f.uid, f.uid); err != nil {
				return err
			}
		}
	}
	// One archive for both hosts, without a second copy of it.
	return os.Link(filepath.Join(r.dir, "images.tar"), filepath.Join(m.dir, "docker", "images.tar"))
}

// newKey makes a key pair as OpenSSH stores it: the private file, and the public line.
func newKey(comment string) (private, public []byte, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(line), nil
}

// Side is one of the hosts, Blue or Green.
func (r *Rig) Side(side string) *Machine {
	m, found := r.machines[side]
	if !found {
		panic(fmt.Sprintf("rig: %q is not a side", side)) // a mistake in the test itself
	}
	return m
}

// Close removes the rig: machines, HAProxy, namespaces, bridge, mounts and files. Only
// the cached root file system stays. On a rig that this process did not boot, Close only
// lets the next one use it.
func (r *Rig) Close() error {
	var err error
	if r.own != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = r.remove(ctx)
		if err == nil && r.filter != "" {
			err = os.WriteFile(bridgeFilter, []byte(r.filter), 0o644)
		}
	}
	for _, file := range []*os.File{r.own, r.use} {
		if file != nil {
			file.Close() // gives up the lock
		}
	}
	r.own, r.use = nil, nil
	return err
}

// mountName marks the rig's own mounts.
const mountName = "tandem-rig"

// remove removes whatever there is of a rig, whole or in parts.
func (r *Rig) remove(ctx context.Context) error {
	all := []error{r.StopHAProxy()}
	for _, side := range sides {
		all = append(all, r.machines[side].PowerOff(), removeGroups(machineName(side)))
	}
	all = append(all, removeNetwork(ctx))
	mounts, err := ownMounts()
	all = append(all, err)
	for _, at := range mounts {
		all = append(all, run(ctx, "umount", at))
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("removing the rig: %w", err)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("removing the rig: %w", err)
	}
	return nil
}

// ownMounts lists the rig's mounts on this machine, latest first.
func ownMounts() ([]string, error) {
	return mounts(func(_, source string) bool { return source == mountName })
}

// mounts lists those mounts of this machine that are wanted, latest first, see
// proc_pid_mountinfo(5).
func mounts(wanted func(at, source string) bool) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mounts: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		for at, word := range words {
			if word == "-" && at+2 < len(words) && wanted(words[4], words[at+2]) {
				found = append([]string{words[4]}, found...)
			}
		}
	}
	return found, nil
}

func isMount(path string) (bool, error) {
	var here, above syscall.Stat_t
	if err := syscall.Stat(path, &here); err != nil {
		return false, err
	}
	err := syscall.Stat(filepath.Dir(path), &above)
	return here.Dev != above.Dev, err
}
