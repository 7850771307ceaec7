package runner

import (
	"context"
	"errors"
	"slices"

	"tandem/ops"
	"tandem/ops/journal"
)

// A job is a step to be done, or to be taken back, in its place.
type job struct {
	id    string
	needs []string        // jobs that must have succeeded; ids of no job are not waited for
	step  ops.PlannedStep // zero: the lock is to be taken
	ask   string          // to be answered by the operator before it begins
	// do carries it out. A *hold says that it is to begin anew when that has passed.
	do func(context.Context) error
}

// ending is why no further job begins.
type ending int

const (
	finished   ending = iota // all jobs are done
	unable                   // one did not succeed
	askedStop                // someone asked to stop
	cancelled                // the context ended
	askedBack                // someone asked to roll back
	unrecorded               // the journal cannot be written
)

// driver begins jobs, takes requests and waits. Only one goroutine uses it.
type driver struct {
	run     *run
	waiting []job
	busy    map[string]bool // begun and not succeeded
	ending  ending
	cause   error
	pausing bool // an operator asked for it
	paused  bool // as asked, and on the record
	holding
}

type result struct {
	job job
	err error
}

// drive carries out the jobs: together where they do not need each other, until all are done
// or something ends it. It returns when none is under way any more.
func (r *run) drive(ctx context.Context, jobs []job) (ending, error) {
	d := driver{run: r, waiting: jobs, busy: map[string]bool{}, holding: newHolding()}
	defer r.watch(ctx)()
	results := make(chan result)
	under := 0
	over := ctx.Done()
	for {
		for under < r.cfg.MaxParallel {
			// Between two jobs a request that has arrived comes first.
			d.poll(ctx)
			next, ok := d.next()
			if !ok {
				break
			}
			under++
			go func() { results <- result{next, next.do(ctx)} }()
		}
		if under == 0 && d.settled() {
			d.letGo()
			return d.ending, d.cause
		}
		select {
		case got := <-results:
			under--
			d.ended(ctx, got)
		case <-d.nextLook():
			d.begin(ctx, r)
		case s := <-d.seen:
			d.looked(s)
		case req, open := <-r.requests:
			d.request(req, open)
		case <-over:
			over = nil
			d.stop(cancelled, halfway(context.Cause(ctx)))
		}
	}
}

func (d *driver) ended(ctx context.Context, got result) {
	h := (*hold)(nil)
	switch {
	case got.err == nil:
		delete(d.busy, got.job.id)
		return
	case errors.As(got.err, &h):
		h.job = got.job
		if d.ending == finished && ctx.Err() == nil {
			d.hold(h)
			return
		}
		d.observe(h)
	}
	if ctx.Err() != nil { // that is why it did not succeed
		d.stop(cancelled, halfway(context.Cause(ctx)))
		return
	}
	d.stop(unable, got.err)
}

func halfway(cause error) error {
	return &ops.Problem{Doing: "stopping half-way", Err: cause, Hint: "resume or roll back"}
}

// next takes the first job whose needs have succeeded.
func (d *driver) next() (job, bool) {
	if d.ending != finished || d.pausing || len(d.holds) > 0 {
		return job{}, false
	}
	for i, j := range d.waiting {
		blocked := slices.ContainsFunc(j.needs, func(need string) bool {
			return d.busy[need] || slices.ContainsFunc(d.waiting, func(w job) bool { return w.id == need })
		})
		if !blocked {
			d.waiting = slices.Delete(slices.Clone(d.waiting), i, i+1)
			d.busy[j.id] = true
			if j.ask != "" {
				d.hold(&hold{job: j, kind: asked, step: j.step, title: j.step.Step.Title(), err: errors.New(j.ask)})
				return job{}, false
			}
			return j, true
		}
	}
	return job{}, false
}

// settled tells, with nothing under way, whether there is nothing to wait for either.
func (d *driver) settled() bool {
	if d.ending != finished || len(d.waiting)+len(d.holds) == 0 {
		return true
	}
	if d.pausing && !d.paused && !d.told {
		d.paused = true
		d.record(ops.Event{Kind: ops.EvPaused, Text: "as asked"})
	}
	return d.ending != finished
}

// stop keeps the first reason, but for a rollback: whatever went wrong, it is what someone
// now wants. A journal that cannot be written overrules everything.
func (d *driver) stop(why ending, cause error) {
	d.run.mu.Lock()
	broken := d.run.broken
	d.run.mu.Unlock()
	switch {
	case broken != nil:
		d.ending, d.cause = unrecorded, broken
	case d.ending == finished, why == askedBack && d.ending != cancelled:
		d.ending, d.cause = why, cause
	}
}

func (d *driver) poll(ctx context.Context) {
	if ctx.Err() != nil {
		d.stop(cancelled, halfway(context.Cause(ctx)))
	}
	for {
		select {
		case req, open := <-d.run.requests:
			d.request(req, open)
			if !open {
				return
			}
		default:
			return
		}
	}
}

// record puts an event on the record; where that cannot be, the run ends.
func (d *driver) record(e ops.Event) {
	if err := d.run.append(e); err != nil {
		d.stop(unrecorded, err)
	}
}

func (d *driver) request(req journal.Request, open bool) {
	if !open {
		d.run.requests = nil
		return
	}
	if err := d.run.append(req.Event()); err != nil {
		d.stop(unrecorded, err)
		return
	}
	by := req.By
	if by == "" {
		by = "an operator"
	}
	switch req.Ask {
	case ops.AskPause:
		d.pausing = true
	case ops.AskContinue:
		d.goOn()
	case ops.AskStop:
		d.stop(askedStop, halfway(errors.New("asked by "+by)))
	case ops.AskRollback:
		if !d.run.rolling() {
			d.stop(askedBack, errors.New("asked to roll back by "+by))
		}
	}
}
