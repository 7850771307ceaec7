package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// newer is the Debian release whose engine, one major version and more ahead, still
// installs on the hosts.
const newer = "trixie"

// Offer puts packages of the next Debian release into a repository on the host itself, as
// its only one, and refreshes the package lists: the state of the hosts in the incident
// just before somebody typed `apt-get upgrade`. "docker.io" is engine 26.1 without the
// docker command; "docker-compose" is 2.26.
func (r *Rig) Offer(ctx context.Context, side string, packages ...string) error {
	return r.offer(ctx, side, map[string][]string{newer: packages})
}

// OfferBoth is Offer with the earlier versions there, too: packages of the hosts' own release.
func (r *Rig) OfferBoth(ctx context.Context, side string, next, own []string) error {
	return r.offer(ctx, side, map[string][]string{newer: next, suite: own})
}

// offer puts packages of Debian releases into the host's repository.
func (r *Rig) offer(ctx context.Context, side string, packages map[string][]string) error {
	m := r.Side(side)
	var debs []string
	for _, release := range slices.Sorted(maps.Keys(packages)) {
		files, err := fetch(ctx, cacheDir(), release, packages[release])
		if err != nil {
			return err
		}
		debs = append(debs, files...)
	}
	index, err := packageIndex(ctx, debs)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.dir, changed), nil, 0o644); err != nil {
		return fmt.Errorf("noting that %s has changed: %w", side, err)
	}
	const repository = "/srv/debs"
	if _, err := m.Exec(ctx, "mkdir", "-p", repository); err != nil {
		return err
	}
	for _, deb := range debs {
		data, err := os.ReadFile(deb)
		if err != nil {
			return fmt.Errorf("reading a package: %w", err)
		}
		if _, err := m.ExecInput(ctx, data, "sh", "-c", `cat > "$1"`, "sh", repository+"/"+filepath.Base(deb)); err != nil {
			return err
		}
	}
	for file, text := range map[string]string{
		repository + "/Packages":           index,
		"/etc/apt/sources.list":            "deb [trusted=yes] file:" + repository + " ./\n",
		"/etc/apt/apt.conf.d/99tandem-rig": "APT::Sandbox::User \"root\";\nDpkg::Options { \"--force-confold\"; };\n",
	} {
		if _, err := m.ExecInput(ctx, []byte(text), "sh", "-c", `cat > "$1"`, "sh", file); err != nil {
			return err
		}
	}
	if _, err := m.Exec(ctx, "sh", "-c", "rm -f /etc/apt/sources.list.d/*; apt-get update"); err != nil {
		return fmt.Errorf("refreshing the package lists of %s: %w", side, err)
	}
	return nil
}

// Upgrade is the mistake of the incident: `apt-get upgrade` where update was meant. The
// package brings its own restart of nothing: the engine that runs stays the old one.
func (m *Machine) Upgrade(ctx context.Context) error {
	if _, err := m.Exec(ctx, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "upgrade"); err != nil {
		return fmt.Errorf("upgrading %s: %w", m.Side, err)
	}
	return nil
}

// changed marks a host whose packages are not those of the root file system any more.
const changed = "changed"

// remake gives the host new disks: what apt did to it, or another daemon.json to its engine's
// networks, cannot be taken back otherwise. Keys and addresses stay.
func (r *Rig) remake(ctx context.Context, m *Machine) error {
	if err := m.PowerOff(); err != nil {
		return err
	}
	if err := m.dropBridges(ctx); err != nil {
		return err
	}
	root := filepath.Join(m.dir, "root")
	lower, err := os.ReadFile(filepath.Join(m.dir, "lower"))
	if err != nil {
		return fmt.Errorf("finding the root file system of %s: %w", m.Side, err)
	}
	if err := run(ctx, "umount", root); err != nil {
		return err
	}
	for _, sub := range []string{"upper", "work", "docker", changed} {
		if err := os.RemoveAll(filepath.Join(m.dir, sub)); err != nil {
			return fmt.Errorf("removing the disks of %s: %w", m.Side, err)
		}
	}
	if err := r.makeDisks(ctx, m, string(lower)); err != nil {
		return err
	}
	return r.bring(ctx, m)
}

// fetch downloads packages of a release, once, and returns their files.
func fetch(ctx context.Context, cache, release string, packages []string) ([]string, error) {
	name := sha256.Sum256([]byte(release + " " + strings.Join(packages, " ")))
	dir := filepath.Join(cache, release+"-debs-"+hex.EncodeToString(name[:6]))
	if found, err := filepath.Glob(filepath.Join(dir, "*.deb")); err == nil && len(found) == len(packages) {
		return found, nil
	}
	part := dir + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(filepath.Join(part, "lists/partial"), 0o755), os.MkdirAll(filepath.Join(part, "archives/partial"), 0o755)); err != nil {
		return nil, fmt.Errorf("preparing a download: %w", err)
	}
	source := "deb " + mirror() + " " + release + " main\n"
	if err := os.WriteFile(filepath.Join(part, "sources.list"), []byte(source), 0o644); err != nil {
		return nil, fmt.Errorf("preparing a download: %w", err)
	}
	apt := []string{"-q", "-o", "Dir::Etc::sourcelist=" + filepath.Join(part, "sources.list"), "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::lists=" + filepath.Join(part, "lists"), "-o", "Dir::Cache=" + part, "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"}
	if err := run(ctx, "apt-get", append(apt, "update")...); err != nil {
		return nil, fmt.Errorf("reading the package lists of %s: %w", release, err)
	}
	download := exec.CommandContext(ctx, "apt-get", append(append(apt, "download"), packages...)...)
	download.Dir = part
	if said, err := download.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("downloading %s of %s: %w: %s", strings.Join(packages, ", "), release, err, said)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(part, "lists")), os.RemoveAll(dir), os.Rename(part, dir)); err != nil {
		return nil, fmt.Errorf("keeping the packages: %w", err)
	}
	return filepath.Glob(filepath.Join(dir, "*.deb"))
}

// mirror is this machine's own mirror of Debian.
func mirror() string {
	for _, file := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(text)) {
			if strings.HasPrefix(word, "http") && strings.HasSuffix(strings.TrimSuffix(word, "/"), "/debian") {
				return word
			}
		}
	}
	return "http://deb.debian.org/debian"
}

// packageIndex is what dpkg-scanpackages would write: each control file, and where the
// package is, how long, and its hash.
func packageIndex(ctx context.Context, debs []string) (string, error) {
	var index strings.Builder
	for _, deb := range debs {
		control, err := exec.CommandContext(ctx, "dpkg-deb", "--field", deb).Output()
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", filepath.Base(deb), err)
		}
		data, err := os.ReadFile(deb)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", filepath.Base(deb), err)
		}
		fmt.Fprintf(&index, "%s\nFilename: ./%s\nSize: %d\nSHA256: %x\n\n", strings.TrimSpace(string(control)), filepath.Base(deb), len(data), sha256.Sum256(data))
	}
	return index.String(), nil
}
