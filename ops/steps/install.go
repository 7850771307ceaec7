package steps

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// Install brings packages to named versions, all in one act of apt: an engine beside the
// containerd or the compose of another time is what the incident was. Those on hold are taken
// off it first; [HoldPackages] holds them again.
//
// apt runs in a unit of the host's own. A runner that dies, or a connection that is cut, leaves
// it at work; whoever comes next follows it to its end and then goes by what is installed. Where
// the host itself went down in the midst, dpkg ends what it left half-done before anything else.
//
// What is recorded before the first change is the way back. A runner's machine can be gone with
// its record before that was copied anywhere: then what the plan saw stands in for it.
type Install struct {
	Side   ops.Side
	Asked  map[string]string // package -> version; empty: not installed any more
	Was    map[string]string // what they were at when the plan was made; empty: not installed
	Held   []string          `json:",omitempty"` // those of them that were on hold then
	Within time.Duration     // for apt
	Engine time.Duration     // for the engine to be up again, when undone
}

// Kind implements [ops.Step], as do the methods below.
func (Install) Kind() string { return KindInstall }

// Title is the act in words.
func (i Install) Title() string { return "install " + packageNames(i.Asked) + " on " + i.Side.Upper() }

// packageNames are packages with their upstream versions, for people.
func packageNames(versions map[string]string) string {
	var words []string
	for _, name := range sortedNames(versions) {
		if versions[name] == "" {
			words = append(words, "no "+name)
			continue
		}
		words = append(words, name+" "+ops.Upstream(versions[name]))
	}
	return strings.Join(words, ", ")
}

// Effects are the commands.
func (i Install) Effects() []string {
	return []string{
		"record the versions and holds of " + strings.Join(sortedNames(i.Asked), " "),
		"apt-mark unhold those of them that are on hold",
		"systemd-run --unit=" + aptUnit + ": dpkg --configure -a && " + strings.Join(aptInstall(i.Was, i.Asked, nil), " "),
	}
}

// Risk: packages change under the engine.
func (Install) Risk() ops.Level { return ops.Destructive }

// Guards: the side is out and the peer carries the pair. The engine of the side need not
// answer: what was begun must be brought to an end.
func (i Install) Guards() []ops.Guard {
	return []ops.Guard{SideOut(i.Side), PeerServes(i.Side), PeerWell(i.Side), PeerCanary(i.Side)}
}

// Check: already done when all are as asked and no apt of ours is at work. Before anything has
// changed, the simulation must still be as asked.
func (i Install) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	host := env.Hosts[i.Side]
	now, broken, err := installedNow(ctx, host, i.Side, sortedNames(i.Asked))
	if err != nil {
		return ops.Blocked, err
	}
	busy, err := active(ctx, host, i.Side, aptService)
	if err != nil {
		return ops.Blocked, err
	}
	before, known, err := i.before(env)
	switch {
	case err != nil:
		return ops.Blocked, err
	case busy:
		return ops.Ready, nil
	case len(broken) == 0 && maps.Equal(now, i.Asked) && (known || maps.Equal(i.Was, i.Asked)):
		return ops.AlreadyDone, nil
	case known && !maps.Equal(now, before.Versions) || len(broken) > 0:
		return ops.Ready, i.ours(now, before.Versions)
	}
	if err := i.ours(now, i.Was); err != nil {
		return ops.Blocked, err
	}
	if !maps.Equal(now, i.Was) {
		return ops.Ready, nil // begun by a runner whose record is lost
	}
	if err := packagesAtRest(ctx, host, i.Side); err != nil {
		return ops.Blocked, err
	}
	if err := asAsked(ctx, env, i.Side, i.Asked); err != nil {
		return ops.Blocked, err
	}
	return ops.Ready, nil
}

// ours is an error where a package is neither at what it was nor at what is wanted: somebody
// else has changed it.
func (i Install) ours(now, was map[string]string) error {
	for _, name := range sortedNames(i.Asked) {
		if now[name] != was[name] && now[name] != i.Asked[name] {
			return &ops.Problem{
				Doing: "installing packages", Side: i.Side, Err: fmt.Errorf("%s is at %s: somebody has changed it since the plan was made", name, orNone(now[name])),
				Hint: "see /var/log/apt/history.log for who it was; roll back, look again and make a new plan",
			}
		}
	}
	return nil
}

func orNone(version string) string {
	if version == "" {
		return "no version: it is not installed"
	}
	return version
}

// before is what the packages were at before this run changed them.
func (i Install) before(env ops.Env) (ops.PackagesBefore, bool, error) {
	var before ops.PackagesBefore
	known, err := env.Log.Recall(ops.PackagesKey, &before)
	if err != nil {
		return before, false, fmt.Errorf("reading the record of the packages: %w", err)
	}
	return before, known, nil
}

