package tui

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// The width of a dialog: the calls of a step should fit, and prose stay readable.
const (
	dialogWidth = 132
	proseWidth  = 100
)

// View draws the dialog: what must be read and the way on stay, the checks and the steps
// between them scroll. One line above and below is left to the frame: what a key that does
// not work has to say is shown there.
func (d *confirmDialog) View(area Size) []string {
	width := min(area.W, dialogWidth)
	inner := width - 4
	most := area.H - 4 // lines inside the edges
	if area.H < 12 {
		most = max(area.H-2, 1)
	}
	head, middle, foot := d.head(inner), d.middle(inner), d.foot(inner, area.H >= 30)
	if len(head)+len(foot)+3 > most { // too small to keep the consequence in sight: it scrolls as well
		head, middle = nil, append(head, middle...)
	}
	room := max(most-len(head)-len(foot), 0)
	d.top = max(0, min(d.top, len(middle)-room))
	remark := ""
	if hidden := len(middle) - room; hidden > 0 {
		remark = "↑↓ " + some(hidden, "more line")
	}
	middle = middle[d.top:min(d.top+room, len(middle))]
	body := append(append(head, middle...), foot...)
	body = body[max(len(body)-most, 0):]
	edge := style.Warn
	if !d.ready() && d.phase == asking {
		edge = style.Danger
	}
	return widget.Box(d.e.sheet, width, edge, func(p *style.Page) {
		p.Put(style.Strong, d.verb()).Space(1)
		if side := d.plan.Request.Side; side != "" {
			p.Put(sideChip(side), " "+side.Upper()+" ").Space(1)
			if d.plan.Request.Both {
				p.Put(style.Strong, "then").Space(1).Put(sideChip(side.Peer()), " "+side.Peer().Upper()+" ").Space(1)
			}
		}
		p.Put(style.Soft, d.plan.Pair)
	}, remark, body)
}

func (d *confirmDialog) verb() string {
	if d.start != nil {
		return "Roll back"
	}
	switch d.plan.Request.Op {
	case ops.OpDrain:
		return "Drain"
	case ops.OpPutBack:
		return "Put back"
	case ops.OpRestart:
		return "Restart on"
	case ops.OpRollback:
		return "Roll back on"
	case ops.OpCanary:
		return "Canary on"
	case ops.OpRecover:
		return "Recover"
	case ops.OpPatch:
		return "Patch"
	case ops.OpJob:
		return "Job on"
	}
	return string(d.plan.Request.Op)
}

// head is the consequence, before anything else.
func (d *confirmDialog) head(width int) []string {
	p := d.e.sheet.Page(width)
	p.Blank(1)
	prose := func() *style.Page { return p.Limit(proseWidth) }
	if d.news != "" {
		prose().Wrap(style.WarnStrong, d.news, 2).Blank(1)
	}
	if d.err != nil {
		putError(p, d.err)
		p.Put(style.Soft, "Nothing was started.").End()
		return p.Blank(1).Lines()
	}
	if refusal := d.plan.Refusal(); refusal != nil {
		p.Put(style.DangerStrong, "Refused. Nothing was changed.").End()
		for _, c := range refusal.Checks {
			prose().Put(style.Danger, style.BadMark).Space(1).Wrap(style.Text, c.Text, 3)
			if c.Hint != "" {
				prose().Space(2).Put(style.Muted, "→").Space(1).Wrap(style.Soft, c.Hint, 3)
			}
		}
		return p.Blank(1).Lines()
	}
	for i, line := range d.plan.Headline {
		ink := style.Text
		if i == 0 {
			ink = style.Strong
		}
		prose().Wrap(ink, line, 3)
	}
	if took := d.e.backend.Usual(d.plan.Title); took > 0 {
		p.Put(style.Soft, "It usually takes "+span(took)+".").End()
	}
	return p.Blank(1).Lines()
}

// putError writes an error with what to do now.
func putError(p *style.Page, err error) {
	p.Put(style.Danger, style.BadMark).Space(1).Wrap(style.Text, err.Error(), 6)
	hint := ""
	var problem *ops.Problem
	var refusal *ops.Refusal
	switch {
	case errors.As(err, &problem):
		hint = problem.Hint
	case errors.As(err, &refusal):
		hint = refusal.Hint
	}
	if hint != "" {
		p.Space(2).Put(style.Muted, "→").Space(1).Wrap(style.Soft, hint, 4)
	}
}

