package plans

import (
	"fmt"
	"slices"
	"strings"

	"tandem/ops"
	"tandem/ops/steps"
)

// daemonFile is where the engine reads its settings unless told otherwise, see dockerd(8).
const daemonFile = "/etc/docker/daemon.json"

// The labels that compose gives to what it makes.
const (
	labelProject   = "com.docker.compose.project"
	labelService   = "com.docker.compose.service"
	labelDirectory = "com.docker.compose.project.working_dir"
	labelFiles     = "com.docker.compose.project.config_files"
	labelEnvFile   = "com.docker.compose.project.environment_file"
	labelOneoff    = "com.docker.compose.oneoff"
	labelNetwork   = "com.docker.compose.network"
)

// recoveryOf is the recovery of one side in the making: what there is to recover, and the
// steps so far.
type recoveryOf struct {
	*draft
	first    ops.Side // recovered before this side; empty: none
	services []part   // with containers, in start order
	empty    []string // services that belong here and have no container
	jobs     []part
	others   []ops.Container // of no service and no job, that run or would start by themselves
	networks []steps.NetworkWas
	stay     []string // networks that cannot be removed, and why, in words
	before   map[string][]string
	ids      map[string]string // latest step of a kind
	last     []string          // what the next step comes after
}

// part is a service or a job with its containers, and how they are made anew.
type part struct {
	ops.Service
	containers []ops.Container
	how        ops.StartWay
	compose    steps.Compose
}

func (p part) was() []steps.Was { return was(p.containers) }

// survey finds what there is to recover on the side.
func (d *draft) survey(first ops.Side) (*recoveryOf, error) {
	r := &recoveryOf{draft: d, first: first, ids: map[string]string{}}
	services, err := d.chosen(nil)
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		at := d.state.Service(s.Name)
		switch {
		case len(at.Containers) > 0:
			r.services = append(r.services, part{Service: s, containers: at.Containers})
		case at.State == string(ops.Unknown) && at.Why != "":
			return nil, fmt.Errorf("the containers of %s on %s are not known: %s", s.Name, d.side.Upper(), at.Why)
		default:
			r.empty = append(r.empty, s.Name)
		}
	}
	if len(r.services) == 0 {
		return nil, fmt.Errorf("no service of %s has a container to make anew: resume or roll back the run that removed them, or start them with compose", d.side.Upper())
	}
	for _, job := range d.snap.Pair.Jobs {
		for _, at := range d.state.Jobs {
			if at.Name == job.Name && len(at.Container) > 0 {
				// A job that ends is ready all the same.
				r.jobs = append(r.jobs, part{Service: ops.Service{Name: job.Name, Ready: ops.Readiness{Kind: ops.ReadyRunning}}, containers: at.Container})
			}
		}
	}
	for _, c := range d.state.Others {
		if !ops.Kept(c.Name) && (halts(c) || c.Policy != "" && c.Policy != "no") {
			r.others = append(r.others, c)
		}
	}
	for _, list := range [][]part{r.services, r.jobs} {
		for i := range list {
			if err := r.choose(&list[i]); err != nil {
				return nil, err
			}
		}
	}
	r.findNetworks()
	if r.before, err = after(d.snap.Services, servicesOf(r.services)); err != nil {
		return nil, err
	}
	return r, nil
}

// choose decides how a part is started: by compose where its containers came from it and it
// is on the host, unless the operator said otherwise.
func (r *recoveryOf) choose(p *part) error {
	compose, why := r.composeOf(p.containers)
	switch {
	case r.req.Start == ops.StartAPI:
	case why == "":
		p.how, p.compose = ops.StartCompose, compose
		return nil
	case r.req.Start == ops.StartCompose:
		return fmt.Errorf("compose cannot start %s on %s: %s; without --start compose it is started through the engine's API", p.Name, r.side.Upper(), why)
	}
	p.how = ops.StartAPI
	return nil
}

// composeOf reads from the labels how compose made the containers, or says why it cannot
// make them again.
func (d *draft) composeOf(containers []ops.Container) (steps.Compose, string) {
	labels := containers[0].Labels
	c := steps.Compose{
		Command: strings.Fields(d.state.Facts.ComposeHow), Project: labels[labelProject], Service: labels[labelService],
		Directory: labels[labelDirectory], EnvFile: labels[labelEnvFile],
	}
	if labels[labelFiles] != "" {
		c.Files = strings.Split(labels[labelFiles], ",")
	}
	if set := d.snap.Pair.Compose; set.Project != "" {
		c.Project = set.Project
	}
	if set := d.snap.Pair.Compose; set.Directory != "" {
		c.Directory = set.Directory
	}
	for _, at := range containers {
		switch {
		case at.Labels[labelProject] == "" || at.Labels[labelService] == "":
			return c, at.Name + " was not made by compose"
		case strings.EqualFold(at.Labels[labelOneoff], "true"):
			return c, at.Name + " was made by compose run"
		}
	}
	switch {
	case len(c.Command) == 0:
		return c, "it was not found there"
	case c.Directory == "":
		return c, "where its project lives is not known: set compose.directory in the config"
	case slices.Contains(c.Files, "-"):
		return c, "its file came from standard input"
	case strings.Contains(c.EnvFile, ","):
		return c, "it was given several environment files"
	}
	return c, ""
}

