package lab

//lint:file-ignore ST1005 These errors are compose's own words, as its versions print them.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
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