// column is where the entries of the sections begin.
const column = 8

func (d *confirmDialog) middle(width int) []string {
	p := d.e.sheet.Page(width)
	for i, c := range d.plan.Checks {
		section(p, i, "checks")
		d.putCheck(p, c)
	}
	if len(d.plan.Checks) > 0 {
		p.Blank(1)
	}
	together := beside(d.plan.Steps)
	request := &d.plan.Request
	second := partTwo(request, len(d.plan.Steps), func(i int) (string, ops.Side) { return d.plan.Steps[i].Step.Kind(), d.plan.Steps[i].Side })
	for i, s := range d.plan.Steps {
		if i == 0 {
			p.Put(style.Soft, "steps")
		}
		if request.Both && (i == 0 || i == second) {
			side := request.Side
			if i > 0 {
				p.Blank(1)
				side = side.Peer()
			}
			partName(p.To(column), side, i > 0).End()
		}
		if s.Pause != "" {
			p.To(column).Put(style.Warn, style.PauseMark+" waits for you: ").Wrap(style.Text, s.Pause, 4)
		}
		p.To(column-2).Cell(style.Focus, together[i], 2)
		d.putStep(p, i, s)
	}
	if strings.Join(together, "") != "" {
		p.To(column-2).Put(style.Focus, bracketTop+bracketEnd).Space(1).Put(style.Muted, "steps in a bracket run together").End()
	}
	if d.plan.UndoText != "" {
		p.Blank(1)
		section(p, 0, "undo")
		p.Wrap(style.Text, strings.ReplaceAll(d.plan.UndoText, "    ", " "+style.NoteMark+" "), 3)
	}
	return p.Lines()
}

// putCheck writes a check, how old what it is made from is, and what it said before.
func (d *confirmDialog) putCheck(p *style.Page, c ops.Check) {
	now := d.e.now()
	seen, _ := age(now, c.At)
	switch {
	case c.At.IsZero():
		seen = ""
	case now.Sub(c.At) < time.Second:
		seen = "now"
	default:
		seen += " ago"
	}
	mark, ink := checkMark(c)
	p.Limit(p.Width()-p.Measure(seen)-2).Put(ink, mark).Space(1)
	if c.Accepted {
		p.Put(style.Warn, "risk accepted: ")
	}
	p.Put(style.Text, c.Text)
	if was, known := d.was[risk(c).String()]; d.was != nil && (!known || was != c.Text) {
		if !known {
			was = "not asked"
		}
		p.Put(style.WarnStrong, "  changed").Put(style.Warn, ", was: "+was)
	}
	p.Free().Right(style.Muted, seen).End()
}

func section(p *style.Page, i int, name string) {
	if i == 0 {
		p.Put(style.Soft, name)
	}
	p.To(column)
}

func checkMark(c ops.Check) (string, style.Ink) {
	switch {
	case c.State == ops.Pass:
		return style.OkMark, style.Ok
	case c.State == ops.Remark || c.Accepted:
		return style.WarnMark, style.Warn
	case c.State == ops.NotKnown:
		return "?", style.Danger
	}
	return style.BadMark, style.Danger
}

// Where the calls of a step begin: beside its title, or, where that leaves too little, on
// lines of their own.
const (
	effectColumn = column + 26
	effectIndent = column + 4
	effectWidth  = 90 // from this width on they stand beside the title
)

