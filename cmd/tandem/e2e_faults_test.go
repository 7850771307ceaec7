package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/rig"
)

// TestE2ENoRights looks at the pair as a user who may not use docker, and whose sudo asks
// for a password: the hosts are shown, the engines say why not, and nothing is started.
func TestE2ENoRights(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, func(s *rig.Settings) { s.User = "plain" })
	state := e.shown()
	e.exits(exitDone, []string{"status"}, "engine - (installed 20.10.24)", "plain may not use /var/run/docker.sock", "sudo: a password is required",
		"usermod -aG docker plain")
	e.exits(exitRefused, []string{"run", "drain", "green", "--yes"}, "a password is required", "nothing was changed")
	if now := e.shown(); now != state {
		e.Errorf("HAProxy went from %s to %s", state, now)
	}
	e.unlocked()
}

// TestE2EOrdinaryUser does a whole drain and restart as a user in the group docker, with
// sudo for what needs root.
func TestE2EOrdinaryUser(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP, func(s *rig.Settings) { s.User = "ops" })
	load := e.rig.Load(e.Context(), 20)
	e.exits(exitDone, []string{"run", "restart", "green", "assessments", "--yes"}, "drain GREEN: done", "restart assessments: done", "put GREEN back: done")
	e.unlocked()
	e.lossless(load)
}

// TestE2ENoForwarding takes the way through a docker command on the host, where sshd
// forwards nothing.
func TestE2ENoForwarding(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	const file = "/etc/ssh/sshd_config.d/99-tandem-test.conf"
	for _, side := range ops.Sides {
		host := e.rig.Side(string(side))
		sshd := func(ctx context.Context, script string) error {
			_, err := host.Exec(ctx, "sh", "-c", script+" && systemctl restart ssh")
			return err
		}
		t.Cleanup(func() {
			if err := sshd(context.WithoutCancel(t.Context()), "rm -f "+file); err != nil {
				t.Error(err)
			}
		})
		e.must(sshd(t.Context(), "printf 'AllowStreamLocalForwarding no\nAllowTcpForwarding no\n' > "+file))
	}
	e.exits(exitDone, []string{"status"}, "7 of 7 ready", "8 of 8 ready")
	e.exits(exitDone, []string{"run", "canary", "green", "--yes"}, "canary on GREEN: done")
	c := e.console()
	c.see("8/8 ready")
	_, err := e.rig.Side(rig.Green).Docker(t.Context(), "stop", "tis_assessments_1")
	e.must(err)
	c.see("7/8 ready") // seen by way of the event stream, through the same command
}

// TestE2EChangedHostKey refuses a host whose key is not the known one, and shows the other.
func TestE2EChangedHostKey(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	path := filepath.Join(e.home, "known_hosts")
	known, err := os.ReadFile(path)
	e.must(err)
	lines := bytes.Split(bytes.TrimSpace(known), []byte("\n"))
	blue, green := bytes.Fields(lines[0]), bytes.Fields(lines[1])
	green[2] = blue[2]
	e.must(os.WriteFile(path, bytes.Join([][]byte{lines[0], bytes.Join(green, []byte(" ")), nil}, []byte("\n")), 0o600))
	out := e.exits(exitDone, []string{"status"}, "7 of 7 ready", "the host key has changed", "SHA256:", "ssh-keygen -R 10.213.77.12 -f "+path)
	if strings.Contains(out, "8 of 8") {
		e.Errorf("green was looked at all the same:\n%s", out)
	}
	state := e.shown()
	e.exits(exitRefused, []string{"run", "drain", "blue", "--yes"}, "the host key has changed", "nothing was changed")
	if now := e.shown(); now != state {
		e.Errorf("HAProxy went from %s to %s", state, now)
	}
	e.unlocked()
}

// TestE2ENotPermitted drains through a socket that may only look: that is refused, with what
// is missing, before anything is changed.
func TestE2ENotPermitted(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, func(s *rig.Settings) { s.Socket = "tcp://10.213.77.1:9998" })
	state := e.shown()
	e.exits(exitDone, []string{"status"}, "2 of 2 in service")
	e.exits(exitRefused, []string{"run", "drain", "green", "--yes"}, "level admin", "nothing was changed")
	if now := e.shown(); now != state {
		e.Errorf("HAProxy went from %s to %s", state, now)
	}
	e.unlocked()
	e.exits(exitDone, []string{"gate"}, "open")
}

// TestE2EViaSSH reaches HAProxy's socket on a machine of its own, here blue.
func TestE2EViaSSH(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, func(s *rig.Settings) { s.Socket, s.Via = "unix:///srv/haproxy/admin.sock", "root@10.213.77.11:22" })
	e.exits(exitDone, []string{"run", "drain", "green", "--yes"}, "drain GREEN: done")
	e.isServer(ops.Green, "MAINT")
	e.exits(exitDone, []string{"run", "put-back", "green", "--yes"}, "put GREEN back: done")
	e.isServer(ops.Green, "UP")
}

