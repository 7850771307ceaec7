package lab_test

import (
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/crypto/ssh"

	"tandem/ops/lab"
)

// TestRestartPoliciesAfterAReboot is the table of what was measured on a real engine.
func TestRestartPoliciesAfterAReboot(t *testing.T) {
	type row struct {
		service, policy      string
		stopped, deaf, again bool
	}
	rows := []row{
		{service: "keycloak", policy: "no"},
		{service: "reference", policy: "always", again: true},
		{service: "profile", policy: "always", stopped: true, again: true},
		{service: "usermanagement", policy: "unless-stopped", again: true},
		{service: "tcs", policy: "unless-stopped", stopped: true},
		{service: "admins-ui", policy: "on-failure"},
		{service: "notifications", policy: "on-failure", stopped: true, deaf: true, again: true},
		{service: "concerns", policy: "no", stopped: true},
	}
	l := start(t, lab.Options{})
	h := l.World().Host("blue")
	d := docker(t, dial(t, l, "blue"))
	for _, r := range rows {
		name := "tis_" + r.service + "_1"
		policy := container.RestartPolicy{Name: container.RestartPolicyMode(r.policy)}
		if _, err := d.ContainerUpdate(t.Context(), name, container.UpdateConfig{RestartPolicy: policy}); err != nil {
			t.Fatal(err)
		}
		if r.deaf {
			h.Trouble(r.service, &lab.Trouble{Deaf: true})
		}
		if r.stopped {
			second := 1
			if err := d.ContainerStop(t.Context(), name, container.StopOptions{Timeout: &second}); err != nil {
				t.Fatal(err)
			}
		}
		h.Trouble(r.service, nil)
	}
	before := time.Now()
	c := rebooted(t, l, "blue", h.Reboot)
	d = docker(t, c)
	for _, r := range rows {
		s, err := d.ContainerInspect(t.Context(), "tis_"+r.service+"_1")
		if err != nil {
			t.Fatal(err)
		}
		began, err := time.Parse(time.RFC3339Nano, s.State.StartedAt)
		if err != nil || began.After(before) != r.again {
			t.Errorf("%s %s, stopped %v: started %s, %v", r.service, r.policy, r.stopped, s.State.StartedAt, err)
		}
	}
}

// rebooted waits until a host is up again after something that made it go down.
func rebooted(t *testing.T, l *lab.Lab, side string, how func()) (c *ssh.Client) {
	t.Helper()
	h := l.World().Host(side)
	before := h.BootID()
	how()

	eventually(t, side+" is up again", func() bool {
		if h.BootID() == before {
			return false
		}
		var err error
		if c, err = dialAs(t, l, side, "ops"); err != nil {
			return false
		}
		out, _, _ := exec(t, c, "systemctl is-system-running", "")

		return out == "running\n"
	})
	return c
}

