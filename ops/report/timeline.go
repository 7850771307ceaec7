package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// Entry is a line of the timeline.
type Entry struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // that of the event; "gone" where a process ended without a word
	Side ops.Side  `json:"side"`
	Step string    `json:"step"`
	Text string    `json:"text"`
	// Acts of one kind in a row are one entry, at the end of the first.
	Acts  int        `json:"acts"`
	Until *time.Time `json:"until"`

	act string // kind of the step
}

// Act is a try of a step, or of taking it back.
type Act struct {
	Step   string     `json:"step"`
	Side   ops.Side   `json:"side"`
	What   string     `json:"what"`
	Undo   bool       `json:"undo"`
	Began  *time.Time `json:"began"` // nil: it was not
	Took   *float64   `json:"took_s"`
	Result string     `json:"result"` // see the Result words
	Text   string     `json:"text"`   // why
}

// How an act ended.
const (
	ResultDone      = "done"
	ResultAlready   = "already so"
	ResultSkipped   = "not needed"
	ResultFailed    = "did not succeed"
	ResultRefused   = "refused"
	ResultWaited    = "waited" // it did not act, and began anew later
	ResultCut       = CutShort
	ResultTakenBack = "taken back"
	ResultNoUndo    = "nothing to take back"
	ResultUnderWay  = UnderWay
)

// tell adds the event to the timeline and to the acts.
func (m *maker) tell(e ops.Event) {
	switch e.Kind {
	case ops.EvStarted:
		m.alive = true
		m.add(e, "started by "+e.Text+": "+m.Title)
	case ops.EvResumed:
		if m.alive {
			m.lost()
		}
		m.resumes++
		m.alive, m.owner = true, ops.Owner{}
		m.goesOn(e.At)
		m.add(e, "resumed by "+e.Text)
	case ops.EvRecord:
		m.owned(e)
	case ops.EvPaused:
		m.close(e, ResultWaited)
		if m.paused.IsZero() {
			m.paused = e.At
			m.pauses++
		}
		m.add(e, "paused: "+e.Text)
	case ops.EvContinued:
		m.goesOn(e.At)
		m.add(e, "continued")
	case ops.EvAsked:
		m.add(e, "asked to "+strings.ReplaceAll(e.Text, "-", " "))
	case ops.EvRollback:
		m.goesOn(e.At)
		m.add(e, "rolling back: "+e.Text)
	case ops.EvAccepted:
		m.add(e, "risk accepted: "+e.Text)
	case ops.EvAlarm:
		m.add(e, "alarm: "+e.Text)
	case ops.EvAllClear:
		m.add(e, "all clear: "+e.Text)
	case ops.EvNote:
		m.add(e, "note: "+e.Text)
	case ops.EvSay:
		// Who does not answer and what the balancer does by itself are part of the story; other
		// lines of progress are not.
		told := func(end string) bool { return strings.HasSuffix(e.Text, end) }
		if e.Step == "" || slices.ContainsFunc([]string{": waiting", ": going on", ": draining it"}, told) {
			m.add(e, e.Text)
		}
	case ops.EvEnded:
		m.alive = false
		m.goesOn(e.At)
		m.add(e, "ended: "+e.Text)
	default:
		if step := m.run.Step(e.Step); step != nil {
			m.act(e, step)
		}
	}
}

func (m *maker) act(e ops.Event, s *ops.RunStep) {
	title := s.Doc.Title
	switch e.Kind {
	case ops.EvIntent:
		m.begin(e, title, false)
	case ops.EvUndoIntent:
		m.begin(e, e.Text, true)
	case ops.EvSkipped:
		m.Actions = append(m.Actions, Act{Step: e.Step, Side: m.side(s), What: title, Result: ResultSkipped, Text: e.Text})
	case ops.EvDone:
		m.close(e, ResultDone)
		m.merge(e, s, title)
	case ops.EvAlreadyDone:
		m.close(e, ResultAlready)
	case ops.EvFailed:
		m.stands(e, ResultFailed, title+" did not succeed: "+e.Text)
	case ops.EvRefused:
		m.stands(e, ResultRefused, title+" was refused: "+e.Text)
	case ops.EvUndone:
		m.merge(e, s, m.close(e, ResultTakenBack))
	case ops.EvNoUndo:
		m.close(e, ResultNoUndo)
	case ops.EvUndoFailed:
		m.stands(e, ResultFailed, "taking back: "+m.close(e, ResultFailed)+" did not succeed: "+e.Text)
	}
	m.windows(e, s)
}

