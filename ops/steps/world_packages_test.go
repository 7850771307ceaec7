package steps

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// aptOf is apt, dpkg and the unit that runs them, on a host.
type aptOf struct {
	h         *host
	installed map[string]string
	broken    []string // half-configured
	held      []string
	offered   map[string][]string
	archives  []string // files
	debs      []string
	more      []ops.VersionChange // that a simulation would change, too
	refuses   string              // what a simulation says
	fails     string              // what an install says, ending with nothing done
	silent    string              // what apt-get update says, ending with 100
	full      bool                // no room on the disk
	takes     time.Duration
	log       string
	// While the unit is at work.
	until time.Time
	ends  func()
	// What the engine does.
	sick   bool // it does not start
	starts int
}

// newApt is a host with Debian 12's packages, to which Debian 13's are offered.
func newApt(h *host) *aptOf {
	a := &aptOf{h: h, installed: maps.Clone(bookworm), takes: 20 * time.Second, offered: map[string][]string{}}
	for name, version := range bookworm {
		a.offered[name] = append(a.offered[name], version)
	}
	for name, version := range trixie {
		a.offered[name] = append(a.offered[name], version)
	}
	h.apt, h.program = a, a.program
	a.started()
	return a
}

var (
	bookworm = map[string]string{"docker.io": "20.10.24+dfsg1-1+b3", "containerd": "1.6.20~ds1-1+b1", "docker-compose": "1.29.2-3"}
	trixie   = map[string]string{"docker.io": "26.1.5+dfsg1-9", "containerd": "1.7.24~ds1-6+b4", "docker-compose": "2.26.1-4", "docker-cli": "26.1.5+dfsg1-9"}
	// before is what trixie's were at on bookworm.
	beforeTrixie = map[string]string{"docker.io": "20.10.24+dfsg1-1+b3", "containerd": "1.6.20~ds1-1+b1", "docker-compose": "1.29.2-3", "docker-cli": ""}
)

// shape is what a rollback must give back.
func (a *aptOf) shape() string {
	var lines []string
	for _, name := range sortedNames(a.installed) {
		lines = append(lines, name+" "+a.installed[name])
	}
	slices.Sort(a.held)
	return strings.Join(lines, "\n") + "\nheld " + strings.Join(a.held, " ") + "\nengine " + ops.Upstream(a.h.engine.version)
}

// started is an engine that has just started: it is what is installed.
func (a *aptOf) started() {
	a.starts++
	a.h.engine.version = ops.Upstream(a.installed["docker.io"])
	a.facts()
}

// facts are those of the packages. The engine that runs may be another than the one installed.
func (a *aptOf) facts() {
	installed := ops.Upstream(a.installed["docker.io"])
	a.h.facts = ops.Facts{
		Installed: installed, Compose: ops.Upstream(a.installed["docker-compose"]), ComposeHow: "docker-compose",
		EngineReplaced: installed != a.h.engine.version, Packages: maps.Clone(a.installed),
	}
}

// due lets the unit come to its end.
func (a *aptOf) due() {
	if a.ends != nil && !time.Now().Before(a.until) {
		ends := a.ends
		a.ends = nil
		ends()
	}
}

// powerCut is a host that goes down in the midst of an install: a package is left half-way.
func (a *aptOf) powerCut() {
	a.ends = nil
	a.installed["docker.io"], a.broken = trixie["docker.io"], []string{"docker.io"}
	a.facts()
}

func (h *host) Simulate(_ context.Context, asked map[string]string) (ops.Simulation, error) {
	if err := h.reach(); err != nil {
		return ops.Simulation{}, err
	}
	sim := ops.Simulation{At: time.Now(), Asked: asked, Changes: slices.Clone(h.apt.more), Err: h.apt.refuses}
	for _, name := range sortedNames(asked) {
		if h.apt.installed[name] != asked[name] {
			sim.Changes = append(sim.Changes, ops.VersionChange{Name: name, From: h.apt.installed[name], To: asked[name]})
		}
	}
	return sim, nil
}

func (h *host) Reach(context.Context) error { return h.reach() }

func (h *host) Reaches(context.Context, netip.AddrPort) error { return h.reach() }

