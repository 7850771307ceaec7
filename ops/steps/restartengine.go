package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// RestartEngine restarts containerd and the engine of a side whose containers are stopped, and
// proves that what runs is what is installed.
type RestartEngine struct {
	Side     ops.Side
	Versions map[string]string // of the packages, as installed
	Within   time.Duration     // for the engine to be up again
}

const containerdService = "containerd.service"

// Kind implements [ops.Step], as do the methods below.
func (RestartEngine) Kind() string { return KindRestartEngine }

// Title is the act in words.
func (r RestartEngine) Title() string { return "restart the engine of " + r.Side.Upper() }

// Effects are the commands.
func (r RestartEngine) Effects() []string {
	return []string{
		"systemctl try-restart " + containerdService + "; systemctl restart " + engineService,
		"connect anew, ask the engine and the packages for their versions, " + Words(r.Within) + " at most",
	}
}

// Risk: containers that run are ended by it.
func (RestartEngine) Risk() ops.Level { return ops.Disruptive }

// Guards: the side is out. Its engine may not answer: that is why it is restarted.
func (r RestartEngine) Guards() []ops.Guard { return []ops.Guard{SideOut(r.Side)} }

// Check: already done when what runs is what is installed.
func (r RestartEngine) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	why, err := r.amiss(ctx, env)
	switch {
	case err == nil && why == "":
		return ops.AlreadyDone, nil
	case errors.Is(err, ops.ErrReadOnly):
		return ops.Blocked, err
	}
	return ops.Ready, ctx.Err() // an engine that does not answer is restarted
}

// amiss says what is not as it should be; empty: nothing.
func (r RestartEngine) amiss(ctx context.Context, env ops.Env) (string, error) {
	host := env.Hosts[r.Side]
	facts, err := host.Facts(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the versions on %s: %w", r.Side, err)
	}
	engine, err := host.Engine(ctx)
	if err != nil {
		return "", fmt.Errorf("reaching the engine of %s: %w", r.Side, err)
	}
	version, err := engine.Version(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the version of the engine of %s: %w", r.Side, err)
	}
	running, installed := ops.Upstream(version.Running), ops.Upstream(facts.Installed)
	want, compose := r.wanted(ops.EngineItself), r.wanted(ops.ComposePackages)
	switch {
	case running != installed && installed != "":
		return "engine " + running + " runs, " + installed + " is installed", nil
	case want != "" && running != want:
		return "engine " + running + " runs, wanted is " + want, nil
	case facts.EngineReplaced:
		return "the engine that runs is not the one that is installed", nil
	case len(facts.Newer) > 0:
		return strings.Join(facts.Newer, " and ") + " is newer than the engine that runs", nil
	case compose != "" && ops.Upstream(facts.Compose) != compose:
		return "compose is " + facts.Compose + ", wanted is " + compose, nil
	}
	return "", nil
}

// wanted is the upstream version of the first of the packages that is among those installed.
func (r RestartEngine) wanted(names []string) string {
	for _, name := range names {
		if v := r.Versions[name]; v != "" {
			return ops.Upstream(v)
		}
	}
	return ""
}

// Do restarts both. systemctl waits until they are up.
func (r RestartEngine) Do(ctx context.Context, env ops.Env) error {
	if why, err := r.amiss(ctx, env); err == nil && why == "" {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	host := env.Hosts[r.Side]
	env.Log.Say("restarting the engine of " + r.Side.Upper())
	for _, c := range []struct {
		counts bool
		args   []string
	}{
		// An engine that could not start has used up its tries, which reset-failed gives back
		// (systemctl(1)). Where containerd is the engine's own, there is no such unit.
		{false, []string{"systemctl", "reset-failed", engineService}},
		{false, []string{"systemctl", "try-restart", containerdService}},
		{true, []string{"systemctl", "restart", engineService}},
	} {
		err := rooted(limited, host, c.counts, c.args...)
		var exit *ops.ExitError
		switch {
		case errors.As(err, &exit):
			return r.unwell(err)
		case err != nil:
			return fmt.Errorf("%s: %w", strings.Join(c.args, " "), err)
		}
	}
	err := wait(ctx, env, r.Within, func() (bool, string, error) {
		why, err := r.amiss(ctx, env)
		switch {
		case err != nil:
			return false, err.Error(), ctx.Err()
		case why != "":
			return false, why, nil
		}
		return true, r.Side.Upper() + " runs what is installed", nil
	})
	if errors.Is(err, errTimeout) {
		return r.unwell(err)
	}
	return err
}

func (r RestartEngine) unwell(err error) error {
	return &ops.Problem{
		Doing: "restarting the engine", Side: r.Side, Err: err,
		Hint: "on the host: journalctl -u " + engineService + ", systemctl status " + containerdService + "; mend it, then resume; or roll back",
	}
}

// Verify connects anew and reads the versions afresh.
func (r RestartEngine) Verify(ctx context.Context, env ops.Env) error {
	if err := env.Hosts[r.Side].Reach(ctx); err != nil {
		return fmt.Errorf("reaching %s anew: %w", r.Side, err)
	}
	why, err := r.amiss(ctx, env)
	if err == nil && why != "" {
		err = r.unwell(errors.New(why))
	}
	if err != nil {
		return err
	}
	snap, err := env.Look(ctx)
	if err != nil {
		return fmt.Errorf("looking at the pair: %w", err)
	}
	return account(env, &snap, r.Side)
}

// Undo has nothing to take back: what brings the earlier packages back restarts the engine.
func (RestartEngine) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (RestartEngine) Back() ops.Undoing { return ops.Undoing{} }

// OfRuntime tells whether packages are of the engine or of what it starts containers with: only
// then does it have to be restarted.
func OfRuntime(name string) bool {
	return slices.Contains(ops.EngineItself, name) || slices.Contains([]string{"containerd", "containerd.io", "runc"}, name)
}
