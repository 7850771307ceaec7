package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/report"
)

func newReport(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "report [RUN]", Short: "A run as an incident report", Args: cobra.MaximumNArgs(1),
		Long: `report makes an incident report of a run, in Markdown: what happened, the timeline with the notes that
operators typed, what was done on each host, the checks, versions, how to take it back, what could not be
kept and what is still to do. Without RUN it is the latest. It reads the journal on this machine and asks
no host.`,
		Example: "  tandem report > incident.md\n  tandem report 3f2a --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			run, err := s.runOf(args)
			if err != nil {
				return err
			}
			live := s.live(run.ID) // before its last words are read
			events, err := journal.Read(s.runDir(run.ID))
			if err != nil {
				return err
			}
			r := report.Make(events, report.About{Jobs: s.cfg.Pair.Jobs, Live: live})
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), r.Markdown())
			return err
		},
	}
	cmd.ValidArgsFunction = completeRun(g, func(*ops.Run) bool { return true })
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}
