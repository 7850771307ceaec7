package lab

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"
)

// container is a container of an engine. Its methods expect the world's lock.
type container struct {
	engine   *engine
	number   int // order of creation
	id       string
	name     string
	created  time.Time
	image    string // as asked for
	imageID  string
	config   obj // Config of an inspect
	host     obj // HostConfig of an inspect
	networks map[string]*endpoint
	volumes  []obj // Mounts of an inspect

	state    string // created, running, restarting, exited, removing
	health   string // "", starting, healthy, unhealthy
	streak   int    // checks failed one after the other
	ready    bool   // answers on its port
	pid      int
	started  time.Time
	finished time.Time
	exit     int
	restarts int
	ran      bool // was started at least once
	byHand   bool // stopped on request
	life     int  // counts the starts, so that a timer of an earlier life does nothing
	backoff  time.Duration

	lines   []logLine
	dropped int // lines forgotten from the front
	changed signal
	printed signal
}

type logLine struct {
	at     time.Time
	stderr bool
	text   string
}

// maxLines is how much log a container keeps.
const maxLines = 4000

func (c *container) labels() map[string]string {
	labels := map[string]string{}
	switch from := c.config["Labels"].(type) {
	case map[string]string:
		maps.Copy(labels, from)
	case map[string]any:
		for k, v := range from {
			labels[k] = fmt.Sprint(v)
		}
	}
	return labels
}

// policy is the restart policy: its name and how often on-failure may try.
func (c *container) policy() (name string, times int) {
	p, ok := c.host["RestartPolicy"].(map[string]any)
	if !ok {
		return "no", 0
	}
	name, _ = p["Name"].(string)
	if name == "" {
		name = "no"
	}
	switch n := p["MaximumRetryCount"].(type) {
	case float64:
		times = int(n)
	case int:
		times = n
	}
	return name, times
}

// comesBack decides after a start of the daemon, as measured on 20.10.
func (c *container) comesBack() bool {
	name, _ := c.policy()
	switch name {
	case "always":
		return c.ran
	case "unless-stopped":
		return c.ran && !c.byHand
	case "on-failure":
		return c.ran && c.exit != 0
	}
	return false
}

// behaviour is what runs inside: a service or job of the scenario by the image's
// name, else a program that ends at once with success, as a canary does.
func (c *container) behaviour() (service, bool) {
	im := c.engine.images[c.imageID]
	if im == nil || im.program == "" {
		return service{}, false
	}
	return c.engine.host.w.service(im.program)
}

func (c *container) trouble() (Trouble, bool) {
	s, ok := c.behaviour()
	if !ok {
		return Trouble{}, false
	}
	t, ok := c.engine.host.faults.trouble[s.name]
	return t, ok
}

// start begins a life. It does nothing when the container runs.
func (e *engine) start(c *container) {
	if c.state == "running" {
		return
	}
	w := e.host.w
	c.life++
	c.state, c.started, c.exit, c.ran, c.byHand, c.ready = "running", e.host.now(), 0, true, false, false
	c.streak = 0
	c.pid = 1000 + int(mix(uint64(c.number*1000+c.life))%30000)
	c.joinAll()
	e.emit("container", "start", c.id, c.attributes())
	life := c.life
	s, ok := c.behaviour()
	trouble, troubled := c.trouble()
	if troubled && !trouble.Unhealthy && !trouble.Deaf {
		s.startup = min(s.startup, 3*time.Second) // what is broken gives up early
	}
	later := func(d time.Duration, f func()) {
		w.after(d, func() {
			if c.life == life && c.state == "running" {
				f()
			}
		})
	}
	switch {
	case !ok:
		c.health = ""
		later(max(100*time.Millisecond, e.host.faults.linger), func() { e.exited(c, 0) })
	case s.job:
		c.health = ""
		c.tell(s.jobBegins(e.host.now())...)
		later(s.startup, func() {
			status := trouble.Exit
			if troubled && trouble.Says != "" {
				c.print(trouble.Says, true)
			}
			c.tell(s.jobEnds(e.host.now(), status)...)
			e.exited(c, status)
		})
	default:
		c.health = ""
		if c.checked() {
			c.health = "starting"
		}
		c.tell(s.begins(e.host.now(), c.pid)...)
		later(s.startup, func() { e.startedUp(c, s) })
	}
	c.changed.fire()
}

// startedUp is the moment at which a service would begin to answer.
func (e *engine) startedUp(c *container, s service) {
	trouble, troubled := c.trouble()
	if troubled && trouble.Says != "" {
		c.print(trouble.Says, true)
	}
	for _, need := range s.needs {
		if !e.answers(need) && !troubled {
			c.tell(s.gaveUp(e.host.now(), need)...)
			e.exited(c, 1)
			return
		}
	}
	switch {
	case troubled && trouble.Unhealthy:
		c.streak = 3
		c.setHealth("unhealthy")
	case troubled && !trouble.Deaf:
		e.exited(c, trouble.Exit)
		return
	default:
		c.ready = true
		c.tell(s.started(c.started, e.host.now())...)
		c.setHealth("healthy")
	}
	c.changed.fire()
}

