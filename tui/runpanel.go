package tui

import (
	"encoding/json"
	"slices"
	"strings"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// panel draws what the run says: the services of a group beside the last lines of
// progress; of a picked step its checks and its calls; at the end a summary.
func (v *runView) panel(width int, rows []runRow, height int) []string {
	p := v.sheet.Page(width - 4)
	row := rows[v.window.Cursor]
	var failed *ops.RunStep // at which the run stopped half-way
	if v.run.Unfinished() && !v.run.Live() {
		failed = failedStep(v.run)
	}
	if failed != nil && !slices.ContainsFunc(v.run.Lines, func(l ops.RunLine) bool { return l.Step == failed.Doc.ID && l.Kind == ops.EvSay }) {
		failed = nil
	}
	title, remark := "output", ""
	of := []int(nil)
	switch {
	case v.picked:
		title, of, remark = row.title, row.steps, "G follows"
		if row.open {
			remark = "enter folds"
		} else if row.group() {
			remark = "enter unfolds"
		}
	case failed != nil:
		title, remark, of = failed.Doc.Title, "its last lines", []int{slices.IndexFunc(v.run.Steps, func(s ops.RunStep) bool { return s.Doc.ID == failed.Doc.ID })}
	case v.run.Unfinished() && !v.run.Live():
	case !v.run.Live():
		title = "summary"
	case row.group():
		title = row.title
	}
	if row.group() && (v.picked || v.run.Live()) {
		v.members(p, row, height)
		return widget.Box(v.sheet, width, style.Line, func(p *style.Page) { p.Put(style.Strong, title) }, remark, p.Fit(height))
	}
	above := func(ops.RunLine) bool { return false } // what stands above already
	switch {
	case v.picked:
		v.about(p, &v.run.Steps[row.steps[0]], max(height/2, height-6))
	case !v.run.Live() && !v.run.Unfinished():
		v.summary(p)
		above = v.summed
	case failed != nil:
		above = func(l ops.RunLine) bool { return l.Kind == ops.EvFailed }
	}
	for _, l := range v.said(height-p.Len(), of) {
		if !above(l) {
			v.line(p, l, of == nil)
		}
	}
	return widget.Box(v.sheet, width, style.Line, func(p *style.Page) { p.Put(style.Strong, title) }, remark, p.Fit(height))
}

// subject is what a step is about, as its data says.
type subject struct {
	service string // empty: none
	idle    bool   // its container is made and not started, as that of a job
}

func (v *runView) subject(s *ops.RunStep) subject {
	about, known := v.subjects[s.Doc.ID]
	if !known {
		var data struct {
			Service struct{ Name string }
			Idle    bool
		}
		if json.Unmarshal(s.Doc.Data, &data) == nil { // other kinds of steps have no service
			about = subject{data.Service.Name, data.Idle}
		}
		v.subjects[s.Doc.ID] = about
	}
	return about
}

func (v *runView) service(s *ops.RunStep) string { return v.subject(s).service }

// named is what a step is called among others of its kind.
func (v *runView) named(s *ops.RunStep) string {
	if name := v.service(s); name != "" {
		return name
	}
	return s.Doc.Title
}

// unprefixed is a line of progress without the name that already stands beside it.
func unprefixed(text, name string) string {
	if rest, ok := strings.CutPrefix(text, name+": "); ok {
		return rest
	}
	return text
}

// The columns of a group's list.
const (
	memberName  = 18
	memberState = 30
	memberWidth = memberName + memberState + 12
	bothPanels  = 100 // from this width on the list and the lines stand side by side
)

// members writes the steps of a group, and beside them, where there is room, what they say.
func (v *runView) members(p *style.Page, row runRow, height int) {
	from := 0
	if n := len(row.steps); n > height {
		first := slices.IndexFunc(row.steps, func(i int) bool { return !over(v.run.Steps[i].Phase) })
		if first < 0 {
			first = n
		}
		from = max(0, min(first-height/3, n-height))
	}
	shown := row.steps[from:min(from+height, len(row.steps))]
	var lines []ops.RunLine
	if p.Width() >= bothPanels {
		lines = v.said(height, row.steps)
	}
	for i := range height {
		if i < len(shown) {
			p.Limit(min(memberWidth, p.Width()))
			v.member(p, &v.run.Steps[shown[i]])
			p.Free()
		}
		if i < len(lines) {
			v.line(p.To(memberWidth+2), lines[i], true)
			continue
		}
		p.End()
	}
}

// over tells whether nothing more happens to a step.
func over(phase ops.StepPhase) bool {
	switch phase {
	case ops.Waiting, ops.Running, ops.TakingBack:
		return false
	}
	return true
}

func (v *runView) member(p *style.Page, s *ops.RunStep) {
	name := v.named(s)
	mark, ink, nameInk := phaseMark(s.Phase)
	text := unprefixed(phrase(s), name)
	if s.Phase == ops.Running {
		mark = style.WaitMark
	}
	if s.Phase == ops.Waiting {
		if need := v.waitsFor(s); need != "" {
			text = "waits for " + need
		}
	}
	p.Cell(nameInk, name, memberName).Space(1).Put(ink, mark).Space(1).Cell(phraseInk(s.Phase), text, memberState-2).
		Number(style.Soft, v.elapsed(s.Started, s.Ended), 8)
}

// waitsFor is the first step that must be done before.
func (v *runView) waitsFor(s *ops.RunStep) string {
	for _, id := range s.Doc.Needs {
		if need := v.run.Step(id); need != nil && need.Phase != ops.Done && need.Phase != ops.Already && need.Phase != ops.Skipped {
			return v.named(need)
		}
	}
	return ""
}

// about writes the checks and the calls of a step, on at most so many lines.
func (v *runView) about(p *style.Page, s *ops.RunStep, most int) {
	for _, c := range s.Checks {
		if p.Len() >= most {
			return
		}
		mark, ink := checkMark(c)
		p.Put(ink, mark).Space(1).Put(style.Text, c.Text)
		if !c.Allows() && c.Hint != "" {
			p.Space(1).Put(style.Muted, "→").Space(1).Put(style.Soft, c.Hint)
		}
		p.End()
	}
	for _, effect := range s.Doc.Effects {
		if p.Len() >= most {
			return
		}
		p.Put(style.Muted, style.NowMark).Space(1).Put(style.Soft, effect).End()
	}
}

// said are the last lines of progress, oldest first; of some steps alone, or of all; what is
// said of the run as a whole, and the notes, in either case.
func (v *runView) said(most int, of []int) []ops.RunLine {
	var lines []ops.RunLine
	for i := len(v.run.Lines) - 1; i >= 0 && len(lines) < most; i-- {
		l := v.run.Lines[i]
		of := of
		switch l.Kind {
		case ops.EvNote, ops.EvAlarm, ops.EvAllClear:
			of = nil
		}
		if !told(l.Kind) || of != nil && !slices.ContainsFunc(of, func(i int) bool { return v.run.Steps[i].Doc.ID == l.Step }) {
			continue
		}
		lines = append(lines, l)
	}
	slices.Reverse(lines)
	return lines
}

// line writes a line of progress, with the step that it is of.
func (v *runView) line(p *style.Page, l ops.RunLine, named bool) {
	p.Put(style.Muted, v.clock(l.At)).Space(2)
	text := l.Text
	if s := v.run.Step(l.Step); s != nil && named {
		name := v.named(s)
		text = unprefixed(text, name)
		p.Cell(style.Soft, name, memberName).Space(1)
	}
	ink := style.Text
	switch l.Kind {
	case ops.EvFailed, ops.EvRefused, ops.EvUndoFailed, ops.EvAlarm:
		ink = style.Danger
	case ops.EvNote:
		ink = style.Focus
		text = "note: " + text
	case ops.EvAsked:
		ink = style.Warn
		text = "asked to " + askWords(ops.Ask(text))
	case ops.EvPaused:
		ink = style.Warn
		text = "paused: " + text
	case ops.EvResumed:
		ink = style.Warn
		text = "resumed: " + text
	}
	p.Put(ink, text).End()
}

// told tells the lines that say more than the checklist does.
func told(kind ops.EventKind) bool {
	switch kind {
	case ops.EvIntent, ops.EvGuard, ops.EvUndoIntent, ops.EvStarted, ops.EvEnded:
		return false
	}
	return true
}
