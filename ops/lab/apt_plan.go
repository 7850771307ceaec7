package lab

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// change is what apt would do with one package. from is empty where it is not installed,
// to where it is removed.
type change struct {
	name     string
	from, to string
	build    build // of to
	held     bool
	asked    bool
}

func (c change) downgrade() bool {
	return c.from != "" && c.to != "" && rank(c.name, c.to) < rank(c.name, c.from)
}
func (c change) upgrade() bool { return c.from != "" && c.to != "" && !c.downgrade() }

// transaction is all that one run of apt-get would do.
type transaction struct {
	changes []change // in the order of apt's work
	kept    []string // held back, of those that could be upgraded
	later   int      // upgradable and left alone
	said    []string // lines that come before the summary
	half    []string // packages that wait for their configuration
	complex bool     // does more than was asked for by name
	files   []string // packages that come from files that were named
}

func (t *transaction) names(which func(change) bool) (out []string) {
	for _, c := range t.changes {
		if which(c) {
			out = append(out, c.name)
		}
	}
	slices.Sort(out)
	return out
}

// aptRefusal is what apt says instead of doing anything: lines for standard output and
// errors, without their E.
type aptRefusal struct{ lines, errors []string }

// upgrades is `apt-get upgrade`: all that can go up without anything new or gone; with
// more, new packages may come too.
func (a *packaging) upgrades(recommends, more bool) *transaction {
	wish := map[string]string{}
	t := &transaction{complex: true}
	for name, p := range a.packages {
		best, ok := a.candidate(name)
		if !ok || best.version == p.version {
			continue
		}
		brings := recommends && slices.ContainsFunc(best.wants, func(w string) bool { return a.packages[w] == nil && len(a.known(w)) > 0 })
		if p.held || brings && !more {
			t.kept = append(t.kept, name)
			continue
		}
		wish[name] = best.version
	}
	slices.Sort(t.kept)
	if more {
		a.addNeeds(wish, recommends)
	}
	a.finish(t, wish, nil)
	return t
}

// installs is `apt-get install`: name, name=version or name- for each package.
func (a *packaging) installs(args []string, recommends bool) (*transaction, *aptRefusal) {
	wish, no := map[string]string{}, &aptRefusal{}
	t := &transaction{}
	for _, arg := range args {
		if name, version, ok := ofFile(arg); ok {
			t.said = append(t.said, fmt.Sprintf("Note, selecting '%s' instead of '%s'", name, arg))
			t.files = append(t.files, name)
			wish[name] = version
			continue
		}
		name, version, exact := strings.Cut(arg, "=")
		name = strings.TrimSuffix(name, ":amd64")
		bare, gone := strings.CutSuffix(name, "-")
		if gone && len(catalog[name]) == 0 && len(catalog[bare]) > 0 {
			wish[bare] = ""
			continue
		}
		best, ok := a.candidate(name)
		if !ok {
			no.errors = append(no.errors, "Unable to locate package "+name)
			continue
		}
		if exact && !slices.ContainsFunc(a.known(name), func(b build) bool { return b.version == version }) {
			no.errors = append(no.errors, fmt.Sprintf("Version '%s' for '%s' was not found", version, name))
			continue
		}
		if !exact {
			version = best.version
		}
		wish[name] = version
		if p := a.packages[name]; p != nil && p.version == version {
			t.said = append(t.said, fmt.Sprintf("%s is already the newest version (%s).", name, version))
		}
	}
	if len(no.errors) > 0 {
		return nil, no
	}
	asked := maps.Clone(wish)
	a.addNeeds(wish, recommends)
	if no := a.settle(wish, asked); no != nil {
		return nil, no
	}
	a.finish(t, wish, asked)
	return t, nil
}

// ofFile tells which build a package file holds, by its name.
func ofFile(arg string) (name, version string, ok bool) {
	if !strings.Contains(arg, "/") || !strings.HasSuffix(arg, ".deb") {
		return "", "", false
	}
	words := strings.Split(path.Base(arg), "_")
	if len(words) != 3 {
		return "", "", false
	}
	version = strings.ReplaceAll(words[1], "%3a", ":")
	_, ok = buildOf(words[0], version)
	return words[0], version, ok
}

// addNeeds adds what the packages of a wish depend on, and what they recommend anew.
func (a *packaging) addNeeds(wish map[string]string, recommends bool) {
	queue := sortedKeys(wish)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		b, ok := buildOf(name, wish[name])
		if !ok {
			continue
		}
		more := slices.Clone(b.needs)
		if p := a.packages[name]; recommends && (p == nil || p.version != b.version) {
			more = append(more, b.wants...)
		}
		for _, other := range more {
			_, wished := wish[other]
			best, known := a.candidate(other)
			if a.packages[other] == nil && !wished && known {
				wish[other] = best.version
				queue = append(queue, other)
			}
		}
	}
}

