package main

import (
	"strings"
	"testing"

	"tandem/ops"
	"tandem/ops/rig"
)

// patchFrom and patchTo are what a patch moves on the rig: the engine of the incident and the
// one of the next Debian, where the command line program is a package of its own.
var (
	patchFrom = []string{"docker.io", "containerd", "runc", "docker-compose"}
	patchTo   = append([]string{"docker-cli"}, patchFrom...)
)

// TestE2EPatch is the upgrade of the incident as it should have been: engine and compose
// together, one drained side at a time, nothing that was not asked for; and the way back.
func TestE2EPatch(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	green := e.rig.Side(rig.Green)
	e.must(e.rig.OfferBoth(t.Context(), rig.Green, patchTo, patchFrom))
	before, was := e.world(), e.packagesOf(green)
	load := e.rig.Load(t.Context(), 40)
	serving := e.sample()

	// What is on offer is told, and nothing is done.
	e.exits(exitUsage, []string{"patch", "green"}, "docker.io (now 20.10.24", "26.1.5")
	// The command line program cannot be beside the old engine: what apt would do about that was
	// not asked for, and is refused with the list. So is a compose that would stay behind.
	e.exits(exitRefused, []string{"patch", "green", "--to", "docker-cli=" + e.offered(green, "docker-cli"), "--yes"},
		"apt would change more than was asked for", "docker.io 20.10.24", "--to docker.io=")
	e.exits(exitRefused, []string{"plan", "patch", "green", "--to", "26.1.5"}, "compose-fits", "cannot recreate containers on engine 26.1.5")

	// Containerd and runc stay: those of the next Debian do not install here.
	args := []string{"patch", "green", "--to", "26.1.5", "--to", "docker-compose=" + e.offered(green, "docker-compose")}
	e.exits(exitDone, append(args, "--simulate"), "apt would change what was asked for and nothing else")
	if now := e.packagesOf(green); now != was {
		e.Errorf("what was only simulated changed\n%s\nto\n%s", was, now)
	}
	e.unlocked()

	e.exits(exitDone, append(args, "--yes", "--reason", "INC-1"), "done")
	e.kept(before)
	e.isServer(ops.Green, "UP")
	e.unlocked()
	if now := e.packagesOf(green); !strings.Contains(now, "docker.io 26.1.5") || !strings.Contains(now, "docker-compose 2.26") || !strings.Contains(now, "docker-cli 26.1.5") {
		e.Errorf("after the patch:\n%s", now)
	}
	held, err := green.Exec(t.Context(), "apt-mark", "showhold")
	e.must(err)
	if !strings.Contains(held, "docker.io") || !strings.Contains(held, "docker-compose") {
		e.Errorf("on hold: %q", held)
	}
	run := e.runs()[0]
	for _, s := range run.Steps {
		t.Logf("%-34s %-12s %6.1f s", s.Doc.ID, s.Phase, s.Ended.Sub(s.Started).Seconds())
	}
	e.exits(exitDone, []string{"report", run.ID}, "20.10.24", "26.1.5", "tandem rollback "+run.ID)

	e.exits(exitDone, []string{"rollback", run.ID, "--yes"})
	e.kept(before)
	e.isServer(ops.Green, "UP")
	e.unlocked()
	if now := e.packagesOf(green); now != was {
		e.Errorf("taken back, the packages are\n%s\nthey were\n%s", now, was)
	}
	e.served(serving)
	e.lossless(load)
}

// kept checks that green runs the containers that it ran, not others like them.
func (e *e2e) kept(before map[ops.Side]place) {
	e.Helper()
	for name, was := range before[ops.Green].services {
		if now := e.containers(ops.Green)[name]; now.ID != was.ID || now.State.Status != "running" {
			e.Errorf("%s is %s, %s; it was %s", name, now.ID, now.State.Status, was.ID)
		}
	}
	e.must(e.ready(ops.Green))
}

// packagesOf are the packages of a host that a patch may move, with their versions.
func (e *e2e) packagesOf(m *rig.Machine) string {
	e.Helper()
	out, err := m.Exec(e.Context(), "sh", "-c", `dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\n' docker.io docker-cli containerd runc docker-compose 2>/dev/null | grep ^.i | cut -c4-`)
	e.must(err)
	return out
}

// offered is the newest version of a package that the host's sources have.
func (e *e2e) offered(m *rig.Machine, name string) string {
	e.Helper()
	out, err := m.Exec(e.Context(), "sh", "-c", `apt-cache madison "$1" | cut -d'|' -f2 | tr -d ' ' | head -n 1`, "sh", name)
	e.must(err)
	return strings.TrimSpace(out)
}
