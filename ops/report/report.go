// Package report makes an incident report of a run's journal: what was done, when, by whom,
// how it ended, what users had of it, how to take it back and what is still to do. As data
// ([Report], which `tandem report --json` prints) and as [Report.Markdown].
//
// It is pure: everything comes from the events and from [About]; nothing is looked up, and
// what the journal does not say is said to be unknown. Prior state, which holds environments
// and thereby secrets, is left out before anything is made of the journal; every text is made
// safe for terminals where it comes in, and for Markdown where it goes out.
//
// Times are UTC, durations seconds.
package report

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// About is what a report needs to know beyond the journal.
type About struct {
	Jobs []ops.Job // of the pair
	Live bool      // a process carries out the run
}

// Outcomes of a run that has none of its own: it has not ended.
const (
	UnderWay = "under way"
	CutShort = "cut short" // the process that carried it out is gone
)

// Report is a run as an incident report.
type Report struct {
	Schema   int          `json:"schema"`
	Run      string       `json:"run"`
	Pair     string       `json:"pair"`
	Op       ops.Op       `json:"op"`
	Title    string       `json:"title"`
	By       string       `json:"by"` // user@machine
	Reason   string       `json:"reason"`
	Started  time.Time    `json:"started"`
	Ended    *time.Time   `json:"ended"` // nil: it has not
	Took     float64      `json:"took_s"`
	Outcome  string       `json:"outcome"` // an ops.Outcome, UnderWay or CutShort
	HalfWay  bool         `json:"half_way"`
	Summary  string       `json:"summary"`
	Timeline []Entry      `json:"timeline"`
	Out      []Window     `json:"out_of_service"`
	Actions  []Act        `json:"actions"`
	Checks   []Check      `json:"checks"`
	Risks    []Risk       `json:"risks"`
	Versions []VersionsOf `json:"versions"`
	Served   *Served      `json:"served"` // nil: the balancer's counters are not in the journal
	Changes  []Change     `json:"changes"`
	Undo     Undo         `json:"undo"`
	Lost     []Loss       `json:"lost"`
	Volumes  []Volumes    `json:"volumes"`
	ToDo     []string     `json:"to_do"`
}

// Window is a time in which a side was out of service by the run's hand.
type Window struct {
	Side ops.Side   `json:"side"`
	From time.Time  `json:"from"`
	To   *time.Time `json:"to"` // nil: it still is
}

// Check is a guard of the steps of a side, over all its readings.
type Check struct {
	Guard string   `json:"guard"`
	Side  ops.Side `json:"side"`
	Read  int      `json:"read"`
	Last  string   `json:"last"` // what was seen last
	// Not are the readings that did not pass, each reason once.
	Not []Reading `json:"not_passed"`
}

// Reading is a guard that did not pass.
type Reading struct {
	At       time.Time      `json:"at"`
	Step     string         `json:"step"`
	State    ops.CheckState `json:"state"`
	Text     string         `json:"text"`
	Hint     string         `json:"hint"`
	Accepted bool           `json:"accepted"`
}

// Risk is a guard accepted by an operator.
type Risk struct {
	At     time.Time `json:"at"`
	Guard  string    `json:"guard"`
	Reason string    `json:"reason"`
}

// VersionsOf are a side's versions, as first and last seen by the run; empty: not recorded.
type VersionsOf struct {
	Side          ops.Side `json:"side"`
	EngineBefore  string   `json:"engine_before"`
	EngineAfter   string   `json:"engine_after"`
	ComposeBefore string   `json:"compose_before"`
	ComposeAfter  string   `json:"compose_after"`
}

// Served is what the balancer counted from the first record to the last.
type Served struct {
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
}

// Change is an act that stands.
type Change struct {
	Side ops.Side `json:"side"`
	What string   `json:"what"`
	Back string   `json:"back"` // what a rollback does; empty: it cannot be taken back

	kind string // of the step
}

// Undo is how the run is taken back; zero: there is nothing that could be.
type Undo struct {
	Command string `json:"command"`
	Text    string `json:"text"` // what it can and cannot
}

// Loss is what could not be kept of something made anew.
type Loss struct {
	Side ops.Side `json:"side"`
	Name string   `json:"name"`
	What []string `json:"what"`
}

// Volumes are the anonymous volumes of a container that was removed.
type Volumes struct {
	Side      ops.Side `json:"side"`
	Container string   `json:"container"`
	Volumes   []string `json:"volumes"`
}

// Make makes the report of a run.
func Make(events []ops.Event, about About) Report {
	events = clean(events)
	run := ops.Replay(events)
	m := maker{run: &run, about: about, versions: map[ops.Side]int{}, Report: Report{
		Schema: 1, Run: run.ID, Pair: run.Plan.Pair, Op: run.Plan.Op, Title: run.Plan.Title, By: run.By, Reason: run.Plan.Request.Reason,
		Started: run.Started.UTC(), Timeline: []Entry{}, Out: []Window{}, Actions: []Act{}, Checks: []Check{}, Risks: []Risk{},
		Versions: []VersionsOf{}, Changes: []Change{}, Lost: []Loss{}, Volumes: []Volumes{}, ToDo: []string{},
	}}
	for _, risk := range run.Plan.Request.Accept {
		m.risk(m.Started, risk, m.Reason)
	}
	for _, e := range events {
		e.At = e.At.UTC()
		m.tell(e)
		m.record(e)
		m.last = e.At
	}
	m.end()
	m.Summary = m.summary()
	m.changes()
	m.toDo()
	return m.Report
}

