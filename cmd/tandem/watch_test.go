package main

import (
	"testing"
	"time"

	"tandem/ops"
)

// A lock that is gone does not say that its run is done: it is broken, too, under a run that
// was killed.
func TestUnlockedElsewhereIsNotDone(t *testing.T) {
	at := time.Date(2024, 5, 17, 14, 0, 0, 0, time.UTC)
	back := at.Add(time.Minute)
	steps := func(drain, restart ops.StepPhase, ended time.Time) []ops.RunStep {
		return []ops.RunStep{
			{Doc: ops.StepDoc{Kind: "lock"}, Phase: ops.Done, Ended: at},
			{Doc: ops.StepDoc{Kind: "drain"}, Phase: drain, Ended: ended},
			{Doc: ops.StepDoc{Kind: "restart"}, Phase: restart, Ended: ended},
			{Doc: ops.StepDoc{Kind: "unlock"}, Phase: ops.Running},
		}
	}
	rolling := []ops.RunLine{{At: back, Kind: ops.EvRollback, Text: "by ada@desk1"}}
	for name, test := range map[string]struct {
		run  ops.Run
		want ops.Outcome
	}{
		"all over":           {ops.Run{Steps: steps(ops.Done, ops.Already, at)}, ops.OutcomeDone},
		"one not needed":     {ops.Run{Steps: steps(ops.Skipped, ops.Done, at)}, ops.OutcomeDone},
		"one under way":      {ops.Run{Steps: steps(ops.Done, ops.Running, at)}, ops.OutcomeUnknown},
		"one not begun":      {ops.Run{Steps: steps(ops.Done, ops.Waiting, at)}, ops.OutcomeUnknown},
		"one failed":         {ops.Run{Steps: steps(ops.Done, ops.Failed, at)}, ops.OutcomeUnknown},
		"all taken back":     {ops.Run{Rolling: true, Lines: rolling, Steps: steps(ops.Undone, ops.Undone, back)}, ops.OutcomeRolledBack},
		"nothing to undo":    {ops.Run{Rolling: true, Lines: rolling, Steps: steps(ops.Undone, ops.Done, back)}, ops.OutcomeRolledBack},
		"begun to take back": {ops.Run{Rolling: true, Lines: rolling, Steps: steps(ops.Done, ops.Done, at)}, ops.OutcomeUnknown},
		"being taken back":   {ops.Run{Rolling: true, Lines: rolling, Steps: steps(ops.TakingBack, ops.Undone, back)}, ops.OutcomeUnknown},
		"not taken back":     {ops.Run{Rolling: true, Lines: rolling, Steps: steps(ops.UndoFailed, ops.Undone, back)}, ops.OutcomeUnknown},
	} {
		if got := unlocked(&test.run); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
