package lab

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// aptCache knows policy and madison.
func aptCache(c *call) int {
	_, rest := c.options("o")
	if len(rest) == 0 {
		return 0
	}
	c.h.with(func() {
		c.h.syncLists()
		for _, name := range rest[1:] {
			switch rest[0] {
			case "policy":
				c.policy(name)
			case "madison":
				for _, b := range c.h.apt.offered(name) {
					c.say("%10s | %10s | %s\n", name, b.version, indexOf(b))
				}
			}
		}
	})
	return 0
}

// indexOf is the list that a build stands in, as apt-cache names it.
func indexOf(b build) string {
	return "http://" + debianMirror + "/" + suites[b.suite].path + " " + b.suite + "/main amd64 Packages"
}

func (c *call) policy(name string) {
	a := c.h.apt
	p := a.packages[name]
	best, ok := a.candidate(name)
	if !ok {
		return // and not a word
	}
	have := "(none)"
	if p != nil {
		have = p.version
	}
	c.say("%s:\n  Installed: %s\n  Candidate: %s\n  Version table:\n", name, have, best.version)
	for _, b := range a.known(name) {
		mark, priority := "   ", 100
		if p != nil && p.version == b.version {
			mark = "***"
		}
		if a.lists[b.suite] {
			priority = 500
		}
		c.say(" %s %s %d\n", mark, b.version, priority)
		if a.lists[b.suite] {
			c.say("        500 %s\n", indexOf(b))
		}
		if mark == "***" {
			c.say("        100 /var/lib/dpkg/status\n")
		}
	}
}

// aptMark knows hold, unhold and showhold.
func aptMark(c *call) int {
	_, rest := c.options("o")
	if len(rest) == 0 {
		return 0
	}
	verb, names := rest[0], rest[1:]
	if verb == "showhold" {
		c.h.with(func() {
			for _, name := range sortedKeys(c.h.apt.packages) {
				if c.h.apt.packages[name].held && (len(names) == 0 || slices.Contains(names, name)) {
					c.say("%s\n", name)
				}
			}
		})
		return 0
	}
	if verb != "hold" && verb != "unhold" {
		c.failed("Invalid operation " + verb)
		return 100
	}
	status := 0
	c.h.with(func() { status = c.mark(verb == "hold", names) })
	return status
}

func (c *call) mark(on bool, names []string) int {
	a := c.h.apt
	status := 0
	var change []string
	for _, name := range names {
		p := a.packages[name]
		if p == nil {
			status = 100
			if len(a.offered(name)) == 0 {
				c.failed("Unable to locate package " + name)
				continue
			}
			// dpkg keeps no selection for what it does not know.
			c.failed("No packages found")
			continue
		}
		switch {
		case p.held == on && on:
			c.say("%s was already set on hold.\n", name)
		case p.held == on:
			c.say("%s was already not on hold.\n", name)
		default:
			change = append(change, name)
		}
	}
	if len(change) == 0 {
		return status
	}
	if c.user.uid != 0 {
		fmt.Fprintln(c.stderr, "dpkg: error: required read/write access to the dpkg database directory /var/lib/dpkg")
		c.failed("Sub-process dpkg --set-selections returned an error code (2)")
		c.failed("Executing dpkg failed. Are you root?")
		return 100
	}
	if w := a.worker; w != nil {
		fmt.Fprintf(c.stderr, "dpkg: error: dpkg frontend lock was locked by another process with pid %d\nNote: removing the lock file is always wrong, can damage the locked area\nand the entire system. See <https://wiki.debian.org/Teams/Dpkg/FAQ#db-lock>.\n", w.pid)
		c.failed("Sub-process dpkg --set-selections returned an error code (2)")
		c.failed("Executing dpkg failed. Are you root?")
		return 100
	}
	c.h.changed(c.ctx)
	for _, name := range change {
		a.packages[name].held = on
		if on {
			c.say("%s set on hold.\n", name)
		} else {
			c.say("Canceled hold on %s.\n", name)
		}
	}
	c.h.writeStatus(c.h.now())
	return status
}

