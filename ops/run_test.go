package ops_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// tell makes events a second apart, the first with the plan.
func tell(t *testing.T, events ...ops.Event) []ops.Event {
	t.Helper()
	doc, err := plan().Doc()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	list := append([]ops.Event{{Kind: ops.EvStarted, Text: "ana@laptop", Data: data}}, events...)
	for i := range list {
		list[i].Seq, list[i].At = i+1, second(i)
	}
	return list
}

func second(n int) time.Time { return made.UTC().Add(time.Duration(n) * time.Second) }

func step(kind ops.EventKind, text ...string) ops.Event {
	e := ops.Event{Kind: kind, Step: "02-b"}
	if len(text) > 0 {
		e.Text = text[0]
	}
	return e
}

func of(kind ops.EventKind, text string) ops.Event { return ops.Event{Kind: kind, Text: text} }

func TestReplayOfAStep(t *testing.T) {
	check := ops.Check{Guard: "peer-in-service", State: ops.Pass, At: made.UTC()}
	data, err := json.Marshal(check)
	if err != nil {
		t.Fatal(err)
	}
	guard := ops.Event{Kind: ops.EvGuard, Step: "02-b", Data: data}
	begun := []ops.Event{step(ops.EvIntent), guard, step(ops.EvSay, "waiting")}
	for _, test := range []struct {
		name   string
		events []ops.Event
		phase  ops.StepPhase
		text   string
		ended  int // seconds after the start; 0: not ended
		checks int
	}{
		{"not begun", nil, ops.Waiting, "", 0, 0},
		{"under way", begun, ops.Running, "waiting", 0, 1},
		{"done", append(begun[:3:3], step(ops.EvDone)), ops.Done, "waiting", 4, 1},
		{"already done", []ops.Event{step(ops.EvIntent), step(ops.EvAlreadyDone)}, ops.Already, "", 2, 0},
		{"skipped", []ops.Event{step(ops.EvSkipped, "not here")}, ops.Skipped, "not here", 1, 0},
		{"failed", append(begun[:3:3], step(ops.EvFailed, "exited 1")), ops.Failed, "exited 1", 4, 1},
		{"refused", append(begun[:2:2], step(ops.EvRefused, "BLUE is out")), ops.Refused, "BLUE is out", 3, 1},
		{"paused before it acts", append(begun[:2:2], step(ops.EvPaused, "BLUE is out: paused")), ops.Waiting, "BLUE is out: paused", 0, 1},
		{"paused while taken back", []ops.Event{step(ops.EvIntent), step(ops.EvDone), step(ops.EvUndoIntent), step(ops.EvPaused, "no")}, ops.TakingBack, "no", 0, 0},
		{"tried again", append(begun[:3:3], step(ops.EvFailed, "exited 1"), of(ops.EvResumed, ""), step(ops.EvIntent)), ops.Running, "", 0, 0},
		{"being taken back", append(begun[:3:3], step(ops.EvDone), step(ops.EvUndoIntent)), ops.TakingBack, "", 0, 1},
		{"taken back", []ops.Event{step(ops.EvIntent), step(ops.EvDone), step(ops.EvUndoIntent), step(ops.EvUndone)}, ops.Undone, "", 4, 0},
		{"nothing to take back", []ops.Event{step(ops.EvIntent), step(ops.EvDone), step(ops.EvUndoIntent), step(ops.EvNoUndo)}, ops.Done, "", 4, 0},
		{"not taken back", []ops.Event{step(ops.EvIntent), step(ops.EvDone), step(ops.EvUndoIntent), step(ops.EvUndoFailed, "no")}, ops.UndoFailed, "no", 4, 0},
		{"a kind of the future", append(begun[:3:3], step("levitated", "up")), ops.Running, "waiting", 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := ops.Replay(tell(t, test.events...))
			s := run.Step("02-b")
			want := time.Time{}
			if test.ended > 0 {
				want = second(test.ended)
			}
			if s.Phase != test.phase || s.Text != test.text || !s.Ended.Equal(want) || len(s.Checks) != test.checks {
				t.Errorf("%s, %q, ended %v, %d checks", s.Phase, s.Text, s.Ended, len(s.Checks))
			}
			if run.Step("01-a").Phase != ops.Waiting {
				t.Error("another step changed as well")
			}
		})
	}
}

