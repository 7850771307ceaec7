package inspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"tandem/ops"
)

// The labels that compose writes since 1.25.
const (
	labelDirectory = "com.docker.compose.project.working_dir"
	labelFiles     = "com.docker.compose.project.config_files"
)

// Found is what two hosts without a config tell of their pair.
type Found struct {
	Compose  ops.Compose
	Services []ops.Service // in start order; empty: no order is known
	Jobs     []ops.Job
	// How says of services, jobs and compose where they come from, or what is a guess.
	How map[string][]string
}

// Survey looks at hosts that no config describes: which compose project is on both, what is
// in it, and in which order it starts.
func Survey(ctx context.Context, hosts map[ops.Side]ops.Host) (Found, error) {
	f := Found{How: map[string][]string{}}
	list := map[ops.Side][]ops.Container{}
	for _, side := range ops.Sides {
		engine, err := hosts[side].Engine(ctx)
		if err != nil {
			return f, fmt.Errorf("looking at %s: %w", side, err)
		}
		if list[side], err = engine.Containers(ctx); err != nil {
			return f, fmt.Errorf("looking at the containers of %s: %w", side, err)
		}
	}
	f.Compose.Project = commonProject(list, f.note)
	if f.Compose.Project == "" {
		return f, nil
	}
	members := map[ops.Side]map[string]ops.Container{}
	for side, all := range list {
		members[side] = membersOf(all, f.Compose.Project)
	}
	f.Compose.Directory = directory(members, f.note)
	after := f.order(ctx, hosts, members)
	f.sort(members, after)
	return f, nil
}

func (f *Found) note(part, format string, args ...any) {
	f.How[part] = append(f.How[part], fmt.Sprintf(format, args...))
}

// commonProject is the compose project with the most containers that is on both hosts.
func commonProject(list map[ops.Side][]ops.Container, note func(part, format string, args ...any)) string {
	count := map[string]map[ops.Side]int{}
	for side, all := range list {
		for _, c := range all {
			if p := c.Labels[labelProject]; p != "" && !oneoff(c) {
				if count[p] == nil {
					count[p] = map[ops.Side]int{}
				}
				count[p][side]++
			}
		}
	}
	best, others := "", []string(nil)
	for _, p := range slices.Sorted(maps.Keys(count)) {
		if count[p][ops.Blue] == 0 || count[p][ops.Green] == 0 {
			others = append(others, p)
			continue
		}
		total := func(p string) int { return count[p][ops.Blue] + count[p][ops.Green] }
		if best != "" {
			others = append(others, p)
		}
		if best == "" || total(p) > total(best) {
			if best != "" {
				others[len(others)-1] = best
			}
			best = p
		}
	}
	switch {
	case best == "":
		note("services", "no compose project is on both hosts: list the services yourself, in start order")
	case len(others) > 0:
		note("compose", "a guess: %s has the most containers on both hosts; there is also %s", best, strings.Join(others, ", "))
	}
	return best
}

// membersOf are the containers of a project, by service.
func membersOf(all []ops.Container, project string) map[string]ops.Container {
	of := map[string]ops.Container{}
	for _, c := range all {
		if c.Labels[labelProject] == project && !oneoff(c) && !ops.Kept(c.Name) {
			of[c.Labels[labelService]] = c
		}
	}
	return of
}

// directory is where the project lies, where both hosts agree.
func directory(members map[ops.Side]map[string]ops.Container, note func(part, format string, args ...any)) string {
	seen := map[string]bool{}
	for _, of := range members {
		for _, c := range of {
			if dir := c.Labels[labelDirectory]; dir != "" {
				seen[dir] = true
			}
		}
	}
	dirs := slices.Sorted(maps.Keys(seen))
	if len(dirs) == 1 && path.IsAbs(dirs[0]) {
		return dirs[0]
	}
	if len(dirs) > 1 {
		note("compose", "directory is left out: the labels name %s", strings.Join(dirs, " and "))
	}
	return ""
}

