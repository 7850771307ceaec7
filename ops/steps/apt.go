package steps

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

// Where packages are kept on a host, and the unit that installs them. There is one at a time,
// as there is one run.
const (
	debsDir     = "/var/lib/tandem/debs"
	archivesDir = "/var/cache/apt/archives"
	aptLog      = "/var/lib/tandem/packages.log"
	aptUnit     = "tandem-packages"
	aptService  = aptUnit + ".service"
)

// aptScript is what the unit runs: first it ends what an apt that died left half-done
// (dpkg(1)), then it carries out its arguments. $1 is the log.
const aptScript = `log=$1; shift; { dpkg --configure -a && "$@"; } >"$log" 2>&1`

// aptEnv keeps apt, debconf and needrestart from asking, and their words English.
var aptEnv = []string{"--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C", "--setenv=NEEDRESTART_MODE=l"}

// aptOptions are those of every apt-get that installs: files of the configuration that were
// changed by hand stay (dpkg(1)), nothing comes along that is only recommended, and another
// apt at work is waited for (apt.conf(5), from 1.9.11).
var aptOptions = []string{
	"-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120",
}

// sortedNames are the names of packages, in order.
func sortedNames(versions map[string]string) []string { return slices.Sorted(maps.Keys(versions)) }

// packageWords are packages as apt takes them: name=version, name- for one to be removed.
// Those of which the host keeps a file come from that.
func packageWords(versions, files map[string]string) []string {
	var words []string
	for _, name := range sortedNames(versions) {
		switch version := versions[name]; {
		case version == "":
			words = append(words, name+"-")
		case files[name] != "":
			words = append(words, files[name])
		default:
			words = append(words, name+"="+version)
		}
	}
	return words
}

// aptInstall is the command that brings packages from one set of versions to another, all in
// one act. Only where one goes back may apt do so.
func aptInstall(from, to, files map[string]string, more ...string) []string {
	args := slices.Concat([]string{"apt-get"}, aptOptions, more)
	for name, version := range to {
		if (ops.VersionChange{Name: name, From: from[name], To: version}).GoesBack() {
			args = append(args, "--allow-downgrades")
			break
		}
	}
	return slices.Concat(args, []string{"install"}, packageWords(to, files))
}

// installedNow reads what versions packages are at; empty: not installed. broken are those that
// dpkg has left half-way.
func installedNow(ctx context.Context, host ops.Host, side ops.Side, names []string) (versions map[string]string, broken []string, err error) {
	out, err := host.Exec(ctx, ops.Command{Args: append([]string{"dpkg-query", "-W", "-f", `${db:Status-Abbrev}|${Package}|${Version}\n`}, names...)})
	var exit *ops.ExitError
	if err != nil && !errors.As(err, &exit) { // it ends with 1 where one was never installed
		return nil, nil, fmt.Errorf("reading the packages of %s: %w", side, err)
	}
	versions = map[string]string{}
	for _, name := range names {
		versions[name] = ""
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if len(fields) != 3 || len(fields[0]) < 2 {
			continue
		}
		// The second letter is the state, see dpkg-query(1): n not installed, c its config alone,
		// i installed.
		switch fields[0][1] {
		case 'n', 'c':
		case 'i':
			versions[fields[1]] = fields[2]
		default:
			versions[fields[1]] = fields[2]
			broken = append(broken, fields[1])
		}
	}
	return versions, broken, nil
}

// packagesWhole is an error where dpkg has left any package half-way.
func packagesWhole(ctx context.Context, host ops.Host, side ops.Side) error {
	_, broken, err := installedNow(ctx, host, side, nil)
	if err == nil && len(broken) > 0 {
		err = &ops.Problem{
			Doing: "looking for package work", Side: side, Err: errors.New("half-installed: " + strings.Join(broken, " ")),
			Hint: "on the host: dpkg --configure -a, apt-get -f install; then try again",
		}
	}
	return err
}

// leastRoom is what packages of engine, containerd and compose take at most, as files, unpacked
// and beside the old ones while they are being replaced.
const leastRoom = 1 << 30

// room is an error where the disks that packages are written to are about to be full.
func room(ctx context.Context, host ops.Host, side ops.Side) error {
	out, err := host.Exec(ctx, ops.Command{Args: []string{"df", "-B1", "--output=avail", "/usr", "/var"}})
	if err != nil {
		return fmt.Errorf("looking for room on the disks of %s: %w", side, err)
	}
	for field := range strings.FieldsSeq(string(out)) {
		free, err := strconv.ParseInt(field, 10, 64)
		if err == nil && free < leastRoom {
			return &ops.Problem{
				Doing: "looking for room on the disk", Side: side, Err: fmt.Errorf("%d MiB are free", free>>20),
				Hint: "packages need 1 GiB: apt-get clean, docker image prune; then try again",
			}
		}
	}
	return nil
}

// heldNow are those of the packages that are on hold.
func heldNow(ctx context.Context, host ops.Host, side ops.Side, names []string) ([]string, error) {
	out, err := host.Exec(ctx, ops.Command{Args: []string{"apt-mark", "showhold"}})
	if err != nil {
		return nil, fmt.Errorf("reading the holds of %s: %w", side, err)
	}
	held := []string{}
	for _, name := range strings.Fields(string(out)) {
		name, _, _ = strings.Cut(name, ":") // docker.io:amd64
		if slices.Contains(names, name) {
			held = append(held, name)
		}
	}
	return held, nil
}

