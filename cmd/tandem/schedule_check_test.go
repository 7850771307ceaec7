package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/lab"
	"tandem/ops/steps"
)

// hostState is a host as a recovery should leave it.
type hostState struct {
	Containers map[string]containerState
	Networks   map[string]networkState
	Volumes    []string
	Daemon     string
	ids        map[string]string
}

// containerState is what matters of a container, from the engine's own words.
type containerState struct {
	Image, ImageID string
	Env, Cmd       []string
	Entrypoint     []string
	Labels         map[string]string
	Mounts         []string
	Ports          string
	Policy         string
	Networks       []string
	Healthcheck    string
	Memory         int64
	Logs           string
	Running        bool
	Healthy        bool
}

type networkState struct {
	Driver   string
	Internal bool
	Labels   map[string]string
	Options  map[string]string
	Ranges   []string
}

// observe reads a host beside all clients; nil while its engine is down.
func (tr *trial) observe(side ops.Side) *hostState {
	h := tr.lab.World().Host(string(side))
	s := &hostState{Containers: map[string]containerState{}, Networks: map[string]networkState{}, ids: map[string]string{}, Volumes: h.Volumes(), Daemon: string(h.File("/etc/docker/daemon.json"))}
	var list []struct{ Id string }
	if !told(h, "/containers/json?all=1", &list) {
		return nil
	}
	for _, one := range list {
		var c inspected
		if !told(h, "/containers/"+one.Id+"/json", &c) {
			return nil
		}
		name := strings.TrimPrefix(c.Name, "/")
		s.Containers[name], s.ids[name] = c.state(), c.Id
	}
	var networks []struct {
		Name, Driver    string
		Internal        bool
		Labels, Options map[string]string
		IPAM            struct{ Config []struct{ Subnet string } }
	}
	if !told(h, "/networks", &networks) {
		return nil
	}
	for _, n := range networks {
		if slices.Contains([]string{"bridge", "host", "none"}, n.Name) {
			continue
		}
		state := networkState{Driver: n.Driver, Internal: n.Internal, Labels: n.Labels, Options: n.Options}
		for _, c := range n.IPAM.Config {
			state.Ranges = append(state.Ranges, c.Subnet)
		}
		s.Networks[n.Name] = state
	}
	return s
}

func told(h *lab.Host, path string, into any) bool {
	status, body := h.Ask((&url.URL{Path: "/v1.41"}).String() + path)
	return status == 200 && json.Unmarshal(body, into) == nil
}

type inspected struct {
	Id, Name, Image string
	Config          struct {
		Image                string
		Env, Cmd, Entrypoint []string
		Labels               map[string]string
		Healthcheck          json.RawMessage
	}
	HostConfig struct {
		PortBindings  json.RawMessage
		RestartPolicy struct {
			Name              string
			MaximumRetryCount int
		}
		Memory    int64
		LogConfig json.RawMessage
	}
	Mounts []struct {
		Type, Name, Source, Destination string
		RW                              bool
	}
	NetworkSettings struct {
		Networks map[string]struct{ Aliases []string }
	}
	State struct {
		Running bool
		Health  *struct{ Status string }
	}
}

// bare is JSON where null, nothing and an empty object are the same.
func bare(text json.RawMessage) string {
	if s := string(text); s != "null" && s != "{}" {
		return s
	}
	return ""
}

func (c inspected) state() containerState {
	s := containerState{
		Image: c.Config.Image, ImageID: c.Image, Env: c.Config.Env, Cmd: c.Config.Cmd, Entrypoint: c.Config.Entrypoint, Labels: c.Config.Labels,
		Ports: bare(c.HostConfig.PortBindings), Policy: fmt.Sprintf("%s:%d", c.HostConfig.RestartPolicy.Name, c.HostConfig.RestartPolicy.MaximumRetryCount),
		Healthcheck: bare(c.Config.Healthcheck), Memory: c.HostConfig.Memory, Logs: bare(c.HostConfig.LogConfig), Running: c.State.Running,
		Healthy: c.State.Health != nil && c.State.Health.Status == "healthy",
	}
	for _, m := range c.Mounts {
		from := m.Source
		if m.Type == "volume" {
			from = m.Name
		}
		s.Mounts = append(s.Mounts, fmt.Sprintf("%s %s at %s, writes: %v", m.Type, from, m.Destination, m.RW))
	}
	for name, n := range c.NetworkSettings.Networks {
		aliases := slices.DeleteFunc(slices.Clone(n.Aliases), func(a string) bool { return strings.HasPrefix(c.Id, a) })
		slices.Sort(aliases)
		s.Networks = append(s.Networks, fmt.Sprintf("%s as %s", name, strings.Join(aliases, ", ")))
	}
	slices.Sort(s.Networks)
	slices.Sort(s.Mounts)
	slices.Sort(s.Env)
	return s
}

