package lab

import (
	"bufio"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// How long apt takes, at speed 1.
const (
	updateTakes    = 1500 * time.Millisecond
	unpackTakes    = 3 * time.Second
	configureTakes = 2 * time.Second
)

// apting is one run of apt-get.
type apting struct {
	*call
	verb  string
	words []string          // after the verb
	flags map[string]bool   // long names
	conf  map[string]string // -o
	quiet int
}

var aptLetters = map[string]string{"s": "simulate", "y": "yes", "f": "fix-broken", "d": "download-only", "u": "show-upgraded", "V": "verbose-versions"}

// aptGet is apt-get 2.6 with what scripts ask of it.
func aptGet(c *call) int {
	run := &apting{call: c, flags: map[string]bool{}, conf: map[string]string{}}
	if !run.parse() {
		return 100
	}
	c.h.with(c.h.syncLists)
	switch run.verb {
	case "update":
		return run.update()
	case "upgrade", "dist-upgrade", "full-upgrade", "install":
		return run.change()
	case "download":
		return run.fetchHere()
	case "clean", "autoclean":
		return run.clean()
	case "indextargets":
		return run.indexTargets()
	case "check":
		return 0
	}
	c.failed("Invalid operation " + run.verb)
	return 100
}

func (r *apting) parse() bool {
	args := r.args
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		switch {
		case a == "-o" || a == "--option" || a == "-c" || a == "-t" || a == "--format":
			if len(args) == 0 {
				r.failed("Command line option " + a + " is not understood in combination with the other options")
				return false
			}
			r.set(a, args[0])
			args = args[1:]
		case strings.HasPrefix(a, "-o") && strings.Contains(a, "="):
			r.set("-o", a[2:])
		case strings.HasPrefix(a, "-q="):
			fmt.Sscan(a[3:], &r.quiet)
		case strings.HasPrefix(a, "--"):
			name, value, joined := strings.Cut(a[2:], "=")
			switch name {
			case "just-print", "dry-run", "no-act", "recon":
				name = "simulate"
			case "assume-yes":
				name = "yes"
			case "quiet":
				r.quiet++
			case "option", "format", "error-on":
				r.set("--"+name, value)
			}
			r.flags[name] = !joined || value != "no" && value != "false"
		case len(a) > 1 && a[0] == '-':
			for _, letter := range a[1:] {
				if letter == 'q' {
					r.quiet++
				}
				r.flags[aptLetters[string(letter)]] = true
			}
		case r.verb == "":
			r.verb = a
		default:
			r.words = append(r.words, a)
		}
	}
	if r.quiet > 1 {
		r.flags["yes"] = true // -qq implies it
	}
	return true
}

func (r *apting) set(option, value string) {
	switch option {
	case "-o", "--option":
		name, v, _ := strings.Cut(value, "=")
		r.conf[strings.ToLower(name)] = v
	case "--format":
		r.conf["format"] = value
	case "--error-on":
		r.conf["apt::update::error-mode"] = value
	}
}

// recommends tells whether apt brings what a package recommends.
func (r *apting) recommends() bool {
	if r.flags["no-install-recommends"] {
		return false
	}
	if r.flags["install-recommends"] {
		return true
	}
	value, given := r.conf["apt::install-recommends"]
	if !given {
		dir, err := r.h.files.find(path.Dir(aptConfig), true)
		for _, n := range dirNodes(dir, err) {
			if strings.Contains(string(n.data), `APT::Install-Recommends "false"`) || strings.Contains(string(n.data), `APT::Install-Recommends "0"`) {
				value = "false"
			}
		}
	}
	return value != "false" && value != "0"
}

func dirNodes(dir *node, err error) []*node {
	if err != nil {
		return nil // there need not be such a directory
	}
	return dir.sorted()
}

// failed is an error in apt's words.
func (c *call) failed(text string) { fmt.Fprintf(c.stderr, "E: %s\n", text) }

// progress is what -qq does without.
func (r *apting) progress(format string, args ...any) {
	if r.quiet < 2 {
		r.say(format, args...)
	}
}

// syncLists forgets the lists of sources that are no longer named.
func (h *Host) syncLists() {
	sources := h.sources()
	for name := range h.apt.lists {
		if !slices.ContainsFunc(sources, func(s source) bool { return s.suite == name }) {
			delete(h.apt.lists, name)
		}
	}
}

