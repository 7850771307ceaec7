package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tandem/ops"
)

// PutBack lets a side serve again, by way of the balancer's own check.
type PutBack struct {
	Side   ops.Side
	Within time.Duration // for the balancer to say in service
	// Prior is the balancer's state before the side was taken out; nil: as the config says.
	Prior json.RawMessage `json:",omitempty"`
	// From is the step of the same run whose record of that state counts, if it made one.
	From    string              `json:",omitempty"`
	Drain   time.Duration       // for sessions to end, when undone
	Unready []string            `json:",omitempty"` // not ready when the plan was made, and not its matter
	Calls   map[string][]string `json:",omitempty"` // see ops.SideTraffic.Calls
}

// Kind implements [ops.Step], as do the methods below.
func (PutBack) Kind() string { return KindPutBack }

// Title is the act in words.
func (p PutBack) Title() string { return "put " + p.Side.Upper() + " back" }

// Effects are the balancer's calls.
func (p PutBack) Effects() []string { return calls(p.Calls, "put-back", p.Side) }

// Risk: traffic moves.
func (PutBack) Risk() ops.Level { return ops.Disruptive }

// Guards: users must not meet a side that is not ready.
func (p PutBack) Guards() []ops.Guard {
	return []ops.Guard{SideFresh(p.Side), ServicesReady(p.Side, p.Unready), SideInBalancer(p.Side)}
}

// Check finds a side that is in service already.
func (p PutBack) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return ops.Blocked, fmt.Errorf("reading the balancer: %w", err)
	}
	if status.On(p.Side).Traffic == ops.InService {
		return ops.AlreadyDone, nil
	}
	return recordable(ctx, env, p.Side)
}

// Do records the present state, then puts the side back.
func (p PutBack) Do(ctx context.Context, env ops.Env) error {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	if err := env.Log.Record(keyFound, status.On(p.Side).Traffic); err != nil {
		return fmt.Errorf("recording the traffic of %s: %w", p.Side, err)
	}
	if err := recordPrior(ctx, env, p.Side); err != nil {
		return err
	}
	prior := p.Prior
	if p.From != "" && env.Recorded != nil {
		if _, err := env.Recorded(p.From, keyPrior, &prior); err != nil {
			return fmt.Errorf("reading what %s recorded: %w", p.From, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, p.Within)
	defer cancel()
	if err := env.Balancer.PutBack(ctx, p.Side, prior, env.Log.Say); err != nil {
		return fmt.Errorf("putting %s back: %w", p.Side, err)
	}
	return nil
}

// Verify: the balancer says in service.
func (p PutBack) Verify(ctx context.Context, env ops.Env) error {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	if at := status.On(p.Side); at.Traffic != ops.InService {
		return &ops.Problem{
			Doing: "proving the put-back", Side: p.Side, Err: fmt.Errorf("it is %s%s", at.Traffic.Words(), reason(at.Detail)),
			Hint: "see the balancer's check of " + p.Side.Upper() + ", then resume or roll back",
		}
	}
	return nil
}

// keyFound is the traffic of the side before it was put back.
const keyFound = "found"

// Undo drains the side again, then restores the recorded state exactly. Where the run itself
// had taken the side out and the balancer had let it in meanwhile, as one does that restarts and
// forgets, that state would send users to what is taken back next: the side stays out.
func (p PutBack) Undo(ctx context.Context, env ops.Env) error {
	var prior json.RawMessage
	ok, err := env.Log.Recall(keyPrior, &prior)
	if err != nil {
		return fmt.Errorf("reading the recorded state of %s: %w", p.Side, err)
	}
	if !ok {
		return ops.ErrNoUndo
	}
	if err := drainAway(ctx, env, p.Side, p.Drain); err != nil {
		return err
	}
	var found ops.Traffic
	if _, err := env.Log.Recall(keyFound, &found); err != nil {
		return fmt.Errorf("reading the recorded traffic of %s: %w", p.Side, err)
	}
	if p.From != "" && (found == ops.InService || found == ops.Down) {
		env.Log.Say("the balancer had let " + p.Side.Upper() + " in by itself: it stays out")
		return nil
	}
	if err := env.Balancer.Restore(ctx, p.Side, prior, env.Log.Say); err != nil {
		return fmt.Errorf("restoring the balancer's state of %s: %w", p.Side, err)
	}
	return nil
}

// Back describes Undo.
func (p PutBack) Back() ops.Undoing {
	d := Drain{Side: p.Side, Within: p.Drain, Calls: p.Calls}
	return ops.Undoing{
		Title: "drain " + p.Side.Upper() + " again", Effects: d.Effects(), Risk: ops.Disruptive,
		Guards: []ops.Guard{PeerInService(p.Side), PeerReady(p.Side), OnlyHere(p.Side)},
	}
}
