package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/rig"
)

// three are the services whose restart is interrupted: one and what comes after it, so
// that there is an order, and steps that run together.
var three = []string{"reference", "profile", "tcs"}

// process is a tandem command under way.
type process struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
	err  error
}

// start starts a command at the desk and does not wait for it.
func (e *e2e) start(args ...string) *process {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), slow)
	p := &process{cmd: e.command(ctx, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	e.must(p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		cancel()
		close(p.done)
	}()
	e.Cleanup(func() { cancel(); <-p.done })
	return p
}

// finished waits for the end of a command and returns its exit code.
func (e *e2e) finished(p *process) int {
	e.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		e.Fatalf("%q does not end", p.cmd.Args)
	}
	return e.code(p.err, p.cmd.Args[1:], p.out.Bytes())
}

// began waits for the first run at the desk.
func (e *e2e) began() string {
	e.Helper()
	var id string
	e.eventually("a run", patience, func() error {
		runs := e.runs()
		if len(runs) == 0 || runs[0].Started.IsZero() {
			return errors.New("none is recorded")
		}
		id = runs[0].ID
		return nil
	})
	return id
}

// reached waits until the run has an event that fits, and returns the run up to there.
func (e *e2e) reached(id string, fits func(*ops.Run, ops.Event) bool) ops.Run {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), slow)
	defer cancel()
	var run ops.Run
	err := journal.Follow(ctx, e.runDir(id), func(events []ops.Event) error {
		for _, ev := range events {
			run.Apply(ev)
			if fits(&run, ev) {
				return errFollowed
			}
		}
		return nil
	})
	if !errors.Is(err, errFollowed) {
		e.Fatalf("waiting for an event of run %s: %v", id, err)
	}
	return run
}

// intent fits the beginning of a step.
func intent(name string) func(*ops.Run, ops.Event) bool {
	return func(_ *ops.Run, ev ops.Event) bool {
		return ev.Kind == ops.EvIntent && strings.HasSuffix(ev.Step, "-"+name)
	}
}

// killRunner ends the process that carries out the run as a crash would.
func (e *e2e) killRunner(id string) {
	e.Helper()
	if pid, live := journal.Owner(e.runDir(id)); live {
		e.must(syscall.Kill(pid, syscall.SIGKILL))
	}
	e.eventually("the runner's end", patience, func() error {
		if _, live := journal.Owner(e.runDir(id)); live {
			return errors.New("it lives")
		}
		return nil
	})
}

// TestE2EKillConsole kills the console in the middle of a restart: the run goes on, and a
// new console shows it.
func TestE2EKillConsole(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	e.watch()
	load := e.rig.Load(e.Context(), 30)
	before := e.containers(ops.Green)
	c := e.console()
	c.see("2 of 2 in service", "8/8 ready")
	c.press("tab", "down", "space", "space", "down", "space") // marking goes one down; tcs is two below profile
	c.press("r")
	c.see("3 services of GREEN restart in start order", "to go on")
	id := e.confirmed(c, "")
	e.reached(id, intent("restart-reference"))
	c.kill()
	if pid, live := journal.Owner(e.runDir(id)); !live {
		e.Fatalf("the run ended with its console, process %d", pid)
	}

	c = e.console()
	c.see("restart 3 services of GREEN", "view run")
	c.press("v")
	c.see("restart 3 services of GREEN", "by ada@desk1")
	run := e.ended(id, ops.OutcomeDone)
	c.see("done in")
	e.restarted(&run, before, 1)
	e.isServer(ops.Green, "UP")
	e.unlocked()
	e.lossless(load)
}

// restarted checks that docker started the three services anew at most so many times each,
// not once after their step was done, and no others at all.
func (e *e2e) restarted(run *ops.Run, before map[string]container, most int) {
	e.Helper()
	starts := e.acts(ops.Green, "start")
	for _, s := range e.rig.Services {
		if !s.On(rig.Green) || s.Job {
			continue
		}
		times := starts[s.Container()]
		if !slices.Contains(three, s.Name) {
			if len(times) > 0 {
				e.Errorf("%s was started at %v", s.Name, times)
			}
			continue
		}
		if len(times) == 0 || len(times) > most {
			e.Errorf("%s was started %d times: %v", s.Name, len(times), times)
		}
		done := step(e, run, "restart-"+s.Name).Ended
		if late := slices.IndexFunc(times, func(at time.Time) bool { return at.After(done) }); late >= 0 {
			e.Errorf("%s was started at %s, though its restart was done at %s", s.Name, times[late], done)
		}
	}
	for name, now := range e.containers(ops.Green) {
		if now.ID != before[name].ID {
			e.Errorf("%s is another container", name)
		}
	}
}

