package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/runner"
	"tandem/ops/steps"
)

// runRunner is the life of a runner process: it carries out one recorded run.
func runRunner(ctx context.Context, g *globals, id, mode string) error {
	// The console may go, and take its terminal with it: that must not reach the run.
	// SIGTERM (the machine goes down) stops after cancelling the present step.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
	s, err := openWith(g, links{last: true})
	if err != nil {
		return err
	}
	defer s.close()
	handed, err := readOrder(os.Stdin)
	if err != nil {
		return err
	}
	s.phrases.learn(handed.Passphrases)
	s.phrases.hush()
	if mode == modeStart && handed.Plan == nil {
		return usagef("run --id is for tandem itself: no plan came on the standard input")
	}
	tell, warning := s.notifier(os.Stderr)
	defer tell.Close() // after the journal: who goes on with the run need not wait for it
	j, err := s.journal(id, mode)
	if err != nil {
		return err
	}
	defer j.Close()
	if warning != "" {
		fmt.Fprintln(os.Stderr, "tandem: "+warning)
	}
	cfg := s.runnerConfig(id, os.Getpid(), j, handed)
	cfg.OnEvent = tellRun(tell, ops.Replay(j.Events()))
	outcome, err := s.carryOut(ctx, mode, handed, cfg)
	if outcome == "" { // it did not begin
		return err
	}
	run := ops.Replay(j.Events())
	return runError(&run)
}

// journal begins the journal of a run, or goes on with it.
func (s *session) journal(id, mode string) (*journal.Journal, error) {
	if mode == modeStart {
		return journal.Create(s.state, s.cfg.Pair.Name, id)
	}
	return journal.Open(s.runDir(id))
}

// fence keeps what waited for a host to answer from being done there when the run has been
// taken over meanwhile.
func (s *session) fence() {
	for side, host := range s.hosts {
		host.SetFence(s.locker.Fence(side))
	}
}

// stands is the fence before the balancer. Who has not taken the lock meets none.
func (s *session) stands(ctx context.Context) error { return s.locker.Stands(ctx) }

func (s *session) runnerConfig(id string, pid int, j *journal.Journal, handed order) runner.Config {
	info := ops.LockInfo{Run: id, By: s.user, From: s.machine, PID: pid, Since: time.Now().UTC()}
	return runner.Config{
		Env: s.env(info), Journal: j, Decode: steps.Decode, Copy: s.locker.Progress, Copied: s.locker.Sync, By: s.user + "@" + s.machine, Accept: handed.Accept, Left: handed.Left,
		Watch: s.cfg.Pair.Limits.Stale / 3,
	}
}

// carryOut is what a runner does once it has its journal.
func (s *session) carryOut(ctx context.Context, mode string, handed order, cfg runner.Config) (ops.Outcome, error) {
	var plan ops.Plan
	var err error
	if mode == modeStart {
		plan, err = handed.Plan.Plan(steps.Decode)
	} else {
		run := ops.Replay(cfg.Journal.Events())
		plan, err = run.Plan.Plan(steps.Decode)
	}
	if err != nil {
		return "", err
	}
	s.fence()
	info := &cfg.Env.Run
	info.Op, info.Side, info.Both, info.Reason = plan.Request.Op, plan.Request.Side, plan.Request.Both, plan.Request.Reason
	defer s.closeLock()
	switch mode {
	case modeStart:
		return runner.Start(ctx, cfg, plan)
	case modeResume:
		return runner.Resume(ctx, cfg)
	case modeRollback:
		return runner.Rollback(ctx, cfg)
	}
	return "", usagef("mode %q is not one of start, resume, rollback", mode)
}

// closeLock lets the last copies reach the hosts, as far as they answer.
func (s *session) closeLock() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.locker.Close(ctx)
}

func readOrder(in io.Reader) (order, error) {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return order{}, fmt.Errorf("reading what to carry out: %w", err)
	}
	return o, nil
}

// runError is the exit of a run that has ended; what there is to say was said line by line.
func runError(run *ops.Run) error {
	switch {
	case run.Outcome == ops.OutcomeDone, run.Outcome == ops.OutcomeRolledBack:
		return nil
	case run.Outcome == ops.OutcomeRefused:
		return &codeError{exitRefused, nil}
	case run.Unfinished():
		return &codeError{exitHalfWay, nil}
	}
	return &codeError{exitFailed, nil}
}
