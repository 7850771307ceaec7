package tui

import (
	"context"
	"errors"
	"slices"
	"time"

	"tandem/ops"
)

// Replay plays a run from its journal, with the journal's own times: it is the Backend of a
// console that shows the run as it was. It knows of no host, and carries nothing out. Times are
// counted from the beginning of the run; a position is a time in which long silences are short.
type Replay struct {
	pair   ops.Pair
	events []ops.Event
	past   func(title string) time.Duration
	wall   func() time.Time

	at    []time.Duration // the position of each event
	marks []time.Duration // where steps begin, and the end

	speed   float64
	playing bool
	pos     time.Duration
	since   time.Time // on the wall: when pos was that
	played  int       // events up to pos
	run     ops.Run
	serves  serving
	shown   *ops.Run
}

// longest is how long a silence of the journal lasts in a replay at most, at its own speed.
const longest = 4 * time.Second

// The speeds of a replay, times that of the run.
const leastSpeed, mostSpeed = 0.25, 64

// NewReplay plays the events of a run, from now on by the clock. past tells how long a step of a
// title took before this run; 0: not known.
func NewReplay(pair ops.Pair, events []ops.Event, past func(title string) time.Duration, speed float64, wall func() time.Time) *Replay {
	r := &Replay{pair: pair, events: events, past: past, wall: wall, speed: speed, playing: true, since: wall()}
	for i, e := range events {
		var pos time.Duration
		if i > 0 {
			pos = r.at[i-1] + min(max(r.gap(i), 0), longest)
		}
		r.at = append(r.at, pos)
		switch e.Kind {
		case ops.EvIntent, ops.EvUndoIntent, ops.EvResumed, ops.EvEnded:
			r.marks = append(r.marks, pos)
		}
	}
	r.marks = append(append([]time.Duration{0}, r.marks...), r.end())
	r.marks = slices.Compact(r.marks)
	r.settle()
	return r
}

// gap is how long nothing was recorded before an event.
func (r *Replay) gap(i int) time.Duration { return r.events[i].At.Sub(r.events[i-1].At) }

func (r *Replay) end() time.Duration {
	if len(r.at) == 0 {
		return 0
	}
	return r.at[len(r.at)-1]
}

func (r *Replay) ended() bool { return r.pos >= r.end() }

// advance goes on to the present.
func (r *Replay) advance() {
	now := r.wall()
	if r.playing {
		r.pos += time.Duration(float64(now.Sub(r.since)) * r.speed)
	}
	r.since = now
	r.settle()
}

// settle brings the run to where the position is.
func (r *Replay) settle() {
	r.pos = max(0, min(r.pos, r.end()))
	r.playing = r.playing && !r.ended()
	upTo, exact := slices.BinarySearch(r.at, r.pos)
	for exact && upTo < len(r.at) && r.at[upTo] == r.pos {
		upTo++
	}
	if upTo == r.played && r.shown != nil {
		return
	}
	if upTo < r.played {
		r.run, r.serves, r.played = ops.Run{}, serving{}, 0
	}
	for _, e := range r.events[r.played:upTo] {
		r.run.Apply(e)
		r.serves.apply(&r.run, e)
	}
	if r.played = upTo; upTo == len(r.events) && r.run.Live() { // its process ended without a word
		r.run.Ended, r.run.Outcome = r.run.LastAt, ops.OutcomeStopped
	}
	r.shown = r.run.Clone()
}

// toggle pauses, goes on, or begins anew where the end is reached.
func (r *Replay) toggle() {
	r.advance()
	if r.ended() {
		r.pos = 0
	}
	r.playing = !r.playing
	r.settle()
}

// step goes to where the next step begins, or to where the present one began; from there to the
// one before.
func (r *Replay) step(on bool) {
	r.advance()
	to := r.end()
	if on {
		if i := slices.IndexFunc(r.marks, func(m time.Duration) bool { return m > r.pos }); i >= 0 {
			to = r.marks[i]
		}
	} else {
		from := r.pos
		if r.playing { // it has gone on since the key before
			from -= time.Duration(float64(time.Second) * r.speed)
		}
		to = 0
		for _, m := range r.marks {
			if m < from {
				to = m
			}
		}
	}
	r.pos = to
	r.settle()
}

// hasten doubles the speed, or halves it.
func (r *Replay) hasten(by float64) {
	r.advance()
	r.speed = max(leastSpeed, min(r.speed*by, mostSpeed))
}

// Clock is what time it was.
func (r *Replay) Clock() time.Time {
	if r.played == 0 {
		return time.Time{}
	}
	i := r.played - 1
	at := r.events[i].At
	if r.played == len(r.events) || r.gap(r.played) <= 0 {
		return at
	}
	part := float64(r.pos-r.at[i]) / float64(r.at[i+1]-r.at[i])
	return at.Add(time.Duration(part * float64(r.gap(r.played))))
}

