package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

// Pools gives the engine of a side other address pools, with a way back that needs nobody:
// before the file is changed, a timer on the host is armed that puts the earlier file back
// and restarts the engine. It is disarmed when host, engine and peer were reached over
// connections made for it alone, the host itself reaches its peer where it did before, and the
// engine names the new pools.
//
// # The timed revert
//
// The timer acts on a copy of the earlier file. It claims the copy by renaming it; tandem
// disarms by renaming it away. A rename happens once, so one of the two has its way
// and each can tell which. The copy is written from the journal: tandem-backup, which every
// write of a file leaves, is that of the last write and may be the changed file when the act
// is repeated. Whenever the changed file stands unproven, a timer runs. A reboot ends it
// (systemd.timer(5): transient units are not kept): for that, a unit of its own takes the
// change back at the boot, and the next try begins anew.
//
// A try that is cut short is begun anew from the recorded file. One that ended because the
// host could not be reached, and that the host has taken back, is said once and not tried
// again before the operator resumes.
//
// # Limits
//
// Pools are read when the engine starts and are for networks made from then on: existing
// ones keep their range (measured on 20.10 and 26.1). The default bridge is another matter: an
// engine with pools removes docker0 at its start and makes it anew with the first free range
// of them, unless its setting bip says where it is (moby, daemon/daemon_unix.go,
// configNetworking). bip is left as it is; a pool over the range that it fixes is refused by
// PoolsFree. docker0 is also what can cut a host off at once. A later network can do it too,
// if PoolsFree was accepted as a risk: nothing takes that back.
//
// With live-restore and running containers the engine keeps its old networks as they are, so
// that is refused.
//
// The engine names its pools from API 1.41 on. Before that the file and an engine that
// answers after its restart are the proof.
type Pools struct {
	Side     ops.Side
	Pools    []ops.Pool
	Reserved []netip.Prefix `json:",omitempty"`
	Moved    []NetworkWas   `json:",omitempty"` // networks of the side that are removed by then and made anew later
	Revert   time.Duration  // the host takes the change back by itself after this
	Within   time.Duration  // for the engine to be up again
	File     string         // /etc/docker/daemon.json
}

// keyFile is the recorded file; the tries are numbered from 1.
const keyFile = "daemon.json"

func keyTry(n int) string  { return fmt.Sprintf("try %d", n) }     // armed
func keyCut(n int) string  { return fmt.Sprintf("cut off %d", n) } // the host could not be reached any more
func keyTold(n int) string { return fmt.Sprintf("told %d", n) }    // that the host has taken it back

// settings is the engine's file as it was.
type settings struct {
	Exists bool
	Text   []byte
	Mode   fs.FileMode
	Bridge netip.Prefix // the range of docker0 then; invalid: there was none, or it is not known
	// Peer is where the host itself reached its peer then; invalid: it did not, and need not later.
	Peer netip.AddrPort
}

func (s settings) same(o settings) bool { return s.Exists == o.Exists && bytes.Equal(s.Text, o.Text) }

// Kind implements [ops.Step], as do the methods below.
func (Pools) Kind() string { return KindPools }

// Title is the act in words.
func (p Pools) Title() string { return "move the address pools of " + p.Side.Upper() }

// Effects are the commands.
func (p Pools) Effects() []string {
	return []string{
		"write " + p.scratch() + "; dockerd --validate --config-file " + p.scratch() + " (from 23.0); remove it",
		"copy " + p.File + " to " + p.armed() + "; write " + p.script() + ", which takes the change back",
		"write " + bootFile + "; systemctl enable " + bootService + " (for a reboot meanwhile)",
		strings.Join(p.arm(settings{Exists: true}), " "),
		"write " + p.File + ": " + keyPools + " " + poolWords(p.Pools),
		"systemctl restart " + engineService,
		fmt.Sprintf("connect anew to %[1]s and %[2]s, and from %[1]s to %[2]s, ask the engine for its pools, %[3]s at most", p.Side.Upper(), p.Side.Peer().Upper(), Words(p.budget())),
		"mv -T " + p.armed() + " " + p.kept() + "; systemctl stop " + revertTimer + "; systemctl disable " + bootService + "; remove them",
	}
}

// budget is how long the proof may take: not longer than the timer runs.
func (p Pools) budget() time.Duration { return min(p.Within, p.Revert) }

// Risk: the engine restarts, and a wrong range cuts the host off for a while.
func (Pools) Risk() ops.Level { return ops.Destructive }

// Guards are those of a recovery, and the pools must be free.
func (p Pools) Guards() []ops.Guard {
	return append(recoverGuards(p.Side), PoolsFree(p.Side, p.Pools, p.Reserved, p.Moved))
}

