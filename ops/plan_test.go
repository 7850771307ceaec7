package ops_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

var made = time.Date(2026, 3, 5, 14, 3, 22, 0, time.FixedZone("CET", 3600))

// act is a step that is nothing but its data.
type act struct {
	Name     string
	Level    ops.Level
	Sides    map[ops.Side]int
	ops.Step `json:"-"`
}

func (a act) Kind() string      { return "act" }
func (a act) Title() string     { return "act on " + a.Name }
func (a act) Effects() []string { return []string{"docker restart " + a.Name} }
func (a act) Risk() ops.Level   { return a.Level }
func (a act) Guards() []ops.Guard {
	return []ops.Guard{{ID: "peer-in-service"}, {ID: "order-known"}}
}
func (a act) Back() ops.Undoing { return ops.Undoing{Title: "undo " + a.Name} }

func decode(kind string, data json.RawMessage) (ops.Step, error) {
	if kind != "act" {
		return nil, errors.New("no step of kind " + kind)
	}
	var a act
	err := json.Unmarshal(data, &a)
	return a, err
}

func plan() ops.Plan {
	return ops.Plan{
		ID: "20260305-restart-green-x", Pair: "tis", Made: made, Title: "restart 2 services of GREEN", Basis: "abc",
		Request: ops.Request{Op: ops.OpRestart, Side: ops.Green, Services: []string{"tcs"}, Images: map[string]string{"tcs": "a41f0c9"},
			Accept: []ops.Risk{{Guard: "peer-ready", Reason: "known"}}, Reason: "why not", Prior: json.RawMessage(`{"weight":7}`)},
		Headline: []string{"GREEN leaves traffic"}, OnlyHere: []string{"generic-upload"}, UndoText: "restarts stay",
		Checks: []ops.Check{{Guard: "peer-in-service", State: ops.Pass, Text: "BLUE in service", At: made.UTC()}},
		Steps: []ops.PlannedStep{
			{ID: "01-a", Step: act{Name: "a", Level: ops.Harmless, Sides: map[ops.Side]int{ops.Blue: 1}}},
			{ID: "02-b", Needs: []string{"01-a"}, Step: act{Name: "b", Level: ops.Disruptive}},
			{ID: "03-c", Needs: []string{"01-a"}, Step: act{Name: "c", Level: ops.Destructive}, Skip: "not on GREEN"},
		},
	}
}

func TestAPlanSurvivesBeingData(t *testing.T) {
	doc, err := plan().Doc()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var read ops.PlanDoc
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc, read); diff != "" {
		t.Errorf("the data differs after reading:\n%s", diff)
	}
	again, err := read.Plan(decode)
	if err != nil {
		t.Fatal(err)
	}
	doc2, err := again.Doc()
	if diff := cmp.Diff(doc, doc2); err != nil || diff != "" {
		t.Errorf("the plan differs after rebuilding (%v):\n%s", err, diff)
	}
	want := ops.StepDoc{ID: "02-b", Needs: []string{"01-a"}, Kind: "act", Title: "act on b", Effects: []string{"docker restart b"}, Risk: ops.Disruptive,
		Guards: []string{"peer-in-service", "order-known"}, Undo: "undo b", Data: json.RawMessage(`{"Name":"b","Level":"disruptive","Sides":null}`)}
	if diff := cmp.Diff(want, doc.Steps[1]); diff != "" {
		t.Errorf("the step differs:\n%s", diff)
	}
	if doc.Risk != ops.Disruptive { // the skipped step does not count
		t.Errorf("the risk is %s", doc.Risk)
	}
	if strings.Contains(string(text), "+01:00") {
		t.Error("a time is not in UTC")
	}
}

func TestAnEmptyPlanHasListsNotNull(t *testing.T) {
	doc, err := ops.Plan{}.Doc()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"headline", "checks", "only_here", "steps"} {
		if !strings.Contains(string(text), `"`+key+`":[]`) {
			t.Errorf("%s is not an empty list: %s", key, text)
		}
	}
}

func TestAnUnknownStepIsAnError(t *testing.T) {
	doc, err := plan().Doc()
	if err != nil {
		t.Fatal(err)
	}
	doc.Steps[1].Kind = "levitate"
	if _, err := doc.Plan(decode); err == nil || !strings.Contains(err.Error(), "02-b") || !strings.Contains(err.Error(), "levitate") {
		t.Errorf("the error is %v", err)
	}
}

func TestRefusal(t *testing.T) {
	p := plan()
	if r := p.Refusal(); r != nil {
		t.Errorf("refused: %v", r)
	}
	p.Checks = append(p.Checks,
		ops.Check{Guard: "a", State: ops.Remark}, ops.Check{Guard: "b", State: ops.Fail, Accepted: true},
		ops.Check{Guard: "c", State: ops.NotKnown, Text: "BLUE not seen for 2m"}, ops.Check{Guard: "d", State: ops.Fail, Text: "BLUE is out", Hint: "put it back"},
		ops.Check{Guard: "e"})
	r := p.Refusal()
	if r == nil || len(r.Checks) != 3 || r.Hint != "put it back" {
		t.Fatalf("refusal: %+v", r)
	}
	if got := r.Error(); !strings.Contains(got, "BLUE not seen for 2m; BLUE is out") || !strings.Contains(got, "nothing was changed") {
		t.Errorf("it says %q", got)
	}
	if doc, err := p.Doc(); err != nil || !doc.Refused {
		t.Errorf("the data does not say so: %v", err)
	}
}
