package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/tui"
)

func newReplay(g *globals) *cobra.Command {
	speed := 1.0
	cmd := &cobra.Command{
		Use: "replay [RUN]", Short: "Play a finished run as the console showed it", Args: cobra.MaximumNArgs(1),
		Long: `replay plays a run from its journal, with the journal's own times: for reviews and training. Silences of
more than a few seconds are made short, and the screen says so. Without RUN it is the latest. No host is
asked. Without a terminal, or with --plain, it prints the lines that run printed.`,
		Example: "  tandem replay\n  tandem replay 3f2a --speed 8\n  tandem replay 3f2a --present --record review.cast",
		RunE: func(cmd *cobra.Command, args []string) error {
			if speed <= 0 || math.IsInf(speed, 0) || math.IsNaN(speed) {
				return usagef("--speed is times that of the run, such as 0.5 or 8")
			}
			return replay(cmd, g, args, speed)
		},
	}
	cmd.Flags().Float64Var(&speed, "speed", speed, "how `many` times as fast as it was")
	canRecord(cmd, g)
	cmd.ValidArgsFunction = completeRun(g, func(r *ops.Run) bool { return !r.Live() })
	return cmd
}

func replay(cmd *cobra.Command, g *globals, args []string, speed float64) error {
	s, err := open(g) // which reaches nobody
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.runOf(args)
	if err != nil {
		return err
	}
	if run.Live() {
		return &codeError{exitUsage, &ops.Problem{Doing: "playing run " + run.ID, Err: errors.New("it is still under way"), Hint: "watch it: tandem --follow " + run.ID}}
	}
	events, err := journal.Read(s.runDir(run.ID))
	if err != nil {
		return err
	}
	switch {
	case g.plain && g.record != "":
		return errUndrawn
	case g.plain || g.record == "" && !tui.Usable():
		s.printRun(cmd.OutOrStdout(), g, events)
		return nil
	}
	return s.playRun(cmd.Context(), g, events, speed)
}

// printRun writes a run that is over as following it did.
func (s *session) printRun(out io.Writer, g *globals, events []ops.Event) {
	whole := ops.Replay(events)
	out = s.masked(out, g, tui.PeopleOf(&whole)...)
	var run ops.Run
	for _, e := range events {
		run.Apply(e)
		printEvent(out, &run, e)
	}
	if s.died(&run) {
		fmt.Fprintln(out, goneWords(&run))
	}
}

// playRun opens the console on a run that is over.
func (s *session) playRun(ctx context.Context, g *globals, events []ops.Event, speed float64) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	opt, err := s.drawing(ctx, g)
	if err != nil {
		return err
	}
	defer opt.Record.Close()
	past, _ := s.past() // without it no usual time is known
	past = slices.DeleteFunc(past, func(r ops.Run) bool { return !r.Started.Before(events[0].At) })
	took := func(title string) time.Duration { return usual(past, title) }
	opt.Backend = tui.NewReplay(s.cfg.Pair, events, took, speed, time.Now)
	return tui.Run(ctx, opt)
}

// masked hides from lines what presenter mode hides.
func (s *session) masked(out io.Writer, g *globals, people ...string) io.Writer {
	if !g.present {
		return out
	}
	return maskWriter{out, tui.Mask(s.cfg.Pair, s.cfg.Display.Redact, append(s.names(), people...)...)}
}

// maskWriter gets whole lines.
type maskWriter struct {
	out  io.Writer
	mask func(string) string
}

func (w maskWriter) Write(p []byte) (int, error) {
	_, err := io.WriteString(w.out, w.mask(string(p)))
	return len(p), err
}
