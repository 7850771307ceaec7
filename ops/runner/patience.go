package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// later is why a step may not act now, and may when that has passed.
type later struct {
	err     error
	blocked bool // its own check said so, so that one is asked again
}

func (l *later) Error() string { return l.err.Error() }
func (l *later) Unwrap() error { return l.err }

// A hold is what a job of a patient plan waits for before it begins anew. As an error it is
// what the job returned.
type hold struct {
	job   job
	kind  holdKind
	step  ops.PlannedStep // zero: the lock is to be taken
	title string          // of the act
	err   error           // why it could not go on
	said  string          // on the record
	since time.Time
	hurts bool // the act can do harm
	// For unmet: what is looked at again.
	guards  []ops.Guard
	blocked bool
	// For lost: who did not answer, and whether a look found it so.
	side ops.Side
	away bool
}

func (h *hold) Error() string { return h.err.Error() }
func (h *hold) Unwrap() error { return h.err }

type holdKind int

const (
	unmet holdKind = iota // something keeps the step from acting: the run is paused
	lost                  // a host or the balancer did not answer while it acted
	asked                 // the operator has to answer first
)

// changed tells whether an act that can hurt has been begun and not been taken back. A step
// that has only been looked at does not count, unlike for hurt.
func (r *run) changed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.pasts {
		if (p.acted || p.doing) && r.step(id).Step.Risk() != ops.Harmless {
			return true
		}
	}
	return false
}

// mayWait tells whether the run waits for what may pass: not while ending it costs nothing, nor where
// another process goes on with it.
func (r *run) mayWait() bool {
	return r.plan.Patient && r.elsewhere() == nil && (r.rolling() || r.changed())
}

// patient is the hold for a step that could not act, nil where that ends the run.
func (r *run) patient(s ops.PlannedStep, title string, risk ops.Level, guards []ops.Guard, err error) *hold {
	var why *later
	if !errors.As(err, &why) || !r.mayWait() {
		return nil
	}
	return &hold{kind: unmet, step: s, title: title, err: err, guards: guards, hurts: risk != ops.Harmless, blocked: why.blocked}
}

// unanswered is the hold for a step during which someone did not answer, nil where that ends
// the run.
func (r *run) unanswered(s ops.PlannedStep, title string, risk ops.Level, err error) *hold {
	if !errors.Is(err, ops.ErrUnreachable) || !r.mayWait() {
		return nil
	}
	h := &hold{kind: lost, step: s, title: title, err: err, hurts: risk != ops.Harmless, side: s.Side}
	if p := (*ops.Problem)(nil); errors.As(err, &p) {
		h.side = p.Side
	}
	return h
}

// words are what goes on the record of a hold.
func (r *run) words(h *hold) string {
	switch h.kind {
	case lost:
		switch {
		case h.side != "":
			return h.side.Upper() + " cannot be reached: waiting"
		case h.step.ID == "":
			return "the hosts cannot be reached: waiting"
		}
		return "the balancer does not answer: waiting"
	case asked:
		return h.err.Error()
	}
	return r.pauseText(h, why(h.err), risksOf(h))
}

