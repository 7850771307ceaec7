package tui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// banner is what must not be overlooked: that the run is paused, or stopped half-way; why,
// what helps, and which keys. No lines: nothing of the kind.
func (v *runView) banner(width int) []string {
	r := v.run
	switch {
	case r.Live() && r.Paused && !r.Rolling:
		return v.pausedBanner(width)
	case r.Live() && r.Alarm != "":
		return v.alarmBanner(width)
	case !r.Live() && r.Unfinished():
		return v.stoppedBanner(width)
	}
	return nil
}

// pausedAt is the line that says why the run is paused.
func pausedAt(r *ops.Run) ops.RunLine {
	for _, l := range slices.Backward(r.Lines) {
		if l.Kind == ops.EvPaused {
			return l
		}
	}
	return ops.RunLine{}
}

// question is what the plan asks before it goes on; empty: the run does not wait for that.
func question(r *ops.Run) string {
	if r == nil || !r.Live() || !r.Paused {
		return ""
	}
	text := r.PauseText
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Doc.Pause != "" && s.Doc.Pause == text && !over(s.Phase) {
			return text
		}
	}
	return ""
}

// pauseWords is how loud a pause is, and its word: one that somebody asked for is no danger.
func pauseWords(r *ops.Run) (edge, chip style.Ink, title string) {
	switch {
	case question(r) != "":
		return style.Warn, style.WarnChip, "WAITS FOR YOU"
	case pausedAt(r).Step == "": // before no step in particular: an operator asked for it
		return style.Warn, style.WarnChip, "PAUSED"
	}
	return style.Danger, style.DangerChip, "PAUSED"
}

func (v *runView) pausedBanner(width int) []string {
	r := v.run
	at := pausedAt(r)
	edge, chip, title := pauseWords(r)
	p := v.sheet.Page(width - 4)
	first := [2]string{"p", "looks again now"}
	switch {
	case question(r) != "":
		p.Wrap(style.Strong, r.PauseText, 3)
		first[1] = "answers"
	case edge == style.Warn:
		p.Wrap(style.Strong, "As asked; nothing goes on until you continue.", 1)
		first[1] = "continues"
	default:
		v.putReasons(p, r.PauseText)
	}
	v.putKeys(p, [][2]string{first, {"b", "rolls back"}, {"x", "stops here"}, {"n", "notes"}})
	remark := ""
	if !at.At.IsZero() {
		remark = "for " + span(v.now().Sub(at.At))
	}
	return v.alarm(width, edge, chip, style.PauseMark+" "+title, remark, p)
}

// alarmBanner says that nobody serves, and what helps.
func (v *runView) alarmBanner(width int) []string {
	p := v.sheet.Page(width - 4)
	v.putReasons(p, v.run.Alarm)
	keys := [][2]string{{"b", "rolls back"}, {"n", "notes"}}
	if v.run.Rolling {
		keys = keys[1:]
	}
	v.putKeys(p, keys)
	return v.alarm(width, style.Danger, style.DangerChip, style.BadMark+" NOBODY SERVES", "", p)
}

// putReasons writes the reason, then what helps.
func (v *runView) putReasons(p *style.Page, text string) {
	for i, part := range strings.Split(text, "; ") {
		if i == 0 {
			p.Put(style.DangerStrong, style.BadMark).Space(1).Wrap(style.Strong, part, 4)
			continue
		}
		p.Put(style.Muted, "→").Space(1).Wrap(style.Text, part, 2)
	}
}

func (v *runView) stoppedBanner(width int) []string {
	p := v.sheet.Page(width - 4)
	title := "STOPPED HALF-WAY"
	if s := failedStep(v.run); s != nil {
		text, risk := atRisk(s)
		if s.Phase == ops.Waiting { // why it was paused, without what could be done about that then
			var why []string
			for _, c := range s.Unmet() {
				why = append(why, c.Text)
			}
			text = strings.Join(why, "; ")
		}
		if name := v.service(s); name != "" && risk == servicesReady {
			title = strings.ToUpper(name) + " DID NOT GET READY"
		}
		p.Put(style.DangerStrong, style.BadMark).Space(1).Wrap(style.Strong, s.Doc.Title+": "+text, 4)
		for _, c := range s.Unmet() {
			if c.Hint != "" && !strings.Contains(text, c.Hint) {
				p.Put(style.Muted, "→").Space(1).Wrap(style.Text, c.Hint, 2)
			}
		}
	} else {
		p.Put(style.Strong, "The pair stays locked until the run is resumed or taken back.").End()
	}
	keys := [][2]string{{"s", "retries"}}
	if len(risksOf(v.run)) > 0 {
		words := "goes on, at a risk"
		if failedStep(v.run).Phase == ops.Failed {
			words = "skips it, at a risk"
		}
		keys = append(keys, [2]string{"a", words})
	}
	keys = append(keys, [2]string{"b", "rolls back"}, [2]string{"esc", "leaves it so, locked"})
	v.putKeys(p, keys)
	return v.alarm(width, style.Danger, style.DangerChip, style.BadMark+" "+title, "", p)
}

