package tui

import (
	"strconv"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
)

// columns are the widths of the table's columns; 0: not shown. Both cards have the same.
type columns struct {
	name, state, image, up, restarts, use, id, ports int

	full bool // images by their whole name
}

// columns gives the width of a card away: what must be seen first.
func (c *card) columns() columns {
	longest, image := 10, 0
	for _, i := range c.rows {
		longest = max(longest, style.Width(c.snap.Services[i].Name))
		for _, side := range [2]*ops.SideState{c.state, c.peer} {
			if state := stateOf(side, i, c.snap.Services[i].Name); state != nil && len(state.Containers) > 0 {
				image = max(image, len(state.Containers[0].Image))
			}
		}
	}
	left := c.width - 6 - 2 + 2 // edges and cursor; the mark of a difference; no gap after the last
	col := columns{name: min(longest, 24), state: 12}
	left -= col.name + 1 + col.state
	take := func(n int) int {
		if left < n+2 {
			return 0
		}
		left -= n + 2
		return n
	}
	col.up = take(4)
	if col.up == 0 && col.name > 12 { // the age matters more than the end of a long name
		cut := min(6-left, col.name-12)
		col.name, left = col.name-cut, left+cut
		col.up = take(4)
	}
	col.image = take(9)
	if len(c.usage.pins) > 0 {
		col.use = take(useCells)
	}
	col.restarts = take(8)
	if more := min(image, 60) - col.image; col.image > 0 && more <= left {
		col.image, col.full, left = col.image+more, true, left-more
	}
	col.id = take(7)
	col.ports = take(12)
	col.name += max(min(left, 4), 0)
	return col
}

func (c *card) table(from, to int) {
	col := c.columns()
	c.line()
	p := c.page.Space(2)
	name := "SERVICE"
	ink := style.Muted
	if c.snap.Order == ops.OrderUnknown && len(c.snap.Services) > 0 {
		name, ink = "NO START ORDER", style.Warn
	}
	p.Cell(ink, name, col.name+1).Cell(style.Muted, "STATE", col.state+2)
	if col.image > 0 {
		p.Cell(style.Muted, "IMAGE", col.image+2)
	}
	if col.up > 0 {
		p.Number(style.Muted, "UP", col.up).Space(2)
	}
	if col.restarts > 0 {
		p.Number(style.Muted, "RESTARTS", col.restarts).Space(2)
	}
	if col.use > 0 {
		p.Number(style.Muted, "CPU", loadCells).Number(style.Muted, "MEMORY", sizeCells).Space(useCells - loadCells - sizeCells + 2)
	}
	if col.id > 0 {
		p.Cell(style.Muted, "ID", col.id+2)
	}
	if col.ports > 0 {
		p.Cell(style.Muted, "PORTS", col.ports)
	}
	c.end()
	drawn := 0
	for i := from; i < to; i++ {
		c.row(c.snap.Services[c.rows[i]].Name, c.rows[i], i == c.window.Cursor, col)
		drawn++
	}
	if drawn == 0 && c.plan.rows > 0 {
		c.line()
		c.page.Space(2).Put(style.Soft, c.nothing())
		c.end()
		drawn++
	}
	for ; drawn < c.plan.rows; drawn++ {
		c.line()
		c.end()
	}
}

// nothing says why the table is empty.
func (c *card) nothing() string {
	switch {
	case len(c.snap.Services) > 0:
		return "no service has this in its name"
	case c.state.Engine.At.IsZero():
		return "nothing is known yet"
	case len(c.state.Others) > 0:
		return "no services: name them in the config"
	}
	return "no containers"
}

// row is one service. Sameness recedes; what differs or is not ready stands out.
func (c *card) row(name string, index int, selected bool, col columns) {
	p := c.page
	p.Put(style.Line, c.border.Left)
	if selected {
		p.On(style.Selected)
	}
	p.Limit(c.width - 1)
	if c.marks[c.on][name] {
		p.Put(style.Key, style.Checked)
	}
	p.To(2)
	if selected && c.focus {
		p.Put(style.Key, style.Cursor)
	}
	p.To(3)
	if c.usage.pins[name] {
		p.Put(style.Focus, style.PinMark)
	}
	p.To(4)
	state, peer := stateOf(c.state, index, name), stateOf(c.peer, index, name)
	if state == nil {
		p.Cell(style.Muted, name, col.name).Space(1).Cell(style.Muted, "? unknown", col.state)
		c.end()
		return
	}
	differs := imageDiffers(state, peer)
	mark, ink := stateLook(state)
	nameInk := style.Soft
	switch {
	case c.old || !state.Here:
		nameInk = style.Muted
	case !state.Ready || differs:
		nameInk = style.Strong
	}
	p.Cell(nameInk, name, col.name).Space(1).Cell(c.ink(ink), mark+" "+state.State, col.state)
	if len(state.Containers) > 0 {
		c.containers(state, peer, differs, col)
	}
	c.end()
}

