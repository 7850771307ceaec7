package runner

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

// refused is a step that did not act: a guard, the lock or its own check kept it from it.
type refused struct {
	title  string
	checks []ops.Check // guards that did not pass; none where something else refused
	err    error
}

func (e *refused) Error() string { return e.title + " refused: " + e.err.Error() }
func (e *refused) Unwrap() error { return e.err }

// forward does what is left of the plan and ends the run.
func (r *run) forward(ctx context.Context) (ops.Outcome, error) {
	var jobs []job
	for _, s := range r.plan.Steps {
		if r.pasts[s.ID].over {
			continue
		}
		if s.Skip != "" {
			if err := r.append(ops.Event{Kind: ops.EvSkipped, Step: s.ID, Text: s.Skip}); err != nil {
				return ops.OutcomeStopped, err
			}
			continue
		}
		j := job{id: s.ID, needs: s.Needs, step: s, do: func(ctx context.Context) error { return r.do(ctx, s) }}
		if !r.pasts[s.ID].answered {
			j.ask = s.Pause
		}
		jobs = append(jobs, j)
	}
	why, cause := r.drive(ctx, jobs)
	switch why {
	case unrecorded:
		return ops.OutcomeStopped, cause
	case finished:
		if err := r.release(ctx); err != nil {
			return r.end(ops.OutcomeStopped, err)
		}
		return r.end(ops.OutcomeDone, nil)
	case askedBack:
		if err := r.append(ops.Event{Kind: ops.EvRollback, Text: cause.Error()}); err != nil {
			return ops.OutcomeStopped, err
		}
		return r.back(ctx)
	case unable:
		return r.halt(ctx, cause)
	}
	return r.end(ops.OutcomeStopped, cause)
}

// halt ends a run one of whose steps refused or failed. Where nothing that can hurt has been
// tried, the little that was done is taken back: nobody should have to resume a refusal.
func (r *run) halt(ctx context.Context, cause error) (ops.Outcome, error) {
	if r.elsewhere() != nil {
		return r.end(ops.OutcomeStopped, cause)
	}
	outcome, was := ops.OutcomeFailed, (*refused)(nil)
	declined := errors.As(cause, &was)
	if held := (*ops.HeldError)(nil); errors.As(cause, &held) {
		declined = true
	}
	if r.hurt() {
		if declined {
			outcome = ops.OutcomeStopped
		}
		return r.end(outcome, cause)
	}
	if declined {
		outcome = ops.OutcomeRefused
	}
	if len(r.standing()) > 0 {
		left := "nothing was changed: "
		if errors.Is(cause, ops.ErrOver) {
			left = "nothing is left to go on with: "
		}
		if err := r.append(ops.Event{Kind: ops.EvRollback, Text: left + cause.Error()}); err != nil {
			return ops.OutcomeStopped, err
		}
		why, err := r.drive(ctx, r.undoing())
		if why == unrecorded {
			return ops.OutcomeStopped, err
		}
		if why != finished {
			return r.end(ops.OutcomeStopped, errors.Join(cause, err))
		}
	}
	if err := r.release(ctx); err != nil {
		return r.end(ops.OutcomeStopped, errors.Join(cause, err))
	}
	if was != nil && len(was.checks) > 0 {
		cause = &ops.Refusal{What: r.plan.Title, Checks: was.checks, Hint: was.checks[0].Hint}
	}
	return r.end(outcome, cause)
}

// do carries out one step, from its intent to its observation.
func (r *run) do(ctx context.Context, s ops.PlannedStep) error {
	if err := r.append(ops.Event{Kind: ops.EvIntent, Step: s.ID, Text: s.Step.Title()}); err != nil {
		return err
	}
	if s.Step.Risk() != ops.Harmless {
		r.copied(ctx) // first: a host that does not answer is waited for, and guards must not grow old
	}
	verdict, err := r.before(ctx, s)
	if err != nil {
		err = r.overtaken(err)
		if h := r.patient(s, s.Step.Title(), s.Step.Risk(), s.Step.Guards(), err); h != nil {
			return h
		}
		err = &refused{title: s.Step.Title(), checks: r.unmet(s.ID), err: err}
		return errors.Join(err, r.append(ended(ops.EvRefused, s.ID, errors.Unwrap(err))))
	}
	if verdict == ops.AlreadyDone {
		return r.append(ops.Event{Kind: ops.EvAlreadyDone, Step: s.ID})
	}
	r.acting(s.ID)
	err = safely(func() error { return s.Step.Do(ctx, r.env(s.ID)) })
	if err == nil {
		err = safely(func() error { return s.Step.Verify(ctx, r.env(s.ID)) })
	}
	if err != nil {
		err = r.overtaken(err)
		if h := r.unanswered(s, s.Step.Title(), s.Step.Risk(), err); h != nil {
			return h
		}
		if risk := r.waived(err); risk != "" {
			return r.append(ops.Event{Kind: ops.EvSkipped, Step: s.ID, Text: risk + " is accepted as a risk: " + err.Error()})
		}
		failed := r.append(ended(ops.EvFailed, s.ID, err))
		if failed == nil && errors.Is(err, ops.ErrOver) {
			failed = r.append(ops.Event{Kind: ops.EvNoUndo, Step: s.ID})
		}
		return errors.Join(err, failed)
	}
	return r.append(ops.Event{Kind: ops.EvDone, Step: s.ID})
}

