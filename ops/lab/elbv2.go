package lab

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ELBv2Options describe the load balancers of an account in one region.
type ELBv2Options struct {
	Address string // 127.0.0.1:0 by default
	Groups  []ELBv2Group
	// Registration is how long a target stays initial after it was registered.
	Registration time.Duration
}

// ELBv2Group is a target group. It is attached to a load balancer called Balancer;
// without one its targets are unused.
type ELBv2Group struct {
	Name       string
	Port       int // 80
	Balancer   string
	Attributes map[string]string // over ELBv2's defaults; deregistration_delay.timeout_seconds may be a fraction here
	Targets    []ELBv2Target
}

// ELBv2Target is one registered target.
type ELBv2Target struct {
	ID   string
	Port int // 0: the group's
	Zone string
}

// ELBv2 is the endpoint of Elastic Load Balancing v2 (AWS Query protocol, version
// 2015-12-01): target groups whose targets go initial, healthy, draining and away as the
// API reference tells.
type ELBv2 struct {
	opts     ELBv2Options
	mu       sync.Mutex
	server   *http.Server
	ln       net.Listener
	done     sync.WaitGroup
	groups   []*elbGroup
	healthy  func(targetID string, port int) bool
	calls    []Request
	turns    turns
	throttle int                  // calls still to be throttled; -1: all
	denied   map[string]bool      // actions
	failAt   map[string]int       // action -> calls of it that still pass before it is denied
	forced   map[string][2]string // target ID -> state, reason
	override map[string]string    // target ID -> administrative override
	hang     chan struct{}
}

type elbGroup struct {
	conf    ELBv2Group
	attrs   map[string]string
	targets []*elbTarget
}

type elbTarget struct {
	id, zone     string
	port         int
	registered   time.Time
	deregistered time.Time // zero: registered
}

const elbAccount = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:"

// ELBv2ARN is the ARN of the target group of that name.
func ELBv2ARN(name string) string { return elbAccount + "targetgroup/" + name + "/0123456789abcdef" }

