package ops

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMomentsOfARun(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	doc, err := json.Marshal(PlanDoc{
		ID: "r1", Title: "recover both", Request: Request{Op: OpRecover, Side: Green, Both: true, Reason: "INC-42"},
		Steps: []StepDoc{{ID: "01", Title: "drain green", Side: Green}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var run Run
	apply := func(kind EventKind, step, text string) {
		run.Apply(Event{At: at, Kind: kind, Step: step, Text: text})
		at = at.Add(time.Second)
	}
	if list := run.Moments(); list != nil {
		t.Errorf("of no run: %v", list)
	}
	run.Apply(Event{At: at, Kind: EvStarted, Text: "ada@desk1", Data: doc})
	apply(EvIntent, "01", "")
	for range 2 * RunLines {
		apply(EvSay, "01", "waiting")
	}
	apply(EvNote, "", "bob@desk2: users are well")
	apply(EvNote, "", "the end of the journal was torn: 7 bytes cut off")
	apply(EvFailed, "01", "no answer")
	apply(EvEnded, "", string(OutcomeStopped))
	before := run.Clone()
	apply(EvResumed, "", "bob@desk2")
	apply(EvAlarm, "", "nobody serves")
	apply(EvEnded, "", string(OutcomeDone))
	var got []string
	for _, m := range run.Moments() {
		if m.Run != "r1" || m.At.IsZero() {
			t.Errorf("%+v", m)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s: %s", m.Kind, m.Side, m.Who, m.Text)))
	}
	want := `run  ada@desk1: recover both begun by ada@desk1, because: INC-42
note  bob@desk2: users are well
note  : the end of the journal was torn: 7 bytes cut off
run green ada@desk1: drain green did not succeed: no answer
run  ada@desk1: recover both: stopped half-way, 16m44s after its start
run  bob@desk2: recover both resumed by bob@desk2
run  ada@desk1: alarm: nobody serves
run  ada@desk1: recover both: done, 16m47s after its start`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if n := len(before.Moments()); n != 5 {
		t.Errorf("a copy made before tells %d moments, want 5", n)
	}
	before.Ended, before.Outcome, before.Marks = at, OutcomeStopped, before.Marks[:3]
	if list := before.Moments(); list[len(list)-1].Text != "recover both: stopped half-way" {
		t.Errorf("its process gone without a word: %+v", list)
	}
}
