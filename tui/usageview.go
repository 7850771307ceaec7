package tui

import (
	"strconv"
	"time"

	"tandem/ops"
	"tandem/tui/style"
)

// How numbers of use are laid out: each in a fixed number of cells, to the right, so that nothing
// moves when they change.
const (
	loadCells  = 7
	sizeCells  = 9
	limitCells = 12 // " of 1.0 GiB"
	mostSpark  = 30
	useCells   = loadCells + sizeCells + 2 + 10 // of the table: with the sparkline
	leastTop   = 0.05                           // CPUs that fill a sparkline at least: what idles looks idle
)

// use is the row of what a couple of containers uses now.
func (d *detail) use(name string, p *couple, put func(page *style.Page, side ops.Side, g *gauge, top float64, width int)) fact {
	f := fact{name: name}
	top := leastTop
	var gauges [2]*gauge
	for k, side := range ops.Sides {
		if c := p.c[k]; c != nil {
			gauges[k] = d.usage.gauges[gaugeKey{side, c.ID}]
		}
		if g := gauges[k]; g != nil {
			top = highest(top, g.load)
		}
	}
	for k, side := range ops.Sides {
		c := p.c[k]
		if c == nil || c.State != "running" {
			continue
		}
		g := gauges[k]
		switch err := d.usage.sides[side].err; {
		case g != nil && len(g.load) > 0:
			f.cells[k] = cell{draw: func(page *style.Page, width int) { put(page, side, g, top, width) }}
		case err != nil:
			f.cells[k] = cell{text: "not read: " + why(err), ink: style.Warn}
		case d.snap.On(side).Link == ops.LinkDown:
			f.cells[k] = cell{text: "? not read", ink: style.Warn}
		default:
			f.cells[k] = cell{text: "reading " + style.Ellipsis, ink: style.Soft}
		}
	}
	return f
}

// loads are the readings of a service on both sides, for a common scale.
func (e *env) loads(service string) [][]float64 {
	var lists [][]float64
	for _, side := range ops.Sides {
		if g := e.sum(side, service); g != nil {
			lists = append(lists, g.load)
		}
	}
	return lists
}

// ink of a number; what has stopped to come recedes.
func (g *gauge) ink(now time.Time) style.Ink {
	if g.old(now) {
		return style.Muted
	}
	return style.Text
}

func (g *gauge) text() string {
	if load, known := g.now(); known {
		return loadText(load)
	}
	return style.Ellipsis
}

// putLoad writes the load, what it could be, and how it was.
func (d *detail) putLoad(p *style.Page, side ops.Side, g *gauge, top float64, width int) {
	from := p.At()
	p.Number(g.ink(d.now()), g.text(), loadCells)
	if cpus := d.snap.On(side).Facts.CPUs; cpus > 0 && !g.old(d.now()) {
		p.Put(style.Muted, " of "+strconv.Itoa(cpus*100)+"%")
	}
	d.putTrend(p, g, g.load, top, from, width)
}

// putMemory writes what is in use, of how much, and how it was.
func (d *detail) putMemory(p *style.Page, _ ops.Side, g *gauge, _ float64, width int) {
	from, limit := p.At(), float64(g.last.Limit)
	used, ink := float64(g.last.Memory), g.ink(d.now())
	p.Number(ink, sizeText(used), sizeCells)
	if limit > 0 && !g.old(d.now()) {
		p.Put(style.Muted, " of "+sizeText(limit))
		if used > 0.9*limit { // the engine kills it at the limit
			p.To(from+sizeCells+limitCells).Put(style.WarnStrong, style.WarnMark)
		}
	}
	d.putTrend(p, g, g.memory, max(limit, 1), from, width)
}

// putTrend writes the sparkline or, where readings have stopped to come, since when.
func (d *detail) putTrend(p *style.Page, g *gauge, values []float64, top float64, from, width int) {
	if g.old(d.now()) {
		p.Space(1).Put(style.Warn, d.calmAge(g.at))
	}
	const at = sizeCells + limitCells + 1
	p.To(from + at)
	p.Put(style.Soft, spark(values, top, min(width-at, mostSpark)))
}

// putUse writes load and memory of a service in one line.
func (d *detail) putUse(p *style.Page, g *gauge, top float64, width int) {
	from := p.At()
	p.Number(g.ink(d.now()), g.text(), loadCells).Number(g.ink(d.now()), sizeText(float64(g.last.Memory)), sizeCells)
	d.putTrend(p, g, g.load, top, from, width)
}
