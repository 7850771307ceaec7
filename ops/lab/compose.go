package lab

//lint:file-ignore ST1005 These errors are compose's own words, as its versions print them.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	composeProgram = "/usr/bin/docker-compose" // of Debian's package
	composeByHand  = "/usr/local/bin/docker-compose"
	composePlugin  = "/usr/libexec/docker/cli-plugins/docker-compose"
)

// InstallCompose gives the host another compose: a 1.x is the program docker-compose, a
// later one also the plug-in of the docker command. It is Debian's package where Debian has
// that version, else a program that somebody copied there. Empty: none at all.
func (h *Host) InstallCompose(version string) {
	h.with(func() { h.installCompose(version, h.now()) })
}

func (h *Host) installCompose(version string, at time.Time) {
	delete(h.apt.packages, "docker-compose")
	for _, b := range catalog["docker-compose"] {
		if upstream, _, _ := strings.Cut(b.version, "-"); upstream == version {
			h.apt.packages["docker-compose"] = &installed{version: b.version, state: 'i'}
		}
	}
	h.placeCompose(version, at)
	if _, err := h.files.find(dockerClient, true); err != nil && h.plugin != "" {
		cli := catalog["docker-cli"][0] // the command that it plugs in to
		h.apt.packages["docker-cli"] = &installed{version: cli.version, state: 'i'}
		h.place("docker-cli", cli.version, at)
	}
	h.writeStatus(at)
}

// placeCompose puts the files of a version in place, and takes those of others away.
func (h *Host) placeCompose(version string, at time.Time) {
	for _, file := range []string{composeProgram, composeByHand, composePlugin} {
		h.drop(file)
	}
	h.compose, h.plugin = version, version
	program := composeProgram
	if h.apt.packages["docker-compose"] == nil {
		program = composeByHand
	}
	switch {
	case version == "":
	case strings.HasPrefix(version, "1."):
		h.plugin = ""
		h.files.put(program, 0o755, "#!/usr/bin/python3\n").changed = at
	default:
		h.files.put(composePlugin, 0o755, "\x7fELF").changed = at
		h.files.link(program, composePlugin)
	}
}

// composing is one run of compose: a client of the engine's API like any other.
type composing struct {
	*call
	*project
	http  *http.Client
	flags map[string]string
	names []string // the services asked for
}

// errSaid ends a run that has told already why.
var errSaid = errors.New("told already")

// compose runs one of both lines of compose: 1.x in Python, 2.x in Go.
func (c *call) compose(version string) int {
	run := &composing{call: c, project: &project{version: version, services: map[string]obj{}, networks: map[string]obj{}, volumes: map[string]obj{}}, flags: map[string]string{}}
	err := run.do()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
	case run.v1():
		fmt.Fprintf(c.stderr, "ERROR: %v\n", err)
	default:
		fmt.Fprintln(c.stderr, err)
	}
	return 1
}

// Options with a value: those before the command, and those after it.
var (
	projectValued = []string{"-p", "--project-name", "--project-directory", "-f", "--file", "--env-file", "--profile", "--ansi", "--progress", "--parallel"}
	verbValued    = []string{"-t", "--timeout", "--scale", "--rmi", "--format", "--pull", "--status", "--wait-timeout"}
)

// take splits off the options in front of the first word that is none.
func take(args, valued []string, set func(name, value string)) []string {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		if slices.Contains(valued, name) && !joined && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		set(name, value)
	}
	return args
}

func (c *composing) do() error {
	var files []string
	var envFile string
	args := take(c.args, projectValued, func(name, value string) {
		switch name {
		case "-p", "--project-name":
			c.name = value
		case "--project-directory":
			c.home = c.path(value)
		case "-f", "--file":
			files = append(files, value)
		case "--env-file":
			envFile = value
		default:
			c.flags[name] = value
		}
	})
	if _, asked := c.flags["--version"]; asked || len(args) > 0 && args[0] == "version" || len(args) == 0 && c.flags["-v"] != "" {
		return c.sayVersion(args)
	}
	if len(args) == 0 {
		return errors.New("no command given")
	}
	verb := args[0]
	rest := args[1:]
	for len(rest) > 0 {
		rest = take(rest, verbValued, func(name, value string) { c.flags[name] = value })
		if len(rest) > 0 {
			c.names, rest = append(c.names, rest[0]), rest[1:]
		}
	}
	if err := c.load(files, envFile); err != nil {
		return err
	}
	act, ok := map[string]func() error{
		"up": c.up, "create": c.up, "start": c.startAll, "stop": c.stopAll, "rm": c.rm, "down": c.down, "ps": c.ps, "config": c.config,
	}[verb]
	if !ok {
		return fmt.Errorf("No such command: %s", verb)
	}
	if verb == "create" {
		c.flags["--no-start"] = ""
		if c.v1() {
			c.flags["--no-deps"] = ""
		}
	}
	if verb != "config" {
		if err := c.connect(); err != nil {
			return err
		}
	}
	return act()
}

