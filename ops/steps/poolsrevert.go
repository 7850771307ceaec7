package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tandem/ops"
)

// Units and files of the timed revert on a host. There is one at a time, as there is one run.
const (
	revertUnit    = "tandem-revert-pools"
	revertTimer   = revertUnit + ".timer"
	revertService = revertUnit + ".service"
	engineService = "docker.service"
	// A timer of systemd-run does not outlive a reboot (systemd.timer(5)), which could be of a
	// host that is cut off: this unit does what it would have done, before the engine starts.
	bootService = revertUnit + "-at-boot.service"
	bootFile    = "/etc/systemd/system/" + bootService
)

func (p Pools) armed() string   { return p.File + ".tandem-revert" }   // the earlier file, for the timer
func (p Pools) kept() string    { return p.File + ".tandem-original" } // the same, once disarmed
func (p Pools) scratch() string { return p.File + ".tandem-check" }    // the new file, to be checked

// The scripts of the timer. $1: the file; $2: the copy; without it they do nothing. An engine
// that has no pools of its own keeps docker0 where it finds it, so that has to go. One that
// could not start has used up its tries, which reset-failed gives back (systemctl(1)).
const (
	revertFile = `set -e; mv -T "$2" "$1"; ip link delete docker0 || :; systemctl reset-failed docker.service || :; systemctl restart docker.service`
	// revertNone is for a host that had no file: the copy is an empty mark.
	revertNone = `set -e; rm "$2"; rm -f "$1"; ip link delete docker0 || :; systemctl reset-failed docker.service || :; systemctl restart docker.service`
)

// arm is the command that arms the timer.
func (p Pools) arm(was settings) []string {
	script := revertNone
	if was.Exists {
		script = revertFile
	}
	return []string{
		"systemd-run", "--unit=" + revertUnit, fmt.Sprintf("--on-active=%ds", int(p.Revert.Seconds())), "--timer-property=AccuracySec=1s",
		"sh", "-c", script, "sh", p.File, p.armed(),
	}
}

// atBoot is the unit that takes the change back at a boot, where the copy is still there. The
// copy goes last: who is cut short in between begins anew at the next boot.
func (p Pools) atBoot(was settings) []byte {
	act := "ExecStart=/bin/mv -T " + p.armed() + " " + p.File
	if !was.Exists {
		act = "ExecStart=/bin/rm -f " + p.File + "\nExecStart=/bin/rm " + p.armed()
	}
	return []byte(`[Unit]
Description=tandem: address pools that were not proven are taken back
ConditionPathExists=` + p.armed() + `
Before=` + engineService + `

[Service]
Type=oneshot
` + act + `

[Install]
WantedBy=multi-user.target
`)
}

// armAtBoot has the host take the change back at its next boot.
func (p Pools) armAtBoot(ctx context.Context, env ops.Env, was settings) error {
	if err := env.Hosts[p.Side].WriteFile(ctx, bootFile, p.atBoot(was), 0o644, true); err != nil {
		return fmt.Errorf("writing %s: %w", bootFile, err)
	}
	if err := p.run(ctx, env, "systemctl", "enable", bootService); err != nil {
		return fmt.Errorf("enabling %s: %w", bootService, err)
	}
	return nil
}

// disarmAtBoot takes the unit away, which does nothing any more once its copy is gone.
func (p Pools) disarmAtBoot(ctx context.Context, env ops.Env) error {
	left, err := p.exists(ctx, env, bootFile)
	if err != nil || !left {
		return err
	}
	if err := p.try(ctx, env, "systemctl", "disable", bootService); err != nil {
		return fmt.Errorf("disabling %s: %w", bootService, err)
	}
	if err := p.run(ctx, env, "rm", "-f", bootFile, bootFile+".tandem-backup"); err != nil {
		return fmt.Errorf("removing %s: %w", bootFile, err)
	}
	return nil
}

// run carries out a command as root.
func (p Pools) run(ctx context.Context, env ops.Env, args ...string) error {
	_, err := env.Hosts[p.Side].Exec(ctx, ops.Command{Args: args, Privileged: true, Mutates: true})
	return err
}

