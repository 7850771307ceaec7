package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"tandem/ops"
)

func TestRequest(t *testing.T) {
	table := []struct {
		line string
		want ops.Request
		err  string
	}{
		{"recover green", ops.Request{Op: ops.OpRecover, Side: ops.Green}, ""},
		{"recover both", ops.Request{Op: ops.OpRecover, Both: true}, ""},
		{"recover BOTH --straight-on", ops.Request{Op: ops.OpRecover, Both: true, StraightOn: true}, ""},
		{"recover blue --without reboot,pools --start api", ops.Request{
			Op: ops.OpRecover, Side: ops.Blue, Without: []string{ops.PartReboot, ops.PartPools}, Start: ops.StartAPI}, ""},
		{"recover blue --accept peer-ready --reason late", ops.Request{
			Op: ops.OpRecover, Side: ops.Blue, Reason: "late", Accept: []ops.Risk{{Guard: "peer-ready", Reason: "late"}}}, ""},
		{"recover", ops.Request{}, "recover needs a side"},
		{"recover red", ops.Request{}, "not a side"},
		{"recover green tcs", ops.Request{}, "recover green takes nothing more"},
		{"recover both tcs", ops.Request{}, "recover both takes nothing more"},
		{"recover green --straight-on", ops.Request{}, "there is no second side"},
		{"drain both", ops.Request{}, "not a side"},
		{"restart green --without reboot", ops.Request{}, "are for recover, not for restart"},
		{"drain green --start api", ops.Request{}, "are for recover, not for drain"},
		{"recover green --accept peer-ready", ops.Request{}, "needs --reason"},
		{"patch green --to 26.1.5 --to docker-compose=2.26.1-4", ops.Request{Op: ops.OpPatch, Side: ops.Green}, ""},
		{"rollback green --versions", ops.Request{Op: ops.OpPatch, Side: ops.Green}, ""},
		{"patch both --to 26.1.5", ops.Request{}, "not a side"},
		{"patch green tcs --to 26.1.5", ops.Request{}, "patch green takes nothing more"},
		{"rollback green tcs=1 --versions", ops.Request{}, "rollback green --versions takes nothing more"},
		{"drain green --to 26.1.5", ops.Request{}, "--to is for patch, not for drain"},
		{"patch green --versions", ops.Request{}, "--versions is for rollback, not for patch"},
	}
	for _, test := range table {
		t.Run(test.line, func(t *testing.T) {
			var f requestFlags
			cmd := &cobra.Command{}
			f.register(cmd, &globals{})
			if err := cmd.ParseFlags(strings.Fields(test.line)); err != nil {
				t.Fatal(err)
			}
			got, err := f.request(cmd.Flags().Args())
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || exitCode(err) != exitUsage {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("error %v, request differs (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A run's own question is told from other pauses, which end by themselves or by whoever
// asked for them.
func TestQuestion(t *testing.T) {
	run := ops.Run{Steps: []ops.RunStep{{Doc: ops.StepDoc{ID: "1"}}, {Doc: ops.StepDoc{ID: "2", Pause: "Go on?"}}}}
	for _, test := range []struct {
		e    ops.Event
		want string
	}{
		{ops.Event{Kind: ops.EvPaused, Step: "2", Text: "Go on?"}, "Go on?"},
		{ops.Event{Kind: ops.EvPaused, Step: "2", Text: "BLUE is down"}, ""},
		{ops.Event{Kind: ops.EvPaused, Text: "as asked"}, ""},
		{ops.Event{Kind: ops.EvPaused, Step: "1", Text: ""}, ""},
		{ops.Event{Kind: ops.EvSay, Step: "2", Text: "Go on?"}, ""},
	} {
		if got := question(&run, test.e); got != test.want {
			t.Errorf("%+v: %q", test.e, got)
		}
	}
}

// A canary is of the side that its step names, which may not be that of the run; of two of
// one run on one side the later counts.
func TestCanariesOfARecovery(t *testing.T) {
	step := func(side ops.Side, phase ops.StepPhase, text string) ops.RunStep {
		return ops.RunStep{Doc: ops.StepDoc{Kind: "canary", Side: side}, Phase: phase, Text: text}
	}
	var snap ops.Snapshot
	addKnown([]ops.Run{
		{Plan: ops.PlanDoc{Side: ops.Green}, Steps: []ops.RunStep{step(ops.Blue, ops.Done, "first"), step(ops.Green, ops.Waiting, ""), step(ops.Blue, ops.Failed, "last")}},
		{Plan: ops.PlanDoc{Side: ops.Green}, Steps: []ops.RunStep{step("", ops.Done, "earlier run")}},
	}, &snap)
	if c := snap.Blue.Canary; c == nil || c.OK || c.Text != "last" {
		t.Errorf("blue: %+v", c)
	}
	if c := snap.Green.Canary; c == nil || !c.OK || c.Text != "earlier run" {
		t.Errorf("green: %+v", c)
	}
}
