package remote

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

//go:embed upkeep.sh
var upkeepScript string

// Upkeep runs one fixed script and reads what it prints.
func (h *Host) Upkeep(ctx context.Context) (ops.Upkeep, error) {
	const doing = "reading what the package manager did"
	out, err := h.Exec(ctx, ops.Command{Args: append([]string{"sh", "-c", upkeepScript, "sh"}, ops.EnginePackages...)})
	if err != nil {
		p := *ops.AsProblem(err, "", h.target.Side)
		p.Doing = doing
		return ops.Upkeep{}, &p
	}
	u, err := parseUpkeep(out)
	if err != nil {
		return ops.Upkeep{}, h.say(doing, err, "is the login shell of "+h.route[len(h.route)-1].user+" a POSIX shell?")
	}
	return u, nil
}

// section is a part of what upkeep.sh prints.
type section struct {
	name, arg string
	lines     []string
	status    int // of the command whose output it is; -1: not told
}

// sections cuts the answer of upkeep.sh into its parts. It is an error if the end is
// missing, for half an answer would look like a calm host.
func sections(out []byte) ([]section, error) {
	text, whole := strings.CutSuffix(string(out), "\n@end\n")
	if !whole {
		return nil, errors.New("the answer broke off")
	}
	var all []section
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		mark, isMark := strings.CutPrefix(line, "@")
		name, arg, _ := strings.Cut(mark, " ")
		switch {
		case isMark && name == "status" && len(all) > 0:
			if n, err := strconv.Atoi(arg); err == nil {
				all[len(all)-1].status = n
			}
		case isMark:
			all = append(all, section{name: name, arg: arg, status: -1})
		case len(all) > 0:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	return all, nil
}

func (s section) text() string { return strings.Join(s.lines, "\n") }

// reader gathers an Upkeep from the parts of an answer.
type reader struct {
	ops.Upkeep
	zone  *time.Location
	parts []section
}

// unread notes what could not be read, and why.
func (r *reader) unread(what, why string) {
	if why != "" {
		what += ": " + why
	}
	if !slices.Contains(r.Unread, what) {
		r.Unread = append(r.Unread, what)
	}
}

// part is the output of a command; what it was for is unread where the command is missing
// or did not succeed.
func (r *reader) part(name, what string) (lines []string, ok bool) {
	for _, s := range r.parts {
		if s.name != name {
			continue
		}
		if s.status != 0 {
			r.unread(what, because(s))
			return nil, false
		}
		return s.lines, true
	}
	r.unread(what, "the host does not tell")
	return nil, false
}

// because is why a command did not succeed, in its own words.
func because(s section) string {
	if why := firstError(s.lines); why != "" {
		return why
	}
	for _, line := range slices.Backward(s.lines) {
		if line = strings.TrimSpace(line); line != "" {
			return hidePasswords(line)
		}
	}
	return fmt.Sprintf("exit status %d", s.status)
}

// parseUpkeep reads what upkeep.sh prints.
func parseUpkeep(out []byte) (ops.Upkeep, error) {
	parts, err := sections(out)
	if err != nil {
		return ops.Upkeep{}, err
	}
	r := &reader{parts: parts}
	told := false
	for _, s := range parts {
		if s.name == "manager" {
			r.Manager, told = s.arg, true
		}
	}
	if !told {
		return ops.Upkeep{}, errors.New("the host does not tell its package manager")
	}
	busy := r.readBusy()
	switch r.Manager {
	case "apt":
		r.readZone()
		r.readHistory(busy)
		r.readStates()
		r.readPending()
		r.readSources()
		r.readOffered()
	case "dnf", "yum":
		r.readDNF()
	case "":
		r.unread("what a package manager did", "the host has none that tandem knows")
	default:
		r.unread("what a package manager did", "tandem does not know "+strconv.Quote(r.Manager))
	}
	slices.SortStableFunc(r.Changes, func(a, b ops.PackageChange) int { return a.At.Compare(b.At) })
	return r.Upkeep, nil
}

// readBusy finds who holds a lock of the package manager: "apt-get, process 4711". It tells
// whether one was held at any time while the rest was read.
func (r *reader) readBusy() (ever bool) {
	seen := 0
	for _, s := range r.parts {
		if s.name != "busy" {
			continue
		}
		seen++
		r.Busy = ""
		for _, line := range s.lines {
			pid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			if pid == "" {
				continue
			}
			if name == "" {
				name = "a package manager"
			}
			r.Busy, ever = name+", process "+pid, true
		}
	}
	if seen < 2 {
		r.unread("whether a package manager is at work", "the host does not tell")
	}
	return ever
}

// passwords are those in the user part of a URL.
var passwords = regexp.MustCompile(`(\b[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@'"]*):[^/\s'"]*@`)

// hidePasswords leaves the passwords out of the URLs in a text.
func hidePasswords(text string) string { return passwords.ReplaceAllString(text, "$1@") }

// The names and versions that apt takes for such (deb-control(5), deb-version(7)); no
// option begins like them.
var (
	packageName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*$`)
	packageVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~:-]*$`)
)

