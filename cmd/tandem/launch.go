package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/plans"
	"tandem/ops/steps"
)

// What a runner process is started for.
const (
	modeStart    = "start"
	modeResume   = "resume"
	modeRollback = "rollback"
)

// launch starts a runner for the plan in a process and a session of its own: neither a
// closed terminal nor a crashed console stops a run. It returns when the runner has begun
// its journal, or with the reason why it has not.
func (s *session) launch(plan ops.Plan) error {
	if s.readOnly.Load() {
		return &ops.Problem{Doing: plan.Title, Err: ops.ErrReadOnly, Hint: "start without --read-only, or press ctrl+o in the console"}
	}
	doc, err := plan.Doc()
	if err != nil {
		return err
	}
	return s.spawn(plan.ID, modeStart, order{Plan: &doc}, 0)
}

// leftRun is a run to go on with, and its marks on the hosts as they were found left alone.
type leftRun struct {
	ops.Run
	marks []ops.LockInfo
}

// relaunch starts a runner for a run that has a journal already. What the operator accepts
// as a risk holds from then on.
func (s *session) relaunch(run leftRun, mode string, accept ...ops.Risk) error {
	id := run.ID
	if s.readOnly.Load() {
		return &ops.Problem{Doing: mode + " of run " + id, Err: ops.ErrReadOnly, Hint: "start without --read-only, or press ctrl+o in the console"}
	}
	if pid, live := journal.Owner(s.runDir(id)); live {
		return &codeError{exitRefused, &ops.Problem{Doing: mode + " of run " + id, Err: fmt.Errorf("process %d on this machine is carrying it out", pid),
			Hint: "watch it in the console, and stop it there first"}}
	}
	events, err := journal.Read(s.runDir(id))
	if err != nil {
		return err
	}
	return s.spawn(id, mode, order{Accept: accept, Left: run.marks}, len(events))
}

// order is what a runner is handed on its standard input. One that arrives cut, because the
// process that sent it died, is not carried out.
type order struct {
	Plan        *ops.PlanDoc      `json:"plan,omitempty"`   // of a new run
	Accept      []ops.Risk        `json:"accept,omitempty"` // by a resume, beyond what the plan accepts
	Left        []ops.LockInfo    `json:"left,omitempty"`   // marks of the run that were found left alone
	Passphrases map[string]string `json:"passphrases,omitempty"`
}

// program is the path of this very program, even when its file was deleted or replaced by
// another version meanwhile: the runner must be of the version that made the plan.
func program() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	const running = "/proc/self/exe" // Linux only, see proc(5)
	self, err := os.Stat(running)
	if err != nil {
		return path, nil
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(self, there) {
		return running, nil
	}
	return path, nil
}

// spawn starts the process, hands it its order, and waits until the journal has more than
// known events.
func (s *session) spawn(id, mode string, what order, known int) error {
	self, err := program()
	if err != nil {
		return err
	}
	what.Passphrases = s.phrases.tell()
	handed, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encoding the plan: %w", err)
	}
	dir := s.runDir(id)
	logs := filepath.Join(s.state, s.cfg.Pair.Name, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return fmt.Errorf("making the folder of the runners' logs: %w", err)
	}
	logPath := filepath.Join(logs, id+".log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the runner's log: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("reading the runner's log: %w", err)
	}
	cmd := exec.Command(self, "run", "--config", s.cfg.Path, "--id", id, "--mode", mode)
	cmd.Args[0] = "tandem" // as process lists show it
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(handed), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the runner: %w", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	begun := make(chan struct{})
	seen := 0
	go journal.Follow(ctx, dir, func(events []ops.Event) error {
		if seen += len(events); seen > known {
			close(begun)
			return errFollowed
		}
		return nil
	})
	select {
	case <-begun:
		return nil
	case <-ended:
		select {
		case <-begun: // a short run may be over before it was seen
			return nil
		default:
		}
		if events, err := journal.Read(dir); err == nil && len(events) > known {
			return nil
		}
		return &ops.Problem{Doing: "starting the runner of run " + id, Err: errors.New(said(logPath, from)), Hint: "nothing was begun: the pair is as it was"}
	case <-ctx.Done():
		return &ops.Problem{Doing: "starting the runner of run " + id, Err: errors.New("it has written nothing for 30 s"), Hint: "see " + logPath}
	}
}

