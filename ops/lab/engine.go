package lab

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// obj is a JSON object as the engine writes it.
type obj = map[string]any

// socketPath is where the engine listens; /var/run is a link to /run, as everywhere.
const socketPath = "/run/docker.sock"

// release is what an engine version says of itself.
type release struct {
	version    string // GET /version
	api        string
	minAPI     string
	commit     string
	goVersion  string
	containerd string
	runc       string
}

// socketMode is srw-rw----.
const socketMode = fs.ModeSocket | 0o660

// releases are Debian 12's and Debian 13's engine, by upstream version.
var releases = map[string]release{
	"20.10.24": {
		version: "20.10.24+dfsg1", api: "1.41", minAPI: "1.12",
		commit: "5d6db84", goVersion: "go1.19.8", containerd: "1.6.20~ds1", runc: "1.1.5+ds1",
	},
	"26.1.5": {
		version: "26.1.5+dfsg1", api: "1.45", minAPI: "1.24",
		commit: "411e817", goVersion: "go1.24.4", containerd: "1.7.24~ds1", runc: "1.1.15+ds1",
	},
}

func releaseNames() []string { return slices.Sorted(maps.Keys(releases)) }

// engine is the Docker Engine of a host. Its fields are guarded by the world's lock.
type engine struct {
	host       *Host
	release    release // of the process
	next       string  // upstream version that a start would bring up
	up         bool
	starting   bool   // systemd waits for it
	attempt    int    // counts the starts that were asked for
	failure    string // why the latest start failed
	config     daemonConfig
	started    time.Time
	server     *http.Server
	listener   *pipeListener
	containers map[string]*container
	networks   map[string]*network
	images     map[string]*image
	volumes    map[string]*volume
	execs      map[string]*execution
	events     []event
	lastEvent  int // number of the latest event
	changed    signal
	running    *process
}

// process is one life of the daemon; over is closed when it ends, which ends every
// stream and every wait.
type process struct{ over chan struct{} }

func newEngine(h *Host, upstream string) *engine {
	e := &engine{
		host: h, next: upstream, containers: map[string]*container{}, networks: map[string]*network{}, images: map[string]*image{}, volumes: map[string]*volume{},
		execs: map[string]*execution{},
	}
	for name, driver := range map[string]string{"host": "host", "none": "null"} {
		e.networks[name] = &network{id: h.w.newID(), name: name, driver: driver, scope: "local", created: h.now(), builtin: true}
	}
	e.networks["bridge"] = &network{
		id: h.w.newID(), name: "bridge", driver: "bridge", scope: "local", created: h.now(), builtin: true,
		options: map[string]string{
			"com.docker.network.bridge.default_bridge": "true", "com.docker.network.bridge.enable_icc": "true",
			"com.docker.network.bridge.enable_ip_masquerade": "true", "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
			"com.docker.network.bridge.name": "docker0", "com.docker.network.driver.mtu": "1500",
		},
	}
	return e
}

// boot starts the daemon and what the restart policies ask for. A daemon whose config is
// broken does not come up.
func (e *engine) boot() {
	e.attempt++
	e.starting = false
	defer e.changed.fire()
	if e.up {
		return
	}
	if e.failure = e.broken(); e.failure != "" {
		e.host.journal(e.failure)
		return
	}
	e.serve()
	for _, c := range e.ordered() {
		if c.comesBack() {
			if err := e.mayStart(c); err != nil {
				e.host.journal("Failed to start container " + c.id + ": " + err.Error())
				continue
			}
			e.start(c)
		}
	}
}

// serve is the daemon alone: for setting the scene too.
func (e *engine) serve() {
	e.release, e.up, e.started = releases[e.next], true, e.host.now()
	e.config, _ = e.host.daemonConfig() // it was read and found good, or the scene is not of our making
	e.host.faults.noStart = ""          // the daemon and the programs that it calls match again
	e.events, e.running = nil, &process{over: make(chan struct{})}
	e.electBridge()
	e.listener = newPipeListener()
	e.server = &http.Server{Handler: e.handler(), Protocols: new(http.Protocols)}
	e.server.Protocols.SetHTTP1(true)
	go e.server.Serve(e.listener)
	e.host.makeSocket()
	e.host.journal("API listen on /run/docker.sock")
}

