package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is a situation that a lab begins with.
type Scenario struct {
	Name string
	Text string // one line

	out string // a side that is out of the balancer
	set func(*World)
}

// Scenarios lists them all, for help and completion.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

var scenarios = []Scenario{
	{Name: "calm", Text: "both sides the same, everything ready", set: calm},
	{Name: "incident", Text: "apt-get upgrade took the engine up a major version on both hosts, compose stayed, ETLs no longer start", set: incident},
	{Name: "upgraded", Text: "the moment after that apt-get upgrade: every check is green, and the next restart changes the engine", set: upgraded},
	{Name: "one-down", Text: "green is out with broken services, blue carries everything", out: "green", set: oneDown},
	{Name: "drift", Text: "the sides differ: other images, a restart loop, a service missing on green", set: drift},
}

// calm is where every scenario begins.
func calm(w *World) {
	for _, side := range Sides {
		h := w.hosts[side]
		h.engine.serve()
		h.engine.started = h.booted.Add(9 * time.Second)
		h.populate()
		h.hold(true, enginePackages...)
	}
}

// enginePackages are on hold where somebody takes care.
var enginePackages = []string{"runc", "containerd", "docker.io", "docker-compose"}

// The engine's answer where new binaries of containerd and runc stand under an old daemon.
const mismatch = `failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/log.json: no such file or directory): runc did not terminate successfully: exit status 127: unknown`

// upgraded is Thursday afternoon: half an hour ago somebody typed upgrade where update was
// meant. Nothing has noticed.
func upgraded(w *World) {
	calm(w)
	for _, side := range Sides {
		w.hosts[side].upgraded(w.hosts[side].now().Add(-30 * time.Minute).Truncate(time.Second))
	}
}

// upgraded is what `apt-get upgrade` did to a host then, where compose alone was on hold.
func (h *Host) upgraded(at time.Time) {
	h.hold(false, "runc", "containerd", "docker.io")
	h.refresh(at.Add(-2 * time.Minute))
	t := h.apt.upgrades(false, false)
	for _, c := range t.changes {
		h.unpack(c, at.Add(40*time.Second))
		h.apt.packages[c.name].state = 'i'
	}
	h.writeStatus(at.Add(94 * time.Second))
	h.history(h.stanza(at, "apt-get upgrade", "ops", t) + "End-Date: " + h.stamp(at.Add(94*time.Second)) + "\n")
}

func incident(w *World) {
	calm(w)
	thursday := time.Now().Add(-18 * time.Hour).Truncate(time.Minute)
	for _, side := range Sides {
		h := w.hosts[side]
		h.upgraded(thursday)
		h.files.put("/run/reboot-required", 0o644, "*** System restart required ***\n")
		h.files.put("/run/reboot-required.pkgs", 0o644, "linux-image-amd64\ndocker.io\n")
	}
	green := w.hosts["green"]

	// Green's engine was restarted in the morning; its services were started again by hand.
	restarted := time.Now().Add(-2 * time.Hour)
	green.engine.shutdown()
	green.engine.serve()
	green.engine.started = restarted
	for i, s := range w.services {
		c := green.engine.serviceContainer(s.name)
		switch {
		case s.name == "ndw-etl":
			c.finish(125, thursday.Add(10*time.Hour))
			c.printAt(c.finished, "docker: Error response from daemon: "+mismatch, true)
		case s.job:
			c.completed(s, thursday.Add(9*time.Hour))
		case s.name == "revalidation":
			c.finish(1, restarted.Add(15*time.Second))
			c.tellAt(c.finished, s.gaveUp(c.finished, "tcs")...)
		default:
			c.running(restarted.Add(time.Duration(i) * time.Minute))
		}
	}
}

func oneDown(w *World) {
	calm(w)
	green := w.hosts["green"]
	ago := time.Now().Add(-25 * time.Minute)
	for name, status := range map[string]int{"tcs": 1, "assessments": 1, "concerns": 1, "revalidation": 1, "generic-upload": 1, "sync": 1, "gmc-connect": 143} {
		s, _ := w.service(name)
		c := green.engine.serviceContainer(name)
		c.finish(status, ago)
		c.byHand = true
		if name == "tcs" {
			c.printAt(ago, s.line(ago, "ERROR", 1, "main", "com.zaxxer.hikari.pool.HikariPool", "HikariPool-1 - Exception during pool initialization."), false)
			c.printAt(ago, "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure", true)
		} else if status == 1 {
			c.tellAt(ago, s.gaveUp(ago, "tcs")...)
		}
	}
	c := green.engine.serviceContainer("notifications")
	c.health, c.ready, c.streak = "unhealthy", false, 212
}

