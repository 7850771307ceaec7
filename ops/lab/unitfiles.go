package lab

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
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

// wanted are the texts of the units that start at the boot, in the order of their names. It
// expects the lock.
func (h *Host) wanted() (texts []string) {
	dir, err := h.files.find(wantsDir, true)
	if err != nil {
		return nil
	}
	for _, n := range dir.sorted() {
		if text, there := h.unitText(n.name); there {
			texts = append(texts, text)
		}
	}
	return texts
}

// startWanted runs the oneshot services of a boot one after the other, then calls then: the
// engine comes after all of them, as if each said Before=docker.service.
func (h *Host) startWanted(life context.Context, texts []string, then func()) {
	for _, text := range texts {
		for _, line := range h.commands(text) {
			args := strings.Fields(line)
			h.with(func() {
				h.w.record(Request{Side: h.side, Wire: "exec", User: "root", What: "systemd: " + line, Mutating: true})
			})
			next := call{ctx: life, h: h, user: root, dir: "/", stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
			if next.again(root, append([]string{path.Base(args[0])}, args[1:]...)) != 0 {
				break
			}
		}
	}
	h.with(func() {
		if h.ctx == life && !h.w.closed {
			then()
		}
	})
}

// commands are what a oneshot service runs, nothing where a path that it wants is missing.
func (h *Host) commands(text string) (lines []string) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case !ok || !slices.Contains(strings.Fields(unitReads), key):
		case key == "ExecStart":
			lines = append(lines, value)
		case !h.hasFile(value):
			return nil
		}
	}
	return lines
}
