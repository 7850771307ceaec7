package tui

import (
	"slices"
	"strconv"
	"time"

	"tandem/ops"
	"tandem/tui/style"
)

// cardKey is all that a card depends on, apart from the clock.
type cardKey struct {
	version, looks, edits uint64
	layout                layout
	side, focus           ops.Side
	from, to, cursor      int
	filter                string
}

// card is one side being drawn.
type card struct {
	header
	*pair
}

// card writes a side. It returns when the lines are out of date by themselves.
func (p *pair) card(side ops.Side, width, from, to int) ([]string, time.Time) {
	c := &card{header: newHeader(p.env, side, width, p.side == side), pair: p}
	c.top()
	c.head()
	for range p.plan.gap {
		c.line()
		c.end()
	}
	c.table(from, to)
	c.foot()
	c.bottom(from, to)
	return c.page.Lines(), c.until
}

// builtIn are the networks that every engine has: on both sides the same, and nobody's.
var builtIn = []string{"bridge", "host", "none"}

// foot has the jobs, the networks and what else runs here.
func (c *card) foot() {
	l := &c.plan
	if l.gap > 0 && (l.jobs || l.nets || l.others) {
		c.line()
		c.end()
	}
	if l.jobs {
		c.line()
		c.jobs()
		c.end()
	}
	if l.nets {
		c.line()
		c.page.Cell(style.Muted, "nets", 6)
		for _, n := range c.state.Networks {
			if slices.Contains(builtIn, n.Name) {
				continue
			}
			c.page.Put(c.ink(style.Soft), n.Name)
			for _, subnet := range n.Subnets {
				c.page.Space(1).Put(c.ink(style.Soft), subnet)
			}
			c.page.Space(3)
		}
		c.end()
	}
	if l.others {
		c.line()
		if n := len(c.state.Others); n > 0 {
			c.page.Cell(style.Muted, "also", 6).Put(c.ink(style.Soft), some(n, "container")+" of no service")
		}
		c.end()
	}
	for range l.fill {
		c.line()
		c.end()
	}
}

// ink recedes where the data is old.
func (c *card) ink(ink style.Ink) style.Ink {
	if c.old {
		return style.Muted
	}
	return ink
}

// jobs are in one line, each whole or not at all; what is left out is counted.
func (c *card) jobs() {
	c.page.Cell(style.Muted, "jobs", 6)
	here, shown := 0, 0
	for i := range c.state.Jobs {
		j := &c.state.Jobs[i]
		if !j.Here {
			continue
		}
		if here++; shown+1 == here && c.job(j, 3*min(shown, 1)) {
			shown++
		}
	}
	switch {
	case c.state.Engine.At.IsZero():
	case here == 0:
		c.page.Put(style.Muted, style.AbsentMark+" not here")
	case shown < here:
		c.item(1, style.Soft, "+"+strconv.Itoa(here-shown))
	}
}

// job writes how a job did the last time.
func (c *card) job(j *ops.JobState, gap int) bool {
	name, nameInk, text, ink := style.NoteMark+" "+j.Name, style.Soft, " never ran", style.Soft
	last := j.Last
	switch {
	case j.Running:
		name, nameInk, text = style.NowMark+" "+j.Name, style.Focus, " running"
	case last == nil:
	case last.State == "created":
		name, nameInk, text, ink = style.WarnMark+" "+j.Name, style.Warn, " never started", style.Text
	case last.ExitCode != 0:
		name, nameInk, ink = style.BadMark+" "+j.Name, style.Danger, style.Text
		text = " exit " + strconv.Itoa(last.ExitCode) + ", " + c.age(last.FinishedAt) + " ago"
	default:
		name, nameInk, text, ink = style.OkMark+" "+j.Name, style.Muted, " "+c.age(last.FinishedAt)+" ago", style.Muted
		if most := c.maxAge(j.Name); most > 0 && c.at.Sub(last.FinishedAt) > most {
			ink = style.Warn
		}
	}
	if gap+c.page.Measure(name)+c.page.Measure(text) > c.page.Left() {
		return false
	}
	c.page.Space(gap).Put(c.ink(nameInk), name).Put(c.ink(ink), text)
	return true
}

// maxAge is how old a job's last run may be; 0: not said.
func (c *card) maxAge(job string) time.Duration {
	for _, j := range c.snap.Pair.Jobs {
		if j.Name == job {
			return j.MaxAge
		}
	}
	return 0
}

// bottom is the lower edge: the filter and the place in the list.
func (c *card) bottom(from, to int) {
	p := c.page.Put(c.edge(), c.border.BottomLeft+c.border.Bottom).Limit(c.width - 3)
	if text := c.filter.Text(); c.typing || text != "" {
		p.Space(1).Put(style.Key, "/")
		if c.typing && c.focus {
			c.filter.Put(p, style.Strong)
		} else {
			p.Put(style.Strong, text)
		}
		p.Space(1).Put(style.Warn, strconv.Itoa(len(c.snap.Services)-len(c.rows))+" hidden")
		if c.lost > 0 {
			p.Put(style.WarnStrong, ", "+some(c.lost, "mark")+" dropped")
		}
		p.Space(1)
	}
	if n := len(c.rows); to-from < n && n > 0 {
		place := strconv.Itoa(from+1) + "-" + strconv.Itoa(to) + " of " + strconv.Itoa(n)
		p.Fill(c.edge(), c.border.Bottom, c.width-5-len(place)).Space(1).Put(style.Soft, place).Space(1)
	}
	p.Free().Fill(c.edge(), c.border.Bottom, c.width-1).Put(c.edge(), c.border.BottomRight).End()
}
