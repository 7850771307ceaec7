package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// needed maps a program that the rig runs to the Debian package that brings it.
var needed = map[string]string{
	"systemd-nspawn": "systemd-container",
	"mmdebstrap":     "mmdebstrap",
	"haproxy":        "haproxy",
	"ip":             "iproute2",
	"nsenter":        "util-linux",
	"mount":          "mount",
	"ssh":            "openssh-client",
}

// checkMachine says what stands in the way of a rig here.
func checkMachine() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the rig needs Linux, this is %s", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return errors.New("the rig needs root: run the tests as root or with sudo -E")
	}
	return nil
}

// installPackages installs what is missing, with the machine's own apt settings.
// haproxy's own service is kept from starting: the rig runs its own.
func installPackages(ctx context.Context) error {
	var missing []string
	for program, pkg := range needed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the rig needs these Debian packages, and apt-get is not here: %s", strings.Join(missing, " "))
	}
	if err := run(ctx, "apt-get", "update", "-q"); err != nil {
		return fmt.Errorf("refreshing the package lists: %w", err)
	}
	args := append([]string{"RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends"}, missing...)
	if err := run(ctx, "env", args...); err != nil {
		return fmt.Errorf("installing %s: %w", strings.Join(missing, " "), err)
	}
	return nil
}

const suite = "bookworm"

// include is what a host has beyond apt itself. docker.io is 20.10 and docker-compose
// the Python 1.29.2: the pair of the incident.
const include = "usr-is-merged,systemd,systemd-sysv,dbus,openssh-server,docker.io,docker-compose,iptables,iproute2,sudo,curl,ca-certificates,procps"

// Hooks run with the new root file system as $1. Documentation is left out from the
// moment dpkg itself is there, and not through --dpkgopt: with that mmdebstrap passes
// every archive through a Perl filter, which takes half a minute.
//
// usrmerge, which would convert the finished tree and brings all of Perl for that, is
// not needed where /usr is merged from the start.
const (
	mergedHook = `set -e
sh /usr/share/mmdebstrap/hooks/merged-usr/setup00.sh "$1"
mkdir -p "$1/etc/apt/preferences.d"
printf 'Package: usrmerge\nPin: release *\nPin-Priority: -1\n' > "$1/etc/apt/preferences.d/tandem-rig"`

	extractHook = `printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\nforce-unsafe-io\n' > "$1/etc/dpkg/dpkg.cfg.d/tandem-rig"`

	// The password of plain is the word plain: it is there so that sudo asks for one. The
	// address is set from outside; with networkd, dockerd would wait two minutes for it.
	customizeHook = `set -e
rm -f "$1"/etc/ssh/ssh_host_*_key* "$1/etc/machine-id" "$1/etc/resolv.conf" "$1/etc/dpkg/dpkg.cfg.d/tandem-rig" "$1/etc/apt/preferences.d/tandem-rig"
chroot "$1" useradd -m -s /bin/bash -u 1000 -G docker ops
chroot "$1" useradd -m -s /bin/bash -u 1001 -G sudo plain
echo plain:plain | chroot "$1" chpasswd
echo 'ops ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/ops"
chmod 440 "$1/etc/sudoers.d/ops"
chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer console-getty.service getty.target systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service`
)

// rootFS returns the root file system that both hosts share, read-only. It is made once
// for a recipe and kept in cache.
func rootFS(ctx context.Context, cache string) (string, error) {
	mirrors, err := aptSources()
	if err != nil {
		return "", err
	}
	recipe := sha256.Sum256([]byte(suite + include + mergedHook + extractHook + customizeHook))
	root := filepath.Join(cache, suite+"-"+hex.EncodeToString(recipe[:6]))
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("making the cache: %w", err)
	}
	part := root + ".part" // only a whole one gets the final name
	if err := removeTree(ctx, part); err != nil {
		return "", fmt.Errorf("clearing the cache: %w", err)
	}
	args := []string{"--variant=apt", "--mode=root", "--format=directory", "--include=" + include,
		"--aptopt=Acquire::Languages \"none\"",
		"--setup-hook=" + mergedHook, "--extract-hook=" + extractHook, "--customize-hook=" + customizeHook}
	for _, setting := range aptSettings(ctx) {
		args = append(args, "--aptopt="+setting)
	}
	args = append(args, suite, part)
	args = append(args, mirrors...)
	if err := run(ctx, "mmdebstrap", args...); err != nil {
		return "", fmt.Errorf("making the root file system: %w", err)
	}
	if err := os.Rename(part, root); err != nil {
		return "", fmt.Errorf("keeping the root file system: %w", err)
	}
	return root, nil
}

// removeTree removes a root file system that was left half-made: mmdebstrap mounts /proc,
// /sys and devices in it, and leaves them there when it is killed.
func removeTree(ctx context.Context, dir string) error {
	left, err := mounts(func(at, _ string) bool { return strings.HasPrefix(at, dir+"/") })
	if err != nil {
		return err
	}
	for _, at := range left {
		if err := run(ctx, "umount", at); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// aptSources are this machine's own source files where it runs the same Debian, so that
// its mirror is used; elsewhere mmdebstrap's default mirror has to do.
func aptSources() ([]string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, fmt.Errorf("reading which Debian this is: %w", err)
	}
	if !bytes.Contains(release, []byte("VERSION_CODENAME="+suite)) {
		return nil, nil
	}
	var found []string
	for _, file := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"} {
		if _, err := os.Stat(file); err == nil {
			found = append(found, file)
		}
	}
	return found, nil
}

// aptSettings are the machine's settings for reaching its mirror: proxies, time-outs,
// certificates, and whether old release files are taken.
func aptSettings(ctx context.Context) []string {
	dump, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return nil // not a Debian machine: there is nothing to take over
	}
	var found []string
	for line := range strings.Lines(string(dump)) {
		line = strings.TrimSpace(line)
		for _, prefix := range []string{"Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries"} {
			if strings.HasPrefix(line, prefix) && !strings.HasSuffix(line, `"";`) {
				found = append(found, strings.TrimSuffix(line, ";"))
			}
		}
	}
	return found
}

// run runs a command and puts what it said into the error.
func run(ctx context.Context, name string, args ...string) error {
	said, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err == nil {
		return nil
	}
	text := string(bytes.TrimSpace(said))
	if len(text) > 2000 {
		text = "..." + text[len(text)-2000:]
	}
	return fmt.Errorf("%s: %w: %s", name, err, text)
}
