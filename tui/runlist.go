package tui

import (
	"strconv"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// checklist draws the rows, and, with bar, how far the run is.
func (v *runView) checklist(width int, rows []runRow, height int, bar bool) []string {
	r := v.run
	v.window.Set(v.cursor(rows), len(rows))
	if !v.picked { // what comes next is of more use than what is over
		v.window.Top = max(0, v.window.Cursor-height/2)
	}
	from, to := v.window.Show(height, len(rows))
	p := v.sheet.Page(width - 4)
	title, most := 16, 30
	if width >= 110 {
		most = 44
	}
	for _, row := range rows {
		title = max(title, min(style.Width(row.title)+2*row.depth, most))
	}
	for i := from; i < to; i++ {
		v.row(p, rows[i], i == v.window.Cursor, title)
	}
	over, of := r.Counts()
	if bar {
		v.bar(p, over, of)
	}
	return widget.Box(v.sheet, width, style.Line, func(p *style.Page) {
		p.Put(style.Strong, r.Plan.Title).Space(1).Put(style.Muted, tailOf(r.ID)).Space(1)
		if r.By != "" && width > 90 {
			p.Put(style.Muted, "by "+r.By).Space(1)
		}
	}, v.remark(over, of), p.Lines())
}

// tailOf is the end of a run's id, by which people call it.
func tailOf(id string) string { return id[max(0, len(id)-4):] }

func (v *runView) remark(over, of int) string {
	r := v.run
	text := count(over, of) + " done"
	if !r.Live() {
		return text + " · " + span(r.Ended.Sub(r.Started))
	}
	text += " · " + span(v.now().Sub(r.Started))
	if usual := v.usual(r.Plan.Title); usual > 0 && !v.parts() {
		text += " · usually " + span(usual)
	}
	return text
}

// left is how long the run will still take, if that is known: from the times of its steps,
// else from those of whole runs.
func (v *runView) left() (time.Duration, bool) {
	if v.run.Rolling {
		return 0, false
	}
	if left, known := v.path(span2(0, len(v.run.Steps)), v.remaining); known {
		return left, true
	}
	if v.parts() {
		return 0, false
	}
	whole := v.usual(v.run.Plan.Title)
	return max(whole-v.now().Sub(v.run.Started), 0), whole > 0
}

// parts tells whether parts of the run can be left out: then others of its title say nothing
// of how long it takes as a whole.
func (v *runView) parts() bool { return v.run.Plan.Op == ops.OpRecover || v.run.Plan.Op == ops.OpPatch }

// leftWords says how long it will still take.
func leftWords(d time.Duration) string {
	if d < 45*time.Second {
		return "less than a minute left"
	}
	return "about " + strconv.Itoa(int((d+30*time.Second)/time.Minute)) + " min left"
}

// path is the longest chain of steps that need each other: how long they take together
// where independent ones run at the same time. took is how long one takes.
func (v *runView) path(steps []int, took func(*ops.RunStep) (time.Duration, bool)) (time.Duration, bool) {
	until := map[string]time.Duration{}
	var longest time.Duration
	for _, i := range steps {
		s := &v.run.Steps[i]
		own, known := took(s)
		if !known {
			return 0, false
		}
		var begin time.Duration
		for _, need := range s.Doc.Needs {
			begin = max(begin, until[need])
		}
		until[s.Doc.ID] = begin + own
		longest = max(longest, begin+own)
	}
	return longest, true
}

// takes is how long a step usually takes: in earlier runs, else on the other side in this
// one.
func (v *runView) takes(s *ops.RunStep) (time.Duration, bool) {
	if s.Phase == ops.Skipped || s.Doc.Skip != "" {
		return 0, true
	}
	usual := v.usual(s.Doc.Title)
	for i := range v.run.Steps {
		if usual > 0 || !v.run.Plan.Request.Both {
			break
		}
		twin := &v.run.Steps[i]
		if (twin.Phase == ops.Done || twin.Phase == ops.Already) && twin.Doc.Kind == s.Doc.Kind && twin.Doc.Side != s.Doc.Side && v.service(twin) == v.service(s) {
			usual = max(twin.Ended.Sub(twin.Started), time.Millisecond)
		}
	}
	if usual == 0 && (s.Doc.Kind == "lock" || s.Doc.Kind == "unlock") { // once a run, and never long
		usual = time.Second
	}
	return usual, usual > 0
}

// remaining is how long a step will still take, if that is known.
func (v *runView) remaining(s *ops.RunStep) (time.Duration, bool) {
	if s.Phase != ops.Waiting && s.Phase != ops.Running {
		return 0, true
	}
	usual, known := v.takes(s)
	if s.Phase == ops.Running {
		return max(usual-v.now().Sub(s.Started), 0), known
	}
	return usual, known
}

// usually is how long a row usually takes; empty: not known, or no time worth a word.
func (v *runView) usually(row runRow) string {
	took, known := v.path(row.steps, v.takes)
	if !known || took < time.Second {
		return ""
	}
	return "usually " + span(took)
}

func phaseMark(phase ops.StepPhase) (string, style.Ink, style.Ink) {
	switch phase {
	case ops.Running:
		return style.NowMark, style.Focus, style.Strong
	case ops.Done, ops.Already:
		return style.OkMark, style.Ok, style.Text
	case ops.Skipped:
		return "-", style.Muted, style.Muted
	case ops.Failed, ops.Refused, ops.UndoFailed:
		return style.BadMark, style.DangerStrong, style.Strong
	case ops.TakingBack:
		return "←", style.Focus, style.Strong
	case ops.Undone:
		return "←", style.Warn, style.Soft
	}
	return style.NoteMark, style.Muted, style.Soft
}

// elapsed is how long something took, or takes so far.
func (v *runView) elapsed(started, ended time.Time) string {
	switch {
	case started.IsZero():
		return ""
	case !ended.IsZero():
		return span(ended.Sub(started))
	case !v.run.Live():
		return ""
	}
	return span(v.now().Sub(started))
}

func (v *runView) row(p *style.Page, row runRow, here bool, title int) {
	at := v.progress(row)
	if here && (v.picked || v.run.Live()) {
		p.On(style.Selected)
	}
	mark, ink, titleInk := phaseMark(at.phase)
	if here && v.run.Live() && v.run.Paused && at.phase == ops.Waiting {
		mark, ink, titleInk = style.PauseMark, style.WarnStrong, style.Strong
	}
	usual := ""
	if v.run.Live() && !v.run.Rolling && (at.phase == ops.Waiting || at.phase == ops.Running) {
		usual = v.usually(row)
	}
	end := p.Width()
	if usual != "" {
		end -= p.Measure(usual) + 2
	}
	if row.kind == ofPart && at.phase != ops.Failed {
		titleInk = sideInk(row.side)
	}
	p.Space(1).Put(ink, mark).Space(2 + 2*row.depth)
	p.Cell(titleInk, row.title, title-2*row.depth+1).Number(style.Soft, v.elapsed(at.started, at.ended), 7).Space(3)
	p.Limit(end)
	if row.group() {
		v.putGroup(p, row, at)
	} else {
		s := &v.run.Steps[row.steps[0]]
		p.Put(phraseInk(s.Phase), phrase(s))
	}
	p.Free()
	if usual != "" {
		p.Right(style.Muted, usual)
	}
	p.End()
}

// groupBar is the width of a group's bar, in cells.
const groupBar = 28

// reached is how far a group of one kind is, in words. What was only made is no service and
// never ready: it is counted beside them.
func (v *runView) reached(row runRow) string {
	var done, of, made, idle int
	for _, i := range row.steps {
		s := &v.run.Steps[i]
		over := 0
		if s.Phase == ops.Done || s.Phase == ops.Already {
			over = 1
		}
		switch {
		case s.Phase == ops.Skipped:
		case v.subject(s).idle:
			made, idle = made+over, idle+1
		default:
			done, of = done+over, of+1
		}
	}
	var words []string
	if of > 0 {
		words = append(words, count(done, of)+" "+groupDone(v.run.Steps[row.steps[0]].Doc.Kind))
	}
	if made > 0 || of == 0 {
		words = append(words, count(made, idle)+" made, not started")
	}
	return strings.Join(words, ", ")
}

// putGroup writes how far a group is.
func (v *runView) putGroup(p *style.Page, row runRow, at progress) {
	text := v.reached(row)
	switch row.kind {
	case ofPart:
		text = count(at.ready, at.of) + " steps"
	case overNow:
		if n := len(row.steps) - at.of; n > 0 {
			p.Put(style.Muted, strconv.Itoa(n)+" not needed")
		}
		return
	}
	switch at.phase {
	case ops.Skipped, ops.Waiting:
		if at.ready == 0 {
			return
		}
	case ops.Done:
		p.Put(style.Muted, text)
		return
	case ops.Failed, ops.Refused, ops.UndoFailed:
		for _, i := range row.steps {
			if s := &v.run.Steps[i]; s.Phase == at.phase && !row.open {
				p.Put(style.Text, text+"; ").Put(style.Danger, s.Doc.Title+" "+phrase(s))
				return
			}
		}
	case ops.TakingBack, ops.Undone:
		text = "being taken back"
		if at.phase == ops.Undone {
			text = "taken back"
		}
		p.Put(style.Text, text)
		return
	}
	if p.Left() > groupBar+16 {
		begin := p.At()
		p.Fill(style.Focus, style.BarFull, begin+groupBar*at.ready/at.of).Fill(style.Line, style.BarEmpty, begin+groupBar).Space(2)
	}
	p.Put(style.Text, text)
}

func phraseInk(phase ops.StepPhase) style.Ink {
	switch phase {
	case ops.Failed, ops.Refused, ops.UndoFailed:
		return style.Danger
	case ops.Running, ops.TakingBack:
		return style.Text
	}
	return style.Muted
}

// phrase says in words where a step stands.
func phrase(s *ops.RunStep) string {
	switch s.Phase {
	case ops.Waiting:
		return ""
	case ops.Already:
		return "nothing had to be done"
	case ops.Skipped:
		return "not needed: " + s.Text
	case ops.Failed:
		return "did not succeed: " + s.Why()
	case ops.Refused:
		return "refused: " + s.Why()
	case ops.TakingBack:
		return "taking back " + s.Text
	case ops.Undone:
		return "taken back"
	case ops.UndoFailed:
		return "not taken back: " + s.Why()
	}
	return s.Text
}

// bar is how far the run is, in time where that is known, else in steps; or how it ended
// and what can be done.
func (v *runView) bar(p *style.Page, over, of int) {
	p.Blank(1).Space(1)
	switch r := v.run; {
	case r.Live() && r.Asked != "":
		p.Put(style.WarnStrong, "asked to "+askWords(r.Asked)+", after the present step").End()
	case r.Live() && r.Rolling:
		p.Put(style.WarnStrong, "taking back what was done, in reverse").End()
	case r.Live():
		text := ""
		left, known := v.left()
		gone := v.now().Sub(r.Started)
		if known {
			text = leftWords(left)
		}
		width, full := p.Width()-2, 0
		if text != "" {
			width -= p.Measure(text) + 2
		}
		switch {
		case known && gone+left > 0:
			full = int(time.Duration(width) * gone / (gone + left))
		case of > 0:
			full = width * over / of
		}
		p.Fill(style.Focus, style.BarFull, 1+full).Fill(style.Line, style.BarEmpty, 1+width)
		if text != "" {
			p.Space(2).Put(style.Text, text)
		}
		p.End()
	default:
		v.ending(p)
	}
}

// askWords is a request in words.
func askWords(ask ops.Ask) string {
	if ask == ops.AskRollback {
		return "roll back"
	}
	return string(ask)
}

// ending says how the run ended and what can be done.
func (v *runView) ending(p *style.Page) {
	r := v.run
	took := span(r.Ended.Sub(r.Started))
	choice := func(key, words string) { p.Space(2).Put(style.Key, key).Space(1).Put(style.Soft, words) }
	switch {
	case r.Outcome == ops.OutcomeDone:
		p.Put(style.Ok, style.OkMark).Space(1).Put(style.Strong, "done in "+took+".")
		if !v.backend.ReadOnly() {
			choice("b", "takes it back")
		}
	case r.Outcome == ops.OutcomeRolledBack:
		p.Put(style.Ok, style.OkMark).Space(1).Put(style.Strong, "taken back, "+took+" after the start.")
	case r.Outcome == ops.OutcomeRefused:
		p.Put(style.DangerStrong, style.BadMark+" refused: nothing was changed.")
	case r.Outcome == ops.OutcomeUnknown:
		p.Put(style.WarnStrong, style.WarnMark).Space(1).Put(style.Strong, "the lock is gone; how it ended is known to "+r.By+".")
	case r.Unfinished():
		p.Put(style.DangerStrong, style.BadMark+" stopped half-way; the pair is locked.")
	default:
		p.Put(style.DangerStrong, style.BadMark+" did not succeed; what was done has been taken back.")
	}
	p.End()
}

// foot is the line that says how the users are.
func (v *runView) foot(p *style.Page) {
	p.Space(1)
	for _, side := range ops.Sides {
		p.Put(sideInk(side), side.Upper()).Space(1)
		putTraffic(p, v.traffic(side)).Space(3)
	}
	if m := &v.meter; m.counts && m.of == v.run.ID {
		ink := style.Strong
		if m.failed > 0 {
			ink = style.DangerStrong
		}
		p.Put(style.Muted, "requests since "+v.clock(m.at)).Space(1).Put(style.Strong, thousands(m.requests)).Space(3).
			Put(style.Muted, "failed").Space(1).Put(ink, thousands(m.failed)).Space(3)
	}
	text := some(v.run.Events, "event") + " in the journal"
	if v.replay != nil {
		text = "as the journal tells, " + count(v.run.Events, len(v.replay.events)) + " events"
	}
	if p.Measure(text) < p.Left() {
		p.Put(style.Muted, text)
	}
	p.End()
}

// thousands writes 18204 as "18,204".
func thousands(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
