package lab

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unit is a transient timer with the service that it starts, or a service alone.
type unit struct {
	name   string // without .timer or .service
	args   []string
	due    time.Time
	waits  bool // the timer is armed
	runs   bool // the service's command is at work
	failed bool
	timer  *time.Timer
	stop   context.CancelFunc // of the command
}

// systemdRun starts a command detached: at once, or with a timer.
func systemdRun(c *call) int {
	valued := []string{"--unit", "--property", "--description", "--setenv", "--uid", "--gid", "--slice", "--working-directory", "--timer-property", "--on-active"}
	given := map[string]string{}
	args := c.args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "--" {
		key, value, joined := strings.Cut(args[0], "=")
		if key == "-u" {
			key = "--unit"
		}
		args = args[1:]
		if (slices.Contains(valued, key) || key == "-p" || key == "-E") && !joined && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		given[key] = value
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(c.stderr, "Command line to execute required.")
		return 1
	}
	span, timed := given["--on-active"]
	after, err := timeSpan(span)
	if timed && err != nil {
		fmt.Fprintf(c.stderr, "Failed to parse timer value: %s\n", span)
		return 1
	}
	h := c.h
	text, status := "", 0
	denied := c.acts(func() {
		name := strings.TrimSuffix(strings.TrimSuffix(given["--unit"], ".service"), ".timer")
		if name == "" {
			name = "run-r" + h.w.newID()[:32]
		}
		if u := h.units[name]; u != nil {
			kind := ".service"
			if u.waits {
				kind = ".timer"
			}
			text, status = fmt.Sprintf("Failed to start transient %s unit: Unit %s was already loaded or has a fragment file.\n", kind[1:], name+kind), 1
			return
		}
		u := &unit{name: name, args: slices.Clone(args), waits: timed, runs: !timed, due: h.now().Add(h.w.pace(after)), stop: func() {}}
		h.units[name] = u
		life := h.ctx
		u.timer = time.AfterFunc(h.w.pace(after), func() { h.runUnit(life, u) })
		text = "Running as unit: " + name + ".service\n"
		if timed {
			text = "Running timer as unit: " + name + ".timer\nWill run service as unit: " + name + ".service\n"
		}
	})
	if denied != 0 {
		return denied
	}
	fmt.Fprint(c.stderr, text)
	return status
}

// runUnit runs a unit's command as root. A service that did not succeed stays loaded as
// failed until reset-failed.
func (h *Host) runUnit(life context.Context, u *unit) {
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	ready := false
	h.with(func() {
		if ready = h.ctx == life && h.units[u.name] == u && !h.w.closed; ready {
			u.waits, u.runs, u.stop = false, true, cancel
			h.w.record(Request{Side: h.side, Wire: "exec", User: "root", What: "systemd: " + strings.Join(u.args, " "), Mutating: true})
		}
	})
	if !ready {
		return
	}
	next := call{ctx: ctx, h: h, user: root, dir: "/", stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	status := next.again(root, u.args)
	h.with(func() {
		if u.runs, u.failed = false, status != 0; h.units[u.name] == u && !u.failed {
			delete(h.units, u.name)
		}
	})
}

// Timers are the names of the transient timers that wait on the host, sorted.
func (h *Host) Timers() (names []string) {
	h.with(func() {
		for _, name := range slices.Sorted(maps.Keys(h.units)) {
			if h.units[name].waits {
				names = append(names, name)
			}
		}
	})
	return names
}

// timeSpan reads systemd.time(7)'s spans: 90, 90s, 1min 30s, 2h.
func timeSpan(text string) (time.Duration, error) {
	var total time.Duration
	rest := strings.ReplaceAll(text, " ", "")
	if rest == "" {
		return 0, fmt.Errorf("empty")
	}
	for rest != "" {
		digits := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if digits < 0 {
			digits = len(rest)
		}
		n, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return 0, err
		}
		rest = rest[digits:]
		letters := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' })
		if letters < 0 {
			letters = len(rest)
		}
		unit, ok := map[string]time.Duration{
			"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second, "ms": time.Millisecond, "msec": time.Millisecond,
			"us": time.Microsecond, "usec": time.Microsecond, "m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute, "h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
		}[rest[:letters]]
		if !ok {
			return 0, fmt.Errorf("unit %q", rest[:letters])
		}
		total += time.Duration(n * float64(unit))
		rest = rest[letters:]
	}
	return total, nil
}

