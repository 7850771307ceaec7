package remote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lab"
)

// inLab is a host of the lab: another's reading of SSH and of the Docker API.
func inLab(t *testing.T, scenario string, side ops.Side) (*Host, *lab.Host) {
	t.Helper()
	l := newLab(t, scenario)
	return newHost(t, labTarget(t, l, side), Options{}), l.World().Host(string(side))
}

func newLab(t *testing.T, scenario string) *lab.Lab {
	t.Helper()
	l, err := lab.Start(lab.Options{Scenario: scenario, Dir: t.TempDir(), Speed: 50})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func labTarget(t *testing.T, l *lab.Lab, side ops.Side) Target {
	t.Helper()
	return Target{
		Side: side, SSH: "ops@" + l.World().Host(string(side)).Address(), Identity: l.KeyPath(), KnownHosts: l.KnownHostsPath(),
		SSHConfig: write(t, "config", "IdentityAgent none\n"),
	}
}

func labEngine(t *testing.T, h *Host) ops.Engine {
	t.Helper()
	e, err := h.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLabFacts(t *testing.T) {
	h, world := inLab(t, "incident", ops.Blue)
	f, err := h.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := labEngine(t, h)
	v, err := e.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.Parts = e.Parts(t.Context())
	t.Logf("%+v %+v", f, v)
	if f.BootID != world.BootID() || len(f.Newer) != 2 || f.InodesTotal == 0 || f.Packaging == "" || f.Ahead != 0 || len(v.Parts) != 2 || f.OS == "" || f.Kernel == "" || f.Installed == "" || f.Compose == "" || f.MemTotal == 0 || f.DiskTotal == 0 || f.CPUs == 0 || f.Uptime == 0 {
		t.Errorf("incomplete: %+v", f)
	}
}

func TestLabNet(t *testing.T) {
	h, _ := inLab(t, "incident", ops.Blue)
	f, err := h.Net(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if len(f.Addresses) == 0 || len(f.Routes) == 0 || !f.Client.IsValid() || len(f.Flags) == 0 {
		t.Errorf("incomplete: %+v", f)
	}
	if err := h.Reach(t.Context()); err != nil {
		t.Error(err)
	}
}

// What a host reaches of its peer is another matter than what we reach of either.
func TestLabReaches(t *testing.T) {
	l := newLab(t, "calm")
	h := newHost(t, labTarget(t, l, ops.Blue), Options{})
	peer, gone := netip.MustParseAddrPort("10.0.1.12:22"), netip.MustParseAddrPort("10.0.1.12:23")
	if err := h.Reaches(t.Context(), peer); err != nil {
		t.Error(err)
	}
	problem(t, h.Reaches(t.Context(), gone), ops.ErrUnreachable, "connecting to 10.0.1.12:23 on", "")
	l.World().Host("green").CutCable()
	problem(t, h.Reaches(t.Context(), peer), ops.ErrUnreachable, "connecting to 10.0.1.12:22 on", "")
	l.World().Host("green").RestoreCable()
	l.World().Host("blue").ForbidForwarding(true)
	problem(t, h.Reaches(t.Context(), peer), ops.ErrNotPermitted, "", "AllowTcpForwarding")
}

// A network of the lab is made again as it was, and elsewhere.
func TestLabNetworkIsMadeAgain(t *testing.T) {
	h, _ := inLab(t, "calm", ops.Blue)
	e := labEngine(t, h)
	ctx := t.Context()
	list, err := e.Containers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	like, err := e.InspectNetwork(ctx, "tis_default")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.CreateNetwork(ctx, like, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	for _, c := range list {
		if err := e.Stop(ctx, c.ID, time.Second); err != nil {
			t.Fatal(err)
		}
		if err := e.Remove(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, anyRange := range []bool{false, true} {
		if err := e.RemoveNetwork(ctx, "tis_default"); err != nil {
			t.Fatal(err)
		}
		if _, lost, err := e.CreateNetwork(ctx, like, anyRange); err != nil || len(lost) > 0 {
			t.Errorf("any range %v: lost %q, %v", anyRange, lost, err)
		}
	}
}

func TestLabEngine(t *testing.T) {
	h, world := inLab(t, "calm", ops.Blue)
	e := labEngine(t, h)
	ctx := t.Context()
	list, err := e.Containers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var keycloak ops.Container
	for _, c := range list {
		fresh, err := e.Container(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if fresh.Name != c.Name || fresh.State != c.State || fresh.StartedAt != c.StartedAt || fresh.Image != c.Image || fresh.Policy != c.Policy {
			t.Errorf("listed %+v\nread   %+v", c, fresh)
		}
		if c.Labels["com.docker.compose.service"] == "keycloak" {
			keycloak = c
		}
	}
	if keycloak.ID == "" || keycloak.Health != "healthy" {
		t.Fatalf("keycloak: %+v", keycloak)
	}

	follow, stop := context.WithCancel(ctx)
	seen := make(chan ops.EngineEvent, 100)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- e.Events(follow, func() { close(ready) }, func(ev ops.EngineEvent) { seen <- ev })
	}()
	<-ready
	if err := e.Restart(ctx, keycloak.ID, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for ev := range seen {
		if ev.Action == "start" && ev.Name == keycloak.Name {
			break
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	again, err := e.Container(ctx, keycloak.Name)
	if err != nil || !again.StartedAt.After(keycloak.StartedAt) {
		t.Errorf("%v, %v", again.StartedAt, err)
	}

	like, err := e.Inspect(ctx, keycloak.ID)
	if err != nil {
		t.Fatal(err)
	}
	id, lost, err := e.Create(ctx, like, "second", "")
	if err != nil || len(lost) > 0 {
		t.Fatalf("lost %q, %v", lost, err)
	}
	if err := e.Rename(ctx, id, "third"); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(ctx, "third"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Container(ctx, id); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := e.SetRestartPolicy(ctx, keycloak.ID, "no"); err != nil {
		t.Fatal(err)
	}
	if c, err := e.Container(ctx, keycloak.ID); err != nil || c.Policy != "no" {
		t.Errorf("policy %q, %v", c.Policy, err)
	}
	var empty bytes.Buffer
	if err := tar.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	if id, err := e.Import(ctx, &empty, "tandem/canary:1", []string{`ENTRYPOINT ["/exit"]`}); err != nil || !strings.HasPrefix(id, "sha256:") {
		t.Fatal(id, err)
	}
	canary := ops.RunSpec{Name: "canary", Image: "tandem/canary:1", Labels: map[string]string{"tandem.canary": "1"}, Network: "none"}
	if exit, err := e.Run(ctx, canary); err != nil || exit != 0 {
		t.Errorf("canary: exit %d, %v", exit, err)
	}
	world.RefuseStarts("OCI runtime create failed")
	_, err = e.Run(ctx, canary)
	problem(t, err, nil, "OCI runtime create failed", "")
	if err := e.RemoveImage(ctx, canary.Image); err != nil {
		t.Error(err)
	}

	var lines []ops.LogLine
	if err := e.Logs(ctx, keycloak.ID, ops.LogOptions{Tail: 5}, func(l ops.LogLine) { lines = append(lines, l) }); err != nil || len(lines) == 0 || lines[0].At.IsZero() {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if nets, err := e.Networks(ctx); err != nil || len(nets) == 0 {
		t.Errorf("%v, %v", nets, err)
	}
	if images, err := e.Images(ctx); err != nil || len(images) == 0 {
		t.Errorf("%v, %v", images, err)
	}
}

func TestLabFilesAndSudo(t *testing.T) {
	h, world := inLab(t, "calm", ops.Green)
	for _, text := range []string{"one", "two"} {
		if err := h.WriteFile(t.Context(), "/etc/docker/daemon.json", []byte(text), 0o644, true); err != nil {
			t.Fatal(err)
		}
		if got, err := h.ReadFile(t.Context(), "/etc/docker/daemon.json", false); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := h.ReadFile(t.Context(), "/etc/docker/daemon.json.tandem-backup", true); err != nil || string(got) != "one" {
		t.Errorf("backup %q, %v", got, err)
	}
	world.SudoNeedsPassword(true)
	problem(t, h.WriteFile(t.Context(), "/etc/x", nil, 0o644, true), ops.ErrNotPermitted, "writing /etc/x", "/etc/sudoers.d/tandem")
}

func TestLabDockerSocketRefused(t *testing.T) {
	for _, tt := range []struct {
		name       string
		set        func(*lab.Host)
		kind       error // nil: there is another way
		text, hint string
	}{
		{"missing", func(w *lab.Host) { w.HideSocket(true) }, ops.ErrUnreachable, "there is no socket", "systemctl status docker"},
		{"no permission, sudo helps", func(w *lab.Host) { w.ForbidSocket(true) }, nil, "", ""},
		{"no permission, no sudo", func(w *lab.Host) { w.ForbidSocket(true); w.SudoNeedsPassword(true) }, ops.ErrNotPermitted, "ops may not use", "usermod -aG docker ops"},
		{"forwarding disabled", func(w *lab.Host) { w.ForbidForwarding(true) }, nil, "", ""},
		{"daemon down", func(w *lab.Host) { w.StopEngine() }, ops.ErrUnreachable, "reaching the docker engine", "systemctl status docker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, world := inLab(t, "calm", ops.Blue)
			tt.set(world)
			_, err := labEngine(t, h).Containers(t.Context())
			if tt.kind == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var p *ops.Problem
			if !errors.As(err, &p) || !errors.Is(err, tt.kind) || !strings.Contains(p.Hint, tt.hint) {
				t.Errorf("%v; %+v", err, p)
			}
		})
	}
}

func TestLabRebootAndUpgrade(t *testing.T) {
	h, world := inLab(t, "calm", ops.Blue)
	e := labEngine(t, h) // kept on purpose: it must survive both
	before, err := h.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	world.Reboot()
	eventually(t, "new boot id", func() bool {
		f, err := h.Facts(context.Background())
		return err == nil && f.BootID != before.BootID
	})
	eventually(t, "engine after the reboot", func() bool { _, err := e.Containers(context.Background()); return err == nil })
	if err := world.Upgrade("26.1.5"); err != nil {
		t.Fatal(err)
	}
	world.RestartEngine()
	eventually(t, "engine 26.1.5", func() bool {
		v, err := e.Version(context.Background())
		return err == nil && strings.HasPrefix(v.Running, "26.1.5") && v.Used == "1.45"
	})
}

func TestLabHostKeyAndHang(t *testing.T) {
	h, world := inLab(t, "calm", ops.Blue)
	if err := ping(h); err != nil {
		t.Fatal(err)
	}
	if err := world.ChangeHostKey(); err != nil {
		t.Fatal(err)
	}
	world.DropConnections()
	eventually(t, "changed key refused", func() bool {
		err := ping(h)
		var p *ops.Problem
		return errors.As(err, &p) && strings.Contains(p.Error(), "the host key has changed") && strings.Contains(p.Hint, "ssh-keygen -R")
	})
	known, err := os.ReadFile(h.route[0].userKnown)
	if err != nil || len(known) == 0 {
		t.Errorf("%q, %v", known, err)
	}
}

// The upgrade of the incident is found in the log, with its command, who asked and the
// versions, and what went silent or is at work is told.
func TestLabUpkeep(t *testing.T) {
	h, world := inLab(t, "incident", ops.Blue)
	u, err := h.Upkeep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(u.Changes, func(c ops.PackageChange) bool { return c.Command == "apt-get upgrade" })
	if u.Manager != "apt" || len(u.Unread) > 0 || len(u.Silent) > 0 || u.ListsAt.IsZero() || i < 0 {
		t.Fatalf("%+v", u)
	}
	upgrade := u.Changes[i]
	if upgrade.By != "ops" || upgrade.At.IsZero() || upgrade.Err != "" || !slices.ContainsFunc(upgrade.Packages, func(p ops.VersionChange) bool {
		return p.Name == "docker.io" && strings.HasPrefix(p.From, "20.10.24") && strings.HasPrefix(p.To, "26.1.5")
	}) {
		t.Errorf("%+v", upgrade)
	}
	if len(u.Offered["docker.io"]) < 2 || len(u.Kept["docker.io"]) == 0 {
		t.Errorf("offered %v, kept %v", u.Offered, u.Kept)
	}
	world.SilenceSource("trixie", true)
	if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"apt-get", "update"}, Privileged: true, Mutates: true}); err != nil {
		t.Fatal(err)
	}
	world.AptAtWork(true)
	if u, err = h.Upkeep(t.Context()); err != nil || u.Busy != "apt-get, process 2211" || !slices.Equal(u.Silent, []string{"http://deb.debian.org/debian trixie"}) {
		t.Errorf("%+v, %v", u, err)
	}
}

// What installing named versions would do is told whole, and a refusal in apt's words.
func TestLabSimulate(t *testing.T) {
	h, _ := inLab(t, "incident", ops.Blue)
	sim, err := h.Simulate(t.Context(), map[string]string{"docker.io": "20.10.24+dfsg1-1+b3"})
	if err != nil || sim.Err != "" || len(sim.Changes) != 1 || !strings.HasPrefix(sim.Changes[0].From, "26.1.5") {
		t.Errorf("%+v, %v", sim, err)
	}
	sim, err = h.Simulate(t.Context(), map[string]string{"docker.io": "99.1"})
	if err != nil || !strings.Contains(sim.Err, "99.1") || len(sim.Changes) > 0 {
		t.Errorf("%+v, %v", sim, err)
	}
}
