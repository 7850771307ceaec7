package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tandem/ops"
	"tandem/ops/journal"
)

// maxText is how much of a step's text goes on the record, in bytes. Prior state is never cut.
const maxText = 4 << 10

// lockKey is under which the sides that hold the lock are recorded, without a step.
const lockKey = "lock"

// run is a plan being carried out.
type run struct {
	cfg      Config
	plan     ops.Plan
	requests <-chan journal.Request
	cancel   context.CancelCauseFunc

	mu        sync.Mutex
	info      ops.LockInfo
	state     ops.Run
	pasts     map[string]*past
	intents   int
	sides     []ops.Side // where the lock is held, as far as the journal knows
	lastSides []ops.Side // where it was held last, released or not
	hadLock   bool
	owners    []ops.Owner     // who took the lock for this run, the latest last
	moved     *ops.MovedError // who goes on with this run elsewhere
	broken    error           // why the journal cannot be written any more
}

// past is what the journal knows of one step.
type past struct {
	order int  // place of its first intent among all; 0: never begun
	open  bool // intent without observation
	acted bool // Do may have begun, and has not been taken back
	doing bool // Do was begun by this process, and is not yet observed
	over  bool // nothing left to do
	// What is asked before it has been answered.
	answered bool
	records  map[string]json.RawMessage
}

func (p *past) standing() bool { return p.open || p.acted }

func (r *run) close() { r.cancel(nil) }

// append puts the event on the record and tells everyone. Once it has returned an error, the
// run is over: its context is cancelled and nothing more is recorded.
func (r *run) append(e ops.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.appendLocked(e)
}

func (r *run) appendLocked(e ops.Event) error {
	if r.broken != nil {
		return r.broken
	}
	e.At = r.cfg.Env.Now()
	e.Text = cut(e.Text)
	e, err := r.cfg.Journal.Append(e)
	if err != nil {
		r.broken = &ops.Problem{Doing: "recording the run", Err: err, Hint: "the run stands where it is: mend the disk, then `tandem resume`"}
		r.cancel(r.broken)
		return r.broken
	}
	r.observe(e)
	if r.cfg.Copy != nil && r.moved == nil {
		r.cfg.Copy(r.info, []ops.Event{e})
	}
	if r.cfg.OnEvent != nil {
		r.cfg.OnEvent(e)
	}
	return nil
}

// observe learns from an event, old or new.
func (r *run) observe(e ops.Event) {
	r.state.Apply(e)
	switch e.Kind {
	case ops.EvEnded:
		r.info.Step = ""
		r.info.Stopped = e.Text == string(ops.OutcomeStopped) || e.Text == string(ops.OutcomeFailed)
	case ops.EvResumed, ops.EvRollback:
		r.info.Stopped = false
	case ops.EvRecord:
		switch {
		case e.Step != "":
		case e.Text == lockKey:
			r.observeLock(e.Data)
		case e.Text == ops.OwnerKey:
			var owner ops.Owner
			if json.Unmarshal(e.Data, &owner) == nil {
				r.owners = append(r.owners, owner)
			}
		}
	}
	p := r.pasts[e.Step]
	if p == nil {
		return
	}
	switch e.Kind {
	case ops.EvIntent:
		if p.order == 0 {
			r.intents++
			p.order = r.intents
		}
		p.acted = p.acted || p.open
		p.open, p.over = true, false
		r.info.Step = r.step(e.Step).Step.Title()
	case ops.EvUndoIntent:
		r.info.Step = r.step(e.Step).Step.Back().Title
	case ops.EvRecord:
		if _, have := p.records[e.Text]; !have {
			p.records[e.Text] = e.Data
		}
	case ops.EvDone:
		p.open, p.acted, p.doing, p.over = false, true, false, true
	case ops.EvAlreadyDone:
		p.open, p.over = false, true
	case ops.EvSkipped: // not needed, or tried and done without
		p.acted = p.acted || p.open
		p.open, p.over, p.doing = false, true, false
	case ops.EvFailed:
		p.open, p.acted, p.doing = false, true, false
	case ops.EvPaused:
		if !r.state.Rolling { // it was about to act
			p.open = false
		}
	case ops.EvContinued:
		p.answered = true
	case ops.EvRefused:
		p.open = false
	case ops.EvUndone, ops.EvNoUndo:
		p.open, p.acted, p.doing = false, false, false
	}
}

