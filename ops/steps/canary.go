package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tandem/ops"
)

const (
	// LabelCanary marks the canary's container; its value is the run.
	LabelCanary = ops.LabelCanary
	canaryRepo  = "tandem-canary"
	// canaryMemory is above the 6 MiB that engines since 20.10 ask for at least.
	canaryMemory = 16 << 20
	// cleanup is how long removing the canary may take once a run was cancelled.
	cleanup = 30 * time.Second
)

// Canary proves that a new container can start: running ones say nothing of that. The
// outcome is the step's own: done is a canary that passed, failed one that did not.
type Canary struct {
	Side    ops.Side
	Run     string
	Network string `json:",omitempty"` // the services' own network; empty: the engine's default
}

// Kind implements [ops.Step], as do the methods below.
func (Canary) Kind() string { return KindCanary }

// Title is the act in words.
func (c Canary) Title() string { return "canary on " + c.Side.Upper() }

// Effects are the engine's calls.
func (c Canary) Effects() []string {
	run := "docker run --rm --memory 16m --label " + LabelCanary + "=" + c.Run
	if c.Network != "" {
		run += " --network " + c.Network
	}
	return []string{
		"docker import " + c.ref() + " (one program of some 130 bytes)",
		run + " --name " + c.name() + " " + c.ref() + " /canary",
		"docker rmi " + c.ref(),
	}
}

func (c Canary) name() string { return canaryRepo + "-" + plain(c.Run) }
func (c Canary) ref() string  { return canaryImage(c.Run) }

func canaryImage(run string) string { return canaryRepo + ":" + plain(run) }

// plain keeps what both container names and image tags may contain.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, text)
}

// Risk is harmless: nothing that serves is touched.
func (Canary) Risk() ops.Level { return ops.Harmless }

// Guards: the side answers.
func (c Canary) Guards() []ops.Guard { return []ops.Guard{SideFresh(c.Side)} }

// Check: a proof is made anew every time.
func (Canary) Check(context.Context, ops.Env) (ops.Verdict, error) { return ops.Ready, nil }

// Do makes the image, runs it and removes both, also those of an earlier try.
func (c Canary) Do(ctx context.Context, env ops.Env) (err error) {
	engine, err := env.Hosts[c.Side].Engine(ctx)
	if err != nil {
		return fmt.Errorf("reaching the engine of %s: %w", c.Side, err)
	}
	if err := sweep(ctx, engine); err != nil {
		return fmt.Errorf("removing what an earlier canary left: %w", err)
	}
	defer func() { err = errors.Join(err, sweepAfter(ctx, engine)) }()
	begun := env.Now()
	if err := importCanary(ctx, env.Hosts[c.Side], engine, c.Run); err != nil {
		return c.failed(err)
	}
	exit, err := engine.Run(ctx, ops.RunSpec{
		Name: c.name(), Image: c.ref(), Command: []string{"/canary"}, Labels: map[string]string{LabelCanary: c.Run},
		Memory: canaryMemory, Network: c.Network,
	})
	if err != nil {
		return c.failed(err)
	}
	if exit != 0 {
		return c.failed(fmt.Errorf("it ended with exit code %d instead of 0", exit))
	}
	env.Log.Say(fmt.Sprintf("a new container started and ended in %.1f s", env.Now().Sub(begun).Seconds()))
	return nil
}

func (c Canary) failed(err error) error {
	return &ops.Waivable{
		Err: &ops.Problem{
			Doing: "starting a new container", Side: c.Side, Err: err,
			Hint: "new containers cannot start here: compare engine and compose with the peer, and deploy nothing to " + c.Side.Upper() + " until this passes; " +
				"to go on all the same accept " + GuardSideCanary + ", or " + GuardPeerCanary + " where it is the side that serves",
		},
		Risks: []ops.Risk{{Guard: GuardSideCanary, Side: c.Side}, {Guard: GuardPeerCanary, Side: c.Side.Peer()}},
	}
}

// importCanary makes the canary's image.
func importCanary(ctx context.Context, host ops.Host, engine ops.Engine, run string) error {
	out, err := host.Exec(ctx, ops.Command{Args: []string{"uname", "-m"}})
	if err != nil {
		return fmt.Errorf("asking for the machine type: %w", err)
	}
	image, err := rootFS(strings.TrimSpace(string(out)))
	if err != nil {
		return fmt.Errorf("making its image: %w", err)
	}
	if _, err := engine.Import(ctx, image, canaryImage(run), []string{"LABEL " + LabelCanary + "=" + plain(run)}); err != nil {
		return fmt.Errorf("making its image: %w", err)
	}
	return nil
}

