package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/findings"
	"tandem/ops/timeline"
)

// What a timeline tells of findings says which have not cleared, under the words told last.
func TestOpenFindings(t *testing.T) {
	finding := func(side ops.Side, title string) ops.Finding {
		return ops.Finding{ID: "service-not-ready", Severity: ops.Block, Side: side, Title: title}
	}
	var list []ops.Moment
	for _, c := range []findings.Change{
		{Kind: findings.New, Now: finding(ops.Green, "tcs exited 1")},
		{Kind: findings.New, Now: finding(ops.Blue, "tcs exited 1")},
		{Kind: findings.New, Now: finding(ops.Green, "sync unhealthy")},
		{Kind: findings.Changed, Now: finding(ops.Green, "2 services unhealthy"), Was: finding(ops.Green, "sync unhealthy")},
		{Kind: findings.Cleared, Now: finding(ops.Blue, "tcs exited 1"), Was: finding(ops.Blue, "tcs exited 1")},
	} {
		list = append(list, findingMoment(c, time.Now()))
	}
	told, open := openFindings(list)
	if want := []ops.Finding{finding(ops.Green, "tcs exited 1"), finding(ops.Green, "2 services unhealthy")}; !told || !cmp.Equal(open, want) {
		t.Error(cmp.Diff(want, open))
	}
	if told, open = openFindings(list[:0]); told || open != nil {
		t.Errorf("of nothing: %v %v", told, open)
	}
}

// The journal of a run tells more than what the log has of it, and the run that is followed more
// than what was read of it before.
func TestTheJournalTellsTheTimelineOfRuns(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	run := func(id string, marks ...ops.EventKind) ops.Run {
		r := ops.Run{ID: id, By: "ada@desk1", Started: at, Plan: ops.PlanDoc{Title: "drain " + id}}
		for _, kind := range marks {
			r.Marks = append(r.Marks, ops.RunLine{At: at, Kind: kind, Text: "x"})
		}
		return r
	}
	scheduledRun := run("canary", ops.EvEnded)
	scheduledRun.Plan.Request, scheduledRun.Outcome = ops.Request{Op: ops.OpCanary, Reason: scheduled}, ops.OutcomeDone
	followed := run("one", ops.EvPaused, ops.EvContinued)
	telling := telling{kept: []ops.Moment{
		{At: at, Text: "tcs healthy"}, {At: at, Run: "two", Text: "as another machine told"}, {At: at, Run: "far", Text: "of another machine"},
	}, now: &followed}
	telling.past([]ops.Run{run("one"), run("two"), scheduledRun})
	var got []string
	for _, m := range telling.all() {
		got = append(got, m.Text)
	}
	want := []string{"tcs healthy", "of another machine", "drain two begun by ada@desk1", "drain one begun by ada@desk1", "drain one paused: x", "drain one goes on"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Where the disk does not take it, a note is an error and stays on the timeline, which says that it
// is not saved; once there is a way it is, and nothing is said.
func TestATimelineThatCannotBeSaved(t *testing.T) {
	state := t.TempDir()
	blocked := filepath.Join(state, "tis")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // in the way of the folder
		t.Fatal(err)
	}
	b := &backend{changed: make(chan struct{}, 1), log: timeline.Open(state, "tis")}
	says := func(want ...string) {
		t.Helper()
		var got []string
		for _, m := range b.Timeline() {
			text, _, _ := strings.Cut(m.Text, ":")
			got = append(got, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	var problem *ops.Problem
	if err := b.Note(t.Context(), "", "one\x1b[2J"); !errors.As(err, &problem) || problem.Hint == "" {
		t.Errorf("the note: %v", err)
	}
	says("one", "this timeline is not saved")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := b.Note(t.Context(), "", "two"); err != nil {
		t.Error(err)
	}
	says("one", "two")
	if list, err := timeline.Open(state, "tis").Read(); err != nil || len(list) != 2 || list[0].Text != "one" || list[0].Who != operator() {
		t.Errorf("saved: %+v, %v", list, err)
	}
}
