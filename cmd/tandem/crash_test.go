package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/lab"
)

// bench is a lab and one operator's desk, for tests in Go.
type bench struct {
	t   *testing.T
	lab *lab.Lab
	desk
	who string // TANDEM_OPERATOR
}

func newBench(t *testing.T) *bench {
	t.Helper()
	l, err := lab.Start(lab.Options{Dir: t.TempDir(), Speed: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := quicken(l, "1s"); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, lab: l, desk: desk{t.TempDir(), "tis"}, who: "ada@desk1"}
	t.Cleanup(func() { b.killRunner() })
	return b
}

// at is the same lab seen from another desk.
func (b *bench) at(who string) *bench {
	other := &bench{t: b.t, lab: b.lab, desk: desk{b.t.TempDir(), "tis"}, who: who}
	b.t.Cleanup(func() { other.killRunner() })
	return other
}

func (b *bench) command(args ...string) *exec.Cmd {
	cmd := self(args...)
	cmd.Env = append(os.Environ(), "TANDEM_CONFIG="+b.lab.ConfigPath(), "XDG_STATE_HOME="+b.state, "TANDEM_OPERATOR="+b.who)
	return cmd
}

// tandem runs the program to its end.
func (b *bench) tandem(args ...string) (code int, output string) {
	b.t.Helper()
	out, err := b.command(args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), string(out)
	case err != nil:
		b.t.Fatal(err)
	}
	return 0, string(out)
}

// well fails the test unless the program ends with 0.
func (b *bench) well(args ...string) string {
	b.t.Helper()
	code, out := b.tandem(args...)
	if code != 0 {
		b.t.Fatalf("tandem %s ended with %d:\n%s\nthe journal:\n%s", strings.Join(args, " "), code, out, b.story())
	}
	return out
}

// story is the latest run's journal in lines.
func (b *bench) story() string {
	_, dir, err := b.latest()
	if err != nil {
		return err.Error()
	}
	events, err := journal.Read(dir)
	var text strings.Builder
	for _, e := range events {
		fmt.Fprintf(&text, "%s %-12s %-20s %s\n", e.At.Format("15:04:05.000"), e.Kind, e.Step, e.Text)
	}
	return text.String() + fmt.Sprint(err)
}

// crash begins a restart of three services and ends its runner with kill -9 as soon as the
// journal has an event of this kind for the step. It returns the run as it was left.
func (b *bench) crash(kind ops.EventKind, step string) ops.Run {
	b.t.Helper()
	var out bytes.Buffer
	cmd := b.command("run", "restart", "green", "profile", "tcs", "admins-ui", "--yes")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	err := b.reached(func(_ *ops.Run, e ops.Event) bool { return e.Kind == kind && strings.Contains(e.Step, step) })
	if err == nil {
		err = b.killRunner()
	}
	waited := cmd.Wait() // it says that the runner is gone
	if err != nil {
		b.t.Fatalf("%v\n%s\n%s", err, out.String(), b.story())
	}
	run, _, err := b.latest()
	if err != nil {
		b.t.Fatal(err)
	}
	if run.Live() && (waited == nil || !strings.Contains(out.String(), "is gone")) {
		b.t.Errorf("who watched was not told that the runner is gone: %v\n%s", waited, out.String())
	}
	return run
}

// good checks that all is as if nothing had happened: in service, ready, free.
func (b *bench) good() {
	b.t.Helper()
	b.well("gate")
	status := b.well("status")
	for _, want := range []string{"2 of 2 in service", "13 of 13 ready", "14 of 14 ready"} {
		if !strings.Contains(status, want) {
			b.t.Errorf("status does not say %q:\n%s", want, status)
		}
	}
}

var restarting = regexp.MustCompile(`^POST .*/containers/([^/]+)/restart`)

// restarts counts them by service, from the lab's wires.
func (b *bench) restarts(run *ops.Run) map[string]int {
	counts := map[string]int{}
	for _, r := range b.lab.Requests() {
		at := restarting.FindStringSubmatch(r.What)
		if at == nil {
			continue
		}
		for _, step := range run.Steps {
			if step.Doc.Kind == "restart" && bytes.Contains(step.Doc.Data, []byte(`"`+at[1])) {
				counts[step.Doc.ID]++
			}
		}
	}
	return counts
}

