package inspect

import (
	"maps"
	"slices"
	"strings"

	"tandem/ops"
)

// fromLabels makes the services from the labels of compose. The order is known when every
// container has a depends_on label and one of them names something: then a service comes
// after those it depends on. Otherwise the services are listed by name, and
// OrderUnknown says that this is no order.
func fromLabels(pair ops.Pair, all []ops.Container) ([]ops.Service, ops.OrderSource) {
	jobs := map[string]bool{}
	for _, j := range pair.Jobs {
		jobs[j.Service] = true
	}
	after := map[string]map[string]bool{}
	labelled, named := true, false
	for _, c := range all {
		name := c.Labels[labelService]
		if name == "" || oneoff(c) || jobs[name] || ops.Kept(c.Name) || pair.Compose.Project != "" && c.Labels[labelProject] != pair.Compose.Project {
			continue
		}
		if after[name] == nil {
			after[name] = map[string]bool{}
		}
		depends, has := c.Labels[labelDepends]
		labelled = labelled && has
		for _, entry := range strings.Split(depends, ",") {
			dependency, _, _ := strings.Cut(strings.TrimSpace(entry), ":")
			if dependency != "" {
				after[name][dependency], named = true, true
			}
		}
	}
	names := slices.Sorted(maps.Keys(after))
	if !labelled || !named {
		return plain(names), ops.OrderUnknown
	}
	var services []ops.Service
	placed := map[string]bool{}
	for len(services) < len(names) {
		before := len(services)
		for _, name := range names {
			if placed[name] {
				continue
			}
			s := ops.Service{Name: name, After: []string{}}
			free := true
			for _, dependency := range slices.Sorted(maps.Keys(after[name])) {
				if after[dependency] == nil {
					continue // a job, or on neither host
				}
				free = free && placed[dependency]
				s.After = append(s.After, dependency)
			}
			if free {
				services = append(services, s)
				placed[name] = true
			}
		}
		if len(services) == before {
			return plain(names), ops.OrderUnknown // blue and green contradict each other
		}
	}
	return services, ops.OrderLabels
}

func plain(names []string) []ops.Service {
	var out []ops.Service
	for _, name := range names {
		out = append(out, ops.Service{Name: name, After: []string{}})
	}
	return out
}
