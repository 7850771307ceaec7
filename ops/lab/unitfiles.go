package lab

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Where an administrator's unit files are, and the links to those that start at the boot
// (systemd.unit(5), systemctl(1)).
const (
	unitDir   = "/etc/systemd/system"
	wantsDir  = unitDir + "/multi-user.target.wants"
	unitReads = "ConditionPathExists ExecStart" // of all that a unit file may say
)

// unitText is a unit file of an administrator. It expects the lock.
func (h *Host) unitText(name string) (text string, there bool) {
	data, err := h.files.content(root, path.Join(unitDir, full(name)))
	return string(data), err == nil
}

// enable makes the link by which a unit starts at every boot from then on.
func (c *call) enable(name string) int {
	text, status := "", 0
	denied := c.acts(func() {
		h, link := c.h, path.Join(wantsDir, full(name))
		if _, there := h.unitText(name); !there {
			text, status = fmt.Sprintf("Failed to enable unit: Unit file %s does not exist.\n", full(name)), 1
			return
		}
		if _, err := h.files.find(link, false); err != nil {
			h.files.link(link, path.Join(unitDir, full(name)))
			text = fmt.Sprintf("Created symlink %s → %s.\n", link, path.Join(unitDir, full(name)))
		}
	})
	if denied != 0 {
		return denied
	}
	fmt.Fprint(c.stderr, text)
	return status
}

// disable takes the link away.
func (c *call) disable(name string) int {
	text, status := "", 0
	denied := c.acts(func() {
		h, link := c.h, path.Join(wantsDir, full(name))
		_, there := h.unitText(name)
		switch err := h.files.remove(root, link); {
		case err == nil:
			text = fmt.Sprintf("Removed %q.\n", link)
		case !there:
			text, status = fmt.Sprintf("Failed to disable unit: Unit file %s does not exist.\n", full(name)), 1
		}
	})
	if denied != 0 {
		return denied
	}
	fmt.Fprint(c.stderr, text)
	return status
}

// wanted are the units that start at the boot, with their texts. It expects the lock.
func (h *Host) wanted() map[string]string {
	dir, err := h.files.find(wantsDir, true)
	if err != nil {
		return nil
	}
	texts := map[string]string{}
	for _, n := range dir.sorted() {
		if text, there := h.unitText(n.name); there {
			texts[strings.TrimSuffix(n.name, ".service")] = text
		}
	}
	return texts
}

// startWanted runs the services of a boot one after the other, as if each said
// After=docker.service: once the engine is up, or has failed.
func (h *Host) startWanted(life context.Context, texts map[string]string) {
	h.engineSettled(life)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		lines := h.commands(texts[name])
		if len(lines) == 0 {
			continue
		}
		ctx, cancel := context.WithCancel(life)
		u := &unit{name: name, runs: true, timer: time.AfterFunc(time.Hour, func() {}), stop: cancel}
		h.with(func() { h.units[name] = u })
		for _, line := range lines {
			args := strings.Fields(line)
			h.with(func() {
				h.w.record(Request{Side: h.side, Wire: "exec", User: "root", What: "systemd: " + line, Mutating: true})
			})
			next := call{ctx: ctx, h: h, user: root, dir: "/", stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
			if next.again(root, append([]string{path.Base(args[0])}, args[1:]...)) != 0 {
				break
			}
		}
		cancel()
		u.timer.Stop()
		h.with(func() {
			if h.units[name] == u {
				delete(h.units, name)
			}
		})
	}
}

// engineSettled waits until the engine is no longer starting.
func (h *Host) engineSettled(life context.Context) {
	for {
		var change <-chan struct{}
		h.with(func() {
			if h.engine.starting {
				change = h.engine.changed.wait()
			}
		})
		if change == nil {
			return
		}
		select {
		case <-change:
		case <-life.Done():
			return
		}
	}
}

// commands are what a service runs, nothing where the paths that it wants are missing: one of
// those with a bar is enough (systemd.unit(5), "Conditions").
func (h *Host) commands(text string) (lines []string) {
	triggers, triggered := false, false
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case !ok || !slices.Contains(strings.Fields(unitReads), key):
		case key == "ExecStart":
			lines = append(lines, value)
		case strings.HasPrefix(value, "|"):
			triggers, triggered = true, triggered || h.hasFile(value[1:])
		case !h.hasFile(value):
			return nil
		}
	}
	if triggers && !triggered {
		return nil
	}
	return lines
}
