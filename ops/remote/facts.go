package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

//go:embed facts.sh
var factsScript string

// composeSeen remembers the version of the compose program that was asked last.
type composeSeen struct{ file, version string }

// Facts runs one fixed script and reads what it prints.
func (h *Host) Facts(ctx context.Context) (ops.Facts, error) {
	h.factsMu.Lock()
	seen := h.compose
	h.factsMu.Unlock()
	asked := h.opt.Now()
	out, err := h.Exec(ctx, ops.Command{Args: append([]string{"sh", "-c", factsScript, "sh", seen.file}, ops.EnginePackages...)})
	answered := h.opt.Now()
	if err != nil {
		p := *ops.AsProblem(err, "", h.target.Side)
		p.Doing = "reading the host's facts"
		return ops.Facts{}, &p
	}
	facts, seen, err := parseFacts(out, seen)
	if err != nil {
		return ops.Facts{}, h.say("reading the host's facts", err, "is the login shell of "+h.route[len(h.route)-1].user+" a POSIX shell?")
	}
	h.factsMu.Lock()
	h.compose = seen
	h.factsMu.Unlock()
	facts.Ahead = ahead(facts.Clock, asked, answered)
	return facts, nil
}

// ahead is how far a clock that was read between two instants of ours must be ahead of
// ours; negative: behind. It is read by the wall: a step of our own clock counts.
func ahead(clock, asked, answered time.Time) time.Duration {
	asked, answered = asked.Round(0), answered.Round(0)
	switch {
	case clock.IsZero():
		return 0
	case clock.After(answered):
		return clock.Sub(answered)
	case clock.Before(asked):
		return clock.Sub(asked)
	}
	return 0
}

// parseFacts reads the lines of facts.sh. It is an error if the end is missing or if the
// host has no boot id, for half an answer would look like a poorer host. Single values
// that cannot be read stay zero.
func parseFacts(out []byte, seen composeSeen) (ops.Facts, composeSeen, error) {
	f := ops.Facts{Packages: map[string]string{}}
	value := map[string]string{}
	var lock, packaging strings.Builder
	var born []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, maxOutput)
	for lines.Scan() {
		key, text, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			continue
		}
		switch key {
		case "pkg":
			addPackage(f.Packages, text)
		case "mem":
			name, kib, _ := strings.Cut(text, ":")
			switch n := kibibytes(kib); name {
			case "MemTotal":
				f.MemTotal = n
			case "MemAvailable":
				f.MemAvailable = n
			}
		case "disk":
			f.DiskTotal, f.DiskUsed, f.InodesTotal, f.InodesUsed = disk(text)
		case "packaging":
			packaging.WriteString(text + "\n")
		case "born":
			born = append(born, text)
		case "lock":
			lock.WriteString(text + "\n")
		default:
			value[key] = text
		}
	}
	if err := lines.Err(); err != nil {
		return ops.Facts{}, seen, err
	}
	if value["end"] != "1" {
		return ops.Facts{}, seen, errors.New("the answer broke off")
	}
	f.BootID = value["boot_id"]
	if f.BootID == "" {
		return ops.Facts{}, seen, errors.New("the host has no boot id: is it Linux?")
	}
	f.User, f.Kernel = value["user"], value["kernel"]
	f.OS = strings.Trim(value["os"], `"'`)
	f.Clock = unixTime(value["clock"])
	f.Uptime = seconds(first(value["uptime"]))
	f.Load1 = number(first(value["load"]))
	f.CPUs = processors(value["cpus"])
	f.RebootRequired = value["reboot_required"] == "1"
	for _, name := range []string{"docker-ce", "docker.io", "moby-engine", "docker"} {
		if v := f.Packages[name]; v != "" {
			f.Installed = upstream(v)
			break
		}
	}
	for _, name := range newer(born, engineStarted(value["engine_stat"], f.Clock, f.Uptime)) {
		if name == "dockerd" {
			f.EngineReplaced = true
		} else {
			f.Newer = append(f.Newer, name)
		}
	}
	f.EngineReplaced = f.EngineReplaced || value["engine_replaced"] == "1"
	if packaging.Len() > 0 {
		sum := sha256.Sum256([]byte(packaging.String()))
		f.Packaging = hex.EncodeToString(sum[:6])
	}
	seen = findCompose(&f, value, seen)
	if value["lock_held"] == "1" {
		f.Lock = &ops.LockInfo{}
		if err := json.Unmarshal([]byte(lock.String()), f.Lock); err != nil || f.Lock.Run == "" {
			// A mark that cannot be read is a mark all the same.
			f.Lock = &ops.LockInfo{By: "not known", From: "not known", Reason: "the mark on the host cannot be read"}
		}
	}
	return f, seen, nil
}

func addPackage(packages map[string]string, line string) {
	status, rest, _ := strings.Cut(line, "|")
	name, version, ok := strings.Cut(rest, "|")
	// dpkg's second letter is the state; i: installed (deb-query(1)). Held packages are "hi".
	if ok && len(status) >= 2 && status[1] == 'i' && name != "" && version != "" {
		packages[name] = version
	}
}

