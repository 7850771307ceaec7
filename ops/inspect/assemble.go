package inspect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

// The labels that compose writes.
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelNumber  = "com.docker.compose.container-number"
	labelOneoff  = "com.docker.compose.oneoff"
	labelDepends = "com.docker.compose.depends_on"
)

// assemble puts what was read in order. It is pure.
func assemble(pair ops.Pair, w *world, now time.Time) ops.Snapshot {
	snap := ops.Snapshot{Pair: pair, At: now, Balancer: w.balancer}
	snap.Services, snap.Order = pair.Services, ops.OrderConfig
	if len(pair.Services) == 0 {
		snap.Services, snap.Order = fromLabels(pair, slices.Concat(w.blue.list, w.green.list))
	}
	for _, side := range ops.Sides {
		*snap.On(side) = assembleSide(&snap, side, w.on(side))
	}
	for _, side := range ops.Sides {
		snap.On(side).OnlyHere = onlyHere(&snap, side)
	}
	return snap
}

func assembleSide(snap *ops.Snapshot, side ops.Side, s *seen) ops.SideState {
	out := ops.SideState{
		Side: side, Host: s.host, Engine: s.engine, Link: s.link, Facts: s.facts,
		Version: s.version, Networks: s.networks, Images: s.images, Net: s.net, Lock: s.lock,
		Care: s.care, Upkeep: s.upkeep,
	}
	services, jobs, others := deal(snap, s.list)
	known := !s.engine.At.IsZero()
	for i, service := range snap.Services {
		// With no project in the config, containers of two are not told apart: neither is
		// taken for ours, so that nothing acts on another project's.
		if of := projects(services[i]); len(of) > 1 {
			others = append(others, services[i]...)
			out.Services = append(out.Services, ops.ServiceState{Name: service.Name, Here: true, State: "unknown",
				Why: "the compose projects " + strings.Join(of, " and ") + " both have it: set compose.project in the config"})
			continue
		}
		out.Services = append(out.Services, serviceState(service, side, services[i], s.tests, known))
	}
	out.Others = others
	for i, job := range snap.Pair.Jobs {
		out.Jobs = append(out.Jobs, jobState(job, side, jobs[i]))
	}
	return out
}

// deal gives the containers to the services and jobs they belong to.
func deal(snap *ops.Snapshot, list []ops.Container) (services, jobs [][]ops.Container, others []ops.Container) {
	services, jobs = make([][]ops.Container, len(snap.Services)), make([][]ops.Container, len(snap.Pair.Jobs))
	project := snap.Pair.Compose.Project
	byService, byJob := map[string]int{}, map[string]int{}
	for i, s := range snap.Services {
		byService[s.Name] = i
	}
	for i, j := range snap.Pair.Jobs {
		byJob[j.Service] = i
	}
	for _, c := range list {
		name := serviceOf(c, project, func(name string) bool {
			_, service := byService[name]
			_, job := byJob[name]
			return service || job
		})
		if i, ok := byJob[name]; ok {
			jobs[i] = append(jobs[i], c)
		} else if i, ok := byService[name]; ok && !oneoff(c) {
			services[i] = append(services[i], c)
		} else {
			others = append(others, c)
		}
	}
	for _, group := range services {
		slices.SortStableFunc(group, func(a, b ops.Container) int { return number(a) - number(b) })
	}
	return services, jobs, others
}

// serviceOf names the service or job of a container: by its compose label, else by its
// name, plain or as compose makes it (project-name-1, before v2 project_name_1).
func serviceOf(c ops.Container, project string, known func(string) bool) string {
	if label := c.Labels[labelService]; label != "" {
		// A kept copy of an earlier container has the same labels under a name of ours.
		if project != "" && c.Labels[labelProject] != project || ops.Kept(c.Name) {
			return ""
		}
		return label
	}
	if known(c.Name) {
		return c.Name
	}
	for _, separator := range []string{"-", "_"} {
		rest, found := strings.CutPrefix(c.Name, project+separator)
		i := strings.LastIndex(rest, separator)
		if project == "" || !found || i < 0 {
			continue
		}
		if _, err := strconv.ParseUint(rest[i+1:], 10, 16); err == nil && known(rest[:i]) {
			return rest[:i]
		}
	}
	return ""
}

