package remote

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a host may name a zone that this machine does not know

	"tandem/ops"
)

// What of a host's packages is read, as an operator calls it.
const (
	theZone    = "the host's time zone, so the times of the package log are taken as UTC"
	thePending = "what an upgrade would do"
	theSources = "which sources of packages answered"
	theLists   = "the age of the package lists"
	theOffered = "which versions are offered"
	theStates  = "the states of the packages"
)

// readZone finds the host's zone: from the zone's own file, which /etc/localtime is or
// leads to, else from the name of that file.
func (r *reader) readZone() {
	r.zone = time.UTC
	name, file := "", []string(nil)
	for _, s := range r.parts {
		switch {
		case s.name == "zone_name":
			name = s.arg
		case s.name == "zone" && s.status == 0:
			file = s.lines
		}
	}
	if data, err := base64.StdEncoding.DecodeString(strings.Join(file, "")); err == nil && len(data) > 0 {
		if zone, err := time.LoadLocationFromTZData("host", data); err == nil {
			r.zone = zone
			return
		}
	}
	if _, below, ok := strings.Cut(name, "zoneinfo/"); ok {
		name = below
	}
	if name != "" && name != "Local" {
		if zone, err := time.LoadLocation(name); err == nil {
			r.zone = zone
			return
		}
	}
	r.unread(theZone, "")
}

// readHistory reads apt's log and its rotations. busy: a package manager was at work
// meanwhile, so that an entry without an end need not have been interrupted.
func (r *reader) readHistory(busy bool) {
	newest, file := true, ""
	for _, s := range r.parts {
		switch s.name {
		case "hidden":
			r.unread(s.arg, "it may not be read")
		case "torn":
			r.unread(file, "it is damaged")
		case "history":
			file = s.arg
			changes, broken := parseHistory(s.text(), r.zone, newest && busy)
			if broken != "" {
				r.unread(file, "it has "+strconv.Quote(short(hidePasswords(broken))))
			}
			r.Changes = append(changes, r.Changes...)
			newest = newest && strings.TrimSpace(s.text()) == ""
		}
	}
	if file == "" && len(r.Unread) == 0 {
		r.unread("what apt did", "there is no log of it")
	}
}

// short keeps a text from filling a line.
func short(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return text
}

// historyCut is how much upkeep.sh reads of a log at most.
const historyCut = 256 << 10

// entryTime is how apt writes local times, without a zone (apt-pkg/deb/dpkgpm.cc).
const entryTime = "2006-01-02 15:04:05"

// entryKey begins a line of apt's log.
var entryKey = regexp.MustCompile(`^([A-Z][A-Za-z-]*): ?(.*)$`)

// parseHistory reads apt's history.log: entries of lines "Key: value", with blank lines
// between. It returns those that touched the engine's packages, oldest first, and the first
// line that it does not understand. under: the last entry may be at work still.
func parseHistory(text string, zone *time.Location, under bool) (changes []ops.PackageChange, broken string) {
	complain := func(line string) {
		if broken == "" {
			broken = line
		}
	}
	// upkeep.sh reads no more of a log: it may begin in the middle of an entry.
	cut := len(text) > historyCut*9/10
	var entry *ops.PackageChange
	ended := false
	finish := func(last bool) {
		if entry == nil {
			return
		}
		switch {
		case ended:
		case last && under:
			entry.Err = "under way"
		case entry.Err == "":
			entry.Err = "interrupted"
		}
		if len(entry.Packages) > 0 {
			changes = append(changes, *entry)
		}
		entry, ended = nil, false
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			continue
		}
		m := entryKey.FindStringSubmatch(line)
		if m == nil || entry == nil && m[1] != "Start-Date" {
			if !cut {
				complain(line)
			}
			continue
		}
		cut = false
		key, value := m[1], strings.TrimSpace(m[2])
		if key == "Start-Date" {
			finish(false)
			entry = &ops.PackageChange{}
			at, err := time.ParseInLocation(entryTime, strings.Join(strings.Fields(value), " "), zone)
			if err != nil {
				complain(line)
				continue
			}
			entry.At = at.UTC()
			continue
		}
		switch key {
		case "Commandline":
			entry.Command = hidePasswords(value)
		case "Requested-By":
			entry.By, _, _ = strings.Cut(value, " (")
		case "Error":
			entry.Err = value
		case "End-Date":
			ended = true
		case "Install", "Reinstall", "Upgrade", "Downgrade", "Remove", "Purge":
			touched, ok := parseTouched(key, value)
			if !ok {
				complain(line)
			}
			for _, p := range touched {
				if ops.OfEngine(p.Name) {
					entry.Packages = append(entry.Packages, p)
				} else {
					entry.Others++
				}
			}
		}
	}
	if cut {
		complain("one entry that fills it")
	}
	finish(true)
	return changes, broken
}