// dpkg knows --audit, --configure -a and --print-architecture.
func dpkg(c *call) int {
	flags, rest := c.options("")
	switch {
	case has(flags, "audit", "C"):
		c.h.with(func() { c.say("%s", c.h.apt.audit()) })
		return 0
	case has(flags, "print-architecture"):
		c.say("amd64\n")
		return 0
	case has(flags, "configure"):
		return c.configureAll()
	case has(flags, "s", "status"):
		return c.packageStatus(rest)
	}
	fmt.Fprintln(c.stderr, "dpkg: error: need an action option")
	return 2
}

var audits = []struct {
	state byte
	text  string
}{
	{'U', "The following packages have been unpacked but not yet configured.\nThey must be configured using dpkg --configure or the configure\nmenu option in dselect for them to work:\n"},
	{'F', "The following packages are only half configured, probably due to problems\nconfiguring them the first time.  The configuration should be retried using\ndpkg --configure <package> or the configure menu option in dselect:\n"},
}

func (a *packaging) audit() string {
	var b strings.Builder
	for _, kind := range audits {
		title := kind.text
		for _, name := range sortedKeys(a.packages) {
			if a.packages[name].state == kind.state {
				fmt.Fprintf(&b, "%s %-20s %s\n", title, name, name)
				title = ""
			}
		}
		if title == "" {
			b.WriteString("\n")
		}
	}
	return b.String()
}

func (c *call) configureAll() int {
	if c.user.uid != 0 {
		fmt.Fprintln(c.stderr, "dpkg: error: requested operation requires superuser privilege")
		return 2
	}
	r := &apting{call: c}
	status := 0
	c.h.with(func() {
		if w := c.h.apt.worker; w != nil {
			fmt.Fprintf(c.stderr, "dpkg: error: dpkg frontend lock was locked by another process with pid %d\n", w.pid)
			status = 2
			return
		}
		c.h.changed(c.ctx)
		var half []string
		for _, name := range slices.SortedFunc(maps.Keys(c.h.apt.packages), byUnpacking) {
			if c.h.apt.packages[name].state != 'i' {
				half = append(half, name)
			}
		}
		c.h.apt.interrupted = false
		if len(r.configure(half)) > 0 {
			status = 1
		}
	})
	return status
}

func (c *call) packageStatus(names []string) int {
	status := 0
	c.h.with(func() {
		for _, name := range names {
			p := c.h.apt.packages[name]
			if p == nil {
				fmt.Fprintf(c.stderr, "dpkg-query: package '%s' is not installed and no information is available\nUse dpkg --info (= dpkg-deb --info) to examine archive files.\n", name)
				status = 1
				continue
			}
			c.say("Package: %s\nStatus: %s\nVersion: %s\n\n", name, p.status(), p.version)
		}
	})
	return status
}

// dpkgQuery is dpkg-query -W with -f and its ${...} fields, for names and patterns.
func dpkgQuery(c *call) int {
	flags, rest := c.options("f")
	format := "${Package}\t${Version}\n"
	for _, name := range []string{"f", "showformat"} {
		if f, ok := flags[name]; ok {
			format = f
		}
	}
	status := 0
	c.h.with(func() {
		packages := c.h.apt.packages
		shown, found := map[string]bool{}, map[string]bool{}
		for name := range packages {
			shown[name] = len(rest) == 0
			for _, want := range rest {
				if ok, err := path.Match(strings.TrimSuffix(want, ":amd64"), name); err == nil && ok {
					shown[name], found[want] = true, true
				}
			}
		}
		for _, name := range sortedKeys(packages) {
			if !shown[name] {
				continue
			}
			p := packages[name]
			arch := "amd64"
			if b, ok := buildOf(name, p.version); ok {
				arch = b.arch
			}
			c.say("%s", strings.NewReplacer(
				"${Package}", name, "${binary:Package}", name, "${Version}", p.version, "${Status}", p.status(), "${db:Status-Want}", p.want(), "${db:Status-Eflag}", "ok",
				"${db:Status-Status}", p.word(), "${db:Status-Abbrev}", p.abbrev(), "${Architecture}", arch, `\n`, "\n", `\t`, "\t",
			).Replace(format))
		}
		for _, want := range rest {
			if !found[want] {
				fmt.Fprintf(c.stderr, "dpkg-query: no packages found matching %s\n", want)
				status = 1
			}
		}
	})
	return status
}
