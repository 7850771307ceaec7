package main

import (
	"context"
	"slices"
	"time"

	"tandem/ops"
	"tandem/ops/findings"
	"tandem/ops/report"
	"tandem/ops/timeline"
)

// timeline is what happened to the pair, as far as it was seen on this machine.
func (s *session) timeline() *timeline.Log { return timeline.Open(s.state, s.cfg.Pair.Name) }

// telling is how the timeline of a pair is made: of the log on the disk, and of the journals of
// runs.
type telling struct {
	kept []ops.Moment    // of the log
	runs []ops.Moment    // of earlier runs
	ids  map[string]bool // whose they are
	now  *ops.Run        // the run that is followed, nil: none
	lost ops.Moment      // that the log cannot be written, zero: it can
}

// past takes in the earlier runs. A canary that nobody asked for and that passed is no news.
func (t *telling) past(runs []ops.Run) {
	t.runs, t.ids = nil, map[string]bool{}
	for i := range runs {
		r := &runs[i]
		t.ids[r.ID] = true
		if r.Plan.Request.Op != ops.OpCanary || r.Plan.Request.Reason != scheduled || r.Outcome != ops.OutcomeDone {
			t.runs = append(t.runs, r.Moments()...)
		}
	}
}

// all is the timeline, oldest first.
func (t *telling) all() []ops.Moment {
	list := make([]ops.Moment, 0, len(t.kept)+len(t.runs)+1)
	for _, m := range t.kept {
		if m.Run == "" || !t.ids[m.Run] && (t.now == nil || t.now.ID != m.Run) { // its journal knows more
			list = append(list, m)
		}
	}
	for _, m := range t.runs {
		if t.now == nil || t.now.ID != m.Run {
			list = append(list, m)
		}
	}
	if t.now != nil {
		list = append(list, t.now.Moments()...)
	}
	if !t.lost.At.IsZero() {
		list = append(list, t.lost)
	}
	slices.SortStableFunc(list, func(a, b ops.Moment) int { return a.At.Compare(b.At) })
	return list
}

// sameStory tells whether two states of a run tell the timeline the same.
func sameStory(a, b *ops.Run) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ID == b.ID && len(a.Marks) == len(b.Marks) && a.Ended.Equal(b.Ended)
}

// record writes moments into the log and makes the timeline anew where it has become another one.
// It tells whether it has.
func (b *backend) record(list ...ops.Moment) (bool, error) {
	b.recording.Lock() // what was read later is shown later
	defer b.recording.Unlock()
	for i := range list {
		list[i].Text = safe(list[i].Text)
	}
	err := b.log.Add(list...)
	kept, unread := b.log.Read()
	if err == nil {
		err = unread
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &b.telling
	news := len(kept) != len(t.kept) || len(kept) > 0 && &kept[0] != &t.kept[0] || (err == nil) != t.lost.At.IsZero()
	t.kept = kept
	switch {
	case err == nil:
		t.lost = ops.Moment{}
	case t.lost.At.IsZero():
		t.lost = ops.Moment{At: time.Now(), Kind: ops.MomentNote, Text: safe("this timeline is not saved: " + err.Error())}
	}
	if news {
		b.timeline = t.all()
	}
	return news, err
}

// happened puts what was done from here on the timeline.
func (b *backend) happened(m ops.Moment) error {
	m.At = time.Now()
	_, err := b.record(m)
	b.signal()
	return err
}

// Markdown is a timeline as a page.
func (b *backend) Markdown(pair string, list []ops.Moment) string { return report.Timeline(pair, list) }

// unwatched is after which time without a console the timeline says that there was none.
const unwatched = time.Minute

// begin notes on the timeline since when nobody has watched the pair: what happened then is not on
// it, and must not be taken for nothing.
func (b *backend) begin(now time.Time) {
	before, _ := b.log.Watched(now) // where that cannot be noted, nothing can: the timeline says so
	if !before.IsZero() && now.Sub(before) > unwatched {
		text := "no console was open here since " + before.UTC().Format("2 Jan 15:04Z") + ": of the time up to now only runs and packages are known"
		b.record(ops.Moment{At: now, Kind: ops.MomentNote, Text: text})
	}
}

// trackFindings puts it on the timeline when a finding above a note comes, changes or clears; also
// when one that an earlier console has told of has cleared since.
func (b *backend) trackFindings(ctx context.Context) {
	select {
	case <-b.live.Looked():
	case <-ctx.Done():
		return
	}
	var tracker findings.Tracker
	if told, open := openFindings(b.Timeline()); told {
		tracker.Resume(open)
	}
	beat := time.NewTicker(watchEvery)
	defer beat.Stop()
	for look := 1; ; look++ {
		b.refresh()
		snap := b.Snapshot()
		var list []ops.Moment
		for _, c := range tracker.See(&snap) {
			if c.Now.Severity == ops.Note && (c.Was.ID == "" || c.Was.Severity == ops.Note) {
				continue
			}
			m := findingMoment(c, time.Now())
			if look <= 2 { // a change is told when two looks have it
				m.Text += " (seen as the console opened: since when is not known)"
			}
			list = append(list, m)
		}
		if len(list) > 0 {
			if _, err := b.record(list...); err == nil {
				b.signal()
			}
		}
		b.log.Watched(time.Now())
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

func findingMoment(c findings.Change, at time.Time) ops.Moment {
	f := &ops.FindingMoment{ID: c.Now.ID, Severity: c.Now.Severity, Title: safe(c.Now.Title), Cleared: c.Kind == findings.Cleared}
	m := ops.Moment{At: at, Kind: ops.MomentFinding, Side: c.Now.Side, Finding: f}
	switch c.Kind {
	case findings.Cleared:
		m.Text = "cleared: " + f.Title
	case findings.Changed:
		f.Was = safe(c.Was.Title)
		m.Text = "now a " + string(f.Severity) + ": " + f.Title
	default:
		m.Text = string(f.Severity) + ": " + f.Title
	}
	return m
}

// openFindings are the findings that a timeline tells of and that have not cleared; told: it tells
// of any at all.
func openFindings(list []ops.Moment) (told bool, open []ops.Finding) {
	for _, m := range list {
		f := m.Finding
		if f == nil {
			continue
		}
		told = true
		open = slices.DeleteFunc(open, func(o ops.Finding) bool {
			return o.ID == f.ID && (o.Title == f.Title && o.Side == m.Side || f.Was != "" && o.Title == f.Was)
		})
		if !f.Cleared {
			open = append(open, ops.Finding{ID: f.ID, Severity: f.Severity, Side: m.Side, Title: f.Title})
		}
	}
	return told, open
}
