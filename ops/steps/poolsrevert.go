package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"tandem/ops"
)

// Units and files of the timed revert on a host. There is one at a time, as there is one run.
const (
	revertUnit    = "tandem-revert-pools"
	revertTimer   = revertUnit + ".timer"
	revertService = revertUnit + ".service"
	engineService = "docker.service"
	// A timer of systemd-run does not outlive a reboot (systemd.timer(5)), which could be of a
	// host that is cut off: this unit does the same at the boot.
	bootService = revertUnit + "-at-boot.service"
	bootFile    = "/etc/systemd/system/" + bootService
)

func (p Pools) armed() string   { return p.File + ".tandem-revert" }    // the earlier file, for the timer
func (p Pools) taken() string   { return p.armed() + "-taken" }         // the same, once the timer has begun
func (p Pools) kept() string    { return p.File + ".tandem-original" }  // the same, once disarmed
func (p Pools) scratch() string { return p.File + ".tandem-check" }     // the new file, to be checked
func (p Pools) between() string { return p.File + ".tandem-between" }   // see middle
func (p Pools) script() string  { return p.File + ".tandem-revert.sh" } // what timer and unit run

// revertScript takes the change back. $1: the file; $2: the copy of the earlier one, which is
// claimed by a rename: without it nothing is done, and what was claimed before a crash is gone
// on with. $3: the file to start the engine with in between, if it is there; $4: "none" where
// there was no file, and the copy is an empty mark. An engine that could not start has used up
// its tries, which reset-failed gives back (systemctl(1)).
const revertScript = `set -e
mv -T "$2" "$2-taken" || [ -e "$2-taken" ]
if [ -e "$3" ]; then
	cp "$3" "$1"
	systemctl reset-failed docker.service || :
	systemctl restart docker.service || :
fi
if [ "$4" = none ]; then
	rm -f "$1" "$2-taken"
else
	mv -T "$2-taken" "$1"
fi
systemctl reset-failed docker.service || :
systemctl restart docker.service
`

// revert is the command line of the script.
func (p Pools) revert(was settings) []string {
	args := []string{"sh", p.script(), p.File, p.armed(), p.between()}
	if !was.Exists {
		args = append(args, "none")
	}
	return args
}

// arm is the command that arms the timer.
func (p Pools) arm(was settings) []string {
	return append([]string{
		"systemd-run", "--unit=" + revertUnit, fmt.Sprintf("--on-active=%ds", int(p.Revert.Seconds())), "--timer-property=AccuracySec=1s",
	}, p.revert(was)...)
}

// atBoot is the unit that takes the change back at a boot, where the copy is still there. The
// engine is started first, as the script restarts it.
func (p Pools) atBoot(was settings) []byte {
	return []byte(`[Unit]
Description=tandem: address pools that were not proven are taken back
ConditionPathExists=|` + p.armed() + `
ConditionPathExists=|` + p.taken() + `
After=` + engineService + `

[Service]
Type=simple
ExecStart=/bin/` + strings.Join(p.revert(was), " ") + `

[Install]
WantedBy=multi-user.target
`)
}

// middle is the file with which an engine puts docker0 back to where it was, nil where the
// earlier file does that by itself. An engine without pools makes docker0 with the range it has
// on record, whatever becomes of the interface, and over a reboot, too (seen on 20.10.24: it is
// in network/files/local-kv.db); with pools it makes it anew with their first free range.
func (p Pools) middle(was settings) ([]byte, error) {
	pools, err := poolsIn(was.Text)
	if err != nil || pools != nil || !was.Bridge.IsValid() || bridgeFixed(was.Text, nil) {
		return nil, err
	}
	return withPools(was.Text, []ops.Pool{{Base: was.Bridge.Masked(), Size: was.Bridge.Bits()}})
}

// prepare puts everything on the host that takes the change back, and has the host do so at its
// next boot.
func (p Pools) prepare(ctx context.Context, env ops.Env, was settings) error {
	between, err := p.middle(was)
	if err != nil {
		return fmt.Errorf("reading the recorded %s: %w", p.File, err)
	}
	type file struct {
		name string
		text []byte
		mode fs.FileMode
	}
	files := []file{{p.script(), []byte(revertScript), 0o700}, {bootFile, p.atBoot(was), 0o644}, {p.armed(), was.Text, was.Mode}}
	if between != nil {
		files = append([]file{{p.between(), between, was.Mode}}, files...)
	}
	for _, f := range files { // the copy last: with it all that it needs is there
		if err := env.Hosts[p.Side].WriteFile(ctx, f.name, f.text, f.mode, true); err != nil {
			return fmt.Errorf("writing %s: %w", f.name, err)
		}
	}
	if err := p.run(ctx, env, "systemctl", "enable", bootService); err != nil {
		return fmt.Errorf("enabling %s: %w", bootService, err)
	}
	return nil
}