// settle deals with the one conflict of the catalog: docker-cli breaks the docker.io of the
// release before. What was asked for stays; what was not gives way, unless it is on hold.
func (a *packaging) settle(wish, asked map[string]string) *aptRefusal {
	after := func(name string) string {
		if v, ok := wish[name]; ok {
			return v
		}
		if p := a.packages[name]; p != nil {
			return p.version
		}
		return ""
	}
	for _, name := range sortedKeys(catalog) {
		b, ok := buildOf(name, after(name))
		if !ok || b.breaks == "" {
			continue
		}
		have, newest := after(b.breaks), catalog[b.breaks][0]
		if have == "" || have == newest.version {
			continue
		}
		_, fixed := asked[b.breaks]
		_, wanted := asked[name]
		held := func(name string) bool { return a.packages[name] != nil && a.packages[name].held }
		switch {
		case !fixed && !held(b.breaks) && a.lists[newest.suite]:
			wish[b.breaks] = newest.version
		case fixed && !wanted && !held(name):
			wish[name] = ""
		default:
			return &aptRefusal{
				lines: []string{
					"Some packages could not be installed. This may mean that you have", "requested an impossible situation or if you are using the unstable",
					"distribution that some required packages have not yet been created", "or been moved out of Incoming.",
					"The following information may help to resolve the situation:", "", "The following packages have unmet dependencies:",
					fmt.Sprintf(" %s : Breaks: %s (< 26.1.4+dfsg1-7~) but %s is to be installed", name, b.breaks, have),
				},
				errors: []string{"Error, pkgProblemResolver::Resolve generated breaks, this may be caused by held packages."},
			}
		}
	}
	return nil
}

// finish turns a wish into changes.
func (a *packaging) finish(t *transaction, wish, asked map[string]string) {
	for _, name := range slices.SortedFunc(maps.Keys(wish), byUnpacking) {
		c := change{name: name, to: wish[name]}
		if p := a.packages[name]; p != nil {
			c.from, c.held = p.version, p.held
		}
		if c.from == c.to {
			continue
		}
		c.build, _ = buildOf(name, c.to)
		if _, ok := asked[name]; ok {
			c.asked = true
		} else {
			t.complex = true
		}
		t.changes = append(t.changes, c)
	}
	for name, p := range a.packages {
		best, ok := a.candidate(name)
		if ok && best.version != p.version && !slices.ContainsFunc(t.changes, func(c change) bool { return c.name == name }) {
			t.later++
		}
		if p.state != 'i' && !slices.ContainsFunc(t.changes, func(c change) bool { return c.name == name }) {
			t.half = append(t.half, name)
		}
	}
	slices.SortFunc(t.half, byUnpacking)
}

// text is how apt shows what it would do, before the first package is touched.
func (t *transaction) text(install bool) string {
	var b strings.Builder
	list := func(title string, names []string) {
		if len(names) > 0 {
			b.WriteString(title + "\n" + wrapped(names))
		}
	}
	for _, l := range t.said {
		b.WriteString(l + "\n")
	}
	if install {
		list("The following additional packages will be installed:", t.names(func(c change) bool { return !c.asked && c.to != "" }))
	}
	removed := t.names(func(c change) bool { return c.to == "" })
	fresh := t.names(func(c change) bool { return c.from == "" })
	upgraded, downgraded := t.names(change.upgrade), t.names(change.downgrade)
	list("The following packages will be REMOVED:", removed)
	list("The following NEW packages will be installed:", fresh)
	list("The following held packages will be changed:", t.names(func(c change) bool { return c.held }))
	list("The following packages have been kept back:", t.kept)
	list("The following packages will be upgraded:", upgraded)
	list("The following packages will be DOWNGRADED:", downgraded)
	fmt.Fprintf(&b, "%d upgraded, %d newly installed, ", len(upgraded), len(fresh))
	if len(downgraded) > 0 {
		fmt.Fprintf(&b, "%d downgraded, ", len(downgraded))
	}
	fmt.Fprintf(&b, "%d to remove and %d not upgraded.\n", len(removed), t.later)
	if len(t.half) > 0 {
		fmt.Fprintf(&b, "%d not fully installed or removed.\n", len(t.half))
	}
	return b.String()
}

// wrapped is a list of names as apt prints it, at most 80 columns wide.
func wrapped(names []string) string {
	var b strings.Builder
	used := 0
	for _, n := range names {
		if used > 0 && used+len(n)+3 > 80 {
			b.WriteString("\n")
			used = 0
		}
		if used == 0 {
			b.WriteString(" ")
		}
		b.WriteString(" " + n)
		used += len(n) + 1
	}
	return b.String() + "\n"
}

// simulated are the lines of `apt-get -s`.
func (a *packaging) simulated(t *transaction) string {
	var b strings.Builder
	is := func(x build) string { return fmt.Sprintf("(%s %s [%s])", x.version, suites[x.suite].origin, x.arch) }
	for _, c := range t.changes {
		if c.to == "" {
			fmt.Fprintf(&b, "Remv %s [%s]\n", c.name, c.from)
		}
	}
	for _, c := range t.changes {
		switch {
		case c.to == "":
		case c.from == "":
			fmt.Fprintf(&b, "Inst %s %s\n", c.name, is(c.build))
		default:
			fmt.Fprintf(&b, "Inst %s [%s] %s\n", c.name, c.from, is(c.build))
		}
	}
	for _, c := range t.changes {
		if c.to != "" {
			fmt.Fprintf(&b, "Conf %s %s\n", c.name, is(c.build))
		}
	}
	for _, name := range t.half {
		if x, ok := buildOf(name, a.packages[name].version); ok {
			fmt.Fprintf(&b, "Conf %s %s\n", name, is(x))
		}
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
