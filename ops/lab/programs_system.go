package lab

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// systemPrograms ask or change the machine.
var systemPrograms = map[string]func(*call) int{
	"sudo": sudo, "sh": sh, "bash": sh, "env": env, "id": id, "whoami": func(c *call) int { c.say("%s\n", c.user.name); return 0 },
	"hostname": func(c *call) int { c.say("%s\n", c.h.name); return 0 }, "uname": uname, "date": date, "df": df, "nproc": nproc, "which": which,
	"systemctl": systemctl, "systemd-run": systemdRun, "reboot": reboot, "dpkg-query": dpkgQuery, "dpkg": dpkg, "apt-get": aptGet, "apt-cache": aptCache, "apt-mark": aptMark,
	"docker": dockerCLI, "docker-compose": func(c *call) int { return c.compose(c.h.compose) },
	"pidof": pidof, "pgrep": pidof, "sleep": sleep, "timeout": timeout, "logger": func(*call) int { return 0 }, "curl": curl, "getent": getent, "getconf": getconf,
	"stty": stty, "nohup": env, "setsid": env, "dockerd": dockerdProgram, "journalctl": journalctl,
	"ip": ip, "fuser": fuser, "flock": flock,
}

// again runs another program in the place of this one.
func (c *call) again(u user, args []string) int {
	if len(args) == 0 {
		return 0
	}
	next := *c
	next.user, next.args = u, args[1:]
	switch args[0] { // builtins of the shell that are programs too
	case "true", "test", "[", "echo", "printf", "false", "kill":
		return c.h.shell(c.ctx, u, `"$@"`, "sh", args, c.stdin, c.stdout, c.stderr)
	}
	return next.program(args[0])
}

func sudo(c *call) int {
	flags, rest := c.options("u")
	for len(rest) > 0 && strings.Contains(rest[0], "=") {
		rest = rest[1:] // a variable for the command
	}
	var refuses bool
	c.h.with(func() { refuses = c.h.faults.sudoPassword && c.user.uid != 0 || !c.user.sudo })
	if refuses {
		if !has(flags, "n") {
			c.complain("sudo", "a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper")
		}
		c.complain("sudo", "a password is required")
		return 1
	}
	as := root
	as.asker = c.user.name
	if name, ok := flags["u"]; ok {
		as = c.h.users[name]
		as.asker = c.user.name
	}
	return c.again(as, rest)
}

func sh(c *call) int {
	flags, rest := c.options("")
	script := ""
	for letter := range flags {
		if strings.Contains("eux", letter) {
			script += "set -" + letter + "\n"
		}
	}
	switch {
	case has(flags, "c") && len(rest) > 0:
		name, args := "sh", []string(nil)
		if len(rest) > 1 {
			name, args = rest[1], rest[2:]
		}
		return c.h.shell(c.ctx, c.user, script+rest[0], name, args, c.stdin, c.stdout, c.stderr)
	case has(flags, "s") || len(rest) == 0:
		text, err := io.ReadAll(c.stdin)
		if err != nil {
			return 2
		}
		return c.h.shell(c.ctx, c.user, script+string(text), "sh", rest, strings.NewReader(""), c.stdout, c.stderr)
	}
	text, err := c.read(rest[0])
	if err != nil {
		c.complain("sh", "0: cannot open %s: %s", rest[0], errText(err))
		return 2
	}
	return c.h.shell(c.ctx, c.user, script+string(text), rest[0], rest[1:], c.stdin, c.stdout, c.stderr)
}

func env(c *call) int {
	_, rest := c.options("u")
	for len(rest) > 0 && strings.Contains(rest[0], "=") {
		rest = rest[1:]
	}
	return c.again(c.user, rest)
}

func (h *Host) userName(uid int) string {
	for _, u := range h.users {
		if u.uid == uid {
			return u.name
		}
	}
	return strconv.Itoa(uid)
}

func groupName(gid int) string {
	for name, id := range groupIDs {
		if id == gid {
			return name
		}
	}
	return strconv.Itoa(gid)
}

