package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
)

// Config is what a runner needs.
type Config struct {
	// Env is handed to the steps; the runner sets Log and Recorded, wraps Locker
	// and completes Run.
	Env     ops.Env
	Journal *journal.Journal // claimed by this process; empty for Start
	Decode  ops.Decoder
	// Requests are what operators ask for; nil: those left beside the journal.
	Requests <-chan journal.Request
	// Copy receives every event with the state of the run for the mark on the hosts. It must
	// not block. May be nil.
	Copy func(ops.LockInfo, []ops.Event)
	// Copied returns when the copies have what Copy was given, as far as hosts answer. It is
	// waited for before an act that can hurt, and whenever a step has recorded what it is about to
	// change. May be nil.
	Copied func(context.Context)
	// OnEvent receives every event after it is on the record. It must not block. May be nil.
	OnEvent     func(ops.Event)
	By          string // user@machine
	MaxParallel int    // steps at a time, which mostly wait for services to get ready; 0: 12
	// Accept are risks that the operator who resumes or rolls back has accepted, see
	// [ops.Run.Bind]; from then on they count like those of the plan.
	Accept []ops.Risk
	// Left are marks of the run as whoever resumes or rolls back found them left alone: they may
	// be replaced while they give no sign of life.
	Left []ops.LockInfo
	Wait time.Duration // between two looks at what a patient plan waits for; 0: 3 s
	// Watch is the beat at which a patient plan that has a side out looks whether somebody
	// serves; 0: it does not.
	Watch time.Duration
}

// Start carries out a new plan. The error says why the outcome is not done.
func Start(ctx context.Context, cfg Config, plan ops.Plan) (ops.Outcome, error) {
	if n := len(cfg.Journal.Events()); n > 0 {
		return "", fmt.Errorf("starting run %s: its journal has %d events already", plan.ID, n)
	}
	doc, err := plan.Doc()
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("encoding the plan: %w", err)
	}
	r, ctx, err := newRun(ctx, cfg, doc)
	if err != nil {
		return "", err
	}
	defer r.close()
	if err := r.append(ops.Event{Kind: ops.EvStarted, Text: cfg.By, Data: data}); err != nil {
		return ops.OutcomeStopped, err
	}
	return r.forward(ctx)
}