// upstream is the part of a package version that the engine itself would say:
// "5:20.10.24~3-0~debian-bookworm" and "20.10.24+dfsg1-1+b3" are both 20.10.24.
func upstream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if i := strings.IndexAny(version, "~+-"); i >= 0 {
		version = version[:i]
	}
	return version
}

// engineStarted is when the engine's process started, by the host's clock; zero: not known.
// Field 22 of /proc/PID/stat is the start in ticks since boot (proc(5)); Linux shows
// programs 100 of them a second (USER_HZ, include/asm-generic/param.h).
func engineStarted(stat string, clock time.Time, uptime time.Duration) time.Time {
	_, after, ok := strings.Cut(stat, ") ") // the name in brackets may hold blanks
	fields := strings.Fields(after)
	if !ok || len(fields) < 20 || clock.IsZero() || uptime == 0 {
		return time.Time{}
	}
	return clock.Add(seconds(strconv.FormatFloat(number(fields[19])/100, 'f', 3, 64)) - uptime)
}

// newer are the programs that were put in place after the engine had started: a line is the
// birth, the last change and the path of a file. The link /proc/PID/exe, which would say it
// of dockerd, is for root only.
func newer(born []string, started time.Time) []string {
	var out []string
	for _, line := range born {
		birth, rest, _ := strings.Cut(line, " ")
		changed, file, _ := strings.Cut(rest, " ")
		at := unixTime(birth) // the inode's birth, where the file system knows it
		if at.Unix() <= 0 {
			at = unixTime(changed)
		}
		if file != "" && at.Unix() > 0 && !started.IsZero() && at.After(started) {
			out = append(out, path.Base(file))
		}
	}
	return out
}

// findCompose decides which compose answers to tandem: `docker compose` before
// `docker-compose`. It returns what to remember of a program that was asked.
func findCompose(f *ops.Facts, value map[string]string, seen composeSeen) composeSeen {
	for _, pkg := range []string{"docker-compose-plugin", "docker-compose-v2"} {
		if v := f.Packages[pkg]; v != "" {
			f.Compose, f.ComposeHow = upstream(v), "docker compose"
			return seen
		}
	}
	for _, found := range []struct{ key, how string }{{"plugin", "docker compose"}, {"standalone", "docker-compose"}} {
		file := value[found.key]
		if file == "" {
			continue
		}
		version, asked := value[found.key+"_version"]
		dist, isDist := strings.CutPrefix(value[found.key+"_dist"], "docker_compose-")
		switch {
		case asked:
			seen = composeSeen{file, strings.TrimPrefix(version, "v")}
			version = seen.version
		case isDist: // docker_compose-1.29.2.dist-info, docker_compose-1.25.0-py3.8.egg-info
			version, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimSuffix(dist, ".dist-info"), ".egg-info"), "-")
		case file == seen.file:
			version = seen.version
		default:
			version = upstream(f.Packages["docker-compose"])
		}
		if version != "" {
			f.Compose, f.ComposeHow = version, found.how
			return seen
		}
	}
	return seen
}

// disk reads block size, blocks, free blocks, inodes and free inodes: the bytes and the
// inodes of a file system, in all and in use. A file system that makes inodes as it needs
// them (btrfs) says 0.
func disk(text string) (total, used, inodes, inodesUsed uint64) {
	var n [5]uint64
	for i, word := range strings.Fields(text) {
		if i < len(n) {
			n[i], _ = strconv.ParseUint(word, 10, 40)
		}
	}
	size, blocks, free := min(n[0], 1<<23), n[1], n[2]
	return size * blocks, size * (blocks - min(free, blocks)), n[3], n[3] - min(n[4], n[3])
}

// processors counts a list as of /sys/devices/system/cpu/online: "0-3,6" are 5.
func processors(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		a, err := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil || b < a {
			return 0
		}
		n += int(b-a) + 1
	}
	return n
}

func first(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), " ")
	return text
}

// number reads a number; anything else, and what is not finite, is 0.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n
}

// seconds reads a span in seconds; what does not fit a Duration is 0.
func seconds(text string) time.Duration {
	n := number(text)
	if n < 0 || n > math.MaxInt64/1e9 {
		return 0
	}
	return time.Duration(n * 1e9)
}

func kibibytes(text string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 54)
	if err != nil {
		return 0
	}
	return n << 10
}

// unixTime reads seconds since 1970 with an optional fraction; zero if it is none.
func unixTime(text string) time.Time {
	whole, fraction, _ := strings.Cut(strings.TrimSpace(text), ".")
	sec, err := strconv.ParseInt(whole, 10, 40)
	if err != nil || sec <= 0 {
		return time.Time{}
	}
	nano, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil || nano < 0 {
		nano = 0
	}
	return time.Unix(sec, nano).UTC()
}