// Do records, unholds and installs.
func (i Install) Do(ctx context.Context, env ops.Env) error {
	host, names := env.Hosts[i.Side], sortedNames(i.Asked)
	if err := i.settle(ctx, env); err != nil {
		return err
	}
	now, broken, err := installedNow(ctx, host, i.Side, names)
	if err != nil {
		return err
	}
	before, known, err := i.before(env)
	if err != nil {
		return err
	}
	if err := i.ours(now, i.Was); err != nil {
		return err
	}
	held, err := heldNow(ctx, host, i.Side, names)
	if err != nil {
		return err
	}
	if !known {
		before = ops.PackagesBefore{Side: i.Side, Versions: i.Was, Held: slices.Compact(slices.Sorted(slices.Values(slices.Concat(held, i.Held))))}
		if err := env.Log.Record(ops.PackagesKey, before); err != nil {
			return fmt.Errorf("recording the versions of the packages: %w", err)
		}
	}
	if len(broken) == 0 && maps.Equal(now, i.Asked) {
		return nil
	}
	if err := mark(ctx, env, i.Side, "unhold", held); err != nil {
		return err
	}
	return i.bring(ctx, env, before.Versions, i.Asked)
}

// settle waits for an apt that an earlier try left at work.
func (i Install) settle(ctx context.Context, env ops.Env) error {
	busy, err := active(ctx, env.Hosts[i.Side], i.Side, aptService)
	if err != nil || !busy {
		return err
	}
	env.Log.Say("apt is at work from an earlier try: following it to its end")
	_, err = followApt(ctx, env, i.Side, i.Within)
	return err
}

// bring lets apt bring the packages to the versions and proves that they are there.
func (i Install) bring(ctx context.Context, env ops.Env, from, to map[string]string) error {
	files, err := keptFiles(ctx, env.Hosts[i.Side], i.Side, debsDir, to)
	if err != nil {
		return err
	}
	said, err := apt(ctx, env, i.Side, i.Within, aptInstall(from, to, files))
	if err != nil {
		return err
	}
	return i.prove(ctx, env, to, said)
}

// prove reads the packages afresh.
func (i Install) prove(ctx context.Context, env ops.Env, want map[string]string, said string) error {
	now, broken, err := installedNow(ctx, env.Hosts[i.Side], i.Side, sortedNames(want))
	if err != nil {
		return err
	}
	var wrong []string
	for _, name := range sortedNames(want) {
		if now[name] != want[name] {
			wrong = append(wrong, fmt.Sprintf("%s is at %s", name, orNone(now[name])))
		}
	}
	if len(broken) > 0 {
		wrong = append(wrong, "half-configured: "+strings.Join(broken, " "))
	}
	if wrong == nil {
		return nil
	}
	text := strings.Join(wrong, "; ")
	if said != "" {
		text += " (" + said + ")"
	}
	return &ops.Problem{
		Doing: "installing packages", Side: i.Side, Err: errors.New(text),
		Hint: "see " + aptLog + " on the host; mend it, then resume, which goes on from where it is; or roll back, which installs the earlier versions",
	}
}

// Verify reads the packages afresh.
func (i Install) Verify(ctx context.Context, env ops.Env) error {
	return i.prove(ctx, env, i.Asked, "")
}

// Undo brings the packages back to the recorded versions, holds those that were on hold, and
// restarts the engine: its containers are stopped by then.
func (i Install) Undo(ctx context.Context, env ops.Env) error {
	host := env.Hosts[i.Side]
	before, known, err := i.before(env)
	if err != nil {
		return err
	}
	if !known {
		return ops.ErrNoUndo
	}
	if err := keepOut(ctx, env, i.Side); err != nil {
		return err
	}
	if err := i.settle(ctx, env); err != nil {
		return err
	}
	now, broken, err := installedNow(ctx, host, i.Side, sortedNames(i.Asked))
	if err != nil {
		return err
	}
	if err := i.ours(now, before.Versions); err != nil {
		return err
	}
	if len(broken) > 0 || !maps.Equal(now, before.Versions) {
		held, err := heldNow(ctx, host, i.Side, sortedNames(i.Asked))
		if err != nil {
			return err
		}
		if err := mark(ctx, env, i.Side, "unhold", held); err != nil {
			return err
		}
		if err := i.bring(ctx, env, i.Asked, before.Versions); err != nil {
			return err
		}
	}
	if err := mark(ctx, env, i.Side, "hold", before.Held); err != nil {
		return err
	}
	back := RestartEngine{Side: i.Side, Versions: before.Versions, Within: i.Engine}
	if err := back.Do(ctx, env); err != nil {
		return err
	}
	return back.Verify(ctx, env)
}

// Back describes Undo.
func (i Install) Back() ops.Undoing {
	return ops.Undoing{
		Title: "install " + packageNames(i.Was) + " on " + i.Side.Upper(),
		Effects: []string{
			"apt-mark unhold those that are on hold",
			"systemd-run --unit=" + aptUnit + ": dpkg --configure -a && " + strings.Join(aptInstall(i.Asked, i.Was, nil), " ") + " (from " + debsDir + " where kept there)",
			"apt-mark hold those that were",
			"systemctl restart " + engineService,
		},
		Risk: ops.Destructive, Guards: []ops.Guard{SideOutAgain(i.Side)},
	}
}