// sampled are the places of a list of n that a plain `go test` tries: few, spread over the
// list, so that it stays a matter of two minutes. TANDEM_ALL=1, as .ci/run has it, tries all.
func sampled(n, few int) []int {
	if everything() {
		few = n
	}
	var places []int
	for i := range min(few, n) {
		places = append(places, i*n/min(few, n))
	}
	return places
}

// TestRunnerKilledAtEveryStep: wherever the runner dies, resume brings the run to its end,
// does not restart again what was restarted, and leaves the pair free.
func TestRunnerKilledAtEveryStep(t *testing.T) {
	type moment struct {
		kind ops.EventKind
		step string
	}
	moments := []moment{{ops.EvIntent, "drain"}, {ops.EvIntent, "restart-tcs"}, {ops.EvIntent, "put-back"}} // inside an act
	for _, step := range []string{"lock", "drain", "restart-profile", "restart-tcs", "restart-admins-ui", "canary", "verify", "put-back", "soak", "unlock"} {
		moments = append(moments, moment{ops.EvDone, step})
	}
	for _, i := range sampled(len(moments), 3) {
		at := moments[i]
		t.Run(at.step+" "+string(at.kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			left := b.crash(at.kind, at.step)
			if left.Live() {
				b.well("resume")
			}
			b.good()
			run, _, err := b.latest()
			if err != nil {
				t.Fatal(err)
			}
			if run.ID != left.ID || run.Outcome != ops.OutcomeDone {
				t.Errorf("run %s ended %q", run.ID, run.Outcome)
			}
			counts := b.restarts(&run)
			for _, was := range left.Steps {
				if was.Doc.Kind != "restart" {
					continue
				}
				most := 1
				if was.Phase == ops.Running {
					most = 2 // killed inside this very step
				}
				if n := counts[was.Doc.ID]; n < 1 || n > most {
					t.Errorf("%s, left as %s: restarted %d times, at most %d is right\n%s", was.Doc.ID, was.Phase, n, most, b.story())
				}
			}
		})
	}
}

// TestRunnerKilledAndRolledBack: instead of resuming, what was done can be taken back.
func TestRunnerKilledAndRolledBack(t *testing.T) {
	moments := []struct {
		kind ops.EventKind
		step string
	}{{ops.EvDone, "lock"}, {ops.EvIntent, "drain"}, {ops.EvDone, "drain"}, {ops.EvDone, "restart-profile"}, {ops.EvIntent, "put-back"}, {ops.EvIntent, "soak"}}
	for _, i := range sampled(len(moments), 1) {
		at := moments[i]
		t.Run(at.step+" "+string(at.kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if left := b.crash(at.kind, at.step); !left.Live() {
				t.Fatalf("the run came to an end: %s\n%s", left.Outcome, b.story())
			}
			b.well("rollback", "--yes")
			b.good()
			if run, _, err := b.latest(); err != nil || run.Outcome != ops.OutcomeRolledBack {
				t.Errorf("the run ended %q, %v\n%s", run.Outcome, err, b.story())
			}
		})
	}
}

// TestMachineOfTheRunnerGone: another operator elsewhere goes on from the copy that the
// hosts keep, or takes the run back.
func TestMachineOfTheRunnerGone(t *testing.T) {
	for _, command := range [][]string{{"resume"}, {"rollback", "--yes"}} {
		t.Run(command[0], func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			left := b.crash(ops.EvIntent, "restart-tcs")
			other := b.at("bob@desk2")
			out := other.well(command...)
			other.good()
			run, _, err := other.latest()
			if err != nil {
				t.Fatal(err)
			}
			if run.ID != left.ID || run.By != "ada@desk1" {
				t.Errorf("run %s by %s was gone on with, not %s", run.ID, run.By, left.ID)
			}
			if !strings.Contains(out, "bob@desk2") {
				t.Errorf("the record does not say who went on:\n%s", out)
			}
			if n := other.restarts(&run)[left.Steps[2].Doc.ID]; n != 1 {
				t.Errorf("%s was restarted %d times", left.Steps[2].Doc.ID, n)
			}
		})
	}
}