// finish checks what a run has left behind. Without an outcome nothing was ever begun.
func (tr *trial) finish(at *office, outcome ops.Outcome) {
	time.Sleep(time.Second) // a canary whose runner was killed ends by itself
	done := outcome == ops.OutcomeDone
	end := cmp.Or(string(outcome), "nothing begun")
	tr.faults.Wait()
	tr.tell("the end: %s", end)
	tr.end = end
	// Who was cut off has to find that out.
	for _, o := range tr.offices {
		o.net.mend()
	}
	tr.leave()
	tr.recoverAlone()
	tr.checkServed()
	tr.checkOwners()
	if tr.locked() { // a host that did not answer at the end still has it
		p, err := tr.goOnAt(at, turn{})
		if err == nil {
			select {
			case <-p.ended:
				err = p.err
			case <-p.gone:
				err = errors.New("the runner was killed")
			}
		}
		tr.tell("released: %v", err)
		tr.faults.Wait() // what was due by then has happened, too
		tr.recoverAlone()
	}
	if tr.locked() {
		tr.breaks("promise 4: the lock is still there after the end (%s)", end)
	}
	for _, side := range ops.Sides {
		tr.checkHost(side, done)
	}
	if got := tr.serving(); len(got) != 2 {
		tr.breaks("promise 3: in service at the end: %v", got)
	}
}

// recoverAlone waits until what the last fault took down has come back by itself.
func (tr *trial) recoverAlone() {
	limit := time.Now().Add(5 * time.Minute)
	for ; time.Now().Before(limit) && !tr.well(); time.Sleep(time.Second) {
	}
}

// leave waits for processes that are still alive.
func (tr *trial) leave() {
	tr.mu.Lock()
	all := slices.Clone(tr.all)
	tr.mu.Unlock()
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	for _, p := range all {
		tr.mu.Lock()
		killed := p.killed
		tr.mu.Unlock()
		if killed {
			continue
		}
		select {
		case <-p.ended:
		case <-limit.C:
			tr.breaks("promise 4: %s has not ended, though the run has\n%s", p, tr.last(p, 12))
			return
		}
	}
}

// serving are the sides that the balancer gives traffic.
func (tr *trial) serving() (sides []string) {
	state := map[string]string{}
	for _, t := range tr.lab.Trace() {
		state[t.Side] = t.State
	}
	for _, side := range lab.Sides {
		if state[side] == "in-service" {
			sides = append(sides, side)
		}
	}
	return sides
}

// well tells whether both sides run all that they ran before, and serve.
func (tr *trial) well() bool {
	for _, side := range ops.Sides {
		now := tr.observe(side)
		if now == nil {
			return false
		}
		for name, was := range tr.before[side].Containers {
			if c := now.Containers[name]; c.Running != was.Running || c.Healthy != was.Healthy {
				return false
			}
		}
	}
	return len(tr.serving()) == 2
}

// checkHost is promise 3: nothing is lost.
func (tr *trial) checkHost(side ops.Side, done bool) {
	h := tr.lab.World().Host(string(side))
	was, now := tr.before[side], tr.observe(side)
	if now == nil {
		tr.breaks("promise 3: the engine of %s is down at the end", side)
		return
	}
	wrong := func(format string, args ...any) {
		tr.breaks("promise 3: %s: %s", side.Upper(), fmt.Sprintf(format, args...))
	}
	for name, c := range was.Containers {
		again, ok := now.Containers[name]
		if !ok {
			wrong("container %s is gone", name)
			continue
		}
		if done && tr.Start == ops.StartCompose { // compose writes its own
			c.Labels, again.Labels = nil, nil
		}
		if diff := gocmp.Diff(c, again); diff != "" {
			wrong("container %s is another:\n%s", name, diff)
		}
		if done && was.ids[name] == now.ids[name] {
			wrong("container %s is the old one", name)
		}
	}
	for name, c := range now.Containers {
		// A canary that a killed runner left is found and removed by the next one on that host.
		if _, ok := was.Containers[name]; !ok && (c.Running || c.Labels[steps.LabelCanary] == "") {
			wrong("container %s was left behind", name)
		}
	}
	for name, n := range was.Networks {
		again, ok := now.Networks[name]
		if !ok {
			wrong("network %s is gone", name)
			continue
		}
		if done {
			if tr.Pools == "move" && !inPools(again.Ranges) {
				wrong("network %s is not in the pools: %v", name, again.Ranges)
			}
			n.Ranges, again.Ranges = nil, nil
			if tr.Start == ops.StartCompose {
				n.Labels, again.Labels = nil, nil
			}
		}
		if diff := gocmp.Diff(n, again); diff != "" {
			wrong("network %s is another:\n%s", name, diff)
		}
	}
	for name := range now.Networks {
		if _, ok := was.Networks[name]; !ok {
			wrong("network %s was left behind", name)
		}
	}
	for _, v := range was.Volumes {
		if !slices.Contains(now.Volumes, v) {
			wrong("volume %s is gone", v)
		}
	}
	if moved := strings.Contains(now.Daemon, "default-address-pools"); moved != (done && tr.Pools == "move") || !moved && now.Daemon != was.Daemon {
		wrong("daemon.json is\n%s", now.Daemon)
	}
	if timers := h.Timers(); len(timers) > 0 {
		wrong("timers %v are armed", timers)
	}
	for _, left := range []string{"/etc/docker/daemon.json.tandem-revert", "/etc/docker/daemon.json.tandem-revert-taken", "/etc/systemd/system/tandem-revert-pools-at-boot.service"} {
		if h.File(left) != nil {
			wrong("%s is left: the host would take pools back that are settled", left)
		}
	}
}

func inPools(ranges []string) bool {
	pool := netip.MustParsePrefix("10.200.0.0/16")
	for _, r := range ranges {
		p, err := netip.ParsePrefix(r)
		if err != nil || !pool.Contains(p.Addr()) {
			return false
		}
	}
	return len(ranges) > 0
}
