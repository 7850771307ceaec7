package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tandem/ops"
	"tandem/tui/style"
)

// fact is a row of the details: what something is on both sides.
type fact struct {
	name    string
	item    string // which one of several: the name of a variable
	head    string // a heading in place of a fact
	cells   [2]cell
	differs bool
	wide    bool // the name may go on over the mark of a difference
	again   bool // the name stands above it already
}

// called is the fact in the list of differences, after one of the name last.
func (f *fact) called(last string) string {
	switch {
	case f.item == "":
		return f.name
	case f.name == last:
		return f.item
	}
	return f.name + " " + f.item
}

// cell is a fact on one side: text, or what draws itself in one line of the given width.
type cell struct {
	text string
	ink  style.Ink
	draw func(p *style.Page, width int)
}

// The columns of the table: names, marks of differences, blue, green.
const (
	marksAt  = 10
	factsAt  = 12
	factGap  = 2
	maxLines = 6 // of a cell
)

// factTable writes facts: both sides beside each other or, where that is too narrow, one below
// the other.
type factTable struct {
	page   *style.Page
	width  int // of a cell
	narrow bool
	old    [2]bool // what is said of the side is not fresh: it recedes
}

// at is the column where a side begins.
func (t *factTable) at(side int) int { return factsAt + side*(t.width+factGap) }

// row writes a fact, as many lines as its longer cell takes.
func (t *factTable) row(f *fact) {
	p := t.page
	switch {
	case f.head != "":
		p.End().Put(style.Strong, f.head).End()
		return
	case f.cells[0].empty() && f.cells[1].empty():
		return
	case t.narrow:
		t.stacked(f)
		return
	}
	lines := [2][]string{t.lines(&f.cells[0]), t.lines(&f.cells[1])}
	for i := range max(len(lines[0]), len(lines[1]), 1) {
		if i == 0 {
			t.name(f)
		}
		for k := range lines {
			c := &f.cells[k]
			p.Free().To(t.at(k)).Limit(t.at(k) + t.width)
			if c.draw != nil && i == 0 {
				c.draw(p, t.width)
			} else if i < len(lines[k]) {
				p.Put(t.ink(f, k), lines[k][i])
			}
		}
		p.End()
	}
}

func (t *factTable) name(f *fact) {
	end := marksAt - 1
	if f.wide {
		end = factsAt - 1
	}
	if !f.again {
		t.page.Cell(style.Muted, f.name, end)
	}
	if f.differs {
		t.page.To(marksAt).Put(style.Warn, style.DiffMark)
	}
}

// lines are the text of a cell, cut into lines that fit.
func (t *factTable) lines(c *cell) []string {
	if c.draw != nil || c.text == "" {
		return nil
	}
	rows := style.Rows(t.page.Tame(c.text, maxLines*t.width), t.width)
	if len(rows) > maxLines {
		rows = rows[:maxLines]
		rows[maxLines-1] = style.Part(rows[maxLines-1], 0, t.width-1) + style.Ellipsis
	}
	return rows
}

// stacked writes the sides one below the other; once where both are the same.
func (t *factTable) stacked(f *fact) {
	p := t.page
	first := true
	same := !f.differs && f.cells[0].draw == nil && f.cells[0].text == f.cells[1].text
	for k, side := range ops.Sides {
		c := &f.cells[k]
		if c.empty() || same && k > 0 {
			continue
		}
		if first {
			t.name(f)
		}
		first = false
		word, ink := string(side), sideInk(side)
		if same {
			word, ink = "both", style.Muted
		}
		p.To(factsAt).Cell(ink, word, 6)
		if c.draw != nil {
			c.draw(p, p.Left())
			p.End()
			continue
		}
		p.Wrap(t.ink(f, k), c.text, maxLines)
	}
}

func (c *cell) empty() bool { return c.text == "" && c.draw == nil }

// ink of a cell: differences stand out from what is usual, what is old recedes.
func (t *factTable) ink(f *fact, side int) style.Ink {
	ink := f.cells[side].ink
	switch {
	case t.old[side]:
		return style.Muted
	case f.differs && (ink == style.Text || ink == style.Soft || ink == style.Muted):
		return style.Warn
	}
	return ink
}

// couple is a container of one side and the one of the other that it is compared with: as the
// listing has it, and what was read of it; nil where there is none.
type couple struct {
	c [2]*ops.Container
	d [2]*ops.Detail
}

// listed is a fact from the listing; compared where both are there.
func (p *couple) listed(name string, compare bool, of func(*ops.Container) (string, style.Ink)) fact {
	f := fact{name: name}
	for k, c := range p.c {
		if c != nil {
			text, ink := of(c)
			f.cells[k] = cell{text: text, ink: ink}
		}
	}
	f.differs = compare && p.c[0] != nil && p.c[1] != nil && f.cells[0].text != f.cells[1].text
	return f
}