// containers writes the columns that come from the service's containers: the first one
// speaks for all, and how many there are is said.
func (c *card) containers(state, peer *ops.ServiceState, differs bool, col columns) {
	p, first := c.page, &state.Containers[0]
	p.Space(1)
	if differs {
		p.Put(c.ink(style.Warn), style.DiffMark)
	}
	p.To(4 + col.name + 1 + col.state + 2)
	if col.image > 0 {
		ink := style.Muted
		if differs {
			ink = c.ink(style.Warn)
		}
		p.Cell(ink, imageText(first, peer, differs, col.full), col.image).Space(2)
	}
	if col.up > 0 {
		p.Number(style.Muted, c.upFor(state), col.up).Space(2)
	}
	c.rest(state, first, col)
}

// rest has the columns of wide terminals.
func (c *card) rest(state *ops.ServiceState, first *ops.Container, col columns) {
	p := c.page
	if col.restarts > 0 {
		restarts := 0
		for i := range state.Containers {
			restarts += state.Containers[i].Restarts
		}
		text := ""
		if restarts > 0 {
			text = strconv.Itoa(min(restarts, 999))
		}
		p.Number(c.ink(style.Warn), text, col.restarts).Space(2)
	}
	if col.use > 0 {
		at := p.At()
		c.use(state.Name)
		p.To(at + col.use + 2)
	}
	if col.id > 0 {
		text := shortID(first.ID)
		if n := len(state.Containers); n > 1 {
			text = "x" + strconv.Itoa(n)
		}
		p.Cell(style.Muted, text, col.id).Space(2)
	}
	if col.ports > 0 && len(first.Ports) > 0 {
		p.Cell(style.Muted, portsText(first.Ports), col.ports)
	}
}

// use writes what a pinned service uses.
func (c *card) use(name string) {
	if !c.usage.pins[name] {
		return
	}
	g, p := c.sum(c.on, name), c.page
	if g == nil {
		p.Number(style.Muted, style.Ellipsis, loadCells)
		return
	}
	if !g.old(c.at) {
		c.soon(g.at.Add(3*usageBeat + time.Nanosecond))
	}
	ink := c.ink(g.ink(c.at))
	p.Number(ink, g.text(), loadCells).Number(ink, sizeText(float64(g.last.Memory)), sizeCells).Space(2)
	p.Put(c.ink(style.Soft), spark(g.load, highest(leastTop, c.loads(name)...), useCells-loadCells-sizeCells-2))
}

// portsText leaves out what goes without saying.
func portsText(ports []string) string {
	list := make([]string, 0, len(ports))
	for _, port := range ports {
		list = append(list, strings.TrimSuffix(strings.TrimPrefix(port, "0.0.0.0:"), "/tcp"))
	}
	return strings.Join(list, " ")
}

// upFor is the age of the youngest container that runs.
func (c *card) upFor(state *ops.ServiceState) string {
	var at time.Time
	for i := range state.Containers {
		if k := &state.Containers[i]; k.State == "running" && k.StartedAt.After(at) {
			at = k.StartedAt
		}
	}
	if at.IsZero() {
		return "-"
	}
	return c.age(at)
}

// imageText is the whole name where every one has room, else what tells versions apart.
func imageText(c *ops.Container, peer *ops.ServiceState, differs, full bool) string {
	if full {
		return c.Image
	}
	text := short(c)
	if differs && len(peer.Containers) > 0 && short(&peer.Containers[0]) == text {
		return shortID(c.ImageID) // the tag is the same, the image is not
	}
	return text
}

// stateOf finds a service's state: at its index, as the contract says, else by name.
func stateOf(side *ops.SideState, index int, name string) *ops.ServiceState {
	if index < len(side.Services) && side.Services[index].Name == name {
		return &side.Services[index]
	}
	return side.Service(name)
}

// imageDiffers compares what both sides run; a service on one side only has no peer.
func imageDiffers(a, b *ops.ServiceState) bool {
	if b == nil || len(a.Containers) == 0 || len(b.Containers) == 0 {
		return false
	}
	x, y := a.Containers[0].ImageID, b.Containers[0].ImageID
	return x != "" && y != "" && x != y
}

// stateLook is the mark of a service's state, and its ink.
func stateLook(s *ops.ServiceState) (string, style.Ink) {
	switch {
	case !s.Here:
		return style.AbsentMark, style.Muted
	case s.Ready:
		return style.OkMark, style.Muted
	case s.State == "starting", strings.HasPrefix(s.State, "restarting"), s.State == "created":
		return style.WaitMark, style.Warn
	case s.State == "unknown", s.State == "":
		return "?", style.Warn
	}
	return style.BadMark, style.Danger
}
