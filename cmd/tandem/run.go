package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/plans"
)

func newPlan(g *globals) *cobra.Command {
	var f requestFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "plan OP SIDE [SERVICE...]", Short: "The plan with every effect; changes nothing",
		Long:    "plan looks at the pair, makes the plan and prints it with every call it would make. " + requestUsage,
		Example: "  tandem plan restart green\n  tandem plan drain blue --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.show(cmd, g, args, asJSON)
		},
	}
	f.register(cmd, g)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

// show prints the plan that the arguments ask for.
func (f *requestFlags) show(cmd *cobra.Command, g *globals, args []string, asJSON bool) error {
	s, plan, err := f.plan(cmd.Context(), g, args)
	if err != nil {
		return err
	}
	defer s.close()
	doc, err := plan.Doc()
	if err != nil {
		return err
	}
	if asJSON {
		err = writeJSON(cmd.OutOrStdout(), doc)
	} else {
		printPlan(cmd.OutOrStdout(), plan, doc)
	}
	if err == nil && plan.Refusal() != nil {
		return plan.Refusal()
	}
	return err
}

// plan takes a fresh look and makes the plan.
func (s *session) plan(ctx context.Context, req ops.Request) (ops.Plan, error) {
	snap := s.look(ctx)
	if err := unreachable(&snap); err != nil {
		return ops.Plan{}, err
	}
	if req.Both && req.Side == "" {
		req.Side = plans.First(&snap)
	}
	if (req.Op == ops.OpPutBack || req.Op == ops.OpRecover) && req.Prior == nil {
		req.Prior = s.prior(req.Side)
	}
	if req.Op == ops.OpPatch && len(req.Packages) > 0 {
		if err := s.simulate(ctx, &snap, req); err != nil {
			return ops.Plan{}, err
		}
	}
	plan, err := plans.Make(snap, req, newRunID(time.Now()))
	var refusal *ops.Refusal
	switch {
	case errors.As(err, &refusal):
		return ops.Plan{}, err
	case err != nil:
		return ops.Plan{}, &codeError{exitUsage, err}
	}
	return plan, nil
}

// newRunID is sortable by time and short enough to be said aloud by its end.
func newRunID(now time.Time) string {
	var b [2]byte
	rand.Read(b[:])
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// prior is the balancer state that was recorded when the side was last taken out, nil where
// it has served since: what was recorded before that may be of another weight or instance.
func (s *session) prior(side ops.Side) json.RawMessage {
	runs, err := s.past()
	if err != nil {
		return nil
	}
	for _, r := range runs {
		if broughtBack(&r, side) {
			return nil
		}
		if !slices.ContainsFunc(r.Steps, func(step ops.RunStep) bool { return step.Doc.Kind == "drain" && stepSide(&r, &step) == side }) {
			continue
		}
		events, err := journal.Read(s.runDir(r.ID))
		if err != nil {
			return nil
		}
		for _, e := range events {
			if step := r.Step(e.Step); e.Kind == ops.EvRecord && step != nil && step.Doc.Kind == "drain" && stepSide(&r, step) == side && e.Text == "prior" {
				return e.Data
			}
		}
	}
	return nil
}

// broughtBack tells whether the run left the side in service.
func broughtBack(r *ops.Run, side ops.Side) bool {
	for i := range r.Steps {
		step := &r.Steps[i]
		switch {
		case stepSide(r, step) != side:
		case step.Doc.Kind == "put-back" && (step.Phase == ops.Done || step.Phase == ops.Already),
			step.Doc.Kind == "drain" && step.Phase == ops.Undone:
			return true
		}
	}
	return false
}

// plan opens the pair and makes the plan that the arguments ask for. The caller closes the
// session.
func (f *requestFlags) plan(ctx context.Context, g *globals, args []string) (*session, ops.Plan, error) {
	req, err := f.request(args)
	if err != nil {
		return nil, ops.Plan{}, err
	}
	s, err := open(g)
	if err != nil {
		return nil, ops.Plan{}, err
	}
	if req.Op == ops.OpPatch {
		req.Packages, err = f.packages(ctx, s, req.Side)
	}
	var plan ops.Plan
	if err == nil {
		plan, err = s.plan(ctx, req)
	}
	if err != nil {
		s.close()
		return nil, ops.Plan{}, err
	}
	return s, plan, nil
}

func newRun(g *globals) *cobra.Command {
	var f requestFlags
	var yes bool
	var id, mode string
	cmd := &cobra.Command{
		Use: "run OP SIDE [SERVICE...] --yes", Short: "Carry out an operation, line by line on the terminal",
		Long: `run makes the plan, asks, and carries it out in a process of its own: closing this terminal does not
stop it. Ctrl-C asks the run to stop after its present step; Ctrl-C again leaves it alone. ` + requestUsage,
		Example: "  tandem run drain green\n  tandem run restart green tcs profile --yes\n  tandem run drain blue --yes --accept peer-ready --reason 'INC-42, green serves all that matters'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if id != "" {
				return runRunner(cmd.Context(), g, id, mode)
			}
			return f.carryOut(cmd, g, args, yes)
		},
	}
	f.register(cmd, g)
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm the plan without being asked")
	cmd.Flags().StringVar(&id, "id", "", "carry out the recorded run `ID` in this process; used by tandem itself")
	cmd.Flags().StringVar(&mode, "mode", modeStart, "with --id: start, resume or rollback; used by tandem itself")
	cmd.Flags().MarkHidden("id")
	cmd.Flags().MarkHidden("mode")
	return cmd
}