// systemctl knows the engine's unit, transient ones, and a few that are always there.
func systemctl(c *call) int {
	var rest, properties []string
	value, quiet, block, failed, legend, plain := false, false, true, false, true, false
	for i := 0; i < len(c.args); i++ {
		a := c.args[i]
		key, v, joined := strings.Cut(a, "=")
		switch {
		case key == "-p" || key == "--property" || key == "-P":
			if !joined && i+1 < len(c.args) {
				i++
				v = c.args[i]
			}
			properties = append(properties, strings.Split(v, ",")...)
			value = value || key == "-P"
		case a == "-n" || a == "-o":
			i++
		case a == "--value":
			value = true
		case a == "-q" || a == "--quiet":
			quiet = true
		case a == "--no-block":
			block = false
		case a == "--failed":
			failed = true
		case a == "--no-legend":
			legend = false
		case a == "--plain":
			plain = true
		case !strings.HasPrefix(a, "-"):
			rest = append(rest, a)
		}
	}
	if len(rest) == 0 {
		rest = []string{"list-units"}
	}
	verb, names := rest[0], rest[1:]
	switch verb {
	case "is-system-running":
		var state string
		c.h.with(func() { state = c.h.systemState() })
		c.say("%s\n", state)
		if state != "running" {
			return 1
		}
		return 0
	case "reboot":
		return c.acts(func() { c.h.w.after(rebootsWithin, c.h.reboot) })
	case "poweroff":
		return c.acts(func() {
			c.h.w.after(rebootsWithin, func() {
				if c.h.up {
					c.h.powerOff()
				}
			})
		})
	case "daemon-reload":
		return c.acts(func() {})
	case "list-timers":
		return c.listTimers()
	case "list-units":
		if failed {
			return c.listFailed(legend, plain)
		}
	}
	status := 0
	if len(names) == 0 {
		fmt.Fprintln(c.stderr, "Too few arguments.")
		return 1
	}
	for _, name := range names {
		if s := c.systemctlUnit(verb, name, properties, value, quiet, block); s != 0 {
			status = s
		}
	}
	return status
}

func (c *call) listTimers() int {
	c.h.with(func() {
		c.say("NEXT                        LEFT     LAST PASSED UNIT                 ACTIVATES\n")
		n := 0
		for _, name := range slices.Sorted(maps.Keys(c.h.units)) {
			if u := c.h.units[name]; u.waits {
				n++
				c.say("%s %s left n/a  n/a    %s.timer %s.service\n", u.due.UTC().Format("Mon 2006-01-02 15:04:05 MST"), u.due.Sub(c.h.now()).Round(time.Second), name, name)
			}
		}
		c.say("\n%d timers listed.\n", n)
	})
	return 0
}

// listFailed is `systemctl --failed`.
func (c *call) listFailed(legend, plain bool) int {
	var names []string
	c.h.with(func() { names = c.h.failedUnits() })
	mark := "● "
	if plain {
		mark = ""
	}
	if legend {
		c.say("  UNIT LOAD ACTIVE SUB DESCRIPTION\n")
	}
	for _, name := range names {
		c.say("%s%s loaded failed failed %s\n", mark, name, name)
	}
	if legend {
		c.say("\n%d loaded units listed.\n", len(names))
	}
	return 0
}

// failedUnits are the units whose last command did not succeed.
func (h *Host) failedUnits() (names []string) {
	for _, name := range append(slices.Sorted(maps.Keys(h.units)), "docker") {
		if _, active, _, _ := h.unitState(full(name)); active == "failed" {
			names = append(names, full(name))
		}
	}
	return names
}

// unitState is what systemd says of a unit; load is not-found where there is none.
func (h *Host) unitState(name string) (load, active, sub, result string) {
	base := strings.TrimSuffix(name, ".service")
	switch {
	case base == "docker":
		switch e := h.engine; {
		case e.starting:
			return "loaded", "activating", "start", "success"
		case e.up:
			return "loaded", "active", "running", "success"
		case e.failure != "":
			return "loaded", "failed", "failed", "exit-code"
		}
		return "loaded", "inactive", "dead", "success"
	case slices.Contains([]string{"ssh", "sshd", "containerd", "cron", "docker.socket"}, base):
		return "loaded", "active", "running", "success"
	}
	if timer, ok := strings.CutSuffix(name, ".timer"); ok {
		if u := h.units[timer]; u != nil && u.waits {
			return "loaded", "active", "waiting", "success"
		}
	} else if u := h.units[base]; u != nil {
		switch {
		case u.runs:
			return "loaded", "active", "running", "success"
		case u.failed:
			return "loaded", "failed", "failed", "exit-code"
		}
		return "loaded", "inactive", "dead", "success"
	}
	return "not-found", "inactive", "dead", "success"
}

// full is a unit's name with its kind.
func full(name string) string {
	if strings.HasSuffix(name, ".timer") || strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".socket") {
		return name
	}
	return name + ".service"
}