func TestReplayOfARun(t *testing.T) {
	ended := of(ops.EvEnded, string(ops.OutcomeStopped))
	for _, test := range []struct {
		name    string
		events  []ops.Event
		live    bool
		paused  bool
		rolling bool
		asked   ops.Ask
		outcome ops.Outcome
	}{
		{name: "started", live: true},
		{name: "asked to pause", events: []ops.Event{of(ops.EvAsked, "pause")}, live: true, asked: ops.AskPause},
		{name: "paused", events: []ops.Event{of(ops.EvAsked, "pause"), of(ops.EvPaused, "as asked")}, live: true, paused: true},
		{name: "continued", events: []ops.Event{of(ops.EvPaused, ""), of(ops.EvAsked, "continue"), of(ops.EvContinued, "")}, live: true},
		{name: "stopped", events: []ops.Event{of(ops.EvAsked, "stop"), ended}, outcome: ops.OutcomeStopped},
		{name: "resumed", events: []ops.Event{ended, of(ops.EvResumed, "bo@desk")}, live: true},
		{name: "rolling back", events: []ops.Event{of(ops.EvAsked, "roll-back"), of(ops.EvRollback, "")}, live: true, rolling: true},
		{name: "rolled back", events: []ops.Event{of(ops.EvRollback, ""), of(ops.EvEnded, "rolled-back")}, rolling: true, outcome: ops.OutcomeRolledBack},
	} {
		t.Run(test.name, func(t *testing.T) {
			events := tell(t, test.events...)
			r := ops.Replay(events)
			if r.Live() != test.live || r.Paused != test.paused || r.Rolling != test.rolling || r.Asked != test.asked || r.Outcome != test.outcome {
				t.Errorf("live %v, paused %v, rolling %v, asked %q, outcome %q", r.Live(), r.Paused, r.Rolling, r.Asked, r.Outcome)
			}
			if r.ID != plan().ID || r.By != "ana@laptop" || r.Events != len(events) || !r.LastAt.Equal(events[len(events)-1].At) {
				t.Errorf("id %q by %q, %d events, last at %v", r.ID, r.By, r.Events, r.LastAt)
			}
		})
	}
	if r := ops.Replay(nil); r.Live() {
		t.Error("a run without events is live")
	}
}

func TestWhyARunIsPaused(t *testing.T) {
	paused := []ops.Event{step(ops.EvPaused, "BLUE is out"), step(ops.EvPaused, "BLUE is down"), of(ops.EvAsked, "pause"), of(ops.EvNote, "seen")}
	if r := ops.Replay(tell(t, paused...)); !r.Paused || r.PauseText != "BLUE is down" {
		t.Errorf("paused %v: %q", r.Paused, r.PauseText)
	}
	for _, kind := range []ops.EventKind{ops.EvContinued, ops.EvResumed, ops.EvRollback, ops.EvEnded} {
		if r := ops.Replay(tell(t, append(paused[:4:4], of(kind, ""))...)); r.Paused || r.PauseText != "" {
			t.Errorf("after %s it is paused: %v, %q", kind, r.Paused, r.PauseText)
		}
	}
}

func TestWhatWasAccepted(t *testing.T) {
	accepted := ops.Event{Kind: ops.EvAccepted, Text: "peer-ready: INC-42", Data: json.RawMessage(`{"guard":"peer-ready","reason":"INC-42"}`)}
	run := ops.Replay(tell(t, accepted, of(ops.EvResumed, "")))
	if diff := cmp.Diff([]ops.Risk{{Guard: "peer-ready", Reason: "INC-42"}}, run.Accepted); diff != "" {
		t.Error(diff)
	}
	earlier := run.Clone()
	run.Accepted[0].Reason = "another"
	if earlier.Accepted[0].Reason != "INC-42" {
		t.Error("a later event changes the copy")
	}
}

func TestRightful(t *testing.T) {
	event := func(hash string, minute int, owner bool) ops.Event {
		e := ops.Event{Hash: hash, Kind: ops.EvSay, At: made.Add(time.Duration(minute) * time.Minute)}
		if owner {
			e.Kind, e.Text = ops.EvRecord, ops.OwnerKey
		}
		return e
	}
	begun := []ops.Event{event("a", 0, false), event("b", 0, true)}
	with := func(more ...ops.Event) []ops.Event { return append(begun[:2:2], more...) }
	longer, cutOff := with(event("c", 9, false)), with(event("x", 1, false), event("y", 2, false), event("z", 3, false))
	there, backHere := with(event("d", 5, true)), with(event("e", 9, true))
	for _, test := range []struct {
		name       string
		a, b, want []ops.Event
	}{
		{"none", nil, nil, nil},
		{"one", nil, begun, begun},
		{"a beginning", begun, longer, longer},
		{"cut off, and resumed elsewhere", cutOff, there, there},
		{"resumed in both places", there, backHere, backHere},
		{"for no known reason", longer, cutOff, cutOff},
	} {
		if diff := cmp.Diff(test.want, ops.Rightful(test.a, test.b)); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.want, ops.Rightful(test.b, test.a)); diff != "" {
			t.Errorf("%s, the other way round:\n%s", test.name, diff)
		}
	}
}

