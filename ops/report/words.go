package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tandem/ops"
)

// volumesKey begins the key under which the removal of a container records its anonymous
// volumes.
const volumesKey = "volumes "

func cutVolumes(e ops.Event) (name string, ok bool) {
	if e.Kind != ops.EvRecord {
		return "", false
	}
	return strings.CutPrefix(e.Text, volumesKey)
}

// clean are the events without prior state, whose inspects hold secrets, and with texts that
// cannot control a terminal.
func clean(events []ops.Event) []ops.Event {
	out := make([]ops.Event, 0, len(events))
	for _, e := range events {
		_, volumes := cutVolumes(e)
		_, lost := strings.CutPrefix(e.Text, ops.LostKey)
		if e.Kind == ops.EvRecord && !volumes && !lost && !slices.Contains([]string{ops.VersionsKey, ops.JobsKey, ops.ServedKey, ops.OwnerKey}, e.Text) {
			continue
		}
		e.Text, e.Data = plain(e.Text), plainJSON(e.Data)
		out = append(out, e)
	}
	return out
}

// plain keeps a text to one line without characters that are not seen: controls, and marks
// that turn the direction of writing.
func plain(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text))
}

// plainJSON makes every text of a JSON value plain; what is no JSON is dropped.
func plainJSON(data json.RawMessage) json.RawMessage {
	var value any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&value) != nil {
		return nil
	}
	out, err := json.Marshal(plainValue(value))
	if err != nil {
		return nil
	}
	return out
}

func plainValue(value any) any {
	switch v := value.(type) {
	case string:
		return plain(v)
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case map[string]any:
		for key, item := range v {
			v[key] = plainValue(item)
		}
	}
	return value
}

// summary is what happened, in one paragraph.
func (m *maker) summary() string {
	took, why := span(m.last.Sub(m.Started)), "Why: "
	text := []string{fmt.Sprintf("The run \"%s\" on the pair %s was started by %s at %s", m.Title, m.Pair, m.By, stamp(m.Started))}
	switch ops.Outcome(m.Outcome) {
	case ops.OutcomeDone:
		text[0] += " and was done after " + took
		why = "On the way "
	case ops.OutcomeRefused:
		text[0] += " and refused: nothing was changed"
	case ops.OutcomeRolledBack:
		text[0] += " and rolled back, " + took + " after the start"
	case ops.OutcomeFailed, ops.OutcomeStopped:
		text[0] += " and " + m.Outcome + " after " + took
		switch {
		case m.HalfWay:
			text[0] += ", half-way"
		case m.Op == ops.OpJob:
			text[0] += "; the pair is free again, and what the job did stays"
		default:
			text[0] += "; what little was done is taken back"
		}
	case UnderWay:
		text[0] += " and is under way for " + took
	default:
		text[0] += " and was cut short: nobody carries it out, and its record ends after " + took
	}
	if m.why != "" {
		text = append(text, why+m.why)
	}
	if m.Reason != "" {
		text = append(text, "The reason given: "+m.Reason)
	}
	for _, w := range m.Out {
		if w.To == nil {
			text = append(text, fmt.Sprintf("%s is out of service since %s", w.Side.Upper(), stamp(w.From)))
			continue
		}
		text = append(text, fmt.Sprintf("%s was out of service for %s, until %s", w.Side.Upper(), span(w.To.Sub(w.From)), stamp(*w.To)))
	}
	if m.pauses > 0 {
		text = append(text, fmt.Sprintf("It paused %s, %s in all", times(m.pauses), span(m.waited)))
	}
	if m.gone > 0 {
		text = append(text, "The process that carried it out was lost "+times(m.gone))
	}
	if m.resumes > 0 {
		text = append(text, "It was resumed "+times(m.resumes))
	}
	if n := len(m.Risks); n > 0 {
		text = append(text, count(n, "risk")+" accepted")
	}
	return strings.Join(append(text, m.users()), ". ") + "."
}

func (m *maker) users() string {
	if m.Served == nil {
		return "How many requests were served meanwhile is not on the record"
	}
	return fmt.Sprintf("The balancer counted %d requests meanwhile, %d of them failed", m.Served.Requests, m.Served.Failed)
}