func (a *aptOf) program(c ops.Command) ([]byte, bool, error) {
	a.due()
	end := func(status int, text string) ([]byte, bool, error) {
		return nil, true, &ops.ExitError{Args: c.Args, Status: status, Stderr: text}
	}
	act := func(do func(), format string, args ...any) ([]byte, bool, error) {
		if !c.Privileged || !c.Mutates {
			return end(100, "E: are you root?")
		}
		return nil, true, a.h.w.act(func() error { do(); return nil }, format, args...)
	}
	line := strings.Join(c.Args, " ")
	last := c.Args[len(c.Args)-1]
	switch {
	case c.Args[0] == "id":
		return []byte("0\n"), true, nil
	case c.Args[0] == "test" || strings.HasPrefix(line, "systemctl reset-failed") || c.Args[0] == "mkdir":
		return nil, true, nil
	case c.Args[0] == "df":
		if a.full {
			return []byte("Avail\n 1048576\n"), true, nil
		}
		return []byte("     Avail\n9999999999\n9999999999\n"), true, nil
	case c.Args[0] == "dpkg-query":
		return a.query(c)
	case line == "apt-mark showhold":
		return []byte(strings.Join(a.held, "\n") + "\n"), true, nil
	case strings.HasPrefix(line, "apt-mark hold "):
		return act(func() { a.held = slices.Compact(slices.Sorted(slices.Values(append(a.held, c.Args[2:]...)))) }, "%s", line)
	case strings.HasPrefix(line, "apt-mark unhold "):
		return act(func() {
			a.held = slices.DeleteFunc(a.held, func(name string) bool { return slices.Contains(c.Args[2:], name) })
		}, "%s", line)
	case line == "ls -1 "+archivesDir:
		return []byte(strings.Join(a.archives, "\n") + "\n"), true, nil
	case line == "ls -1 "+debsDir:
		return []byte(strings.Join(a.debs, "\n") + "\n"), true, nil
	case c.Args[0] == "cp":
		return act(func() { a.keep(path.Base(last)) }, "keep %s", path.Base(last))
	case strings.HasPrefix(line, "sh -c "+inDir):
		name, version, _ := strings.Cut(last, "=")
		if !slices.Contains(a.offered[name], version) {
			return end(100, "E: Can't find a source to download version '"+version+"'\n")
		}
		return act(func() { a.keep(debName(name, version) + "_amd64.deb") }, "download %s", last)
	case slices.Equal(c.Args, aptUpdate):
		if a.silent != "" {
			return end(100, a.silent)
		}
		return act(func() {}, "update")
	case slices.Contains(c.Args, "--download-only"):
		switch {
		case a.fails != "":
			return end(100, a.fails)
		case len(a.held) > 0 && !slices.Contains(c.Args, "--allow-change-held-packages"):
			return end(100, "E: Held packages were changed and -y was used without --allow-change-held-packages.\n")
		}
		return act(func() {}, "fetch")
	case c.Args[0] == "systemd-run":
		return a.unit(c, act, end)
	case line == "systemctl is-active "+aptService:
		if a.ends == nil {
			return end(3, "")
		}
		return []byte("active\n"), true, nil
	case strings.HasPrefix(line, "systemctl try-restart"):
		return act(func() {}, "%s", line)
	case line == "systemctl restart "+engineService:
		if a.sick {
			return end(1, "Job for docker.service failed")
		}
		return act(a.started, "restart engine")
	}
	return nil, false, nil
}

func (a *aptOf) keep(file string) {
	if !slices.Contains(a.debs, file) {
		a.debs = append(a.debs, file)
	}
}

func (a *aptOf) query(c ops.Command) ([]byte, bool, error) {
	names := c.Args[4:]
	if len(names) == 0 {
		names = sortedNames(a.installed)
	}
	out, missing := "", false
	for _, name := range names {
		version, known := a.installed[name]
		state := "ii "
		switch {
		case !known:
			missing = true
			continue
		case slices.Contains(a.broken, name):
			state = "iF "
		case slices.Contains(a.held, name):
			state = "hi "
		}
		out += fmt.Sprintf("%s|%s|%s\n", state, name, version)
	}
	if missing {
		return []byte(out), true, &ops.ExitError{Args: c.Args, Status: 1, Stderr: "dpkg-query: no packages found"}
	}
	return []byte(out), true, nil
}

// unit is an apt that takes its time and then is done with all of it, or with nothing.
func (a *aptOf) unit(c ops.Command, act func(func(), string, ...any) ([]byte, bool, error), end func(int, string) ([]byte, bool, error)) ([]byte, bool, error) {
	if a.ends != nil {
		return end(1, "Unit "+aptService+" was already loaded")
	}
	i := slices.Index(c.Args, "install")
	back, words := slices.Contains(c.Args, "--allow-downgrades"), c.Args[i+1:]
	return act(func() {
		a.log, a.until = "Reading package lists...\n", time.Now().Add(a.takes)
		a.ends = func() { a.log += a.install(words, back); a.facts() }
	}, "install %s", strings.Join(words, " "))
}

func (a *aptOf) install(words []string, back bool) string {
	if a.fails != "" {
		return a.fails
	}
	a.broken = nil // dpkg --configure -a
	for _, word := range words {
		name, version, exact := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, debsDir):
			file := strings.Split(strings.TrimSuffix(path.Base(word), ".deb"), "_")
			if !slices.Contains(a.debs, path.Base(word)) {
				return "E: Unsupported file " + word + " given on commandline\n"
			}
			name, version = file[0], file[1]
		case !exact:
			delete(a.installed, strings.TrimSuffix(word, "-"))
			continue
		case !slices.Contains(a.offered[name], version):
			return "E: Version '" + version + "' for '" + name + "' was not found\n"
		}
		if slices.Contains(a.held, name) {
			return "E: Held packages were changed and -y was used without --allow-change-held-packages.\n"
		}
		if (ops.VersionChange{Name: name, From: a.installed[name], To: version}).GoesBack() && !back {
			return "E: Packages were downgraded and -y was used without --allow-downgrades.\n"
		}
		a.installed[name] = version
	}
	return "Setting up docker.io ...\n"
}
