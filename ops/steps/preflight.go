package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tandem/ops"
)

// Preflight proves what a recovery will need, before anything is taken away, and leaves
// nothing behind: root rights, systemd, no package manager at work, and compose by trying
// it.
type Preflight struct {
	Side    ops.Side
	Run     string
	How     ops.StartWay // compose: it is tried
	Compose Compose      `json:",omitzero"`
	Reboot  bool         `json:",omitempty"` // the host will be rebooted
	Pools   bool         `json:",omitempty"` // the engine's address pools will be moved
	// Packages says that packages will be installed.
	Packages bool `json:",omitempty"`
	// First is the side recovered before this one, in a run of both: it must be proven.
	First ops.Side `json:",omitempty"`
}

// Kind implements [ops.Step], as do the methods below.
func (Preflight) Kind() string { return KindPreflight }

// Title is the act in words.
func (p Preflight) Title() string { return "preflight of " + p.Side.Upper() }

// Effects are the proofs.
func (p Preflight) Effects() []string {
	effects := []string{"sudo -n id -u"}
	if p.Reboot || p.Pools {
		effects = append(effects, "look for systemd, and whether apt or dpkg is at work")
	}
	if p.Packages {
		effects = append(effects, "look for systemd, whether apt or dpkg is at work or has left something half-way, and for room on the disk")
	}
	if p.How == ops.StartCompose {
		if p.Compose.Directory != "" {
			effects = append(effects, "cd "+p.Compose.Directory+" && flock . "+strings.Join(p.Compose.command("config", "--quiet"), " "))
		}
		effects = append(effects, "try "+strings.Join(p.Compose.Command, " ")+" with the throw-away project "+probeProject(p.Run)+": create, recreate, down")
	}
	return effects
}

// Risk is harmless: nothing that serves is touched.
func (Preflight) Risk() ops.Level { return ops.Harmless }

// Guards: the peer must carry the pair, as each act of the recovery will ask again, and the
// order of the services be known.
func (p Preflight) Guards() []ops.Guard {
	guards := []ops.Guard{
		SideFresh(p.Side), PeerReachable(p.Side), PeerServes(p.Side), PeerWell(p.Side), OnlyHere(p.Side), NoJobRunning(p.Side), OrderKnown(),
	}
	if p.First != "" {
		guards = append(guards, PeerCanary(p.Side), VersionsAgree(p.First))
	}
	return guards
}

// Check makes the proofs, anew every time: what does not hold refuses the recovery.
func (p Preflight) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	if err := p.prove(ctx, env); err != nil {
		return ops.Blocked, err
	}
	return ops.Ready, nil
}

// Do: all that there is to do is to find out.
func (Preflight) Do(context.Context, ops.Env) error { return nil }

// prove goes from the cheapest proof to the dearest.
func (p Preflight) prove(ctx context.Context, env ops.Env) error {
	host := env.Hosts[p.Side]
	who, err := host.Exec(ctx, ops.Command{Args: []string{"id", "-u"}, Privileged: true})
	if err != nil {
		return fmt.Errorf("proving that commands can be run as root: %w", err)
	}
	if id := strings.TrimSpace(string(who)); id != "0" {
		return &ops.Problem{
			Doing: "proving that commands can be run as root", Side: p.Side, Err: fmt.Errorf("they run as user %s", id),
			Hint: "set sudo: true for " + string(p.Side) + " in the config, or log in as root",
		}
	}
	if p.Reboot || p.Pools || p.Packages {
		if err := p.system(ctx, host); err != nil {
			return err
		}
	}
	if p.Packages {
		if err := packagesWhole(ctx, host, p.Side); err != nil {
			return err
		}
		if err := room(ctx, host, p.Side); err != nil {
			return err
		}
	}
	if p.How != ops.StartCompose {
		return nil
	}
	if p.Compose.Directory != "" {
		if err := p.readFiles(ctx, env); err != nil {
			return err
		}
	}
	return p.tryCompose(ctx, env)
}

// system proves that systemd runs the host, by its own test (sd_booted(3)), and that no
// package manager is at work.
func (p Preflight) system(ctx context.Context, host ops.Host) error {
	_, err := host.Exec(ctx, ops.Command{Args: []string{"test", "-d", "/run/systemd/system"}})
	var exit *ops.ExitError
	switch {
	case errors.As(err, &exit):
		if p.Packages {
			return &ops.Problem{
				Doing: "looking for systemd", Side: p.Side, Err: errors.New("the host was not booted with it: an apt whose connection is cut would die half-way"),
				Hint: "patch it by hand, on its console, drained: d on " + p.Side.Upper(),
			}
		}
		return &ops.Problem{
			Doing: "looking for systemd", Side: p.Side, Err: errors.New("the host was not booted with it: it could not be rebooted, nor its pools moved, with a proof"),
			Hint: "recover without these parts: --without " + ops.PartReboot + "," + ops.PartPools,
		}
	case err != nil:
		return fmt.Errorf("looking for systemd on %s: %w", p.Side, err)
	}
	return packagesAtRest(ctx, host, p.Side)
}

// readFiles proves that compose understands the project's files as they are on the host.
func (p Preflight) readFiles(ctx context.Context, env ops.Env) error {
	var unset []string
	err := p.Compose.run(ctx, env.Hosts[p.Side], p.Compose.Directory, p.Compose.command("config", "--quiet"), nil, probeTime, func(line string) {
		if strings.Contains(line, "variable is not set") {
			unset = append(unset, clip(line))
		}
	})
	if err != nil {
		return unfit(p.Side, "reading the files of project "+p.Compose.Project, err, hintWay)
	}
	for _, line := range unset {
		env.Log.Say(line)
	}
	return nil
}

const hintWay = hintUnfit + "; or start the services through the engine: --start api"

// tryCompose makes the proof of [ComposeProbe]. It is an error, too, where the engine that will
// run after the restart is known not to suit.
func (p Preflight) tryCompose(ctx context.Context, env ops.Env) error {
	probe := ComposeProbe{Side: p.Side, Run: p.Run, Command: p.Compose.Command}
	host := env.Hosts[p.Side]
	engine, err := host.Engine(ctx)
	if err != nil {
		return fmt.Errorf("reaching the engine of %s: %w", p.Side, err)
	}
	on, err := probe.pairing(ctx, host, engine)
	if err != nil {
		return err
	}
	if why := ops.ComposeMisfit(on.version, on.next); (p.Reboot || p.Pools) && why != "" && on.next != on.running {
		return unfit(p.Side, "comparing versions", fmt.Errorf("%s, which is installed and will run after the restart", why), hintWay)
	}
	return probe.prove(ctx, env, hintWay)
}

// Verify: nothing of the probe is left. What the side runs before the recovery goes on the
// record.
func (p Preflight) Verify(ctx context.Context, env ops.Env) error {
	if err := (Canary{Side: p.Side, Run: p.Run}).Verify(ctx, env); err != nil {
		return err
	}
	snap, err := env.Look(ctx)
	if err != nil {
		return fmt.Errorf("looking at the pair: %w", err)
	}
	return account(env, &snap, p.Side)
}

// Undo has nothing to take back.
func (Preflight) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Preflight) Back() ops.Undoing { return ops.Undoing{} }
