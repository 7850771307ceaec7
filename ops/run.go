package ops

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// EventKind is the kind of a journal event.
type EventKind string

// The events of a run, in the order in which a step meets them. Intent is synced before
// the guards are read; Done, AlreadyDone and Failed are the observation.
const (
	EvStarted     EventKind = "started"      // Data: PlanDoc; Text: by whom, from where
	EvIntent      EventKind = "intent"       // a step is about to be carried out
	EvGuard       EventKind = "guard"        // Data: Check
	EvRecord      EventKind = "record"       // prior state; Text: key, Data: value
	EvSay         EventKind = "say"          // a line of progress
	EvDone        EventKind = "done"         // done and verified
	EvAlreadyDone EventKind = "already-done" // nothing had to be done
	EvSkipped     EventKind = "skipped"      // not needed, Text: why
	EvFailed      EventKind = "failed"       // Text: why, with what to do; Data, as for the next: Advice
	EvRefused     EventKind = "refused"      // a guard did not pass; Text: why
	EvAsked       EventKind = "asked"        // an operator's request; Text: Ask
	EvPaused      EventKind = "paused"       // Text: why; with a step: before that step, which has not acted
	EvContinued   EventKind = "continued"    // with a step: what was asked before it is answered
	EvResumed     EventKind = "resumed"      // a new runner goes on; Text: by whom, from where
	EvRollback    EventKind = "rollback"
	EvUndoIntent  EventKind = "undo-intent"
	EvUndone      EventKind = "undone"
	EvNoUndo      EventKind = "no-undo"
	EvUndoFailed  EventKind = "undo-failed"
	EvAccepted    EventKind = "accepted" // a risk accepted while the run was under way; Data: Risk
	EvNote        EventKind = "note"     // typed by an operator
	// Seen beside the steps of a run that has a side out: that nobody serves, Text: and what
	// helps; that somebody does again.
	EvAlarm    EventKind = "alarm"
	EvAllClear EventKind = "all-clear"
	EvEnded    EventKind = "ended" // Text: Outcome
)

