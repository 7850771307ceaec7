package remote

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

// readDNF reads what dnf's logs tell anybody. What an upgrade would do, the age of the
// lists and the versions offered are dnf's to tell root alone, or to fetch: they stay
// unread. The logs of yum are root's, and those of dnf 5 are a database.
func (r *reader) readDNF() {
	for _, what := range []string{thePending, theLists, theSources, theOffered, theStates} {
		r.unread(what, "tandem reads it of apt alone")
	}
	var commands []dnfCommand
	for _, s := range r.parts {
		switch s.name {
		case "hidden":
			r.unread(s.arg, "it may not be read")
		case "commands":
			commands = dnfCommands(s.lines)
		case "locked":
			r.Held = append(r.Held, dnfLocked(s.lines)...)
		}
	}
	file := ""
	for _, s := range r.parts {
		switch s.name {
		case "history":
			file = s.arg
			changes, broken := parseDNF(s.text(), commands)
			if broken != "" {
				r.unread(file, "it has "+strconv.Quote(short(broken)))
			}
			r.Changes = append(changes, r.Changes...)
		case "torn":
			r.unread(file, "it is damaged")
		}
	}
	if file == "" {
		r.unread("what the package manager did", "there is no log of it that anybody may read")
	}
}

// dnfTime is how dnf 4 writes times, with the zone's offset.
const dnfTime = "2006-01-02T15:04:05Z0700"

// dnfCommand is a line of dnf.log that has a command line.
type dnfCommand struct {
	at   time.Time
	line string
}

func dnfCommands(lines []string) []dnfCommand {
	var out []dnfCommand
	for _, line := range lines {
		stamp, rest, _ := strings.Cut(line, " ")
		at, err := time.Parse(dnfTime, stamp)
		_, command, ok := strings.Cut(rest, "Command: ")
		if err == nil && ok {
			out = append(out, dnfCommand{at, hidePasswords(strings.TrimSpace(command))})
		}
	}
	return out
}

// dnfBegan is how long before its first package a transaction may have been asked for.
const dnfBegan = time.Hour

// dnfLine is a package of dnf.rpm.log: "time SUBDEBUG Upgrade: name-[epoch:]version-release.arch".
var dnfLine = regexp.MustCompile(`^(\S+) SUBDEBUG ([A-Z][a-z]+): (\S+)$`)

// parseDNF reads dnf.rpm.log of dnf 4: what follows a line "logging initialized" is one
// transaction. It returns those that touched the engine's packages, oldest first, and the
// first line about a package that it does not understand.
func parseDNF(text string, commands []dnfCommand) (changes []ops.PackageChange, broken string) {
	var entry ops.PackageChange
	others := map[string]bool{}
	finish := func() {
		entry.Others = len(others)
		for _, c := range commands {
			if before := entry.At.Sub(c.at); before >= 0 && before < dnfBegan {
				entry.Command = c.line
			}
		}
		if len(entry.Packages) > 0 {
			changes = append(changes, entry)
		}
		entry = ops.PackageChange{}
		clear(others)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \r\n")
		if strings.HasSuffix(line, "--- logging initialized ---") {
			finish()
			continue
		}
		if !strings.Contains(line, " SUBDEBUG ") {
			continue // what a package's scripts said
		}
		m := dnfLine.FindStringSubmatch(line)
		var at time.Time
		var name, version string
		ok := m != nil
		if ok {
			var err error
			at, err = time.Parse(dnfTime, m[1])
			name, version = nevra(m[3])
			ok = err == nil && version != ""
		}
		if !ok {
			if broken == "" {
				broken = line
			}
			continue
		}
		if entry.At.IsZero() {
			entry.At = at.UTC()
		}
		if !ops.OfEngine(name) {
			others[name] = true
			continue
		}
		i := slices.IndexFunc(entry.Packages, func(p ops.VersionChange) bool { return p.Name == name })
		if i < 0 {
			entry.Packages = append(entry.Packages, ops.VersionChange{Name: name})
			i = len(entry.Packages) - 1
		}
		switch m[2] {
		case "Install", "Installed", "Upgrade", "Downgrade", "Reinstall":
			entry.Packages[i].To = version
		default: // Upgraded, Downgraded, Reinstalled, Erase, Erased, Removed, Obsoleted
			entry.Packages[i].From = version
		}
	}
	finish()
	return changes, broken
}

// nevra takes "docker-ce-3:20.10.5-3.el8.x86_64" apart: name, then epoch, version and
// release.
func nevra(text string) (name, version string) {
	if i := strings.LastIndex(text, "."); i > 0 {
		text = text[:i]
	}
	release := strings.LastIndex(text, "-")
	if release <= 0 {
		return text, ""
	}
	i := strings.LastIndex(text[:release], "-")
	if i <= 0 {
		return text, ""
	}
	return text[:i], text[i+1:]
}

// dnfLocked are the engine's packages in the list of the versionlock plug-in, which has
// lines like "docker-ce-3:20.10.5-3.el8.*", and "!" before what is excluded.
func dnfLocked(lines []string) []string {
	var held []string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		name, _ := nevra(line)
		if !strings.HasPrefix(line, "#") && ops.OfEngine(name) && !slices.Contains(held, name) {
			held = append(held, name)
		}
	}
	return held
}