// why is an error without what was being done, with its hint.
func why(err error) string {
	p := (*ops.Problem)(nil)
	if !errors.As(err, &p) || p.Err == nil {
		return err.Error()
	}
	text := p.Err.Error()
	if p.Doing != doingGuards {
		text = p.Error()
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

// risksOf are the guards of the hold that an operator may accept, of those that are unmet.
func risksOf(h *hold) []string {
	var u *unmetError
	if !errors.As(h.err, &u) {
		return nil
	}
	var risks []string
	for _, c := range u.checks {
		if c.Absolute {
			return nil
		}
		risks = append(risks, c.Guard)
	}
	return risks
}

// pauseText is the reason for a pause, and then what helps.
func (r *run) pauseText(h *hold, reason string, risks []string) string {
	text := reason + ": paused before `" + h.title + "`; it goes on by itself when that is mended"
	if r.rolling() {
		return text + "; stop leaves it as it is, to be gone on with later"
	}
	if len(risks) > 0 {
		text += "; to go on all the same: stop, then resume with " + strings.Join(risks, ", ") + " accepted"
	}
	if back := r.backWords(); back != "" {
		how := "roll back: "
		if r.alarmed() {
			how = "to put " + r.side(h.step).Upper() + " back as soon as it can serve, roll back: "
		}
		text += "; " + how + back
	}
	return text
}

// alarmed tells whether nobody serves.
func (r *run) alarmed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Alarm != ""
}

// backWords are what a rollback would do now: first things first, the middle of many left out.
func (r *run) backWords() string {
	var titles []string
	r.mu.Lock()
	for _, id := range r.standing() {
		if p := r.pasts[id]; !p.acted && !p.doing { // it is about to act
			continue
		}
		back := r.step(id).Step.Back()
		if back.Title != "" && back.Risk != ops.Harmless && !slices.Contains(titles, back.Title) {
			titles = append(titles, back.Title)
		}
	}
	r.mu.Unlock()
	if n := len(titles); n > 3 {
		titles = []string{titles[0], fmt.Sprintf("%d more", n-2), titles[n-1]}
	}
	return strings.Join(titles, ", ")
}

// sameReason tells whether two texts give the same reason. Numbers do not make a difference:
// ages and ports change with every look.
func sameReason(a, b string) bool {
	bare := func(text string) string {
		return strings.Map(func(c rune) rune {
			if c >= '0' && c <= '9' {
				return -1
			}
			return c
		}, text)
	}
	return bare(a) == bare(b)
}

// sight is what a look for holds found.
type sight struct {
	gone  error // the lock is not this run's any more
	still map[*hold]string
}

// lookAgain tells of each hold why it still stands; one that is not in the map may begin anew.
// It puts nothing on the record.
func (r *run) lookAgain(ctx context.Context, holds []*hold) sight {
	var locked error
	if holds[0].step.ID != "" {
		locked = r.stillLocked(ctx, true)
		if l := (*later)(nil); locked != nil && !errors.As(locked, &l) && (r.elsewhere() != nil || !lettingGo(holds)) {
			return sight{gone: locked}
		}
	}
	var guards []ops.Guard
	for _, h := range holds {
		guards = append(guards, h.guards...)
	}
	snap, blind := r.look(ctx, guards)
	s := sight{still: map[*hold]string{}}
	for _, h := range holds {
		switch h.kind {
		case asked:
			s.still[h] = h.said
		case lost:
			if text := unseen(&snap, blind, h); text != "" {
				s.still[h] = text + ": waiting"
			}
		case unmet:
			now := *h
			if now.err = r.holdsStill(ctx, h, &snap, blind, locked); now.err != nil {
				s.still[h] = r.words(&now)
			}
		}
	}
	return s
}

// lettingGo tells whether all that waits are acts that can do no harm, begun and not answered: what
// was released then may be the lock itself, and the step finds that when it begins anew.
func lettingGo(holds []*hold) bool {
	return !slices.ContainsFunc(holds, func(h *hold) bool { return h.kind != lost || h.hurts })
}

// holdsStill looks at what keeps a step from acting, without a record.
func (r *run) holdsStill(ctx context.Context, h *hold, snap *ops.Snapshot, blind, locked error) error {
	if h.hurts && locked != nil {
		return locked
	}
	side := r.side(h.step)
	if err := unmetOf(side, r.evaluate(side, h.guards, snap, blind)); err != nil || !h.blocked {
		return err
	}
	env := r.env(h.step.ID)
	env.Log = silent{env.Log}
	_, err := r.check(ctx, h.step, env)
	return err
}

// silent is a step's log that keeps lines of progress off the record.
type silent struct{ ops.Log }

func (silent) Say(string) {}

// unseen says who, of those the hold waits for, did not answer the look; empty: all do. The
// error of an act does not always tell a host from the balancer: where the host was there all
// the time, it is the balancer that is waited for.
func unseen(snap *ops.Snapshot, blind error, h *hold) string {
	if blind != nil {
		return "the pair cannot be read"
	}
	sides := []ops.Side{h.side}
	switch {
	case h.step.ID == "": // the lock is to be taken on both
		sides = ops.Sides[:]
	case h.side == "":
		sides = nil
	}
	for _, side := range sides {
		on := snap.On(side)
		h.away = h.away || on.Host.Err != nil || on.Engine.Err != nil
		switch {
		case on.Host.Err != nil:
			return side.Upper() + " cannot be reached"
		case h.step.ID != "" && on.Engine.Err != nil:
			return "the engine of " + side.Upper() + " does not answer"
		}
	}
	if !h.away && snap.Balancer.Look.Err != nil {
		return "the balancer does not answer"
	}
	return ""
}
