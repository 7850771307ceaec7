package haproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/lb/lbtest"
)

// labPair is an HAProxy of the lab with the pair in two backends.
type labPair struct {
	*lab.HAProxy
	conf    Config
	healthy sync.Map // server -> bool
}

func newLabPair(t *testing.T, network string) *labPair {
	t.Helper()
	p := &labPair{}
	address := ""
	if network == "unix" {
		dir, err := os.MkdirTemp("", "lb") // t.TempDir may be too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "admin.sock")
	}
	server := func(name string, weight int) lab.HAProxyServer {
		return lab.HAProxyServer{Name: name, Addr: "10.0.1.11:80", Weight: weight, Inter: 15 * time.Millisecond, Healthy: func() bool {
			ok, set := p.healthy.Load(name)
			return !set || ok.(bool)
		}}
	}
	h, err := lab.NewHAProxy(lab.HAProxyOptions{Network: network, Address: address, Backends: []lab.HAProxyBackend{
		{Name: "tis", Servers: []lab.HAProxyServer{server("b1", 1), server("g1", 10)}},
		{Name: "api", Servers: []lab.HAProxyServer{server("b1", 1), server("g1", 1), {Name: "spare", Backup: true, NoCheck: true}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	p.HAProxy = h
	p.conf = Config{Socket: h.URL(), Backends: []string{"tis", "api"}, Servers: map[ops.Side]string{ops.Blue: "b1", ops.Green: "g1"}}
	return p
}

func (p *labPair) client(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	conf := p.conf
	if change != nil {
		change(&conf)
	}
	c, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// changes counts the commands that would change something.
func (p *labPair) changes() int {
	n := 0
	for _, command := range p.Commands() {
		if !strings.HasPrefix(command, "show ") {
			n++
		}
	}
	return n
}

// exact is the administrative state and the weight of a server, without the client.
func exact(servers string, name string) string {
	var out []string
	for line := range strings.Lines(servers) {
		if f := strings.Fields(line); len(f) > 8 && f[3] == name {
			out = append(out, fmt.Sprintf("%s admin %s weight %s of %s", f[1], f[6], f[7], f[8]))
		}
	}
	return strings.Join(out, "\n")
}

func TestContractOnTheLab(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			lbtest.Run(t, func(t *testing.T) lbtest.Fixture {
				p := newLabPair(t, network)
				var readOnly atomic.Bool
				fence := new(lbtest.Fence)
				return lbtest.Fixture{
					Kind:        "haproxy",
					Balancer:    p.client(t, func(c *Config) { c.ReadOnly, c.Fence = readOnly.Load, fence.Ask }),
					SetHealthy:  func(side ops.Side, ok bool) { p.healthy.Store(p.conf.Servers[side], ok) },
					SetSessions: func(side ops.Side, n int) { p.SetSessions(p.conf.Servers[side], n) },
					Reload:      p.Reload,
					Deny:        func() { p.SetLevel("operator") },
					Break: func() {
						if err := p.Refuse(true); err != nil {
							t.Error(err)
						}
					},
					Unknown:  func() ops.Balancer { return p.client(t, func(c *Config) { c.Backends = []string{"tis", "nope"} }) },
					ReadOnly: readOnly.Store, Fence: fence,
					Disturb: func(side ops.Side) {
						p.Do("set server tis/" + p.conf.Servers[side] + " weight 3")
						p.Do("set server api/" + p.conf.Servers[side] + " state maint")
					},
					Exact:   func(side ops.Side) string { return exact(p.Do("show servers state"), p.conf.Servers[side]) },
					Changes: p.changes,
				}
			})
		})
	}
}
