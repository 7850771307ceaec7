package main

import (
	"encoding/json"
	"testing"
	"time"

	"tandem/ops"
)

// journalOf is a run whose steps of these kinds ended so, with records.
func journalOf(t *testing.T, id string, side ops.Side, steps map[string]ops.EventKind, records ...ops.Probed) ops.Run {
	t.Helper()
	doc := ops.PlanDoc{ID: id, Side: side}
	at := time.Date(2025, 6, 6, 14, 0, 0, 0, time.UTC)
	var events []ops.Event
	for kind, end := range steps {
		doc.Steps = append(doc.Steps, ops.StepDoc{ID: kind, Kind: kind, Side: side})
		events = append(events, ops.Event{At: at, Kind: ops.EvIntent, Step: kind}, ops.Event{At: at.Add(time.Second), Kind: end, Step: kind})
	}
	for _, p := range records {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ops.Event{At: at, Kind: ops.EvRecord, Text: ops.ProbeKey + p.At.String(), Data: data})
	}
	plan, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return ops.Replay(append([]ops.Event{{At: at, Kind: ops.EvStarted, Text: "ada@desk1", Data: plan}}, events...))
}

// A try of compose counts whatever became of the step that made it; of a recovery of both each
// side has its own, and the latest counts.
func TestWhatIsKnownOfCompose(t *testing.T) {
	probed := func(side ops.Side, ok bool, text string) ops.Probed {
		return ops.Probed{Side: side, CanaryResult: ops.CanaryResult{OK: ok, Text: text}}
	}
	var snap ops.Snapshot
	addKnown([]ops.Run{
		journalOf(t, "2", ops.Green, map[string]ops.EventKind{"preflight": ops.EvRefused}, probed(ops.Green, true, ""), probed(ops.Green, false, "KeyError")),
		journalOf(t, "1", ops.Green, map[string]ops.EventKind{"canary": ops.EvDone}, probed(ops.Green, true, ""), probed(ops.Blue, true, "")),
	}, &snap)
	if p := snap.Green.Probe; p == nil || p.OK || p.Text != "KeyError" {
		t.Errorf("green: %+v", p)
	}
	if p := snap.Blue.Probe; p == nil || !p.OK {
		t.Errorf("blue: %+v", p)
	}
	if c := snap.Green.Canary; c == nil || !c.OK {
		t.Errorf("the canary of green: %+v", c)
	}
}

// Who took a side out is known until it is brought back.
func TestWhoTookItOut(t *testing.T) {
	drain := journalOf(t, "1", ops.Green, map[string]ops.EventKind{"drain": ops.EvDone})
	for name, test := range map[string]struct {
		since []ops.Run
		out   bool
	}{
		"drained":                  {nil, true},
		"a canary since":           {[]ops.Run{journalOf(t, "2", ops.Green, map[string]ops.EventKind{"canary": ops.EvDone})}, true},
		"a drain that was refused": {[]ops.Run{journalOf(t, "2", ops.Green, map[string]ops.EventKind{"drain": ops.EvRefused})}, true},
		"it was out already":       {[]ops.Run{journalOf(t, "2", ops.Green, map[string]ops.EventKind{"drain": ops.EvAlreadyDone})}, true},
		"put back":                 {[]ops.Run{journalOf(t, "2", ops.Green, map[string]ops.EventKind{"put-back": ops.EvDone})}, false},
		"the peer put back":        {[]ops.Run{journalOf(t, "2", ops.Blue, map[string]ops.EventKind{"put-back": ops.EvDone})}, true},
		"taken back":               {[]ops.Run{journalOf(t, "2", ops.Green, map[string]ops.EventKind{"drain": ops.EvUndone})}, false},
	} {
		var snap ops.Snapshot
		addKnown(append(test.since, drain), &snap)
		switch d := snap.Green.Drained; {
		case (d != nil) != test.out:
			t.Errorf("%s: %+v", name, d)
		case d != nil && (d.Run != "1" || d.By != "ada" || d.From != "desk1" || d.At.IsZero()):
			t.Errorf("%s: %+v", name, d)
		}
		if snap.Blue.Drained != nil {
			t.Errorf("%s: blue %+v", name, snap.Blue.Drained)
		}
	}
}
