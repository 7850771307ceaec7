package steps

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/remote"
)

// poolsInLab is a pair of the lab, over SSH and the Docker API, fifty times as fast as ours.
func poolsInLab(t *testing.T) (*world, *lab.Host, func(id string) ops.Env) {
	t.Helper()
	l, err := lab.Start(lab.Options{Scenario: "calm", Dir: t.TempDir(), Speed: 50})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	config := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(config, []byte("IdentityAgent none\n"), 0o600))
	hosts := map[ops.Side]ops.Host{}
	for _, side := range ops.Sides {
		h, err := remote.New(remote.Target{
			Side: side, SSH: "ops@" + l.World().Host(string(side)).Address(), Identity: l.KeyPath(), KnownHosts: l.KnownHostsPath(), SSHConfig: config,
		}, remote.Options{HandshakeTimeout: time.Second, CommandTimeout: 2 * time.Second})
		must(t, err)
		t.Cleanup(func() { h.Close() })
		hosts[side] = h
	}
	w := newWorld()
	return w, l.World().Host("green"), func(id string) ops.Env {
		env := w.envOf(id)
		env.Hosts, env.Poll = hosts, 20*time.Millisecond
		return env
	}
}

func labPools(base string, size int, revert, within time.Duration) Pools {
	return Pools{Side: ops.Green, Pools: []ops.Pool{{Base: netip.MustParsePrefix(base), Size: size}}, Revert: revert, Within: within, File: daemonFile}
}

// The same step over the wire.
func TestPoolsInTheLab(t *testing.T) {
	w, there, env := poolsInLab(t)
	p := labPools("10.200.0.0/16", 24, 30*time.Minute, 20*time.Second)
	before, err := env("look").Hosts[ops.Green].Net(t.Context())
	must(t, err)
	if _, err := carryOut(t, p, env("pools")); err != nil {
		t.Fatalf("%v\nsaid %q", err, w.said)
	}
	var was settings
	if _, err := env("pools").Log.Recall(keyFile, &was); err != nil || was.Peer.String() != "10.0.1.11:22" {
		t.Errorf("before, it reached its peer at %s, %v", was.Peer, err)
	}
	now, err := env("look").Hosts[ops.Green].Net(t.Context())
	must(t, err)
	if !slices.Equal(now.Pools, p.Pools) || len(there.Timers()) != 0 {
		t.Errorf("pools %v, timers %v", now.Pools, there.Timers())
	}
	if verdict, err := p.Check(t.Context(), env("pools")); verdict != ops.AlreadyDone || err != nil {
		t.Errorf("again: %v %v", verdict, err)
	}
	must(t, p.Undo(t.Context(), env("pools")))
	if now, err = env("look").Hosts[ops.Green].Net(t.Context()); err != nil || now.Daemon != before.Daemon || !slices.Equal(now.Pools, before.Pools) {
		t.Errorf("undone: %+v, %v", now, err)
	}
}

// What dockerd would not start with is refused by dockerd itself, before anything changes.
func TestPoolsNotValidInTheLab(t *testing.T) {
	_, there, env := poolsInLab(t)
	host := env("look").Hosts[ops.Green]
	must(t, there.Upgrade("26.1.5"))
	must(t, host.WriteFile(t.Context(), daemonFile, []byte(`{"new-thing": 1}`), 0o644, true))
	_, err := carryOut(t, labPools("10.200.0.0/16", 24, time.Minute, 5*time.Second), env("pools"))
	wantErr(t, err, "new-thing")
	if len(there.Timers()) != 0 {
		t.Errorf("timers %v", there.Timers())
	}
}
