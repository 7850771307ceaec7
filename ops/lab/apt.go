package lab

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// build is one version of a Debian package, as a suite offers it.
type build struct {
	version string
	arch    string
	suite   string
	size    int      // of the file, in bytes
	needs   []string // Depends, as far as they matter here
	wants   []string // Recommends
	breaks  string   // a package that this one breaks in every build older than the newest
	engine  string   // upstream version of the engine that it is, or belongs to
}

// catalog are the packages of the lab, each with its newest build first: what bookworm and
// trixie have, as apt-cache showed it.
var catalog = map[string][]build{
	"runc": {
		{version: "1.1.15+ds1-2+b4", arch: "amd64", suite: "trixie", size: 3229748, engine: "26.1.5"},
		{version: "1.1.5+ds1-1", arch: "amd64", suite: "bookworm", size: 2710884, engine: "20.10.24"},
	},
	"containerd": {
		{version: "1.7.24~ds1-6+b4", arch: "amd64", suite: "trixie", size: 32784720, needs: []string{"runc"}, engine: "26.1.5"},
		{version: "1.6.20~ds1-1+b1", arch: "amd64", suite: "bookworm", size: 25905188, needs: []string{"runc"}, engine: "20.10.24"},
	},
	"docker.io": {
		{version: "26.1.5+dfsg1-9", arch: "amd64", suite: "trixie", size: 23036836, needs: []string{"containerd", "runc"}, wants: []string{"docker-cli"}, engine: "26.1.5"},
		{version: "20.10.24+dfsg1-1+b3", arch: "amd64", suite: "bookworm", size: 36241232, needs: []string{"containerd", "runc"}, engine: "20.10.24"},
	},
	"docker-cli":        {{version: "26.1.5+dfsg1-9", arch: "amd64", suite: "trixie", size: 7332784, breaks: "docker.io", engine: "26.1.5"}},
	"docker-compose":    {{version: "2.26.1-4", arch: "amd64", suite: "trixie", size: 12965524, wants: []string{"docker-cli"}}, {version: "1.29.2-3", arch: "all", suite: "bookworm", size: 122800}},
	"ca-certificates":   {{version: "20230311", arch: "all", suite: "bookworm", size: 153168}},
	"curl":              {{version: "7.88.1-10+deb12u12", arch: "amd64", suite: "bookworm", size: 315592}},
	"libc6":             {{version: "2.36-9+deb12u10", arch: "amd64", suite: "bookworm", size: 2757544}},
	"linux-image-amd64": {{version: "6.1.123-1", arch: "amd64", suite: "bookworm-security", size: 1480}, {version: "6.1.119-1", arch: "amd64", suite: "bookworm", size: 1480}},
	"openssh-server":    {{version: "1:9.2p1-2+deb12u6", arch: "amd64", suite: "bookworm", size: 456304}},
	"openssl":           {{version: "3.0.17-1~deb12u2", arch: "amd64", suite: "bookworm-security", size: 1433960}, {version: "3.0.16-1~deb12u1", arch: "amd64", suite: "bookworm", size: 1433244}},
	"tzdata":            {{version: "2025b-0+deb12u2", arch: "all", suite: "bookworm-security", size: 296120}, {version: "2025b-0+deb12u1", arch: "all", suite: "bookworm", size: 296072}},
}

// unpackOrder is the order in which apt brings the packages that depend on each other;
// all others come after them, by name.
var unpackOrder = []string{"runc", "containerd", "docker.io", "docker-cli", "docker-compose"}