func (c *container) checked() bool {
	check, ok := c.config["Healthcheck"].(map[string]any)
	return ok && len(check) > 0
}

func (c *container) setHealth(word string) {
	if !c.checked() || c.health == word {
		return
	}
	c.health = word
	c.engine.emit("container", "health_status: "+word, c.id, c.attributes())
}

// ended is the end of the process, whatever comes after it.
func (c *container) ended(status int) {
	c.life++
	c.state, c.exit, c.finished, c.pid, c.ready = "exited", status, c.engine.host.now(), 0, false
	c.leaveAll()
	if c.health != "" {
		c.health = "unhealthy"
	}
	attributes := c.attributes()
	attributes["exitCode"] = strconv.Itoa(status)
	c.engine.emit("container", "die", c.id, attributes)
	c.changed.fire()
	c.printed.fire()
}

// exited ends the process and lets the restart policy decide.
func (e *engine) exited(c *container, status int) {
	if c.state != "running" {
		return
	}
	lived := e.host.now().Sub(c.started)
	c.ended(status)
	name, times := c.policy()
	again := name == "always" || name == "unless-stopped" || name == "on-failure" && status != 0 && (times == 0 || c.restarts < times)
	if c.byHand || !again {
		e.autoRemove(c)
		return
	}
	e.again(c, lived)
}

// again starts a container anew after a pause, as its restart policy asks for.
func (e *engine) again(c *container, lived time.Duration) {
	// dockerd waits 100 ms, doubling up to a minute, and begins anew after a life of 10 s.
	if c.backoff *= 2; c.backoff == 0 || lived > e.host.w.pace(10*time.Second) {
		c.backoff = 100 * time.Millisecond
	}
	c.backoff = min(c.backoff, time.Minute)
	c.state = "restarting"
	life := c.life
	e.host.w.after(c.backoff, func() {
		if c.life == life && c.state == "restarting" {
			c.restarts++
			e.start(c)
		}
	})
}

// stopTime is how long the process takes to end after SIGTERM.
func (c *container) stopTime() time.Duration {
	s, ok := c.behaviour()
	if t, troubled := c.trouble(); troubled && t.Deaf {
		return math.MaxInt64
	}
	if !ok {
		return 50 * time.Millisecond
	}
	return s.stop
}

// termStatus is what the process ends with after SIGTERM: a JVM says 143.
func (c *container) termStatus() int {
	if s, ok := c.behaviour(); ok && !s.plain {
		return 143
	}
	return 0
}

// stop asks the process to end and kills it when t is over. It returns at once.
func (e *engine) stop(c *container, t time.Duration) {
	c.byHand = true
	if c.state == "restarting" {
		c.life++
		c.state = "exited"
		c.changed.fire()
		return
	}
	status, takes := c.termStatus(), c.stopTime()
	e.signalled(c, "15")
	if s, ok := c.behaviour(); ok && takes < t {
		c.tell(s.stopping(c.engine.host.now())...)
	}
	if takes > t {
		takes, status = t, 137
	}
	life := c.life
	e.host.w.after(takes, func() {
		if c.life != life || c.state != "running" {
			return
		}
		if status == 137 {
			e.signalled(c, "9")
		}
		c.ended(status)
		e.emit("container", "stop", c.id, c.attributes())
		e.autoRemove(c)
	})
}

func (e *engine) signalled(c *container, number string) {
	attributes := c.attributes()
	attributes["signal"] = number
	e.emit("container", "kill", c.id, attributes)
}

// autoRemove removes a container that asked for it, with its anonymous volumes.
func (e *engine) autoRemove(c *container) {
	if auto, _ := c.host["AutoRemove"].(bool); auto {
		e.remove(c)
		e.dropAnonymous(c)
	}
}

func (e *engine) remove(c *container) {
	c.life++
	c.state = "removed"
	delete(e.containers, c.id)
	e.emit("container", "destroy", c.id, c.attributes())
	c.changed.fire()
	c.printed.fire()
}

// attributes are what an event says of a container.
func (c *container) attributes() map[string]string {
	attributes := c.labels()
	attributes["name"], attributes["image"] = c.name, c.image
	return attributes
}

func (c *container) print(text string, stderr bool) { c.printAt(c.engine.host.now(), text, stderr) }

func (c *container) printAt(at time.Time, text string, stderr bool) {
	c.lines = append(c.lines, logLine{at, stderr, text})
	if over := len(c.lines) - maxLines; over > 0 {
		c.lines, c.dropped = c.lines[over:], c.dropped+over
	}
	c.printed.fire()
}

func (c *container) tell(lines ...string) { c.tellAt(c.engine.host.now(), lines...) }

func (c *container) tellAt(at time.Time, lines ...string) {
	for _, l := range lines {
		c.printAt(at, l, false)
	}
}
