package tui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
)

const (
	inspectBeat  = 30 * time.Second // what the list of containers does not tell may change, too
	inspectAgain = 5 * time.Second  // after a try that brought an error
	inspectTime  = 15 * time.Second
)

// detail shows all there is to know of a service: a row for each fact, with what it is on both
// sides beside each other. What differs is marked; what is the same recedes.
type detail struct {
	sheetOfText
	service string
	of      map[ops.Side]*inspection
	ctx     context.Context // ends with the screen
	cancel  context.CancelFunc
	used    uint64 // usage.shown that the lines were written from
	cells   int    // width of a cell
}

// inspection is what was read of a service's containers on one side.
type inspection struct {
	list  []ops.Detail
	at    time.Time // of list; zero: never
	err   error     // of the latest try; nil: it brought list
	tried time.Time
	seen  string // what the listing said of the containers at the latest try
	busy  bool
}

// inspectedMsg brings the details of a side.
type inspectedMsg struct {
	of   *detail
	side ops.Side
	list []ops.Detail
	err  error
}

func newDetail(e *env, service string) screen {
	d := &detail{sheetOfText: sheetOfText{env: e}, service: service, of: map[ops.Side]*inspection{ops.Blue: {}, ops.Green: {}}}
	d.ctx, d.cancel = context.WithCancel(e.ctx)
	d.title = func(p *style.Page) {
		p.Put(style.Strong, service)
		if e.usage.pins[service] {
			p.Space(2).Put(style.Focus, style.PinMark+" pinned")
		}
	}
	d.write = d.facts
	return d
}

func (d *detail) Close() { d.cancel() }

func (*detail) Scope() Scope { return inDetails }

func (d *detail) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case pressed:
		if msg.Action == actBack || msg.Action == actAccept {
			return d, d.leave(d)
		}
		d.sheetOfText.Update(msg)
	case inspectedMsg:
		if msg.of == d {
			d.take(msg)
		}
	case tea.WindowSizeMsg, changedMsg, tickMsg:
		return d, d.refresh()
	}
	return d, nil
}

// take notes what was read. What could not be read anew stays, with its age.
func (d *detail) take(msg inspectedMsg) {
	i := d.of[msg.side]
	i.busy, i.err = false, msg.err
	if msg.err == nil {
		i.list, i.at = msg.list, d.now()
	}
	d.key = textKey{}
}

// refresh asks for the details of the sides where it is time: when the listing says something
// else of the containers, and on a slow beat.
func (d *detail) refresh() tea.Cmd {
	var cmds []tea.Cmd
	now := d.now()
	for _, side := range ops.Sides {
		i, state := d.of[side], d.snap.On(side)
		seen := listing(state.Containers(d.service))
		since := now.Sub(i.tried)
		due := seen != i.seen || i.err == nil && since >= inspectBeat || i.err != nil && since >= inspectAgain
		if seen == "" || i.busy || !due || state.Link == ops.LinkDown {
			continue
		}
		i.busy, i.seen, i.tried = true, seen, now
		cmds = append(cmds, func() tea.Msg {
			ctx, cancel := context.WithTimeout(d.ctx, inspectTime)
			defer cancel()
			list, err := d.backend.Inspect(ctx, side, d.service)
			return inspectedMsg{d, side, list, err}
		})
	}
	return tea.Batch(cmds...)
}

// listing is what a list tells of containers, as far as it means that their details are others.
func listing(list []ops.Container) string {
	var b strings.Builder
	for i := range list {
		c := &list[i]
		b.WriteString(c.ID + " " + c.State + " " + c.Health + " " + c.Name + " " + c.StartedAt.String() + "\n")
	}
	return b.String()
}

// detailOf is what was read of a container; nil where that is not here yet.
func (d *detail) detailOf(side ops.Side, c *ops.Container) *ops.Detail {
	if c == nil {
		return nil
	}
	list := d.of[side].list
	for i := range list {
		if list[i].ID == c.ID {
			return &list[i]
		}
	}
	return nil
}

func (d *detail) View(area Size) []string {
	if d.used != d.usage.shown {
		d.key, d.used = textKey{}, d.usage.shown
	}
	return d.sheetOfText.View(area)
}