// stands is an act that did not get to its end.
func (m *maker) stands(e ops.Event, result, text string) {
	m.close(e, result)
	m.why = text
	m.add(e, text)
}

func (m *maker) begin(e ops.Event, what string, undo bool) {
	at := e.At
	m.Actions = append(m.Actions, Act{Step: e.Step, Side: m.side(m.run.Step(e.Step)), What: what, Undo: undo, Began: &at, Result: ResultUnderWay})
}

// close ends the act of the step that is under way, if one is, and returns what it was.
func (m *maker) close(e ops.Event, result string) string {
	for i := len(m.Actions) - 1; i >= 0; i-- {
		if a := &m.Actions[i]; a.Step == e.Step {
			if a.Result == ResultUnderWay {
				took := seconds(e.At.Sub(*a.Began))
				a.Took, a.Result, a.Text = &took, result, e.Text
			}
			return a.What
		}
	}
	return ""
}

// lost is a process that ended without a word, after the event before this one.
func (m *maker) lost() {
	m.gone++
	for i := range m.Actions {
		if a := &m.Actions[i]; a.Result == ResultUnderWay {
			a.Result = ResultCut
		}
	}
	text := "the process that carried it out was gone: this is the last that it recorded"
	m.Timeline = append(m.Timeline, Entry{At: m.last, Kind: "gone", Text: text})
}

// owned notes which process took the lock for the run. One that follows another which never
// said its end has found that one dead.
func (m *maker) owned(e ops.Event) {
	var owner ops.Owner
	if e.Step != "" || e.Text != ops.OwnerKey || json.Unmarshal(e.Data, &owner) != nil {
		return
	}
	if m.alive && m.owner != (ops.Owner{}) && m.owner != owner {
		m.lost()
	}
	if m.owner != owner {
		m.add(e, fmt.Sprintf("carried out by process %d on %s", owner.PID, owner.From))
	}
	m.alive, m.owner = true, owner
}

func (m *maker) goesOn(at time.Time) {
	if !m.paused.IsZero() {
		m.waited += at.Sub(m.paused)
		m.paused = time.Time{}
	}
}

func (m *maker) add(e ops.Event, text string) {
	m.Timeline = append(m.Timeline, Entry{At: e.At, Kind: string(e.Kind), Side: m.side(m.run.Step(e.Step)), Step: e.Step, Text: text})
}

// merge adds an act that was done; of several of a kind in a row the first and the last are
// named.
func (m *maker) merge(e ops.Event, s *ops.RunStep, what string) {
	if what == "" {
		return
	}
	if n := len(m.Timeline); n > 0 {
		at := &m.Timeline[n-1]
		if at.act == s.Doc.Kind && at.Side == m.side(s) && at.Kind == string(e.Kind) {
			first, _, _ := strings.Cut(at.Text, " ... ")
			until := e.At
			at.Acts, at.Until, at.Text = at.Acts+1, &until, first+" ... "+what
			return
		}
	}
	m.add(e, what)
	at := &m.Timeline[len(m.Timeline)-1]
	at.Acts, at.act = 1, s.Doc.Kind
}

// windows notes when a side went out of service and when it came back.
func (m *maker) windows(e ops.Event, s *ops.RunStep) {
	side := m.side(s)
	open := slices.IndexFunc(m.Out, func(w Window) bool { return w.Side == side && w.To == nil })
	switch kind, undone := s.Doc.Kind, e.Kind == ops.EvUndone; {
	case !undone && e.Kind != ops.EvDone && e.Kind != ops.EvAlreadyDone:
	case kind == "drain" && !undone, kind == "put-back" && undone:
		if open < 0 {
			m.Out = append(m.Out, Window{Side: side, From: e.At})
		}
	case kind == "put-back", kind == "drain":
		if open >= 0 {
			at := e.At
			m.Out[open].To = &at
		}
	}
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