// shutdown stops the daemon: containers get SIGTERM and end, every stream drops.
func (e *engine) shutdown() { e.halt((*container).termStatus) }

// crash ends the daemon with the machine. What ran is found dead at the next start, with
// the status that the daemon gives to an end that it did not see.
func (e *engine) crash() { e.halt(func(*container) int { return 255 }) }

func (e *engine) halt(status func(*container) int) {
	e.attempt++ // a start that was asked for is called off
	e.starting = false
	defer e.changed.fire()
	if !e.up {
		return
	}
	for _, c := range e.ordered() {
		if c.state == "running" || c.state == "restarting" {
			c.ended(status(c))
		}
	}
	e.up = false
	close(e.running.over)
	go e.server.Close() // it waits for nothing, but takes its own lock, which a handler may hold
}

func (e *engine) ordered() []*container {
	return slices.SortedFunc(maps.Values(e.containers), func(a, b *container) int { return a.number - b.number })
}

// answers tells whether a service's container does its work, and all that it cannot do without.
func (e *engine) answers(name string) bool {
	c := e.serviceContainer(name)
	if !e.up || c == nil || c.state != "running" || !c.ready {
		return false
	}
	s, _ := e.host.w.service(name)
	for _, need := range s.needs {
		if !e.answers(need) {
			return false
		}
	}
	return true
}

// serviceContainer is the container of a service: by compose's label, or by its name.
func (e *engine) serviceContainer(name string) *container {
	var found *container
	for _, c := range e.ordered() {
		if c.labels()["com.docker.compose.service"] == name || c.name == name {
			if found == nil || c.state == "running" {
				found = c
			}
		}
	}
	return found
}

// lookup finds a container by id, name or a unique beginning of an id.
func (e *engine) lookup(ref string) (*container, error) {
	if c, ok := e.containers[ref]; ok {
		return c, nil
	}
	ref = strings.TrimPrefix(ref, "/")
	var found *container
	for _, c := range e.containers {
		if c.name == ref {
			return c, nil
		}
	}
	for _, c := range e.containers {
		if ref != "" && strings.HasPrefix(c.id, ref) {
			if found != nil {
				return nil, apiError{http.StatusBadRequest, "Multiple IDs found with provided prefix: " + ref}
			}
			found = c
		}
	}
	if found == nil {
		return nil, apiError{http.StatusNotFound, "No such container: " + ref}
	}
	return found, nil
}

// install puts packages of an engine version on the host; the daemon stays what it is.
func (h *Host) install(upstream string, at time.Time) {
	for _, name := range []string{"runc", "containerd", "docker.io", "docker-cli"} {
		i := slices.IndexFunc(catalog[name], func(b build) bool { return b.engine == upstream })
		if i < 0 {
			delete(h.apt.packages, name)
			continue
		}
		b := catalog[name][i]
		h.apt.packages[name] = &installed{version: b.version, state: 'i'}
		h.place(name, b.version, at)
	}
	h.writeStatus(at)
}

// makeSocket puts the engine's socket in its place, for root and the group docker.
func (h *Host) makeSocket() {
	n := h.files.put(socketPath, 0, "")
	n.mode = socketMode
	n.gid = groupIDs["docker"]
}

// socket finds who listens on a unix socket of the host, nil if nobody may or does.
func (h *Host) socket(u user, name string) func(net.Conn) {
	n, err := h.files.find(name, true)
	if err != nil || n.mode != socketMode || !u.may(n, 6) {
		return nil
	}
	docker, err := h.files.find(socketPath, true)
	if err != nil || docker != n || !h.engine.up {
		return nil
	}
	return h.engine.listener.dial
}

// pipeListener hands connections to an HTTP server.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial(conn net.Conn) {
	go func() {
		select {
		case l.conns <- conn:
		case <-l.done:
			conn.Close()
		}
	}()
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: socketPath, Net: "unix"} }

// apiError is an answer of the engine other than success.
type apiError struct {
	status  int
	message string
}

func (e apiError) Error() string { return fmt.Sprintf("%d %s", e.status, e.message) }