// acting notes that the step begins to act.
func (r *run) acting(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pasts[id].doing = true
}

func (r *run) observeLock(data json.RawMessage) {
	var sides []ops.Side
	if json.Unmarshal(data, &sides) != nil {
		return
	}
	r.sides = sides
	if len(sides) > 0 {
		r.lastSides, r.hadLock = sides, true
	}
}

// standing are the steps that may have changed something that has not been taken back, the
// latest first.
func (r *run) standing() []string {
	var ids []string
	for id, p := range r.pasts {
		if p.standing() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return r.pasts[b].order - r.pasts[a].order })
	return ids
}

// hurt tells whether an act that can hurt may have been begun and has not been taken back.
func (r *run) hurt() bool {
	return slices.ContainsFunc(r.standing(), func(id string) bool { return r.step(id).Step.Risk() != ops.Harmless })
}

// env is what a step gets.
func (r *run) env(id string) ops.Env {
	env := r.cfg.Env
	env.Log = stepLog{r, id}
	env.Recorded = r.recorded
	env.Locker = r.locker()
	side := r.side(r.step(id))
	env.Accepted = func(guard string, services ...string) bool { return r.accepted(side, guard, services...) }
	r.mu.Lock()
	defer r.mu.Unlock()
	env.Run = r.info
	return env
}

// accepted tells whether the operator has accepted the guard as a risk for the side's steps.
func (r *run) accepted(side ops.Side, guard string, services ...string) bool {
	r.mu.Lock()
	later := r.state.Accepted
	r.mu.Unlock()
	return r.plan.Request.Accepts(slices.Concat(r.plan.Request.Accept, later), side, guard, services...)
}

// side is whose matter a step is.
func (r *run) side(s ops.PlannedStep) ops.Side {
	if s.Side == "" && !r.plan.Request.Both {
		return r.plan.Request.Side
	}
	return s.Side
}

func (r *run) rolling() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Rolling
}

// stepLog is a step's way into the journal.
type stepLog struct {
	run *run
	id  string
}

func (l stepLog) Say(text string) {
	// An error ends the run by itself.
	_ = l.run.append(ops.Event{Kind: ops.EvSay, Step: l.id, Text: text})
}

func (l stepLog) Record(key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("recording %s: %w", key, err)
	}
	if known, err := l.run.keep(l.id, key, data); known || err != nil {
		return err
	}
	l.run.copied(context.Background())
	return nil
}

// keep puts what a step wants to keep on the record, once.
func (r *run) keep(step, key string, data json.RawMessage) (known bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, have := r.pasts[step].records[key]; have {
		return true, nil
	}
	if len(key) > maxText {
		return false, errors.New("recording prior state: the key is too long")
	}
	return false, r.appendLocked(ops.Event{Kind: ops.EvRecord, Step: step, Text: key, Data: data})
}

// copyTime is how long an act waits for the copies at most.
const copyTime = 5 * time.Second

// copied waits until the copies on the hosts have what is on the record.
func (r *run) copied(ctx context.Context) {
	if r.cfg.Copied == nil || r.elsewhere() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	r.cfg.Copied(ctx)
}

func (l stepLog) Recall(key string, value any) (bool, error) { return l.run.recorded(l.id, key, value) }

// recorded reads what a step of this run recorded, in this process or in one before.
func (r *run) recorded(step, key string, value any) (bool, error) {
	r.mu.Lock()
	p := r.pasts[step]
	var data json.RawMessage
	if p != nil {
		data = p.records[key]
	}
	r.mu.Unlock()
	if data == nil {
		return false, nil
	}
	if err := json.Unmarshal(data, value); err != nil {
		return false, fmt.Errorf("recalling %s of step %s: %w", key, step, err)
	}
	return true, nil
}

// cut keeps a text to a sane size, on a character's boundary.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimSpace(text[:end]) + fmt.Sprintf(" (%d bytes more)", len(text)-end)
}
