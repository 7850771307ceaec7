package ops

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordsTellWhatBecameOfTheRun(t *testing.T) {
	record := func(key, data string) Event {
		return Event{Kind: EvRecord, Step: "07-remove", Text: key, Data: json.RawMessage(data)}
	}
	run := Replay([]Event{
		record("lost tcs", `["the link to db"]`), record("lost sync", `null`), record("original tcs", `["no loss"]`),
		{Kind: EvSay, Step: "07-remove", Text: "lost patience", Data: json.RawMessage(`["no record"]`)},
		record(VersionsKey, `{"side":"green","engine":"20.10.24","compose":"1.29.2"}`), record(ServedKey, `{"blue":{"requests":10,"failed":1}}`),
		record(VersionsKey, `{"side":"green","engine":"26.1.5","compose":"1.29.2"}`), record(ServedKey, `{"blue":{"requests":30,"failed":1}}`),
	})
	one := uint64(1)
	want := Told{
		Lost:   []Loss{{Step: "07-remove", Name: "tcs", What: []string{"the link to db"}}},
		Before: map[Side]Versions{Green: {Green, "20.10.24", "1.29.2"}}, After: map[Side]Versions{Green: {Green, "26.1.5", "1.29.2"}},
		ServedBefore: map[Side]Served{Blue: {10, &one}}, ServedAfter: map[Side]Served{Blue: {30, &one}},
	}
	if diff := cmp.Diff(want, run.Told); diff != "" {
		t.Error(diff)
	}
}

func TestSince(t *testing.T) {
	two, five := uint64(2), uint64(5)
	for name, test := range map[string]struct {
		before, after    map[Side]Served
		requests, failed uint64
		known            bool
	}{
		"both":       {map[Side]Served{Blue: {10, &two}, Green: {7, &two}}, map[Side]Served{Blue: {25, &five}, Green: {7, &two}}, 15, 3, true},
		"no fails":   {map[Side]Served{Blue: {10, nil}}, map[Side]Served{Blue: {25, nil}}, 15, 0, true},
		"started":    {map[Side]Served{Blue: {10, nil}}, map[Side]Served{Blue: {3, nil}}, 0, 0, false},
		"fails back": {map[Side]Served{Blue: {10, &five}}, map[Side]Served{Blue: {30, &two}}, 0, 0, false},
		"one gone":   {map[Side]Served{Blue: {10, nil}}, map[Side]Served{}, 0, 0, false},
		"none":       {nil, nil, 0, 0, false},
	} {
		requests, failed, known := Since(test.before, test.after)
		if requests != test.requests || failed != test.failed || known != test.known {
			t.Errorf("%s: %d requests, %d failed, %v", name, requests, failed, known)
		}
	}
}

// TestAFailureIsNotDoneByHavingNoUndo takes back a step that failed and left nothing.
func TestAFailureIsNotDoneByHavingNoUndo(t *testing.T) {
	plan := json.RawMessage(`{"id":"r1","steps":[{"id":"a"},{"id":"b"}]}`)
	run := Replay([]Event{
		{Kind: EvStarted, Data: plan}, {Kind: EvIntent, Step: "a"}, {Kind: EvDone, Step: "a"}, {Kind: EvIntent, Step: "b"},
		{Kind: EvFailed, Step: "b", Text: "no systemd"}, {Kind: EvRollback}, {Kind: EvNoUndo, Step: "b"}, {Kind: EvNoUndo, Step: "a"},
	})
	if a, b := run.Steps[0], run.Steps[1]; a.Phase != Done || b.Phase != Failed || b.Text != "no systemd" {
		t.Errorf("a is %s, b is %s: %s", a.Phase, b.Phase, b.Text)
	}
}
