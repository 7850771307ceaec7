package lab

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// How long the engine takes to restart, to come up after the boot, and systemd to be done
// with the boot after that, at speed 1.
const (
	engineRestart = 2 * time.Second
	engineBoot    = time.Second
	settlesAfter  = 500 * time.Millisecond
	rebootsWithin = time.Second / 2 // from the command to the end of the connections

)

// live begins a life of the host: commands run in it, and end with it.
func (h *Host) live() { h.ctx, h.die = context.WithCancel(context.Background()) }

// StopEngine stops the engine and leaves its socket behind: connections are refused.
func (h *Host) StopEngine() { h.with(h.engine.shutdown) }

// StartEngine starts the engine, as the version that is installed.
func (h *Host) StartEngine() { h.with(h.engine.boot) }

// RestartEngine is `systemctl restart docker`: streams drop, containers stop, the
// installed version comes up and restart policies decide what comes back.
func (h *Host) RestartEngine() {
	h.with(func() { h.engine.shutdown(); h.engine.bootAfter(engineRestart) })
}

// bootAfter starts the engine when d is over, unless it is stopped or started before.
func (e *engine) bootAfter(d time.Duration) {
	e.attempt++
	e.starting = true
	attempt := e.attempt
	e.host.w.after(d, func() {
		if e.attempt == attempt {
			e.boot()
		}
	})
}

// Reboot drops everything, is away for a moment and comes back on its port with a new
// boot id; restart policies decide which containers run then.
func (h *Host) Reboot() {
	h.with(h.reboot)
}

func (h *Host) reboot() {
	if !h.up {
		return
	}
	h.powerOff()
	h.w.after(h.w.away, h.powerOn)
}

// PowerOff turns the host off, in order, until PowerOn.
func (h *Host) PowerOff() {
	h.with(func() {
		if h.up {
			h.powerOff()
		}
	})
}

// PowerOn turns the host on.
func (h *Host) PowerOn() { h.with(h.powerOn) }

// PowerLoss ends the host in an instant and without a word: connections are not closed,
// commands and containers are gone in the middle of what they did. It comes back when d of
// the lab's time is over, or at PowerOn where d is 0.
func (h *Host) PowerLoss(d time.Duration) {
	h.with(func() {
		if !h.up {
			return
		}
		h.up = false
		h.sshd.cable.cut(dark)
		h.die()
		h.engine.crash()
		if d > 0 {
			h.w.after(d, h.powerOn)
		}
	})
}

func (h *Host) powerOff() {
	h.up = false
	h.die()
	h.engine.shutdown()
	h.sshd.down()
}

func (h *Host) powerOn() {
	if h.up {
		return
	}
	h.up, h.settled = true, false
	h.live()
	h.bootID, h.booted = newBootID(), h.now()
	h.docker0 = ""
	h.work(nil)
	for _, u := range h.units {
		u.timer.Stop()
	}
	clear(h.units)
	for _, gone := range []string{"/run/reboot-required", "/run/reboot-required.pkgs"} {
		if err := h.files.remove(root, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
			panic("removing " + gone + " at a boot of the lab: " + err.Error())
		}
	}
	if h.sshd.cable.isCut(dark) {
		h.sshd.drop() // who still holds a connection of the life before learns it now
		h.sshd.cable.restore(dark)
	}
	h.rerouted()
	h.sshd.up()
	life := h.bootID
	h.engine.bootAfter(engineBoot)
	h.w.after(engineBoot+settlesAfter, func() { h.settled = h.settled || h.bootID == life })
	if wanted := h.wanted(); len(wanted) > 0 {
		go h.startWanted(h.ctx, wanted)
	}
}

// systemState is what `systemctl is-system-running` says.
func (h *Host) systemState() string {
	switch {
	case !h.settled || h.engine.starting:
		return "starting"
	case len(h.failedUnits()) > 0:
		return "degraded"
	}
	return "running"
}
