package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lb/haproxy"
	"tandem/ops/lb/lbtest"
	"tandem/ops/remote"
	"tandem/ops/rig"
)

// way is a way to HAProxy's sockets: the one of level admin and the one of level user.
type way struct {
	admin, user string // as a config spells them
	via         bool   // reached over SSH
}

// TestE2EBalancerContract runs the contract of every balancer over the rig's HAProxy, on
// each way to its socket.
func TestE2EBalancerContract(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	r := rig.Shared(t)
	path, address := r.HAProxySocket()
	userPath, userAddress := r.HAProxyUserSocket()
	for name, w := range map[string]way{
		"unix": {"unix://" + path, "unix://" + userPath, false},
		"tcp":  {"tcp://" + address, "tcp://" + userAddress, false},
		"ssh":  {"unix:///srv/haproxy/admin.sock", "unix:///srv/haproxy/user.sock", true},
	} {
		t.Run(name, func(t *testing.T) {
			dial := (&net.Dialer{}).DialContext
			if w.via {
				dial = overSSH(t, r)
			}
			lbtest.Run(t, func(t *testing.T) lbtest.Fixture { return contract(t, r, w, dial) })
		})
	}
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// overSSH dials from blue.
func overSSH(t *testing.T, r *rig.Rig) dialer {
	t.Helper()
	dir := t.TempDir()
	if _, err := r.Config(dir); err != nil {
		t.Fatal(err)
	}
	host, err := remote.New(remote.Target{
		Name: "lb", SSH: "root@10.213.77.11:22", Identity: filepath.Join(dir, "id_ed25519"), KnownHosts: filepath.Join(dir, "known_hosts"),
	}, remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host.DialContext
}

func contract(t *testing.T, r *rig.Rig, w way, dial dialer) lbtest.Fixture {
	e := &e2e{T: t, rig: r, seat: &seat{}}
	e.serving()
	var changes atomic.Int64
	var denied, readOnly atomic.Bool
	fence := new(lbtest.Fence)
	conf := haproxy.Config{
		Socket: w.admin, Backends: rig.Backends[:], Servers: map[ops.Side]string{ops.Blue: "blue", ops.Green: "green"}, ReadOnly: readOnly.Load, Fence: fence.Ask,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if denied.Load() {
				_, address, _ = strings.Cut(w.user, "://")
			}
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return watched{conn, &changes}, nil
		},
	}
	if w.via {
		conf.Via = "root@10.213.77.11"
	}
	open := func(c haproxy.Config) ops.Balancer {
		client, err := haproxy.New(c)
		e.must(err)
		t.Cleanup(func() { client.Close() })
		return client
	}
	return lbtest.Fixture{
		Kind:        "haproxy",
		Balancer:    open(conf),
		SetHealthy:  e.setHealthy,
		SetSessions: e.setSessions,
		Reload:      func() { e.must(r.ReloadHAProxy(t.Context())) },
		Deny:        func() { denied.Store(true) },
		Break:       func() { e.must(r.StopHAProxy()) },
		Unknown: func() ops.Balancer {
			c := conf
			c.Servers = map[ops.Side]string{ops.Blue: "blue", ops.Green: "g7"}
			return open(c)
		},
		ReadOnly: readOnly.Store, Fence: fence,
		Disturb: func(side ops.Side) {
			e.haproxy("set server tis/%s weight 3", side)
			e.haproxy("set server tis-api/%s state maint", side)
		},
		Exact:   e.exact,
		Changes: func() int { return int(changes.Load()) },
	}
}

// watched counts the commands that change something.
type watched struct {
	net.Conn
	changes *atomic.Int64
}

func (c watched) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, []byte("show ")) {
		c.changes.Add(1)
	}
	return c.Conn.Write(b)
}

// haproxy sends a command as an administrator, without tandem's client.
func (e *e2e) haproxy(format string, args ...any) string {
	e.Helper()
	said, err := e.rig.HAProxy(fmt.Sprintf(format, args...))
	e.must(err)
	return said
}

// serving brings HAProxy alone to calm: the contract touches nothing else for long.
func (e *e2e) serving() {
	e.Helper()
	e.must(e.rig.StartHAProxy(e.Context()))
	for _, backend := range rig.Backends {
		for _, side := range ops.Sides {
			e.haproxy("set server %s/%s state ready", backend, side)
			e.haproxy("set server %s/%s weight 100%%", backend, side)
		}
	}
	for _, side := range ops.Sides {
		e.isServer(side, "UP")
	}
}

// setHealthy makes the check of a side fail: what answers it refuses every connection.
func (e *e2e) setHealthy(side ops.Side, ok bool) {
	e.Helper()
	rule := func(ctx context.Context, act string) error {
		_, err := e.rig.Side(string(side)).Exec(ctx, "iptables", "--wait", act, "DOCKER-USER", "--protocol", "tcp",
			"--match", "conntrack", "--ctorigdstport", "80", "--jump", "REJECT", "--reject-with", "tcp-reset")
		return err
	}
	if ok {
		e.must(rule(e.Context(), "--delete"))
		return
	}
	e.must(rule(e.Context(), "--insert"))
	e.Cleanup(func() {
		ctx := context.WithoutCancel(e.Context())
		if rule(ctx, "--check") == nil {
			if err := rule(ctx, "--delete"); err != nil {
				e.Errorf("mending %s: %v", side, err)
			}
		}
	})
}

// setSessions holds requests open on one side, or ends those that are.
func (e *e2e) setSessions(side ops.Side, n int) {
	e.Helper()
	if n == 0 {
		for _, backend := range rig.Backends {
			e.haproxy("shutdown sessions server %s/%s", backend, side)
		}
		return
	}
	e.haproxy("set server tis/%s state drain", side.Peer())
	e.hold(e.Context(), n, 30*time.Second)
	e.eventually(fmt.Sprintf("%d sessions on %s", n, side), patience, func() error {
		if now := e.current(side); now != n {
			return fmt.Errorf("%d", now)
		}
		return nil
	})
	e.haproxy("set server tis/%s state ready", side.Peer())
	e.isServer(side.Peer(), "UP")
}

// exact is the side's state in every backend, down to the weight.
func (e *e2e) exact(side ops.Side) string {
	e.Helper()
	var out []string
	for line := range strings.Lines(e.haproxy("show servers state")) {
		// be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight ...
		if f := strings.Fields(line); len(f) > 8 && f[3] == string(side) {
			out = append(out, fmt.Sprintf("%s admin %s weight %s of %s", f[1], f[6], f[7], f[8]))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