func drift(w *World) {
	calm(w)
	blue, green := w.hosts["blue"], w.hosts["green"]
	for _, name := range []string{"profile", "assessments", "admins-ui"} {
		s, _ := w.service(name)
		c := blue.engine.serviceContainer(name)
		im := blue.engine.image(s.repo() + ":" + s.tags[1])
		c.image, c.imageID, c.config["Image"] = s.repo()+":"+s.tags[1], im.id, s.repo()+":"+s.tags[1]
		c.running(time.Now().Add(-40 * 24 * time.Hour))
	}
	// Made before the password was changed, and before a setting went.
	old := blue.engine.serviceContainer("profile")
	if env, ok := old.config["Env"].([]any); ok {
		for i, v := range env {
			if strings.HasPrefix(fmt.Sprint(v), "DB_PASSWORD=") {
				env[i] = "DB_PASSWORD=lab-of-last-year"
			}
		}
		old.config["Env"] = append(env, "PROFILE_CACHE_SIZE=lab-1789MB")
	}
	loop := blue.engine.serviceContainer("sync")
	blue.faults.trouble["sync"] = Trouble{Exit: 1, Says: "java.lang.IllegalStateException: Could not resolve placeholder 'SYNC_SQS_URL' in value \"${SYNC_SQS_URL}\""}
	loop.restarts, loop.backoff = 37, time.Minute
	loop.finish(1, time.Now().Add(-5*time.Second))
	blue.engine.again(loop, 0)
	green.engine.remove(green.engine.serviceContainer("notifications"))
}

// populate puts the images, the network and the containers of a host in place, as they
// are when everything runs for days.
func (h *Host) populate() {
	e := h.engine
	p := h.project()
	e.networks["tis_default"] = &network{
		id: h.w.newID(), name: "tis_default", driver: "bridge", scope: "local", subnet: "172.18.0.0/16", attachable: true, created: h.booted.Add(-60 * 24 * time.Hour),
		labels: map[string]string{"com.docker.compose.network": "default", "com.docker.compose.project": "tis", "com.docker.compose.version": h.compose},
	}
	for i, s := range h.w.services {
		if s.only != "" && s.only != h.side {
			continue
		}
		for n, tag := range s.tags {
			im := s.image(tag)
			im.created = h.booted.Add(-time.Duration(8+n*21+i) * 24 * time.Hour)
			if n == 0 {
				im.tags = append(im.tags, s.repo()+":latest")
			}
			e.images[im.id] = im
		}
		im := e.image(s.repo() + ":latest")
		body, _ := p.body(s.name, 1, im.id)
		c := e.make(p.container(s.name, 1), im, plain(body))
		c.created = h.booted.Add(-24 * time.Hour)
		if s.job {
			c.completed(s, h.now().Add(-6*time.Hour-time.Duration(i)*7*time.Minute))
			continue
		}
		c.running(h.booted.Add(40*time.Second + time.Duration(i)*21*time.Second))
		up := c.started.Add(s.startup)
		c.tellAt(c.started, s.begins(c.started, c.pid)...)
		c.tellAt(up, s.started(c.started, up)...)
		for n := range uint64(40) {
			at := h.now().Add(-time.Duration(40-n) * 11 * time.Second)
			c.printAt(at, s.works(at, mix(n*31+uint64(i))), false)
		}
	}
	e.events = nil
}

// project is what the containers were made from.
func (h *Host) project() *project {
	p := &project{
		name: "tis", home: "/opt/tis", files: []string{"docker-compose.yml"}, version: h.compose, services: map[string]obj{}, networks: map[string]obj{}, volumes: map[string]obj{},
	}
	if err := p.parse([]byte(composeFile(h.w.services)), nil); err != nil {
		panic("reading the lab's compose file: " + err.Error())
	}
	return p
}

// plain is a request as the engine reads it from the wire.
func plain(body obj) (out obj) {
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		panic("writing a request of the lab: " + err.Error())
	}
	return out
}

// running makes a container look as if it had run since then.
func (c *container) running(since time.Time) {
	c.life++
	c.state, c.started, c.finished, c.exit, c.ran, c.ready, c.byHand = "running", since, time.Time{}, 0, true, true, false
	c.pid = 1000 + int(mix(uint64(c.number))%30000)
	if c.checked() {
		c.health = "healthy"
	}
	c.joinAll()
}

// completed makes the container of a job look as if it had done its work by then.
func (c *container) completed(s service, at time.Time) {
	c.finish(0, at)
	c.lines = nil
	c.tellAt(c.started, s.jobBegins(c.started)...)
	c.tellAt(at, s.jobEnds(at, 0)...)
}

// finish makes a container look as if it had ended then: its log has nothing later.
func (c *container) finish(status int, at time.Time) {
	c.life++
	c.state, c.exit, c.finished, c.ran, c.ready, c.pid = "exited", status, at, true, false, 0
	c.started = at.Add(-25 * time.Second)
	c.lines = slices.DeleteFunc(c.lines, func(l logLine) bool { return l.at.After(at) })
	c.health = ""
	if c.checked() {
		c.health = "unhealthy"
	}
}

func (s service) image(tag string) *image {
	sum := sha256.Sum256([]byte(s.repo() + ":" + tag))
	config := obj{
		"Env":    []any{"PATH=/usr/local/openjdk-8/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "JAVA_VERSION=8u275"},
		"Labels": obj{"org.opencontainers.image.revision": tag}, "Entrypoint": []any{"java", "-Djava.security.egd=file:/dev/./urandom", "-jar", "/app.jar"},
		"WorkingDir": "/",
	}
	if s.plain {
		config["Env"], config["Entrypoint"], config["Cmd"] = []any{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, []any{"/docker-entrypoint.sh"}, []any{s.class, "-D", "FOREGROUND"}
	}
	if s.spool != "" {
		config["Volumes"] = obj{s.spool: obj{}}
	}
	return &image{
		id: "sha256:" + hex.EncodeToString(sum[:]), tags: []string{s.repo() + ":" + tag}, size: int64(140<<20 + mix(uint64(sum[0]))%90<<20),
		config: config, program: s.name,
	}
}
