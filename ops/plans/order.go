package plans

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tandem/ops"
	"tandem/ops/steps"
)

// chosen are the asked-for services of the side, in start order; all of the side's when
// none was asked for.
func (d *draft) chosen(asked []string) ([]ops.Service, error) {
	for _, name := range asked {
		if err := d.belongs(name); err != nil {
			return nil, err
		}
	}
	var services []ops.Service
	for _, s := range d.snap.Services {
		at := d.state.Service(s.Name)
		if len(asked) == 0 && at != nil && at.Here || slices.Contains(asked, s.Name) {
			services = append(services, s)
		}
	}
	if len(services) == 0 {
		return nil, fmt.Errorf("no service of %s is known: name them in the config, in start order", d.side.Upper())
	}
	return services, nil
}

func (d *draft) belongs(name string) error {
	var known, here []string
	for _, s := range d.snap.Services {
		known = append(known, s.Name)
		if at := d.state.Service(s.Name); at != nil && at.Here {
			here = append(here, s.Name)
		}
	}
	for _, j := range d.snap.Pair.Jobs {
		if j.Name == name && !slices.Contains(known, name) {
			return fmt.Errorf("%s is a job, not a service", name)
		}
	}
	switch {
	case !slices.Contains(known, name):
		return fmt.Errorf("there is no service %q%s", name, closest(name, here))
	case !slices.Contains(here, name):
		return fmt.Errorf("%s does not exist on %s, only on %s", name, d.side.Upper(), d.side.Peer().Upper())
	}
	return nil
}

// after returns, for each of the services, which others of them it comes after, directly
// or through services that are not among them; without those that follow from the rest.
func after(all, services []ops.Service) (map[string][]string, error) {
	direct := map[string][]string{}
	for _, s := range all {
		direct[s.Name] = s.After
	}
	closure := map[string]map[string]bool{}
	var visit func(name string, path []string) (map[string]bool, error)
	visit = func(name string, path []string) (map[string]bool, error) {
		if slices.Contains(path, name) {
			return nil, fmt.Errorf("the start order goes in a circle: %s", and(append(path[slices.Index(path, name):], name)))
		}
		if done, ok := closure[name]; ok {
			return done, nil
		}
		reach := map[string]bool{}
		for _, dep := range direct[name] {
			below, err := visit(dep, append(path, name))
			if err != nil {
				return nil, err
			}
			reach[dep] = true
			for n := range below {
				reach[n] = true
			}
		}
		closure[name] = reach
		return reach, nil
	}
	needs := map[string][]string{}
	for _, s := range services {
		reach, err := visit(s.Name, nil)
		if err != nil {
			return nil, err
		}
		for _, other := range services {
			if !reach[other.Name] {
				continue
			}
			implied := slices.ContainsFunc(services, func(via ops.Service) bool {
				return via.Name != other.Name && reach[via.Name] && closure[via.Name][other.Name]
			})
			if !implied {
				needs[s.Name] = append(needs[s.Name], other.Name)
			}
		}
	}
	return needs, nil
}

// sequence adds one step for each service, each after those that it comes after and the
// first ones after start. It returns the ids of the last ones. make returns no step and a
// reason where a service needs none.
func (d *draft) sequence(services []ops.Service, start []string, make func(ops.Service) (step ops.Step, name, skip string)) ([]string, error) {
	var acting []ops.Service
	for _, s := range services {
		if _, _, skip := make(s); skip == "" {
			acting = append(acting, s)
		}
	}
	before, err := after(d.snap.Services, acting)
	if err != nil {
		return nil, err
	}
	last := d.ordered(acting, before, start, func(s ops.Service) (ops.Step, string) {
		step, name, _ := make(s)
		return step, name
	})
	for _, s := range services {
		if step, name, skip := make(s); skip != "" {
			d.skip(step, name, skip)
		}
	}
	return last, nil
}

// ordered adds one step for each service, each after the steps of those in before and the
// first ones after start. It returns the ids of the last ones. before has no circle: it is
// what [after] returned, or that reversed.
func (d *draft) ordered(services []ops.Service, before map[string][]string, start []string, make func(ops.Service) (step ops.Step, name string)) []string {
	ids := map[string]string{}
	needed := map[string]bool{}
	services = sorted(services, before)
	for _, s := range services {
		step, name := make(s)
		needs := start
		if len(before[s.Name]) > 0 {
			needs = nil
			for _, dep := range before[s.Name] {
				needs = append(needs, ids[dep])
				needed[dep] = true
			}
		}
		ids[s.Name] = d.add(step, name, needs...)
	}
	var last []string
	for _, s := range services {
		if !needed[s.Name] {
			last = append(last, ids[s.Name])
		}
	}
	if last == nil {
		return start
	}
	return last
}

// reversed turns an order round: what came first comes last.
func reversed(before map[string][]string) map[string][]string {
	out := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		for _, dep := range before[name] {
			out[dep] = append(out[dep], name)
		}
	}
	return out
}

// sorted keeps the given order as far as every service follows those that it needs.
func sorted(services []ops.Service, before map[string][]string) []ops.Service {
	placed := map[string]bool{}
	var out []ops.Service
	for len(out) < len(services) {
		i := slices.IndexFunc(services, func(s ops.Service) bool {
			return !placed[s.Name] && !slices.ContainsFunc(before[s.Name], func(dep string) bool { return !placed[dep] })
		})
		placed[services[i].Name] = true
		out = append(out, services[i])
	}
	return out
}

// was are the containers of a service as they are now, in container-number order.
func (d *draft) was(name string) []steps.Was {
	at := d.state.Service(name)
	if at == nil {
		return nil
	}
	return was(at.Containers)
}

// was are containers as they are now, in container-number order.
func was(containers []ops.Container) []steps.Was {
	containers = slices.Clone(containers)
	slices.SortStableFunc(containers, func(a, b ops.Container) int { return number(a) - number(b) })
	var list []steps.Was
	for _, c := range containers {
		list = append(list, steps.Was{Name: c.Name, ID: c.ID, StartedAt: c.StartedAt, Image: c.Image, ImageID: c.ImageID, Anonymous: c.Anonymous})
	}
	return list
}

// number is compose's own; containers without it keep their place at the end.
func number(c ops.Container) int {
	n, err := strconv.Atoi(c.Labels["com.docker.compose.container-number"])
	if err != nil {
		return 1 << 30
	}
	return n
}
