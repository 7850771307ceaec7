package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// Reboot restarts the host of a side. What proves it is a boot id other than the recorded
// one: a connection that was lost and came back proves nothing.
type Reboot struct {
	Side   ops.Side
	Within time.Duration // for the host, its system and its engine to be up again
	Quiet  []string      `json:",omitempty"` // containers that must not have started by themselves
}

const keyBoot = "boot" // the boot id before; keyAsked is when the reboot was first asked for

// rebootScript asks for a reboot two seconds later, so that the answer still arrives, and
// only on the boot that it was meant for: a try whose fate is not known can be repeated
// and never reboots the host twice. $1 is the boot id.
const rebootScript = `[ "$(cat /proc/sys/kernel/random/boot_id)" = "$1" ] || exit 0
exec systemd-run --on-active=2 systemctl reboot`

// Kind implements [ops.Step], as do the methods below.
func (Reboot) Kind() string { return KindReboot }

// Title is the act in words.
func (r Reboot) Title() string { return "reboot " + r.Side.Upper() }

// Effects are the commands.
func (r Reboot) Effects() []string {
	return []string{
		"systemd-run --on-active=2 systemctl reboot (unless it has rebooted since the run began)",
		"wait for a new boot id, a running system and the engine, " + Words(r.Within) + " at most",
	}
}

// Risk: a host may not come back.
func (Reboot) Risk() ops.Level { return ops.Destructive }

// Guards are those of a recovery.
func (r Reboot) Guards() []ops.Guard { return recoverGuards(r.Side) }

// Check: already done when the host has booted since and is up. It must not reboot while
// packages are being installed.
func (r Reboot) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	var before string
	known, err := env.Log.Recall(keyBoot, &before)
	if err != nil {
		return ops.Blocked, fmt.Errorf("reading the recorded boot id: %w", err)
	}
	facts, err := env.Hosts[r.Side].Facts(ctx)
	switch {
	case err != nil && known: // on its way: Do waits for it
		return ops.Ready, ctx.Err()
	case err != nil:
		return ops.Blocked, fmt.Errorf("reading the boot id of %s: %w", r.Side, err)
	case known && facts.BootID != "" && facts.BootID != before:
		up, _, err := r.up(ctx, env)
		if err != nil {
			return ops.Blocked, err
		}
		if up {
			return ops.AlreadyDone, nil
		}
		return ops.Ready, nil
	}
	if err := packagesAtRest(ctx, env.Hosts[r.Side], r.Side); err != nil {
		return ops.Blocked, err
	}
	return ops.Ready, nil
}

// Do records the boot id, asks for the reboot and waits until the host is up again.
func (r Reboot) Do(ctx context.Context, env ops.Env) error {
	before, err := r.before(ctx, env)
	if err != nil {
		return err
	}
	asked, last := false, errors.New("not seen yet")
	err = wait(ctx, env, r.Within, func() (bool, string, error) {
		facts, err := env.Hosts[r.Side].Facts(ctx)
		switch {
		case err != nil:
			last = errAway
			return false, r.Side.Upper() + " is away: " + err.Error(), ctx.Err()
		case facts.BootID == "":
			last = errAway
			return false, r.Side.Upper() + " does not tell its boot id", nil
		case facts.BootID != before:
			last = errNotUp
			up, words, err := r.up(ctx, env)
			return up, words, err
		}
		last = errSameBoot
		if !asked {
			asked, err = r.ask(ctx, env, before)
		}
		return false, r.Side.Upper() + " has not gone down yet", err
	})
	if !errors.Is(err, errTimeout) {
		return err
	}
	return r.late(env, last, err)
}