func TestPowerLoss(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("green"), dial(t, l, "green")
	if _, errs, status := exec(t, c, "sudo -n systemd-run --on-active=90 --unit=back true; systemctl is-active back.timer", ""); status != 0 || !strings.Contains(errs, "back.timer") {
		t.Fatalf("status %d, %s", status, errs)
	}
	gone := make(chan error, 1)
	go func() { gone <- c.Wait() }()
	again := rebooted(t, l, "green", func() {
		h.PowerLoss(0)
		select {
		case err := <-gone:
			t.Errorf("the connection was closed: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if l.World().Serving("green") {
			t.Error("green serves without power")
		}
		h.PowerOn()
	})
	if err := <-gone; err == nil {
		t.Error("the connection of the life before ended without an error")
	}
	if len(h.Timers()) != 0 {
		t.Errorf("timers after a boot: %q", h.Timers())
	}
	if out, _, _ := exec(t, again, "systemctl is-active back.timer", ""); out != "inactive\n" {
		t.Errorf("the timer is %s", out)
	}
	eventually(t, "the services come back", func() bool { return l.World().Serving("green") })
	s, err := docker(t, again).ContainerInspect(t.Context(), "tis_ndw-etl_1")
	if err != nil || s.State.Running {
		t.Errorf("a job came back: %+v, %v", s.State, err)
	}
}

func TestTimers(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	arm := func(name, after, does string) {
		t.Helper()
		if _, errs, status := exec(t, c, "sudo -n systemd-run --unit "+name+" --on-active="+after+" --collect sh -c '"+does+"'", ""); status != 0 {
			t.Fatal(errs)
		}
	}
	arm("soon", "1s", "echo done > /root/soon")
	arm("never", "30min", "echo done > /root/never")
	if _, errs, status := exec(t, c, "sudo -n systemd-run --unit=never --on-active=9 true", ""); status != 1 || !strings.Contains(errs, "already loaded") {
		t.Errorf("the same name twice: status %d, %s", status, errs)
	}
	eventually(t, "the timer runs its command", func() bool {
		_, _, status := exec(t, c, "sudo -n test -e /root/soon", "")
		return status == 0
	})
	if got := strings.Join(h.Timers(), " "); got != "never" {
		t.Errorf("timers: %q", got)
	}
	for _, test := range []struct {
		line, out string
		status    int
	}{
		{"systemctl is-active never.timer", "active\n", 0},
		{"sudo -n systemctl stop never.timer", "", 0},
		{"systemctl is-active never.timer", "inactive\n", 3},
		{"sudo -n systemctl stop never.timer", "", 5},
	} {
		if out, _, status := exec(t, c, test.line, ""); out != test.out || status != test.status {
			t.Errorf("%s: %q, status %d", test.line, out, status)
		}
	}
}

func TestDaemonConfig(t *testing.T) {
	for _, test := range []struct {
		name, json, says string
		flags            []string
	}{
		{name: "good", json: `{"default-address-pools": [{"base": "10.200.0.0/16", "size": 24}]}`},
		{name: "unknown key", json: `{"default-address-pool": []}`, says: "don't match any configuration option: default-address-pool"},
		{name: "not JSON", json: `{"debug": tru`, says: "invalid character"},
		{name: "also a flag", json: `{"log-level": "warn"}`, flags: []string{"--log-level=info"}, says: "specified both as a flag and in the configuration file: log-level"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := start(t, lab.Options{Scenario: "incident"})
			h, c := l.World().Host("green"), dial(t, l, "green")
			h.EngineFlags(test.flags...)
			exec(t, c, "sudo -n tee /etc/docker/daemon.json", test.json)
			_, errs, status := exec(t, c, "dockerd --validate --config-file /etc/docker/daemon.json "+strings.Join(test.flags, " "), "")
			if (status == 0) != (test.says == "") || !strings.Contains(errs, test.says) {
				t.Errorf("validate: status %d, %s", status, errs)
			}
			_, errs, status = exec(t, c, "sudo -n systemctl restart docker", "")
			if (status == 0) != (test.says == "") || status != 0 && !strings.Contains(errs, "Job for docker.service failed") {
				t.Errorf("restart: status %d, %s", status, errs)
			}
			out, _, _ := exec(t, c, "systemctl is-active docker; systemctl is-system-running; systemctl --failed --plain --no-legend --no-pager; sudo -n journalctl -u docker -n 5", "")
			want := "active\nrunning\n"
			if test.says != "" {
				want = "failed\ndegraded\ndocker.service loaded failed failed docker.service\n"
			}
			if !strings.HasPrefix(out, want) || !strings.Contains(out, test.says) {
				t.Errorf("afterwards:\n%s", out)
			}
		})
	}
	l := start(t, lab.Options{})
	if _, errs, status := exec(t, dial(t, l, "blue"), "dockerd --validate --config-file /etc/docker/daemon.json", ""); status != 1 || !strings.Contains(errs, "unknown flag: --validate") {
		t.Errorf("an engine before 23.0: status %d, %s", status, errs)
	}
}

func TestAptAtWork(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	look := "sudo -n fuser /var/lib/dpkg/lock-frontend 2>/dev/null && echo busy; grep -c \":$(stat -c %i /var/lib/dpkg/lock-frontend) \" /proc/locks"
	if out, _, _ := exec(t, c, look, ""); out != "0\n" {
		t.Errorf("at rest: %q", out)
	}
	h.AptAtWork(true)
	if out, _, _ := exec(t, c, look, ""); out != "  2211busy\n1\n" {
		t.Errorf("at work: %q", out)
	}
	if _, _, status := exec(t, c, "fuser /var/lib/dpkg/lock-frontend", ""); status != 1 {
		t.Error("fuser sees the files of others without root")
	}
}

// TestACutCableHoldsUpNobodyElse: an answer that nobody reads must not stop the world.
func TestACutCableHoldsUpNobodyElse(t *testing.T) {
	l := start(t, lab.Options{})
	h := l.World().Host("blue")
	c := dial(t, l, "blue")
	asked := make(chan error, 1)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	h.CutCableFor(10 * time.Second)
	go func() { asked <- s.Run("cat /opt/tis/docker-compose.yml") }()
	if out, _, _ := exec(t, dial(t, l, "green"), "hostname", ""); out != "tis-green\n" {
		t.Errorf("green says %q", out)
	}
	if err := <-asked; err != nil {
		t.Errorf("after the cable was whole again: %v", err)
	}
}

func TestSicken(t *testing.T) {
	l := start(t, lab.Options{})
	h := l.World().Host("blue")
	for _, sick := range []bool{true, false} {
		if err := h.Sicken("apache", sick); err != nil {
			t.Fatal(err)
		}
		if l.World().Serving("blue") == sick {
			t.Errorf("sick %v: blue serves", sick)
		}
	}
}