// sweepAfter sweeps even where the run was cancelled.
func sweepAfter(ctx context.Context, engine ops.Engine) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	if err := sweep(ctx, engine); err != nil {
		return fmt.Errorf("removing the canary: %w", err)
	}
	return nil
}

// sweep removes every canary, those of compose's probe too: under the lock there is no other run's to be spared.
func sweep(ctx context.Context, engine ops.Engine) error {
	left, err := FindLeftovers(ctx, engine)
	if err != nil {
		return err
	}
	return left.Remove(ctx, engine)
}

// sweepSide sweeps before networks go: the canary of a runner that was killed is on one of them.
func sweepSide(ctx context.Context, env ops.Env, side ops.Side) error {
	engine, err := env.Hosts[side].Engine(ctx)
	if err != nil {
		return fmt.Errorf("reaching the engine of %s: %w", side, err)
	}
	if err := sweep(ctx, engine); err != nil {
		return fmt.Errorf("removing what a canary left: %w", err)
	}
	return nil
}

// Leftovers are what canaries and compose's probes have on a host. Outside of a run nothing of
// them should be there.
type Leftovers struct {
	Containers []ops.Container
	Images     []string // tags
}

// Empty tells whether there is nothing.
func (l Leftovers) Empty() bool { return len(l.Containers)+len(l.Images) == 0 }

// Names are what they are called.
func (l Leftovers) Names() []string {
	var names []string
	for _, c := range l.Containers {
		names = append(names, c.Name)
	}
	return append(names, l.Images...)
}

// FindLeftovers lists them.
func FindLeftovers(ctx context.Context, engine ops.Engine) (Leftovers, error) {
	var left Leftovers
	all, err := engine.Containers(ctx)
	if err != nil {
		return left, fmt.Errorf("listing containers: %w", err)
	}
	for _, c := range all {
		if IsCanary(c) {
			left.Containers = append(left.Containers, c)
		}
	}
	present, err := engine.Images(ctx)
	if err != nil {
		return left, fmt.Errorf("listing images: %w", err)
	}
	for _, i := range present {
		for _, tag := range i.Tags {
			if strings.HasPrefix(tag, canaryRepo+":") {
				left.Images = append(left.Images, tag)
			}
		}
	}
	return left, nil
}

// IsCanary tells whether a container is a canary's or a probe's, by its label and its name.
func IsCanary(c ops.Container) bool {
	return c.Labels[LabelCanary] != "" && (strings.HasPrefix(c.Name, canaryRepo+"-") || strings.Contains(c.Name, probePrefix))
}

// Remove removes them, and nothing else.
func (l Leftovers) Remove(ctx context.Context, engine ops.Engine) error {
	for _, c := range l.Containers {
		if c.State == "running" {
			if err := engine.Stop(ctx, c.ID, 0); err != nil {
				return fmt.Errorf("stopping %s: %w", c.Name, err)
			}
		}
		if err := engine.Remove(ctx, c.ID); err != nil {
			return fmt.Errorf("removing %s: %w", c.Name, err)
		}
	}
	for _, ref := range l.Images {
		if err := engine.RemoveImage(ctx, ref); err != nil {
			return fmt.Errorf("removing image %s: %w", ref, err)
		}
	}
	return nil
}

// Verify: nothing of the canary is left.
func (c Canary) Verify(ctx context.Context, env ops.Env) error {
	engine, err := env.Hosts[c.Side].Engine(ctx)
	if err != nil {
		return fmt.Errorf("reaching the engine of %s: %w", c.Side, err)
	}
	left, err := FindLeftovers(ctx, engine)
	if err != nil {
		return err
	}
	if !left.Empty() {
		return &ops.Problem{
			Doing: "proving that the canary is gone", Side: c.Side, Err: fmt.Errorf("%d containers and %d images of it are left", len(left.Containers), len(left.Images)),
			Hint: "resume to remove them",
		}
	}
	return nil
}

// Undo has nothing to take back: the canary removes itself.
func (Canary) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Canary) Back() ops.Undoing { return ops.Undoing{} }