// Resume goes on with a run that stopped half-way or whose runner died, forwards, or
// backwards if it was being rolled back. A run with nothing left to do is a *ops.Problem, but
// where a host that did not answer at its end still has its mark: that is released.
func Resume(ctx context.Context, cfg Config) (ops.Outcome, error) {
	r, ctx, err := reopen(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer r.close()
	if why := r.finished(); why != "" {
		if left := r.left(ctx); len(left) > 0 {
			return r.state.Outcome, r.releaseLeft(ctx, left)
		}
		return r.state.Outcome, &ops.Problem{Doing: "resuming run " + r.plan.ID, Err: errors.New(why), Hint: "start a new run"}
	}
	before := r.state.Outcome
	if err := r.append(ops.Event{Kind: ops.EvResumed, Text: cfg.By}); err != nil {
		return ops.OutcomeStopped, err
	}
	if err := r.accept(); err != nil {
		return ops.OutcomeStopped, err
	}
	// A rollback gets by with one host: putting the healthy side back must not wait for the other.
	take := job{do: func(ctx context.Context) error { return r.retake(ctx, r.rolling() || r.oneSided()) }}
	switch why, cause := r.drive(ctx, []job{take}); {
	case why == unrecorded:
		return ops.OutcomeStopped, cause
	case why == askedBack:
		return r.rollBack(ctx, cause.Error(), before)
	case why != finished:
		return r.giveUp(before, cause)
	case r.rolling():
		return r.back(ctx)
	}
	return r.forward(ctx)
}

// accept puts on the record what the operator accepted beyond the plan, of the step at which
// the run stands.
func (r *run) accept() error {
	r.mu.Lock()
	var risks []ops.Risk
	for _, risk := range r.cfg.Accept {
		risks = append(risks, r.state.Bind(risk)...)
	}
	r.mu.Unlock()
	for _, risk := range risks {
		data, err := json.Marshal(risk)
		if err != nil {
			return fmt.Errorf("encoding a risk: %w", err)
		}
		if err := r.append(ops.Event{Kind: ops.EvAccepted, Text: risk.String() + ": " + risk.Reason, Data: data}); err != nil {
			return err
		}
	}
	return nil
}

// Rollback takes back what a run did, the latest first. For a run that was done it takes
// the lock again first.
func Rollback(ctx context.Context, cfg Config) (ops.Outcome, error) {
	r, ctx, err := reopen(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer r.close()
	// A run that was cut short is brought to an end all the same.
	if !r.state.Unfinished() && len(r.standing()) == 0 {
		return r.state.Outcome, &ops.Problem{Doing: "rolling back run " + r.plan.ID, Err: errors.New("it left nothing to take back"),
			Hint: "`tandem runs` lists the runs"}
	}
	if err := r.append(ops.Event{Kind: ops.EvAsked, Text: string(ops.AskRollback)}); err != nil {
		return ops.OutcomeStopped, err
	}
	if err := r.accept(); err != nil {
		return ops.OutcomeStopped, err
	}
	return r.rollBack(ctx, cfg.By, r.state.Outcome)
}

// rollBack takes the lock again and takes back what was done. before is how the run had ended.
func (r *run) rollBack(ctx context.Context, text string, before ops.Outcome) (ops.Outcome, error) {
	if err := r.retake(ctx, before != ops.OutcomeDone || r.oneSided()); err != nil {
		return r.giveUp(before, err)
	}
	if err := r.append(ops.Event{Kind: ops.EvRollback, Text: text}); err != nil {
		return ops.OutcomeStopped, err
	}
	return r.back(ctx)
}

func reopen(ctx context.Context, cfg Config) (*run, context.Context, error) {
	events := cfg.Journal.Events()
	doc := ops.Replay(events).Plan
	if doc.ID == "" {
		return nil, nil, &ops.Problem{Doing: "reading the journal", Err: errors.New("it does not begin with a plan"), Hint: "nothing was begun: start a new run"}
	}
	r, ctx, err := newRun(ctx, cfg, doc)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range events {
		r.observe(e)
	}
	for _, p := range r.pasts {
		p.acted = p.acted || p.open // nobody saw how far it got
	}
	if cfg.Copy != nil {
		cfg.Copy(r.info, events)
	}
	return r, ctx, nil
}

func newRun(ctx context.Context, cfg Config, doc ops.PlanDoc) (*run, context.Context, error) {
	// The steps are rebuilt from data also for a new run, so that a resumed one is no other.
	plan, err := doc.Plan(cfg.Decode)
	if err != nil {
		return nil, nil, err
	}
	if err := sound(plan); err != nil {
		return nil, nil, err
	}
	if cfg.MaxParallel == 0 {
		cfg.MaxParallel = 12
	}
	if cfg.Wait == 0 {
		cfg.Wait = 3 * time.Second
	}
	if cfg.Env.Now == nil {
		cfg.Env.Now = time.Now
	}
	r := &run{cfg: cfg, plan: plan, info: cfg.Env.Run, pasts: map[string]*past{}, requests: cfg.Requests}
	for _, s := range plan.Steps {
		r.pasts[s.ID] = &past{records: map[string]json.RawMessage{}}
	}
	r.info.Run, r.info.Op, r.info.Side, r.info.Reason = plan.ID, plan.Request.Op, plan.Request.Side, plan.Request.Reason
	if r.info.Both = plan.Request.Both; r.info.Reason == "" {
		r.info.Reason = plan.Title // whoever is kept from deploying reads at least what for
	}
	if r.info.Since.IsZero() {
		r.info.Since = cfg.Env.Now().UTC()
	}
	ctx, r.cancel = context.WithCancelCause(ctx)
	if r.requests == nil {
		r.requests = cfg.Journal.Requests(ctx)
	}
	return r, ctx, nil
}

// sound checks what the rest relies on: ids name one step, and needs come first.
func sound(plan ops.Plan) error {
	seen := map[string]bool{}
	for _, s := range plan.Steps {
		if s.ID == "" || seen[s.ID] {
			return fmt.Errorf("reading plan %s: step id %q is missing or used twice", plan.ID, s.ID)
		}
		for _, need := range s.Needs {
			if !seen[need] {
				return fmt.Errorf("reading plan %s: step %s needs %q, which does not come before it", plan.ID, s.ID, need)
			}
		}
		seen[s.ID] = true
	}
	return nil
}

// finished says why there is nothing to resume, empty if there is something.
func (r *run) finished() string {
	switch {
	case r.state.Unfinished():
		return ""
	case r.state.Outcome == ops.OutcomeDone:
		return "it is done"
	case r.state.Outcome == ops.OutcomeRefused:
		return "it was refused, nothing was changed"
	}
	return "everything it did was taken back"
}

// retake takes the lock again for a run that has had it, as the same run may: from then on
// it is this process's. A patient run waits until the hosts answer.
func (r *run) retake(ctx context.Context, allowMissing bool) error {
	if !r.hadLock && !r.marked(ctx) {
		return nil
	}
	r.mu.Lock()
	info := r.info
	r.mu.Unlock()
	info.Stopped = false
	_, err := r.locker().Take(ctx, info, allowMissing)
	if err != nil && r.plan.Patient && !allowMissing && errors.Is(err, ops.ErrUnreachable) {
		return &hold{kind: lost, title: "take the lock", err: err, side: ops.AsProblem(err, "", "").Side}
	}
	return err
}

// marked tells whether a runner before took the lock and died before it was on the record.
func (r *run) marked(ctx context.Context) bool {
	held, _ := r.cfg.Env.Locker.Held(ctx) // what cannot be read now is read before every act
	for _, mark := range held {
		if mark != nil && mark.Run == r.plan.ID {
			return true
		}
	}
	return false
}

// oneSided tells whether the run began with the lock on one host only.
func (r *run) oneSided() bool { return r.hadLock && len(r.lastSides) < len(r.cfg.Env.Hosts) }

// giveUp ends a resumption that could not begin: the run stands as it stood.
func (r *run) giveUp(before ops.Outcome, cause error) (ops.Outcome, error) {
	if before == "" {
		before = ops.OutcomeStopped
	}
	return r.end(before, cause)
}

// end puts the outcome on the record.
func (r *run) end(outcome ops.Outcome, cause error) (ops.Outcome, error) {
	if moved := r.elsewhere(); moved != nil {
		// On this machine alone: the marks and the copies are the other's by now.
		if err := r.append(ops.Event{Kind: ops.EvSay, Text: moved.Error() + ": stopping here"}); err != nil {
			return ops.OutcomeStopped, errors.Join(cause, err)
		}
	}
	if err := r.append(ops.Event{Kind: ops.EvEnded, Text: string(outcome)}); err != nil {
		return ops.OutcomeStopped, errors.Join(cause, err)
	}
	return outcome, cause
}

func (r *run) step(id string) ops.PlannedStep {
	return r.plan.Steps[slices.IndexFunc(r.plan.Steps, func(s ops.PlannedStep) bool { return s.ID == id })]
}
