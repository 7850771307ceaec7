package lab_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/goccy/go-yaml"

	"tandem/ops/lab"
)

// states are the states of a side's containers that are not a healthy service.
func states(t *testing.T, l *lab.Lab, side string) map[string]string {
	t.Helper()
	list, err := docker(t, dial(t, l, side)).ContainerList(t.Context(), container.ListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range list {
		if !strings.HasSuffix(c.Status, "(healthy)") {
			words := strings.SplitN(c.Status, ")", 2)[0]
			out[c.Labels["com.docker.compose.service"]] = words
		}
	}
	return out
}

func TestScenarios(t *testing.T) {
	jobs := map[string]string{"ndw-etl": "Exited (0", "reval-etl": "Exited (0", "gmc-sync": "Exited (0", "esr-etl": "Exited (0"}
	with := func(more map[string]string) map[string]string {
		out := maps.Clone(jobs)
		maps.Copy(out, more)
		return out
	}
	want := map[string]map[string]map[string]string{
		"calm":     {"blue": {}, "green": jobs},
		"incident": {"blue": {}, "green": with(map[string]string{"ndw-etl": "Exited (125", "revalidation": "Exited (1"})},
		"one-down": {"blue": {}, "green": with(map[string]string{
			"tcs": "Exited (1", "assessments": "Exited (1", "concerns": "Exited (1", "revalidation": "Exited (1", "generic-upload": "Exited (1", "sync": "Exited (1",
			"gmc-connect": "Exited (143", "notifications": "Up 12 days (unhealthy",
		})},
		"upgraded": {"blue": {}, "green": jobs},
		"drift":    {"blue": {"sync": "Restarting (1"}, "green": jobs},
	}
	for _, s := range lab.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			l := start(t, lab.Options{Scenario: s.Name, Speed: 1})
			for _, side := range lab.Sides {
				got := states(t, l, side)
				if !maps.Equal(got, want[s.Name][side]) {
					t.Errorf("%s:\ngot  %v\nwant %v", side, got, want[s.Name][side])
				}
			}
		})
	}
}