// touchedPackage is a package of a line of apt's log: "name:arch (from, to)".
var touchedPackage = regexp.MustCompile(`^([^\s:(),]+)(?::[^\s()]+)? \(([^()\s,]*)(?:, ([^()\s,]*))?(?:, automatic)?\)$`)

// parseTouched reads the packages of a line of apt's log. ok: it was understood whole.
func parseTouched(key, list string) (touched []ops.VersionChange, ok bool) {
	ok = true
	for part := range strings.SplitSeq(list, "), ") {
		m := touchedPackage.FindStringSubmatch(strings.TrimSuffix(part, ")") + ")")
		if m == nil {
			ok = false
			continue
		}
		p := ops.VersionChange{Name: m[1]}
		switch key {
		case "Install": // (to) or (to, automatic)
			p.To = m[2]
		case "Reinstall":
			p.From, p.To = m[2], m[2]
		case "Remove", "Purge":
			p.From = m[2]
		default:
			p.From, p.To = m[2], m[3]
			ok = ok && m[3] != ""
		}
		ok = ok && m[2] != ""
		touched = append(touched, p)
	}
	return touched, ok
}

// readStates finds the packages that are half-done, and those of the engine that are held.
// The letters are those of dpkg-query's db:Status-Abbrev: wanted, state, error.
func (r *reader) readStates() {
	lines, _ := r.part("states", theStates)
	for _, line := range lines {
		if line == "" {
			continue
		}
		letters, name, ok := strings.Cut(line, "|")
		if !ok || len(letters) < 2 || name == "" {
			r.unread(theStates, "dpkg-query says "+strconv.Quote(short(line)))
			continue
		}
		switch word := stateWords[letters[1]]; {
		case word != "":
			r.Broken = append(r.Broken, name+": "+word)
		case len(letters) > 2 && letters[2] == 'R':
			r.Broken = append(r.Broken, name+": must be installed again")
		}
		if letters[0] == 'h' && letters[1] == 'i' && ops.OfEngine(name) {
			r.Held = append(r.Held, name)
		}
	}
}

// stateWords are the states between not installed and installed (dpkg(1)).
var stateWords = map[byte]string{
	'H': "half-installed", 'U': "unpacked, not configured", 'F': "half-configured", 'W': "waits for a trigger", 't': "a trigger is pending",
}

// readPending reads what an upgrade would do.
func (r *reader) readPending() {
	lines, ok := r.part("pending", thePending)
	if !ok {
		return
	}
	changes, err := parseSimulation(lines)
	if err != nil {
		r.unread(thePending, err.Error())
		return
	}
	for _, c := range changes {
		if ops.OfEngine(c.Name) {
			r.Pending = append(r.Pending, c)
		} else {
			r.Others++
		}
	}
}

// The lines of a simulation (apt-private/private-install.cc, apt-pkg/algorithms.cc): an
// installation, with the present version where there is one; some versions of apt print
// empty brackets; a removal; and the sum.
var (
	simulatedInst = regexp.MustCompile(`^Inst (\S+)(?: \[([^\]\s]*)\])?(?: \[\])? \((\S+)[^)]*\)`)
	simulatedRemv = regexp.MustCompile(`^(?:Remv|Purg) (\S+)(?: \[([^\]\s]*)\])?`)
	simulatedSum  = regexp.MustCompile(`^(\d+) upgraded, (\d+) newly installed, (?:(\d+) reinstalled, )?(?:(\d+) downgraded, )?(\d+) to remove and (\d+) not upgraded\.`)
)

// parseSimulation reads the output of apt-get -s. It is an error if the sum at its end is
// missing or is another than that of the lines.
func parseSimulation(lines []string) ([]ops.VersionChange, error) {
	changes := []ops.VersionChange{}
	installs, removals := 0, 0
	var sum []string
	for _, line := range lines {
		line = strings.TrimRight(line, " \r")
		if m := simulatedSum.FindStringSubmatch(line); m != nil {
			sum = m
		} else if m := simulatedInst.FindStringSubmatch(line); m != nil {
			installs++
			changes = append(changes, ops.VersionChange{Name: bare(m[1]), From: m[2], To: m[3]})
		} else if m := simulatedRemv.FindStringSubmatch(line); m != nil {
			removals++
			changes = append(changes, ops.VersionChange{Name: bare(m[1]), From: m[2]})
		} else if strings.HasPrefix(line, "Inst ") || strings.HasPrefix(line, "Remv ") || strings.HasPrefix(line, "Purg ") {
			return nil, fmt.Errorf("apt's answer has %q", short(line))
		}
	}
	if sum == nil {
		return nil, errors.New("apt's answer broke off")
	}
	var n [7]int
	for i, digits := range sum {
		n[i], _ = strconv.Atoi(digits) // the first is the line, and 0
	}
	if n[1]+n[2]+n[3]+n[4] != installs || n[5] != removals {
		return nil, errors.New("apt's answer does not add up")
	}
	return changes, nil
}

