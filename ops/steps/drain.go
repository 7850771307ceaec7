package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
)

// keyPrior is the balancer's state of the side before the step changed it.
const keyPrior = "prior"

// Drain takes a side out of traffic: no new traffic at once, sessions may end until the
// deadline, then none at all.
type Drain struct {
	Side   ops.Side
	Within time.Duration // for sessions to end; then they are cut off
	Return time.Duration // for the balancer to take the side back, when undone
	// Unready are services that were not ready when the plan was made: they do not stand
	// against putting the side back as it was.
	Unready []string            `json:",omitempty"`
	Calls   map[string][]string `json:",omitempty"` // see ops.SideTraffic.Calls
}

// Kind implements [ops.Step], as do the methods below.
func (Drain) Kind() string { return KindDrain }

// Title is the act in words.
func (d Drain) Title() string { return "drain " + d.Side.Upper() }

// Effects are the balancer's calls.
func (d Drain) Effects() []string {
	effects := calls(d.Calls, "drain", d.Side)
	effects = append(effects, "wait for sessions to end, "+Words(d.Within)+" at most")
	return append(effects, calls(d.Calls, "cut-off", d.Side)...)
}

// calls are the exact calls where the balancer has named them, words otherwise.
func calls(known map[string][]string, act string, side ops.Side) []string {
	if c := known[act]; len(c) > 0 {
		return append([]string(nil), c...)
	}
	return []string{"balancer: " + act + " " + string(side)}
}

// Risk: traffic moves.
func (Drain) Risk() ops.Level { return ops.Disruptive }

// Guards: the peer serves and could go on serving.
func (d Drain) Guards() []ops.Guard {
	return []ops.Guard{PeerInService(d.Side), PeerReady(d.Side), PeerCanary(d.Side), SideInBalancer(d.Side), OnlyHere(d.Side)}
}

// Check finds a side that is out already.
func (d Drain) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return ops.Blocked, fmt.Errorf("reading the balancer: %w", err)
	}
	if status.On(d.Side).Traffic == ops.Out {
		return ops.AlreadyDone, nil
	}
	if _, err := peerNeeded(&status, env, d.Side); err != nil {
		return ops.Blocked, err
	}
	return recordable(ctx, env, d.Side)
}

// recordable refuses to change what cannot be recorded first: a balancer that lets itself
// be looked at, but not be changed, says so here.
func recordable(ctx context.Context, env ops.Env, side ops.Side) (ops.Verdict, error) {
	if _, err := env.Balancer.Prior(ctx, side); err != nil {
		return ops.Blocked, fmt.Errorf("reading the balancer's state of %s: %w", side, err)
	}
	return ops.Ready, nil
}

// peerNeeded tells whether the peer must serve once the side does not, and is an error when
// it must and does not.
func peerNeeded(status *ops.BalancerStatus, env ops.Env, side ops.Side) (bool, error) {
	peer := side.Peer()
	if servesNothing(status.On(side)) || accepted(env, GuardPeerInService) {
		return false, nil
	}
	if t := status.On(peer).Traffic; t != ops.InService {
		return true, &ops.Problem{
			Doing: "draining", Side: side, Err: fmt.Errorf("%s is not in service any more (%s): nobody else would serve", peer.Upper(), t.Words()),
			Hint: "get " + peer.Upper() + " into service first",
		}
	}
	return true, nil
}

// Do records the side's present state, then drains it.
func (d Drain) Do(ctx context.Context, env ops.Env) error {
	if err := recordPrior(ctx, env, d.Side); err != nil {
		return err
	}
	return drainAway(ctx, env, d.Side, d.Within)
}

func recordPrior(ctx context.Context, env ops.Env, side ops.Side) error {
	prior, err := env.Balancer.Prior(ctx, side)
	if err != nil {
		return fmt.Errorf("reading the balancer's state of %s: %w", side, err)
	}
	if err := env.Log.Record(keyPrior, prior); err != nil {
		return fmt.Errorf("recording the balancer's state of %s: %w", side, err)
	}
	return nil
}

// keyAsked is when the drain was first asked for: a run that is resumed while the side
// still drains does not give the sessions their whole time again.
const keyAsked = "asked"