// TestLinesOfTheirTime: the time within a log line is the one that the engine stamped it with, the
// lines come in its order, and none is later than the end of its container.
func TestLinesOfTheirTime(t *testing.T) {
	const within = "2006-01-02 15:04:05.000"
	for _, scenario := range []string{"incident", "one-down"} {
		d := docker(t, dial(t, start(t, lab.Options{Scenario: scenario}), "green"))
		for _, name := range []string{"profile", "tcs", "revalidation", "reval-etl"} {
			name = "tis_" + name + "_1"
			c, err := d.ContainerInspect(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.ContainerLogs(t.Context(), name, container.LogsOptions{ShowStdout: true, Timestamps: true})
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			_, err = stdcopy.StdCopy(&text, io.Discard, r)
			r.Close()
			if err != nil {
				t.Fatal(err)
			}
			var first, last time.Time
			for line := range strings.Lines(text.String()) {
				stamp, line, _ := strings.Cut(line, " ")
				at, err := time.Parse(time.RFC3339Nano, stamp)
				if err != nil {
					t.Fatal(err)
				}
				if at.Before(last) {
					t.Errorf("%s, %s: %s comes after %s", scenario, name, at, last)
				}
				if first.IsZero() {
					first = at
				}
				last = at
				if len(line) < len(within) {
					continue
				}
				if own, err := time.Parse(within, line[:len(within)]); err == nil && !own.Equal(at.Truncate(time.Millisecond)) {
					t.Errorf("%s, %s: stamped %s: %s", scenario, name, stamp, line)
				}
			}
			if !first.Before(last) {
				t.Errorf("%s, %s: every line is of %s", scenario, name, first)
			}
			if end, err := time.Parse(time.RFC3339Nano, c.State.FinishedAt); err == nil && c.State.Status == "exited" && last.After(end) {
				t.Errorf("%s, %s: ended at %s, its log at %s", scenario, name, end, last)
			}
		}
	}
}

func TestIncidentsFacts(t *testing.T) {
	l := start(t, lab.Options{Scenario: "incident"})
	for _, side := range []string{"blue", "green"} {
		c := dial(t, l, side)
		for line, want := range map[string]string{
			"dpkg-query -W -f '${Version}' docker.io":                         "26.1.5+dfsg1-9",
			"test -e /var/run/reboot-required && echo yes":                    "yes\n",
			"grep -c 'Commandline: apt-get upgrade' /var/log/apt/history.log": "1\n",
			"tail -n 4 /var/log/apt/history.log | sed -n '/^[CRU]/p'": "Commandline: apt-get upgrade\nRequested-By: ops (1000)\n" +
				"Upgrade: runc:amd64 (1.1.5+ds1-1, 1.1.15+ds1-2+b4), containerd:amd64 (1.6.20~ds1-1+b1, 1.7.24~ds1-6+b4), docker.io:amd64 (20.10.24+dfsg1-1+b3, 26.1.5+dfsg1-9), " +
				"linux-image-amd64:amd64 (6.1.119-1, 6.1.123-1), openssl:amd64 (3.0.16-1~deb12u1, 3.0.17-1~deb12u2), tzdata:amd64 (2025b-0+deb12u1, 2025b-0+deb12u2)\n",
			"apt-mark showhold":              "docker-compose\n",
			"docker-compose version --short": "1.29.2\n",
			"test -r /var/log/apt/history.log && stat -c %F /var/run/docker.sock": "socket\n",
		} {
			if out, errs, _ := exec(t, c, line, ""); out != want {
				t.Errorf("%s: %s: %q %s, want %q", side, line, out, errs, want)
			}
		}
	}
}

func TestUnknownScenario(t *testing.T) {
	_, err := lab.Start(lab.Options{Scenario: "nope"})
	if err == nil || !strings.Contains(err.Error(), "calm, incident, upgraded, one-down, drift") {
		t.Errorf("got %v", err)
	}
	if _, err := lab.Start(lab.Options{Balancer: "nope"}); err == nil || !strings.Contains(err.Error(), "haproxy and elbv2") {
		t.Errorf("got %v", err)
	}
}

func TestConfigHasEverything(t *testing.T) {
	for _, balancer := range []string{"haproxy", "elbv2"} {
		l := start(t, lab.Options{Balancer: balancer})
		text, err := os.ReadFile(l.ConfigPath())
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Pair     string
			Hosts    map[string]map[string]any
			Balancer map[string]any
			Services []struct{ Name, Only string }
			Jobs     []struct{ Name string }
		}
		if err := yaml.Unmarshal(text, &config); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if config.Balancer["kind"] != balancer || len(config.Hosts) != 2 || len(config.Services) != 14 || len(config.Jobs) != 4 {
			t.Errorf("config:\n%s", text)
		}
		i := slices.IndexFunc(config.Services, func(s struct{ Name, Only string }) bool { return s.Name == "generic-upload" })
		if i < 0 || config.Services[i].Only != "green" {
			t.Errorf("generic-upload is not only on green:\n%s", text)
		}
	}
}

// TestTrafficMoves shows that made-up requests go where the balancer sends them.
func TestTrafficMoves(t *testing.T) {
	l := start(t, lab.Options{Scenario: "one-down"})
	total := func(side string) string {
		conn, err := net.Dial("tcp", l.HAProxy().Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintln(conn, "show stat")
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSpace(string(text)), "\n")
		heads := strings.Split(strings.TrimPrefix(all[0], "# "), ",")
		for _, line := range all[1:] {
			if fields := strings.Split(line, ","); fields[1] == side {
				return fields[slices.Index(heads, "stot")] + " " + fields[slices.Index(heads, "status")]
			}
		}
		t.Fatalf("no server %s in\n%s", side, text)
		return ""
	}
	first := total("blue")
	eventually(t, "blue's counter moves", func() bool { return total("blue") != first })
	if got := total("green"); got != "0 MAINT" {
		t.Errorf("green: %s", got)
	}
}

func TestConfigOfHAProxyIsOnItsMachine(t *testing.T) {
	l := start(t, lab.Options{})
	want := "    stats socket ipv4@" + l.HAProxy().Address() + " level admin\n    server blue 10.0.1.11:80 check inter 1s fall 2 rise 2\n    server green 10.0.1.12:80 check inter 1s fall 2 rise 2\n"
	if out, errs, _ := exec(t, dial(t, l, "blue"), "grep -E '^    (stats socket|server) ' /etc/haproxy/haproxy.cfg", ""); out != want {
		t.Errorf("%s\n%s\nwant\n%s", errs, out, want)
	}
	if _, _, status := exec(t, dial(t, l, "green"), "test -e /etc/haproxy/haproxy.cfg", ""); status != 1 {
		t.Error("green has one too")
	}
}
