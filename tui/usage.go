package tui

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
)

const (
	usageBeat  = 3 * time.Second // between two readings of a container
	usageFirst = time.Second     // to the second reading, before which no load is known
	usageTime  = 10 * time.Second
	usageKept  = 40 // readings, for the sparkline
)

// usage is what the containers that somebody looks at have used lately: those of the service in
// the details, and of pinned services. The App feeds it, by single readings of few containers;
// where nobody looks at any, nothing is asked.
type usage struct {
	pins   map[string]bool // services
	gauges map[gaugeKey]*gauge
	sides  map[ops.Side]*usageSide
	shown  uint64 // grows with every change
}

// usageSide is how the asking goes on a side.
type usageSide struct {
	asked time.Time
	busy  bool
	err   error // of the latest try; nil: it was answered
}

// gaugeKey names a container: hosts that were cloned have containers of the same id.
type gaugeKey struct {
	side ops.Side
	id   string
}

// gauge is what one container has used.
type gauge struct {
	last   ops.Sample
	at     time.Time // of last, by the clock of this machine
	load   []float64 // CPUs, oldest first; NaN: not known
	memory []float64 // bytes
}

func newUsage() usage {
	return usage{pins: map[string]bool{}, gauges: map[gaugeKey]*gauge{}, sides: map[ops.Side]*usageSide{ops.Blue: {}, ops.Green: {}}}
}

// sampledMsg brings readings of a side.
type sampledMsg struct {
	side ops.Side
	list []ops.Sample
	err  error
}

// watched are the services whose containers are read: the pinned ones, and the one in sight.
func (a *App) watched() []string {
	var list []string
	for name := range a.usage.pins {
		list = append(list, name)
	}
	for _, s := range slices.Backward(a.stack) {
		if d, ok := s.(*detail); ok {
			list = append(list, d.service)
		}
		if !s.Modal() { // it hides what is below
			break
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// poll asks the sides for readings where it is time.
func (a *App) poll() tea.Cmd {
	watched := a.watched()
	if len(watched) == 0 {
		clear(a.usage.gauges)
		return nil
	}
	var cmds []tea.Cmd
	now, seen := a.now(), map[gaugeKey]bool{}
	for _, side := range ops.Sides {
		at := a.usage.sides[side]
		ids, beat := a.running(side, watched, seen), usageBeat
		for _, id := range ids {
			if g := a.usage.gauges[gaugeKey{side, id}]; g == nil || len(g.load) < 2 {
				beat = usageFirst
			}
		}
		if len(ids) == 0 || at.busy || now.Sub(at.asked) < beat || a.snap.On(side).Link == ops.LinkDown {
			continue
		}
		at.asked, at.busy = now, true
		cmds = append(cmds, a.sample(side, ids))
	}
	maps.DeleteFunc(a.usage.gauges, func(k gaugeKey, _ *gauge) bool { return !seen[k] })
	return tea.Batch(cmds...)
}

// running are the ids of the containers of services that run on a side; all of theirs are noted
// in seen.
func (a *App) running(side ops.Side, services []string, seen map[gaugeKey]bool) []string {
	var ids []string
	for _, name := range services {
		for _, c := range a.snap.On(side).Containers(name) {
			seen[gaugeKey{side, c.ID}] = true
			if c.State == "running" {
				ids = append(ids, c.ID)
			}
		}
	}
	return ids
}

func (a *App) sample(side ops.Side, ids []string) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, usageTime)
		defer cancel()
		list, err := a.backend.Sample(ctx, side, ids)
		return sampledMsg{side, list, err}
	}
}

// sampled takes readings in.
func (a *App) sampled(msg sampledMsg) {
	u := &a.usage
	at := u.sides[msg.side]
	at.busy, at.err = false, msg.err
	for _, s := range msg.list {
		key := gaugeKey{msg.side, s.ID}
		g := u.gauges[key]
		if g == nil {
			g = &gauge{}
			u.gauges[key] = g
		}
		g.take(s, a.now())
	}
	u.shown++
	a.version++
}

