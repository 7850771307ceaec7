package tui

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"tandem/ops"
	"tandem/tui/style"
)

// summary says how it ended: what did not succeed and why, what was done on each side and
// how long it took, what could not be kept, what users had of it, and the versions.
func (v *runView) summary(p *style.Page) {
	for i := range v.run.Steps {
		s := &v.run.Steps[i]
		switch s.Phase {
		case ops.Failed, ops.Refused, ops.UndoFailed:
			p.Put(style.DangerStrong, style.BadMark).Space(1).Wrap(style.Text, s.Doc.Title+" "+phrase(s), 4)
			for _, hint := range hints(s) {
				p.Space(2).Put(style.Muted, "→").Space(1).Wrap(style.Soft, hint, 2)
			}
		}
	}
	for _, l := range slices.Backward(v.run.Lines) {
		if l.Kind == ops.EvRollback && v.run.Outcome != ops.OutcomeDone {
			text := l.Text
			if s := failedStep(v.run); s != nil && strings.Contains(text, s.Why()) { // why stands above
				text, _, _ = strings.Cut(text, ": ")
			}
			p.Cell(style.Soft, "taken back", summaryColumn).Wrap(style.Text, text, 4)
			break
		}
	}
	v.summaryLost(p)
	if v.run.Outcome == ops.OutcomeDone {
		v.summarySides(p)
	}
	v.summaryUsers(p)
	label := "notes"
	for _, l := range v.run.Lines {
		if l.Kind == ops.EvNote {
			p.Cell(style.Soft, label, summaryColumn).Put(style.Muted, v.clock(l.At)).Space(1).Wrap(style.Focus, l.Text, 2)
			label = ""
		}
	}
	p.Cell(style.Soft, "steps", summaryColumn).Wrap(style.Text, v.counts(), 2)
	v.lock(p)
	p.Blank(1)
}

// summed tells whether the summary says what a line of progress does.
func (v *runView) summed(l ops.RunLine) bool {
	switch l.Kind {
	case ops.EvRollback, ops.EvNote:
		return true
	case ops.EvFailed, ops.EvRefused, ops.EvUndoFailed:
		s := v.run.Step(l.Step)
		return s != nil && (s.Phase == ops.Failed || s.Phase == ops.Refused || s.Phase == ops.UndoFailed)
	}
	return false
}

// hints are what to do about a step that did not succeed, each once.
func hints(s *ops.RunStep) []string {
	var list []string
	for _, c := range s.Unmet() {
		if c.Hint != "" && !slices.Contains(list, c.Hint) {
			list = append(list, c.Hint)
		}
	}
	if s.Hint != "" && !slices.Contains(list, s.Hint) {
		list = append(list, s.Hint)
	}
	return list
}

// summaryColumn is where the facts of the summary begin.
const summaryColumn = 12

// counts says what became of all steps.
func (v *runView) counts() string {
	has := map[ops.StepPhase]int{}
	for i := range v.run.Steps {
		has[v.run.Steps[i].Phase]++
	}
	var parts []string
	for _, part := range []struct {
		phase ops.StepPhase
		words string
	}{
		{ops.Done, "done"}, {ops.Already, "already so"}, {ops.Skipped, "not needed"}, {ops.Undone, "taken back"},
		{ops.Failed, "did not succeed"}, {ops.Refused, "refused"}, {ops.UndoFailed, "not taken back"}, {ops.Waiting, "not begun"},
	} {
		if n := has[part.phase]; n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+part.words)
		}
	}
	return strings.Join(parts, ", ")
}

// summarySides says of each part what was done, in the order in which it was done.
func (v *runView) summarySides(p *style.Page) {
	n, second := len(v.run.Steps), v.second()
	sides := []ops.Side{v.run.Plan.Side}
	parts := [][]int{span2(0, n)}
	if second < n {
		sides = []ops.Side{v.run.Plan.Request.Side, v.run.Plan.Request.Side.Peer()}
		parts = [][]int{span2(0, second), span2(second, n)}
	}
	for i, steps := range parts {
		did := v.deeds(steps)
		if did == "" {
			continue
		}
		at := v.progress(runRow{kind: ofPart, steps: steps})
		p.Cell(sideInk(sides[i]), sides[i].Upper(), summaryColumn)
		if second < n {
			did = "in " + span(at.ended.Sub(at.started)) + ": " + did
		}
		p.Wrap(style.Text, did, 3)
	}
}

