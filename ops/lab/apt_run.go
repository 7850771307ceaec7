package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// carryOut downloads, unpacks and configures, and writes it all into apt's history: the
// beginning when it begins, the end when there is one.
func (r *apting) carryOut(t *transaction) int {
	h := r.h
	if status := r.download(t); status != 0 {
		return status
	}
	h.with(func() {
		h.changed(r.ctx)
		h.history(h.stanza(h.now(), "apt-get "+strings.Join(r.args, " "), r.user.asker, t))
		h.apt.interrupted = true
	})
	if !r.takes(unpackTakes) {
		return 143
	}
	h.with(func() {
		for _, c := range t.changes {
			h.unpack(c, h.now())
			r.sayUnpacked(c)
		}
		h.writeStatus(h.now())
	})
	if !r.takes(configureTakes) {
		return 143
	}
	var broken []string
	h.with(func() {
		var names []string
		for _, c := range t.changes {
			if c.to != "" {
				names = append(names, c.name)
			}
		}
		broken = r.configure(append(names, t.half...))
		h.apt.interrupted = false
		end := "End-Date: " + h.stamp(h.now()) + "\n"
		if len(broken) > 0 {
			end = "Error: " + dpkgFailed + "\n" + end
		}
		h.history(end)
	})
	if len(broken) > 0 {
		r.failed(dpkgFailed)
		return 100
	}
	return 0
}

const dpkgFailed = "Sub-process /usr/bin/dpkg returned an error code (1)"

// download fetches what is not yet among the archives.
func (r *apting) download(t *transaction) int {
	var missing []change
	var sources []source
	failed := map[string]bool{}
	need, all := 0, 0
	r.h.with(func() {
		sources = r.h.sources()
		for _, c := range t.changes {
			if c.to == "" || slices.Contains(t.files, c.name) {
				continue
			}
			all += c.build.size
			if _, err := r.h.files.find(path.Join(aptArchives, c.build.file(c.name)), true); err != nil {
				missing = append(missing, c)
				need += c.build.size
				at := slices.IndexFunc(sources, func(s source) bool { return s.suite == c.build.suite })
				failed[c.name] = at < 0 || !r.h.apt.answers(sources[at])
			}
		}
	})
	if need == all {
		r.progress("Need to get %s of archives.\n", bytesText(need))
	} else {
		r.progress("Need to get %s/%s of archives.\n", bytesText(need), bytesText(all))
	}
	r.progress("After this operation, 0 B of additional disk space will be used.\n")
	if !r.agrees(t) {
		return 1
	}
	var errs []string
	for i, c := range missing {
		if e := r.get(i+1, c.name, c.build, failed[c.name], aptArchives); e != "" {
			errs = append(errs, e)
		}
	}
	if len(errs) > 0 {
		for _, e := range errs {
			r.failed(e)
		}
		r.failed("Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?")
		return 100
	}
	if need > 0 {
		r.progress("Fetched %s in 1s (%s/s)\n", bytesText(need), bytesText(need))
	}
	return 0
}

// get fetches one package file into a directory, and returns why it did not.
func (r *apting) get(number int, name string, b build, silent bool, dir string) string {
	site := "http://" + debianMirror + "/" + suites[b.suite].path
	if silent {
		r.progress("Err:%d %s %s/main amd64 %s %s %s\n  Could not resolve '%s'\n", number, site, b.suite, name, b.arch, b.version, debianMirror)
		return fmt.Sprintf("Failed to fetch %s/pool/main/%c/%s/%s  Could not resolve '%s'", site, name[0], name, strings.ReplaceAll(b.file(name), "+", "%2b"), debianMirror)
	}
	r.progress("Get:%d %s %s/main amd64 %s %s %s [%s]\n", number, site, b.suite, name, b.arch, b.version, bytesText(b.size))
	if err := r.write(path.Join(dir, b.file(name)), []byte("!<arch>\n"), 0o644, false); err != nil {
		return fmt.Sprintf("Could not write %s: %s", path.Join(dir, b.file(name)), errText(err))
	}
	return ""
}

// fetchHere is `apt-get download`: package files into the present directory.
func (r *apting) fetchHere() int {
	status := 0
	refuse := func(text string) {
		r.failed(text)
		status = 100
	}
	for i, word := range r.words {
		name, version, exact := strings.Cut(word, "=")
		var known, offered []build
		silent := false
		r.h.with(func() {
			known, offered = r.h.apt.known(name), r.h.apt.offered(name)
			silent = r.h.apt.silent[debianMirror]
		})
		if len(known) == 0 {
			refuse("Unable to locate package " + name)
			continue
		}
		if !exact {
			version = known[0].version
		}
		same := func(b build) bool { return b.version == version }
		at := slices.IndexFunc(offered, same)
		switch {
		case at < 0 && slices.ContainsFunc(known, same):
			refuse(fmt.Sprintf("Can't find a source to download version '%s' of '%s:amd64'", version, name))
		case at < 0:
			refuse(fmt.Sprintf("Version '%s' for '%s' was not found", version, name))
		default:
			if e := r.get(i+1, name, offered[at], silent, r.dir); e != "" {
				refuse(e)
			}
		}
	}
	return status
}