func (r *apting) update() int {
	if r.flags["print-uris"] {
		return r.printURIs()
	}
	if r.user.uid != 0 {
		r.progress("Reading package lists...\n")
		r.failed("Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)")
		r.failed("Unable to lock directory /var/lib/apt/lists/")
		return 100
	}
	var sources []source
	silent := map[source]bool{}
	r.h.with(func() {
		sources = r.h.sources()
		for _, s := range sources {
			silent[s] = !r.h.apt.answers(s)
		}
	})
	for i, s := range sources {
		switch {
		case silent[s]:
			r.progress("Ign:%d %s %s InRelease\n", i+1, s.site(), s.suite)
		default:
			r.progress("Get:%d %s %s InRelease [%d kB]\n", i+1, s.site(), s.suite, 48+len(s.suite))
		}
	}
	r.h.with(func() { r.h.apt.asking = &worker{pid: aptPID + 1, name: "apt-get"} })
	defer r.h.with(func() { r.h.apt.asking = nil })
	if !r.takes(updateTakes) {
		return 143
	}
	level := "W"
	if r.conf["apt::update::error-mode"] == "any" {
		level = "E"
	}
	var failures []string
	for i, s := range sources {
		if silent[s] {
			why := "Could not resolve '" + s.host + "'"
			r.progress("Err:%d %s %s InRelease\n  %s\n", i+1, s.site(), s.suite, why)
			failures = append(failures, fmt.Sprintf("%s: Failed to fetch %s/dists/%s/InRelease  %s", level, s.site(), s.suite, why))
		}
	}
	if len(failures) < len(sources) {
		r.progress("Fetched 9317 kB in 1s (7012 kB/s)\n")
	}
	r.progress("Reading package lists...\n")
	r.h.with(func() {
		r.h.changed(r.ctx)
		r.h.refresh(r.h.now())
	})
	if len(failures) == 0 {
		return 0
	}
	for _, f := range append(failures, level+": Some index files failed to download. They have been ignored, or old ones used instead.") {
		fmt.Fprintln(r.stderr, f)
	}
	if level == "E" {
		return 100
	}
	return 0
}

// printURIs says what an update would ask for, and asks nobody.
func (r *apting) printURIs() int {
	var sources []source
	r.h.with(func() { sources = r.h.sources() })
	for _, f := range []struct{ file, packed string }{{"InRelease", ""}, {"main/binary-amd64/Packages", ".xz"}, {"main/i18n/Translation-en", ".xz"}} {
		for _, s := range sources {
			r.say("'%s/dists/%s/%s%s' %s 0 \n", s.site(), s.suite, f.file, f.packed, path.Base(s.list(f.file)))
		}
	}
	return 0
}