func byUnpacking(a, b string) int {
	at := func(name string) int {
		if i := slices.Index(unpackOrder, name); i >= 0 {
			return i
		}
		return len(unpackOrder)
	}
	if d := at(a) - at(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func buildOf(name, version string) (build, bool) {
	i := slices.IndexFunc(catalog[name], func(b build) bool { return b.version == version })
	if i < 0 {
		return build{}, false
	}
	return catalog[name][i], true
}

// rank orders the builds of a package: the higher, the newer.
func rank(name, version string) int {
	return -slices.IndexFunc(catalog[name], func(b build) bool { return b.version == version })
}

func (b build) file(name string) string {
	return name + "_" + strings.ReplaceAll(b.version, ":", "%3a") + "_" + b.arch + ".deb"
}

// suite is a release of Debian as its Release file names it.
type suite struct {
	path   string // below the site
	origin string // Label:Version/Suite, as apt shows it
}

var suites = map[string]suite{
	"bookworm":          {"debian", "Debian:12.11/oldstable"},
	"bookworm-updates":  {"debian", "Debian:12-updates/oldstable-updates"},
	"bookworm-security": {"debian-security", "Debian-Security:12/oldstable-security"},
	"trixie":            {"debian", "Debian:13.1/stable"},
}

const debianMirror = "deb.debian.org"

// installed is a package on a host.
type installed struct {
	version string
	state   byte // dpkg's letter: i installed, U unpacked, F half-configured
	held    bool
}

// packaging is the package manager of a host.
type packaging struct {
	packages    map[string]*installed
	lists       map[string]bool // suites whose lists are there
	silent      map[string]bool // hosts that do not answer
	failing     map[string]bool // packages whose configuration fails
	interrupted bool            // dpkg did not come to its end
	restarts    bool            // the engine's package restarts the engine
	worker      *worker         // who holds dpkg's locks
	asking      *worker         // who holds the lock of the lists
}

// worker is a process that changes packages.
type worker struct {
	pid  int
	name string // as /proc/PID/comm has it
	line string // as /proc/PID/cmdline has it
}

func newPackaging() *packaging {
	return &packaging{packages: map[string]*installed{}, lists: map[string]bool{}, silent: map[string]bool{}, failing: map[string]bool{}}
}

// Where apt and dpkg keep what they know.
const (
	dpkgStatus   = "/var/lib/dpkg/status"
	aptLists     = "/var/lib/apt/lists"
	aptArchives  = "/var/cache/apt/archives"
	aptHistory   = "/var/log/apt/history.log"
	aptSources   = "/etc/apt/sources.list"
	aptStamp     = "/var/lib/apt/periodic/update-success-stamp"
	aptConfig    = "/etc/apt/apt.conf.d/99servers"
	dockerClient = "/usr/bin/docker"
)

// furnishPackages puts in place what apt keeps on a host that was installed long ago and
// whose lists were refreshed this morning. Recommends are off, as on many servers: that is
// why an upgrade of docker.io does not bring docker-cli, nor is kept back for want of it.
func (h *Host) furnishPackages() {
	f, a := h.files, h.apt
	for _, dir := range []string{aptLists + "/partial", aptArchives + "/partial", "/var/lib/dpkg/updates", path.Dir(aptStamp)} {
		f.mkdirAll(dir)
	}
	for _, name := range append([]string{aptLists + "/lock", aptArchives + "/lock"}, dpkgLocks...) {
		f.put(name, 0o640, "")
	}
	f.put(aptConfig, 0o644, "APT::Install-Recommends \"false\";\nAPT::Install-Suggests \"false\";\n")
	f.put(aptSources, 0o644, "deb http://deb.debian.org/debian bookworm main\ndeb http://deb.debian.org/debian bookworm-updates main\ndeb http://deb.debian.org/debian-security bookworm-security main\n# the engine of the next release\ndeb http://deb.debian.org/debian trixie main\n")
	f.put("/etc/timezone", 0o644, zoneName+"\n")
	f.put("/usr/share/zoneinfo/"+zoneName, 0o644, string(zoneFile()))
	f.link("/etc/localtime", "/usr/share/zoneinfo/"+zoneName)
	for name, builds := range catalog {
		if name == "docker-cli" {
			continue
		}
		oldest := builds[len(builds)-1]
		a.packages[name] = &installed{version: oldest.version, state: 'i'}
	}
	for _, name := range unpackOrder {
		if p := a.packages[name]; p != nil {
			b, _ := buildOf(name, p.version)
			f.put(path.Join(aptArchives, b.file(name)), 0o644, "!<arch>\n").changed = h.booted.Add(-90 * 24 * time.Hour)
		}
	}
	h.oldHistory()
	h.refresh(h.now().Add(-5 * time.Hour))
	h.writeStatus(h.booted.Add(-90 * 24 * time.Hour))
}

// oldHistory is what apt did before anything happened: the host's installation in the log
// that was rotated away, and an unattended upgrade since.
func (h *Host) oldHistory() {
	var first []string
	for _, name := range slices.SortedFunc(maps.Keys(h.apt.packages), byUnpacking) {
		automatic := ""
		if name == "runc" || name == "containerd" {
			automatic = ", automatic"
		}
		if slices.Contains(enginePackages, name) {
			first = append(first, fmt.Sprintf("%s:amd64 (%s%s)", name, h.apt.packages[name].version, automatic))
		}
	}
	install, patch := h.booted.Add(-200*24*time.Hour), h.booted.Add(6*24*time.Hour)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprintf(z, "\nStart-Date: %s\nCommandline: apt-get install -y docker.io docker-compose\nRequested-By: ops (1000)\nInstall: %s\nEnd-Date: %s\n", h.stamp(install), strings.Join(first, ", "), h.stamp(install.Add(71*time.Second)))
	if err := z.Close(); err != nil {
		panic("packing a log of the lab: " + err.Error())
	}
	h.files.put(aptHistory+".1.gz", 0o644, packed.String()).changed = install.Add(20 * 24 * time.Hour)
	h.files.put(aptHistory, 0o644, fmt.Sprintf("\nStart-Date: %s\nCommandline: /usr/bin/unattended-upgrade\nUpgrade: curl:amd64 (7.88.1-10+deb12u8, 7.88.1-10+deb12u12)\nEnd-Date: %s\n", h.stamp(patch), h.stamp(patch.Add(4*time.Second)))).changed = patch
}

// hold puts packages on hold, or takes the hold away; for setting the scene.
func (h *Host) hold(on bool, names ...string) {
	for _, name := range names {
		if p := h.apt.packages[name]; p != nil {
			p.held = on
		}
	}
	h.writeStatus(h.now())
}

// writeStatus writes dpkg's own file, as far as anybody reads it.
func (h *Host) writeStatus(at time.Time) {
	var b strings.Builder
	for _, name := range sortedKeys(h.apt.packages) {
		p := h.apt.packages[name]
		arch := "amd64"
		if known, ok := buildOf(name, p.version); ok {
			arch = known.arch
		}
		fmt.Fprintf(&b, "Package: %s\nStatus: %s\nMaintainer: Debian\nArchitecture: %s\nVersion: %s\nDescription: %s\n\n", name, p.status(), arch, p.version, name)
	}
	h.files.put(dpkgStatus, 0o644, b.String()).changed = at
	h.files.mkdirAll(path.Dir(dpkgStatus)).changed = at
}

func (p *installed) want() string {
	if p.held {
		return "hold"
	}
	return "install"
}

func (p *installed) word() string {
	return map[byte]string{'i': "installed", 'U': "unpacked", 'F': "half-configured"}[p.state]
}

func (p *installed) status() string { return p.want() + " ok " + p.word() }

// abbrev is db:Status-Abbrev: what is wanted, what is, and a blank where nothing is wrong.
func (p *installed) abbrev() string { return p.want()[:1] + string(p.state) + " " }

// offered are the builds of a package that the lists have, newest first.
func (a *packaging) offered(name string) (out []build) {
	for _, b := range catalog[name] {
		if a.lists[b.suite] {
			out = append(out, b)
		}
	}
	return out
}

// known are the builds that could be installed: those of the lists and the one that is there.
func (a *packaging) known(name string) (out []build) {
	for _, b := range catalog[name] {
		p := a.packages[name]
		if a.lists[b.suite] || p != nil && p.version == b.version {
			out = append(out, b)
		}
	}
	return out
}

// candidate is the newest build that could be installed.
func (a *packaging) candidate(name string) (build, bool) {
	all := a.known(name)
	if len(all) == 0 {
		return build{}, false
	}
	return all[0], true
}

// source is a line of sources.list that apt can use.
type source struct{ scheme, host, path, suite string }

// site is the source's address as apt shows it.
func (s source) site() string { return s.scheme + "://" + s.host + "/" + s.path }

// list is the name of the source's files below /var/lib/apt/lists.
func (s source) list(file string) string {
	return path.Join(aptLists, strings.ReplaceAll(s.host+"/"+s.path+"/dists/"+s.suite+"/"+file, "/", "_"))
}

// sources reads sources.list and the files beside it.
func (h *Host) sources() (out []source) {
	names := []string{aptSources}
	if dir, err := h.files.find(aptSources+".d", true); err == nil {
		for _, n := range dir.sorted() {
			if strings.HasSuffix(n.name, ".list") {
				names = append(names, path.Join(aptSources+".d", n.name))
			}
		}
	}
	for _, name := range names {
		data, err := h.files.content(root, name)
		if err != nil {
			continue // there need not be any
		}
		for _, l := range lines(data) {
			words := slices.DeleteFunc(strings.Fields(l), func(w string) bool { return strings.HasPrefix(w, "[") })
			if len(words) < 4 || words[0] != "deb" {
				continue
			}
			scheme, rest, ok := strings.Cut(words[1], "://")
			host, where, _ := strings.Cut(rest, "/")
			if ok {
				out = append(out, source{scheme, host, strings.TrimSuffix(where, "/"), words[2]})
			}
		}
	}
	return out
}

// answers tells whether a source does.
func (a *packaging) answers(s source) bool {
	known, ok := suites[s.suite]
	return ok && s.host == debianMirror && known.path == s.path && !a.silent[s.host] && !a.silent[s.suite]
}

// refresh is what a refreshed list leaves on the disk: the files carry the server's time,
// the directories that of the update.
func (h *Host) refresh(at time.Time) {
	a, whole := h.apt, true
	for _, s := range h.sources() {
		if !a.answers(s) {
			whole = false
			continue
		}
		a.lists[s.suite] = true
		for file, text := range map[string]string{
			"InRelease":                          "Origin: Debian\nSuite: " + s.suite + "\n",
			"main/binary-amd64/Packages":         "",
			"main/i18n/Translation-en":           "",
			"main/dep11/Components-amd64.yml.gz": "",
		} {
			n := h.files.put(s.list(file), 0o644, text)
			n.changed, n.dated = at, at.Truncate(24*time.Hour).Add(-8*time.Hour)
		}
	}
	stamps := []string{aptLists, aptLists + "/partial"}
	if whole {
		h.files.put(aptStamp, 0o644, "")
		stamps = append(stamps, aptStamp)
	}
	h.files.put("/var/cache/apt/pkgcache.bin", 0o644, "").changed = at
	for _, name := range stamps {
		if n, err := h.files.find(name, true); err == nil {
			n.changed = at
		}
	}
}

// SilenceSource makes a source of packages give no answer: a host by its name, or one
// suite of Debian's mirror; false lets it answer again.
func (h *Host) SilenceSource(name string, on bool) { h.with(func() { h.apt.silent[name] = on }) }

// FailConfiguring makes the script fail that configures a package after it was unpacked:
// an install stops half-way and leaves the package half-configured.
func (h *Host) FailConfiguring(name string, on bool) { h.with(func() { h.apt.failing[name] = on }) }

// RestartOnUpgrade makes the engine's package restart the engine, as needrestart does where
// it may. Debian's package alone lets the old engine run.
func (h *Host) RestartOnUpgrade(on bool) { h.with(func() { h.apt.restarts = on }) }

// AptAtWork is an apt-get that installs something, until it is taken back or the host goes
// down: it holds dpkg's locks, with fcntl(2), which flock(1) does not see.
func (h *Host) AptAtWork(on bool) {
	h.with(func() {
		h.work(nil)
		if on {
			h.work(&worker{aptPID, "apt-get", "apt-get install -y curl"})
		}
	})
}

// UnattendedUpgrade is unattended-upgrades at work for d of the lab's time.
func (h *Host) UnattendedUpgrade(d time.Duration) {
	w := &worker{aptPID + 40, "unattended-upgr", "/usr/bin/python3 /usr/bin/unattended-upgrade"}
	h.with(func() {
		h.work(w)
		h.w.after(d, func() {
			if h.apt.worker == w {
				h.work(nil)
			}
		})
	})
}

// work makes a process hold dpkg's locks, and be seen below /proc; nil ends it.
func (h *Host) work(w *worker) {
	if old := h.apt.worker; old != nil {
		dir := fmt.Sprintf("/proc/%d", old.pid)
		if err := removeTree(h.files, root, dir, true); err != nil {
			panic("ending a process of the lab: " + err.Error())
		}
	}
	h.apt.worker = w
	if w == nil {
		return
	}
	dir := fmt.Sprintf("/proc/%d/", w.pid)
	h.files.put(dir+"comm", 0o444, w.name+"\n")
	h.files.put(dir+"cmdline", 0o444, strings.ReplaceAll(w.line, " ", "\x00")+"\x00")
	h.files.put(dir+"stat", 0o444, fmt.Sprintf("%d (%s) S 1 %d %d 0 -1 4194560 0 0 0 0 12 4 0 0 20 0 1 0 %d 0 0 0\n",
		w.pid, w.name, w.pid, w.pid, h.now().Sub(h.booted)/(time.Second/ticks)))
}
