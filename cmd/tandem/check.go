package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/moby/sys/atomicwriter"
	"github.com/spf13/cobra"

	"tandem/ops"
)

// checkFlags are how a check is made and told.
type checkFlags struct {
	json, plain, prometheus bool
	watch, canary, notes    bool
	output                  string
}

func newCheck(g *globals) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check", Short: "What is wrong with the pair, for people and for monitoring", Args: cobra.NoArgs,
		Long: `check looks at the whole pair once and says what an operator should know, worst first.

It exits 0 when nothing is above a note, 10 with warnings, 11 with blocks, 3 when nothing of the pair
could be read, 2 on a mistake in flags or config.

  --plain        a line for each finding: severity, side, id, title, detail, hint, tabs between; no line: none
  --json         one object, see the README for its shape; notes are in it always
  --prometheus   metrics, for the textfile collector of node_exporter: with --output written in one piece
  --watch        stays, and prints a line for each finding that comes, changes or goes: first those that are
                 there. A change is told when two looks in a row, 5 s apart, have it; what cannot be read is
                 not taken to have gone. Ctrl-C or SIGTERM end it, with the exit code of the last look.
                 With notify in the config, blocks are told there too: run one watch, as a service
  --canary       first starts a throw-away container on each side, each a run under the lock`,
		Example: "  tandem check\n  tandem check --prometheus --output /var/lib/node_exporter/textfile/tandem.prom\n  tandem check --watch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.watch && (f.json || f.prometheus || f.output != "" || f.canary) {
				return usagef("--watch goes with --plain and --notes alone")
			}
			if f.watch {
				return f.runWatch(cmd, g)
			}
			return f.run(cmd, g)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON object")
	cmd.Flags().BoolVar(&f.plain, "plain", false, "one line for each finding, fields separated by tabs")
	cmd.Flags().BoolVar(&f.prometheus, "prometheus", false, "metrics in the text format of Prometheus")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "stay, and print a line for each change")
	cmd.Flags().BoolVar(&f.canary, "canary", false, "first try on each side whether a new container can start")
	cmd.Flags().BoolVar(&f.notes, "notes", false, "notes too")
	cmd.Flags().StringVar(&f.output, "output", "", "write into `file` in one piece, instead of the standard output")
	cmd.MarkFlagsMutuallyExclusive("json", "plain", "prometheus")
	return cmd
}

// run is one check.
func (f *checkFlags) run(cmd *cobra.Command, g *globals) error {
	s, err := openWith(g, links{borrow: !f.canary})
	if err != nil {
		return err
	}
	defer s.close()
	var skipped []ops.Finding
	if f.canary {
		if skipped, err = s.tryCanaries(cmd.Context()); err != nil {
			return err
		}
	}
	snap := s.lookCloser(cmd.Context())
	for _, text := range s.tidy(cmd.Context(), &snap) {
		fmt.Fprintln(cmd.ErrOrStderr(), "tandem: "+safe(text))
	}
	// Worst first: what could not be tried is a warning.
	at := slices.IndexFunc(snap.Findings, func(f ops.Finding) bool { return f.Severity != ops.Block })
	if at < 0 {
		at = len(snap.Findings)
	}
	snap.Findings = slices.Insert(snap.Findings, at, skipped...)
	var text bytes.Buffer
	if err := f.print(&text, &snap); err != nil {
		return err
	}
	if err := f.write(cmd.OutOrStdout(), text.Bytes()); err != nil {
		return err
	}
	if code := checkCode(&snap); code != exitDone {
		return &codeError{code, nil} // what there is to say was said
	}
	return nil
}

func (f *checkFlags) write(out io.Writer, text []byte) error {
	if f.output == "" {
		_, err := out.Write(text)
		return err
	}
	// A collector that reads a half-written file takes it for wrong.
	if err := atomicwriter.WriteFile(f.output, text, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", f.output, err)
	}
	return nil
}

// Words for the exit codes of a check.
var checkStatus = map[int]string{exitDone: "ok", exitWarn: "warn", exitBlock: "block", exitNoLook: "unknown"}

// checkCode is the exit code that a snapshot stands for.
func checkCode(snap *ops.Snapshot) int {
	worst := func(severity ops.Severity) bool {
		return slices.ContainsFunc(snap.Findings, func(f ops.Finding) bool { return f.Severity == severity })
	}
	switch {
	case unseen(snap):
		return exitNoLook
	case worst(ops.Block):
		return exitBlock
	case worst(ops.Warn):
		return exitWarn
	}
	return exitDone
}

// unseen tells whether nothing of the pair could be read.
func unseen(snap *ops.Snapshot) bool {
	return !slices.ContainsFunc([]ops.Look{
		snap.Blue.Host, snap.Blue.Engine, snap.Green.Host, snap.Green.Engine, snap.Balancer.Look,
	}, func(l ops.Look) bool { return l.Err == nil && !l.At.IsZero() })
}