// drainAway stops new traffic, waits for sessions and cuts the rest off.
func drainAway(ctx context.Context, env ops.Env, side ops.Side, within time.Duration) error {
	before, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	// The guards looked a moment ago; this look is the last before the act.
	needed, err := peerNeeded(&before, env, side)
	if err != nil {
		return err
	}
	if err := env.Balancer.Drain(ctx, side); err != nil {
		return fmt.Errorf("draining %s: %w", side, err)
	}
	asked := env.Now()
	if err := env.Log.Record(keyAsked, asked); err != nil {
		return fmt.Errorf("recording the time of the drain: %w", err)
	}
	if before.On(side).Traffic == ops.Draining {
		if _, err := env.Log.Recall(keyAsked, &asked); err != nil {
			return fmt.Errorf("reading the time of the drain: %w", err)
		}
	}
	left := max(0, within-env.Now().Sub(asked))

	w := drainWatch{side: side, peerNeeded: needed}
	out := false
	err = wait(ctx, env, left, func() (bool, string, error) {
		status, err := env.Balancer.Status(ctx)
		if err != nil {
			w.peerServes = false
			return false, "the balancer does not answer: " + err.Error(), ctx.Err()
		}
		var over bool
		var words string
		over, out, words, err = w.see(&status)
		return over, words, err
	})
	switch {
	case errors.Is(err, errTimeout) && w.peerNeeded && !w.peerServes:
		return w.peerGone("it is not known whether " + side.Peer().Upper() + " serves")
	case errors.Is(err, errTimeout):
		env.Log.Say("the time for sessions is over: cutting off what is left")
	case err != nil:
		return err
	}
	if out {
		return nil
	}
	if err := env.Balancer.CutOff(ctx, side); err != nil {
		return fmt.Errorf("cutting off %s: %w", side, err)
	}
	return nil
}

// drainWatch judges the looks of one drain in turn.
type drainWatch struct {
	side       ops.Side
	stopped    bool // new traffic was seen to have stopped
	peerNeeded bool // nobody serves if the peer does not
	peerServes bool // by the latest look
}

func (w *drainWatch) peerGone(what string) error {
	return &ops.Problem{
		Doing: "draining", Side: w.side, Err: fmt.Errorf("%s: the sessions of %s are not cut off", what, w.side.Upper()),
		Hint: "roll back to put " + w.side.Upper() + " back into service",
	}
}

func (w *drainWatch) see(status *ops.BalancerStatus) (over, out bool, words string, err error) {
	side, peer := w.side, w.side.Peer()
	at, other := status.On(side), status.On(peer).Traffic
	w.peerServes = other == ops.InService
	switch {
	case at.Traffic == ops.Out:
		return true, true, side.Upper() + ": out", nil
	case w.peerNeeded && (other == ops.Out || other == ops.Down || other == ops.Draining):
		return false, false, "", w.peerGone(fmt.Sprintf("%s left service meanwhile (%s)", peer.Upper(), other.Words()))
	}
	switch at.Traffic {
	case ops.InService:
		if w.stopped {
			return false, false, "", &ops.Problem{
				Doing: "draining", Side: side, Err: errors.New("the drain was lost: it gets new traffic again"),
				Hint: "see who put it back, or whether the balancer was reloaded; then resume",
			}
		}
		return false, false, side.Upper() + ": still in service", nil
	case ops.Draining, ops.Down:
		w.stopped = true
	default:
		return false, false, side.Upper() + ": the balancer does not say", nil
	}
	switch {
	case w.peerNeeded && !w.peerServes:
		return false, false, side.Upper() + ": draining; the balancer does not say whether " + peer.Upper() + " serves", nil
	case at.Sessions == nil:
		return false, false, side.Upper() + ": draining, sessions not known", nil
	case *at.Sessions == 0:
		return true, false, side.Upper() + ": no sessions left", nil
	}
	return false, false, fmt.Sprintf("%s: %d sessions left", side.Upper(), *at.Sessions), nil
}

// Verify: the side gets no new traffic. A balancer that cannot cut sessions off (ELBv2)
// says draining until its own delay is over.
func (d Drain) Verify(ctx context.Context, env ops.Env) error {
	status, err := env.Balancer.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the balancer: %w", err)
	}
	switch t := status.On(d.Side).Traffic; t {
	case ops.Out, ops.Draining:
		return nil
	default:
		return &ops.Problem{
			Doing: "proving the drain", Side: d.Side, Err: fmt.Errorf("it is %s", t.Words()),
			Hint: "see what the balancer says of " + d.Side.Upper() + ", then resume or roll back",
		}
	}
}

// Undo puts the side back exactly as it was recorded.
func (d Drain) Undo(ctx context.Context, env ops.Env) error {
	var prior json.RawMessage
	ok, err := env.Log.Recall(keyPrior, &prior)
	if err != nil {
		return fmt.Errorf("reading the recorded state of %s: %w", d.Side, err)
	}
	if !ok {
		return ops.ErrNoUndo
	}
	ctx, cancel := context.WithTimeout(ctx, d.Return)
	defer cancel()
	if err := env.Balancer.Restore(ctx, d.Side, prior, env.Log.Say); err != nil {
		return fmt.Errorf("putting %s back as it was: %w", d.Side, err)
	}
	return nil
}

// Back describes Undo.
func (d Drain) Back() ops.Undoing {
	return ops.Undoing{
		Title: "put " + d.Side.Upper() + " back as it was", Effects: calls(d.Calls, "put-back", d.Side),
		Risk: ops.Disruptive, Guards: []ops.Guard{ServicesReady(d.Side, d.Unready), SideInBalancer(d.Side)},
	}
}
