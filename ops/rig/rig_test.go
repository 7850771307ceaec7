package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestE2ERig boots a rig, uses everything it offers, and looks for what it left behind. It
// is one test, in an order, because a boot is dear.
func TestE2ERig(t *testing.T) {
	if !Wanted(t) {
		return
	}
	r, err := Boot(t.Context(), Options{Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	dir := t.TempDir()
	config, err := r.Config(dir)
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		test func(*testing.T)
	}{
		{"ssh", func(t *testing.T) { testSSH(t, dir) }},
		{"hosts", func(t *testing.T) { testHosts(t, r) }},
		{"config", func(t *testing.T) { testConfig(t, config) }},
		{"quiet load", func(t *testing.T) { testQuietLoad(t, r) }},
		{"drain", func(t *testing.T) { testDrain(t, r) }},
		{"reload", func(t *testing.T) { testReload(t, r) }},
		{"user socket", func(t *testing.T) { testUserSocket(t, r) }},
		{"cable", func(t *testing.T) { testCable(t, r) }},
		{"reboot", func(t *testing.T) { testReboot(t, r) }},
		{"power", func(t *testing.T) { testPower(t, r) }},
		{"reset", func(t *testing.T) { testReset(t, r) }},
		{"reset of moved pools", func(t *testing.T) { testResetPools(t, r) }},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.test) {
			return // what follows needs the rig as this step leaves it
		}
	}
	closed = true
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, "; "))
	}
}

// TestStay keeps a rig until SIGINT or SIGTERM, for an engineer: see the package comment.
func TestStay(t *testing.T) {
	dir := os.Getenv("TANDEM_RIG_STAY")
	if dir == "" {
		t.Log("NOT RUN: TestStay keeps a rig for use by hand; TANDEM_RIG_STAY, the directory for its config, is not set")
		return
	}
	opts := Options{Stay: true}
	if count := os.Getenv("TANDEM_RIG_SERVICES"); count != "" {
		var err error
		if opts.Services, err = strconv.Atoi(count); err != nil {
			t.Fatalf("TANDEM_RIG_SERVICES: %v", err)
		}
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := Boot(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := r.Config(dir); err != nil {
		t.Error(err)
	} else {
		_, socket := r.HAProxySocket()
		fmt.Printf("config    %s\nsite      %s\nhaproxy   %s, statistics http://%s:8404/\nssh       ssh -i %s -o UserKnownHostsFile=%s root@%s (blue), root@%s (green)\nstop      kill %d\n",
			config, r.URL(), socket, lbAddress, filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "known_hosts"),
			addresses[Blue], addresses[Green], os.Getpid())
		<-ctx.Done()
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func testSSH(t *testing.T, dir string) {
	for _, test := range []struct{ user, command, want string }{
		{"root", "hostname", "green"},
		{"ops", "id -nG && sudo -n id -u && docker version --format '{{.Server.Version}}'", "ops docker\n0\n20.10.24+dfsg1"},
		{"plain", "id -nG; sudo -n id -u 2>&1; docker ps 2>&1 | grep -c 'permission denied'", "plain sudo\nsudo: a password is required\n1"},
	} {
		out, err := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
			"-o", "UserKnownHostsFile="+filepath.Join(dir, "known_hosts"), "-i", filepath.Join(dir, "id_ed25519"),
			test.user+"@"+addresses[Green], test.command).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != test.want {
			t.Errorf("ssh as %s: got %q, %v, want %q", test.user, out, err, test.want)
		}
	}
}

func testHosts(t *testing.T, r *Rig) {
	for _, side := range sides {
		m := r.Side(side)
		labels, err := m.Docker(t.Context(), "inspect", "--format",
			`{{index .Config.Labels "com.docker.compose.project"}} {{index .Config.Labels "com.docker.compose.version"}}`, "tis_tcs_1")
		if err != nil || strings.TrimSpace(labels) != "tis 1.29.2" {
			t.Errorf("compose labels on %s: %q, %v", side, labels, err)
		}
		images, err := m.Docker(t.Context(), "images", "--format", "{{.Tag}}", "tis/tcs")
		if err != nil || len(strings.Fields(images)) != len(Tags)+1 {
			t.Errorf("images of tcs on %s: %q, %v", side, images, err)
		}
		if _, err := m.Exec(t.Context(), "ping", "-c1", "192.0.2.1"); err == nil {
			t.Errorf("%s reaches the outside", side)
		}
		state, err := m.containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"tis_generic-upload_1", "tis_ndw-etl_1"} {
			if _, found := state[name]; found != (side == Green) {
				t.Errorf("%s on %s: %t", name, side, found)
			}
		}
	}
}

func testConfig(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"root@10.213.77.12:22", "name: generic-upload", "only: green", "backends: [tis, tis-api]"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the config lacks %q:\n%s", want, text)
		}
	}
}

