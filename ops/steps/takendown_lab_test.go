package steps

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/remote"
)

// Hold, stop, reboot and remove over SSH and the Docker API, on a host of the lab, and back.
func TestTakenDownInTheLab(t *testing.T) {
	l, err := lab.Start(lab.Options{Scenario: "calm", Dir: t.TempDir(), Speed: 200})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	noAgent := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(noAgent, []byte("IdentityAgent none\n"), 0o600))
	host, err := remote.New(remote.Target{
		Side: ops.Green, SSH: "ops@" + l.World().Host("green").Address(), Identity: l.KeyPath(), KnownHosts: l.KnownHostsPath(), SSHConfig: noAgent,
	}, remote.Options{})
	must(t, err)
	t.Cleanup(func() { host.Close() })

	w := newWorld()
	env := func(id string) ops.Env {
		env := w.envOf(id)
		env.Hosts, env.Poll = map[ops.Side]ops.Host{ops.Green: host}, 20*time.Millisecond
		return env
	}
	_, before, err := list(t.Context(), env(""), ops.Green)
	must(t, err)
	type act struct {
		id   string
		step ops.Step
	}
	var all []Was
	var stops []act
	for _, c := range before { // the latest made first, which is the order to stop in
		was := Was{Name: c.Name, ID: c.ID}
		all = append(all, was)
		if c.State == "running" {
			stops = append(stops, act{"stop " + c.Name, Stop{
				Side: ops.Green, Service: ops.Service{Name: c.Name}, Containers: []Was{was}, From: holdID, Stop: 10 * time.Second, Within: time.Minute,
			}})
		}
	}
	down := append([]act{{holdID, Hold{Side: ops.Green, Containers: all}}}, stops...)
	down = append(down,
		act{rebootID, Reboot{Side: ops.Green, Within: time.Minute, Quiet: []string{all[0].Name}}},
		act{removeID, Remove{Side: ops.Green, Containers: all, From: holdID}})
	for _, d := range down {
		if verdict, err := carryOut(t, d.step, env(d.id)); verdict != ops.Ready || err != nil {
			t.Fatalf("%s: %s, %v", d.step.Title(), verdict, err)
		}
	}
	for _, d := range slices.Backward(down) {
		if err := d.step.Undo(t.Context(), env(d.id)); err != nil && !errors.Is(err, ops.ErrNoUndo) {
			t.Fatalf("taking back: %s: %v", d.step.Title(), err)
		}
	}
	_, after, err := list(t.Context(), env(""), ops.Green)
	must(t, err)
	if len(after) != len(before) {
		t.Errorf("%d containers, %d before", len(after), len(before))
	}
	for _, was := range before {
		c := after.byName(was.Name)
		if c == nil || c.Policy != was.Policy || c.ImageID != was.ImageID || (c.State == "running") != (was.State == "running") || c.ID == was.ID {
			t.Errorf("%+v\nafter %+v", was, c)
		}
	}
}