// TestE2EKillRunner kills the runner of one run again and again: when a step is done, and
// when an act that can hurt has begun. Each time the command that started it says so, and
// tandem resume goes on.
func TestE2EKillRunner(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	e.watch()
	load := e.rig.Load(e.Context(), 30)
	before := e.containers(ops.Green)
	front := e.start(append([]string{"run", "restart", "green", "--yes"}, three...)...)
	id := e.began()
	killed := map[string]bool{}
	firstDone := map[string]time.Time{}
	for {
		seen := 0
		if len(killed) > 0 {
			events, err := journal.Read(e.runDir(id))
			e.must(err)
			seen = len(events)
			front = e.start("resume")
		}
		at := ""
		e.reached(id, func(run *ops.Run, ev ops.Event) bool {
			if ev.Kind == ops.EvDone && firstDone[ev.Step].IsZero() {
				firstDone[ev.Step] = ev.At
			}
			if run.Events <= seen {
				return false
			}
			boundary := string(ev.Kind) + " " + ev.Step
			hurts := ev.Kind == ops.EvIntent && run.Step(ev.Step).Doc.Risk != ops.Harmless
			if (ev.Kind == ops.EvDone || hurts) && !killed[boundary] {
				at = boundary
				return true
			}
			return ev.Kind == ops.EvEnded
		})
		if at == "" {
			break
		}
		killed[at] = true
		e.killRunner(id)
		code := e.finished(front)
		t.Logf("killed at %-24s exit code %d", at, code)
		if events, err := journal.Read(e.runDir(id)); err == nil && ops.Replay(events).Outcome == ops.OutcomeDone {
			break // the last word was out before the kill
		}
		if code != exitHalfWay {
			e.Errorf("after a kill at %s the exit code is %d: %s", at, code, &front.out)
		}
	}
	e.finished(front)
	run := e.ended(id, ops.OutcomeDone)
	for i, s := range run.Steps { // when it was done first counts, not what a later runner found
		if at := firstDone[s.Doc.ID]; !at.IsZero() {
			run.Steps[i].Ended = at
		}
	}
	if len(killed) < len(run.Steps) {
		e.Errorf("killed at %d of %d steps only: %v", len(killed), len(run.Steps), killed)
	}
	e.restarted(&run, before, 2)
	e.unlocked()
	e.isServer(ops.Green, "UP")
	e.exits(exitDone, []string{"gate"}, "open")
	e.lossless(load)
}

// TestE2ESecondConsole has another operator at another machine watch a run, who may not
// begin one meanwhile.
func TestE2ESecondConsole(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	grace := e.sit("grace@desk2", overTCP)
	watch := e.consoleAt(grace)
	watch.see("2 of 2 in service", "8/8 ready")
	front := e.start(append([]string{"run", "restart", "green", "--yes", "--reason", "INC-7"}, three...)...)
	id := e.began()
	e.reached(id, intent("drain"))

	watch.see("restart 3 services of GREEN", "view run")
	if code, out := e.at(grace, "gate"); code != exitRefused || !strings.Contains(out, "by ada at desk1") || !strings.Contains(out, "INC-7") {
		e.Errorf("gate during the run: exit code %d: %s", code, out)
	}
	if code, out := e.at(grace, "run", "drain", "green", "--yes"); code != exitRefused || !strings.Contains(out, "ada") {
		e.Errorf("a second run: exit code %d: %s", code, out)
	}
	watch.press("d")
	watch.see("a run is under way")
	watch.press("v")
	watch.see("by ada@desk1", "BLUE")
	run := e.ended(id, ops.OutcomeDone)
	if code := e.finished(front); code != exitDone {
		e.Errorf("the run's own command ended with %d: %s", code, &front.out)
	}
	// The last second of a run is not copied to where another machine could see it.
	watch.until("the end", func(screen string) bool {
		return strings.Contains(screen, "done in") || strings.Contains(screen, "how it ended is known to ada@desk1")
	})
	if code, out := e.at(grace, "gate"); code != exitDone {
		e.Errorf("gate after the run: exit code %d: %s", code, out)
	}
	if over, of := run.Counts(); over != of {
		e.Errorf("%d of %d steps are done", over, of)
	}
	if n := len(grace.runs()); n != 0 {
		e.Errorf("%d runs are recorded at the desk that only looked", n)
	}
	e.unlocked()
}

// TestE2EStatusJSON checks what other programs read against the schemas in this folder.
func TestE2EStatusJSON(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	for schema, args := range map[string][]string{
		"status.schema.json": {"status", "--json"},
		"plan.schema.json":   {"plan", "restart", "green", "--json"},
		"gate.schema.json":   {"gate", "--json"},
		"runs.schema.json":   {"runs", "--json"},
	} {
		out, err := e.command(e.Context(), args...).Output()
		if err == nil {
			err = validate(schema, string(out))
		}
		if err != nil {
			e.Errorf("tandem %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
