package remote

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"tandem/ops"
	"tandem/ops/lab"
)

// ofService finds a service's container on a host of the lab.
func ofService(t *testing.T, h *Host, service string) ops.Container {
	t.Helper()
	list, err := labEngine(t, h).Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(c ops.Container) bool { return c.Labels["com.docker.compose.service"] == service })
	if i < 0 {
		t.Fatalf("no container of %s", service)
	}
	return list[i]
}

// Of the environment names alone are known, and where a value is another one.
func TestLabDetailHasNoSecrets(t *testing.T) {
	l, err := lab.Start(lab.Options{Scenario: "drift", Dir: t.TempDir(), Speed: 50})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	details := map[ops.Side]ops.Detail{}
	for _, side := range ops.Sides {
		h := newHost(t, Target{
			Side: side, SSH: "ops@" + l.World().Host(string(side)).Address(), Identity: l.KeyPath(), KnownHosts: l.KnownHostsPath(),
			SSHConfig: write(t, "config", "IdentityAgent none\n"),
		}, Options{})
		d, err := h.Detail(t.Context(), ofService(t, h, "profile").ID)
		if err != nil {
			t.Fatal(err)
		}
		details[side] = d
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, all := range []string{string(text), fmt.Sprintf("%+v", d)} {
			for _, secret := range []string{"lab-of-last-year", "lab-", "mysql.example", "1789MB", "securerandom"} {
				if strings.Contains(all, secret) {
					t.Errorf("%s: %q left the host: %s", side, secret, all)
				}
			}
		}
	}
	values := func(d ops.Detail) map[string]ops.Print {
		m := map[string]ops.Print{}
		for _, v := range d.Env {
			m[v.Name] = v.Value
		}
		return m
	}
	blue, green := values(details[ops.Blue]), values(details[ops.Green])
	if _, there := green["PROFILE_CACHE_SIZE"]; there || blue["PROFILE_CACHE_SIZE"] == (ops.Print{}) {
		t.Error("a variable of one side only is not")
	}
	if blue["DB_PASSWORD"] == green["DB_PASSWORD"] || blue["DB_HOST"] != green["DB_HOST"] || blue["DB_HOST"] == (ops.Print{}) {
		t.Errorf("prints: %v %v", blue, green)
	}
	d := details[ops.Green]
	if details[ops.Blue].Command != d.Command || d.Program != "java" || d.Args != 3 {
		t.Errorf("command: %+v", d)
	}
	if len(d.Digests) != 1 || !strings.HasPrefix(d.Digests[0], "tis/profile@sha256:") || len(d.Mounts) != 1 || !d.Mounts[0].ReadOnly || d.Mounts[0].Place != "/config" ||
		len(d.Ends) != 1 || d.Ends[0].Address == "" || len(d.Checks) != maxChecks || d.Checks[0].Output == "" || d.Checks[0].At.Before(d.Checks[1].At) || d.Caps.Memory != 1<<30 || len(d.Ports) == 0 {
		t.Errorf("incomplete: %+v", d)
	}
}

// A container whose image was removed by force still has details.
func TestDetailWithoutState(t *testing.T) {
	d := detailed(container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{ID: "a"}, Config: &container.Config{Env: []string{"EMPTY=", "BARE"}}})
	if len(d.Env) != 2 || d.Env[0].Name != "BARE" || d.Env[0].Value == d.Env[1].Value {
		t.Errorf("%+v", d.Env)
	}
}

func TestPrints(t *testing.T) {
	same := func(a, b ops.Print) bool { return a == b }
	if !same(printOf("env", "A", "x"), printOf("env", "A", "x")) {
		t.Error("the same secret has two prints")
	}
	if same(printOf("env", "A", "bc"), printOf("env", "Ab", "c")) || same(printOf("env", "A"), printOf("command", "A")) {
		t.Error("two secrets have one print")
	}
}

// Two readings tell the load, on engines of both lines and with both versions of control groups.
func TestLabSample(t *testing.T) {
	for name, world := range map[string]struct {
		scenario string
		side     ops.Side
		cgroup   int
	}{"20.10, v1": {"calm", ops.Blue, 1}, "20.10, v2": {"calm", ops.Blue, 2}, "26.1, v2": {"incident", ops.Green, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, w := inLab(t, world.scenario, world.side)
			w.Cgroup(world.cgroup)
			id := ofService(t, h, "apache").ID
			first, err := h.Sample(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			second, err := h.Sample(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			load, known := ops.Load(first, second)
			if !known || load < 0 || load > 4 {
				t.Errorf("load %v %v of %+v %+v", load, known, first, second)
			}
			// The cache that was not used lately does not count.
			if first.Limit != 1<<30 || first.Memory < 20<<20 || first.Memory > 60<<20 {
				t.Errorf("memory %d of %d", first.Memory, first.Limit)
			}
		})
	}
}

func TestLabSampleOfWhatDoesNotRun(t *testing.T) {
	h, _ := inLab(t, "one-down", ops.Green)
	s, err := h.Sample(t.Context(), ofService(t, h, "tcs").ID)
	if err != nil || s.Running() {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := h.Sample(t.Context(), "nobody"); err == nil {
		t.Error("a container that there is not has been read")
	}
}

// used is `docker stats`' own rule (docker/cli, stats_helpers_test.go).
func TestUsed(t *testing.T) {
	for text, want := range map[string]uint64{
		`{"memory_stats":{"usage":500,"stats":{"total_inactive_file":100,"inactive_file":50}}}`:  400,
		`{"memory_stats":{"usage":500,"stats":{"inactive_file":100}}}`:                           400,
		`{"memory_stats":{"usage":500,"stats":{"total_inactive_file":900,"inactive_file":900}}}`: 500,
		`{"memory_stats":{"usage":500}}`:                                                         500,
		`{}`:                                                                                     0,
	} {
		var s sampled
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got := s.used(); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}
