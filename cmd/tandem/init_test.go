package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/lab"
)

// TestInit drafts the config of a lab and works with it.
func TestInit(t *testing.T) {
	t.Parallel()
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Speed: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	own, err := config.Load(l.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "tandem.yaml")
	tandem := func(args ...string) (string, error) {
		cmd := self(args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir, "TANDEM_CONFIG="+file, "TANDEM_OPERATOR=ada@desk1", "SSH_AUTH_SOCK=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	init := func(more ...string) (string, error) {
		blue := own.Hosts[ops.Blue]
		return tandem(append([]string{
			"init", "blue=" + blue.SSH, "green=" + own.Hosts[ops.Green].SSH, "--identity", blue.Identity, "--known-hosts", blue.KnownHosts,
			"--haproxy", own.Balancer.HAProxy.Socket,
		}, more...)...)
	}
	sent := len(l.Requests())
	out, err := init()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, r := range l.Requests()[sent:] {
		if r.Mutating {
			t.Errorf("looking has changed something: %+v", r)
		}
	}
	for _, want := range []string{"14 services", "start order from depends_on of the compose files", "HAProxy answers"} {
		if !strings.Contains(out, want) {
			t.Errorf("init does not say %q:\n%s", want, out)
		}
	}
	drafted, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, s := range drafted.Pair.Services {
		at[s.Name] = i
	}
	for _, s := range own.Pair.Services {
		i, ok := at[s.Name]
		if !ok {
			t.Errorf("%s is missing", s.Name)
			continue
		}
		got := drafted.Pair.Services[i]
		if got.Only != s.Only {
			t.Errorf("%s is only on %q, not on %q", s.Name, got.Only, s.Only)
		}
		for _, dep := range s.After {
			if !slices.Contains(got.After, dep) {
				t.Errorf("%s is after %v, not after %s", s.Name, got.After, dep)
			}
		}
	}
	if got, want := drafted.Balancer.HAProxy, own.Balancer.HAProxy; !slices.Equal(got.Backends, want.Backends) || got.Servers[ops.Blue] != want.Servers[ops.Blue] {
		t.Errorf("the balancer is %+v, not %+v", got, want)
	}
	for _, command := range [][]string{{"config", "check"}, {"status"}} {
		if out, err := tandem(command...); err != nil {
			t.Errorf("tandem %v: %v\n%s", command, err, out)
		}
	}

	if out, err := init(); err == nil || !strings.Contains(out, "is there already") {
		t.Errorf("a config that is there: %v, %s", err, out)
	}
	for _, args := range [][]string{{"init", "blue=a"}, {"init", "blue=a", "blue=b"}, {"init", "red=a", "green=b"}, {"init", "blue=", "green=b"}} {
		if out, err := tandem(args...); err == nil {
			t.Errorf("tandem %v is taken: %s", args, out)
		}
	}
}
