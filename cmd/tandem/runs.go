package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/steps"
)

func (s *session) runDir(id string) string {
	return journal.Dir(s.state, s.cfg.Pair.Name, id)
}

// past lists the runs whose journals are on this machine, latest first.
func (s *session) past() ([]ops.Run, error) {
	runs, err := journal.List(s.state, s.cfg.Pair.Name)
	for i := range runs {
		s.died(&runs[i])
	}
	return runs, err
}

// runOf finds the run that a command was given, or the latest without one.
func (s *session) runOf(args []string) (ops.Run, error) {
	if len(args) > 0 {
		return s.findRun(args[0])
	}
	return s.findRun("")
}

// findRun finds a run by id or the end of one, or the latest when id is empty.
func (s *session) findRun(id string) (ops.Run, error) {
	// A journal that cannot be read does not stand in the way of another run; but which run
	// is the latest is not known then.
	runs, err := s.past()
	if id == "" {
		if err != nil {
			return ops.Run{}, err
		}
		if len(runs) == 0 {
			return ops.Run{}, usagef("no run of %s is recorded on this machine", s.cfg.Pair.Name)
		}
		return runs[0], nil
	}
	var found []ops.Run
	for _, r := range runs {
		if called(r.ID, id) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if err != nil {
			return ops.Run{}, err
		}
		return ops.Run{}, usagef("run %s is not recorded on this machine: see tandem runs", id)
	}
	return ops.Run{}, usagef("%s fits %d runs: give more of the id, see tandem runs", id, len(found))
}

// called tells whether a run is meant by name: its id, or the end of it.
func called(id, name string) bool { return id == name || len(name) >= 4 && strings.HasSuffix(id, name) }

func newRuns(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "runs", Short: "Earlier runs, latest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			runs, err := s.past()
			if err != nil {
				return err
			}
			docs := []runDoc{}
			for _, r := range runs {
				docs = append(docs, runOf(&r))
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"schema": 1, "pair": s.cfg.Pair.Name, "runs": docs})
			}
			if len(docs) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "no run of %s is recorded on this machine\n", s.cfg.Pair.Name)
			}
			for i, r := range runs {
				took := "-"
				if !r.Ended.IsZero() {
					took = r.Ended.Sub(r.Started).Round(time.Second).String()
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-22s %s  %-11s %8s  %s  %s\n", r.ID, r.Started.UTC().Format("2006-01-02 15:04:05Z"),
					docs[i].Outcome, took, safe(r.Plan.Title), safe(r.By))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

type runDoc struct {
	ID      string   `json:"id"`
	Op      ops.Op   `json:"op"`
	Side    ops.Side `json:"side"`
	Title   string   `json:"title"`
	By      string   `json:"by"`
	Started *string  `json:"started"`
	Ended   *string  `json:"ended"`
	Outcome string   `json:"outcome"`
	Done    int      `json:"steps_done"`
	Steps   int      `json:"steps"`
}

func runOf(r *ops.Run) runDoc {
	done, of := r.Counts()
	outcome := string(r.Outcome)
	if outcome == "" {
		outcome = "under way"
	}
	return runDoc{
		ID: r.ID, Op: r.Plan.Op, Side: r.Plan.Side, Title: r.Plan.Title, By: r.By,
		Started: stamp(r.Started), Ended: stamp(r.Ended), Outcome: outcome, Done: done, Steps: of,
	}
}

// addKnown adds to the snapshot what the journals know of each side, latest run first: canaries,
// tries of compose, and who took it out.
func addKnown(runs []ops.Run, snap *ops.Snapshot) {
	for i := range runs {
		addCanaries(&runs[i], snap)
		addProbes(&runs[i], snap)
	}
	for _, side := range ops.Sides {
		snap.On(side).Drained = drainedBy(runs, side)
	}
}

func addCanaries(r *ops.Run, snap *ops.Snapshot) {
	// Of two canaries on one side in a run the later one counts.
	for _, step := range slices.Backward(r.Steps) {
		of := stepSide(r, &step)
		side := snap.On(of)
		if step.Doc.Kind != steps.KindCanary || of == "" || side.Canary != nil {
			continue
		}
		switch step.Phase {
		case ops.Done:
			side.Canary = &ops.CanaryResult{At: step.Ended, OK: true, Took: step.Ended.Sub(step.Started), Text: step.Text}
		case ops.Skipped: // done without, after it had failed
			if step.Started.IsZero() {
				continue
			}
			side.Canary = &ops.CanaryResult{At: step.Ended, Took: step.Ended.Sub(step.Started), Text: step.Text}
		case ops.Failed:
			side.Canary = &ops.CanaryResult{At: step.Ended, Took: step.Ended.Sub(step.Started), Text: step.Why()}
		}
	}
}

func addProbes(r *ops.Run, snap *ops.Snapshot) {
	for _, p := range slices.Backward(r.Probes) {
		if side := snap.On(p.Side); side.Probe == nil {
			side.Probe = &p.CanaryResult
		}
	}
}

// drainedBy is the run that took the side out, nil where it has been put back since. Whether
// the side is out is the balancer's to say.
func drainedBy(runs []ops.Run, side ops.Side) *ops.Drained {
	for i := range runs {
		r := &runs[i]
		if broughtBack(r, side) {
			return nil
		}
		for _, step := range r.Steps {
			if step.Doc.Kind == steps.KindDrain && stepSide(r, &step) == side && step.Phase == ops.Done {
				by, from, _ := strings.Cut(r.By, "@")
				return &ops.Drained{Run: r.ID, At: step.Ended, By: by, From: from}
			}
		}
	}
	return nil
}

// stepSide is the side that a step of a run is about: that of the run where an older journal
// does not name one for each step.
func stepSide(r *ops.Run, step *ops.RunStep) ops.Side {
	if step.Doc.Side != "" {
		return step.Doc.Side
	}
	return r.Plan.Side
}

// usual is how long a step, or where no step has the title a whole run, took the last times:
// the median of what the journals tell.
func usual(runs []ops.Run, title string) time.Duration {
	var took, whole []time.Duration
	for _, r := range runs {
		if r.Plan.Title == title && r.Outcome == ops.OutcomeDone {
			whole = append(whole, r.Ended.Sub(r.Started))
		}
		for _, step := range r.Steps {
			// What was found so already is known, too: it takes no time.
			if step.Doc.Title == title && (step.Phase == ops.Done || step.Phase == ops.Already) {
				took = append(took, max(step.Ended.Sub(step.Started), time.Millisecond))
			}
		}
	}
	if took == nil {
		took = whole
	}
	return median(took)
}
