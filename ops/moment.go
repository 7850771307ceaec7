package ops

import (
	"slices"
	"strings"
	"time"
)

// MomentKind is what a moment is about.
type MomentKind string

// The kinds of moments, in the order in which screens offer them.
const (
	MomentEngine   MomentKind = "engine"   // the engine and its containers
	MomentHost     MomentKind = "host"     // reboots, and the connection to it
	MomentBalancer MomentKind = "balancer" // traffic, and whether it answers
	MomentPackages MomentKind = "packages" // what a package manager did
	MomentRun      MomentKind = "run"      // what a journal tells
	MomentNote     MomentKind = "note"     // typed by an operator
	MomentFinding  MomentKind = "finding"  // one that came, changed or cleared
	MomentShell    MomentKind = "shell"    // one that was opened from here
)

// MomentKinds are all of them.
var MomentKinds = []MomentKind{
	MomentEngine, MomentHost, MomentBalancer, MomentPackages, MomentRun, MomentNote, MomentFinding, MomentShell,
}

// Moment is something that happened to the pair: a line of its timeline.
type Moment struct {
	At   time.Time  `json:"at"`
	Kind MomentKind `json:"kind"`
	Side Side       `json:"side,omitempty"` // empty: the pair
	Who  string     `json:"who,omitempty"`  // did or typed it, user@machine as far as known
	Run  string     `json:"run,omitempty"`  // id of the run whose journal tells it
	Text string     `json:"text"`
	// Finding is which one, where the moment is about one.
	Finding *FindingMoment `json:"finding,omitempty"`
}

// FindingMoment is a finding as it was when it came, changed or cleared.
type FindingMoment struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Was      string   `json:"was,omitempty"` // its title before it changed
	Cleared  bool     `json:"cleared,omitempty"`
}

// Concerns tells whether the moment is about the side: what is about the pair is about both.
func (m *Moment) Concerns(side Side) bool { return m.Side == side || m.Side == "" }

// tells are the events of a run that belong on the timeline of its pair.
var tells = []EventKind{
	EvResumed, EvPaused, EvContinued, EvRollback, EvAccepted, EvNote, EvAlarm, EvAllClear, EvFailed, EvRefused, EvUndoFailed, EvEnded,
}

// Moments are what of the run belongs on the timeline of its pair, oldest first.
func (r *Run) Moments() []Moment {
	if r.Started.IsZero() {
		return nil
	}
	side := r.Plan.Side
	if r.Plan.Request.Both {
		side = ""
	}
	of, title := side, r.Plan.Title
	var list []Moment
	add := func(at time.Time, text string) {
		list = append(list, Moment{At: at, Kind: MomentRun, Side: of, Who: r.By, Run: r.ID, Text: text})
	}
	text := title + " begun by " + r.By
	if r.Plan.Request.Reason != "" {
		text += ", because: " + r.Plan.Request.Reason
	}
	add(r.Started, text)
	ended := false
	for _, l := range r.Marks {
		ended = l.Kind == EvEnded
		of = side
		step := ""
		if s := r.Step(l.Step); s != nil {
			step = s.Doc.Title
			if s.Doc.Side != "" {
				of = s.Doc.Side
			}
		}
		switch l.Kind {
		case EvResumed:
			add(l.At, title+" resumed by "+l.Text)
			list[len(list)-1].Who = l.Text
		case EvPaused:
			add(l.At, title+" paused: "+l.Text)
		case EvContinued:
			add(l.At, title+" goes on")
		case EvRollback:
			add(l.At, title+" is being taken back: "+l.Text)
		case EvAccepted:
			add(l.At, "risk accepted: "+l.Text)
		case EvAlarm:
			add(l.At, "alarm: "+l.Text)
		case EvAllClear:
			add(l.At, "all clear: "+l.Text)
		case EvFailed:
			add(l.At, step+" did not succeed: "+l.Text)
		case EvRefused:
			add(l.At, step+" was refused: "+l.Text)
		case EvUndoFailed:
			add(l.At, "taking back "+step+" did not succeed: "+l.Text)
		case EvNote:
			who, text, known := strings.Cut(l.Text, ": ")
			if !known || !strings.Contains(who, "@") {
				who, text = "", l.Text
			}
			list = append(list, Moment{At: l.At, Kind: MomentNote, Side: side, Who: who, Run: r.ID, Text: text})
		case EvEnded:
			add(l.At, title+": "+outcomeWords(Outcome(l.Text))+", "+l.At.Sub(r.Started).Round(time.Second).String()+" after its start")
		}
	}
	if of = side; !ended && !r.Ended.IsZero() { // its journal does not say so
		add(r.Ended, title+": "+outcomeWords(r.Outcome))
	}
	return list
}

func outcomeWords(o Outcome) string {
	switch o {
	case OutcomeFailed:
		return "did not succeed"
	case OutcomeRefused:
		return "refused, nothing was changed"
	case OutcomeStopped:
		return "stopped half-way"
	case OutcomeRolledBack:
		return "taken back"
	case OutcomeUnknown:
		return "the lock is gone; how it ended is not known here"
	}
	return string(o)
}

// mark keeps what a run tells the timeline, however many lines of progress it has.
func (t *Told) mark(e Event) {
	if slices.Contains(tells, e.Kind) {
		t.Marks = append(t.Marks[:len(t.Marks):len(t.Marks)], RunLine{At: e.At, Step: e.Step, Kind: e.Kind, Text: e.Text})
	}
}
