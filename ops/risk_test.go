package ops_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

func TestARiskIsAcceptedForOneSide(t *testing.T) {
	request := ops.Request{Op: ops.OpRecover, Side: ops.Green, Both: true}
	for _, test := range []struct {
		name     string
		risk     ops.Risk
		side     ops.Side
		services []string
		want     bool
	}{
		{"at the start, the first side", ops.Risk{Guard: "g"}, ops.Green, nil, true},
		{"at the start, its peer", ops.Risk{Guard: "g"}, ops.Blue, nil, false},
		{"of the peer", ops.Risk{Guard: "g", Side: ops.Blue}, ops.Blue, nil, true},
		{"of the peer, the first side", ops.Risk{Guard: "g", Side: ops.Blue}, ops.Green, nil, false},
		{"another guard", ops.Risk{Guard: "h"}, ops.Green, nil, false},
		{"all services", ops.Risk{Guard: "g"}, ops.Green, []string{"tcs", "profile"}, true},
		{"this service", ops.Risk{Guard: "g", Service: "tcs"}, ops.Green, []string{"tcs"}, true},
		{"another service", ops.Risk{Guard: "g", Service: "tcs"}, ops.Green, []string{"profile"}, false},
		{"one of two services", ops.Risk{Guard: "g", Service: "tcs"}, ops.Green, []string{"tcs", "profile"}, false},
		{"one service, and it is about none", ops.Risk{Guard: "g", Service: "tcs"}, ops.Green, nil, false},
	} {
		if got := request.Accepts([]ops.Risk{test.risk}, test.side, "g", test.services...); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestBind(t *testing.T) {
	step := func(phase ops.StepPhase, doc ops.StepDoc, checks ...ops.Check) ops.RunStep {
		doc.Side = ops.Blue
		return ops.RunStep{Doc: doc, Phase: phase, Started: ops.Event{}.At.AddDate(2024, 0, 0), Checks: checks}
	}
	unready := ops.Check{Guard: "services-ready", State: ops.Fail, Services: []string{"tcs", "profile"}}
	for _, test := range []struct {
		name string
		step ops.RunStep
		want []ops.Risk
	}{
		{"a service that did not start", step(ops.Failed, ops.StepDoc{Service: "tcs"}), []ops.Risk{{Guard: "services-ready", Side: ops.Blue, Service: "tcs"}}},
		{"a guard about services", step(ops.Waiting, ops.StepDoc{Guards: []string{"services-ready"}}, unready),
			[]ops.Risk{{Guard: "services-ready", Side: ops.Blue, Service: "tcs"}, {Guard: "services-ready", Side: ops.Blue, Service: "profile"}}},
		{"a guard of a service's step", step(ops.Refused, ops.StepDoc{Service: "tcs", Guards: []string{"services-ready"}}), []ops.Risk{{Guard: "services-ready", Side: ops.Blue}}},
		{"a step of no service", step(ops.Failed, ops.StepDoc{}), []ops.Risk{{Guard: "services-ready", Side: ops.Blue}}},
		{"nothing stands", step(ops.Done, ops.StepDoc{Service: "tcs"}), []ops.Risk{{Guard: "services-ready"}}},
	} {
		run := ops.Run{Steps: []ops.RunStep{step(ops.Done, ops.StepDoc{Service: "idle"}), test.step}}
		if diff := cmp.Diff(test.want, run.Bind(ops.Risk{Guard: "services-ready"})); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