type maker struct {
	Report
	run   *ops.Run
	about About
	last  time.Time
	// For the timeline and the summary.
	owner   ops.Owner
	alive   bool      // a process carries it out, as far as was read
	paused  time.Time // since when; zero: it is not
	pauses  int
	waited  time.Duration // in pauses
	resumes int
	gone    int    // processes that ended without a word
	why     string // it did not go on
	// How many records there are: one is before, two are before and after.
	versions map[ops.Side]int
	served   int
}

func (m *maker) end() {
	m.Outcome, m.HalfWay = string(m.run.Outcome), m.run.Unfinished() && !m.about.Live
	switch ended := m.run.Ended.UTC(); {
	case !m.run.Ended.IsZero():
		m.Ended = &ended
	case m.about.Live:
		m.Outcome = UnderWay
	default:
		m.Outcome = CutShort
		m.lost()
	}
	m.Took = seconds(m.last.Sub(m.Started))
	slices.SortStableFunc(m.Checks, func(a, b Check) int { return order(a.Side) - order(b.Side) })
	told := &m.run.Told
	if requests, failed, known := ops.Since(told.ServedBefore, told.ServedAfter); known && m.served > 1 {
		m.Served = &Served{requests, failed}
	}
	for _, side := range ops.Sides {
		v := VersionsOf{Side: side, EngineBefore: told.Before[side].Engine, ComposeBefore: told.Before[side].Compose}
		if m.versions[side] > 1 {
			v.EngineAfter, v.ComposeAfter = told.After[side].Engine, told.After[side].Compose
		}
		if m.versions[side] > 0 {
			m.Versions = append(m.Versions, v)
		}
	}
	for _, l := range told.Lost {
		// What was made anew is gone with the step that made it; what a removal has lost was
		// lost in taking it back.
		s := m.run.Step(l.Step)
		if s == nil || s.Phase != ops.Undone || strings.HasPrefix(s.Doc.Kind, "remove") {
			m.Lost = append(m.Lost, Loss{m.side(s), l.Name, l.What})
		}
	}
}

func order(side ops.Side) int { return slices.Index(ops.Sides[:], side) }

// side is whom a step is about: of the pair as a whole it is none.
func (m *maker) side(s *ops.RunStep) ops.Side {
	switch {
	case s == nil || s.Doc.Kind == "lock" || s.Doc.Kind == "unlock":
		return ""
	case s.Doc.Side == "":
		return m.run.Plan.Side
	}
	return s.Doc.Side
}

// record reads what steps put on the record, and the guards.
func (m *maker) record(e ops.Event) {
	step := m.run.Step(e.Step)
	switch name, volumes := cutVolumes(e); {
	case e.Kind == ops.EvGuard && step != nil:
		m.check(e, m.side(step))
	case e.Kind == ops.EvAccepted:
		if risk := (ops.Risk{}); json.Unmarshal(e.Data, &risk) == nil {
			m.risk(e.At, risk, "")
		}
	case e.Kind != ops.EvRecord:
	case volumes:
		v := Volumes{Side: m.side(step), Container: name}
		if json.Unmarshal(e.Data, &v.Volumes) == nil {
			m.Volumes = append(m.Volumes, v)
		}
	case e.Text == ops.VersionsKey:
		m.versions[m.side(step)]++
	case e.Text == ops.ServedKey:
		m.served++
	}
}

func (m *maker) risk(at time.Time, risk ops.Risk, reason string) {
	if risk.Reason != "" {
		reason = risk.Reason
	}
	m.Risks = append(m.Risks, Risk{at, risk.String(), reason})
}

func (m *maker) check(e ops.Event, side ops.Side) {
	var c ops.Check
	if json.Unmarshal(e.Data, &c) != nil {
		return
	}
	i := slices.IndexFunc(m.Checks, func(have Check) bool { return have.Guard == c.Guard && have.Side == side })
	if i < 0 {
		i = len(m.Checks)
		m.Checks = append(m.Checks, Check{Guard: c.Guard, Side: side, Not: []Reading{}})
	}
	at := &m.Checks[i]
	at.Read, at.Last = at.Read+1, c.Text
	if c.State == ops.Pass || c.State == ops.Remark || slices.ContainsFunc(at.Not, func(r Reading) bool { return r.Text == c.Text && r.State == c.State }) {
		return
	}
	at.Not = append(at.Not, Reading{e.At, e.Step, c.State, c.Text, c.Hint, c.Accepted})
}