// mark holds or unholds packages.
func mark(ctx context.Context, env ops.Env, side ops.Side, verb string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	_, err := env.Hosts[side].Exec(ctx, ops.Command{Args: append([]string{"apt-mark", verb}, names...), Privileged: true, Mutates: true})
	if err != nil {
		return fmt.Errorf("apt-mark %s %s: %w", verb, strings.Join(names, " "), err)
	}
	return nil
}

// keptFiles are the files in a directory of the host that hold these versions, by package.
func keptFiles(ctx context.Context, host ops.Host, side ops.Side, dir string, versions map[string]string) (map[string]string, error) {
	out, err := host.Exec(ctx, ops.Command{Args: []string{"ls", "-1", dir}, Privileged: true})
	var exit *ops.ExitError
	if err != nil && !errors.As(err, &exit) { // there is no such directory
		return nil, fmt.Errorf("looking for kept packages on %s: %w", side, err)
	}
	files := map[string]string{}
	for file := range strings.FieldsSeq(string(out)) {
		for name, version := range versions {
			if version != "" && strings.HasSuffix(file, ".deb") && strings.HasPrefix(file, debName(name, version)+"_") {
				files[name] = path.Join(dir, file)
			}
		}
	}
	return files, nil
}

// debName is how apt names the file of a package, without the architecture: a colon is
// written %3a.
func debName(name, version string) string {
	return name + "_" + strings.ReplaceAll(version, ":", "%3a")
}

// active asks systemd for a unit: it says 3 for one that is not, 4 for one that it does not
// know (systemctl(1)).
func active(ctx context.Context, host ops.Host, side ops.Side, unit string) (bool, error) {
	_, err := host.Exec(ctx, ops.Command{Args: []string{"systemctl", "is-active", unit}})
	var exit *ops.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && (exit.Status == 3 || exit.Status == 4):
		return false, nil
	}
	return false, fmt.Errorf("asking %s for %s: %w", side, unit, err)
}

// rooted carries out a command as root. Its exit status is an error only where it counts.
func rooted(ctx context.Context, host ops.Host, counts bool, args ...string) error {
	_, err := host.Exec(ctx, ops.Command{Args: args, Privileged: true, Mutates: true})
	var exit *ops.ExitError
	if !counts && errors.As(err, &exit) {
		return nil
	}
	return err
}

// apt runs a command of apt in a unit of its own, so that a connection that is cut does not
// end dpkg half-way, and follows it to its end. Whether it did what it should, the packages
// tell; what it said last is what to show where they do not.
func apt(ctx context.Context, env ops.Env, side ops.Side, within time.Duration, args []string) (said string, err error) {
	host := env.Hosts[side]
	// A unit that did not succeed stays loaded as failed and would hold the name.
	if err := rooted(ctx, host, false, "systemctl", "reset-failed", aptService); err != nil {
		return "", fmt.Errorf("clearing %s: %w", aptService, err)
	}
	if err := rooted(ctx, host, true, "mkdir", "-p", path.Dir(aptLog)); err != nil {
		return "", fmt.Errorf("making %s: %w", path.Dir(aptLog), err)
	}
	if err := rooted(ctx, host, true, aptCommand(args)...); err != nil {
		return "", fmt.Errorf("starting apt: %w", err)
	}
	return followApt(ctx, env, side, within)
}

// aptCommand is the command line that starts the unit.
func aptCommand(args []string) []string {
	return slices.Concat([]string{"systemd-run", "--unit=" + aptUnit}, aptEnv, []string{"sh", "-c", aptScript, "sh", aptLog}, args)
}

// followApt waits until the unit is over and returns the line that tells most of what it said.
func followApt(ctx context.Context, env ops.Env, side ops.Side, within time.Duration) (said string, err error) {
	host := env.Hosts[side]
	err = wait(ctx, env, within, func() (bool, string, error) {
		busy, err := active(ctx, host, side, aptService)
		if err != nil {
			return false, "", err
		}
		text, err := host.ReadFile(ctx, aptLog, true)
		if err != nil && errors.Is(err, ops.ErrUnreachable) {
			return false, "", fmt.Errorf("reading what apt says: %w", err)
		}
		last := ""
		last, said = aptWords(string(text))
		return !busy, last, nil
	})
	if errors.Is(err, errTimeout) {
		err = &ops.Problem{
			Doing: "installing packages", Side: side, Err: err,
			Hint: "apt is still at work there: systemctl status " + aptService + ", " + aptLog + "; let it come to its end, then resume",
		}
	}
	return said, err
}

// aptWords are the last line of what apt said, and the one that tells what went wrong: its own
// errors begin with E:, dpkg's with "dpkg: error".
func aptWords(text string) (last, why string) {
	for line := range strings.Lines(text) {
		line = clip(strings.TrimSpace(line))
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "E:") || strings.HasPrefix(line, "dpkg: error"):
			if why == "" {
				why = line
			}
		}
		last = line
	}
	if why == "" {
		why = last
	}
	return last, why
}