// failedStep is the step at which the run came to its end, be it one that something kept from
// acting until the run was told to stop; nil where it was only told to.
func failedStep(r *ops.Run) *ops.RunStep {
	var last, kept *ops.RunStep
	for i := range r.Steps {
		s := &r.Steps[i]
		switch s.Phase {
		case ops.Failed, ops.Refused, ops.UndoFailed:
			if last == nil || s.Ended.After(last.Ended) {
				last = s
			}
		case ops.Waiting:
			if !r.Live() && r.Unfinished() && !r.Rolling && len(s.Unmet()) > 0 {
				kept = s
			}
		}
	}
	return cmp.Or(last, kept)
}

// putKeys lists what can be done now; in read-only, how to be able to. Who only watches has no choice.
func (v *runView) putKeys(p *style.Page, keys [][2]string) {
	if v.replay != nil || v.watch {
		return
	}
	if v.backend.ReadOnly() {
		p.Put(style.WarnStrong, "read-only: ctrl+o switches it off").End()
		return
	}
	for i, k := range keys {
		if p.At() > 0 && p.Measure(k[0])+p.Measure(k[1])+1 > p.Left() {
			p.End()
		}
		p.Put(style.Key, k[0]).Space(1).Put(style.Text, k[1])
		if i < len(keys)-1 {
			p.Space(3)
		}
	}
	p.End()
}

// alarm draws a box that is to be seen from afar.
func (v *runView) alarm(width int, edge, chip style.Ink, title, remark string, p *style.Page) []string {
	return widget.Box(v.sheet, width, edge, func(p *style.Page) { p.Put(chip, " "+title+" ") }, remark, p.Lines())
}

// servicesReady is the guard that stands for "go on although a service is not ready", as
// the steps know it.
const servicesReady = "services-ready"

// atRisk is why a step failed, and the risk that its hint offers to accept so that the run
// goes on without it. The hint is not part of the text then: the keys stand for it.
func atRisk(s *ops.RunStep) (text, risk string) {
	text, hint, ok := strings.Cut(s.Text, "--accept ")
	if s.Phase != ops.Failed || !ok {
		return s.Text, ""
	}
	risk, _, _ = strings.Cut(hint, " ")
	if i := strings.LastIndex(text, " ("); i >= 0 {
		text = text[:i]
	}
	return text, strings.TrimRight(risk, ");,.")
}

// risksOf are the guards that may be accepted as a risk so that a run which stopped
// half-way goes on without what it stopped at. Empty: there is no way around it.
func risksOf(r *ops.Run) []string {
	if r == nil || r.Live() || !r.Unfinished() || r.Rolling {
		return nil
	}
	s := failedStep(r)
	if s == nil {
		return nil
	}
	if _, risk := atRisk(s); risk != "" {
		return []string{risk}
	}
	if s.Phase == ops.Failed && len(s.Risks) > 0 {
		return []string{s.Risks[atTurn(r, s)].Guard}
	}
	if s.Phase != ops.Refused && s.Phase != ops.Waiting {
		return nil
	}
	var guards []string
	for _, c := range s.Unmet() {
		if c.Absolute {
			return nil
		}
		guards = append(guards, c.Guard)
	}
	return guards
}

// atTurn is which of a step's risks counts where it stands in the run: that of the side whose turn
// it is, which is the one that the next step acts on. A canary says of its side whether that can be
// put back, and whether its peer can do without it.
func atTurn(r *ops.Run, s *ops.RunStep) int {
	at := slices.IndexFunc(r.Steps, func(other ops.RunStep) bool { return other.Doc.ID == s.Doc.ID })
	for _, next := range r.Steps[at+1:] {
		if i := slices.IndexFunc(s.Risks, func(risk ops.Risk) bool { return risk.Side == next.Doc.Side }); i >= 0 {
			return i
		}
	}
	return 0
}

// sincePause names the pause that the run is in, so that its question is asked once.
func sincePause(r *ops.Run) string { return r.ID + " " + pausedAt(r).At.Format(time.RFC3339Nano) }
