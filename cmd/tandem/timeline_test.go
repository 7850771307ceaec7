package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/findings"
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