// bare is the name of a package without its architecture.
func bare(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return name
}

// firstError is the first of apt's errors, without its "E: ".
func firstError(lines []string) string {
	for _, line := range lines {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "E: "); ok {
			return hidePasswords(text)
		}
	}
	return ""
}

// answersWithin is how long a refresh of the lists may take: a source whose last answer is
// older than its beginning by more gave none.
const answersWithin = 10 * time.Minute

// plannedFile is a line of apt-get --print-uris: 'address' name size.
var plannedFile = regexp.MustCompile(`^'([^']+)' (\S+) \d+`)

// readSources finds when the lists were last refreshed, and the sources that gave no answer
// then: those whose signed index is missing, or was not confirmed by the last refresh.
// A source without signatures tells only whether it ever answered.
func (r *reader) readSources() {
	changed := map[string]time.Time{}
	for _, s := range r.parts {
		if s.name != "lists" {
			continue
		}
		for _, line := range s.lines {
			at, name, _ := strings.Cut(line, " ")
			if t := unixTime(at); !t.IsZero() && strings.HasPrefix(name, "/") {
				changed[path.Base(name)] = t
			}
		}
	}
	asked := changed["partial"]
	if asked.IsZero() {
		r.unread(theLists, "")
		r.unread(theSources, "")
		return
	}
	for name, at := range changed {
		if name != "partial" && at.After(r.ListsAt) {
			r.ListsAt = at
		}
	}
	lines, _ := r.part("sources", theSources)
	for _, line := range lines {
		m := plannedFile.FindStringSubmatch(line)
		if m == nil || !strings.HasSuffix(m[2], "InRelease") {
			continue
		}
		where, err := url.Parse(m[1])
		if err != nil || where.Scheme != "http" && where.Scheme != "https" {
			continue // a directory or a disk
		}
		_, unsigned := changed[strings.TrimSuffix(m[2], "InRelease")+"Release"]
		at, signed := changed[m[2]]
		if signed && asked.Sub(at) <= answersWithin || !signed && unsigned {
			continue
		}
		r.Silent = append(r.Silent, sourceName(m[1]))
	}
	slices.Sort(r.Silent)
	r.Silent = slices.Compact(r.Silent)
}

// sourceName is a source as sources.list has it: its address and suite, made from that of
// its index.
func sourceName(index string) string {
	index = hidePasswords(strings.TrimSuffix(strings.TrimSuffix(index, "InRelease"), "/"))
	if site, suite, ok := strings.Cut(index, "/dists/"); ok {
		return site + " " + suite
	}
	return index
}

// readOffered reads which versions of the engine's packages could be installed, and those
// whose files are on the host still.
func (r *reader) readOffered() {
	lines, _ := r.part("offered", theOffered)
	for _, line := range lines {
		columns := strings.Split(line, "|")
		if len(columns) < 3 || strings.HasSuffix(strings.TrimSpace(columns[2]), " Sources") {
			continue // a note about a package that is not known, or source code
		}
		add(&r.Offered, strings.TrimSpace(columns[0]), strings.TrimSpace(columns[1]))
	}
	for _, s := range r.parts {
		if s.name != "kept" {
			continue
		}
		for _, line := range s.lines {
			// name_version_arch.deb, with what a file's name cannot hold as in a URL.
			words := strings.Split(strings.TrimSuffix(line, ".deb"), "_")
			if len(words) != 3 {
				continue
			}
			if version, err := url.PathUnescape(words[1]); err == nil {
				add(&r.Kept, words[0], version)
			}
		}
	}
}

// add notes a version of one of the engine's packages.
func add(versions *map[string][]string, name, version string) {
	if !ops.OfEngine(name) || version == "" || slices.Contains((*versions)[name], version) {
		return
	}
	if *versions == nil {
		*versions = map[string][]string{}
	}
	(*versions)[name] = append((*versions)[name], version)
}