func id(c *call) int {
	flags, rest := c.options("")
	u := c.user
	if len(rest) > 0 {
		var ok bool
		if u, ok = c.h.users[rest[0]]; !ok {
			c.complain("id", "‘%s’: no such user", rest[0])
			return 1
		}
	}
	switch {
	case has(flags, "u") && has(flags, "n"):
		c.say("%s\n", u.name)
	case has(flags, "u"):
		c.say("%d\n", u.uid)
	case has(flags, "G") && has(flags, "n"):
		c.say("%s\n", strings.Join(u.groups, " "))
	case has(flags, "g") && has(flags, "n"):
		c.say("%s\n", u.groups[0])
	default:
		c.say("uid=%d(%s) gid=%d(%s) groups=%s\n", u.uid, u.name, groupIDs[u.groups[0]], u.groups[0], strings.Join(u.groups, ","))
	}
	return 0
}

func uname(c *call) int {
	flags, _ := c.options("")
	for _, f := range []struct{ flag, text string }{{"r", kernel}, {"m", "x86_64"}, {"n", c.h.name}, {"a", "Linux " + c.h.name + " " + kernel + " x86_64 GNU/Linux"}} {
		if has(flags, f.flag) {
			c.say("%s\n", f.text)
			return 0
		}
	}
	c.say("Linux\n")
	return 0
}

func df(c *call) int {
	flags, rest := c.options("B")
	unit, title := int64(1024), "1024-blocks"
	switch {
	case flags["B"] == "1" || flags["block-size"] == "1":
		unit, title = 1, "1-blocks"
	case has(flags, "m"):
		unit, title = 1<<20, "1M-blocks"
	}
	for _, name := range rest {
		err := c.onFiles(false, func(f *files) error { _, err := f.find(c.path(name), true); return err })
		if err != nil {
			c.complain("df", "%s: %s", name, errText(err))
			return 1
		}
	}
	total, used := int64(diskTotal)/unit, c.h.diskUsed()/unit
	if columns, ok := flags["output"]; ok {
		values := map[string]string{
			"size": strconv.FormatInt(total, 10), "used": strconv.FormatInt(used, 10), "avail": strconv.FormatInt(total-used, 10),
			"pcent": fmt.Sprintf("%d%%", used*100/total), "source": "/dev/nvme0n1p1", "target": "/",
		}
		var heads, row []string
		for col := range strings.SplitSeq(columns, ",") {
			heads, row = append(heads, col), append(row, values[col])
		}
		c.say("%s\n%s", strings.Join(heads, " "), strings.Repeat(strings.Join(row, " ")+"\n", max(1, len(rest)))) // a row for each file
		return 0
	}
	c.say("Filesystem %s Used Available Capacity Mounted on\n/dev/nvme0n1p1 %d %d %d %d%% /\n", title, total, used, total-used, used*100/total)
	return 0
}

// diskUsed grows with what the engine keeps.
func (h *Host) diskUsed() int64 {
	used := int64(diskSystem)
	h.with(func() {
		for _, im := range h.engine.images {
			used += im.size
		}
	})
	return used
}

func nproc(c *call) int { c.say("%d\n", cpus); return 0 }

func which(c *call) int {
	status := 0
	for _, name := range c.args {
		base := path.Base(name)
		builtin := slices.Contains([]string{"true", "false", "test", "echo", "printf", "cd", "kill"}, base)
		if _, ok := programs[base]; (ok && c.h.has(name)) || builtin || !ok && base == name && c.h.hasFile(c.h.whereIs(base)) {
			c.say("%s\n", c.h.whereIs(base))
		} else {
			status = 1
		}
	}
	return status
}

func (h *Host) hasFile(name string) (there bool) {
	h.with(func() { _, err := h.files.find(name, true); there = err == nil })
	return there
}

// whereIs is the path of a program: where a file of that name is, or /usr/bin.
func (h *Host) whereIs(base string) (found string) {
	h.with(func() {
		for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin"} {
			if _, err := h.files.find(path.Join(dir, base), true); err == nil {
				found = path.Join(dir, base)
				return
			}
		}
		found = path.Join("/usr/bin", base)
	})
	return found
}