func testQuietLoad(t *testing.T, r *Rig) {
	load := r.Load(t.Context(), 40)
	eventually(t, 30*time.Second, func() error {
		if sums := load.Sums(); time.Since(sums.Begin) < 10*time.Second {
			return fmt.Errorf("only %s so far", time.Since(sums.Begin))
		}
		return nil
	})
	sums := load.Stop()
	t.Logf("%d from blue, %d from green, %d failed, %d late", sums.OK[Blue], sums.OK[Green], sums.Failed, sums.Late)
	if sums.Failed > 0 || sums.Late > 0 || sums.OK[Blue] < 100 || sums.OK[Green] < 100 {
		t.Errorf("a calm rig: %v, %v", sums.OK, sums.Failures)
	}
}

func testDrain(t *testing.T, r *Rig) {
	load := r.Load(t.Context(), 40)
	eventually(t, 10*time.Second, func() error {
		if sums := load.Sums(); sums.OK[Blue] == 0 || sums.OK[Green] == 0 {
			return fmt.Errorf("answers: %v", sums.OK)
		}
		return nil
	})
	set(t, r, Green, "drain")
	eventually(t, 15*time.Second, func() error {
		sums := load.Sums()
		quiet := sums.Last[Blue].Sub(sums.Last[Green])
		if quiet < time.Second { // some 40 requests, all to blue
			return fmt.Errorf("green has been quiet for %s", quiet)
		}
		return nil
	})
	set(t, r, Green, "ready")
	if err := r.bothUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	drained := load.Sums().OK[Green]
	eventually(t, 10*time.Second, func() error {
		if load.Sums().OK[Green] <= drained {
			return fmt.Errorf("green still gets nothing")
		}
		return nil
	})
	if sums := load.Stop(); sums.Failed > 0 {
		t.Errorf("draining lost requests: %v", sums.Failures)
	}
}