// deeds are what the steps have done, in words; those that only look are left out.
func (v *runView) deeds(steps []int) string {
	count := map[string]int{}
	var order []string
	for _, i := range steps {
		s := &v.run.Steps[i]
		if s.Phase != ops.Done {
			continue
		}
		deed, n := deedOf(s)
		if deed == "" {
			continue
		}
		if count[deed] == 0 {
			order = append(order, deed)
		}
		count[deed] += n
	}
	order = slices.DeleteFunc(order, func(deed string) bool { return count[covers[deed]] > 0 })
	for i, deed := range order {
		if thing, did, counted := strings.Cut(deed, "|"); counted {
			order[i] = some(count[deed], thing) + " " + did
		}
	}
	return strings.Join(order, ", ")
}

// covers are the deeds that need no word where another follows from them.
var covers = map[string]string{"container|stopped": "container|removed", "network|removed": "network|made anew"}

// deedOf is what a step has done: "drained", or "service|restarted" where the like are
// counted. The data of a step tells how many things it was about.
func deedOf(s *ops.RunStep) (deed string, n int) {
	var data struct {
		Containers, Networks []json.RawMessage
		Idle                 bool
	}
	json.Unmarshal(s.Doc.Data, &data) // what other kinds of steps have there is of no use here
	switch s.Doc.Kind {
	case "drain":
		return "drained", 1
	case "stop":
		return "container|stopped", len(data.Containers)
	case "reboot":
		return "rebooted", 1
	case "remove":
		return "container|removed", len(data.Containers)
	case "remove-networks":
		return "network|removed", len(data.Networks)
	case "pools":
		return "address pools moved", 1
	case "make-networks":
		return "network|made anew", len(data.Networks)
	case "start":
		if data.Idle {
			return "job|made anew", 1
		}
		return "service|started", 1
	case "restart":
		return "service|restarted", 1
	case "swap":
		return "image|exchanged", 1
	case "canary":
		return "canary passed", 1
	case "put-back":
		return "put back", 1
	}
	return "", 0
}

// summaryLost lists what could not be kept of containers that were made anew.
func (v *runView) summaryLost(p *style.Page) {
	for i, lost := range v.run.Told.Lost {
		name := ""
		if i == 0 {
			name = "not kept"
		}
		p.Cell(style.Warn, name, summaryColumn).Put(style.Warn, style.WarnMark).Space(1).Wrap(style.Text, lost.Name+": "+strings.Join(lost.What, ", "), 3)
	}
}

// summaryUsers says what users had of the run, from its record, else as far as this console
// has seen it; and what the sides ran before and after.
func (v *runView) summaryUsers(p *style.Page) {
	told, m := &v.run.Told, &v.meter
	requests, failed, known := ops.Since(told.ServedBefore, told.ServedAfter)
	by := "as the balancer counts"
	if !known && m.of == v.run.ID {
		requests, failed, known = m.requests, m.failed, m.counts
		by += " since " + v.clock(m.at)
	}
	if known {
		p.Cell(style.Soft, "requests", summaryColumn).Put(style.Strong, thousands(requests)).Put(style.Text, " served meanwhile, ")
		ink := style.Text
		if failed > 0 {
			ink = style.DangerStrong
		}
		p.Put(ink, thousands(failed)+" failed").Put(style.Muted, ", "+by).End()
	}
	label := "versions"
	for _, side := range ops.Sides {
		was, known := told.Before[side]
		if !known {
			continue
		}
		is := told.After[side]
		p.Cell(style.Soft, label, summaryColumn).Cell(sideInk(side), side.Upper(), 6)
		label = ""
		putVersion(p, "engine", was.Engine, is.Engine)
		putVersion(p.Put(style.Soft, ", "), "compose", was.Compose, is.Compose)
		p.End()
		if why := ops.ComposeMisfit(is.Compose, is.Engine); why != "" {
			p.To(summaryColumn).Put(style.Warn, style.WarnMark).Space(1).Wrap(style.Text, why+": the next deployment by compose will fail; bring compose to match", 3)
		}
	}
}

func putVersion(p *style.Page, what, was, is string) {
	p.Put(style.Soft, what+" ")
	if was == is {
		p.Put(style.Text, orUnknown(is)).Put(style.Muted, " as before")
		return
	}
	p.Put(style.WarnStrong, orUnknown(was)+" → "+orUnknown(is))
}