// TestE2EEngineStopped stops the engine of a host under a console: what was seen last
// stays, with the reason why there is nothing newer, until the engine is back.
func TestE2EEngineStopped(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	host := e.rig.Side(rig.Green)
	t.Cleanup(func() {
		if _, err := host.Exec(context.WithoutCancel(t.Context()), "systemctl", "start", "docker.socket", "docker"); err != nil {
			t.Error(err)
		}
	})
	c := e.console()
	c.see("2 of 2 in service", "8/8 ready")
	_, err := host.Exec(t.Context(), "systemctl", "stop", "docker.socket", "docker")
	e.must(err)
	c.see("GREEN the engine cannot be read", "generic-upload")
	e.exits(exitRefused, []string{"run", "restart", "green", "--yes"}, "the engine of GREEN cannot be read", "nothing was changed")
	_, err = host.Exec(t.Context(), "systemctl", "start", "docker.socket", "docker")
	e.must(err)
	c.gone("the engine cannot be read")
	c.see("8/8 ready", "2 of 2 in service")
}

// TestE2EPowerOffDuringDrain pulls the plug of a host while its sessions end. The run
// stops half-way, with the pair locked; once the host is back, resume ends it.
func TestE2EPowerOffDuringDrain(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	load := e.rig.Load(e.Context(), 20)
	ctx, release := context.WithCancel(e.Context())
	defer release()
	e.hold(ctx, 12, time.Minute)
	e.eventually("sessions on green", patience, e.sessions(ops.Green, 3))
	front := e.start("run", "drain", "green", "--yes")
	id := e.began()
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool {
		return ev.Kind == ops.EvSay && strings.Contains(ev.Text, "sessions left")
	})
	host := e.rig.Side(rig.Green)
	e.must(host.PowerOff())
	if code := e.finished(front); code != exitHalfWay {
		e.Errorf("the exit code is %d: %s", code, &front.out)
	}
	if now := e.server(ops.Green); now != "MAINT" {
		e.Errorf("green is %s after its time for sessions", now)
	}
	if code, out := e.tandem("gate"); code == exitDone {
		e.Errorf("the gate is open: %s", out)
	}
	e.must(host.PowerOn(e.Context()))
	e.exits(exitDone, []string{"resume"}, "release the lock")
	e.isServer(ops.Green, "MAINT")
	e.unlocked()
	sums := load.Stop()
	if sums.Failed > 0 {
		e.Errorf("%d new requests failed, though green was draining: %v", sums.Failed, sums.Failures)
	}
}

// TestE2EReboot reboots a host under a console, which shows it gone and then back, with
// the new boot.
func TestE2EReboot(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	c := e.console()
	c.resize(160, 90) // room for all that the timeline tells of a reboot
	c.see("2 of 2 in service", "8/8 ready")
	rebooted := make(chan error, 1)
	go func() { rebooted <- e.rig.Side(rig.Green).Reboot(t.Context()) }()
	c.see("1 of 2 in service", "✗ down", "green connection lost")
	c.see("green connected again", "green rebooted")
	e.must(<-rebooted)
	c.see("green engine answers again", "8/8 ready", "2 of 2 in service")
	c.gone("cannot be rea") // ched, or d
}

// TestE2ECableCut cuts a host off under a console: its rows stay, with their age, and are
// renewed when it is back.
func TestE2ECableCut(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	c := e.console()
	c.see("2 of 2 in service", "8/8 ready")
	host := e.rig.Side(rig.Green)
	e.must(host.CableCut())
	c.see("1 of 2 in service", "GREEN cannot be reached", "generic-upload")
	e.exits(exitRefused, []string{"run", "drain", "green", "--yes"}, "nothing was changed")
	e.must(host.CableRestore())
	c.see("2 of 2 in service", "8/8 ready")
	c.gone("cannot be reached")
}

// TestE2EDrainLost reloads HAProxy, which forgets a drain, and the console says so.
func TestE2EDrainLost(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	e.exits(exitDone, []string{"run", "drain", "green", "--yes"}, "drain GREEN: done")
	c := e.console()
	c.see("1 of 2 in service", "○ out")
	e.must(e.rig.ReloadHAProxy(e.Context()))
	c.see("2 of 2 in service", "GREEN drain lost", "no run put it back")
}

// TestE2EBothUnreachable opens the console with both hosts cut off; it says so, and
// recovers when they are back.
func TestE2EBothUnreachable(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	for _, side := range ops.Sides {
		e.must(e.rig.Side(string(side)).CableCut())
	}
	c := e.console()
	c.see("BLUE  cannot be reached", "GREEN cannot be reached")
	e.exits(exitNoLook, []string{"status"}, "10.213.77.11", "10.213.77.12")
	e.exits(exitNoLook, []string{"gate"})
	for _, side := range ops.Sides {
		e.must(e.rig.Side(string(side)).CableRestore())
	}
	c.see("7/7 ready", "8/8 ready", "2 of 2 in service")
	e.eventually("an open gate", patience, func() error {
		if code, out := e.tandem("gate"); code != exitDone {
			return errors.New(fmt.Sprint(code, " ", out))
		}
		return nil
	})
}
