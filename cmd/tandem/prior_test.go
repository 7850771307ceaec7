package main

import (
	"testing"

	"tandem/ops"
)

// The weight or instance recorded at a drain counts until the side serves again, not longer.
func TestARecordEndsWhenTheSideServesAgain(t *testing.T) {
	step := func(kind string, phase ops.StepPhase) ops.RunStep {
		return ops.RunStep{Doc: ops.StepDoc{Kind: kind}, Phase: phase}
	}
	blue := func(s ops.RunStep) ops.RunStep { s.Doc.Side = ops.Blue; return s }
	for name, test := range map[string]struct {
		steps []ops.RunStep
		want  bool
	}{
		"drained":             {[]ops.RunStep{step("drain", ops.Done)}, false},
		"stopped half-way":    {[]ops.RunStep{step("drain", ops.Done), step("put-back", ops.Waiting)}, false},
		"put back":            {[]ops.RunStep{step("drain", ops.Done), step("put-back", ops.Done)}, true},
		"put back, then undo": {[]ops.RunStep{step("put-back", ops.Undone)}, false},
		"peer put back":       {[]ops.RunStep{step("drain", ops.Done), blue(step("put-back", ops.Done))}, false},
		"drain taken back":    {[]ops.RunStep{step("drain", ops.Undone)}, true},
	} {
		if got := broughtBack(&ops.Run{Plan: ops.PlanDoc{Side: ops.Green}, Steps: test.steps}, ops.Green); got != test.want {
			t.Errorf("%s: brought back %v", name, got)
		}
	}
}