// NewELBv2 starts one; its targets have been registered long ago.
func NewELBv2(opts ELBv2Options) (*ELBv2, error) {
	ln, err := net.Listen("tcp", cmp.Or(opts.Address, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("opening the endpoint: %w", err)
	}
	e := &ELBv2{opts: opts, ln: ln, healthy: func(string, int) bool { return true }, denied: map[string]bool{}, failAt: map[string]int{},
		forced: map[string][2]string{}, override: map[string]string{}}
	for _, conf := range opts.Groups {
		conf.Port = cmp.Or(conf.Port, 80)
		g := &elbGroup{conf: conf, attrs: map[string]string{
			"deregistration_delay.timeout_seconds":                                           "300",
			"slow_start.duration_seconds":                                                    "0",
			"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
			"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
			"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
			"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
		}}
		for key, value := range conf.Attributes {
			g.attrs[key] = value
		}
		for _, target := range conf.Targets {
			g.targets = append(g.targets, &elbTarget{id: target.ID, zone: target.Zone, port: cmp.Or(target.Port, conf.Port)})
		}
		e.groups = append(e.groups, g)
	}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	e.done.Go(func() { e.server.Serve(ln) })
	return e, nil
}

// URL is the endpoint: http://127.0.0.1:port.
func (e *ELBv2) URL() string { return "http://" + e.ln.Addr().String() }

// Close stops it. Closing it twice is fine.
func (e *ELBv2) Close() error {
	e.Hang(false)
	err := e.server.Close()
	e.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// SetHealthy gives it the health check: what it finds at a target.
func (e *ELBv2) SetHealthy(check func(targetID string, port int) bool) {
	e.locked(func() { e.healthy = check })
}

// Throttle makes the next n calls fail with Throttling; -1: every call, 0: none.
func (e *ELBv2) Throttle(n int) { e.locked(func() { e.throttle = n }) }

// Deny makes an action fail with AccessDenied, after so many more calls of it have passed.
func (e *ELBv2) Deny(action string, after int) {
	e.locked(func() { e.denied[action], e.failAt[action] = true, after })
}

// Allow takes back what Deny did.
func (e *ELBv2) Allow(action string) { e.locked(func() { delete(e.denied, action) }) }

// SetState forces what a target's health is described as; an empty state takes it back.
func (e *ELBv2) SetState(targetID, state, reason string) {
	e.locked(func() {
		if state == "" {
			delete(e.forced, targetID)
			return
		}
		e.forced[targetID] = [2]string{state, reason}
	})
}

// SetOverride sets a target's administrative override: zonal_shift_active,
// zonal_shift_delegated_to_dns, unknown; no_override or nothing takes it back.
func (e *ELBv2) SetOverride(targetID, state string) {
	e.locked(func() { e.override[targetID] = state })
}

// SetAttribute changes an attribute of a target group.
func (e *ELBv2) SetAttribute(group, key, value string) {
	e.locked(func() {
		for _, g := range e.groups {
			if g.conf.Name == group {
				g.attrs[key] = value
			}
		}
	})
}

// Hang makes it accept calls without answering them, until it is taken back.
func (e *ELBv2) Hang(on bool) {
	e.locked(func() {
		switch {
		case on && e.hang == nil:
			e.hang = make(chan struct{})
		case !on && e.hang != nil:
			close(e.hang)
			e.hang = nil
		}
	})
}

// Calls are all calls that were received, in order, those that failed too:
// "DeregisterTargets tis-web i-0bbb:8080".
func (e *ELBv2) Calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, c := range e.calls {
		out = append(out, c.What)
	}
	return out
}

// Registered are the targets of a group as id:port:zone with their state, in order.
func (e *ELBv2) Registered(group string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, g := range e.groups {
		if g.conf.Name != group {
			continue
		}
		e.age(g)
		for _, t := range g.targets {
			word := "registered"
			if !t.deregistered.IsZero() {
				word = "draining"
			}
			out = append(out, fmt.Sprintf("%s:%d:%s %s", t.id, t.port, t.zone, word))
		}
	}
	slices.Sort(out)
	return out
}

func (e *ELBv2) locked(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
}

// age removes the targets whose deregistration delay is over.
func (e *ELBv2) age(g *elbGroup) {
	seconds, err := strconv.ParseFloat(g.attrs["deregistration_delay.timeout_seconds"], 64)
	if err != nil {
		seconds = 300
	}
	delay := time.Duration(seconds * float64(time.Second))
	g.targets = slices.DeleteFunc(g.targets, func(t *elbTarget) bool {
		return !t.deregistered.IsZero() && time.Since(t.deregistered) >= delay
	})
}

// state is what DescribeTargetHealth says of a target, with the reason's code.
func (e *ELBv2) state(g *elbGroup, t *elbTarget) (state, reason string) {
	if forced, ok := e.forced[t.id]; ok {
		return forced[0], forced[1]
	}
	switch age := time.Since(t.registered); {
	case !t.deregistered.IsZero():
		return "draining", "Target.DeregistrationInProgress"
	case g.conf.Balancer == "":
		return "unused", "Target.NotInUse"
	case age < e.opts.Registration/2:
		return "initial", "Elb.RegistrationInProgress"
	case age < e.opts.Registration:
		return "initial", "Elb.InitialHealthChecking"
	case !e.healthy(t.id, t.port):
		return "unhealthy", "Target.FailedHealthChecks"
	}
	return "healthy", ""
}

// note adds to the trace what has changed for the lab's own instances: the worst of all
// groups.
func (e *ELBv2) note(asked bool) {
	for _, side := range Sides {
		word := ""
		for _, g := range e.groups {
			now := "out"
			for _, t := range g.targets {
				if t.id != targets[side] {
					continue
				}
				switch state, _ := e.state(g, t); state {
				case "healthy":
					now = "in-service"
				case "draining":
					now = "draining"
				default:
					now = "down"
				}
			}
			if word == "" || word == "in-service" || now == "out" {
				word = now
			}
		}
		e.turns.note(side, word, asked)
	}
}

func (g *elbGroup) find(id string, port int) *elbTarget {
	for _, t := range g.targets {
		if t.id == id && t.port == port {
			return t
		}
	}
	return nil
}

func elbDescribe(action string, group string, targets []ELBv2Target) string {
	words := []string{action}
	if group != "" {
		words = append(words, group)
	}
	for _, t := range targets {
		name := t.ID
		if t.Port != 0 {
			name += ":" + strconv.Itoa(t.Port)
		}
		words = append(words, name)
	}
	return strings.Join(words, " ")
}