// bytesText is a size as apt writes it.
func bytesText(n int) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// stanza is the beginning of what history.log tells of a run.
func (h *Host) stanza(at time.Time, command, by string, t *transaction) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nStart-Date: %s\nCommandline: %s\n", h.stamp(at), command)
	if by, ok := h.users[by]; ok {
		fmt.Fprintf(&b, "Requested-By: %s (%d)\n", by.name, by.uid)
	}
	kinds := []struct {
		title string
		of    func(change) bool
	}{
		{"Install", func(c change) bool { return c.from == "" }},
		{"Upgrade", change.upgrade},
		{"Downgrade", change.downgrade},
		{"Remove", func(c change) bool { return c.to == "" }},
	}
	for _, k := range kinds {
		var list []string
		for _, c := range t.changes {
			if !k.of(c) {
				continue
			}
			switch {
			case c.from == "" && c.asked:
				list = append(list, fmt.Sprintf("%s:amd64 (%s)", c.name, c.to))
			case c.from == "":
				list = append(list, fmt.Sprintf("%s:amd64 (%s, automatic)", c.name, c.to))
			case c.to == "":
				list = append(list, fmt.Sprintf("%s:amd64 (%s)", c.name, c.from))
			default:
				list = append(list, fmt.Sprintf("%s:amd64 (%s, %s)", c.name, c.from, c.to))
			}
		}
		if len(list) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", k.title, strings.Join(list, ", "))
		}
	}
	return b.String()
}

// stamp is a time as history.log has it: local, and with two blanks.
func (h *Host) stamp(at time.Time) string { return at.In(h.zone()).Format(historyForm) }

const historyForm = "2006-01-02  15:04:05"

// history adds to history.log.
func (h *Host) history(text string) {
	n, err := h.files.find(aptHistory, true)
	if err != nil {
		n = h.files.put(aptHistory, 0o644, "")
	}
	n.data, n.changed = append(n.data, text...), h.now()
}

func (r *apting) sayUnpacked(c change) {
	switch {
	case r.quiet > 1:
	case c.to == "":
		r.say("Removing %s (%s) ...\n", c.name, c.from)
	case c.from == "":
		r.say("Selecting previously unselected package %s.\nPreparing to unpack .../%s ...\nUnpacking %s (%s) ...\n", c.name, c.build.file(c.name), c.name, c.to)
	default:
		if c.downgrade() {
			r.say("dpkg: warning: downgrading %s from %s to %s\n", c.name, c.from, c.to)
		}
		r.say("Preparing to unpack .../%s ...\nUnpacking %s (%s) over (%s) ...\n", c.build.file(c.name), c.name, c.to, c.from)
	}
}

// unpack puts the files of a package in place: what runs goes on running from what it has
// in memory.
func (h *Host) unpack(c change, at time.Time) {
	p := h.apt.packages[c.name]
	if c.to == "" {
		delete(h.apt.packages, c.name)
	} else {
		if p == nil {
			p = &installed{}
			h.apt.packages[c.name] = p
		}
		p.version, p.state = c.to, 'U'
	}
	h.place(c.name, c.to, at)
	if c.name == "containerd" || c.name == "runc" {
		h.matchRuntime(c.build.engine)
	}
}

// place is what a package at a version leaves on the disk; no version: it is removed.
func (h *Host) place(name, version string, at time.Time) {
	b, _ := buildOf(name, version)
	switch name {
	case "docker.io":
		if version == "" {
			return
		}
		h.engine.next = b.engine
		h.files.put(dockerd, 0o755, "\x7fELF").changed = at
		if !newer(b.engine) { // later ones leave the command to docker-cli
			h.files.put(dockerClient, 0o755, "\x7fELF").changed = at
		} else if h.apt.packages["docker-cli"] == nil {
			h.drop(dockerClient)
		}
	case "docker-cli":
		if version != "" {
			h.files.put(dockerClient, 0o755, "\x7fELF").changed = at
		} else if p := h.apt.packages["docker.io"]; p == nil || p.version == catalog["docker.io"][0].version {
			h.drop(dockerClient)
		}
	case "containerd", "runc":
		h.files.put(map[string]string{"containerd": "/usr/bin/containerd", "runc": "/usr/sbin/runc"}[name], 0o755, "\x7fELF").changed = at
	case "docker-compose":
		upstream, _, _ := strings.Cut(version, "-")
		h.placeCompose(upstream, at)
	}
}

// matchRuntime is what a change of containerd or runc means for the daemon that runs: it
// goes on, but its new containers are started by programs of another release.
func (h *Host) matchRuntime(engine string) {
	switch running := h.engine.release.version; {
	case !h.engine.up || engine == "":
	case strings.HasPrefix(running, engine):
		if h.faults.noStart == mismatch {
			h.faults.noStart = ""
		}
	default:
		h.faults.noStart = mismatch
	}
}

// hasDocker tells whether the docker command is there: since trixie it is a package of its own.
func (h *Host) hasDocker() (there bool) {
	h.with(func() { _, err := h.files.find(dockerClient, true); there = err == nil })
	return there
}

func (h *Host) drop(file string) {
	if err := h.files.remove(root, file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		panic("removing " + file + " of the lab: " + err.Error())
	}
}

// configure runs the packages' scripts and returns those that failed.
func (r *apting) configure(names []string) (broken []string) {
	h := r.h
	for _, name := range names {
		p := h.apt.packages[name]
		if p == nil {
			continue
		}
		r.progress("Setting up %s (%s) ...\n", name, p.version)
		if h.apt.failing[name] {
			p.state = 'F'
			broken = append(broken, name)
			r.say("Job for %s.service failed because the control process exited with error code.\ndpkg: error processing package %s (--configure):\n installed %s package post-installation script subprocess returned error exit status 1\n", strings.TrimSuffix(name, ".io"), name, name)
			continue
		}
		p.state = 'i'
		if name == "docker.io" && h.apt.restarts && h.engine.up {
			h.engine.shutdown()
			h.engine.bootAfter(engineRestart)
		}
	}
	if len(broken) > 0 {
		r.say("Errors were encountered while processing:\n %s\n", strings.Join(broken, "\n "))
	}
	h.writeStatus(h.now())
	return broken
}
