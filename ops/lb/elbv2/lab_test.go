package elbv2

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/lb/lbtest"
)

// labPair is an ELBv2 of the lab with the pair in two groups, one of them on a port of its
// own.
type labPair struct {
	*lab.ELBv2
	conf Config
	sick sync.Map // target ID -> bool
}

func newLabPair(t *testing.T, change func(*lab.ELBv2Options)) *labPair {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "lab")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "lab")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	opts := lab.ELBv2Options{Registration: 30 * time.Millisecond, Groups: []lab.ELBv2Group{
		{Name: "tis-web", Balancer: "tis", Targets: []lab.ELBv2Target{{ID: "i-0aaa", Zone: "eu-west-2a"}, {ID: "i-0bbb", Zone: "eu-west-2b"}}},
		{Name: "tis-api", Balancer: "tis", Port: 8080, Targets: []lab.ELBv2Target{{ID: "i-0aaa"}, {ID: "i-0bbb", Port: 8085}}},
	}}
	if change != nil {
		change(&opts)
	}
	e, err := lab.NewELBv2(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &labPair{ELBv2: e}
	e.SetHealthy(func(id string, _ int) bool {
		_, sick := p.sick.Load(id)
		return !sick
	})
	p.conf = Config{Region: "eu-west-2", Endpoint: e.URL(), TargetGroups: []string{"tis-web", lab.ELBv2ARN("tis-api")},
		Targets: map[ops.Side]string{ops.Blue: "i-0aaa", ops.Green: "i-0bbb"}}
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
	c.poll = 10 * time.Millisecond
	return c
}

func (p *labPair) changes() []string {
	return slices.DeleteFunc(p.Calls(), func(call string) bool { return strings.HasPrefix(call, "Describe") })
}

func (p *labPair) exact(side ops.Side) string {
	var out []string
	for _, g := range []string{"tis-web", "tis-api"} {
		for _, line := range p.Registered(g) {
			if strings.HasPrefix(line, p.conf.Targets[side]+":") {
				out = append(out, g+" "+line)
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestContract(t *testing.T) {
	lbtest.Run(t, func(t *testing.T) lbtest.Fixture {
		p := newLabPair(t, nil)
		var readOnly atomic.Bool
		fence := new(lbtest.Fence)
		return lbtest.Fixture{
			Kind:     "elbv2",
			Balancer: p.client(t, func(c *Config) { c.ReadOnly, c.Fence = readOnly.Load, fence.Ask }),
			SetHealthy: func(side ops.Side, ok bool) {
				if ok {
					p.sick.Delete(p.conf.Targets[side])
				} else {
					p.sick.Store(p.conf.Targets[side], true)
				}
			},
			Deny: func() { p.ELBv2.Deny("DeregisterTargets", 0) },
			Break: func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			},
			Unknown: func() ops.Balancer {
				return p.client(t, func(c *Config) { c.TargetGroups = []string{"tis-web", "tis-wab"} })
			},
			ReadOnly: readOnly.Store, Fence: fence,
			Disturb: func(side ops.Side) {
				if err := p.client(t, func(c *Config) { c.TargetGroups = []string{"tis-web"} }).Drain(t.Context(), side); err != nil {
					t.Error(err)
				}
			},
			Exact:   p.exact,
			Changes: func() int { return len(p.changes()) },
		}
	})
}
