package lab

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// balancer is what the lab asks of its load balancer, whichever kind it is.
type balancer interface {
	config() string      // its part of tandem.yaml
	request()            // one made-up request from outside
	requests() []Request // what was asked of its runtime socket
	trace() []Turn
	Close() error
}

// Made-up traffic: so many requests a second, each open for a while as a session.
const (
	requestEvery = 80 * time.Millisecond
	requestHold  = 3500 * time.Millisecond
	chatterEvery = 25 // requests to a line of log of some service
)

// newBalancer opens the balancer in front of the world. out is a side that was taken out
// before the lab began.
func newBalancer(o Options, w *World, out string) (balancer, error) {
	switch o.Balancer {
	case "haproxy":
		return newHAProxyBalancer(w, out)
	case "elbv2":
		return newELBv2Balancer(w, out)
	}
	return nil, fmt.Errorf("there is no balancer %q: there are haproxy and elbv2", o.Balancer)
}

type haproxyBalancer struct{ *HAProxy }

func newHAProxyBalancer(w *World, out string) (balancer, error) {
	var servers []HAProxyServer
	for i, side := range Sides {
		servers = append(servers, HAProxyServer{
			Name: side, Addr: fmt.Sprintf("10.0.1.%d:80", 11+i), Inter: max(w.pace(time.Second), 10*time.Millisecond), Fall: 2, Rise: 2,
			Healthy: func() bool { return w.Serving(side) },
		})
	}
	h, err := NewHAProxy(HAProxyOptions{Backends: []HAProxyBackend{{Name: "tis", Servers: servers}}, Hold: requestHold, Listen: w.listen, OnChange: w.onChange})
	if err != nil {
		return nil, err
	}
	if out != "" {
		h.mu.Lock()
		h.answer("set server tis/" + out + " state maint")
		h.mu.Unlock()
	}
	return haproxyBalancer{h}, nil
}

func (b haproxyBalancer) config() string {
	return fmt.Sprintf("balancer:\n  kind: haproxy\n  haproxy: {socket: %q, backends: [tis], servers: {blue: blue, green: green}}\n", b.URL())
}

func (b haproxyBalancer) request() { b.Request() }

func (b haproxyBalancer) requests() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.HAProxy.commands)
}

func (b haproxyBalancer) trace() []Turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.turns.all)
}

// targets are the sides' instances.
var targets = map[string]string{"blue": "i-0a1b2c3d4e5f60001", "green": "i-0a1b2c3d4e5f60002"}

type elbv2Balancer struct{ *ELBv2 }

func newELBv2Balancer(w *World, out string) (balancer, error) {
	delay := strconv.FormatFloat(w.pace(20*time.Second).Seconds(), 'f', 3, 64)
	var groups []ELBv2Group
	for name, port := range map[string]int{"tis-web": 80, "tis-api": 8080} {
		g := ELBv2Group{Name: name, Port: port, Balancer: "tis", Attributes: map[string]string{"deregistration_delay.timeout_seconds": delay}}
		for _, side := range Sides {
			if side != out {
				g.Targets = append(g.Targets, ELBv2Target{ID: targets[side], Port: port})
			}
		}
		groups = append(groups, g)
	}
	e, err := NewELBv2(ELBv2Options{Groups: groups, Registration: w.pace(6 * time.Second)})
	if err != nil {
		return nil, err
	}
	e.SetHealthy(func(id string, _ int) bool {
		return slices.ContainsFunc(Sides, func(side string) bool { return targets[side] == id && w.Serving(side) })
	})
	e.locked(func() { e.note(false) })
	return elbv2Balancer{e}, nil
}

func (b elbv2Balancer) config() string {
	return fmt.Sprintf("balancer:\n  kind: elbv2\n  elbv2: {region: eu-west-2, endpoint: %q, target_groups: [tis-web, tis-api], targets: {blue: %s, green: %s}}\n", b.URL(), targets["blue"], targets["green"])
}

// request is nothing: ELBv2's API does not count requests.
func (b elbv2Balancer) request() {}

func (b elbv2Balancer) requests() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ELBv2.calls)
}

func (b elbv2Balancer) trace() []Turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.turns.all)
}

// traffic sends made-up requests until the lab ends, and lets the services talk about it.
func (l *Lab) traffic(ctx context.Context) {
	tick := time.NewTicker(requestEvery)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if mix(n)%5 > 0 { // not too even
			l.balancer.request()
		}
		if n%chatterEvery == 0 {
			l.world.chatter(n)
		}
	}
}

// chatter adds a line to the log of one service on each side that is at work.
func (w *World) chatter(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.services[mix(n)%uint64(len(w.services))]
	for i, side := range Sides {
		if e := w.hosts[side].engine; !s.job && e.answers(s.name) {
			e.serviceContainer(s.name).print(s.works(e.host.now(), mix(n+uint64(i))), false)
		}
	}
}