// Check: already done when file and engine have the pools and no timer is left.
func (p Pools) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	done, err := p.done(ctx, env)
	if err != nil {
		return ops.Blocked, err
	}
	if !done {
		return ops.Ready, nil
	}
	pending, err := active(ctx, env.Hosts[p.Side], p.Side, revertTimer)
	if err != nil {
		return ops.Blocked, err
	}
	left, err := p.exists(ctx, env, bootFile)
	if err != nil {
		return ops.Blocked, err
	}
	if pending || left {
		return ops.Ready, nil
	}
	return ops.AlreadyDone, nil
}

// done tells whether the change is made and proven: nothing is left to be taken back, the
// file has the pools, and the engine names them.
func (p Pools) done(ctx context.Context, env ops.Env) (bool, error) {
	for _, copied := range []string{p.armed(), p.taken()} {
		if left, err := p.exists(ctx, env, copied); left || err != nil {
			return false, err
		}
	}
	file, err := p.read(ctx, env)
	if err != nil {
		return false, err
	}
	if in, err := poolsIn(file.Text); err != nil || !slices.Equal(in, p.Pools) {
		return false, nil
	}
	now, says, err := p.inEffect(ctx, env)
	return says && slices.Equal(now, p.Pools), err
}

// inEffect asks the engine for its pools; says is false where it is too old to tell.
func (p Pools) inEffect(ctx context.Context, env ops.Env) (pools []ops.Pool, says bool, err error) {
	engine, err := env.Hosts[p.Side].Engine(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("reaching the engine of %s: %w", p.Side, err)
	}
	version, err := engine.Version(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("reading the engine's version: %w", err)
	}
	if pools, err = engine.Pools(ctx); err != nil {
		return nil, false, fmt.Errorf("reading the address pools of %s: %w", p.Side, err)
	}
	_, minor, _ := strings.Cut(version.API, ".")
	n, err := strconv.Atoi(minor)
	return pools, err == nil && n >= 41 || pools != nil, nil
}

// read reads the engine's file, without its mode.
func (p Pools) read(ctx context.Context, env ops.Env) (settings, error) {
	text, err := env.Hosts[p.Side].ReadFile(ctx, p.File, true)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, nil
	}
	if err != nil {
		return settings{}, fmt.Errorf("reading %s of %s: %w", p.File, p.Side, err)
	}
	return settings{Exists: true, Text: text}, nil
}

func (p Pools) exists(ctx context.Context, env ops.Env, file string) (bool, error) {
	_, err := env.Hosts[p.Side].ReadFile(ctx, file, true)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s of %s: %w", file, p.Side, err)
	}
	return true, nil
}

// Do moves the pools.
func (p Pools) Do(ctx context.Context, env ops.Env) error {
	done, err := p.done(ctx, env)
	if err != nil {
		return err
	}
	if done {
		return p.stopTimer(ctx, env)
	}
	was, err := p.record(ctx, env)
	if err != nil {
		return err
	}
	n, err := p.tries(env)
	if err != nil {
		return err
	}
	if err := p.tell(ctx, env, was, n); err != nil {
		return err
	}
	wanted, err := p.wanted(ctx, env, was)
	if err != nil {
		return err
	}
	if n > 0 {
		env.Log.Say("an earlier try did not come to its end: beginning anew from the recorded " + p.File)
		if err := p.takeBack(ctx, env, was); err != nil {
			return err
		}
	}
	if err := p.change(ctx, env, was, wanted, n+1); err != nil {
		return p.giveUp(ctx, env, was, n+1, err)
	}
	return p.disarm(ctx, env, was)
}

// record keeps the file as it was. Changed files of others are not touched.
func (p Pools) record(ctx context.Context, env ops.Env) (settings, error) {
	var was settings
	known, err := env.Log.Recall(keyFile, &was)
	if err != nil {
		return was, fmt.Errorf("reading the record of %s: %w", p.File, err)
	}
	now, err := p.read(ctx, env)
	if err != nil {
		return was, err
	}
	if known {
		ours, err := withPools(was.Text, p.Pools)
		if err == nil && !now.same(was) && !now.same(settings{Exists: true, Text: ours}) {
			return was, &ops.Problem{
				Doing: "changing " + p.File, Side: p.Side, Err: errors.New("somebody has changed it since this run recorded it"),
				Hint: "see who did it; make it as it was, then resume; or roll back, which puts the recorded file back",
			}
		}
		return was, nil
	}
	pending, err := active(ctx, env.Hosts[p.Side], p.Side, revertTimer)
	if err != nil {
		return was, err
	}
	if pending {
		return was, &ops.Problem{
			Doing: "changing " + p.File, Side: p.Side, Err: errors.New("the timed revert of an earlier run has not ended"),
			Hint: "wait for it: systemctl list-timers " + revertTimer + " on the host; then resume",
		}
	}
	if was, err = p.asIs(ctx, env); err != nil {
		return was, err
	}
	if was.Peer, err = p.peer(ctx, env); err != nil {
		return was, err
	}
	if err := env.Log.Record(keyFile, was); err != nil {
		return was, fmt.Errorf("recording %s: %w", p.File, err)
	}
	return was, nil
}