// acts runs f for root alone and counts it as a change.
func (c *call) acts(f func()) int {
	if c.user.uid != 0 {
		fmt.Fprintln(c.stderr, "Failed to start transient service unit: Interactive authentication required.")
		return 1
	}
	c.h.with(func() { c.h.changed(c.ctx); f() })
	return 0
}

func reboot(c *call) int {
	return c.acts(func() { c.h.w.after(rebootsWithin, c.h.reboot) })
}

// pidof also does for pgrep: it knows the engine, and apt while it is at work.
func pidof(c *call) int {
	_, rest := c.options("s")
	found := false
	c.h.with(func() {
		for _, name := range rest {
			switch {
			case name == "dockerd" && c.h.engine.up:
				c.say("%d\n", enginePID)
				found = true
			case c.h.apt.worker != nil && (name == c.h.apt.worker.name || name == "dpkg" && c.h.apt.worker.name == "apt-get"):
				c.say("%d\n", c.h.apt.worker.pid)
				found = true
			}
		}
	})
	if !found {
		return 1
	}
	return 0
}

func sleep(c *call) int {
	if len(c.args) == 0 {
		return 1
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(c.args[0], "s"), 64)
	if err != nil {
		return 1
	}
	t := time.NewTimer(c.h.w.pace(time.Duration(n * float64(time.Second))))
	defer t.Stop()
	select {
	case <-t.C:
		return 0
	case <-c.ctx.Done():
		return 143
	}
}

// timeout runs a command; nothing here lasts so long that it would have to end it.
func timeout(c *call) int {
	_, rest := c.options("sk")
	if len(rest) < 2 {
		return 125
	}
	return c.again(c.user, rest[1:])
}

// curl asks a port of the host; it knows -s -S -f -o -w '%{http_code}' and -m.
func curl(c *call) int {
	var url, form string
	fails := false
	for i := 0; i < len(c.args); i++ {
		switch a := c.args[i]; {
		case a == "-o" || a == "-m" || a == "--max-time" || a == "--connect-timeout":
			i++
		case a == "--url":
			i++
			if i < len(c.args) {
				url = c.args[i]
			}
		case a == "-w":
			i++
			if i < len(c.args) {
				form = c.args[i]
			}
		case strings.HasPrefix(a, "-"):
			fails = fails || strings.HasPrefix(a, "--fail") || !strings.HasPrefix(a, "--") && strings.Contains(a, "f")
		default:
			url = a
		}
	}
	status := 0
	c.h.with(func() {
		if r, err := http.NewRequest(http.MethodGet, url, nil); err == nil {
			port, perr := strconv.Atoi(r.URL.Port())
			if perr != nil {
				port = 80
			}
			if c.h.port(r.URL.Hostname(), port) != nil {
				status, _ = c.h.engine.answer(port)
			}
		}
	})
	if form != "" {
		c.say("%s", strings.NewReplacer("%{http_code}", fmt.Sprintf("%03d", status), `\n`, "\n").Replace(form))
	}
	switch {
	case status == 0:
		c.complain("curl", "(7) Failed to connect to %s: Connection refused", url)
		return 7
	case fails && status >= 400:
		c.complain("curl", "(22) The requested URL returned error: %d", status)
		return 22
	}
	return 0
}

func getent(c *call) int {
	if len(c.args) < 2 {
		return 1
	}
	if g, ok := groupIDs[c.args[1]]; ok && c.args[0] == "group" {
		c.say("%s:x:%d:\n", c.args[1], g)
		return 0
	}
	return 2
}

func getconf(c *call) int {
	values := map[string]int{"CLK_TCK": ticks, "_NPROCESSORS_ONLN": cpus, "PAGESIZE": 4096}
	for _, a := range c.args {
		if n, ok := values[a]; ok {
			c.say("%d\n", n)
			return 0
		}
	}
	return 1
}