// takes waits for a span of the lab's time; false: the host went down in it.
func (c *call) takes(d time.Duration) bool {
	c.flush()
	t := time.NewTimer(c.h.w.pace(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// change is everything that installs, upgrades or removes.
func (r *apting) change() int {
	simulates := r.flags["simulate"]
	if simulates && r.user.uid != 0 && r.quiet < 2 {
		r.say("NOTE: This is only a simulation!\n      apt-get needs root privileges for real execution.\n      Keep also in mind that locking is deactivated,\n      so don't depend on the relevance to the real current situation!\n")
	}
	if !simulates {
		if status := r.lock(); status != 0 {
			return status
		}
		defer r.h.with(r.unlock)
	}
	r.progress("Reading package lists...\nBuilding dependency tree...\nReading state information...\n")
	if r.verb != "install" {
		r.progress("Calculating upgrade...\n")
	}
	var t *transaction
	var no *aptRefusal
	for _, w := range r.words {
		if _, _, ok := ofFile(w); ok && r.onFiles(false, func(f *files) error { _, err := f.find(r.path(w), true); return err }) != nil {
			no = &aptRefusal{errors: []string{"Unsupported file " + w + " given on commandline"}}
		}
	}
	r.h.with(func() {
		if no != nil {
			return
		}
		if r.verb == "install" {
			t, no = r.h.apt.installs(r.words, r.recommends())
		} else {
			t = r.h.apt.upgrades(r.recommends(), r.verb != "upgrade" || r.flags["with-new-pkgs"])
		}
	})
	if no != nil {
		for _, l := range no.lines {
			r.say("%s\n", l)
		}
		for _, l := range no.errors {
			r.failed(l)
		}
		return 100
	}
	r.progress("%s", t.text(r.verb == "install"))
	if refusal := r.refuses(t); refusal != "" {
		r.failed(refusal)
		return 100
	}
	if simulates {
		r.h.with(func() { r.say("%s", r.h.apt.simulated(t)) })
		return 0
	}
	if len(t.changes) == 0 && len(t.half) == 0 {
		return 0
	}
	if r.flags["download-only"] {
		if status := r.download(t); status != 0 {
			return status
		}
		r.progress("Download complete and in download only mode\n")
		return 0
	}
	return r.carryOut(t)
}

// refuses is why apt goes no further without being told so.
func (r *apting) refuses(t *transaction) string {
	any := func(which func(change) bool) bool { return slices.ContainsFunc(t.changes, which) }
	switch {
	case r.flags["no-remove"] && any(func(c change) bool { return c.to == "" }):
		return "Packages need to be removed but remove is disabled."
	case !r.flags["yes"]:
		return ""
	case any(change.downgrade) && !r.flags["allow-downgrades"]:
		return "Packages were downgraded and -y was used without --allow-downgrades."
	case any(func(c change) bool { return c.held }) && !r.flags["allow-change-held-packages"]:
		return "Held packages were changed and -y was used without --allow-change-held-packages."
	}
	return ""
}

const frontend = "/var/lib/dpkg/lock-frontend"

// lock takes dpkg's locks, waiting for as long as DPkg::Lock::Timeout says.
func (r *apting) lock() int {
	if r.user.uid != 0 {
		r.failed("Could not open lock file " + frontend + " - open (13: Permission denied)")
		r.failed("Unable to acquire the dpkg frontend lock (" + frontend + "), are you root?")
		return 100
	}
	patience := 0
	fmt.Sscan(r.conf["dpkg::lock::timeout"], &patience)
	for waited := 0; ; waited++ {
		var holder *worker
		interrupted := false
		r.h.with(func() {
			if holder = r.h.apt.worker; holder != nil {
				return
			}
			if interrupted = r.h.apt.interrupted; !interrupted {
				r.h.work(&worker{aptPID, "apt-get", "apt-get " + strings.Join(r.args, " ")})
			}
		})
		switch {
		case interrupted:
			r.failed("dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. ")
			return 100
		case holder == nil:
			return 0
		case waited >= patience && patience == 0:
			r.failed(fmt.Sprintf("Could not get lock %s. It is held by process %d (%s)", frontend, holder.pid, holder.name))
			r.failed("Unable to acquire the dpkg frontend lock (" + frontend + "), is another process using it?")
			return 100
		case waited >= patience:
			r.failed("Unable to acquire the dpkg frontend lock (" + frontend + "), is another process using it?")
			return 100
		}
		r.say("Waiting for cache lock: Could not get lock %s. It is held by process %d (%s)...\n", frontend, holder.pid, holder.name)
		if !r.takes(time.Second) {
			return 143
		}
	}
}

// unlock lets go of what this run holds. It expects the lock of the world.
func (r *apting) unlock() {
	if w := r.h.apt.worker; w != nil && w.pid == aptPID {
		r.h.work(nil)
	}
}

func (r *apting) clean() int {
	if r.user.uid != 0 {
		r.failed("Could not open lock file /var/cache/apt/archives/lock - open (13: Permission denied)")
		r.failed("Unable to lock directory /var/cache/apt/archives/")
		return 100
	}
	err := r.onFiles(true, func(f *files) error {
		dir, err := f.find(aptArchives, true)
		for _, n := range dirNodes(dir, err) {
			if strings.HasSuffix(n.name, ".deb") {
				delete(dir.entries, n.name)
			}
		}
		return nil
	})
	if err != nil {
		return 143
	}
	return 0
}

// indexTargets lists the index files that are there.
func (r *apting) indexTargets() int {
	var targets []map[string]string
	r.h.with(func() {
		for _, s := range r.h.sources() {
			name := s.list("main/binary-amd64/Packages")
			if _, err := r.h.files.find(name, true); err == nil {
				targets = append(targets, map[string]string{
					"SITE": s.site(), "RELEASE": s.suite, "CREATED_BY": "Packages", "FILENAME": name, "URI": s.site() + "/dists/" + s.suite + "/main/binary-amd64/Packages",
					"CODENAME": s.suite, "COMPONENT": "main", "ARCHITECTURE": "amd64", "REPO_URI": s.site() + "/", "METAKEY": "main/binary-amd64/Packages", "IDENTIFIER": "Packages",
				})
			}
		}
	})
	for _, target := range targets {
		if slices.ContainsFunc(r.words, func(w string) bool {
			k, v, ok := strings.Cut(w, ": ")
			return ok && !strings.EqualFold(target[strings.ToUpper(strings.ReplaceAll(k, "-", "_"))], v)
		}) {
			continue
		}
		line, asked := r.conf["format"]
		if !asked {
			for _, k := range []string{"METAKEY", "IDENTIFIER", "CREATED_BY", "ARCHITECTURE", "CODENAME", "COMPONENT", "REPO_URI", "SITE", "RELEASE", "FILENAME", "URI"} {
				line += k + ": " + target[k] + "\n"
			}
		}
		for k, v := range target {
			line = strings.ReplaceAll(line, "$("+k+")", v)
		}
		r.say("%s\n", line)
	}
	return 0
}

// agrees asks the question that -y answers.
func (r *apting) agrees(t *transaction) bool {
	if r.flags["yes"] || !t.complex && !slices.ContainsFunc(t.changes, func(c change) bool { return c.held || c.downgrade() || c.to == "" }) {
		return true
	}
	r.say("Do you want to continue? [Y/n] ")
	r.flush()
	answer, err := bufio.NewReader(r.stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "y" || answer == "yes" || answer == "" && err == nil {
		return true
	}
	r.say("Abort.\n")
	return false
}
