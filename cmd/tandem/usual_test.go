package main

import (
	"testing"
	"time"

	"tandem/ops"
)

// What a run found to be so already, and what took no time, is known: else the time left of the
// next one could not be told from its steps.
func TestUsualCountsWhatWasSoAlready(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	step := func(title string, phase ops.StepPhase, took time.Duration) ops.RunStep {
		return ops.RunStep{Doc: ops.StepDoc{Title: title}, Phase: phase, Started: at, Ended: at.Add(took)}
	}
	runs := []ops.Run{{
		Plan: ops.PlanDoc{Title: "recover GREEN"}, Outcome: ops.OutcomeDone, Started: at, Ended: at.Add(time.Minute),
		Steps: []ops.RunStep{step("reboot GREEN", ops.Done, 30*time.Second), step("restore policies", ops.Already, 0), step("canary", ops.Failed, time.Second)},
	}}
	for title, want := range map[string]time.Duration{
		"reboot GREEN": 30 * time.Second, "restore policies": time.Millisecond, "canary": 0, "recover GREEN": time.Minute,
	} {
		if got := usual(runs, title); got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
	}
}

// A run that will ask is not resumed where nobody can answer; one that has its answer is.
func TestWaitsForAnswer(t *testing.T) {
	for _, test := range []struct {
		phase   ops.StepPhase
		rolling bool
		want    bool
	}{{ops.Waiting, false, true}, {ops.Waiting, true, false}, {ops.Done, false, false}, {ops.Failed, false, false}} {
		run := ops.Run{Rolling: test.rolling, Steps: []ops.RunStep{{Doc: ops.StepDoc{Pause: "Go on with BLUE?"}, Phase: test.phase}}}
		if got := waitsForAnswer(&run); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}
