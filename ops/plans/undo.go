package plans

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/ops"
	"tandem/ops/steps"
)

// ErrNothing is returned by Undo for a run that left nothing to take back.
var ErrNothing = errors.New("nothing to take back")

// Undo shows the rollback of a run as a plan: what it did, or may have done, in reverse. It
// is for the dialog; the runner takes a run back from its journal. plan is the run's own.
func Undo(run ops.Run, plan ops.Plan, snap ops.Snapshot) (ops.Plan, error) {
	if run.ID != plan.ID {
		return ops.Plan{}, fmt.Errorf("run %s and plan %s do not belong together", run.ID, plan.ID)
	}
	var undone []ops.PlannedStep
	for _, s := range slices.Backward(plan.Steps) {
		at := run.Step(s.ID)
		if at == nil || !changed(at.Phase) || s.Step.Back().Title == "" {
			continue
		}
		undone = append(undone, s)
	}
	// A run that still holds the lock has at least that to give back.
	released := slices.ContainsFunc(undone, func(s ops.PlannedStep) bool { return s.Step.Kind() == steps.KindUnlock })
	if len(undone) == 0 || released && cancelsOut(undone) {
		return ops.Plan{}, fmt.Errorf("run %s: %w", run.ID, ErrNothing)
	}

	d := newDraft(&snap, plan.Request, plan.ID)
	d.plan.Title = "take back: " + plan.Title
	d.plan.UndoText = "a rollback is not taken back itself; the operation can be done anew"
	var needs []string
	drained := map[ops.Side]bool{}
	drains := func() {
		drained[d.side] = true
		until := "afterwards"
		if slices.ContainsFunc(undone, func(other ops.PlannedStep) bool { return other.Step.Kind() == steps.KindDrain && other.Side == d.side }) {
			until = "until " + d.side.Upper() + " is back"
		}
		d.sayDrained(until)
	}
	for _, s := range undone {
		back := s.Step.Back()
		if s.Side != "" {
			d.turn(s.Side)
		}
		// Somebody, or the balancer itself, has let the side in since: the act drains it first.
		out := s.Step.Kind() == steps.KindStop || slices.ContainsFunc(back.Guards, func(g ops.Guard) bool { return g.ID == steps.GuardSideOut })
		if d.traffic(d.side) == ops.InService && !drained[d.side] && out {
			back.Guards = append(back.Guards, steps.OnlyHere(d.side))
			drains()
		}
		id := d.add(undoing{s.Step, back}, "undo-"+s.Step.Kind(), needs...)
		needs = []string{id}
		switch s.Step.Kind() {
		case steps.KindPutBack:
			drains()
			d.proves(steps.GuardSideOut)
		case steps.KindSwap:
			d.say("%s.", back.Title)
			d.proves(steps.GuardServicesReady)
		case steps.KindInstall:
			d.say("%s.", strings.ToUpper(back.Title[:1])+back.Title[1:])
		case steps.KindRemove:
			d.say("The earlier containers of %s are made again as recorded; what they wrote outside of volumes is lost.", d.side.Upper())
		case steps.KindHold, steps.KindStop: // what was held and has fallen is started again, too
			d.proves(steps.GuardServicesReady, steps.GuardPeerReady) // what follows of the other side asks for both
		case steps.KindDrain:
			d.say("%s goes back to the traffic it had before.", d.side.Upper())
			d.proves(steps.GuardPeerInService)
		}
	}
	if len(d.plan.Headline) == 0 {
		d.say("Traffic does not change.")
	}
	return d.finish(ops.Request{Op: plan.Request.Op, Side: plan.Request.Side, Reason: phases(run)})
}

// changed tells whether a step in this phase may have changed something that is still so.
// One that was found done already may have been done by a runner that died before it could
// say so; what it recorded decides when it is taken back.
func changed(p ops.StepPhase) bool {
	switch p {
	case ops.Done, ops.Already, ops.Running, ops.Failed, ops.TakingBack, ops.UndoFailed:
		return true
	}
	return false
}

// cancelsOut tells whether taking everything back would only drain a side and put it back.
func cancelsOut(undone []ops.PlannedStep) bool {
	var kinds []string
	for _, s := range undone {
		switch kind := s.Step.Kind(); kind {
		case steps.KindLock, steps.KindUnlock:
		case steps.KindDrain:
			if n := len(kinds); n > 0 && kinds[n-1] == steps.KindPutBack {
				kinds = kinds[:n-1]
				continue
			}
			kinds = append(kinds, kind)
		default:
			kinds = append(kinds, kind)
		}
	}
	return len(kinds) == 0
}

func phases(run ops.Run) string {
	text := ""
	for _, s := range run.Steps {
		text += string(s.Phase) + " "
	}
	return text
}

// undoing shows the way back of a step as a step of the dialog's plan.
type undoing struct {
	of   ops.Step
	back ops.Undoing
}

var errDialogOnly = errors.New("a run is taken back from its journal, not by this plan")

func (u undoing) Kind() string                 { return "undo-" + u.of.Kind() }
func (u undoing) Title() string                { return u.back.Title }
func (u undoing) Effects() []string            { return u.back.Effects }
func (u undoing) Risk() ops.Level              { return u.back.Risk }
func (u undoing) Guards() []ops.Guard          { return u.back.Guards }
func (u undoing) Back() ops.Undoing            { return ops.Undoing{} }
func (u undoing) MarshalJSON() ([]byte, error) { return json.Marshal(u.of) }

func (u undoing) Check(context.Context, ops.Env) (ops.Verdict, error) {
	return ops.Blocked, errDialogOnly
}
func (u undoing) Do(context.Context, ops.Env) error     { return errDialogOnly }
func (u undoing) Verify(context.Context, ops.Env) error { return errDialogOnly }
func (u undoing) Undo(context.Context, ops.Env) error   { return errDialogOnly }