func (c *composing) has(names ...string) bool { return has(c.flags, names...) }

func (c *composing) sayVersion(args []string) error {
	switch short := slices.Contains(args, "--short"); {
	case short:
		c.say("%s\n", c.version)
	case !c.v1():
		c.say("Docker Compose version v%s\n", c.version)
	case len(args) > 0:
		c.say("docker-compose version %s, build 67630359\ndocker-py version: 5.0.0\nCPython version: 3.7.10\nOpenSSL version: OpenSSL 1.1.0l  10 Sep 2019\n", c.version)
	default:
		c.say("docker-compose version %s, build 67630359\n", c.version)
	}
	return nil
}

// load finds and reads the files. The project's directory is that of the first file, or
// where it is run; its name that of the directory.
func (c *composing) load(files []string, envFile string) error {
	if len(files) == 0 {
		dir := c.home
		if dir == "" {
			dir = c.dir
		}
		for _, name := range []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"} {
			if _, err := c.read(path.Join(dir, name)); err == nil {
				files = []string{path.Join(dir, name)}
				break
			}
		}
		if files == nil && c.v1() {
			return errors.New("\n        Can't find a suitable configuration file in this directory or any\n        parent. Are you in the right directory?\n\n        Supported filenames: docker-compose.yml, docker-compose.yaml, compose.yml, compose.yaml\n        ")
		}
		if files == nil {
			return errors.New("no configuration file provided: not found")
		}
	}
	if c.home == "" {
		c.home = c.dir
		if files[0] != "-" {
			c.home = path.Dir(c.path(files[0]))
		}
	}
	given := c.name
	variables := c.variables(envFile)
	for _, f := range files {
		data, err := c.read(f)
		if err != nil && c.v1() {
			return fmt.Errorf(".FileNotFoundError: [Errno 2] %s: '%s'", errText(err), f)
		} else if err != nil {
			return fmt.Errorf("open %s: %s", c.path(f), strings.ToLower(errText(err)))
		}
		if err := c.parse(data, variables); err != nil {
			return err
		}
		if f != "-" && !c.v1() {
			f = c.path(f)
		}
		c.files = append(c.files, f)
	}
	if given != "" {
		c.name = given
	}
	if c.name == "" {
		c.name = strings.ToLower(path.Base(c.home))
	}
	return nil
}

// variables are those of .env in the project's directory, or of the file given.
func (c *composing) variables(file string) map[string]string {
	out := map[string]string{"PWD": c.dir, "HOME": c.user.home}
	if file == "" {
		file = path.Join(c.home, ".env")
	}
	data, err := c.read(file)
	if err != nil {
		return out
	}
	for _, l := range lines(data) {
		if k, v, ok := strings.Cut(strings.TrimSpace(l), "="); ok && !strings.HasPrefix(k, "#") {
			out[k] = strings.Trim(v, `"'`)
		}
	}
	return out
}

// connect opens the way to the engine, as the user who runs it may.
func (c *composing) connect() error {
	var dial func(net.Conn)
	c.h.with(func() { dial = c.h.socket(c.user, socketPath) })
	switch {
	case dial == nil && c.v1() && !c.maySocket():
		return errors.New("Couldn't connect to Docker daemon: ('Connection aborted.', PermissionError(13, 'Permission denied'))")
	case dial == nil && c.v1():
		return errors.New("Couldn't connect to Docker daemon at http+docker://localhost - is it running?\n\nIf it's at a non-standard location, specify the URL with the DOCKER_HOST environment variable.")
	case dial == nil:
		c.noDaemon()
		return errSaid
	}
	c.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		if asked, ok := c.ctx.Value(commandKey{}).(command); ok {
			far = calling{far, asked.from}
		}
		dial(far)
		return near, nil
	}}}
	return nil
}

func (c *composing) maySocket() bool {
	return c.onFiles(false, func(f *files) error {
		n, err := f.find(socketPath, true)
		if err == nil && !c.user.may(n, 6) {
			err = fs.ErrPermission
		}
		return err
	}) == nil
}