// before is the boot id as recorded the first time.
func (r Reboot) before(ctx context.Context, env ops.Env) (string, error) {
	var before string
	known, err := env.Log.Recall(keyBoot, &before)
	if err != nil {
		return "", fmt.Errorf("reading the recorded boot id: %w", err)
	}
	if known {
		return before, nil
	}
	facts, err := env.Hosts[r.Side].Facts(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the boot id of %s: %w", r.Side, err)
	}
	if facts.BootID == "" {
		return "", &ops.Problem{
			Doing: "reading the boot id", Side: r.Side, Err: errors.New("the host does not tell it: a reboot could not be proven"),
			Hint: "see whether /proc/sys/kernel/random/boot_id can be read there; or recover without a reboot: --without reboot",
		}
	}
	if err := env.Log.Record(keyBoot, facts.BootID); err != nil {
		return "", fmt.Errorf("recording the boot id: %w", err)
	}
	return facts.BootID, nil
}

// ask asks for the reboot. Where no answer comes it is not known whether it was heard: then
// it is asked again if the host is seen with the same boot id once more.
func (r Reboot) ask(ctx context.Context, env ops.Env, before string) (asked bool, err error) {
	host := env.Hosts[r.Side]
	if err := packagesAtRest(ctx, host, r.Side); err != nil {
		if errors.Is(err, ops.ErrUnreachable) {
			return false, ctx.Err()
		}
		return false, err
	}
	if err := env.Log.Record(keyAsked, env.Now()); err != nil {
		return false, fmt.Errorf("recording the time of the reboot: %w", err)
	}
	_, err = host.Exec(ctx, ops.Command{Args: []string{"sh", "-c", rebootScript, "sh", before}, Privileged: true, Mutates: true})
	switch {
	case err == nil:
		env.Log.Say(r.Side.Upper() + " reboots")
		return true, nil
	case errors.Is(err, ops.ErrUnreachable):
		env.Log.Say("no answer to the reboot: " + err.Error())
		return false, ctx.Err()
	}
	return false, fmt.Errorf("asking %s to reboot: %w", r.Side, err)
}

// What was last seen of a host whose time is over.
var (
	errAway     = errors.New("it does not come back")
	errSameBoot = errors.New("it never rebooted: its boot id is the same")
	errNotUp    = errors.New("it has rebooted and is not up")
)

// late words the end of the wait. The host is not said to be unreachable in the sense of
// ops.ErrUnreachable: its time is over, and waiting longer is for the operator to decide.
func (r Reboot) late(env ops.Env, last, err error) error {
	since := ""
	var asked time.Time
	if known, _ := env.Log.Recall(keyAsked, &asked); known {
		since = " (asked to reboot at " + asked.UTC().Format("15:04:05Z") + ")"
	}
	hint := "look at its console: power, boot messages; bring it up, then resume. " + r.Side.Peer().Upper() + " serves meanwhile"
	switch last {
	case errSameBoot:
		hint = "on the host: systemctl list-jobs, journalctl -b -u systemd-logind; reboot it by hand, then resume"
	case errNotUp:
		hint = "on the host: systemctl list-jobs, systemctl status docker; mend it, then resume"
	}
	return &ops.Problem{Doing: "rebooting", Side: r.Side, Err: fmt.Errorf("%w%s: %w", last, since, err), Hint: hint}
}

// up tells whether the system has started, the engine answers, and nothing has started by
// itself; in words what is missing. Only the last is an error, and it stays one.
func (r Reboot) up(ctx context.Context, env ops.Env) (bool, string, error) {
	out, err := env.Hosts[r.Side].Exec(ctx, ops.Command{Args: []string{"systemctl", "is-system-running"}})
	// Any state but running ends with status 1 (systemctl(1)): the word counts.
	var exit *ops.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, r.Side.Upper() + " has rebooted, its system is not known: " + err.Error(), ctx.Err()
	}
	system := strings.TrimSpace(string(out))
	if system != "running" && system != "degraded" {
		return false, fmt.Sprintf("%s has rebooted, its system is %s", r.Side.Upper(), cmp.Or(system, "not known")), nil
	}
	_, all, err := list(ctx, env, r.Side)
	if err != nil {
		return false, fmt.Sprintf("%s has rebooted, its system is %s, its engine does not answer yet: %v", r.Side.Upper(), system, err), ctx.Err()
	}
	var awake []string
	for _, c := range all {
		if halts(c.State) && slices.Contains(r.Quiet, c.Name) {
			awake = append(awake, c.Name)
		}
	}
	if awake != nil {
		return false, "", &ops.Problem{
			Doing: "proving that nothing started by itself", Side: r.Side, Err: fmt.Errorf("running since the reboot: %s", strings.Join(awake, ", ")),
			Hint: "see who started them (a unit, a cron job, a deployment?), stop them, then resume; or roll back",
		}
	}
	if system == "degraded" {
		system += " (" + r.failed(ctx, env) + ")"
	}
	return true, fmt.Sprintf("%s has rebooted: system %s, the engine answers", r.Side.Upper(), system), ctx.Err()
}