// changes are the acts that stand, and how they are taken back.
func (m *maker) changes() {
	for i := range m.run.Steps {
		s := &m.run.Steps[i]
		stands := s.Phase == ops.Done || s.Phase == ops.Failed || s.Phase == ops.UndoFailed || s.Phase == ops.Running || s.Phase == ops.TakingBack
		if !stands || s.Doc.Risk == ops.Harmless {
			continue
		}
		what := s.Doc.Title
		if s.Phase != ops.Done {
			what += " (begun, not done)"
		}
		m.Changes = append(m.Changes, Change{m.side(s), what, s.Doc.Undo, s.Doc.Kind})
	}
	if slices.ContainsFunc(m.Changes, func(c Change) bool { return c.Back != "" }) {
		m.Undo = Undo{Command: "tandem rollback " + m.Run, Text: m.run.Plan.Undo}
	}
}

// toDo is what the run leaves to people.
func (m *maker) toDo() {
	say := func(format string, args ...any) { m.ToDo = append(m.ToDo, fmt.Sprintf(format, args...)) }
	if m.HalfWay {
		say("The run stopped half-way and the pair is locked: tandem resume %s, or tandem rollback %s", m.Run, m.Run)
	}
	for _, c := range m.Checks {
		if n := len(c.Not); n > 0 && m.Outcome != string(ops.OutcomeDone) && c.Not[n-1].Text == c.Last && c.Not[n-1].Hint != "" && !c.Not[n-1].Accepted {
			say("%s: %s", c.Last, c.Not[n-1].Hint)
		}
	}
	for _, w := range m.Out {
		if w.To == nil && !m.HalfWay && m.Ended != nil {
			say("%s is out of service: tandem run put-back %s", w.Side.Upper(), w.Side)
		}
	}
	for _, v := range m.Versions {
		if why := ops.ComposeMisfit(v.ComposeAfter, v.EngineAfter); why != "" {
			say("%s: %s, and so the next deployment by compose will fail: bring compose to match", v.Side.Upper(), why)
		}
	}
	for _, r := range m.Risks {
		say("See after what was accepted: %s (%s)", r.Guard, r.Reason)
	}
	for _, l := range m.Lost {
		say("See whether %s of %s can do without what could not be kept", l.Name, l.Side.Upper())
	}
	for _, side := range ops.Sides {
		for _, job := range m.about.Jobs {
			if job.Only != "" && job.Only != side || !m.down(side) {
				continue
			}
			if text := m.due(job, side); text != "" {
				say("The job %s of %s %s", job.Name, side.Upper(), text)
			}
		}
	}
}

// due says why a job of a side whose containers were down has to be seen to; empty: it need not.
// It goes by the latest run of the job that is on the record: the containers that were made anew
// never ran.
func (m *maker) due(job ops.Job, side ops.Side) string {
	var last ops.JobRun
	known := false
	for _, r := range m.run.Jobs {
		if r.Job == job.Name && r.Side == side {
			if known = true; r.Started.After(last.Started) {
				last = r
			}
		}
	}
	run := fmt.Sprintf(": tandem run job %s %s", side, job.Name)
	switch every := job.MaxAge; {
	case !known && every > 0:
		return "was not run while the containers were down, and it has to run every " + span(every) + ": see whether it is due"
	case !known:
		return "was not run while the containers were down: see whether it is due"
	case last.Started.IsZero() && job.Only == side:
		return "is due, it never ran" + run
	case last.Started.IsZero(): // it may run on the peer
		return ""
	case last.Ended.IsZero():
		return "is due, it was stopped half-way" + run
	case last.Exit != 0:
		return fmt.Sprintf("is due, it ended with exit code %d at %s%s", last.Exit, stamp(last.Ended), run)
	case every > 0 && m.last.Sub(last.Ended) >= every:
		return "is due, it ended last at " + stamp(last.Ended) + " and has to run every " + span(every) + run
	case every == 0:
		return "ended last at " + stamp(last.Ended) + ": see whether it is due"
	}
	return ""
}

// down tells whether the containers of the side were stopped or the host was rebooted.
func (m *maker) down(side ops.Side) bool {
	return slices.ContainsFunc(m.run.Steps, func(s ops.RunStep) bool {
		return (s.Doc.Kind == "stop" || s.Doc.Kind == "reboot") && m.side(&s) == side && !s.Started.IsZero() && s.Phase != ops.Refused
	})
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span is a duration as it is read: to the second, below one to the tenth.
func span(d time.Duration) string {
	unit := time.Second
	if d < time.Second {
		unit = 100 * time.Millisecond
	}
	text := d.Round(unit).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return strconv.Itoa(n) + " times"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
