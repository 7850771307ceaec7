package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

const (
	// probePrefix begins the names of the throw-away projects that prove that compose works.
	// While compose recreates a container, the old one's name begins with its id.
	probePrefix = "tandem-probe-"
	// probeTime is for one command of the probe.
	probeTime = 2 * time.Minute
)

// probeProject is the throw-away project of a run. A project's name has no dots and no
// capitals (compose-spec/spec.md, "Name top-level element").
func probeProject(run string) string {
	return probePrefix + strings.ReplaceAll(strings.ToLower(plain(run)), ".", "-")
}

// probeFile is the project: one container that is never started and has no network. JSON
// is YAML; compose before 1.27 wants a version.
func probeFile(run string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"version": "2.1",
		"services": map[string]any{"canary": map[string]any{
			"image": canaryImage(run), "command": []string{"/canary"}, "network_mode": "none", "labels": map[string]string{LabelCanary: plain(run)},
		}},
	})
}

// probe is one command of the proof.
type probe struct {
	doing string
	args  []string
}

// The proof is to recreate: docker-compose 1.29.2 still creates containers on engine 26.1,
// but stumbles over the old one when it makes one anew, see [ops.ComposeMisfit].
var probes = []probe{
	{"creating a container", []string{"up", "--no-start", "--no-build"}},
	{"recreating a container", []string{"up", "--no-start", "--no-build", "--force-recreate"}},
	{"removing a container", []string{"down"}},
}

// ComposeProbe proves that compose can create, recreate and remove containers on the engine
// that runs: a canary through the engine says nothing of that. The outcome is the step's own:
// done is a probe that passed, failed one that did not.
type ComposeProbe struct {
	Side    ops.Side
	Run     string
	Command []string // docker compose, or docker-compose
	// Found tries the compose that is found on the host by then: another may be installed.
	Found bool `json:",omitempty"`
}

// Kind implements [ops.Step], as do the methods below.
func (ComposeProbe) Kind() string { return KindComposeProbe }

// Title is the act in words.
func (p ComposeProbe) Title() string { return "try compose on " + p.Side.Upper() }

// Effects are the engine's calls and compose's commands.
func (p ComposeProbe) Effects() []string {
	effects := []string{"docker import " + canaryImage(p.Run) + " (one program of some 130 bytes)"}
	for _, try := range probes {
		effects = append(effects, "cd / && flock . "+strings.Join(p.args(try), " "))
	}
	return append(effects, "docker rmi "+canaryImage(p.Run))
}

// args is the command line of one command of the proof; the project comes on standard input.
func (p ComposeProbe) args(try probe) []string {
	return slices.Concat(p.Command, []string{"--project-name", probeProject(p.Run), "-f", "-"}, try.args)
}

// Risk is harmless: nothing that serves is touched.
func (ComposeProbe) Risk() ops.Level { return ops.Harmless }

// Guards: the side answers.
func (p ComposeProbe) Guards() []ops.Guard { return []ops.Guard{SideFresh(p.Side)} }

// Check: a proof is made anew every time.
func (ComposeProbe) Check(context.Context, ops.Env) (ops.Verdict, error) { return ops.Ready, nil }

// Do makes the proof and puts its outcome on the record.
func (p ComposeProbe) Do(ctx context.Context, env ops.Env) error {
	if p.Found {
		facts, err := env.Hosts[p.Side].Facts(ctx)
		if err != nil {
			return fmt.Errorf("looking for compose on %s: %w", p.Side, err)
		}
		if how := strings.Fields(facts.ComposeHow); len(how) > 0 {
			p.Command = how
		}
	}
	return p.prove(ctx, env, hintUnfit)
}

const hintUnfit = "bring compose to a version that matches the engine"