// read is a fact from the details. Where one side has it and the other has none, it says so.
func (p *couple) read(name string, compare bool, of func(*ops.Detail) string) fact {
	f := fact{name: name}
	for k, d := range p.d {
		if d != nil {
			f.cells[k] = cell{text: of(d), ink: style.Soft}
		}
	}
	f.compare(compare && p.d[0] != nil && p.d[1] != nil)
	return f
}

// compare marks a difference. An empty cell beside a full one says none.
func (f *fact) compare(both bool) {
	if !both || f.cells[0].text == f.cells[1].text {
		return
	}
	f.differs = true
	for k := range f.cells {
		if f.cells[k].text == "" {
			f.cells[k] = cell{text: style.AbsentMark + " none", ink: style.Muted}
		}
	}
}

// state is the service's state on both sides.
func (d *detail) state() fact {
	f := fact{name: "state"}
	var words [2]string
	for k, side := range ops.Sides {
		state := d.snap.On(side).Service(d.service)
		containers := d.snap.On(side).Containers(d.service)
		switch {
		case state == nil && len(containers) > 0: // of no service
			words[k] = containers[0].State
			f.cells[k] = cell{text: words[k], ink: style.Soft}
		case d.snap.On(side).Engine.At.IsZero():
			f.cells[k] = cell{text: "? unknown", ink: style.Warn}
		case state == nil || !state.Here && len(containers) == 0:
			f.cells[k] = cell{text: style.AbsentMark + " not here", ink: style.Muted}
		default:
			mark, ink := stateLook(state)
			if ink == style.Muted {
				ink = style.Soft
			}
			text := mark + " " + state.State
			if state.Why != "" {
				text += ": " + state.Why
			}
			words[k] = state.State
			f.cells[k] = cell{text: text, ink: ink}
		}
	}
	f.differs = words[0] != "" && words[1] != "" && words[0] != words[1]
	return f
}

// pairFacts are the facts of a couple of containers.
func (d *detail) pairFacts(p *couple) []fact {
	soft := func(text string) (string, style.Ink) { return text, style.Soft }
	list := []fact{
		p.listed("engine", true, engineWord),
		p.listed("restarts", false, restartCount),
		p.listed("last exit", false, d.lastExit),
		p.read("error", false, func(x *ops.Detail) string { return x.Error }),
		d.use("cpu", p, d.putLoad), d.use("memory", p, d.putMemory),
		p.listed("image", true, func(c *ops.Container) (string, style.Ink) { return soft(c.Image) }),
		p.listed("image id", true, func(c *ops.Container) (string, style.Ink) { return soft(longID(c.ImageID)) }),
		p.read("digest", true, d.digest),
	}
	for i := range 3 {
		list = append(list, d.check(p, i))
	}
	list = append(list,
		p.listed("container", false, func(c *ops.Container) (string, style.Ink) { return soft(c.Name) }),
		p.listed("id", false, func(c *ops.Container) (string, style.Ink) { return soft(longID(c.ID)) }),
		p.listed("created", false, func(c *ops.Container) (string, style.Ink) { return soft(d.when(c.CreatedAt)) }),
		p.listed("started", false, func(c *ops.Container) (string, style.Ink) { return soft(d.when(c.StartedAt)) }),
		p.listed("policy", true, func(c *ops.Container) (string, style.Ink) { return soft(c.Policy) }),
		d.command(p),
		p.read("limits", true, limitsText),
		p.read("ports", true, func(x *ops.Detail) string { return strings.Join(x.Ports, ", ") }),
	)
	list = append(list, networks(p)...)
	list = append(list, mounts(p)...)
	return append(list, variables(p)...)
}

// longID is an id in twelve digits, as docker writes it.
func longID(id string) string {
	if _, hex, ok := strings.Cut(id, ":"); ok {
		id = hex
	}
	return id[:min(len(id), 12)]
}

// digest is the image's in its registry: the first, for one image has one in each.
// It is cut to what tells images apart where the whole of it has no room.
func (d *detail) digest(x *ops.Detail) string {
	if len(x.Digests) == 0 {
		return "none: not from a registry"
	}
	_, sum, _ := strings.Cut(x.Digests[0], "@")
	const short = len("sha256:") + 12
	if len(sum) > max(d.cells, short) {
		sum = sum[:short]
	}
	return sum
}

// engineWord is the state as the engine has it, with its health.
func engineWord(c *ops.Container) (string, style.Ink) {
	switch {
	case c.State == "exited" || c.State == "dead":
		return c.State + " " + strconv.Itoa(c.ExitCode), style.Soft
	case c.Health != "":
		return c.State + ", " + c.Health, style.Soft
	}
	return c.State, style.Soft
}

func restartCount(c *ops.Container) (string, style.Ink) {
	if c.Restarts > 0 {
		return strconv.Itoa(c.Restarts), style.Warn
	}
	return "0", style.Soft
}

// lastExit is how the container ended the last time, if it ever did.
func (d *detail) lastExit(c *ops.Container) (string, style.Ink) {
	if c.FinishedAt.IsZero() && c.State != "exited" {
		return "", style.Soft
	}
	text, ink := "status "+strconv.Itoa(c.ExitCode), style.Soft
	if c.ExitCode != 0 {
		ink = style.Warn
	}
	if c.OOMKilled {
		text, ink = text+", out of memory", style.Danger
	}
	if when := d.when(c.FinishedAt); when != "" {
		text += ", " + when
	}
	return text, ink
}

