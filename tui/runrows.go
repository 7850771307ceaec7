package tui

import (
	"slices"
	"time"

	"tandem/ops"
)

// runRow is a line of the checklist: a step, or several that stand together.
type runRow struct {
	kind  rowKind
	steps []int // indexes into Run.Steps
	title string
	side  ops.Side // of a part
	depth int      // how far it is set in
	open  bool     // its steps have lines of their own below
}

type rowKind uint8

const (
	oneStep rowKind = iota
	ofKind          // steps of one kind that follow each other
	ofPart          // the steps of a side, where one side follows the other
	overNow         // steps that are over, in one line where room is scarce
)

func (r runRow) group() bool { return r.kind != oneStep }

// rowKey finds a row again after the list was made anew.
type rowKey struct {
	kind rowKind
	step int
}

func (r runRow) key() rowKey { return rowKey{r.kind, r.steps[0]} }

// second is the step at which the part of the other side begins.
func (v *runView) second() int {
	steps := v.run.Steps
	return partTwo(&v.run.Plan.Request, len(steps), func(i int) (string, ops.Side) { return steps[i].Doc.Kind, steps[i].Doc.Side })
}

// rows are the lines of the checklist. Where they are more than there is room for, the
// other side's part is one line, then what is over; the rest scrolls.
func (v *runView) rows() []runRow {
	n, second := len(v.run.Steps), v.second()
	if second == n {
		rows := v.grouped(0, n, 0)
		if !v.unfolded && len(rows) > v.room {
			rows = v.folded(rows)
		}
		return rows
	}
	side := v.run.Plan.Request.Side
	parts := [2]runRow{
		{kind: ofPart, steps: span2(0, second), title: side.Upper() + ", first", side: side, open: true},
		{kind: ofPart, steps: span2(second, n), title: side.Peer().Upper() + ", then", side: side.Peer(), open: true},
	}
	bodies := [2][]runRow{v.grouped(0, second, 1), v.grouped(second, n, 1)}
	count := func() (rows int) {
		for i, part := range parts {
			rows++
			if part.open {
				rows += len(bodies[i])
			}
		}
		return rows
	}
	if !v.unfolded && (count() > v.room || !v.run.Live()) {
		here := 0
		if v.presentStep() >= second {
			here = 1
		}
		parts[1-here].open = false
		parts[here].open = v.run.Live() || !quietPhase(v.progress(parts[here]).phase)
		if count() > v.room {
			bodies[here] = v.folded(bodies[here])
		}
	}
	var rows []runRow
	for i, part := range parts {
		rows = append(rows, part)
		if part.open {
			rows = append(rows, bodies[i]...)
		}
	}
	return rows
}