func TestUnfinished(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []ops.Event
		want   bool
	}{
		{"under way, or its runner died", nil, true},
		{"done", []ops.Event{of(ops.EvEnded, "done")}, false},
		{"refused", []ops.Event{of(ops.EvEnded, "refused")}, false},
		{"stopped", []ops.Event{of(ops.EvEnded, "stopped")}, true},
		{"resumed", []ops.Event{of(ops.EvEnded, "stopped"), of(ops.EvResumed, "")}, true},
		{"failed half-way", []ops.Event{of(ops.EvEnded, "failed")}, true},
		{"failed, all taken back", []ops.Event{of(ops.EvRollback, ""), of(ops.EvEnded, "failed")}, false},
		{"stopped while rolling back", []ops.Event{of(ops.EvRollback, ""), of(ops.EvEnded, "stopped")}, true},
		{"rolled back", []ops.Event{of(ops.EvRollback, ""), of(ops.EvEnded, "rolled-back")}, false},
	} {
		if r := ops.Replay(tell(t, test.events...)); r.Unfinished() != test.want {
			t.Errorf("%s: %v", test.name, !test.want)
		}
	}
	if r := ops.Replay(nil); r.Unfinished() {
		t.Error("a run that never started is unfinished")
	}
}

func TestCountsAndLines(t *testing.T) {
	events := []ops.Event{step(ops.EvIntent), step(ops.EvDone), {Kind: ops.EvSkipped, Step: "03-c", Text: "not here"}, step(ops.EvRecord, "prior")}
	for i := range ops.RunLines + 10 {
		events = append(events, step(ops.EvSay, fmt.Sprint(i)))
	}
	r := ops.Replay(tell(t, events...))
	if over, total := r.Counts(); over != 1 || total != 2 {
		t.Errorf("%d of %d", over, total)
	}
	if len(r.Lines) != ops.RunLines || r.Lines[0].Text != "10" || r.Lines[ops.RunLines-1].Text != fmt.Sprint(ops.RunLines+9) {
		t.Errorf("%d lines, from %q", len(r.Lines), r.Lines[0].Text)
	}
}

// Applying events one by one, as a console does, tells the same as replaying them all.
func TestApplyIsReplay(t *testing.T) {
	events := tell(t, step(ops.EvIntent), step(ops.EvSay, "x"), step(ops.EvDone), of(ops.EvNote, "bo: seen"), of(ops.EvEnded, "done"))
	var r ops.Run
	for i, e := range events {
		r.Apply(e)
		if diff := cmp.Diff(ops.Replay(events[:i+1]), r); diff != "" {
			t.Fatalf("after event %d:\n%s", i+1, diff)
		}
	}
}

func TestReplaces(t *testing.T) {
	at := time.Date(2026, 3, 5, 14, 3, 22, 0, time.UTC)
	mark := func(from string, beat time.Duration, stopped bool) ops.LockInfo {
		return ops.LockInfo{Run: "r1", By: "ana", From: from, PID: 7, Beat: at.Add(beat), Stopped: stopped}
	}
	known := mark("desk1", 0, false)
	known.Beat = time.Time{}
	me := mark("desk3", 0, false)
	me.Former = []ops.LockInfo{known, mark("desk2", 0, false), mark("desk4", 0, true)}
	other := mark("desk2", 0, false)
	other.By = "bo"
	for name, test := range map[string]struct {
		mark ops.LockInfo
		want bool
	}{
		"its own":                               {mark("desk3", time.Hour, false), true},
		"of one that has given way":             {mark("desk1", time.Hour, false), true},
		"as it was found":                       {mark("desk2", 0, false), true},
		"older, on the other host":              {mark("desk2", -time.Minute, false), true},
		"with a sign of life since":             {mark("desk2", time.Second, false), false},
		"at work again, and stopped since":      {mark("desk2", time.Second, true), false},
		"found stopped, its last sign was late": {mark("desk4", time.Second, true), true},
		"found stopped, and at work again":      {mark("desk4", time.Second, false), false},
		"of somebody else":                      {mark("desk5", -time.Hour, false), false},
		"of another user there":                 {other, false},
		"made when its maker died":              {ops.LockInfo{Run: "r1", By: "someone unknown"}, true},
	} {
		if got := me.Replaces(test.mark); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
