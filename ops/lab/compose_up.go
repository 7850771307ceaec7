package lab

//lint:file-ignore ST1005 These errors are compose's own words, as its versions print them.

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func (c *composing) up() error {
	names := c.names
	if len(names) == 0 {
		names = c.project.names()
	}
	order, err := c.ordered(names, !c.has("--no-deps"))
	if err != nil {
		return err
	}
	if err := c.prepare(order); err != nil {
		return err
	}
	for _, service := range order {
		if err := c.converge(service); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the networks and volumes that the services need and that are not there.
func (c *composing) prepare(services []string) error {
	for _, service := range services {
		for _, name := range slices.Sorted(maps.Keys(c.onNetworks(service))) {
			if err := c.network(name); err != nil {
				return err
			}
		}
		for _, b := range list(c.services[service]["volumes"], ":") {
			name, _, _ := strings.Cut(b.(string), ":")
			o, declared := c.volumes[name]
			real, external := c.external(name, o)
			if !declared || external {
				continue
			}
			if err := c.ask("GET", "/volumes/"+real, nil, nil); err == nil {
				continue
			}
			labels := map[string]string{"com.docker.compose.project": c.name, "com.docker.compose.volume": name, "com.docker.compose.version": c.version}
			if err := c.ask("POST", "/volumes/create", obj{"Name": real, "Labels": labels}, nil); err != nil {
				return c.failed(real, err)
			}
		}
	}
	return nil
}

func (c *composing) network(name string) error {
	o := c.networks[name]
	real, external := c.external(name, o)
	var there struct{ Labels map[string]string }
	var refused apiError
	const label = "com.docker.compose.network"
	switch err := c.ask("GET", "/networks/"+real, nil, &there); {
	case err == nil && !external && !c.v1() && there.Labels[label] != name:
		return fmt.Errorf("network %s was found but has incorrect label %s set to %q (expected: %q)", real, label, there.Labels[label], name)
	case err == nil:
		return nil
	case !errors.As(err, &refused) || refused.status != http.StatusNotFound:
		return err
	case external && c.v1():
		return fmt.Errorf("Network %s declared as external, but could not be found. Please create the network manually using `docker network create %s` and try again.", real, real)
	case external:
		return fmt.Errorf("network %s declared as external, but could not be found", real)
	}
	body := obj{
		"Name": real, "CheckDuplicate": true, "Driver": "bridge", "Attachable": c.v1(), "Internal": o["internal"] == true, "EnableIPv6": o["enable_ipv6"] == true,
		"Labels": map[string]string{label: name, "com.docker.compose.project": c.name, "com.docker.compose.version": c.version},
	}
	if d := text(o["driver"]); d != "" {
		body["Driver"] = d
	}
	if options, ok := o["driver_opts"].(obj); ok {
		all := map[string]string{}
		for k, v := range options {
			all[k] = text(v)
		}
		body["Options"] = all
	}
	if ipam, ok := o["ipam"].(obj); ok {
		var configs []any
		ranges, _ := ipam["config"].([]any)
		for _, one := range ranges {
			r, _ := one.(obj)
			conf := obj{"Subnet": text(r["subnet"])}
			if g := text(r["gateway"]); g != "" {
				conf["Gateway"] = g
			}
			configs = append(configs, conf)
		}
		body["IPAM"] = obj{"Driver": "default", "Config": configs}
	}
	if c.v1() {
		fmt.Fprintf(c.stderr, "Creating network %q with the default driver\n", real)
	}
	if err := c.ask("POST", "/networks/create", body, nil); err != nil {
		return c.failed(real, err)
	}
	if !c.v1() {
		c.tell("Network", real, "", "Created")
	}
	return nil
}

// image is the id of a service's image; there is no registry to pull it from.
func (c *composing) image(service string) (id string, config obj, err error) {
	ref := text(c.services[service]["image"])
	var im struct {
		ID     string
		Config obj
	}
	err = c.ask("GET", "/images/"+ref+"/json", nil, &im)
	var refused apiError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		if c.v1() {
			fmt.Fprintf(c.stderr, "Pulling %s (%s)...\n", service, ref)
		}
		err = c.ask("POST", "/images/create?fromImage="+url.QueryEscape(ref), nil, nil)
		if errors.As(err, &refused) {
			err = errors.New(refused.message)
		}
	}
	return im.ID, im.Config, err
}

// converge makes what is there of a service into what the file says.
func (c *composing) converge(service string) error {
	imageID, _, err := c.image(service)
	if err != nil {
		return err
	}
	have, err := c.containers(service)
	if err != nil {
		return err
	}
	want := 1
	if name, n, ok := strings.Cut(c.flags["--scale"], "="); ok && name == service {
		if want, err = strconv.Atoi(n); err != nil {
			return err
		}
	}
	for number := 1; number <= max(want, len(have)); number++ {
		switch {
		case number > len(have):
			err = c.create(service, number, imageID, nil)
		case number > want:
			err = c.discard(have[number-1])
		case c.has("--force-recreate") || have[number-1].Labels["com.docker.compose.config-hash"] != c.hash(service, imageID) && !c.has("--no-recreate"):
			err = c.recreate(service, number, imageID, have[number-1])
		case have[number-1].State == "running" && c.v1():
			fmt.Fprintf(c.stderr, "%s is up-to-date\n", have[number-1].name())
		case have[number-1].State != "running" && !c.has("--no-start"):
			err = c.start(have[number-1].name(), "Starting")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *composing) discard(m made) error {
	if err := c.ask("POST", "/containers/"+m.ID+"/stop", nil, nil); err != nil {
		return c.failed(m.name(), err)
	}
	if err := c.ask("DELETE", "/containers/"+m.ID, nil, nil); err != nil {
		return c.failed(m.name(), err)
	}
	c.tell("Container", m.name(), "Removing", "done")
	return nil
}

// create makes a container and starts it unless that is not wanted. kept are volumes of an
// earlier one, as binds.
func (c *composing) create(service string, number int, imageID string, kept []any) error {
	name := c.container(service, number)
	body, more := c.body(service, number, imageID)
	host := body["HostConfig"].(obj)
	host["Binds"] = append(host["Binds"].([]any), kept...)
	var answer struct{ ID string }
	if err := c.ask("POST", "/containers/create?name="+url.QueryEscape(name), body, &answer); err != nil {
		return c.failed(name, err)
	}
	for _, network := range slices.Sorted(maps.Keys(more)) {
		if err := c.ask("POST", "/networks/"+network+"/connect", obj{"Container": answer.ID, "EndpointConfig": more[network]}, nil); err != nil {
			return c.failed(name, err)
		}
	}
	if c.has("--no-start") {
		c.tell("Container", name, "Creating", map[bool]string{true: "done", false: "Created"}[c.v1()])
		return nil
	}
	return c.start(name, "Creating")
}

func (c *composing) start(name, doing string) error {
	if err := c.ask("POST", "/containers/"+name+"/start", nil, nil); err != nil {
		return c.failed(name, err)
	}
	c.tell("Container", name, doing, map[bool]string{true: "done", false: "Started"}[c.v1()])
	return nil
}

// traceback is how docker-compose 1.29.2 ends when it makes a container anew on an engine
// that no longer tells the ContainerConfig of an image (since API 1.45).
const traceback = `Traceback (most recent call last):
  File "docker-compose", line 3, in <module>
  File "compose/cli/main.py", line 81, in main
  File "compose/cli/main.py", line 203, in perform_command
  File "compose/metrics/decorator.py", line 18, in wrapper
  File "compose/cli/main.py", line 1186, in up
  File "compose/cli/main.py", line 1182, in up
  File "compose/project.py", line 702, in up
  File "compose/parallel.py", line 108, in parallel_execute
  File "compose/parallel.py", line 206, in producer
  File "compose/project.py", line 688, in do
  File "compose/service.py", line 581, in execute_convergence_plan
  File "compose/service.py", line 503, in _execute_convergence_recreate
  File "compose/parallel.py", line 108, in parallel_execute
  File "compose/parallel.py", line 206, in producer
  File "compose/service.py", line 496, in recreate
  File "compose/service.py", line 615, in recreate_container
  File "compose/service.py", line 334, in create_container
  File "compose/service.py", line 922, in _get_container_create_options
  File "compose/service.py", line 962, in _build_container_volume_options
  File "compose/service.py", line 1549, in merge_volume_bindings
  File "compose/service.py", line 1579, in get_container_data_volumes
KeyError: 'ContainerConfig'
`

// recreate stops the old container, puts it aside under its short id and name, makes the
// new one with the volumes that the old one had without a name, and removes the old one.
func (c *composing) recreate(service string, number int, imageID string, old made) error {
	if old.State == "running" {
		if err := c.ask("POST", "/containers/"+old.ID+"/stop", nil, nil); err != nil {
			return c.failed(old.name(), err)
		}
	}
	aside := old.ID[:12] + "_" + c.container(service, number)
	if old.name() != aside {
		if err := c.ask("POST", "/containers/"+old.ID+"/rename?name="+aside, nil, nil); err != nil {
			return c.failed(old.name(), err)
		}
	}
	var im obj
	if err := c.ask("GET", "/images/"+imageID+"/json", nil, &im); err != nil {
		return c.failed(old.name(), err)
	}
	if _, told := im["ContainerConfig"]; c.v1() && !told {
		fmt.Fprintf(c.stderr, "Recreating %s ... \n\nERROR: for %s  'ContainerConfig'\n\nERROR: for %s  'ContainerConfig'\n%s[%d] Failed to execute script docker-compose\n",
			c.container(service, number), c.container(service, number), service, traceback, 40000+number)
		return errSaid
	}
	var before struct {
		Mounts []struct{ Type, Name, Destination string }
	}
	if err := c.ask("GET", "/containers/"+old.ID+"/json", nil, &before); err != nil {
		return c.failed(old.name(), err)
	}
	named := c.binds(service)
	var kept []any
	for _, m := range before.Mounts {
		if m.Type == "volume" && !slices.ContainsFunc(named, func(b any) bool { return strings.Contains(b.(string), ":"+m.Destination+":") }) {
			kept = append(kept, m.Name+":"+m.Destination+":rw")
		}
	}
	if err := c.create(service, number, imageID, kept); err != nil {
		return err
	}
	if err := c.ask("DELETE", "/containers/"+old.ID, nil, nil); err != nil {
		return c.failed(aside, err)
	}
	return nil
}
