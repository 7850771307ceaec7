package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/ops"
	"tandem/ops/journal"
)

// follow prints a run line by line until it ends, and returns its outcome as an exit code.
// Events before the first are passed over.
func (s *session) follow(cmd *cobra.Command, id string, first int) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	by := operator()
	out := cmd.OutOrStdout()
	if _, warning := slack(s.cfg.Notify); warning != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "tandem: "+warning)
	}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	go func() {
		asked := false
		for {
			select {
			case <-ctx.Done():
				return
			case <-interrupts:
			}
			if asked {
				cancel()
				return
			}
			asked = true
			if err := journal.Ask(s.runDir(id), ops.AskStop, by); err != nil {
				fmt.Fprintf(out, "tandem: %v\n", err)
				continue
			}
			fmt.Fprintln(out, "asked to stop after the present step; Ctrl-C again leaves the run alone")
		}
	}()
	var told ops.Run
	var code error
	ask := s.answers(ctx, out, id)
	err := s.watch(ctx, id, func(run *ops.Run, news []ops.Event) error {
		for _, e := range news {
			if told.Apply(e); told.Events <= first {
				continue
			}
			printEvent(out, &told, e)
			switch q := question(&told, e); {
			case q != "":
				ask(q)
			case !told.Paused:
				ask("")
			}
			// A run that goes on again has ended before: only an end of its own counts.
			if e.Kind == ops.EvEnded {
				code = runError(run)
				return errFollowed
			}
		}
		if len(news) == 0 {
			fmt.Fprintln(out, goneWords(run))
			code = runError(run)
			return errFollowed
		}
		return nil
	})
	switch {
	case errors.Is(err, errFollowed):
		return code
	case errors.Is(err, context.Canceled):
		return leftAlone(id)
	}
	return err
}

// leftAlone is the end of following a run that goes on: whoever waited for it to succeed must
// not take it for done.
func leftAlone(id string) error {
	return &codeError{exitFailed, &ops.Problem{
		Doing: "following run " + id, Err: errors.New("left alone: it goes on without this terminal"), Hint: "watch it in the console, or see how it ended: tandem runs",
	}}
}

// question is what a run that has paused asks before it goes on with its next step; empty:
// it asks nothing.
func question(run *ops.Run, e ops.Event) string {
	if step := run.Step(e.Step); e.Kind == ops.EvPaused && step != nil && e.Text == step.Doc.Pause {
		return e.Text
	}
	return ""
}

// answers reads the terminal while a run is followed and returns what tells it the run's
// question, empty for none. What is typed before a question is no answer to it.
func (s *session) answers(ctx context.Context, out io.Writer, id string) func(question string) {
	var open atomic.Bool
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return func(string) {}
	}
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan() && ctx.Err() == nil; {
			switch {
			case !open.Load():
			case strings.TrimSpace(lines.Text()) != "y":
				fmt.Fprintln(out, "the run waits: type y to go on; Ctrl-C stops it, and it can be resumed")
			default:
				if err := journal.Ask(s.runDir(id), ops.AskContinue, operator()); err != nil {
					fmt.Fprintf(out, "tandem: %v\n", err)
				}
			}
		}
	}()
	return func(question string) {
		open.Store(question != "")
		if question != "" {
			fmt.Fprint(out, "type y to go on: ")
		}
	}
}

// printEvent writes an event as one plain line: for terminals without a screen, logs and
// screen readers.
func printEvent(w io.Writer, run *ops.Run, e ops.Event) {
	step := run.Step(e.Step)
	title := ""
	if step != nil {
		title = step.Doc.Title
	}
	text := ""
	switch e.Kind {
	case ops.EvStarted:
		text = fmt.Sprintf("run %s: %s, by %s", run.ID, run.Plan.Title, run.By)
	case ops.EvIntent:
		text = title + " ..."
	case ops.EvSay:
		text = "  " + e.Text
	case ops.EvDone:
		text = fmt.Sprintf("%s: done in %s", title, step.Ended.Sub(step.Started).Round(100*time.Millisecond))
	case ops.EvAlreadyDone:
		text = title + ": nothing had to be done"
	case ops.EvSkipped:
		text = title + ": not needed: " + e.Text
	case ops.EvFailed:
		text = title + ": did not succeed: " + e.Text
	case ops.EvRefused:
		text = title + ": refused: " + e.Text
	case ops.EvUndoIntent:
		text = "taking back: " + title + " ..."
	case ops.EvUndone:
		text = "taking back: " + title + ": done"
	case ops.EvUndoFailed:
		text = "taking back: " + title + ": did not succeed: " + e.Text
	case ops.EvNoUndo:
		text = "taking back: " + title + ": nothing to take back"
	case ops.EvAsked:
		text = "asked: " + e.Text
	case ops.EvPaused:
		text = "paused: " + e.Text
	case ops.EvContinued:
		text = "continued"
	case ops.EvResumed:
		text = "resumed by " + e.Text
	case ops.EvRollback:
		text = "rolling back: " + e.Text // by whom, or why
	case ops.EvAccepted:
		text = "accepted: " + e.Text
	case ops.EvAlarm:
		text = "ALARM: " + e.Text
	case ops.EvAllClear:
		text = "all clear: " + e.Text
	case ops.EvNote:
		text = "note: " + e.Text
	case ops.EvEnded:
		text = endWords(run)
	default:
		return // guards and records are in the journal
	}
	fmt.Fprintf(w, "%s  %s\n", e.At.UTC().Format("15:04:05Z"), safe(text))
}

// goneWords are those for a run that died.
func goneWords(run *ops.Run) string {
	return "the process that carried out run " + run.ID + " is gone: " + endWords(run)
}

func endWords(run *ops.Run) string {
	took := run.Ended.Sub(run.Started).Round(time.Second)
	switch run.Outcome {
	case ops.OutcomeDone:
		return fmt.Sprintf("done in %s", took)
	case ops.OutcomeRolledBack:
		return fmt.Sprintf("rolled back, %s after the start", took)
	case ops.OutcomeRefused:
		return "refused: nothing was changed"
	}
	switch {
	case !run.Unfinished() && run.Plan.Request.Op == ops.OpJob:
		return fmt.Sprintf("%s after %s; the pair is free again, and what the job did stays", run.Outcome, took)
	case !run.Unfinished():
		return fmt.Sprintf("%s after %s; what little was done is taken back", run.Outcome, took)
	}
	return fmt.Sprintf("%s half-way; the pair is locked: tandem resume, or tandem rollback", run.Outcome)
}

func median(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}