// said is the first line of what was written to a file after an offset.
func said(path string, from int64) string {
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) <= from {
		return "it ended without a word"
	}
	lines := bytes.Split(bytes.TrimSpace(data[from:]), []byte("\n"))
	return safe(string(lines[0]))
}

// planUndo is the plan of taking back a run, for the confirmation.
func (s *session) planUndo(ctx context.Context, run ops.Run) (ops.Plan, error) {
	plan, err := run.Plan.Plan(steps.Decode)
	if err != nil {
		return ops.Plan{}, err
	}
	look := s.look
	if run.Plan.Op == ops.OpPatch {
		look = s.lookCloser // what it was at has to be had again
	}
	undo, err := plans.Undo(run, plan, look(ctx))
	if err != nil {
		return ops.Plan{}, &codeError{exitRefused, err}
	}
	return undo, nil
}

// halfWay finds the run to resume: the one named, else the one that holds the lock, else
// the latest one here that stopped.
func (s *session) halfWay(ctx context.Context, args []string) (leftRun, error) {
	if len(args) == 1 {
		return s.bring(ctx, args[0])
	}
	held, lockErr := s.locker.Held(ctx)
	if info := firstLock(held); info != nil {
		return s.bring(ctx, info.Run)
	}
	runs, err := s.past()
	if err != nil {
		return leftRun{}, err
	}
	if i := slices.IndexFunc(runs, func(r ops.Run) bool { return r.Unfinished() }); i >= 0 {
		return s.bring(ctx, runs[i].ID) // another machine may have brought it to its end
	}
	if lockErr != nil {
		return leftRun{}, &codeError{exitNoLook, lockErr}
	}
	return leftRun{}, usagef("no run of %s stopped half-way", s.cfg.Pair.Name)
}

// toTakeBack finds the run to roll back: the one named, else the one that holds the lock,
// else the latest one here.
func (s *session) toTakeBack(ctx context.Context, args []string) (leftRun, error) {
	if len(args) == 1 {
		return s.bring(ctx, args[0])
	}
	// Where the lock cannot be read, taking it again will tell.
	held, _ := s.locker.Held(ctx)
	if info := firstLock(held); info != nil {
		return s.bring(ctx, info.Run)
	}
	run, err := s.findRun("")
	if err != nil {
		return leftRun{}, err
	}
	return s.bring(ctx, run.ID)
}

// bring finds a run by id. Where another machine began it, or went on with it, the copy
// beside the lock on the hosts knows more: then this is written into the journals here.
func (s *session) bring(ctx context.Context, id string) (leftRun, error) {
	run, err := s.findRun(id)
	if err == nil && s.live(run.ID) {
		return leftRun{Run: run}, nil
	}
	if err == nil {
		id = run.ID
	}
	// Of a run that is recorded here, a lock that cannot be read says nothing; taking it will.
	marks, alone := s.leftAlone(ctx, id)
	if alone != nil && (err != nil || exitCode(alone) == exitRefused) {
		return leftRun{}, alone
	}
	if err == nil && !run.Unfinished() {
		return leftRun{run, marks}, nil
	}
	if last := s.locker.Released(ctx, id); last != nil && (last.From != s.machine || last.By != s.user) {
		return leftRun{}, &codeError{exitRefused, &ops.Problem{
			Doing: "going on with run " + id, Err: fmt.Errorf("it has come to its end, by %s at %s", last.By, last.From),
			Hint: "tandem runs there says how it ended; nothing was changed",
		}}
	}
	events, loadErr := s.locker.Load(ctx)
	if copied := ops.Replay(events); copied.ID == "" || copied.ID != id {
		if err != nil && loadErr != nil {
			err = &codeError{exitNoLook, errors.Join(err, loadErr)}
		}
		return leftRun{run, marks}, err
	}
	// Which of the two is the run's own is not a matter of length: a runner that was cut off
	// writes on.
	if _, err := journal.Import(s.state, s.cfg.Pair.Name, events); err != nil {
		return leftRun{}, err
	}
	run, err = s.findRun(id)
	return leftRun{run, marks}, err
}
