package lab_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/crypto/ssh"

	"tandem/ops/lab"
)

func TestHangAfterAccept(t *testing.T) {
	l := start(t, lab.Options{})
	h := l.World().Host("green")
	before := dial(t, l, "green")
	h.HangOnAccept(true)
	conn, err := net.Dial("tcp", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
		t.Errorf("the host said something: %d bytes, %v", n, err)
	}
	if out, _, status := exec(t, before, "hostname", ""); status != 0 || out != "tis-green\n" {
		t.Errorf("a connection that was up: %q, status %d", out, status)
	}
	h.HangOnAccept(false)
	dial(t, l, "green")
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestCableCutAndRestored(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	h.CutCable()
	alive := make(chan error, 1)
	go func() {
		_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
		alive <- err
	}()
	select {
	case err := <-alive:
		t.Fatalf("a keepalive was answered through a cut cable (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	if l.World().Serving("blue") {
		t.Error("blue serves through a cut cable")
	}
	h.RestoreCable()
	if err := <-alive; err != nil {
		t.Errorf("keepalive after the cable was restored: %v", err)
	}
}

func TestCommandsHang(t *testing.T) {
	l := start(t, lab.Options{})
	l.World().Host("blue").HangCommands(true)
	s, err := dial(t, l, "blue").NewSession()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run("hostname") }()
	select {
	case err := <-done:
		t.Fatalf("the command ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	s.Close()
	<-done
}

func TestEngineHangs(t *testing.T) {
	l := start(t, lab.Options{})
	l.World().Host("blue").HangEngine(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := docker(t, dial(t, l, "blue")).ContainerList(ctx, container.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

func TestChangedHostKey(t *testing.T) {
	l := start(t, lab.Options{})
	if err := l.World().Host("blue").ChangeHostKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := dialAs(t, l, "blue", "ops"); err == nil || !strings.Contains(err.Error(), "key mismatch") {
		t.Errorf("got %v, want a key mismatch", err)
	}
}

func TestOnlyTheKeyAndKnownUsersLogIn(t *testing.T) {
	l := start(t, lab.Options{})
	if _, err := dialAs(t, l, "blue", "nobody"); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("a user who is not there: %v", err)
	}
	_, err := ssh.Dial("tcp", l.World().Host("blue").Address(), &ssh.ClientConfig{User: "ops", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err == nil {
		t.Error("no key at all was let in")
	}
}

func TestSudoNeedsAPassword(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	if out, _, _ := exec(t, c, "sudo -n id -un", ""); out != "root\n" {
		t.Errorf("sudo is %q", out)
	}
	h.SudoNeedsPassword(true)
	if _, errs, status := exec(t, c, "sudo -n -- id", ""); status != 1 || errs != "sudo: a password is required\n" {
		t.Errorf("status %d, %q", status, errs)
	}
}

func TestSocketRefusedInEachWay(t *testing.T) {
	ways := map[string]struct {
		break_  func(*lab.Host)
		user    string
		allowed string // what test says of the socket
	}{
		"missing":             {func(h *lab.Host) { h.HideSocket(true) }, "ops", "gone\n"},
		"no permission":       {func(h *lab.Host) { h.ForbidSocket(true) }, "ops", "forbidden\n"},
		"not in docker group": {func(*lab.Host) {}, "plain", "forbidden\n"},
		"forwarding disabled": {func(h *lab.Host) { h.ForbidForwarding(true) }, "ops", "allowed\n"},
		"daemon down":         {func(h *lab.Host) { h.StopEngine() }, "ops", "allowed\n"},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			l := start(t, lab.Options{})
			way.break_(l.World().Host("blue"))
			c, err := dialAs(t, l, "blue", way.user)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Dial("unix", "/var/run/docker.sock")
			var refused *ssh.OpenChannelError
			if !errors.As(err, &refused) || refused.Reason != ssh.ConnectionFailed || refused.Message != "open failed" {
				t.Errorf("got %v, want sshd's one answer", err)
			}
			out, _, _ := exec(t, c, `p=/var/run/docker.sock; if [ ! -S $p ]; then echo gone; elif [ -r $p ] && [ -w $p ]; then echo allowed; else echo forbidden; fi`, "")
			if out != way.allowed {
				t.Errorf("test says %q, want %q", out, way.allowed)
			}
		})
	}
}

func TestDialStdio(t *testing.T) {
	l := start(t, lab.Options{})
	l.World().Host("blue").ForbidForwarding(true)
	s, err := dial(t, l, "blue").NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s.Stdout = &out
	if err := s.Start("sudo -n docker system dial-stdio"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "HTTP/1.1 200 OK") || !strings.Contains(out.String(), "Api-Version: 1.41") {
		t.Errorf("got %q", out.String())
	}
}

func TestReboot(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("green"), dial(t, l, "green")
	before := h.BootID()
	if _, errs, status := exec(t, c, "sudo -n systemd-run --on-active=1 systemctl reboot", ""); status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	if err := c.Wait(); err == nil {
		t.Error("the connection ended without an error")
	}
	if l.World().Serving("green") {
		t.Error("green serves while it reboots")
	}
	var again *ssh.Client
	eventually(t, "the host comes back on its port", func() bool {
		var err error
		again, err = dialAs(t, l, "green", "ops")
		return err == nil
	})
	if out, _, _ := exec(t, again, "cat /proc/sys/kernel/random/boot_id", ""); strings.TrimSpace(out) == before || strings.TrimSpace(out) != h.BootID() {
		t.Errorf("boot id %q, before %q", out, before)
	}
	eventually(t, "restart policies bring the services back", func() bool { return l.World().Serving("green") })
}

func TestNeverHealthyAndExits(t *testing.T) {
	l := start(t, lab.Options{})
	h, d := l.World().Host("green"), docker(t, dial(t, l, "green"))
	h.Trouble("tcs", &lab.Trouble{Unhealthy: true})
	h.Trouble("sync", &lab.Trouble{Exit: 3, Says: "no queue"})
	for _, name := range []string{"tis_tcs_1", "tis_sync_1"} {
		if err := d.ContainerRestart(t.Context(), name, container.StopOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "tcs is unhealthy", func() bool {
		c, err := d.ContainerInspect(t.Context(), "tis_tcs_1")
		return err == nil && c.State.Health.Status == "unhealthy" && c.State.Running
	})
	eventually(t, "sync restarts in a loop", func() bool {
		c, err := d.ContainerInspect(t.Context(), "tis_sync_1")
		return err == nil && c.RestartCount >= 2 && (c.State.ExitCode == 3 || c.State.Running)
	})
	h.Trouble("tcs", nil)
	if err := d.ContainerRestart(t.Context(), "tis_tcs_1", container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "tcs is healthy again", func() bool {
		c, err := d.ContainerInspect(t.Context(), "tis_tcs_1")
		return err == nil && c.State.Health.Status == "healthy"
	})
}

func TestImageMissingAndStartsRefused(t *testing.T) {
	l := start(t, lab.Options{})
	h, d := l.World().Host("green"), docker(t, dial(t, l, "green"))
	h.RemoveImage("tis/sync:4be62d8")
	_, err := d.ContainerCreate(t.Context(), &container.Config{Image: "tis/sync:4be62d8"}, nil, nil, nil, "x1")
	if err == nil || !strings.Contains(err.Error(), "No such image: tis/sync:4be62d8") {
		t.Errorf("create without an image: %v", err)
	}
	h.RefuseStarts("OCI runtime create failed")
	made, err := d.ContainerCreate(t.Context(), &container.Config{Image: "tis/tcs:latest"}, nil, nil, nil, "x2")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err == nil || !strings.Contains(err.Error(), "OCI runtime create failed") {
		t.Errorf("a new container started: %v", err)
	}
	if err := d.ContainerRestart(t.Context(), "tis_profile_1", container.StopOptions{}); err != nil {
		t.Errorf("what ran before does not start: %v", err)
	}
}

func TestStopIgnoredEndsInSIGKILL(t *testing.T) {
	l := start(t, lab.Options{})
	h, d := l.World().Host("blue"), docker(t, dial(t, l, "blue"))
	h.Trouble("concerns", &lab.Trouble{Deaf: true})
	one := 1
	if err := d.ContainerStop(t.Context(), "tis_concerns_1", container.StopOptions{Timeout: &one}); err != nil {
		t.Fatal(err)
	}
	c, err := d.ContainerInspect(t.Context(), "tis_concerns_1")
	if err != nil {
		t.Fatal(err)
	}
	if c.State.ExitCode != 137 || c.State.Status != "exited" {
		t.Errorf("%s with %d, want exited with 137", c.State.Status, c.State.ExitCode)
	}
}