func (g *gauge) take(s ops.Sample, now time.Time) {
	if !s.Running() {
		return
	}
	load, known := ops.Load(g.last, s)
	if !known {
		load = math.NaN()
	}
	g.last, g.at = s, now
	g.load, g.memory = keep(g.load, load), keep(g.memory, float64(s.Memory))
}

func keep(list []float64, v float64) []float64 {
	if len(list) >= usageKept {
		list = slices.Delete(list, 0, len(list)-usageKept+1)
	}
	return append(list, v)
}

// pin pins a service or lets it go, and says where its numbers are.
func (a *App) pin(service string) tea.Cmd {
	pins := a.usage.pins
	a.usage.shown++
	a.version++
	if pins[service] {
		delete(pins, service)
		return a.say(style.Soft, service+" is no longer pinned")
	}
	pins[service] = true
	a.say(style.Soft, service+" is pinned: its CPU and memory stay in the details, and in the table where it has room")
	return a.poll()
}

// sum is what all containers of a service use on a side; nil where nothing is known.
func (e *env) sum(side ops.Side, service string) *gauge {
	var all *gauge
	for _, c := range e.snap.On(side).Containers(service) {
		g := e.usage.gauges[gaugeKey{side, c.ID}]
		if g == nil || c.State != "running" {
			continue
		}
		if all == nil {
			all = g
			continue
		}
		both := &gauge{last: all.last, at: all.at, load: added(all.load, g.load), memory: added(all.memory, g.memory)}
		both.last.Memory += g.last.Memory
		both.last.Limit += g.last.Limit
		if g.at.Before(both.at) {
			both.at = g.at
		}
		all = both
	}
	return all
}

// added adds the latest readings to each other.
func added(a, b []float64) []float64 {
	n := min(len(a), len(b))
	out := make([]float64, n)
	for i := range out {
		out[i] = a[len(a)-n+i] + b[len(b)-n+i]
	}
	return out
}

// old tells whether readings have stopped to come.
func (g *gauge) old(now time.Time) bool { return now.Sub(g.at) > 3*usageBeat }

// now is the load at the moment; false where it is not known.
func (g *gauge) now() (float64, bool) {
	if len(g.load) == 0 || math.IsNaN(g.load[len(g.load)-1]) {
		return 0, false
	}
	return g.load[len(g.load)-1], true
}

// loadText is a load as operators write it: 100% is one CPU, whole. It takes at most six cells.
func loadText(cpus float64) string {
	p := cpus * 100
	if p >= 999.95 {
		return strconv.Itoa(int(min(p, 99999)+0.5)) + "%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

// sizeText is a number of bytes in three digits or so: "412 MiB", "1.2 GiB". It takes at most
// eight cells.
func sizeText(bytes float64) string {
	unit := 0
	for bytes >= 1000 && unit < len(byteUnits)-1 {
		bytes /= 1024
		unit++
	}
	digits := 0
	if bytes < 10 && unit > 0 {
		digits = 1
	}
	return strconv.FormatFloat(bytes, 'f', digits, 64) + " " + byteUnits[unit]
}

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}

// spark draws the latest values, the newest at the right, in a fixed number of cells. top is what
// a full cell means.
func spark(values []float64, top float64, cells int) string {
	out := make([]rune, 0, max(cells, 0))
	for i := len(values) - cells; i < len(values); i++ {
		switch {
		case i < 0 || math.IsNaN(values[i]):
			out = append(out, ' ')
		case top <= 0:
			out = append(out, style.Spark[0])
		default:
			n := int(values[i] / top * float64(len(style.Spark)))
			out = append(out, style.Spark[max(0, min(n, len(style.Spark)-1))])
		}
	}
	return string(out)
}

// highest of values, at least least.
func highest(least float64, lists ...[]float64) float64 {
	for _, list := range lists {
		for _, v := range list {
			if v > least { // false for NaN
				least = v
			}
		}
	}
	return least
}