func span2(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// grouped are the steps of a range, those of one kind in one line.
func (v *runView) grouped(from, end, depth int) []runRow {
	var rows []runRow
	steps := v.run.Steps
	for from < end {
		to := from + 1
		for to < end && steps[to].Doc.Kind == steps[from].Doc.Kind {
			to++
		}
		if to-from == 1 || steps[from].Doc.Kind == "" {
			rows = append(rows, runRow{steps: []int{from}, title: steps[from].Doc.Title, depth: depth})
			from++
			continue
		}
		rows = append(rows, runRow{kind: ofKind, steps: span2(from, to), title: groupTitle(steps[from].Doc.Kind, to-from), depth: depth, open: v.unfolded})
		if v.unfolded {
			for i := from; i < to; i++ {
				rows = append(rows, runRow{steps: []int{i}, title: steps[i].Doc.Title, depth: depth + 1})
			}
		}
		from = to
	}
	return rows
}

// folded puts the rows that are over, before the present one, into one; while the run is
// taken back, those after it.
func (v *runView) folded(rows []runRow) []runRow {
	from, to := 0, 0
	if v.run.Rolling {
		from, to = v.present(rows)+1, len(rows)
	} else {
		for to < len(rows) && quietPhase(v.progress(rows[to]).phase) {
			to++
		}
	}
	if to-from < 2 {
		return rows
	}
	one := runRow{kind: overNow, depth: rows[from].depth}
	for _, row := range rows[from:to] {
		one.steps = append(one.steps, row.steps...)
	}
	at := v.progress(one)
	one.title = some(at.ready, "step") + " done"
	switch {
	case v.run.Rolling:
		one.title = some(len(one.steps), "step") + " after it"
	case at.ready == 0:
		one.title = some(len(one.steps), "step") + " over"
	}
	return slices.Concat(rows[:from:from], []runRow{one}, rows[to:])
}

// quietPhase tells whether a step is over and there is nothing to be said of it.
func quietPhase(phase ops.StepPhase) bool {
	return phase == ops.Done || phase == ops.Already || phase == ops.Skipped
}

func groupTitle(kind string, n int) string {
	switch kind {
	case "restart":
		return "restart " + some(n, "service")
	case "swap":
		return "exchange " + some(n, "image")
	case "stop":
		return "stop, in reverse order"
	case "start":
		return "start, in order"
	}
	return kind + ", " + some(n, "step")
}

// groupDone is what the steps of a group are once they are done.
func groupDone(kind string) string {
	switch kind {
	case "restart", "swap", "start":
		return "ready"
	case "stop":
		return "stopped"
	}
	return "done"
}

// progress is where a row stands, all its steps taken together.
type progress struct {
	phase          ops.StepPhase
	ready, of      int // steps that are done, of those that are needed
	started, ended time.Time
}

func (v *runView) progress(row runRow) progress {
	if !row.group() {
		s := &v.run.Steps[row.steps[0]]
		return progress{phase: s.Phase, started: s.Started, ended: s.Ended}
	}
	var p progress
	has := map[ops.StepPhase]int{}
	open := false
	for _, i := range row.steps {
		s := &v.run.Steps[i]
		has[s.Phase]++
		if !s.Started.IsZero() && (p.started.IsZero() || s.Started.Before(p.started)) {
			p.started = s.Started
		}
		open = open || !s.Started.IsZero() && s.Ended.IsZero()
		if s.Ended.After(p.ended) {
			p.ended = s.Ended
		}
	}
	p.of = len(row.steps) - has[ops.Skipped]
	p.ready = has[ops.Done] + has[ops.Already]
	p.phase = ops.Waiting
	for _, phase := range []ops.StepPhase{ops.UndoFailed, ops.Failed, ops.Refused, ops.TakingBack, ops.Running, ops.Undone} {
		if has[phase] > 0 {
			p.phase = phase
			break
		}
	}
	switch {
	case p.phase != ops.Waiting:
	case p.of == 0:
		p.phase = ops.Skipped
	case p.ready == p.of:
		p.phase = ops.Done
	case p.ready > 0 && v.run.Live() && !v.run.Paused:
		p.phase = ops.Running
		open = true
	}
	if open {
		p.ended = time.Time{}
	}
	return p
}

// look is how a step or a row draws the eye: the first under way, else the first that did
// not succeed, else the next one of a run that goes on, else the last one that is over.
type look struct{ now, bad, next, over int }

func newLook() look { return look{-1, -1, -1, 0} }

func (l *look) see(i int, phase ops.StepPhase) {
	first := func(at *int) {
		if *at < 0 {
			*at = i
		}
	}
	switch phase {
	case ops.Running, ops.TakingBack:
		first(&l.now)
	case ops.Failed, ops.Refused, ops.UndoFailed:
		first(&l.bad)
	case ops.Waiting:
		first(&l.next)
	case ops.Done, ops.Already, ops.Undone:
		l.over = i
	}
}

func (l *look) at(live bool) int {
	switch {
	case l.now >= 0:
		return l.now
	case l.bad >= 0:
		return l.bad
	case l.next >= 0 && live:
		return l.next
	}
	return l.over
}

// present is the row to look at.
func (v *runView) present(rows []runRow) int {
	l := newLook()
	for i, row := range rows {
		if !row.open {
			l.see(i, v.progress(row).phase)
		}
	}
	return l.at(v.run.Live() && !v.run.Rolling)
}

// presentStep is the step to look at.
func (v *runView) presentStep() int {
	l := newLook()
	for i := range v.run.Steps {
		l.see(i, v.run.Steps[i].Phase)
	}
	return l.at(v.run.Live() && !v.run.Rolling)
}

// cursor is the row that is looked at: the present one, or the one that was picked.
func (v *runView) cursor(rows []runRow) int {
	if v.picked {
		for i, row := range rows {
			if row.key() == v.here {
				return i
			}
		}
		for i, row := range rows {
			if !row.open && slices.Contains(row.steps, v.here.step) {
				return i
			}
		}
	}
	return v.present(rows)
}

// pick moves the cursor by n rows.
func (v *runView) pick(n int) {
	rows := v.rows()
	i := max(0, min(v.cursor(rows)+n, len(rows)-1))
	v.picked, v.here = true, rows[i].key()
}