// silence is how long nothing is recorded here, where that is made short, and how long it lasts
// in the replay; 0: not so.
func (r *Replay) silence() (real, played time.Duration) {
	if r.played == 0 || r.played == len(r.events) || r.gap(r.played) <= longest {
		return 0, 0
	}
	return r.gap(r.played), time.Duration(float64(longest) / r.speed)
}

// serving is what a journal tells of who serves. What it does not tell stays unknown.
type serving map[ops.Side]ops.Traffic

func (t *serving) apply(run *ops.Run, e ops.Event) {
	if *t == nil {
		*t = serving{}
	}
	set := func(side ops.Side, word ops.Traffic) { (*t)[side] = word }
	s := run.Step(e.Step)
	if s == nil {
		if e.Kind == ops.EvAlarm { // nobody serves; why is in its text
			clear(*t)
		}
		return
	}
	side := s.Doc.Side
	if side == "" {
		side = run.Plan.Side
	}
	if e.Kind == ops.EvGuard && len(s.Checks) > 0 {
		if c := s.Checks[len(s.Checks)-1]; c.Guard == peerInService && c.State == ops.Pass {
			set(side.Peer(), ops.InService)
		}
		return
	}
	over := e.Kind == ops.EvDone || e.Kind == ops.EvAlreadyDone
	switch {
	case s.Doc.Kind == "drain" && e.Kind == ops.EvSay:
		set(side, ops.Draining)
	case s.Doc.Kind == "drain" && over:
		set(side, ops.Out)
	case s.Doc.Kind == "put-back" && over:
		set(side, ops.InService)
	case s.Doc.Kind == "drain" || s.Doc.Kind == "put-back":
		switch e.Kind {
		case ops.EvFailed, ops.EvUndone, ops.EvUndoFailed:
			set(side, ops.Unknown)
		}
	}
}

// peerInService is the guard that has looked whether the peer serves, as the steps know it.
const peerInService = "peer-in-service"

// What the screen reads.

// Changed implements [Backend], as do the methods below: nothing changes by itself.
func (*Replay) Changed() <-chan struct{} { return nil }

// Snapshot has who served, and nothing else.
func (r *Replay) Snapshot() ops.Snapshot {
	snap := ops.Snapshot{Pair: r.pair, At: r.Clock()}
	snap.Balancer.Look.At = snap.At
	for _, side := range ops.Sides {
		snap.Balancer.On(side).Traffic = r.serves[side]
	}
	return snap
}

func (r *Replay) Run() *ops.Run                    { return r.shown }
func (*Replay) Timeline() []ops.Moment             { return nil }
func (r *Replay) Usual(title string) time.Duration { return r.past(title) }
func (*Replay) ReadOnly() bool                     { return true }

// errReplay refuses everything else.
var errReplay = &ops.Problem{Doing: "acting in a replay", Err: errors.New("what is shown here is over"), Hint: "open the console: tandem"}

func (*Replay) SetReadOnly(on bool) error {
	if on {
		return nil
	}
	return errReplay
}

func (*Replay) Plan(context.Context, ops.Request) (ops.Plan, error) { return ops.Plan{}, errReplay }
func (*Replay) Start(context.Context, ops.Plan) error               { return errReplay }
func (*Replay) PlanRollback(context.Context, string) (ops.Plan, error) {
	return ops.Plan{}, errReplay
}
func (*Replay) Rollback(context.Context, string, ops.Plan) error { return errReplay }
func (*Replay) Resume(context.Context, string, []ops.Risk) error { return errReplay }
func (*Replay) Ask(context.Context, string, ops.Ask) error       { return errReplay }
func (*Replay) Note(context.Context, string, string) error       { return errReplay }
func (*Replay) Markdown(string, []ops.Moment) string             { return "" }
func (*Replay) Past(context.Context) ([]ops.Run, error)          { return nil, errReplay }
func (*Replay) Images(context.Context, ops.Side, string) ([]ImageChoice, error) {
	return nil, errReplay
}
func (*Replay) Versions(context.Context, ops.Side, bool) ([]VersionChoice, error) {
	return nil, errReplay
}
func (*Replay) Logs(context.Context, ops.Side, string, LogSpan, func(LogLine)) error {
	return errReplay
}
func (*Replay) Inspect(context.Context, ops.Side, string) ([]ops.Detail, error) {
	return nil, errReplay
}
func (*Replay) Sample(context.Context, ops.Side, []string) ([]ops.Sample, error) {
	return nil, errReplay
}
func (*Replay) Shell(context.Context, ops.Side, string) (Shell, error) { return nil, errReplay }