// keptPackages is where tandem keeps the files of packages on a host, for the way back.
const keptPackages = "/var/lib/tandem/debs"

// packageWords are packages as apt takes them: name=version, or name- for one to be removed. A
// version of which tandem keeps the file comes from that, as it does when it is installed; apt
// writes a colon %3a in names of files.
func packageWords(versions map[string]string, kept []string) ([]string, error) {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		version := versions[name]
		if !packageName.MatchString(name) || version != "" && !packageVersion.MatchString(version) {
			return nil, fmt.Errorf("%q is not a package with its version", name+"="+version)
		}
		word := name + "-"
		if version != "" {
			word = name + "=" + version
			begins := name + "_" + strings.ReplaceAll(version, ":", "%3a") + "_"
			if i := slices.IndexFunc(kept, func(file string) bool { return strings.HasPrefix(file, begins) }); i >= 0 {
				word = path.Join(keptPackages, kept[i])
			}
		}
		words = append(words, word)
	}
	if words == nil {
		return nil, errors.New("no packages are named")
	}
	return words, nil
}

// Simulate asks apt what installing packages at these versions would do, an empty one being removed: without root,
// without a lock and without changing anything. Refusals are in the answer, in apt's words.
func (h *Host) Simulate(ctx context.Context, versions map[string]string) (ops.Simulation, error) {
	const doing = "asking apt what it would do"
	files, err := h.Exec(ctx, ops.Command{Args: []string{"ls", "-1", keptPackages}})
	var exit *ops.ExitError
	if err != nil && !errors.As(err, &exit) { // there may be none
		return ops.Simulation{}, err
	}
	words, err := packageWords(versions, strings.Fields(string(files)))
	if err != nil {
		return ops.Simulation{}, h.say(doing, err, "")
	}
	args := append([]string{
		"env", "LC_ALL=C", "apt-get", "-s", "-o", "Debug::NoLocking=1", "--no-install-recommends", "--allow-downgrades", "--allow-change-held-packages", "install",
	}, words...)
	sim := ops.Simulation{At: h.opt.Now().UTC(), Asked: maps.Clone(versions)}
	out, err := h.Exec(ctx, ops.Command{Args: args})
	if exit = nil; errors.As(err, &exit) {
		if sim.Err = firstError(strings.Split(exit.Stderr, "\n")); sim.Err != "" {
			return sim, nil
		}
	}
	if err == nil {
		sim.Changes, err = parseSimulation(strings.Split(string(out), "\n"))
	}
	if err != nil {
		p := *ops.AsProblem(err, "", h.target.Side)
		p.Doing = doing
		return ops.Simulation{}, &p
	}
	return sim, nil
}
