package runner

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"tandem/ops"
	"tandem/ops/journal"
)

// askAfter leaves requests when a step is done, as an operator who watches would.
func (b *bench) askAfter(step string, asks ...ops.Ask) {
	b.after = map[string]func(){step: func() {
		for _, ask := range asks {
			b.requests <- journal.Request{Ask: ask, By: "bo@desk"}
		}
	}}
}

func TestPause(t *testing.T) {
	w, b := restart(t)
	b.askAfter("a", ops.AskPause)
	b.onPause = func() {
		if w.values["b/0"] != 0 {
			t.Error("a step began after the pause was asked for")
		}
		b.requests <- journal.Request{Ask: ops.AskContinue}
	}
	if err := b.want(t, Start, ops.OutcomeDone); err != nil {
		t.Error(err)
	}
	b.wantKinds(t, "", ops.EvStarted, ops.EvAsked, ops.EvPaused, ops.EvAsked, ops.EvContinued, ops.EvEnded)
}

func TestStopWhilePaused(t *testing.T) {
	w, b := restart(t)
	b.askAfter("a", ops.AskPause)
	b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskStop, By: "bo@desk"} }
	err := b.want(t, Start, ops.OutcomeStopped)
	if err == nil || !strings.Contains(err.Error(), "bo@desk") || !w.locked() || !b.info.Stopped {
		t.Errorf("error %v, locks %v, the mark says stopped: %v", err, w.locks, b.info.Stopped)
	}
	if err := b.want(t, resume, ops.OutcomeDone); err != nil || b.info.Stopped {
		t.Errorf("resuming: %v, the mark says stopped: %v", err, b.info.Stopped)
	}
}

func TestRollBackWhileRunning(t *testing.T) {
	w, b := restart(t)
	b.askAfter("a", ops.AskRollback)
	if err := b.want(t, Start, ops.OutcomeRolledBack); err != nil || w.values["a/0"] != 0 || !w.free() {
		t.Errorf("error %v, %v, locks %v", err, w.values, w.locks)
	}
	b.wantKinds(t, "b")
}

func TestNotesGoOnTheRecord(t *testing.T) {
	_, b := restart(t)
	b.after = map[string]func(){"a": func() { b.requests <- journal.Request{Note: "seen 503s", By: "bo@desk"} }}
	b.want(t, Start, ops.OutcomeDone)
	if !slices.ContainsFunc(b.read, func(e ops.Event) bool { return e.Kind == ops.EvNote && e.Text == "bo@desk: seen 503s" }) {
		t.Error("the note is missing")
	}
}

// one runs a plan of one step with a given act.
func one(t *testing.T, ctx context.Context, act func() error) (ops.Outcome, []ops.Event, error) {
	t.Helper()
	j, err := journal.Create(t.TempDir(), "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	step := &meeting{ID: "a", do: act}
	outcome, err := Start(ctx, Config{
		Journal: j, Requests: make(chan journal.Request), Decode: func(string, json.RawMessage) (ops.Step, error) { return step, nil },
	}, ops.Plan{ID: "r1", Pair: "tis", Steps: []ops.PlannedStep{{ID: "a", Step: step}}})
	return outcome, j.Events(), err
}

func TestTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	outcome, events, err := one(t, ctx, func() error { cancel(); return ctx.Err() })
	if outcome != ops.OutcomeStopped || !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v", outcome, err)
	}
	run := ops.Replay(events)
	if run.Outcome != ops.OutcomeStopped || run.Step("a").Phase != ops.Failed {
		t.Errorf("the journal says %s, the step %s", run.Outcome, run.Step("a").Phase)
	}
}

func TestAPanicIsAFailedStep(t *testing.T) {
	outcome, events, err := one(t, t.Context(), func() error { panic("index out of range") })
	run := ops.Replay(events)
	if outcome != ops.OutcomeFailed || err == nil || !strings.Contains(run.Step("a").Text, "index out of range") {
		t.Errorf("%s: %v; the step says %q", outcome, err, run.Step("a").Text)
	}
}

func TestLongTextIsCut(t *testing.T) {
	_, events, _ := one(t, t.Context(), func() error { return errors.New(strings.Repeat("é", 1<<20)) })
	i := slices.IndexFunc(events, func(e ops.Event) bool { return e.Kind == ops.EvFailed })
	if n := len(events[i].Text); n > maxText+30 || n < maxText/2 {
		t.Errorf("%d bytes on the record", n)
	}
	if !strings.HasSuffix(events[i].Text, "bytes more)") || strings.ContainsRune(events[i].Text, '\uFFFD') {
		t.Error("the cut is not marked, or went through a character")
	}
}

func TestWithoutARecordNothingIsDone(t *testing.T) {
	j, err := journal.Create(t.TempDir(), "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	acted := false
	step := &meeting{ID: "a", do: func() error { acted = true; return nil }}
	cfg := Config{
		Journal: j, Requests: make(chan journal.Request), Decode: func(string, json.RawMessage) (ops.Step, error) { return step, nil },
		OnEvent: func(e ops.Event) {
			if e.Kind == ops.EvStarted {
				j.Close()
			}
		},
	}
	outcome, err := Start(t.Context(), cfg, ops.Plan{ID: "r1", Pair: "tis", Steps: []ops.PlannedStep{{ID: "a", Step: step}}})
	var problem *ops.Problem
	if outcome != ops.OutcomeStopped || !errors.As(err, &problem) || problem.Hint == "" || acted {
		t.Errorf("%s: %v; acted: %v", outcome, err, acted)
	}
}

func TestPlansAndJournalsThatDoNotFit(t *testing.T) {
	j, err := journal.Create(t.TempDir(), "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	step := &meeting{do: func() error { return nil }}
	cfg := Config{Journal: j, Requests: make(chan journal.Request), Decode: func(string, json.RawMessage) (ops.Step, error) { return step, nil }}
	for name, steps := range map[string][]ops.PlannedStep{
		"no id":                {{Step: step}},
		"an id twice":          {{ID: "a", Step: step}, {ID: "a", Step: step}},
		"needs what is not":    {{ID: "a", Needs: []string{"b"}, Step: step}},
		"needs what is later":  {{ID: "a", Needs: []string{"b"}, Step: step}, {ID: "b", Step: step}},
		"needs each the other": {{ID: "a", Needs: []string{"a"}, Step: step}},
	} {
		if _, err := Start(t.Context(), cfg, ops.Plan{ID: "r1", Steps: steps}); err == nil || len(j.Events()) > 0 {
			t.Errorf("%s: %v, %d events", name, err, len(j.Events()))
		}
	}
	for name, way := range map[string]func(context.Context, Config) (ops.Outcome, error){"resume": Resume, "rollback": Rollback} {
		if _, err := way(t.Context(), cfg); err == nil {
			t.Errorf("%s of an empty journal", name)
		}
	}
	cfg.Decode = func(string, json.RawMessage) (ops.Step, error) { return nil, errors.New("no such kind") }
	if _, err := Start(t.Context(), cfg, ops.Plan{ID: "r1", Steps: []ops.PlannedStep{{ID: "a", Step: step}}}); err == nil || len(j.Events()) > 0 {
		t.Errorf("a step that cannot be rebuilt: %v", err)
	}
	if _, err := j.Append(ops.Event{Kind: ops.EvNote}); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), cfg, ops.Plan{ID: "r1"}); err == nil {
		t.Error("started on a used journal")
	}
}