// order is what every service starts after: from the compose files of the hosts, else from
// labels. nil: nobody tells.
func (f *Found) order(ctx context.Context, hosts map[ops.Side]ops.Host, members map[ops.Side]map[string]ops.Container) map[string][]string {
	after := map[string][]string{}
	for _, side := range ops.Sides {
		files, err := readCompose(ctx, hosts[side], members[side], f.Compose)
		if err != nil {
			f.note("services", "the compose files of %s could not be used: %v", side, err)
			continue
		}
		for name, deps := range files {
			after[name] = append(after[name], deps...)
		}
	}
	if len(after) > 0 {
		f.note("services", "start order from depends_on of the compose files")
		return after
	}
	told := false
	for _, of := range members {
		for name, c := range of {
			label, ok := c.Labels[labelDepends]
			told = told || ok
			for dep := range strings.SplitSeq(label, ",") {
				if dep, _, _ = strings.Cut(dep, ":"); dep != "" {
					after[name] = append(after[name], dep)
				}
			}
		}
	}
	if !told {
		f.note("services", "nothing tells the start order: neither compose files that could be read nor labels; these services were found, bring them in order")
		return nil
	}
	f.note("services", "start order from the labels of compose")
	return after
}

// readCompose reads the project's files on a host: what every service depends on.
func readCompose(ctx context.Context, host ops.Host, members map[string]ops.Container, compose ops.Compose) (map[string][]string, error) {
	var names []string
	for _, c := range members {
		if label := c.Labels[labelFiles]; label != "" {
			names = strings.Split(label, ",")
			break
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no label names them")
	}
	after := map[string][]string{}
	for _, name := range names {
		if !path.IsAbs(name) {
			name = path.Join(compose.Directory, name)
		}
		data, err := host.ReadFile(ctx, name, false)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		var file composeFile
		if err := yaml.Unmarshal(data, &file); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		for service, s := range file.Services {
			after[service] = append(after[service], s.DependsOn...)
		}
	}
	return after, nil
}

// composeFile is what of a compose file tells the order. Files of a project add up, so what
// any of them says counts. compose-go would read all of it; it makes every start of tandem
// 30 ms longer (GODEBUG=inittrace=1), for this one command.
type composeFile struct {
	Services map[string]struct {
		DependsOn dependsOn `yaml:"depends_on"`
	} `yaml:"services"`
}

// dependsOn is a list of services, or a map from them to conditions (compose-spec/spec.md,
// "depends_on").
type dependsOn []string

func (d *dependsOn) UnmarshalYAML(data []byte) error {
	var list []string
	if err := yaml.Unmarshal(data, &list); err == nil {
		*d = list
		return nil
	}
	var conditions map[string]any
	if err := yaml.Unmarshal(data, &conditions); err != nil {
		return err
	}
	*d = slices.Sorted(maps.Keys(conditions))
	return nil
}

// sort puts services and jobs in order. A container that has ended well and is not started
// again by itself is taken for a job.
func (f *Found) sort(members map[ops.Side]map[string]ops.Container, after map[string][]string) {
	names := map[string]bool{}
	var jobs []string
	for _, of := range members {
		for name, c := range of {
			if isJob(c) {
				jobs = append(jobs, name)
			} else {
				names[name] = true
			}
		}
	}
	slices.Sort(jobs)
	for _, name := range slices.Compact(jobs) {
		delete(names, name)
		f.Jobs = append(f.Jobs, ops.Job{Name: name, Service: name, Only: onlyOn(members, name)})
	}
	if len(f.Jobs) > 0 {
		f.note("jobs", "a guess: containers that have ended with 0 and are not restarted")
	}
	if after == nil {
		f.note("services", "%s", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
		return
	}
	for len(names) > 0 {
		var next []string
		for name := range names {
			if !slices.ContainsFunc(after[name], func(dep string) bool { return names[dep] }) {
				next = append(next, name)
			}
		}
		if next == nil {
			f.Services = nil
			f.note("services", "these depend on each other in a circle: %s", strings.Join(slices.Sorted(maps.Keys(names)), ", "))
			return
		}
		slices.Sort(next) // of one rank: together, in any order
		for _, name := range next {
			delete(names, name)
			s := ops.Service{Name: name, Only: onlyOn(members, name)}
			for _, dep := range slices.Compact(slices.Sorted(slices.Values(after[name]))) {
				if slices.ContainsFunc(f.Services, func(have ops.Service) bool { return have.Name == dep }) {
					s.After = append(s.After, dep)
				}
			}
			f.Services = append(f.Services, s)
		}
	}
}

func isJob(c ops.Container) bool {
	return c.State == "exited" && c.ExitCode == 0 && (c.Policy == "no" || c.Policy == "")
}

// onlyOn is the side that a service is on, where it is not on both.
func onlyOn(members map[ops.Side]map[string]ops.Container, name string) ops.Side {
	_, blue := members[ops.Blue][name]
	_, green := members[ops.Green][name]
	switch {
	case blue && !green:
		return ops.Blue
	case green && !blue:
		return ops.Green
	}
	return ""
}