func (f *checkFlags) print(w io.Writer, snap *ops.Snapshot) error {
	switch {
	case f.json:
		return writeJSON(w, checkDoc{Schema: 1, Pair: snap.Pair.Name, At: stamp(snap.At), Status: checkStatus[checkCode(snap)], Findings: list(snap.Findings)})
	case f.prometheus:
		return writeMetrics(w, snap)
	}
	shown := f.shown(snap.Findings)
	if f.plain {
		for _, one := range shown {
			fmt.Fprintln(w, fields(string(one.Severity), sideWord(one.Side), one.ID, one.Title, one.Detail, one.Hint))
		}
		return nil
	}
	fmt.Fprintf(w, "%s   %s   %s\n", snap.Pair.Name, summary(shown), snap.At.UTC().Format("2006-01-02 15:04:05Z"))
	for _, one := range shown {
		fmt.Fprintf(w, "%-5s  %-5s  %s\n", one.Severity, one.Side.Upper(), safe(one.Title))
		if one.Detail != "" {
			fmt.Fprintf(w, "              %s\n", safe(one.Detail))
		}
		if one.Hint != "" {
			fmt.Fprintf(w, "              → %s\n", safe(one.Hint))
		}
	}
	return nil
}

// checkDoc is the shape of `tandem check --json`, see check.schema.json.
type checkDoc struct {
	Schema   int           `json:"schema"`
	Pair     string        `json:"pair"`
	At       *string       `json:"at"`
	Status   string        `json:"status"`
	Findings []ops.Finding `json:"findings"`
}

// shown leaves out the notes, unless they are asked for.
func (f *checkFlags) shown(all []ops.Finding) []ops.Finding {
	return slices.DeleteFunc(slices.Clone(all), func(one ops.Finding) bool { return !f.shows(one.Severity) })
}

func (f *checkFlags) shows(severity ops.Severity) bool {
	return severity == ops.Block || severity == ops.Warn || severity == ops.Note && f.notes
}

func summary(shown []ops.Finding) string {
	var parts []string
	for _, kind := range []struct {
		severity ops.Severity
		word     string
	}{{ops.Block, "block"}, {ops.Warn, "warning"}, {ops.Note, "note"}} {
		n := 0
		for _, f := range shown {
			if f.Severity == kind.severity {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind.word+plural(n)))
		}
	}
	if len(shown) == 0 || shown[0].Severity == ops.Note {
		parts = slices.Insert(parts, 0, "nothing above note")
	}
	return strings.Join(parts, ", ")
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// fields are the columns of a plain line; what is in them has no tab and no line end.
func fields(columns ...string) string {
	for i := range columns {
		columns[i] = safe(columns[i])
	}
	return strings.Join(columns, "\t")
}

// sideWord is a side in lines and labels for programs.
func sideWord(s ops.Side) string { return strings.ToLower(s.Upper()) }

// tryCanaries starts a throw-away container on each side, one run after the other. What could
// not be tried is a finding.
func (s *session) tryCanaries(ctx context.Context) (skipped []ops.Finding, err error) {
	for _, side := range ops.Sides {
		switch err := s.tryCanary(ctx, side); {
		case errors.Is(err, ops.ErrReadOnly), ctx.Err() != nil:
			return nil, err
		case err != nil:
			skipped = append(skipped, ops.Finding{
				ID: "canary-skipped", Severity: ops.Warn, Side: side, Title: "canary not tried: " + err.Error(),
				Hint: "try again when that has passed: tandem run canary " + string(side),
			})
		}
	}
	return skipped, nil
}

// tryCanary carries out a canary and waits for its end. How that was is in the journal, where
// the next look finds it; an error is why it did not begin.
func (s *session) tryCanary(ctx context.Context, side ops.Side) error {
	if s.readOnly.Load() {
		return &ops.Problem{Doing: "canary on " + side.Upper(), Err: ops.ErrReadOnly, Hint: "leave out --canary, or --read-only"}
	}
	plan, err := s.plan(ctx, ops.Request{Op: ops.OpCanary, Side: side, Reason: "tandem check --canary"})
	if err != nil {
		return err
	}
	if r := plan.Refusal(); r != nil {
		return r
	}
	if err := s.launch(plan); err != nil {
		return err
	}
	var ended ops.Run
	err = s.watch(ctx, plan.ID, func(run *ops.Run, _ []ops.Event) error {
		if run.Live() {
			return nil
		}
		ended = *run
		return errFollowed
	})
	switch {
	case !errors.Is(err, errFollowed):
		return err
	case ended.Outcome == ops.OutcomeRefused:
		return errors.New(lastWords(&ended))
	}
	return nil
}

// lastWords are why a run did not go on.
func lastWords(run *ops.Run) string {
	for _, line := range slices.Backward(run.Lines) {
		if line.Kind == ops.EvRefused || line.Kind == ops.EvFailed {
			return line.Text
		}
	}
	return string(run.Outcome)
}
