package steps

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/remote"
)

// inLab is a world whose green host is one of the lab, over SSH and the Docker API.
func inLab(t *testing.T, scenario string) (*world, *lab.Host, map[string]ops.Host) {
	t.Helper()
	l, err := lab.Start(lab.Options{Scenario: scenario, Dir: t.TempDir(), Speed: 50})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	config := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(config, []byte("IdentityAgent none\n"), 0o600))
	there := l.World().Host("green")
	h, err := remote.New(remote.Target{
		Side: ops.Green, SSH: "ops@" + there.Address(), Identity: l.KeyPath(), KnownHosts: l.KnownHostsPath(), SSHConfig: config,
	}, remote.Options{})
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return newWorld(), there, map[string]ops.Host{"green": h}
}

func labEnv(w *world, hosts map[string]ops.Host, id string) ops.Env {
	env := w.envOf(id)
	env.Hosts, env.Poll = map[ops.Side]ops.Host{ops.Green: hosts["green"]}, 20*time.Millisecond
	return env
}

// project is what the labels of a service's containers say of its compose project.
func project(t *testing.T, env ops.Env, service string, command ...string) (Compose, []Was) {
	t.Helper()
	_, all, err := list(t.Context(), env, ops.Green)
	must(t, err)
	var was []Was
	var c Compose
	for _, at := range all {
		if at.Labels[labelService] != service {
			continue
		}
		c = Compose{
			Command: command, Project: at.Labels[labelProject], Service: service, Directory: at.Labels["com.docker.compose.project.working_dir"],
			Files: strings.Split(at.Labels["com.docker.compose.project.config_files"], ","),
		}
		was = append(was, Was{Name: at.Name, ID: at.ID})
	}
	return c, was
}

// The same steps over the wire, with both lines of compose.
func TestStartInTheLab(t *testing.T) {
	for _, test := range []struct {
		name, version string
		how           ops.StartWay
		command       []string
	}{
		{"compose 1", "1.29.2", ops.StartCompose, []string{"docker-compose"}},
		{"compose 2", "2.26.1", ops.StartCompose, []string{"docker", "compose"}},
		{"engine", "", ops.StartAPI, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, there, hosts := inLab(t, "calm")
			there.InstallCompose(test.version)
			c, was := project(t, labEnv(w, hosts, "look"), "tcs", test.command...)
			if test.how == ops.StartCompose {
				_, err := carryOut(t, Preflight{Side: ops.Green, Run: "R1.x", How: test.how, Compose: c}, labEnv(w, hosts, "preflight"))
				must(t, err)
			}
			svc := ops.Service{Name: "tcs"}
			for _, s := range []ops.Step{
				Hold{Side: ops.Green, Containers: was}, Stop{Side: ops.Green, Service: svc, Containers: was, From: "hold", Stop: time.Second, Within: time.Minute},
				Remove{Side: ops.Green, Containers: was, From: "hold"},
				Start{Side: ops.Green, Service: svc, Containers: was, From: "hold", How: test.how, Compose: c, Within: time.Minute, Stop: time.Second},
				Unhold{Side: ops.Green, Containers: was, From: "hold", Within: time.Minute},
			} {
				if _, err := carryOut(t, s, labEnv(w, hosts, s.Kind())); err != nil {
					t.Fatalf("%s: %v\nsaid %q", s.Title(), err, w.said)
				}
			}
			if said := strings.Join(w.said, "\n"); strings.Contains(said, "could not keep") {
				t.Errorf("something is lost:\n%s", said)
			}
			_, now := project(t, labEnv(w, hosts, "look"), "tcs")
			if len(now) != len(was) || slices.ContainsFunc(now, func(n Was) bool { return slices.ContainsFunc(was, func(w Was) bool { return w.ID == n.ID }) }) {
				t.Errorf("now %v, was %v", now, was)
			}
		})
	}
}

// The incident: compose 1.29.2 was left behind by the engine.
func TestPreflightInTheIncident(t *testing.T) {
	w, there, hosts := inLab(t, "incident")
	there.RestartEngine()
	must(t, wait(t.Context(), labEnv(w, hosts, "look"), time.Minute, func() (bool, string, error) {
		_, _, err := list(t.Context(), labEnv(w, hosts, "look"), ops.Green)
		return err == nil, "", nil
	}))
	c, _ := project(t, labEnv(w, hosts, "look"), "tcs", "docker-compose")
	_, err := carryOut(t, Preflight{Side: ops.Green, Run: "R1.x", How: ops.StartCompose, Compose: c}, labEnv(w, hosts, "preflight"))
	wantErr(t, err, "KeyError: 'ContainerConfig'")
	var p *ops.Problem
	if !errors.As(err, &p) || !strings.Contains(p.Hint, "--start api") {
		t.Errorf("hint of %+v", cmp.Or(p, &ops.Problem{}))
	}
	engine, _, err := list(t.Context(), labEnv(w, hosts, "look"), ops.Green)
	must(t, err)
	if left, err := FindLeftovers(t.Context(), engine); !left.Empty() || err != nil {
		t.Errorf("left %v %v", left, err)
	}
}