// putStep writes a step and every call that it makes, whole, several on a line where they
// fit.
func (d *confirmDialog) putStep(p *style.Page, i int, s ops.PlannedStep) {
	p.Number(style.Muted, strconv.Itoa(i+1), 2).Space(1)
	title := s.Step.Title()
	if s.Skip != "" {
		p.Put(style.Muted, title+": not needed, "+s.Skip).End()
		return
	}
	p.Put(style.Text, title).Space(1)
	indent := effectIndent
	if p.Width() < effectWidth {
		p.Space(1)
	} else {
		indent = effectColumn
		if p.At() > indent {
			p.End()
		}
		p.To(indent)
	}
	first := true // nothing stands before the effect but the title
	for _, effect := range s.Step.Effects() {
		effect = unnamed(effect, title)
		n := p.To(indent).Measure(effect)
		switch {
		case !first && n+2 <= p.Left():
			p.Put(style.Muted, "; ")
		case !first, n > p.Left() && p.At() > indent:
			p.End().To(indent)
		}
		first = n > p.Left()
		if first {
			p.Wrap(style.Soft, effect, 4)
			continue
		}
		p.Put(style.Soft, effect)
	}
	if p.At() > 0 {
		p.End()
	}
}

// unnamed is an effect that waits for a service, without the name of the service where
// the title of the step has it.
func unnamed(effect, title string) string {
	rest, ok := strings.CutPrefix(effect, "wait until ")
	if !ok {
		return effect
	}
	name, rest, ok := strings.Cut(rest, " is ready")
	if !ok || !strings.HasSuffix(title, " "+name) {
		return effect
	}
	return "wait until ready" + rest
}

// The bracket around steps that run together.
const (
	bracketTop = "╭"
	bracketMid = "│"
	bracketEnd = "╰"
)

// beside returns for each step its piece of the bracket around steps that follow each
// other in the list and run together: none needs another, for all are as many steps away
// from the first.
func beside(steps []ops.PlannedStep) []string {
	place := map[string]int{}
	depth := make([]int, len(steps))
	for i, s := range steps {
		for _, need := range s.Needs {
			depth[i] = max(depth[i], place[need]+1)
		}
		place[s.ID] = depth[i]
	}
	pieces := make([]string, len(steps))
	for from := 0; from < len(steps); {
		to := from + 1
		for to < len(steps) && depth[to] == depth[from] && steps[to].Skip == "" && steps[from].Skip == "" {
			to++
		}
		if to-from > 1 {
			for i := from + 1; i < to-1; i++ {
				pieces[i] = bracketMid
			}
			pieces[from], pieces[to-1] = bracketTop, bracketEnd
		}
		from = to
	}
	return pieces
}

// foot is the options, the way on and the way out; with room, set apart.
func (d *confirmDialog) foot(width int, roomy bool) []string {
	p := d.e.sheet.Page(width)
	gap := 0
	if roomy {
		gap = 1
	}
	p.Blank(gap)
	if (d.phase == asking || d.phase == lookingAgain) && len(d.options()) > 0 {
		d.putOptions(p)
		p.Blank(gap)
	}
	ready := d.ready()
	switch {
	case d.phase == starting:
		p.Put(style.Focus, "starting "+style.Ellipsis+" both sides are looked at once more").End()
	case d.phase == lookingAgain:
		p.Put(style.Focus, "looking again "+style.Ellipsis).End()
	case d.phase == accepting:
		d.accept.put(p)
	case ready && d.e.backend.ReadOnly():
		p.Put(style.WarnStrong, "read-only: this cannot be started; ctrl+o switches it off").End()
	case ready && d.plan.Risk() == ops.Destructive:
		p.Put(style.Text, "type").Space(1).Put(style.Strong, d.wanted()).Space(1).Put(style.Text, "to go on:").Space(1)
		d.name.Put(p, style.Strong)
		p.End()
	case ready:
		p.Put(style.Text, "press").Space(1).Put(style.Key, "y").Space(1).Put(style.Text, "to go on").End()
	case d.acceptable():
		p.Put(style.Muted, "or press").Space(1).Put(style.Key, "a").Space(1).Put(style.Soft, "to accept the risk: a reason and the side's name, on the record").End()
	case d.err != nil:
		p.Put(style.Soft, "close this, look, and ask again").End()
	default:
		p.Put(style.Soft, "this cannot be started now").End()
	}
	p.Blank(gap)
	button := "Cancel"
	if !ready && d.phase == asking {
		button = "Close"
	}
	p.Put(style.Key, "esc").Space(1).Put(style.Muted, strings.ToLower(button))
	ink := style.FocusChip
	if d.focus > 0 || d.phase == accepting {
		ink = style.Soft
	}
	p.Right(ink, " "+button+" ").End()
	return p.Lines()
}
