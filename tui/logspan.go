package tui

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
	"tandem/tui/widget"
)

// LogSpan is the time of a log that is read. Zero: its last lines and what follows.
type LogSpan struct {
	All   bool      // from its beginning, as much as is kept
	Since time.Time // zero: see All
	Until time.Time // zero: it is followed
}

// ended tells whether nothing can follow any more.
func (s LogSpan) ended(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// TimeExamples are how a time may be written.
const TimeExamples = "10m, 2h, 14:03, 2026-11-26 14:03"

// ParseTime reads a time as an operator writes it: so long ago, a time of today (or of
// yesterday, where that is still to come), or a date. It is in the zone of now, or in UTC
// with a Z.
func ParseTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	zone, bare := now.Location(), strings.TrimSuffix(text, "Z")
	if bare != text {
		zone = time.UTC
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if at, err := time.Parse(layout, bare); err == nil {
			y, m, d := now.In(zone).Date()
			then := time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, zone)
			if then.After(now) {
				then = time.Date(y, m, d-1, at.Hour(), at.Minute(), at.Second(), 0, zone)
			}
			return then, nil
		}
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, bare, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write it as %s", text, TimeExamples)
}

// parseAgo reads a duration: as Go writes it, or in days.
func parseAgo(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// since is the span with another beginning.
func (s LogSpan) since(text string, now time.Time) (LogSpan, error) {
	s.All, s.Since = false, time.Time{}
	switch strings.TrimSpace(text) {
	case "":
	case "all":
		s.All = true
	default:
		at, err := ParseTime(text, now)
		if err != nil {
			return s, err
		}
		if at.After(now) {
			return s, errors.New("that is still to come")
		}
		s.Since = at
	}
	return s, s.check()
}

// until is the span with another end.
func (s LogSpan) until(text string, now time.Time) (LogSpan, error) {
	s.Until = time.Time{}
	switch strings.TrimSpace(text) {
	case "", "all":
	default:
		at, err := ParseTime(text, now)
		if err != nil {
			return s, err
		}
		s.Until = at
	}
	return s, s.check()
}

func (s LogSpan) check() error {
	if !s.Since.IsZero() && !s.Until.IsZero() && !s.Since.Before(s.Until) {
		return errors.New("nothing is between: since is not before until")
	}
	return nil
}

// moment writes a time to the minute, with its date where it is not today's.
func (e *env) moment(t time.Time) string {
	now, layout := e.local(e.now()), "15:04"
	t = e.local(t)
	if t.Second() != 0 {
		layout += ":05"
	}
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = time.DateOnly + " " + layout
	}
	if e.utc {
		layout += "Z"
	}
	return t.Format(layout)
}

// local is a time in the zone of the screen.
func (e *env) local(t time.Time) time.Time {
	if e.utc {
		return t.UTC()
	}
	return t.Local()
}

// putSpan says what time is read, where that was asked for.
func (v *logView) putSpan(p *style.Page) {
	switch {
	case v.span.All:
		p.Put(style.Soft, " from its beginning")
	case !v.span.Since.IsZero():
		p.Put(style.Soft, " since "+v.moment(v.span.Since))
	}
	if !v.span.Until.IsZero() {
		p.Put(style.Soft, " until "+v.moment(v.span.Until))
	}
}

// spanBox asks for the beginning or the end of what is read of a log.
type spanBox struct {
	*env
	of    *logView
	until bool
	input widget.Input
	wrong error
}

func newSpanBox(of *logView, until bool) screen { return &spanBox{env: of.env, of: of, until: until} }

func (b *spanBox) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		b.input.Paste(msg.Content)
	case pressed:
		switch msg.Action {
		case actBack:
			return b, b.leave(b)
		case actAccept:
			return b, b.accept()
		case "":
			if b.input.Key(msg.Key) {
				b.wrong = nil
			}
		}
	}
	return b, nil
}

// accept has the log read anew, unless what was typed is no time.
func (b *spanBox) accept() tea.Cmd {
	set := b.of.span.since
	if b.until {
		set = b.of.span.until
	}
	span, err := set(b.input.Text(), b.local(b.now()))
	if err != nil {
		b.wrong = err
		return nil
	}
	b.leave(b)
	return b.of.read(span)
}

func (b *spanBox) View(area Size) []string {
	width := min(area.W, 72)
	p := b.sheet.Page(width - 4)
	p.Blank(1)
	b.input.Put(p, style.Strong)
	p.End().Blank(1)
	title, empty, all := "Read the log since", "empty: its last lines", "all: from its beginning"
	if b.until {
		title, empty, all = "Read the log until", "empty: go on with what comes", ""
	}
	if b.wrong != nil {
		p.Put(style.Danger, style.BadMark).Space(1).Wrap(style.Danger, b.wrong.Error(), 3)
	} else {
		p.Put(style.Soft, TimeExamples).End()
	}
	p.Put(style.Muted, empty).Space(3).Put(style.Muted, all).End()
	p.Blank(1).Put(style.Key, "enter").Space(1).Put(style.Muted, "read").Space(3).Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel").End()
	return widget.Box(b.sheet, width, style.Focus, func(p *style.Page) { p.Put(style.Strong, title) }, "", p.Fit(min(p.Len(), max(area.H-2, 1))))
}

func (*spanBox) Scope() Scope { return inTyped }
func (*spanBox) Modal() bool  { return true }