// Event is one line of a journal. Hash chains it to the one before.
type Event struct {
	Seq  int             `json:"seq"`
	At   time.Time       `json:"at"`
	Kind EventKind       `json:"kind"`
	Step string          `json:"step,omitempty"`
	Text string          `json:"text,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
	Prev string          `json:"prev"`
	Hash string          `json:"hash"`
}

// Outcome is how a run ended.
type Outcome string

// Outcomes. Stopped and Failed leave the lock: resume or roll back.
const (
	OutcomeDone       Outcome = "done"
	OutcomeFailed     Outcome = "failed"  // half-way, or with all taken back: see Run.Unfinished
	OutcomeRefused    Outcome = "refused" // nothing was changed
	OutcomeStopped    Outcome = "stopped"
	OutcomeRolledBack Outcome = "rolled-back"
	// OutcomeUnknown is in no journal: the lock of a run of another machine is gone, and only
	// that machine knows how the run ended.
	OutcomeUnknown Outcome = "unknown"
)

// Ask is an operator's request to a run under way.
type Ask string

// What may be asked of a run.
const (
	AskPause    Ask = "pause" // after the present steps
	AskContinue Ask = "continue"
	AskStop     Ask = "stop" // after the present steps; the run can be resumed
	AskRollback Ask = "roll-back"
)

// StepPhase is where a step of a run stands.
type StepPhase string

// The phases of a step.
const (
	Waiting    StepPhase = "waiting"
	Running    StepPhase = "running"
	Done       StepPhase = "done"
	Already    StepPhase = "already-done"
	Skipped    StepPhase = "skipped"
	Failed     StepPhase = "failed"
	Refused    StepPhase = "refused"
	TakingBack StepPhase = "undoing"
	Undone     StepPhase = "undone"
	UndoFailed StepPhase = "undo-failed"
)

// Run is a run as its journal tells it.
type Run struct {
	ID      string
	Plan    PlanDoc
	By      string // user@machine
	Started time.Time
	Ended   time.Time // zero: not ended
	Outcome Outcome
	Paused  bool
	// PauseText is why the run is paused, and what helps; a question where it was paused to
	// ask. Empty: not paused.
	PauseText string
	Alarm     string // that nobody serves, and what helps; empty: not known to be so
	Accepted  []Risk // while the run was under way; those of the start are in Plan.Request
	Asked     Ask    // last request not yet carried out
	Rolling   bool
	Steps     []RunStep // in plan order
	Lines     []RunLine // progress, oldest first, at most RunLines of them
	LastAt    time.Time // of the last event
	Events    int
	Told
}

// RunLines is how many lines of progress a Run keeps.
const RunLines = 500

// RunStep is a step of a run.
type RunStep struct {
	Doc     StepDoc
	Phase   StepPhase
	Started time.Time
	Ended   time.Time
	Text    string // last line, or why it failed
	Hint    string // what to do where it failed; the text ends with it, in brackets
	Risks   []Risk // with one of which accepted the run goes on without it
	Checks  []Check
}

// Unmet are the checks that kept the step from acting.
func (s *RunStep) Unmet() []Check {
	var unmet []Check
	for _, c := range s.Checks {
		if !c.Allows() {
			unmet = append(unmet, c)
		}
	}
	return unmet
}

// Advice is what to do about a step that did not succeed.
type Advice struct {
	Hint  string `json:"hint"`
	Risks []Risk `json:"risks,omitempty"`
}

// Why is the text without what to do about it.
func (s *RunStep) Why() string {
	if s.Hint == "" {
		return s.Text
	}
	return strings.TrimSuffix(s.Text, " ("+s.Hint+")")
}

// RunLine is a line of progress.
type RunLine struct {
	At   time.Time
	Step string
	Kind EventKind
	Text string
}

// Live tells whether the run has started and not ended.
func (r *Run) Live() bool { return !r.Started.IsZero() && r.Ended.IsZero() }

// Unfinished tells whether the run left something to resume or to roll back: it has not
// ended, or it ended half-way. A run that failed before anything that can hurt was tried has
// taken back the little that it did: that is a rollback on the record, and nothing is left.
func (r *Run) Unfinished() bool {
	if r.Started.IsZero() {
		return false
	}
	return r.Ended.IsZero() || r.Outcome == OutcomeStopped || r.Outcome == OutcomeFailed && !r.Rolling
}

// Counts returns how many steps are over and how many there are, skipped ones left out.
func (r *Run) Counts() (over, of int) {
	for _, s := range r.Steps {
		if s.Phase == Skipped {
			continue
		}
		of++
		if s.Phase == Done || s.Phase == Already {
			over++
		}
	}
	return over, of
}

// Step finds a step by id, nil if there is none.
func (r *Run) Step(id string) *RunStep {
	for i := range r.Steps {
		if r.Steps[i].Doc.ID == id {
			return &r.Steps[i]
		}
	}
	return nil
}

// Replay tells a run from its events. Unknown kinds are passed over, so that an older
// console can follow a newer runner.
func Replay(events []Event) Run {
	var r Run
	for i := range events {
		r.Apply(events[i])
	}
	return r
}

// OwnerKey is under which, without a step, the process that took the lock for the run is
// recorded: an [Owner].
const OwnerKey = "owner"

// Owner is a process that carries out a run, or did.
type Owner struct {
	By   string `json:"by,omitempty"` // user
	From string `json:"from"`         // machine
	PID  int    `json:"pid"`
}

// Owner is whose mark it is.
func (l LockInfo) Owner() Owner { return Owner{l.By, l.From, l.PID} }

// Replaces tells whether whoever takes the lock with l may put its mark in the place of another
// mark of the same run: its own, one of l.Former, or one whose maker was cut short before it
// said who it was. A former owner that has given a sign of life since it was found left alone is
// at work again, and what it did then is not on the record of l's owner.
func (l LockInfo) Replaces(mark LockInfo) bool {
	if mark.Owner() == l.Owner() || mark.PID == 0 && mark.Beat.IsZero() {
		return true
	}
	return slices.ContainsFunc(l.Former, func(f LockInfo) bool {
		return f.Owner() == mark.Owner() && (f.Beat.IsZero() || f.Stopped && mark.Stopped || !mark.Beat.After(f.Beat))
	})
}

// TakesLock tells whether a process has recorded with the event that it took the lock.
func (e Event) TakesLock() bool { return e.Kind == EvRecord && e.Step == "" && e.Text == OwnerKey }

// Rightful is which of two records of one run counts: the longer, where it goes on from the
// other. Where they part, a run was resumed elsewhere while its former owner, cut off from the
// hosts, still wrote: then the one whose owner took the lock last.
func Rightful(a, b []Event) []Event {
	parted := 0
	for parted < len(a) && parted < len(b) && a[parted].Hash == b[parted].Hash {
		parted++
	}
	last := func(events []Event) time.Time {
		var at time.Time
		for _, e := range events[parted:] {
			if e.TakesLock() {
				at = e.At
			}
		}
		return at
	}
	if parted < len(a) && parted < len(b) {
		if c := last(a).Compare(last(b)); c > 0 {
			return a
		} else if c < 0 {
			return b
		}
	}
	if len(b) > len(a) {
		return b
	}
	return a
}

// Apply adds one event.
func (r *Run) Apply(e Event) {
	r.LastAt, r.Events = e.At, r.Events+1
	if e.Kind == EvStarted {
		var doc PlanDoc
		if json.Unmarshal(e.Data, &doc) == nil {
			r.ID, r.Plan = doc.ID, doc
			r.Steps = nil
			for _, s := range doc.Steps {
				r.Steps = append(r.Steps, RunStep{Doc: s, Phase: Waiting})
			}
		}
		r.By, r.Started = e.Text, e.At
		return
	}
	r.applyRun(e)
	r.Told.apply(e)
	if s := r.Step(e.Step); s != nil {
		s.apply(e)
	}
	if e.Text != "" && e.Kind != EvRecord {
		r.Lines = append(r.Lines, RunLine{At: e.At, Step: e.Step, Kind: e.Kind, Text: e.Text})
		if len(r.Lines) > RunLines {
			r.Lines = append(r.Lines[:0:0], r.Lines[len(r.Lines)-RunLines:]...)
		}
	}
}

func (r *Run) applyRun(e Event) {
	switch e.Kind {
	case EvAsked:
		r.Asked = Ask(e.Text)
		return
	case EvPaused:
		r.Paused, r.PauseText, r.Asked = true, e.Text, ""
		return
	case EvContinued:
		r.Asked = ""
	case EvResumed:
		r.Asked, r.Ended, r.Outcome = "", time.Time{}, ""
	case EvRollback:
		r.Rolling, r.Asked, r.Ended, r.Outcome = true, "", time.Time{}, ""
	case EvEnded:
		r.Ended, r.Outcome, r.Asked, r.Alarm = e.At, Outcome(e.Text), "", ""
	case EvAlarm:
		r.Alarm = e.Text
		return
	case EvAllClear:
		r.Alarm = ""
		return
	case EvAccepted:
		var risk Risk
		if json.Unmarshal(e.Data, &risk) == nil {
			r.Accepted = append(r.Accepted, risk)
		}
		return
	default:
		return
	}
	r.Paused, r.PauseText = false, ""
}

func (s *RunStep) apply(e Event) {
	finish := func(phase StepPhase) {
		s.Phase, s.Ended = phase, e.At
		if e.Text != "" {
			s.Text = e.Text
		}
		var advice Advice
		if json.Unmarshal(e.Data, &advice) == nil {
			s.Hint, s.Risks = advice.Hint, advice.Risks
		}
	}
	switch e.Kind {
	case EvIntent:
		s.Phase, s.Started, s.Ended, s.Text, s.Hint, s.Risks, s.Checks = Running, e.At, time.Time{}, "", "", nil, nil
	case EvUndoIntent:
		s.Phase, s.Started, s.Ended, s.Text, s.Hint = TakingBack, e.At, time.Time{}, "", ""
	case EvGuard:
		var c Check
		if json.Unmarshal(e.Data, &c) == nil {
			s.Checks = append(s.Checks, c)
		}
	case EvSay:
		s.Text = e.Text
	case EvPaused:
		if s.Phase == Running { // it has not acted, and begins anew
			s.Phase = Waiting
		}
		s.Text = e.Text
	case EvDone:
		finish(Done)
	case EvAlreadyDone:
		finish(Already)
	case EvSkipped:
		finish(Skipped)
	case EvFailed:
		finish(Failed)
	case EvRefused:
		finish(Refused)
	case EvUndone:
		finish(Undone)
	case EvNoUndo: // what had failed is not done by that
		if s.Phase != Failed {
			finish(Done)
		}
	case EvUndoFailed:
		finish(UndoFailed)
	}
}

// Clone is a copy that later events do not change.
func (r *Run) Clone() *Run {
	c := *r
	c.Steps = append([]RunStep(nil), r.Steps...)
	c.Lines = append([]RunLine(nil), r.Lines...)
	c.Accepted = append([]Risk(nil), r.Accepted...)
	return &c
}