// ask sends one request to the engine. An answer that is an error is an apiError.
func (c *composing) ask(method, where string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(c.ctx, method, "http://docker"+where, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 400 {
		var said struct{ Message string }
		if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
			return err
		}
		return apiError{answer.StatusCode, said.Message}
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// made is a container of the project as the list shows it.
type made struct {
	ID, State, Image, Status string
	Names                    []string
	Labels                   map[string]string
}

func (m made) name() string    { return strings.TrimPrefix(m.Names[0], "/") }
func (m made) service() string { return m.Labels["com.docker.compose.service"] }

// containers are those of a service of the project, or of all services.
func (c *composing) containers(service string) ([]made, error) {
	want := []string{"com.docker.compose.project=" + c.name, "com.docker.compose.oneoff=False"}
	if service != "" {
		want = append(want, "com.docker.compose.service="+service)
	}
	filter, err := json.Marshal(map[string][]string{"label": want})
	if err != nil {
		return nil, err
	}
	var out []made
	err = c.ask("GET", "/containers/json?all=1&filters="+url.QueryEscape(string(filter)), nil, &out)
	slices.SortFunc(out, func(a, b made) int {
		return strings.Compare(a.Labels["com.docker.compose.container-number"], b.Labels["com.docker.compose.container-number"])
	})
	return out, err
}

// tell is a line of progress, in the form of either line of compose.
func (c *composing) tell(kind, name, doing, done string) {
	if c.v1() {
		fmt.Fprintf(c.stderr, "%s %s ... %s\n", doing, name, done)
	} else {
		fmt.Fprintf(c.stderr, " %s %s  %s\n", kind, name, done)
	}
}

func (c *composing) failed(name string, err error) error {
	var refused apiError
	if errors.As(err, &refused) {
		err = errors.New(refused.message)
	}
	if c.v1() {
		fmt.Fprintf(c.stderr, "\nERROR: for %s  %v\n", name, err)
		fmt.Fprintln(c.stderr, "ERROR: Encountered errors while bringing up the project.")
		return errSaid
	}
	return fmt.Errorf("Error response from daemon: %w", err)
}

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

// chosen are the containers of the services asked for, or of all in the file.
func (c *composing) chosen() ([]made, error) {
	names := c.names
	if len(names) == 0 {
		names = c.project.names()
	}
	order, err := c.ordered(names, false)
	if err != nil {
		return nil, err
	}
	var out []made
	for _, service := range order {
		have, err := c.containers(service)
		if err != nil {
			return nil, err
		}
		out = append(out, have...)
	}
	return out, nil
}

func (c *composing) startAll() error {
	all, err := c.chosen()
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.State != "running" {
			if err := c.start(m.name(), "Starting"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *composing) stopAll() error {
	all, err := c.chosen()
	if err != nil {
		return err
	}
	patience := c.flags["-t"] + c.flags["--timeout"]
	if patience == "" {
		patience = "10"
	}
	for _, m := range slices.Backward(all) {
		if m.State != "running" && m.State != "restarting" {
			continue
		}
		if err := c.ask("POST", "/containers/"+m.ID+"/stop?t="+patience, nil, nil); err != nil {
			return c.failed(m.name(), err)
		}
		c.tell("Container", m.name(), "Stopping", map[bool]string{true: "done", false: "Stopped"}[c.v1()])
	}
	return nil
}

func (c *composing) rm() error {
	if !c.has("-f", "--force") {
		return errors.New("rm asks on a terminal, and there is none here: -f")
	}
	if c.has("-s", "--stop") {
		if err := c.stopAll(); err != nil {
			return err
		}
	}
	all, err := c.chosen()
	if err != nil {
		return err
	}
	query := ""
	if c.has("-v") {
		query = "?v=1"
	}
	for _, m := range slices.Backward(all) {
		if m.State == "running" {
			continue
		}
		if err := c.ask("DELETE", "/containers/"+m.ID+query, nil, nil); err != nil {
			return c.failed(m.name(), err)
		}
		c.tell("Container", m.name(), "Removing", map[bool]string{true: "done", false: "Removed"}[c.v1()])
	}
	return nil
}

func (c *composing) down() error {
	if err := c.stopAll(); err != nil {
		return err
	}
	c.flags["-f"] = ""
	if err := c.rm(); err != nil {
		return err
	}
	used := map[string]bool{}
	for _, service := range c.project.names() {
		for name := range c.onNetworks(service) {
			used[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		real, external := c.external(name, c.networks[name])
		if external {
			continue
		}
		if c.v1() {
			fmt.Fprintf(c.stderr, "Removing network %s\n", real)
		}
		var refused apiError
		if err := c.ask("DELETE", "/networks/"+real, nil, nil); err != nil && !(errors.As(err, &refused) && refused.status == http.StatusNotFound) {
			return c.failed(real, err)
		}
	}
	return nil
}

func (c *composing) ps() error {
	all, err := c.chosen()
	if err != nil {
		return err
	}
	for _, m := range all {
		switch {
		case !c.v1() && !c.has("-a", "--all") && m.State != "running":
		case c.has("-q", "--quiet"):
			c.say("%s\n", m.ID)
		case c.has("--services"):
			c.say("%s\n", m.service())
		default:
			c.say("%-30s %-30s %s\n", m.name(), m.Image, m.Status)
		}
	}
	return nil
}

func (c *composing) config() error {
	switch {
	case c.has("-q", "--quiet"):
	case c.has("--services"):
		order, err := c.ordered(c.project.names(), false)
		if err != nil {
			return err
		}
		c.say("%s\n", strings.Join(order, "\n"))
	default:
		text, err := json.MarshalIndent(obj{"name": c.name, "services": c.services, "networks": c.networks, "volumes": c.volumes}, "", "  ")
		if err != nil {
			return err
		}
		c.say("%s\n", text)
	}
	return nil
}
