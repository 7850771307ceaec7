package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

func (h *Host) with(f func()) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	f()
}

// Address is where the host's SSH server listens: 127.0.0.1:port.
func (h *Host) Address() string { return h.sshd.addr }

// BootID is the present boot id.
func (h *Host) BootID() (id string) {
	h.with(func() { id = h.bootID })
	return id
}

// HangOnAccept makes the host accept TCP connections and say nothing, as one does that
// is out of memory. Connections that are up go on.
func (h *Host) HangOnAccept(on bool) { h.with(func() { h.faults.hangOnAccept = on }) }

// HangCommands makes every command hang until its session ends.
func (h *Host) HangCommands(on bool) { h.with(func() { h.faults.hangCommands = on }) }

// HangEngine makes the engine accept requests and never answer them.
func (h *Host) HangEngine(on bool) { h.with(func() { h.faults.hangEngine = on }) }

// CutCable freezes every connection with the host until RestoreCable: bytes neither
// come nor go, and nothing is closed.
func (h *Host) CutCable() { h.sshd.cable.cut(pulled) }

// CutCableFor is CutCable, and RestoreCable when d of the lab's time is over.
func (h *Host) CutCableFor(d time.Duration) {
	h.CutCable()
	time.AfterFunc(h.w.pace(d), h.RestoreCable)
}

// RestoreCable lets the bytes flow again, those held back first.
func (h *Host) RestoreCable() { h.sshd.cable.restore(pulled) }

// ChangeHostKey gives the host another host key, as a reinstalled machine has.
func (h *Host) ChangeHostKey() error { return h.sshd.newKey() }

// DropConnections ends every SSH connection at once; the host stays up.
func (h *Host) DropConnections() { h.sshd.drop() }

// SudoNeedsPassword makes sudo ask for a password, which `sudo -n` refuses.
func (h *Host) SudoNeedsPassword(on bool) { h.with(func() { h.faults.sudoPassword = on }) }

// ForbidForwarding is `AllowStreamLocalForwarding no` and `AllowTcpForwarding no`.
func (h *Host) ForbidForwarding(on bool) { h.with(func() { h.faults.noForwarding = on }) }

// UseInodes makes so many inodes of the disk used; 0: as many as there are files.
func (h *Host) UseInodes(n int64) { h.with(func() { h.faults.inodes = n }) }

// HideSocket takes the engine's socket away, or brings it back.
func (h *Host) HideSocket(on bool) {
	h.with(func() {
		if on {
			// The socket may be hidden already: then there is nothing to take away.
			if err := h.files.remove(root, socketPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
				panic("removing a socket of the lab: " + err.Error())
			}
			return
		}
		h.makeSocket()
	})
}

// ForbidSocket takes the users' right to the engine's socket away, as from a user who is
// not in the group docker, or gives it back.
func (h *Host) ForbidSocket(on bool) {
	h.with(func() {
		h.makeSocket()
		if on {
			h.files.put(socketPath, socketMode, "")
		}
	})
}

// Upgrade installs another engine version, as apt does: the running engine stays.
func (h *Host) Upgrade(version string) error {
	if _, ok := releases[version]; !ok {
		return fmt.Errorf("installing engine %s: the lab knows only %v", version, releaseNames())
	}
	h.with(func() { h.install(version, h.now()) })
	return nil
}

// Cgroup is the version of the kernel's control groups, 1 or 2: the engine's counters of memory
// are others.
func (h *Host) Cgroup(version int) { h.with(func() { h.cgroup = version }) }

// RefuseStarts makes the engine answer every start of a container that never ran
// with this text (status 500), as an old daemon does over new programs of containerd and
// runc. What runs, runs on. It lasts until the engine starts anew, or with an empty text.
func (h *Host) RefuseStarts(text string) { h.with(func() { h.faults.noStart = text }) }

// Trouble gives a service trouble from its next start on; nil takes it away.
func (h *Host) Trouble(service string, t *Trouble) {
	h.with(func() {
		if t == nil {
			delete(h.faults.trouble, service)
			return
		}
		h.faults.trouble[service] = *t
	})
}

// Sicken makes the health check of a service that runs fail from now on, and its port say
// so; false makes it well again. A start makes it well too.
func (h *Host) Sicken(service string, on bool) error {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	c := h.engine.serviceContainer(service)
	if c == nil || c.state != "running" {
		return fmt.Errorf("making %s on %s sick: it does not run", service, h.side)
	}
	c.ready = !on
	c.setHealth(map[bool]string{true: "unhealthy", false: "healthy"}[on])
	c.changed.fire()
	return nil
}

// Kill ends a service's container from inside with an exit status.
func (h *Host) Kill(service string, status int) error {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	c := h.engine.serviceContainer(service)
	if c == nil {
		return fmt.Errorf("killing %s on %s: no such container", service, h.side)
	}
	h.engine.exited(c, status)
	return nil
}

// Linger lets programs that are no service's and no job's, such as a canary, run that long
// before they end.
func (h *Host) Linger(d time.Duration) { h.with(func() { h.faults.linger = d }) }

// Start starts a service's or a job's container, as cron or somebody on the host would.
func (h *Host) Start(service string) error {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	c := h.engine.serviceContainer(service)
	if c == nil {
		return fmt.Errorf("starting %s on %s: no such container", service, h.side)
	}
	h.engine.start(c)
	return nil
}

// Print adds a line to the log of a service's container, as it is.
func (h *Host) Print(service, text string, stderr bool) error {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	c := h.engine.serviceContainer(service)
	if c == nil {
		return fmt.Errorf("printing to the log of %s on %s: no such container", service, h.side)
	}
	c.print(text, stderr)
	return nil
}

// RemoveImage takes an image away, whatever uses it.
func (h *Host) RemoveImage(ref string) {
	h.with(func() {
		if im := h.engine.image(ref); im != nil {
			delete(h.engine.images, im.id)
		}
	})
}

// reachable tells whether the balancer gets through to the host: a range of Docker's that
// hides the console's network from it is another matter. It expects the lock.
func (h *Host) reachable() bool { return h.up && !h.sshd.cable.isCut(pulled) }

// now is the host's clock.
func (h *Host) now() time.Time { return time.Now() }

// CutOff tells whether the host answers into a network of its engine that covers the
// console's address: nothing that the console asks comes back.
func (h *Host) CutOff() bool { return h.sshd.cable.isCut(shadowed) }