// projects are the compose projects of containers, by name.
func projects(list []ops.Container) []string {
	var names []string
	for _, c := range list {
		if p := c.Labels[labelProject]; p != "" && !slices.Contains(names, p) {
			names = append(names, p)
		}
	}
	slices.Sort(names)
	return names
}

func oneoff(c ops.Container) bool { return strings.EqualFold(c.Labels[labelOneoff], "true") }

// number is the place among the containers of a service; 0 where compose gave none.
func number(c ops.Container) int {
	n, err := strconv.Atoi(c.Labels[labelNumber])
	if err != nil {
		return 0
	}
	return n
}

func serviceState(s ops.Service, side ops.Side, list []ops.Container, tests map[string]tested, known bool) ops.ServiceState {
	out := ops.ServiceState{Name: s.Name, Here: s.On(side) || len(list) > 0, Containers: list}
	switch {
	case !known:
		out.State = "unknown"
		return out
	case !out.Here:
		out.State = "not here"
		return out
	case len(list) == 0:
		out.State = "missing"
		return out
	}
	// The worst container speaks for the service.
	out.Ready, out.State = true, ""
	for _, c := range list {
		ready, state, why := containerState(c, s.Ready, tests[s.Name])
		if out.State == "" || out.Ready && !ready {
			out.State, out.Why = state, why
		}
		out.Ready = out.Ready && ready
	}
	return out
}

// containerState tells whether a container passes the readiness test, its state in words,
// and why it does not pass where the words do not say.
func containerState(c ops.Container, r ops.Readiness, test tested) (ready bool, state, why string) {
	switch c.State {
	case "running":
	case "exited":
		state = fmt.Sprintf("exited %d", c.ExitCode)
		if c.OOMKilled {
			why = "killed: out of memory"
		}
		return false, state, why
	case "restarting":
		return false, c.State, fmt.Sprintf("last exit status %d, restarted %d times", c.ExitCode, c.Restarts)
	case "":
		return false, "unknown", "the engine does not say its state"
	default:
		return false, c.State, ""
	}
	switch r.Kind {
	case ops.ReadyHTTP, ops.ReadyExec:
		switch {
		case test.passed:
			return true, "healthy", ""
		case test.known:
			return false, "unhealthy", test.why
		case test.why == "":
			return false, "unknown", "its readiness was not tested yet"
		}
		return false, "unknown", test.why
	case ops.ReadyRunning:
		return true, "running", ""
	}
	switch c.Health {
	case "healthy":
		return true, "healthy", ""
	case "", "none":
		if r.Kind == ops.ReadyHealthy {
			return false, "running", "the container has no health check, but the config says ready: healthy"
		}
		return true, "running", ""
	}
	return false, c.Health, ""
}

func jobState(j ops.Job, side ops.Side, list []ops.Container) ops.JobState {
	out := ops.JobState{Name: j.Name, Here: j.Only == "" || j.Only == side || len(list) > 0, Container: list}
	for i := range list {
		c := &list[i]
		out.Running = out.Running || c.State == "running" || c.State == "restarting"
		if out.Last == nil || begun(*c).After(begun(*out.Last)) {
			out.Last = c
		}
	}
	return out
}

func begun(c ops.Container) time.Time {
	if c.StartedAt.After(c.CreatedAt) {
		return c.StartedAt
	}
	return c.CreatedAt
}

// onlyHere lists what would be missing without this side: what the config says exists on
// it alone, and what is on it and not on the peer. A peer that could not be read is not
// taken to have it.
func onlyHere(snap *ops.Snapshot, side ops.Side) []string {
	var out []string
	here, there := snap.On(side), snap.On(side.Peer())
	for i, s := range snap.Services {
		if s.Only == side || len(here.Services[i].Containers) > 0 && len(there.Services[i].Containers) == 0 {
			out = append(out, s.Name)
		}
	}
	for i, j := range snap.Pair.Jobs {
		if j.Only == side || len(here.Jobs[i].Container) > 0 && len(there.Jobs[i].Container) == 0 {
			out = append(out, j.Name)
		}
	}
	return out
}
