package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/ops"
)

// holding is what a driver waits for: jobs that are to begin anew. One goroutine at a time
// looks whether they may; the driver itself never waits for the pair.
type holding struct {
	holds  []*hold
	told   bool // the record says that the run is paused for them
	waited map[string]time.Duration
	timer  <-chan time.Time // until the next look
	seen   chan sight
	cancel context.CancelFunc // of the look under way, nil: none is
}

func newHolding() holding {
	return holding{seen: make(chan sight, 1), waited: map[string]time.Duration{}}
}

// nextLook is when to look again: never where there is nothing to wait for, a look is under
// way, or the run ends.
func (d *driver) nextLook() <-chan time.Time {
	if len(d.holds) == 0 || d.cancel != nil || d.ending != finished {
		d.timer = nil
	} else if d.timer == nil {
		d.timer = time.After(d.run.cfg.Wait)
	}
	return d.timer
}

func (h *holding) begin(ctx context.Context, r *run) {
	h.timer = nil
	ctx, h.cancel = context.WithCancel(ctx)
	holds := slices.Clone(h.holds)
	go func() { h.seen <- r.lookAgain(ctx, holds) }()
}

// hold makes the job wait and says so.
func (d *driver) hold(h *hold) {
	h.since = d.run.cfg.Env.Now()
	d.holds = append(d.holds, h)
	if h.kind == lost && d.waits(h) >= d.run.patience() { // looks see an answer, the step never gets one
		d.giveUp(h)
		return
	}
	d.tell(h, d.run.words(h))
}

// tell puts the reason on the record, once.
func (d *driver) tell(h *hold, words string) {
	if h.said != "" && sameReason(h.said, words) {
		return
	}
	h.said = words
	if h.kind == lost {
		d.record(ops.Event{Kind: ops.EvSay, Step: h.step.ID, Text: words})
		return
	}
	d.told = true
	d.record(ops.Event{Kind: ops.EvPaused, Step: h.step.ID, Text: words})
}

// looked lets those begin anew that may.
func (d *driver) looked(s sight) {
	d.cancel()
	d.cancel = nil
	if s.gone != nil {
		d.stop(unable, &refused{title: d.run.plan.Title, err: s.gone})
		return
	}
	for _, h := range slices.Clone(d.holds) {
		words, still := s.still[h]
		switch {
		case still && h.kind == lost && d.waits(h) >= d.run.patience():
			d.giveUp(h)
		case still:
			d.tell(h, words)
		default:
			if h.kind == lost {
				d.record(ops.Event{Kind: ops.EvSay, Step: h.step.ID, Text: "answers again: going on"})
			}
			d.again(h)
		}
	}
	if d.told && !slices.ContainsFunc(d.holds, func(h *hold) bool { return h.kind != lost }) {
		d.told = false
		if !d.pausing {
			d.record(ops.Event{Kind: ops.EvContinued})
		}
	}
}

// waits is how long the step has waited for somebody who does not answer, over all its tries.
func (d *driver) waits(h *hold) time.Duration {
	return d.waited[h.step.ID] + d.run.cfg.Env.Now().Sub(h.since)
}

// patience is how long somebody may not answer: as long as a reboot may take.
func (r *run) patience() time.Duration {
	if limit := r.cfg.Env.Pair.Limits.Reboot; limit > 0 {
		return limit
	}
	return ops.DefaultLimits().Reboot
}

func (d *driver) giveUp(h *hold) {
	h.err = &ops.Problem{Doing: "waiting for an answer", Side: h.side, Err: fmt.Errorf("none within %s: %w", d.run.patience(), h.err),
		Hint: "when it answers again: resume, or roll back"}
	d.stop(unable, h.err)
}

// again puts a job that waited before all others.
func (d *driver) again(h *hold) {
	if h.kind == lost {
		d.waited[h.step.ID] = d.waits(h)
	}
	d.holds = slices.DeleteFunc(d.holds, func(x *hold) bool { return x == h })
	delete(d.busy, h.job.id)
	if h.kind == asked {
		h.job.ask = ""
	}
	d.waiting = append([]job{h.job}, d.waiting...)
}

// goOn is what an operator's "continue" does: it ends a pause, answers what was asked, and
// tries again at once whatever is waited for.
func (d *driver) goOn() {
	d.pausing, d.paused, d.told = false, false, false
	answered := false
	for _, h := range slices.Backward(slices.Clone(d.holds)) {
		if h.kind == asked {
			answered = true
			d.record(ops.Event{Kind: ops.EvContinued, Step: h.step.ID})
		}
		d.again(h)
	}
	if !answered {
		d.record(ops.Event{Kind: ops.EvContinued})
	}
}

// letGo ends the look under way and gives every step that was begun its observation.
func (d *driver) letGo() {
	if d.cancel != nil {
		d.cancel()
		<-d.seen
	}
	for _, h := range d.holds {
		if h.kind == lost { // the record of the others says already that they have not acted
			d.observe(h)
		}
	}
}

// observe puts on the record how a try ended that is not to be followed by another.
func (d *driver) observe(h *hold) {
	kind := ops.EvRefused
	switch {
	case h.step.ID == "":
		return
	case d.run.rolling():
		kind = ops.EvUndoFailed
	case h.kind == lost:
		kind = ops.EvFailed
	}
	d.record(ended(kind, h.step.ID, h.err))
}