// clear removes what prepare has put on the host, but for the copy.
func (p Pools) clear(ctx context.Context, env ops.Env) error {
	left, err := p.exists(ctx, env, bootFile)
	if err != nil || !left {
		return err
	}
	if err := p.try(ctx, env, "systemctl", "disable", bootService); err != nil {
		return fmt.Errorf("disabling %s: %w", bootService, err)
	}
	gone := []string{"rm", "-f"}
	for _, name := range []string{p.taken(), p.between(), p.script(), bootFile} { // the unit last: it says that something is left
		gone = append(gone, name, name+".tandem-backup")
	}
	if err := p.run(ctx, env, gone...); err != nil {
		return fmt.Errorf("removing what the timed revert needed: %w", err)
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

// settle waits until what the timer or the boot has begun is over: it restarts the engine.
func (p Pools) settle(ctx context.Context, env ops.Env) error {
	return wait(ctx, env, p.Within, func() (bool, string, error) {
		for _, unit := range []string{revertService, bootService} {
			if busy, err := active(ctx, env.Hosts[p.Side], p.Side, unit); busy || err != nil {
				return false, busyWords(busy, p.Side), err
			}
		}
		return true, "", nil
	})
}

func busyWords(busy bool, side ops.Side) string {
	if !busy {
		return ""
	}
	return side.Upper() + " is taking its earlier pools back"
}

// takeBack goes back to the recorded file and an engine that has read it. The timer runs until
// that is so; where it was faster, what it does is waited for and looked at again.
func (p Pools) takeBack(ctx context.Context, env ops.Env, was settings) error {
	if err := p.restore(ctx, env, was); err != nil {
		return err
	}
	left, err := p.exists(ctx, env, p.armed())
	if err != nil {
		return err
	}
	if left {
		if err := p.try(ctx, env, "rm", p.armed()); err != nil {
			return fmt.Errorf("removing %s: %w", p.armed(), err)
		}
	}
	if err := p.settle(ctx, env); err != nil {
		return err
	}
	if err := p.restore(ctx, env, was); err != nil {
		return err
	}
	return p.stopTimer(ctx, env)
}

// restore puts the recorded file back, and docker0 to where it was.
func (p Pools) restore(ctx context.Context, env ops.Env, was settings) error {
	between, err := p.middle(was)
	if err != nil {
		return fmt.Errorf("reading the recorded %s: %w", p.File, err)
	}
	pools, err := poolsIn(was.Text)
	if err != nil {
		return fmt.Errorf("reading the recorded %s: %w", p.File, err)
	}
	// An engine that does not answer, or does not say, is restarted.
	bridge, bridgeErr := p.bridge(ctx, env)
	if between != nil && (bridgeErr != nil || bridge != was.Bridge) {
		if err := env.Hosts[p.Side].WriteFile(ctx, p.File, between, was.Mode, true); err != nil {
			return fmt.Errorf("writing %s: %w", p.File, err)
		}
		if err := p.restart(ctx, env); err != nil {
			return err
		}
	}
	if err := p.putFile(ctx, env, was); err != nil {
		return err
	}
	if now, says, err := p.inEffect(ctx, env); err != nil || !says || !slices.Equal(now, pools) {
		return p.restart(ctx, env)
	}
	return nil
}

// bridge is the range of docker0, invalid where there is none.
func (p Pools) bridge(ctx context.Context, env ops.Env) (netip.Prefix, error) {
	engine, err := env.Hosts[p.Side].Engine(ctx)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reaching the engine of %s: %w", p.Side, err)
	}
	networks, err := engine.Networks(ctx)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("listing the networks of %s: %w", p.Side, err)
	}
	for _, n := range networks {
		if n.Name != "bridge" {
			continue
		}
		for _, subnet := range n.Subnets {
			if r, err := netip.ParsePrefix(subnet); err == nil && r.Addr().Is4() {
				return r.Masked(), nil
			}
		}
	}
	return netip.Prefix{}, nil
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

// stopTimer stops the timer if it runs, waits for what it may have begun, and takes away what
// it needed.
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
	if err := p.settle(ctx, env); err != nil {
		return err
	}
	return p.clear(ctx, env)
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