// carryOut has the plan that the arguments ask for confirmed, starts it and follows it.
func (f *requestFlags) carryOut(cmd *cobra.Command, g *globals, args []string, yes bool) error {
	s, plan, err := f.plan(cmd.Context(), g, args)
	if err != nil {
		return err
	}
	defer s.close()
	if r := plan.Refusal(); r != nil {
		return r
	}
	if asks(plan) && !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("recover both asks before the second side, and there is no terminal to answer on: give --straight-on")
	}
	if plan, err = confirm(cmd, plan, yes, func(ctx context.Context) (ops.Plan, error) { return s.plan(ctx, plan.Request) }); err != nil {
		return err
	}
	if err := s.launch(plan); err != nil {
		return err
	}
	return s.follow(cmd, plan.ID, 0)
}

// asks tells whether the plan asks something on its way.
func asks(plan ops.Plan) bool {
	return slices.ContainsFunc(plan.Steps, func(s ops.PlannedStep) bool { return s.Pause != "" })
}

// waitsForAnswer tells whether the run, gone on with, will ask something that was not answered
// yet. One that is taken back asks nothing.
func waitsForAnswer(run *ops.Run) bool {
	return !run.Rolling && slices.ContainsFunc(run.Steps, func(s ops.RunStep) bool {
		return s.Doc.Pause != "" && s.Phase == ops.Waiting
	})
}

// confirm asks on the terminal: y for what is disruptive, the side's name for what is
// destructive. Without a terminal --yes must have been given. However long the question
// stood, the pair is read again once it is answered: where that makes another plan, it is
// asked anew. It returns the plan that was confirmed.
func confirm(cmd *cobra.Command, plan ops.Plan, yes bool, again func(context.Context) (ops.Plan, error)) (ops.Plan, error) {
	if yes || plan.Risk() == ops.Harmless {
		return plan, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return ops.Plan{}, usagef("%s asks for a confirmation: look at `tandem plan` first, then give --yes", plan.Title)
	}
	for {
		if err := ask(cmd.OutOrStdout(), plan); err != nil {
			return ops.Plan{}, err
		}
		now, err := again(cmd.Context())
		switch {
		case err != nil:
			return ops.Plan{}, err
		case now.Refusal() != nil:
			return ops.Plan{}, now.Refusal()
		case !changed(&plan, &now):
			return now, nil
		}
		fmt.Fprint(cmd.OutOrStdout(), "\nThe pair has changed since you looked. Nothing was started. Read again.\n\n")
		plan = now
	}
}