func (c *call) systemctlUnit(verb, name string, properties []string, value, quiet, block bool) int {
	var load, active, sub, result string
	c.h.with(func() { load, active, sub, result = c.h.unitState(name) })
	engine := full(name) == "docker.service"
	switch verb {
	case "is-active", "is-failed":
		if !quiet {
			c.say("%s\n", active)
		}
		switch {
		case verb == "is-failed" && active == "failed", verb == "is-active" && active == "active":
			return 0
		case verb == "is-failed":
			return 1
		}
		return 3
	case "show":
		all := [][2]string{{"Id", full(name)}, {"LoadState", load}, {"ActiveState", active}, {"SubState", sub}, {"Result", result}}
		if engine {
			c.h.with(func() {
				all = append(all, [2]string{"ActiveEnterTimestamp", c.h.engine.started.Format("Mon 2006-01-02 15:04:05 MST")}, [2]string{"MainPID", strconv.Itoa(enginePID)},
					[2]string{"FragmentPath", unitFile}, [2]string{"ExecStart", "{ path=" + dockerd + " ; argv[]=" + strings.Join(append([]string{dockerd}, c.h.flags...), " ") + " ; ignore_errors=no }"})
			})
		}
		for _, p := range all {
			switch {
			case len(properties) > 0 && !slices.Contains(properties, p[0]):
			case value:
				c.say("%s\n", p[1])
			default:
				c.say("%s=%s\n", p[0], p[1])
			}
		}
		return 0
	}
	switch {
	case engine && verb == "enable":
		return c.acts(func() {})
	case verb == "enable":
		return c.enable(name)
	case verb == "disable" && !engine:
		return c.disable(name)
	}
	if load == "not-found" {
		switch verb {
		case "stop", "reset-failed":
			fmt.Fprintf(c.stderr, "Failed to %s %s: Unit %s not loaded.\n", verb, full(name), full(name))
			return 5
		case "status", "cat":
			fmt.Fprintf(c.stderr, "Unit %s could not be found.\n", full(name))
			return 4
		}
		fmt.Fprintf(c.stderr, "Failed to %s %s: Unit %s not found.\n", verb, full(name), full(name))
		return 5
	}
	switch verb {
	case "status":
		c.say("● %s\n     Loaded: loaded (%s; enabled; preset: enabled)\n     Active: %s (%s)\n", full(name), unitFile, active, sub)
		if engine {
			c.h.with(func() { c.tail(c.h.said, 10) })
		}
		if active != "active" {
			return 3
		}
		return 0
	case "cat":
		if data, err := c.read(unitFile); engine && err == nil {
			c.say("# %s\n%s", unitFile, data)
		}
		return 0
	case "is-enabled":
		c.say("enabled\n")
		return 0
	case "reset-failed":
		return c.acts(func() {
			if engine {
				c.h.engine.failure = ""
			} else {
				delete(c.h.units, strings.TrimSuffix(full(name), ".service"))
			}
		})
	case "stop":
		if !engine {
			return c.acts(func() { c.h.stopUnit(name) })
		}
		return c.acts(func() { c.h.engine.shutdown(); c.h.engine.failure = "" })
	case "start", "restart", "try-restart":
		if !engine {
			return c.acts(func() {})
		}
		if verb == "try-restart" && active != "active" {
			return 0
		}
		return c.startEngine(verb != "start", block)
	}
	fmt.Fprintf(c.stderr, "Unknown command verb %s.\n", verb)
	return 1
}

// stopUnit disarms a timer, or ends the command of a service.
func (h *Host) stopUnit(name string) {
	base, timer := strings.CutSuffix(name, ".timer")
	u := h.units[strings.TrimSuffix(base, ".service")]
	switch {
	case u == nil:
	case timer && u.waits:
		u.timer.Stop()
		delete(h.units, u.name)
	case !timer:
		u.stop()
	}
}

// startEngine waits for the end of the job, as systemctl does.
func (c *call) startEngine(restart, block bool) int {
	e := c.h.engine
	if status := c.acts(func() {
		if restart {
			e.shutdown()
		}
		if !e.up {
			e.bootAfter(engineRestart)
		}
	}); status != 0 || !block {
		return status
	}
	for {
		var change <-chan struct{}
		failed := false
		c.h.with(func() {
			if e.starting {
				change = e.changed.wait()
			}
			failed = !e.up
		})
		if change == nil {
			if failed {
				fmt.Fprint(c.stderr, "Job for docker.service failed because the control process exited with error code.\nSee \"systemctl status docker.service\" and \"journalctl -xeu docker.service\" for details.\n")
				return 1
			}
			return 0
		}
		select {
		case <-change:
		case <-c.ctx.Done():
			return 143
		}
	}
}

// journal adds a line to what the engine said.
func (h *Host) journal(text string) {
	h.said = append(h.said, logLine{at: h.now(), text: text})
	if len(h.said) > 200 {
		h.said = h.said[len(h.said)-200:]
	}
}

// tail prints the last lines of the engine's journal. It expects the lock.
func (c *call) tail(said []logLine, n int) {
	for _, l := range said[max(0, len(said)-n):] {
		c.say("%s %s dockerd[%d]: %s\n", l.at.Format("Jan 02 15:04:05"), c.h.name, enginePID, l.text)
	}
}

// journalctl shows the engine's journal, whatever is asked for.
func journalctl(c *call) int {
	flags, _ := c.options("unSop")
	n := 1000
	if given, err := strconv.Atoi(flags["n"]); err == nil {
		n = given
	}
	c.h.with(func() { c.tail(c.h.said, n) })
	return 0
}