// waived is the accepted risk with which the run goes on without a step that did not succeed,
// empty where there is none.
func (r *run) waived(err error) string {
	w := (*ops.Waivable)(nil)
	if !errors.As(err, &w) {
		return ""
	}
	for _, risk := range w.Risks {
		if r.accepted(risk.Side, risk.Guard) {
			return risk.Guard
		}
	}
	return ""
}

// before is everything that must hold before the step may act. What may pass is a *later.
func (r *run) before(ctx context.Context, s ops.PlannedStep) (ops.Verdict, error) {
	if err := r.mayAct(ctx, s.Step.Risk(), r.plan.Patient && r.changed()); err != nil {
		return "", err
	}
	if err := r.guard(ctx, s, s.Step.Guards()); err != nil {
		return "", err
	}
	return r.check(ctx, s, r.env(s.ID))
}

func (r *run) check(ctx context.Context, s ops.PlannedStep, env ops.Env) (ops.Verdict, error) {
	var verdict ops.Verdict
	err := safely(func() (err error) {
		verdict, err = s.Step.Check(ctx, env)
		return err
	})
	switch {
	case err != nil && (verdict == ops.Blocked || errors.Is(err, ops.ErrUnreachable)):
		return "", &later{err: err, blocked: true}
	case err != nil:
		return "", err
	case verdict == ops.Ready || verdict == ops.AlreadyDone:
		return verdict, nil
	}
	return "", &later{err: fmt.Errorf("it cannot be done now (%s)", verdict), blocked: true}
}

// lookTime is how long a look may take before an act: while one host kept it waiting, what had been
// read of the others has grown old, and it is made once more.
const lookTime = 3 * time.Second

// doingGuards is what is being done while guards are read.
const doingGuards = "checking before acting"

// unmetError are the guards that did not pass.
type unmetError struct{ checks []ops.Check }

func (u *unmetError) Error() string {
	var texts []string
	for _, c := range u.checks {
		texts = append(texts, c.Text)
	}
	return strings.Join(texts, "; ")
}

// guard evaluates the guards on one fresh look and puts every check on the record.
func (r *run) guard(ctx context.Context, s ops.PlannedStep, guards []ops.Guard) error {
	if len(guards) == 0 {
		return nil
	}
	began := r.cfg.Env.Now()
	snap, blind := r.look(ctx, guards)
	if r.cfg.Env.Now().Sub(began) > lookTime {
		snap, blind = r.look(ctx, guards)
	}
	checks := r.evaluate(r.side(s), guards, &snap, blind)
	for i, c := range checks {
		data, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encoding guard %s: %w", c.Guard, err)
		}
		if err := r.append(ops.Event{Kind: ops.EvGuard, Step: s.ID, Text: guards[i].Title, Data: data}); err != nil {
			return err
		}
	}
	return unmetOf(r.side(s), checks)
}

// look reads as much of the pair as the guards need; the error says that it could not be read.
func (r *run) look(ctx context.Context, guards []ops.Guard) (snap ops.Snapshot, blind error) {
	blind = safely(func() (err error) {
		look := r.cfg.Env.Look
		if r.cfg.Env.Whole != nil && slices.ContainsFunc(guards, func(g ops.Guard) bool { return g.Whole }) {
			look = r.cfg.Env.Whole
		}
		snap, err = look(ctx)
		return err
	})
	return snap, blind
}

func (r *run) evaluate(side ops.Side, guards []ops.Guard, snap *ops.Snapshot, blind error) []ops.Check {
	now := r.cfg.Env.Now()
	var checks []ops.Check
	for _, g := range guards {
		check := ops.Check{State: ops.NotKnown, At: now}
		if blind != nil {
			check.Text = "the pair could not be read: " + blind.Error()
		} else if err := safely(func() error { check = g.Eval(snap, now); return nil }); err != nil {
			check = ops.Check{State: ops.NotKnown, At: now, Text: err.Error()}
		}
		check.Guard, check.Absolute = g.ID, g.Absolute
		// A risk is accepted for what was seen. Not having looked is no such thing.
		check.Accepted = blind == nil && !g.Absolute && check.State != ops.Pass && check.State != ops.Remark && r.accepted(side, g.ID, check.Services...)
		checks = append(checks, check)
	}
	return checks
}

// unmetOf is the *later for checks that did not pass, nil where all did.
func unmetOf(side ops.Side, checks []ops.Check) error {
	u := &unmetError{}
	hint := ""
	for _, c := range checks {
		if c.Allows() {
			continue
		}
		u.checks = append(u.checks, c)
		if hint == "" {
			hint = c.Hint
		}
	}
	if u.checks == nil {
		return nil
	}
	return &later{err: &ops.Problem{Doing: doingGuards, Side: side, Err: u, Hint: hint}}
}

// unmet are the guards of the step's present attempt that did not pass.
func (r *run) unmet(id string) []ops.Check {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Step(id).Unmet()
}

// safely turns a panic of a step into an error: one broken step must not leave the run
// without an observation.
func safely(act func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault in tandem (panic): %v", p)
		}
	}()
	return act()
}

// ended is the observation of a step that did not succeed, with its hint.
func ended(kind ops.EventKind, step string, err error) ops.Event {
	e := ops.Event{Kind: kind, Step: step, Text: err.Error()}
	if p := (*ops.Problem)(nil); errors.As(err, &p) && p.Hint != "" {
		e.Text += " (" + p.Hint + ")"
		advice := ops.Advice{Hint: p.Hint}
		if w := (*ops.Waivable)(nil); errors.As(err, &w) {
			advice.Risks = w.Risks
		}
		e.Data, _ = json.Marshal(advice) // texts: they can always be encoded
	}
	return e
}