// asIs is the engine's file as it is, with its mode.
func (p Pools) asIs(ctx context.Context, env ops.Env) (settings, error) {
	now, err := p.read(ctx, env)
	if err != nil {
		return now, err
	}
	now.Mode = 0o644
	if now.Exists {
		if now.Mode, err = p.mode(ctx, env); err != nil {
			return now, err
		}
	}
	now.Bridge, err = p.bridge(ctx, env)
	return now, err
}

// peer is where the host itself reaches its peer's SSH server, by the network between them.
func (p Pools) peer(ctx context.Context, env ops.Env) (netip.AddrPort, error) {
	net, err := env.Hosts[p.Side.Peer()].Net(ctx)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("reading the address of %s: %w", p.Side.Peer(), err)
	}
	err = errors.New("its address is not known")
	if net.Server.IsValid() {
		err = env.Hosts[p.Side].Reaches(ctx, net.Server)
	}
	if err != nil {
		env.Log.Say(fmt.Sprintf("%s itself does not reach %s, so the proof leaves that out: %v", p.Side.Upper(), p.Side.Peer().Upper(), err))
		return netip.AddrPort{}, nil
	}
	return net.Server, nil
}

func (p Pools) mode(ctx context.Context, env ops.Env) (fs.FileMode, error) {
	out, err := env.Hosts[p.Side].Exec(ctx, ops.Command{Args: []string{"stat", "-c", "%a", p.File}, Privileged: true})
	if err != nil {
		return 0, fmt.Errorf("reading the mode of %s: %w", p.File, err)
	}
	mode, err := strconv.ParseUint(strings.TrimSpace(string(out)), 8, 32)
	if err != nil {
		return 0, fmt.Errorf("reading the mode of %s: %w", p.File, err)
	}
	return fs.FileMode(mode).Perm(), nil
}

// tries counts the recorded ones.
func (p Pools) tries(env ops.Env) (int, error) {
	for n := 0; ; n++ {
		known, err := env.Log.Recall(keyTry(n+1), new(time.Time))
		if err != nil {
			return 0, fmt.Errorf("reading the record of a try: %w", err)
		}
		if !known {
			return n, nil
		}
	}
}

// tell says once that the last try was cut off and that the host has its earlier file back.
func (p Pools) tell(ctx context.Context, env ops.Env, was settings, n int) error {
	cut, err := env.Log.Recall(keyCut(n), new(time.Time))
	if err != nil || !cut {
		return err
	}
	told, err := env.Log.Recall(keyTold(n), new(time.Time))
	if err != nil || told {
		return err
	}
	now, err := p.read(ctx, env)
	if err != nil {
		return err
	}
	if !now.same(was) {
		return nil // back in time: the timer has not acted
	}
	if err := p.takeBack(ctx, env, was); err != nil {
		return err
	}
	return p.reverted(ctx, env, n, errors.New("the host could not be reached with the new pools: it has its earlier file back by itself"))
}

