package lab_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"tandem/ops/lab"
)

func TestCommandLines(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "green")
	for _, test := range []struct {
		line, stdin, out, errs string
		status                 int
	}{
		{line: "'printf' '%s|' 'a b' '$HOME' \"it's\"", out: "a b|$HOME|it's|"},
		{line: "hostname; uname -r", out: "tis-green\n6.1.0-28-amd64\n"},
		{line: "nope --x", errs: "sh: nope: not found\n", status: 127},
		{line: "cat /etc/nope", errs: "cat: /etc/nope: No such file or directory\n", status: 1},
		{line: "mkdir /var/lib/tandem", errs: "mkdir: cannot create directory '/var/lib/tandem': Permission denied\n", status: 1},
		{line: "sudo -n sh -c 'set -eu; mkdir -p \"$1/lock\"; cat > \"$1/lock/a\"' name /var/lib/tandem", stdin: "hello\n"},
		{line: "cat /var/lib/tandem/lock/a", out: "hello\n"},
		{line: "sudo -n mkdir /var/lib/tandem/lock", errs: "mkdir: cannot create directory '/var/lib/tandem/lock': File exists\n", status: 1},
		{line: "test -d /var/lib/tandem/lock && echo held", out: "held\n"},
		{line: "sudo -n sh -c 'printf x >> /var/lib/tandem/lock/a; mv -T /var/lib/tandem/lock/a /var/lib/tandem/b; wc -c < /var/lib/tandem/b'", out: "7\n"},
		{line: "sudo -n rm -rf /var/lib/tandem; test -e /var/lib/tandem", status: 1},
		{line: "for i in 1 2; do echo $i; done | tail -n 1", out: "2\n"},
		{line: "cat /etc/hostname | sed -n 's/^tis-\\(.*\\)$/<\\1>/p'", out: "<green>\n"},
		{line: "grep -c processor /proc/cpuinfo; nproc", out: "4\n4\n"},
		{line: "command -v docker-compose; docker-compose version --short", out: "/usr/bin/docker-compose\n1.29.2\n"},
		{line: "docker compose version", errs: "docker: 'compose' is not a docker command.\nSee 'docker --help'\n", status: 1},
		{line: "dpkg-query -W -f '${Package} ${Version}\\n' docker.io nope", out: "docker.io 20.10.24+dfsg1-1+b3\n", errs: "dpkg-query: no packages found matching nope\n", status: 1},
		{line: "systemctl is-system-running", out: "running\n"},
		{line: "curl -fsS -o /dev/null -w '%{http_code}' http://localhost:8093/tcs/actuator/health", out: "200"},
		{line: "id -nG", out: "ops sudo docker\n"},
		{line: ". /etc/os-release", errs: "sh: /lab/.: not found\n", status: 127},
	} {
		out, errs, status := exec(t, c, test.line, test.stdin)
		if out != test.out || errs != test.errs || status != test.status {
			t.Errorf("%s\ngot  %q %q %d\nwant %q %q %d", test.line, out, errs, status, test.out, test.errs, test.status)
		}
	}
}

// TestNothingOfThisMachine shows that scripts see the host's files and no others.
func TestNothingOfThisMachine(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "blue")
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"cat " + secret, "cat < " + secret, "test -e " + secret, "ls " + secret, "sh " + secret, "cd " + strings.TrimSuffix(secret, "/secret"), "command -v go"} {
		if out, _, status := exec(t, c, line, ""); status == 0 || out != "" {
			t.Errorf("%s: %q, status %d", line, out, status)
		}
	}
	exec(t, c, "echo x > /tmp/lab-was-here", "")
	if _, err := os.Stat("/tmp/lab-was-here"); err == nil {
		t.Error("a file was written to this machine")
	}
}

func TestEleventhSessionIsRefused(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "blue")
	for range 10 {
		if _, err := c.NewSession(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "open failed") {
		t.Errorf("got %v", err)
	}
}

func TestPortsOfServices(t *testing.T) {
	l := start(t, lab.Options{})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	ask := func() (int, error) {
		conn, err := c.Dial("tcp", "localhost:8093")
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /tcs/actuator/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		return r.StatusCode, r.Body.Close()
	}
	if status, err := ask(); status != 200 || err != nil {
		t.Errorf("a ready service: %d, %v", status, err)
	}
	h.Trouble("tcs", &lab.Trouble{Unhealthy: true})
	if err := h.Kill("tcs", 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "tcs runs again and says 503", func() bool { status, err := ask(); return err == nil && status == 503 })
	if _, err := c.Dial("tcp", "localhost:9"); err == nil {
		t.Error("a port where nobody listens was opened")
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "blue")
	d := docker(t, c)
	exec(t, c, "cat /etc/hostname", "")
	if _, err := d.ServerVersion(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range l.Requests() {
		if r.Mutating {
			t.Errorf("%s %q counts as a change", r.Wire, r.What)
		}
	}
	exec(t, c, "sudo -n touch /etc/x", "")
	if err := d.ContainerRename(t.Context(), "tis_sync_1", "other"); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.HAProxy().Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "set server tis/green state drain")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	changes := map[string]int{}
	for _, r := range l.Requests() {
		if r.Mutating {
			changes[r.Wire]++
		}
	}
	if changes["exec"] != 1 || changes["docker"] != 1 || changes["haproxy"] != 1 {
		t.Errorf("changes: %v, want one each", changes)
	}
}