// check is one of the last health checks, the latest first.
func (d *detail) check(p *couple, nth int) fact {
	f := fact{}
	if nth == 0 {
		f.name = "checks"
	}
	for k, x := range p.d {
		if x == nil || nth >= len(x.Checks) {
			continue
		}
		c := x.Checks[nth]
		text, ink := d.clock(c.At)+" ok", style.Soft
		if c.Exit != 0 {
			text, ink = d.clock(c.At)+" status "+strconv.Itoa(c.Exit), style.Warn
			if nth == 0 && x.Streak > 1 {
				text += ", " + strconv.Itoa(x.Streak) + " in a row"
			}
		}
		if said := firstLine(c.Output); said != "" {
			text += ": " + said
		}
		f.cells[k] = cell{text: text, ink: ink}
	}
	return f
}

// firstLine is what a check said in its last line that is not empty: the one with the outcome.
func firstLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}

// command says what is started. The arguments, where passwords stand, are not known here: only
// whether they are the same.
func (d *detail) command(p *couple) fact {
	f := p.read("command", true, func(x *ops.Detail) string {
		if x.Args == 0 {
			return x.Program
		}
		return x.Program + ", " + some(x.Args, "argument")
	})
	if a, b := p.d[0], p.d[1]; a != nil && b != nil && a.Command != b.Command && !f.differs {
		f.differs = true
		for k := range f.cells {
			f.cells[k].text += " differ"
		}
	}
	return f
}

func limitsText(x *ops.Detail) string {
	var list []string
	if x.Caps.Memory > 0 {
		list = append(list, sizeText(float64(x.Caps.Memory))+" memory")
	}
	if x.Caps.CPUs > 0 {
		list = append(list, strconv.FormatFloat(x.Caps.CPUs, 'g', 3, 64)+" CPUs")
	}
	if x.Caps.Pids > 0 {
		list = append(list, fmt.Sprint(x.Caps.Pids, " processes"))
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

// networks has a row for each network of either side. Addresses are shown, not compared: each
// host has its own.
func networks(p *couple) []fact {
	return union(p, "network", func(x *ops.Detail) []ops.Endpoint { return x.Ends }, func(e ops.Endpoint) string { return e.Network },
		func(e ops.Endpoint) string { return strings.TrimSpace(e.Network + " " + e.Address) }, func(a, b ops.Endpoint) bool { return true }, "")
}

// mounts has a row for each place at which either side has something mounted.
func mounts(p *couple) []fact {
	return union(p, "mount", func(x *ops.Detail) []ops.Mount { return x.Mounts }, func(m ops.Mount) string { return m.Place },
		func(m ops.Mount) string {
			text := m.Place
			if m.ReadOnly {
				text += " read-only"
			}
			text += ", " + m.Kind
			if m.Source != "" {
				return text + " " + m.Source
			}
			return text
		}, func(a, b ops.Mount) bool { return a == b }, "")
}

// variables has a row for each variable of either side: those that differ first. Names are all
// that is known of them.
func variables(p *couple) []fact {
	return union(p, "env", func(x *ops.Detail) []ops.Variable { return x.Env }, func(v ops.Variable) string { return v.Name },
		func(v ops.Variable) string { return v.Name }, func(a, b ops.Variable) bool { return a == b }, ": value differs")
}

// union makes a row for each thing of either side, found by its name, those that differ first.
// Where both have it but not the same, the remark says so.
func union[T any](p *couple, name string, of func(*ops.Detail) []T, key, text func(T) string, same func(a, b T) bool, remark string) []fact {
	var keys []string
	var things [2]map[string]T
	for k, d := range p.d {
		things[k] = map[string]T{}
		if d == nil {
			continue
		}
		for _, t := range of(d) {
			things[k][key(t)] = t
			keys = append(keys, key(t))
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	both := p.d[0] != nil && p.d[1] != nil
	rows := make([]fact, 0, len(keys))
	for _, id := range keys {
		f := fact{name: name, item: id}
		var there [2]bool
		for k := range things {
			var t T
			if t, there[k] = things[k][id]; there[k] {
				f.cells[k] = cell{text: text(t), ink: style.Soft}
			}
		}
		switch {
		case !both:
		case there[0] && there[1]:
			if f.differs = !same(things[0][id], things[1][id]); f.differs {
				f.cells[0].text += remark
				f.cells[1].text += remark
			}
		default:
			f.compare(true)
		}
		rows = append(rows, f)
	}
	slices.SortStableFunc(rows, func(a, b fact) int { return cmp.Compare(rank(&a), rank(&b)) })
	for i := range rows {
		rows[i].again = i > 0
	}
	return rows
}

func rank(f *fact) int {
	if f.differs {
		return 0
	}
	return 1
}