// failed names the units that make a system degraded. That they cannot be read holds nothing
// up: the engine answers, and what it starts is verified.
func (r Reboot) failed(ctx context.Context, env ops.Env) string {
	out, err := env.Hosts[r.Side].Exec(ctx, ops.Command{Args: []string{"systemctl", "--failed", "--plain", "--no-legend", "--no-pager"}})
	if err != nil {
		return "which units failed is not known: " + err.Error()
	}
	var units []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 0 { // UNIT LOAD ACTIVE SUB DESCRIPTION
			units = append(units, fields[0])
		}
	}
	if units == nil {
		return "no unit has failed any more"
	}
	return clip("failed: " + strings.Join(units, ", "))
}

// Verify looks once more.
func (r Reboot) Verify(ctx context.Context, env ops.Env) error {
	before, err := r.before(ctx, env)
	if err != nil {
		return err
	}
	facts, err := env.Hosts[r.Side].Facts(ctx)
	if err != nil {
		return fmt.Errorf("reading the boot id of %s: %w", r.Side, err)
	}
	if facts.BootID == before || facts.BootID == "" {
		return &ops.Problem{Doing: "proving the reboot", Side: r.Side, Err: errSameBoot, Hint: "resume to reboot it"}
	}
	up, words, err := r.up(ctx, env)
	if err == nil && !up {
		err = &ops.Problem{Doing: "proving the reboot", Side: r.Side, Err: errors.New(words), Hint: "resume to wait for it"}
	}
	return err
}

// Undo: a reboot cannot be taken back.
func (Reboot) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Reboot) Back() ops.Undoing { return ops.Undoing{} }

// dpkgLocks are held by apt and dpkg while they work, by fcntl(2) (apt-pkg/deb/debsystem.cc,
// dpkg's lib/dpkg/dbmodify.c), which flock(1) does not see and fuser(1) is often not
// installed for: /proc/locks (proc_locks(5)) names inode and process of every such lock.
var dpkgLocks = []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"}

// packagesAtRest is an error while apt or dpkg is at work on the host, or where that cannot
// be told. A host without dpkg has nothing of it at work.
func packagesAtRest(ctx context.Context, host ops.Host, side ops.Side) error {
	out, err := host.Exec(ctx, ops.Command{Args: append([]string{"stat", "-c", "%i"}, dpkgLocks...)})
	var exit *ops.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("looking for package work on %s: %w", side, err)
	}
	inodes := strings.Fields(string(out)) // of those that exist; stat ends with 1 for the others
	if len(inodes) == 0 {
		return nil
	}
	locks, err := host.ReadFile(ctx, "/proc/locks", false)
	if err != nil {
		return fmt.Errorf("looking for package work on %s: %w", side, err)
	}
	pid, held := lockHolder(string(locks), inodes)
	if !held {
		return nil
	}
	return &ops.Problem{
		Doing: "looking for package work", Side: side, Err: fmt.Errorf("apt or dpkg is at work (process %s)", pid),
		Hint: "let it come to its end: a reboot now would leave packages half-installed; then resume",
	}
}

// lockHolder finds a process with a lock on one of the inodes. A line is
// "1: POSIX  ADVISORY  WRITE 708 08:01:1311 0 EOF", with "->" before the type of one that
// waits.
func lockHolder(locks string, inodes []string) (pid string, held bool) {
	for line := range strings.Lines(locks) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] == "->" {
			continue
		}
		if where := strings.Split(fields[5], ":"); slices.Contains(inodes, where[len(where)-1]) {
			return fields[4], true
		}
	}
	return "", false
}