// composed is the first use of compose among the parts: the preflight tries it.
func (r *recoveryOf) composed() (ops.StartWay, steps.Compose) {
	for _, p := range slices.Concat(r.services, r.jobs) {
		if p.how == ops.StartCompose {
			return p.how, p.compose
		}
	}
	return ops.StartAPI, steps.Compose{}
}

// findNetworks finds the networks of our containers. One that another container is on
// stays, and so do the engine's own and those of a swarm.
func (r *recoveryOf) findNetworks() {
	seen := map[string]bool{"bridge": true, "host": true, "none": true}
	for _, p := range slices.Concat(r.services, r.jobs) {
		for _, c := range p.containers {
			for _, name := range c.Networks {
				i := slices.IndexFunc(r.state.Networks, func(n ops.Network) bool { return n.Name == name })
				if i < 0 || seen[name] {
					continue
				}
				seen[name] = true
				n := r.state.Networks[i]
				foreign := slices.IndexFunc(r.state.Others, func(c ops.Container) bool { return slices.Contains(c.Networks, name) })
				switch {
				case n.Driver == "overlay":
					r.stay = append(r.stay, name+" stays: it belongs to a swarm")
				case foreign >= 0:
					r.stay = append(r.stay, fmt.Sprintf("%s stays as it is: %s is on it and is no service of ours", name, r.state.Others[foreign].Name))
				default:
					r.networks = append(r.networks, steps.NetworkWas{
						Name: name, ID: n.ID, Compose: n.Labels[labelNetwork] != "", AnyRange: r.moves() && r.engineChose(n),
					})
				}
			}
		}
	}
}

// moves tells whether the pools are others than those from which the networks came. Where
// they are not, networks get the very ranges that they had.
func (r *recoveryOf) moves() bool {
	return len(r.snap.Pair.Networks.Pools) > 0 && !r.without(ops.PartPools)
}

// engineChose tells whether the range of a network can have been the engine's choice, from
// its own pools or from those that are or shall be in effect. The engine does not say so.
func (r *recoveryOf) engineChose(n ops.Network) bool {
	return ops.AnyRange(n.Subnets, nil) || ops.AnyRange(n.Subnets, r.snap.Pair.Networks.Pools) ||
		r.state.Net != nil && ops.AnyRange(n.Subnets, r.state.Net.Pools)
}

// made are the networks that tandem makes again. Compose makes its own where it is sure to
// come to it first: a container made through the API needs it to be there, and two that
// make it at once end with two of one name, which the engine takes.
func (r *recoveryOf) made() []steps.NetworkWas {
	var roots []part
	for _, p := range r.services {
		if len(r.before[p.Name]) == 0 {
			roots = append(roots, p)
		}
	}
	byCompose := func(n steps.NetworkWas) bool {
		return n.Compose && len(roots) == 1 && roots[0].how == ops.StartCompose && !slices.ContainsFunc(roots[0].containers, func(c ops.Container) bool {
			return len(c.Anonymous) > 0 || !slices.Contains(c.Networks, n.Name)
		})
	}
	return slices.DeleteFunc(slices.Clone(r.networks), byCompose)
}

// ours are the containers of services and jobs.
func (r *recoveryOf) ours() []steps.Was {
	var list []steps.Was
	for _, p := range slices.Concat(r.services, r.jobs) {
		list = append(list, p.was()...)
	}
	return list
}

// inOrder adds one step for each service, in the order of before, and returns the ids of
// the last ones.
func (r *recoveryOf) inOrder(before map[string][]string, make func(part) ops.Step) []string {
	return r.ordered(servicesOf(r.services), before, r.last, func(s ops.Service) (ops.Step, string) {
		i := slices.IndexFunc(r.services, func(p part) bool { return p.Name == s.Name })
		step := make(r.services[i])
		return step, nameOf(step)
	})
}

// sideBySide adds one step for each job and returns their ids.
func (r *recoveryOf) sideBySide(jobs []part, make func(part) ops.Step) []string {
	var ids []string
	for _, job := range jobs {
		step := make(job)
		ids = append(ids, r.add(step, nameOf(step), r.last...))
	}
	if ids == nil {
		return r.last
	}
	return ids
}

// nameOf is what a step is called in its id.
func nameOf(step ops.Step) string {
	switch s := step.(type) {
	case steps.Stop:
		return "stop-" + strings.ReplaceAll(s.Service.Name, " ", "-")
	case steps.Start:
		return "start-" + s.Service.Name
	case steps.Wake:
		return "start-" + s.Service.Name
	}
	return step.Kind()
}

