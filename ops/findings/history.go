package findings

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// lastChange is the latest that the package manager did to the engine's packages of a side;
// nil where nothing is known.
func lastChange(s *ops.SideState) *ops.PackageChange {
	if !read(s.Care) {
		return nil
	}
	var last *ops.PackageChange
	for i := range s.Upkeep.Changes {
		if c := &s.Upkeep.Changes[i]; len(c.Packages) > 0 && (last == nil || !c.At.Before(last.At)) {
			last = c
		}
	}
	return last
}

// changeTo is the latest change that brought a package to the engine version; nil where the
// log does not tell.
func changeTo(s *ops.SideState, engine string) *ops.PackageChange {
	if !read(s.Care) {
		return nil
	}
	for i := len(s.Upkeep.Changes) - 1; i >= 0; i-- {
		c := &s.Upkeep.Changes[i]
		if slices.ContainsFunc(c.Packages, func(p ops.VersionChange) bool {
			return isEngine(p.Name) && ops.Upstream(p.To) == ops.Upstream(engine)
		}) {
			return c
		}
	}
	return nil
}

// isEngine tells whether a package holds the engine itself.
func isEngine(name string) bool {
	return slices.Contains([]string{"docker.io", "docker-ce", "moby-engine", "docker"}, name)
}

// command is what was typed, cut to what a line has room for.
func command(c *ops.PackageChange) string {
	const most = 60
	text := strings.Join(strings.Fields(c.Command), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most-1]) + "…"
	}
	if text == "" {
		return "a package manager"
	}
	return text
}

// inShort is a change in brackets: " (apt-get upgrade, 2020-11-12 16:02Z)"; empty without one.
func inShort(c *ops.PackageChange, now time.Time) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf(" (%s, %s)", command(c), clock(c.At, now))
}

// inFull is the evidence of a change: when, the command line, by whom, what, and what kind of
// command that is.
func inFull(c *ops.PackageChange, now time.Time) string {
	if c == nil {
		return ""
	}
	by := ""
	if c.By != "" {
		by = " by " + c.By
	}
	text := fmt.Sprintf("%s%s at %s: %s", command(c), by, clock(c.At, now), versions(c.Packages))
	if c.Others > 0 {
		text += fmt.Sprintf(", and %s more", count(c.Others, "package"))
	}
	if c.Err != "" {
		text += "; it did not succeed: " + c.Err
	}
	switch what := blanket(c.Command); {
	case strings.HasPrefix(what, "apt"):
		text += "; " + what + " on a production host takes whatever is newer, where update only refreshes the lists"
	case what != "":
		text += "; " + what + " on a production host takes whatever is newer"
	}
	return text
}

// versions writes changes of packages: "docker.io 20.10.24 → 26.1.5".
func versions(list []ops.VersionChange) string {
	var words []string
	for _, p := range list {
		switch {
		case p.From == "":
			words = append(words, p.Name+" "+p.To+" (new)")
		case p.To == "":
			words = append(words, p.Name+" "+p.From+" removed")
		default:
			words = append(words, p.Name+" "+p.From+" → "+p.To)
		}
	}
	return strings.Join(words, ", ")
}

// blanket names a command that takes whatever is newer, the engine with it; empty where it
// names what it installs.
func blanket(command string) string {
	fields := strings.Fields(command)
	for len(fields) > 0 && slices.Contains([]string{"sudo", "python3", "/usr/bin/python3"}, fields[0]) {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return ""
	}
	program := path.Base(fields[0])
	var words []string
	for i := 1; i < len(fields); i++ {
		switch word := fields[i]; {
		case slices.Contains([]string{"-o", "-c", "-t", "--option", "--config-file", "--target-release", "--default-release"}, word):
			i++ // its value follows
		case !strings.HasPrefix(word, "-"):
			words = append(words, word)
		}
	}
	verb := ""
	if len(words) > 0 {
		verb = words[0]
	}
	switch program {
	case "unattended-upgrade", "unattended-upgrades":
		return "an unattended upgrade"
	case "packagekitd", "packagekit":
		return "an upgrade by PackageKit"
	case "apt", "apt-get", "aptitude":
		if slices.Contains([]string{"upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade"}, verb) {
			return program + " " + verb
		}
	case "dnf", "yum":
		if len(words) == 1 && slices.Contains([]string{"upgrade", "update", "distro-sync"}, verb) {
			return program + " " + verb
		}
	}
	return ""
}

// provenSince tells whether a new container was started after a time, by the engine and, where
// that was tried too, by compose.
func provenSince(s *ops.SideState, at time.Time) bool {
	return s.Canary != nil && s.Canary.OK && s.Canary.At.After(at) && (s.Probe == nil || s.Probe.OK && s.Probe.At.After(at))
}