// testReload sees that a reload loses a drain and no request.
func testReload(t *testing.T, r *Rig) {
	load := r.Load(t.Context(), 40)
	set(t, r, Green, "drain")
	if err := r.ReloadHAProxy(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := r.bothUp(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if sums := load.Stop(); sums.Failed > 0 {
		t.Errorf("reloading lost requests: %v", sums.Failures)
	}
}

func testUserSocket(t *testing.T, r *Rig) {
	path, _ := r.HAProxyUserSocket()
	said, err := ask(path, "set server tis/green state drain")
	if err != nil || !strings.Contains(said, "Permission denied") {
		t.Errorf("the user socket: %q, %v", said, err)
	}
	// The sockets are on the hosts too, for HAProxy reached over SSH.
	if _, err := r.Side(Blue).Exec(t.Context(), "test", "-S", "/srv/haproxy/admin.sock"); err != nil {
		t.Error(err)
	}
}

func testCable(t *testing.T, r *Rig) {
	if err := r.Side(Green).CableCut(); err != nil {
		t.Fatal(err)
	}
	waitStatus(t, r, Green, "DOWN")
	if _, err := r.Side(Green).Exec(t.Context(), "true"); err != nil {
		t.Errorf("a host without its cable still runs: %v", err)
	}
	if err := r.Side(Green).CableRestore(); err != nil {
		t.Fatal(err)
	}
	waitStatus(t, r, Green, "UP")
}

func testReboot(t *testing.T, r *Rig) {
	m := r.Side(Green)
	before, err := m.BootID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := m.Reboot(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	after, err := m.BootID(t.Context())
	if err != nil || after == before {
		t.Fatalf("boot id %s, then %s, %v", before, after, err)
	}
	t.Logf("rebooted in %s", time.Since(begin))
	if err := r.Healthy(within(t, time.Minute), Green); err != nil {
		t.Fatal(err)
	}
	t.Logf("healthy after %s", time.Since(begin))
	waitStatus(t, r, Green, "UP")
	// The other host must not have noticed: they share a kernel and nothing else.
	if err := r.Healthy(within(t, 5*time.Second), Blue); err != nil {
		t.Error(err)
	}
}

func testPower(t *testing.T, r *Rig) {
	m := r.Side(Green)
	if err := m.PowerOff(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Exec(t.Context(), "true"); err == nil {
		t.Error("a machine without power ran a command")
	}
	waitStatus(t, r, Green, "DOWN")
	if err := m.PowerOn(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	waitStatus(t, r, Green, "UP")
}

func testReset(t *testing.T, r *Rig) {
	m := r.Side(Green)
	ctx := t.Context()
	for _, command := range [][]string{
		{"docker", "rm", "-f", "tis_tcs_1"},
		{"docker", "stop", "tis_profile_1"},
		{"docker", "rename", "tis_reference_1", "tis_reference_1.aside"},
		{"docker", "run", "-d", "--name", "tis_reference_1", "tis/reference:" + Tags[1]},
		{"docker", "tag", "tis/tcs:" + Tags[1], "tis/tcs:" + Tags[0]},
		{"mkdir", "-p", "/var/lib/tandem/lock"},
	} {
		if _, err := m.Exec(ctx, command...); err != nil {
			t.Fatal(err)
		}
	}
	set(t, r, Green, "maint")
	begin := time.Now()
	if err := r.Reset(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Logf("a changed rig was calm after %s", time.Since(begin))
	if _, err := m.Exec(ctx, "test", "-e", "/var/lib/tandem"); err == nil {
		t.Error("the lock is still there")
	}
	version, err := m.Docker(ctx, "inspect", "--format", "{{.Config.Env}}", "tis_tcs_1")
	if err != nil || !strings.Contains(version, "VERSION="+Tags[0]) {
		t.Errorf("tcs runs %s, %v", version, err)
	}
	begin = time.Now()
	if err := r.Reset(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Logf("a calm rig was calm after %s", time.Since(begin))
}

func testResetPools(t *testing.T, r *Rig) {
	m := r.Side(Blue)
	ctx := t.Context()
	moved := `{"storage-driver": "overlay2", "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}]}`
	if _, err := m.ExecInput(ctx, []byte(moved), "tee", "/"+daemonFile); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Exec(ctx, "sh", "-c", "ip link delete docker0; systemctl restart docker.service"); err != nil {
		t.Fatal(err)
	}
	address := func() string {
		text, err := m.Exec(ctx, "ip", "-brief", "address", "show", "docker0")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if now := address(); !strings.Contains(now, "10.201.") {
		t.Fatalf("with moved pools: %s", now)
	}
	if err := r.Reset(within(t, 3*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if text, err := m.Exec(ctx, "cat", "/"+daemonFile); err != nil || text != daemonConfig {
		t.Errorf("%s: %q, %v", daemonFile, text, err)
	}
	if now := address(); strings.Contains(now, "10.201.") {
		t.Errorf("after the reset: %s", now)
	}
}

func TestReconfigured(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"as at the beginning":   {map[string]string{"daemon.json": daemonConfig, "key.json": "{}"}, false},
		"another text":          {map[string]string{"daemon.json": "{}"}, true},
		"no file":               {nil, true},
		"a timer is armed":      {map[string]string{"daemon.json": daemonConfig, "daemon.json.tandem-revert": daemonConfig}, true},
		"a copy was left there": {map[string]string{"daemon.json": daemonConfig, "daemon.json.tandem-original": "{}"}, true},
	} {
		m := &Machine{Side: Green, dir: t.TempDir()}
		dir := filepath.Dir(filepath.Join(m.dir, "root", daemonFile))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range test.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := m.reconfigured(); got != test.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// leftovers lists what is on the machine of a rig.
func leftovers(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, pid := range processes(func(args []string) bool { return strings.Contains(strings.Join(args, " "), stateDir) }) {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	patterns := []string{"/sys/class/net/tandem-*", "/run/netns/tandem-*", stateDir}
	for _, side := range sides {
		patterns = append(patterns, groupPaths(machineName(side))...)
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	mounts, err := ownMounts()
	if err != nil {
		t.Fatal(err)
	}
	return append(left, mounts...)
}

func set(t *testing.T, r *Rig, side, state string) {
	t.Helper()
	for _, backend := range Backends {
		if said, err := r.HAProxy("set server " + backend + "/" + side + " state " + state); err != nil || said != "" {
			t.Fatalf("setting %s to %s: %q, %v", side, state, said, err)
		}
	}
}

func waitStatus(t *testing.T, r *Rig, side, want string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		status, err := r.HAProxyStatus()
		if err != nil {
			return err
		}
		if now := status["tis/"+side]; now != want {
			return fmt.Errorf("HAProxy says %s is %s, not %s", side, now, want)
		}
		return nil
	})
}

func eventually(t *testing.T, limit time.Duration, ask func() error) {
	t.Helper()
	if err := waitFor(within(t, limit), 100*time.Millisecond, ask); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