// ask shows a plan and asks whether to carry it out.
func ask(w io.Writer, plan ops.Plan) error {
	doc, err := plan.Doc()
	if err != nil {
		return err
	}
	printPlan(w, plan, doc)
	want := "y"
	if plan.Risk() == ops.Destructive {
		want = string(plan.Request.Side)
		if plan.Request.Both {
			want = both
		}
	}
	fmt.Fprintf(w, "\n%s on %s: type %s to go on: ", plan.Title, plan.Pair, want)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		fmt.Fprintln(w)
		return &codeError{exitRefused, fmt.Errorf("not confirmed: nothing was changed")}
	}
	return nil
}

// changed tells whether a plan made just now is another than the one that was shown.
func changed(shown, now *ops.Plan) bool {
	same := func(a, b ops.PlannedStep) bool { return a.ID == b.ID && a.Step.Title() == b.Step.Title() }
	return now.Refusal() != nil || now.Basis != shown.Basis || !slices.EqualFunc(now.Steps, shown.Steps, same)
}

func newResume(g *globals) *cobra.Command {
	var f risks
	cmd := &cobra.Command{
		Use: "resume [RUN]", Short: "Go on with a run that stopped half-way", Args: cobra.MaximumNArgs(1),
		Long: `resume goes on with the run that stopped half-way: the given one, else the one that holds the lock. It
looks at every step afresh and does not do again what is done. Where this machine has no journal of the
run, the copy beside the lock on the hosts is taken. What refused it can be accepted as a risk, by name.`,
		Example: "  tandem resume\n  tandem resume --accept services-ready --reason 'INC-42, notifications can wait'",
		RunE: func(cmd *cobra.Command, args []string) error {
			accept, err := f.accepted()
			if err != nil {
				return err
			}
			if err := plans.Acceptable(accept); err != nil {
				return &codeError{exitUsage, err}
			}
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			run, err := s.halfWay(cmd.Context(), args)
			if err != nil {
				return err
			}
			if waitsForAnswer(&run.Run) && !term.IsTerminal(int(os.Stdin.Fd())) {
				return usagef("run %s asks before the second side, and there is no terminal to answer on: resume it at a terminal or in the console", run.ID)
			}
			if err := s.relaunch(run, modeResume, accept...); err != nil {
				return err
			}
			return s.follow(cmd, run.ID, run.Events)
		},
	}
	f.register(cmd)
	cmd.ValidArgsFunction = completeRun(g, (*ops.Run).Unfinished)
	return cmd
}

func newRollback(g *globals) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rollback [RUN]", Short: "Take back a run: its steps undone in reverse", Args: cobra.MaximumNArgs(1),
		Long: `rollback undoes the steps of the given run in reverse, each to the state recorded before it was changed,
each guarded. Without RUN it is the one that holds the lock, else the latest. Services go back to an earlier image with: tandem run rollback SIDE SERVICE=IMAGE`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			run, err := s.toTakeBack(cmd.Context(), args)
			if err != nil {
				return err
			}
			plan, err := s.planUndo(cmd.Context(), run.Run)
			if err != nil {
				return err
			}
			if r := plan.Refusal(); r != nil {
				return r
			}
			if _, err := confirm(cmd, plan, yes, func(ctx context.Context) (ops.Plan, error) { return s.planUndo(ctx, run.Run) }); err != nil {
				return err
			}
			if err := s.relaunch(run, modeRollback); err != nil {
				return err
			}
			return s.follow(cmd, run.ID, run.Events)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm without being asked")
	cmd.ValidArgsFunction = completeRun(g, func(r *ops.Run) bool {
		return !r.Rolling && r.Outcome != ops.OutcomeRefused && r.Outcome != ops.OutcomeUnknown
	})
	return cmd
}