// facts writes the whole sheet.
func (d *detail) facts(p *style.Page) {
	writeOrder(d.env, p, d.service)
	t := &factTable{page: p, narrow: p.Width() < bothWidth-4}
	t.width = (p.Width() - factsAt - factGap) / 2
	t.old = [2]bool{d.old(ops.Blue), d.old(ops.Green)}
	d.cells = t.width
	most, rows := d.rows()
	d.summary(p, most, rows)
	d.heads(t)
	for i := range rows {
		t.row(&rows[i])
	}
	d.others(t)
}

// rows are the facts of all containers, and how many containers the side with most has.
func (d *detail) rows() (int, []fact) {
	both := [2][]ops.Container{d.snap.Blue.Containers(d.service), d.snap.Green.Containers(d.service)}
	n := max(len(both[0]), len(both[1]))
	rows := []fact{d.state()}
	for i := range n {
		var pair couple
		for k, side := range ops.Sides {
			if i < len(both[k]) {
				pair.c[k] = &both[k][i]
				pair.d[k] = d.detailOf(side, pair.c[k])
			}
		}
		if n > 1 {
			rows = append(rows, fact{head: "container " + count(i+1, n)})
		}
		rows = append(rows, d.pairFacts(&pair)...)
	}
	return n, rows
}

// summary says in one line what differs, and how far that can be known.
func (d *detail) summary(p *style.Page, containers int, rows []fact) {
	p.Cell(style.Muted, "compare", factsAt)
	var differ []string
	last := ""
	for i := range rows {
		if f := &rows[i]; f.differs {
			differ = append(differ, f.called(last))
			last = f.name
		}
	}
	here := func(side ops.Side) bool { return len(d.snap.On(side).Containers(d.service)) > 0 }
	known := d.known()
	switch {
	case d.snap.Blue.Engine.At.IsZero() || d.snap.Green.Engine.At.IsZero():
		p.Put(style.Warn, "? not both sides were seen yet").End()
	case containers == 0:
		p.Put(style.Soft, "no container on either side").End()
	case !here(ops.Blue):
		p.Put(style.Soft, "only on GREEN").End()
	case !here(ops.Green):
		p.Put(style.Soft, "only on BLUE").End()
	case len(differ) > 0:
		text := style.DiffMark + " differs: " + strings.Join(differ, ", ")
		p.Wrap(style.Warn, text+map[knowledge]string{awaited: "; reading the rest " + style.Ellipsis, unread: "; the rest could not be read", dated: "; as last seen"}[known], 4)
	case known == awaited:
		p.Put(style.Soft, "comparing "+style.Ellipsis).End()
	case known == unread:
		p.Put(style.Warn, "? not compared: the details could not be read").End()
	case known == dated:
		p.Put(style.Warn, "? the same when last seen").End()
	default:
		p.Put(style.Soft, style.OkMark+" the same on both sides").End()
	}
	p.End()
}

// knowledge is how far the sides can be compared.
type knowledge int

const (
	whole   knowledge = iota
	dated             // at least one side is as it was when last seen
	awaited           // of at least one side the details are on their way
	unread            // of at least one side they could not be read
)

func (d *detail) known() knowledge {
	worst := whole
	for _, side := range ops.Sides {
		i := d.of[side]
		switch {
		case len(d.snap.On(side).Containers(d.service)) == 0:
		case i.at.IsZero() && i.err != nil:
			worst = max(worst, unread)
		case !d.complete(side):
			worst = max(worst, awaited)
		case i.err != nil || d.old(side):
			worst = max(worst, dated)
		}
	}
	return worst
}

// complete tells whether the details of every container of a side are here.
func (d *detail) complete(side ops.Side) bool {
	list := d.snap.On(side).Containers(d.service)
	for i := range list {
		if d.detailOf(side, &list[i]) == nil {
			return false
		}
	}
	return true
}

// old tells whether what is known of a side is not fresh.
func (d *detail) old(side ops.Side) bool {
	return !d.snap.On(side).Engine.Fresh(d.now(), d.stale())
}