// prove tries each command of the proof. What it makes is removed in any case; what a killed
// try left, by the next one.
func (p ComposeProbe) prove(ctx context.Context, env ops.Env, hint string) (err error) {
	host := env.Hosts[p.Side]
	engine, err := host.Engine(ctx)
	if err != nil {
		return fmt.Errorf("reaching the engine of %s: %w", p.Side, err)
	}
	on, err := p.pairing(ctx, host, engine)
	if err != nil {
		return err
	}
	file, err := probeFile(p.Run)
	if err != nil {
		return fmt.Errorf("writing the probe's project: %w", err)
	}
	if err := sweep(ctx, engine); err != nil {
		return fmt.Errorf("removing what an earlier probe left: %w", err)
	}
	defer func() { err = errors.Join(err, sweepAfter(ctx, engine)) }()
	if err := importCanary(ctx, host, engine, p.Run); err != nil {
		return unfit(p.Side, "preparing the probe", err, hint)
	}
	begun := env.Now()
	for _, try := range probes {
		err := Compose{Command: p.Command}.run(ctx, host, "/", p.args(try), file, probeTime, func(string) {})
		if err != nil {
			err = unfit(p.Side, try.doing+", "+on.String(), err, hint)
			return errors.Join(err, p.record(ctx, env, begun, err))
		}
	}
	if err := p.record(ctx, env, begun, nil); err != nil {
		return err
	}
	env.Log.Say(on.String() + ": a throw-away container was created, recreated and removed")
	return nil
}

// record keeps the outcome for those who look later; that the host was lost, the run cancelled
// or sudo refused says nothing of compose.
func (p ComposeProbe) record(ctx context.Context, env ops.Env, begun time.Time, outcome error) error {
	if ctx.Err() != nil || errors.Is(outcome, ops.ErrUnreachable) || errors.Is(outcome, ops.ErrReadOnly) || errors.Is(outcome, ops.ErrNotPermitted) {
		return nil
	}
	now := env.Now()
	r := ops.Probed{Side: p.Side, CanaryResult: ops.CanaryResult{At: now.UTC(), OK: outcome == nil, Took: now.Sub(begun)}}
	if outcome != nil {
		r.Text = outcome.Error()
	}
	if err := env.Log.Record(ops.ProbeKey+now.UTC().Format(time.RFC3339Nano), r); err != nil {
		return fmt.Errorf("recording the outcome of the probe: %w", err)
	}
	return nil
}

// Verify: nothing of the probe is left.
func (p ComposeProbe) Verify(ctx context.Context, env ops.Env) error {
	return Canary{Side: p.Side, Run: p.Run}.Verify(ctx, env)
}

// Undo has nothing to take back: the probe removes what it made.
func (ComposeProbe) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (ComposeProbe) Back() ops.Undoing { return ops.Undoing{} }

// pairing is compose and the engine on which it works; next is the engine that is installed.
type pairing struct{ compose, version, running, next string }

func (on pairing) String() string { return on.compose + " on engine " + on.running }

func (p ComposeProbe) pairing(ctx context.Context, host ops.Host, engine ops.Engine) (pairing, error) {
	facts, err := host.Facts(ctx)
	if err != nil {
		return pairing{}, fmt.Errorf("reading the versions on %s: %w", p.Side, err)
	}
	version, err := engine.Version(ctx)
	if err != nil {
		return pairing{}, fmt.Errorf("reading the version of the engine of %s: %w", p.Side, err)
	}
	return pairing{
		compose: strings.TrimSpace(strings.Join(p.Command, " ") + " " + facts.Compose), version: facts.Compose,
		running: ops.Upstream(version.Running), next: ops.Upstream(facts.Installed),
	}, nil
}

// unfit is compose that does not do what it is asked.
func unfit(side ops.Side, doing string, err error, hint string) error {
	if errors.Is(err, ops.ErrUnreachable) || errors.Is(err, ops.ErrReadOnly) {
		return fmt.Errorf("trying compose: %w", err)
	}
	return &ops.Problem{Doing: "trying compose (" + doing + ")", Side: side, Err: err, Hint: hint}
}
