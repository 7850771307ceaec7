package lab_test

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"tandem/ops/lab"
)

const probe = `{"version": "2.1", "services": {"canary": {"image": "tis/apache:38ce01a", "network_mode": "none", "labels": {"a": "b"}}}}`

// TestComposeOfTheIncident: 1.29.2 makes containers on a new engine, and cannot make them anew.
func TestComposeOfTheIncident(t *testing.T) {
	for _, test := range []struct {
		name, compose, program string
		again                  int // status of a recreation on green, whose engine is 26
	}{
		{"left behind", "", "docker-compose", 1},
		{"brought to match", "2.26.1", "docker compose", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := start(t, lab.Options{Scenario: "incident"})
			h, c := l.World().Host("green"), dial(t, l, "green")
			if test.compose != "" {
				h.InstallCompose(test.compose)
			}
			run := func(verb, stdin string) (string, int) {
				t.Helper()
				out, errs, status := exec(t, c, `sh -c 'cd -- "$1" && shift && exec "$@" 2>&1' sh / `+test.program+" "+verb, stdin)
				return out + errs, status
			}
			if out, status := run("-p probe -f - up --no-start --no-build", probe); status != 0 {
				t.Fatalf("creating: %d\n%s", status, out)
			}
			out, status := run("-p probe -f - up --no-start --no-build --force-recreate", probe)
			if status != test.again || status != 0 && !strings.Contains(out, "\nKeyError: 'ContainerConfig'\n[") {
				t.Errorf("recreating: %d\n%s", status, out)
			}
			if out, status := run("-p probe -f - down", probe); status != 0 {
				t.Errorf("down: %d\n%s", status, out)
			}
			left, err := docker(t, c).ContainerList(t.Context(), container.ListOptions{All: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range left {
				if one.Labels["com.docker.compose.project"] == "probe" {
					t.Errorf("left behind: %v", one.Names)
				}
			}
		})
	}
}

// TestComposeUp: what is as the file says stays; what is gone comes back the same, network
// and all.
func TestComposeUp(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "blue")
	d := docker(t, c)
	const project = "docker-compose --project-name tis --project-directory /opt/tis -f /opt/tis/docker-compose.yml "
	before, err := d.ContainerInspect(t.Context(), "tis_reference_1")
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, status := exec(t, c, project+"up -d --no-deps --no-build reference", ""); status != 0 || !strings.Contains(errs, "tis_reference_1 is up-to-date") {
		t.Errorf("up of what is up: %d, %s", status, errs)
	}
	exec(t, c, project+"down", "")
	out, errs, status := exec(t, c, project+"up -d --no-deps --no-build reference; "+project+"up --no-start --no-deps sync; "+project+"config --services | head -n 2; "+project+"ps -q reference | wc -l", "")
	if lines := strings.Fields(out); status != 0 || len(lines) != 3 || lines[2] != "1" || !strings.Contains(errs, `Creating network "tis_default"`) {
		t.Fatalf("status %d, %q, %s", status, out, errs)
	}
	after, err := d.ContainerInspect(t.Context(), "tis_reference_1")
	if err != nil || after.ID == before.ID || !after.State.Running {
		t.Fatalf("%+v, %v", after.State, err)
	}
	if strings.Join(after.Config.Env, " ") != strings.Join(before.Config.Env, " ") || after.HostConfig.Memory != before.HostConfig.Memory ||
		after.HostConfig.RestartPolicy != before.HostConfig.RestartPolicy || strings.Join(after.HostConfig.Binds, " ") != strings.Join(before.HostConfig.Binds, " ") ||
		after.Config.Labels["com.docker.compose.config-hash"] != before.Config.Labels["com.docker.compose.config-hash"] {
		t.Errorf("not the same:\n%+v\n%+v", before.Config, after.Config)
	}
	if idle, err := d.ContainerInspect(t.Context(), "tis_sync_1"); err != nil || idle.State.Status != "created" {
		t.Errorf("sync: %+v, %v", idle.State, err)
	}
}

func TestComposeNeedsTheSocket(t *testing.T) {
	l := start(t, lab.Options{})
	c, err := dialAs(t, l, "blue", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, status := exec(t, c, "docker-compose -f /opt/tis/docker-compose.yml ps", ""); status != 1 || !strings.Contains(errs, "Permission denied") {
		t.Errorf("status %d, %s", status, errs)
	}
	if _, errs, status := exec(t, c, "docker-compose -f /opt/tis/nope.yml config -q", ""); status != 1 || !strings.Contains(errs, "No such file") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestTrace: a side that was asked out while its peer was out is found.
func TestTrace(t *testing.T) {
	for _, test := range []struct {
		first, second string
		ok            bool
	}{{"blue", "blue", true}, {"blue", "green", false}} {
		l := start(t, lab.Options{})
		l.HAProxy().Do("set server tis/" + test.first + " state drain")
		l.HAProxy().Do("set server tis/" + test.second + " state maint")
		bad, ok := lab.AlwaysServed(l.Trace())
		if ok != test.ok || !ok && (bad.Side != "green" || bad.State != "out") {
			t.Errorf("%s, %s: %+v, %v", test.first, test.second, bad, ok)
		}
	}
}
