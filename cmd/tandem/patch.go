package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/plans"
)

func newPatch(g *globals) *cobra.Command {
	var f requestFlags
	var yes, simulate bool
	cmd := &cobra.Command{
		Use: "patch SIDE --to VERSION [--to PACKAGE=VERSION]... --yes", Short: "Bring engine and compose of a side to named versions, together", Args: cobra.ExactArgs(1),
		Long: `patch refreshes the package lists (update, never upgrade), simulates, and refuses whatever would change
more than was asked for. Then it drains the side, stops its containers in order, installs all packages in one
act, restarts the engine, proves versions, compose and a canary, starts the containers again, puts the side
back, and holds the packages. The earlier versions are recorded, and their files kept as far as apt has them.

--to 26.1.5 is that version of the engine, with its command line program; --to docker-compose=2.26.1-4 is any
package; --to docker-cli= takes a package away. Every package that changes has to be asked for, new
dependencies too: a refusal lists what is missing, as --to. Without --to it says what is on offer.`,
		Example: "  tandem patch green --to 26.1.5 --to docker-compose=2.26.1-4 --simulate\n  tandem patch green --to 26.1.5 --to docker-compose=2.26.1-4 --yes\n  tandem run rollback green --versions   # back to where the last patch began",
		RunE: func(cmd *cobra.Command, args []string) error {
			args = append([]string{string(ops.OpPatch)}, args...)
			if simulate {
				return f.show(cmd, g, args, false)
			}
			return f.carryOut(cmd, g, args, yes)
		},
	}
	f.registerTo(cmd)
	f.risks.register(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm the plan without being asked")
	cmd.Flags().BoolVar(&simulate, "simulate", false, "print the plan with every effect and change nothing")
	cmd.ValidArgsFunction = complete(func(args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return sideNames
	})
	return cmd
}

// registerTo are the flags that name versions.
func (f *requestFlags) registerTo(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.to, "to", nil, "patch: `version` of the engine, or PACKAGE=VERSION; may be given again")
}

// packages are the versions that a patch is asked for.
func (f *requestFlags) packages(ctx context.Context, s *session, side ops.Side) (map[string]string, error) {
	if f.versions {
		return s.earlier(side)
	}
	state := &ops.SideState{Side: side}
	// Packages that are named in full need no look at what is on offer.
	if len(f.to) == 0 || slices.ContainsFunc(f.to, func(to string) bool { return !strings.Contains(to, "=") }) {
		snap := s.glance(ctx)
		if err := unreachable(&snap); err != nil {
			return nil, err
		}
		state = snap.On(side)
		s.care(ctx, state)
	}
	if len(f.to) == 0 {
		return nil, &codeError{exitUsage, fmt.Errorf("patch %s to which versions? %s", side, offers(state))}
	}
	versions, err := plans.Versions(state, f.to)
	if err != nil {
		return nil, &codeError{exitUsage, err}
	}
	return versions, nil
}

// offers says which versions of the engine's packages are on offer, one package a line.
func offers(s *ops.SideState) string {
	if s.Care.Err != nil {
		return "what is on offer could not be read: " + s.Care.Err.Error()
	}
	text := fmt.Sprintf("on offer on %s, as of the lists of %s:", s.Side.Upper(), s.Upkeep.ListsAt.UTC().Format("2006-01-02 15:04Z"))
	if s.Upkeep.ListsAt.IsZero() {
		text = fmt.Sprintf("on offer on %s:", s.Side.Upper())
	}
	none := true
	for _, name := range ops.EnginePackages {
		have, offered := s.Facts.Packages[name], s.Upkeep.Offered[name]
		if have == "" && (len(offered) == 0 || name != "docker-cli") {
			continue
		}
		none = false
		list := strings.Join(offered, ", ")
		if list == "" {
			list = "nothing"
		}
		if have == "" {
			have = "not installed"
		}
		text += fmt.Sprintf("\n  %s (now %s): %s", name, have, list)
	}
	if none {
		return "no package of the engine is known on " + s.Side.Upper()
	}
	return safeLines(text) + "\ngive --to VERSION of the engine, and --to PACKAGE=VERSION"
}

// safeLines is safe for a text of several lines.
func safeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = safe(lines[i])
	}
	return strings.Join(lines, "\n")
}

// care reads what the package manager of a side did and would do: a look may have it from
// earlier, or not at all.
func (s *session) care(ctx context.Context, state *ops.SideState) {
	upkeep, err := s.hosts[state.Side].Upkeep(ctx)
	if err != nil {
		state.Care.Err = ops.AsProblem(err, "reading the packages", state.Side)
		return
	}
	state.Care, state.Upkeep = ops.Look{At: time.Now()}, upkeep
}

// simulate adds to the snapshot what a plan of a patch relies on.
func (s *session) simulate(ctx context.Context, snap *ops.Snapshot, req ops.Request) error {
	state := snap.On(req.Side)
	s.care(ctx, state)
	sim, err := s.hosts[req.Side].Simulate(ctx, req.Packages)
	if err != nil {
		return err
	}
	state.Simulated = &sim
	return nil
}

// earlier are the recorded versions of a side; none is a mistake of the one who asks for them.
func (s *session) earlier(side ops.Side) (map[string]string, error) {
	versions, err := s.recorded(side)
	if err == nil && versions == nil {
		return nil, usagef("no patch of %s is recorded on this machine: name the versions, tandem patch %s --to PACKAGE=VERSION", side.Upper(), side)
	}
	return versions, err
}

// recorded are the versions that the packages of a side were at before its last patch, as that
// run recorded them; nil: none is known. What a run has taken back itself is not counted.
func (s *session) recorded(side ops.Side) (map[string]string, error) {
	runs, err := s.past()
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		if r.Plan.Op != ops.OpPatch || !patched(&r, side) {
			continue
		}
		events, err := journal.Read(s.runDir(r.ID))
		if err != nil {
			return nil, err
		}
		var before ops.PackagesBefore
		for _, e := range events {
			if e.Kind == ops.EvRecord && e.Text == ops.PackagesKey && json.Unmarshal(e.Data, &before) == nil && before.Side == side {
				return before.Versions, nil
			}
		}
	}
	return nil, nil
}

// patched tells whether the run has changed packages of the side and not taken that back.
func patched(r *ops.Run, side ops.Side) bool {
	return slices.ContainsFunc(r.Steps, func(step ops.RunStep) bool {
		return step.Doc.Kind == "install" && stepSide(r, &step) == side && step.Phase != ops.Undone && step.Phase != ops.Waiting
	})
}
