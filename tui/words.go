package tui

import (
	"strconv"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
)

// age writes how long ago t was, in the largest unit that fits, and when the text will
// be another one: a pane keeps its lines until then.
func age(now, t time.Time) (text string, until time.Time) {
	d := max(now.Sub(t), 0)
	unit, name := time.Second, "s"
	switch {
	case d >= 48*time.Hour:
		unit, name = 24*time.Hour, "d"
	case d >= 2*time.Hour:
		unit, name = time.Hour, "h"
	case d >= 2*time.Minute:
		unit, name = time.Minute, "m"
	}
	n := d / unit
	return strconv.Itoa(int(n)) + name, t.Add((n + 1) * unit)
}

// span writes a duration as a clock shows it: "3:07", "1:02:11".
func span(d time.Duration) string {
	s := int(max(d, 0) / time.Second)
	text := two(s/60%60) + ":" + two(s%60)
	if s >= 3600 {
		return strconv.Itoa(s/3600) + ":" + text
	}
	return strings.TrimPrefix(text, "0")
}

func two(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// count writes "8 of 11".
func count(n, of int) string { return strconv.Itoa(n) + " of " + strconv.Itoa(of) }

// some writes "1 service", "3 services".
func some(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// percent of a whole, rounded to the nearest.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "?"
	}
	return strconv.FormatUint((part*100+whole/2)/whole, 10) + "%"
}

// short is the part of an image by which people tell versions apart: its tag, or the
// start of its id where the tag says nothing.
func short(c *ops.Container) string {
	name := c.Image
	if at := strings.IndexByte(name, '@'); at >= 0 {
		name = name[:at]
	}
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		if tag := name[colon+1:]; tag != "latest" {
			return tag
		}
	}
	return shortID(c.ImageID)
}

// shortID is the start of a container or image id, as docker writes it, in seven digits.
func shortID(id string) string {
	if _, hex, ok := strings.Cut(id, ":"); ok {
		id = hex
	}
	return id[:min(len(id), 7)]
}

func sideInk(side ops.Side) style.Ink {
	switch side {
	case ops.Blue:
		return style.Blue
	case ops.Green:
		return style.Green
	}
	return style.Soft
}

func sideChip(side ops.Side) style.Ink {
	switch side {
	case ops.Blue:
		return style.BlueChip
	case ops.Green:
		return style.GreenChip
	}
	return style.Strong
}

// traffic is a side's traffic as it may be shown: what is not fresh is unknown, with
// what was last known beside it.
type traffic struct {
	word ops.Traffic
	last ops.Traffic // where word is unknown: what was last known; empty: nothing
	at   time.Time   // of the last good reading
	side *ops.SideTraffic
	loud bool // to be read from the back of a room
}

func (t traffic) unknown() bool { return t.word == ops.Unknown || t.word == "" }

func (e *env) traffic(side ops.Side) traffic {
	b := &e.snap.Balancer
	t := traffic{word: b.On(side).Traffic, at: b.Look.At, side: b.On(side), loud: e.present}
	if !b.Look.Fresh(e.now(), e.stale()) {
		if !t.unknown() && !b.Look.At.IsZero() {
			t.last = t.word
		}
		t.word = ops.Unknown
	}
	return t
}

// stale is the age from which data is not acted upon.
func (e *env) stale() time.Duration {
	if d := e.snap.Pair.Limits.Stale; d > 0 {
		return d
	}
	return ops.DefaultLimits().Stale
}

// putTraffic writes glyph and word.
func putTraffic(p *style.Page, t traffic) *style.Page {
	if t.loud {
		return putLoud(p, t)
	}
	switch t.word {
	case ops.InService:
		return p.Put(style.Text, style.InMark).Space(1).Put(style.Strong, t.word.Words())
	case ops.Draining:
		return p.Put(style.WarnStrong, style.DrainMark+" "+t.word.Words())
	case ops.Out:
		return p.Put(style.WarnStrong, style.OutMark+" "+t.word.Words())
	case ops.Down:
		return p.Put(style.DangerStrong, style.BadMark+" "+t.word.Words())
	}
	return p.Put(style.DangerStrong, "? unknown")
}

// putLoud writes the word as a badge.
func putLoud(p *style.Page, t traffic) *style.Page {
	ink := style.DangerChip
	switch t.word {
	case ops.InService:
		ink = style.FocusChip
	case ops.Draining, ops.Out:
		ink = style.WarnChip
	}
	return p.Put(ink, " "+strings.ToUpper(t.word.Words())+" ")
}