// change arms, writes, restarts and proves.
func (p Pools) change(ctx context.Context, env ops.Env, was settings, wanted []byte, n int) error {
	host := env.Hosts[p.Side]
	if err := env.Log.Record(keyTry(n), env.Now()); err != nil {
		return fmt.Errorf("recording the try: %w", err)
	}
	if err := p.prepare(ctx, env, was); err != nil {
		return err
	}
	// A revert that did not succeed stays as a failed unit and would hold the name.
	if err := p.try(ctx, env, "systemctl", "reset-failed", revertService); err != nil {
		return fmt.Errorf("clearing %s: %w", revertService, err)
	}
	if err := p.run(ctx, env, p.arm(was)...); err != nil {
		return fmt.Errorf("arming the timed revert: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.budget())
	defer cancel()
	env.Log.Say(fmt.Sprintf("%s takes the change back by itself in %s unless it is proven before", p.Side.Upper(), Words(p.Revert)))
	if err := host.WriteFile(ctx, p.File, wanted, was.Mode, true); err != nil {
		return fmt.Errorf("writing %s: %w", p.File, err)
	}
	if err := p.restart(ctx, env); err != nil {
		return err
	}
	return p.prove(ctx, env, p.Pools, p.budget(), was.Peer, p.Side, p.Side.Peer())
}

// restart restarts the engine. systemctl waits until it is up.
func (p Pools) restart(ctx context.Context, env ops.Env) error {
	ctx, cancel := context.WithTimeout(ctx, p.Within)
	defer cancel()
	if err := p.try(ctx, env, "systemctl", "reset-failed", engineService); err != nil {
		return fmt.Errorf("clearing %s: %w", engineService, err)
	}
	env.Log.Say("restarting the engine of " + p.Side.Upper())
	if err := p.run(ctx, env, "systemctl", "restart", engineService); err != nil {
		return fmt.Errorf("restarting the engine: %w", err)
	}
	return nil
}

// prove waits until the sides can be reached anew, the host itself reaches its peer where it did
// before, and the engine has the pools.
func (p Pools) prove(ctx context.Context, env ops.Env, pools []ops.Pool, within time.Duration, peer netip.AddrPort, sides ...ops.Side) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	err := wait(ctx, env, within, func() (bool, string, error) {
		if last = p.proven(ctx, env, pools, peer, sides...); last != nil {
			return false, last.Error(), nil
		}
		return true, p.Side.Upper() + " can be reached anew: " + poolWords(pools), nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// proven looks once.
func (p Pools) proven(ctx context.Context, env ops.Env, pools []ops.Pool, peer netip.AddrPort, sides ...ops.Side) error {
	for _, side := range sides {
		if err := env.Hosts[side].Reach(ctx); err != nil {
			return fmt.Errorf("reaching %s anew: %w", side, err)
		}
	}
	if peer.IsValid() {
		// Both have just answered: nobody is unreachable, and waiting would not help.
		if err := env.Hosts[p.Side].Reaches(ctx, peer); err != nil {
			return fmt.Errorf("%s itself does not reach %s any more: %v", p.Side.Upper(), p.Side.Peer().Upper(), err)
		}
	}
	now, says, err := p.inEffect(ctx, env)
	if err != nil {
		return err
	}
	if says && !slices.Equal(now, pools) {
		return &ops.Problem{
			Doing: "reading the address pools", Side: p.Side, Err: fmt.Errorf("in effect: %s; wanted: %s", poolWords(now), poolWords(pools)),
			Hint: "see the engine's log: journalctl -u " + engineService,
		}
	}
	return nil
}

// Verify: nothing is armed, the file has the pools, and both hosts can be reached anew.
func (p Pools) Verify(ctx context.Context, env ops.Env) error {
	file, err := p.read(ctx, env)
	if err != nil {
		return err
	}
	left, err := p.exists(ctx, env, p.armed())
	if err != nil {
		return err
	}
	if in, err := poolsIn(file.Text); left || err != nil || !slices.Equal(in, p.Pools) {
		return &ops.Problem{
			Doing: "proving the address pools", Side: p.Side, Err: fmt.Errorf("%s does not have them for good: the host has taken them back, or somebody has changed it", p.File),
			Hint: "resume to try again, or roll back",
		}
	}
	var was settings
	if _, err := env.Log.Recall(keyFile, &was); err != nil {
		return fmt.Errorf("reading the record of %s: %w", p.File, err)
	}
	return p.proven(ctx, env, p.Pools, was.Peer, p.Side, p.Side.Peer())
}

// Undo puts the recorded file back and restarts the engine where it does not have its pools.
func (p Pools) Undo(ctx context.Context, env ops.Env) error {
	var was settings
	if _, err := env.Log.Recall(keyFile, &was); err != nil {
		return fmt.Errorf("reading the record of %s: %w", p.File, err)
	}
	n, err := p.tries(env)
	if err != nil {
		return err
	}
	if n == 0 {
		return ops.ErrNoUndo
	}
	if err := keepOut(ctx, env, p.Side); err != nil {
		return err
	}
	if err := p.takeBack(ctx, env, was); err != nil {
		return err
	}
	pools, err := poolsIn(was.Text)
	if err != nil {
		return fmt.Errorf("reading the recorded %s: %w", p.File, err)
	}
	return p.prove(ctx, env, pools, p.Within, netip.AddrPort{}, p.Side)
}

// Back describes Undo.
func (p Pools) Back() ops.Undoing {
	return ops.Undoing{
		Title:   "the earlier address pools of " + p.Side.Upper() + " back",
		Effects: []string{"write the recorded " + p.File + " (or remove it, if there was none), with docker0 back in its range", "systemctl restart " + engineService, "connect anew to " + p.Side.Upper() + ", ask the engine for its pools"},
		Risk:    ops.Disruptive, Guards: []ops.Guard{SideFresh(p.Side), SideOutAgain(p.Side)},
	}
}