// say tells what happens, the traffic first.
func (r *recoveryOf) say() {
	side, peer := r.side.Upper(), r.side.Peer().Upper()
	until := "until " + side + " is back"
	if r.stays() != "" {
		until = "from then on"
	}
	switch {
	case r.first != "":
		r.draft.say("Then %s the same way, while %s serves alone.", side, peer)
		if !r.req.StraightOn {
			r.draft.say("The run asks before it touches %s.", side)
		}
		r.sayOnlyHere()
	case r.traffic(r.side) == ops.Out:
		r.draft.say("%s is out already: traffic does not change before it is put back.", side)
		r.sayOnlyHere()
	default:
		r.sayDrained(until)
	}
	if r.stays() != "" {
		r.draft.say("%s is left out at the end: put it back with u.", side)
	}
	r.draft.say("On %s, stopped, removed and made anew: %s and %s. What they wrote outside of volumes is lost.",
		side, count(len(r.ours()), "container"), count(len(r.networks), "network"))
	for _, job := range r.state.Jobs {
		if job.Running {
			r.draft.say("%s is running on %s and is stopped half-way.", job.Name, side)
		}
	}
	if !r.without(ops.PartReboot) {
		r.draft.say("The host of %s restarts.", side)
	}
	if len(running(r.others)) > 0 {
		r.draft.say("Not ours, stopped meanwhile and started again: %s.", and(names(was(running(r.others)))))
	}
	for _, why := range r.stay {
		r.draft.say("Network %s.", why)
	}
	r.sayStarts()
	if len(r.empty) > 0 {
		r.draft.say("Without a container, and not made: %s.", and(slices.Clone(r.empty)))
	}
}

// sayUndo tells what a rollback can take back of what the plan does.
func (d *draft) sayUndo() {
	does := func(kind string) bool {
		return slices.ContainsFunc(d.plan.Steps, func(s ops.PlannedStep) bool { return s.Skip == "" && s.Step.Kind() == kind })
	}
	undo := []string{"containers and networks: yes, as recorded", "what containers wrote outside of volumes: no"}
	if does(steps.KindDrain) || does(steps.KindPutBack) {
		undo = append([]string{"traffic: yes"}, undo...)
	}
	if does(steps.KindPools) {
		undo = append(undo, "address pools: yes")
	}
	if does(steps.KindReboot) {
		undo = append(undo, "reboot: no")
	}
	d.plan.UndoText = strings.Join(undo, "    ")
}

// sayStarts tells how services are started.
func (r *recoveryOf) sayStarts() {
	var api []string
	for _, p := range r.services {
		if p.how == ops.StartAPI {
			api = append(api, p.Name)
		}
	}
	ways := ""
	switch _, compose := r.composed(); {
	case len(api) == len(r.services):
		ways = "through the engine's API, as they were"
	case len(api) == 0:
		ways = "by " + strings.Join(compose.Command, " ")
	default:
		ways = "by " + strings.Join(compose.Command, " ") + ", " + and(api) + " through the engine's API"
	}
	r.draft.say("%s start %s, in start order, each waited for until ready.", count(len(r.services), "service"), ways)
}

// First is the side with which the recovery of both begins: the one in the worse state.
func First(snap *ops.Snapshot) ops.Side {
	bad := map[ops.Side]int{}
	for _, side := range ops.Sides {
		ready, of := snap.On(side).Ready()
		bad[side] = of - ready
		if snap.Balancer.On(side).Traffic != ops.InService {
			bad[side] += len(snap.Services) + 1
		}
	}
	if bad[ops.Blue] > bad[ops.Green] {
		return ops.Blue
	}
	return ops.Green
}

func servicesOf(parts []part) []ops.Service {
	var list []ops.Service
	for _, p := range parts {
		list = append(list, p.Service)
	}
	return list
}

// halts tells whether a container in this state has to be stopped.
func halts(c ops.Container) bool {
	return c.State == "running" || c.State == "restarting" || c.State == "paused"
}

func running(list []ops.Container) []ops.Container {
	return slices.DeleteFunc(slices.Clone(list), func(c ops.Container) bool { return !halts(c) })
}

func samePools(a, b []ops.Pool) bool {
	return slices.EqualFunc(a, b, func(a, b ops.Pool) bool { return a.Size == b.Size && a.Base.Masked() == b.Base.Masked() })
}

func names(lists ...[]steps.Was) []string {
	var out []string
	for _, w := range slices.Concat(lists...) {
		out = append(out, w.Name)
	}
	return out
}

// recoveryBasis is what a recovery relies on beyond what every plan does.
type recoveryBasis struct {
	Networks, Jobs, Others []string
	Pools                  []ops.Pool
	Compose                [2]string
}

func recoveryBasisOf(s *ops.SideState) *recoveryBasis {
	b := recoveryBasis{Compose: [2]string{s.Facts.Compose, s.Facts.ComposeHow}}
	if s.Net != nil {
		b.Pools = s.Net.Pools
	}
	for _, n := range s.Networks {
		b.Networks = append(b.Networks, n.Name+" "+n.ID)
	}
	for _, j := range s.Jobs {
		for _, c := range j.Container {
			b.Jobs = append(b.Jobs, c.Name+" "+c.ID)
		}
	}
	for _, c := range s.Others {
		b.Others = append(b.Others, c.Name+" "+c.ID+" "+c.State+" "+c.Policy)
	}
	slices.Sort(b.Networks)
	slices.Sort(b.Jobs)
	slices.Sort(b.Others)
	return &b
}