// heads writes the names of the sides, and how good what stands below is.
func (d *detail) heads(t *factTable) {
	p := t.page
	if t.narrow {
		for _, side := range ops.Sides {
			p.Put(sideChip(side), " "+side.Upper()+" ").Space(1)
			d.remark(p, side)
			p.End()
		}
		p.End()
		return
	}
	for k, side := range ops.Sides {
		p.Free().To(t.at(k)).Limit(t.at(k)+t.width).Put(sideChip(side), " "+side.Upper()+" ").Space(1)
		d.remark(p, side)
	}
	p.End().End()
}

// remark says how old the details of a side are, or why there are none.
func (d *detail) remark(p *style.Page, side ops.Side) {
	h, i := newHeader(d.env, side, 0, false), d.of[side]
	ink, text := h.link()
	switch {
	case text != "":
		p.Put(ink, text)
	case len(d.snap.On(side).Containers(d.service)) == 0:
	case i.err != nil && i.at.IsZero():
		p.Put(style.WarnStrong, "not read: "+why(i.err))
	case i.err != nil:
		p.Put(style.WarnStrong, "read "+d.calmAge(i.at)+", then: "+why(i.err))
	case i.at.IsZero():
		p.Put(style.Soft, "reading "+style.Ellipsis)
	default:
		p.Put(style.Muted, "read "+d.calmAge(i.at))
	}
}

// why is an error without what stands beside it.
func why(err error) string {
	if p, ok := err.(*ops.Problem); ok {
		return bare(p)
	}
	return err.Error()
}

// calmAge is an age in steps of ten seconds: what is read anew every half minute needs no clock.
func (e *env) calmAge(t time.Time) string {
	since := e.now().Sub(t)
	if since < 10*time.Second {
		return "just now"
	}
	text, _ := age(t.Add(since.Truncate(10*time.Second)), t)
	return text + " ago"
}

// others are the other pinned services: a row each.
func (d *detail) others(t *factTable) {
	first := true
	for i := range d.snap.Services {
		name := d.snap.Services[i].Name
		if !d.usage.pins[name] || name == d.service {
			continue
		}
		if first {
			t.row(&fact{head: style.PinMark + " also pinned"})
			first = false
		}
		t.row(&fact{name: name, cells: [2]cell{d.pinned(ops.Blue, name), d.pinned(ops.Green, name)}, wide: true})
	}
}

// pinned is what a service uses on a side, in one line.
func (d *detail) pinned(side ops.Side, name string) cell {
	if g := d.sum(side, name); g != nil {
		top := highest(leastTop, d.loads(name)...)
		return cell{draw: func(p *style.Page, width int) { d.putUse(p, g, top, width) }}
	}
	if len(d.snap.On(side).Containers(name)) == 0 {
		return cell{text: style.AbsentMark + " not here", ink: style.Muted}
	}
	return cell{text: "- not read", ink: style.Muted}
}

// writeOrder says what the service waits for, and how it proves that it is ready.
func writeOrder(e *env, p *style.Page, name string) {
	for i, s := range e.snap.Services {
		if s.Name != name {
			continue
		}
		p.Cell(style.Muted, "starts", factsAt)
		if e.snap.Order == ops.OrderUnknown {
			p.Put(style.Warn, "order not known").End()
		} else if len(s.After) == 0 {
			p.Put(style.Soft, "number "+count(i+1, len(e.snap.Services))+", waits for nothing").End()
		} else {
			p.Put(style.Soft, "number "+count(i+1, len(e.snap.Services))+", after "+strings.Join(s.After, ", ")).End()
		}
		p.Cell(style.Muted, "ready by", factsAt)
		switch s.Ready.Kind {
		case ops.ReadyHTTP:
			p.Put(style.Soft, "http "+s.Ready.URL)
		case ops.ReadyExec:
			p.Put(style.Soft, "exec "+strings.Join(s.Ready.Exec, " "))
		case ops.ReadyAuto:
			p.Put(style.Soft, "its health check, else running")
		default:
			p.Put(style.Soft, string(s.Ready.Kind))
		}
		p.End()
		return
	}
}

// when writes a time with its age.
func (e *env) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	text, _ := age(e.now(), t)
	if e.utc {
		return t.UTC().Format("2006-01-02 15:04:05Z") + ", " + text + " ago"
	}
	return t.Local().Format("2006-01-02 15:04:05") + ", " + text + " ago"
}