// try is run for commands whose exit status does not matter.
func (p Pools) try(ctx context.Context, env ops.Env, args ...string) error {
	err := p.run(ctx, env, args...)
	var exit *ops.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// reverted waits until the host has come to the end of its revert and says so.
func (p Pools) reverted(ctx context.Context, env ops.Env, n int, why error) error {
	if err := p.settle(ctx, env); err != nil {
		return err
	}
	if err := env.Log.Record(keyTold(n), env.Now()); err != nil {
		return fmt.Errorf("recording that the host has taken the pools back: %w", err)
	}
	return &ops.Problem{
		Doing: "moving the address pools", Side: p.Side, Err: why,
		Hint: "nothing is half-done. Roll back, then choose another range for networks.pools, or recover --without pools; resume tries the same again",
	}
}

// settle waits until the service of the timer is over: it restarts the engine.
func (p Pools) settle(ctx context.Context, env ops.Env) error {
	return wait(ctx, env, p.Within, func() (bool, string, error) {
		busy, err := active(ctx, env.Hosts[p.Side], p.Side, revertService)
		return !busy, busyWords(busy, p.Side), err
	})
}

func busyWords(busy bool, side ops.Side) string {
	if !busy {
		return ""
	}
	return side.Upper() + " is taking its earlier pools back"
}

// takeBack goes back to the recorded file and an engine that has read it. The timer runs until
// that is so.
func (p Pools) takeBack(ctx context.Context, env ops.Env, was settings) error {
	pools, err := poolsIn(was.Text)
	if err != nil {
		return fmt.Errorf("reading the recorded %s: %w", p.File, err)
	}
	if err := p.putFile(ctx, env, was); err != nil {
		return err
	}
	// An engine that does not answer, or does not say, is restarted.
	if now, says, err := p.inEffect(ctx, env); err != nil || !says || !slices.Equal(now, pools) {
		if err := p.try(ctx, env, "ip", "link", "delete", "docker0"); err != nil {
			return fmt.Errorf("deleting docker0: %w", err)
		}
		if err := p.restart(ctx, env); err != nil {
			return err
		}
	}
	left, err := p.exists(ctx, env, p.armed())
	if err != nil {
		return err
	}
	if left {
		if err := p.run(ctx, env, "rm", "-f", p.armed()); err != nil {
			return fmt.Errorf("removing %s: %w", p.armed(), err)
		}
	}
	return p.stopTimer(ctx, env)
}

func (p Pools) putFile(ctx context.Context, env ops.Env, was settings) error {
	now, err := p.read(ctx, env)
	switch {
	case err != nil:
		return err
	case now.same(was):
		return nil
	case was.Exists:
		if err := env.Hosts[p.Side].WriteFile(ctx, p.File, was.Text, was.Mode, true); err != nil {
			return fmt.Errorf("writing the recorded %s: %w", p.File, err)
		}
	default:
		if err := p.run(ctx, env, "rm", "-f", p.File); err != nil {
			return fmt.Errorf("removing %s: %w", p.File, err)
		}
	}
	return nil
}

// stopTimer stops the timer if it runs, takes the unit of the boot away, and waits for what
// the timer may have begun.
func (p Pools) stopTimer(ctx context.Context, env ops.Env) error {
	pending, err := active(ctx, env.Hosts[p.Side], p.Side, revertTimer)
	if err != nil {
		return err
	}
	if pending {
		if err := p.try(ctx, env, "systemctl", "stop", revertTimer); err != nil {
			return fmt.Errorf("stopping %s: %w", revertTimer, err)
		}
	}
	if err := p.disarmAtBoot(ctx, env); err != nil {
		return err
	}
	return p.settle(ctx, env)
}

// giveUp takes a try back that did not succeed. Where the host cannot be reached for it, the
// host does it by itself.
func (p Pools) giveUp(ctx context.Context, env ops.Env, was settings, n int, why error) error {
	if ctx.Err() != nil {
		return why
	}
	err := p.takeBack(ctx, env, was)
	var exit *ops.ExitError
	switch {
	case err == nil:
		return &ops.Problem{
			Doing: "moving the address pools", Side: p.Side, Err: fmt.Errorf("%w; the earlier pools are back", why),
			Hint: "resume to try again; or roll back, then choose another range, or recover --without pools. The engine's log: journalctl -u " + engineService,
		}
	case errors.As(err, &exit) || ctx.Err() != nil:
		return errors.Join(why, err)
	}
	if err := env.Log.Record(keyCut(n), env.Now()); err != nil {
		return fmt.Errorf("recording that %s was cut off: %w", p.Side, err)
	}
	return &ops.Problem{
		Doing: "moving the address pools", Side: p.Side, Err: fmt.Errorf("cut off: %w: %w", ops.ErrUnreachable, err),
		Hint: "wait: the host puts its earlier " + p.File + " back by itself within " + Words(p.Revert) + "; then resume",
	}
}

// disarm takes the copy away from the timer. Where it is gone the timer was faster.
func (p Pools) disarm(ctx context.Context, env ops.Env, was settings) error {
	take := []string{"rm", p.armed()}
	if was.Exists {
		take = []string{"mv", "-T", p.armed(), p.kept()}
	}
	if err := p.run(ctx, env, take...); err != nil {
		var exit *ops.ExitError
		if !errors.As(err, &exit) {
			return fmt.Errorf("disarming the timed revert: %w", err)
		}
		left, lookErr := p.exists(ctx, env, p.armed())
		if left || lookErr != nil {
			return fmt.Errorf("disarming the timed revert: %w", errors.Join(err, lookErr))
		}
		n, err := p.tries(env)
		if err != nil {
			return err
		}
		return p.reverted(ctx, env, n, fmt.Errorf("the proof came after %s: the host had put its earlier file back by itself", Words(p.Revert)))
	}
	return p.stopTimer(ctx, env)
}
