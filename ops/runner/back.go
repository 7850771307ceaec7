package runner

import (
	"context"
	"errors"

	"tandem/ops"
)

// back takes back what may have been done and ends the run.
func (r *run) back(ctx context.Context) (ops.Outcome, error) {
	why, cause := r.drive(ctx, r.undoing())
	if why == unrecorded {
		return ops.OutcomeStopped, cause
	}
	if why == finished {
		if cause = r.release(ctx); cause == nil {
			return r.end(ops.OutcomeRolledBack, nil)
		}
	}
	return r.end(ops.OutcomeStopped, cause)
}

// undoing are the standing steps as jobs, one after the other, the latest first.
func (r *run) undoing() []job {
	var jobs []job
	for _, id := range r.standing() {
		s := r.step(id)
		j := job{id: id, step: s, do: func(ctx context.Context) error { return r.undo(ctx, s) }}
		if n := len(jobs); n > 0 {
			j.needs = []string{jobs[n-1].id}
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (r *run) undo(ctx context.Context, s ops.PlannedStep) error {
	how := s.Step.Back()
	if how.Title == "" && how.Risk == "" {
		return r.append(ops.Event{Kind: ops.EvNoUndo, Step: s.ID})
	}
	if err := r.append(ops.Event{Kind: ops.EvUndoIntent, Step: s.ID, Text: how.Title}); err != nil {
		return err
	}
	err := r.takeBack(ctx, s, how)
	switch {
	case err == nil:
		return r.append(ops.Event{Kind: ops.EvUndone, Step: s.ID})
	case errors.Is(err, ops.ErrNoUndo):
		return r.append(ops.Event{Kind: ops.EvNoUndo, Step: s.ID})
	}
	err = r.overtaken(err)
	if h := r.patient(s, how.Title, how.Risk, how.Guards, err); h != nil {
		return h
	}
	if h := r.unanswered(s, how.Title, how.Risk, err); h != nil {
		return h
	}
	return errors.Join(err, r.append(ended(ops.EvUndoFailed, s.ID, err)))
}

func (r *run) takeBack(ctx context.Context, s ops.PlannedStep, how ops.Undoing) error {
	if how.Risk != ops.Harmless {
		r.copied(ctx)
	}
	if err := r.mayAct(ctx, how.Risk, true); err != nil {
		return err
	}
	if err := r.guard(ctx, s, how.Guards); err != nil {
		return err
	}
	return safely(func() error { return s.Step.Undo(ctx, r.env(s.ID)) })
}
