package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/report"
	"tandem/tui"
)

type timelineFlags struct {
	since, until, side    string
	kinds                 []string
	plain, json, markdown bool
}

func newTimeline(g *globals) *cobra.Command {
	f := &timelineFlags{}
	cmd := &cobra.Command{
		Use: "timeline", Short: "What happened to the pair", Args: cobra.NoArgs,
		Long: `timeline prints what happened to the pair, oldest first, in UTC: engines and their containers, hosts,
traffic, packages, runs, notes, findings that came, changed or cleared, shells. It has what consoles on
this machine have seen and the runs whose journals are here, and asks no host. With --present, hosts,
addresses, people and what display.redact names are masked.

  --markdown   a page with a table for each day, for a post-mortem
  --plain      a line for each moment: time, kind, side, who, text, tabs between
  --json       one object, see the README for its shape`,
		Example: "  tandem timeline --since 2h\n  tandem timeline --since 2026-11-26 --kind run,note,finding --markdown > incident.md",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			fits, err := f.fits(time.Now())
			if err != nil {
				return &codeError{exitUsage, err}
			}
			list, err := s.happened()
			if err != nil { // what is known is worth more than nothing
				fmt.Fprintln(cmd.ErrOrStderr(), "tandem: not all is on record: "+safe(err.Error()))
			}
			list = slices.DeleteFunc(list, func(m ops.Moment) bool { return !fits(&m) })
			pair := s.cfg.Pair.Name
			if g.present {
				pair = s.mask(pair, list)
			}
			return f.print(cmd.OutOrStdout(), pair, list)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "from this `time` on: "+tui.TimeExamples)
	flags.StringVar(&f.until, "until", "", "up to this `time`")
	flags.StringSliceVar(&f.kinds, "kind", nil, "only these `kinds`: "+strings.Join(kindNames(), ", "))
	flags.StringVar(&f.side, "side", "", "only what is about this `side`, or about both")
	flags.BoolVar(&f.markdown, "markdown", false, "a page of Markdown")
	flags.BoolVar(&f.plain, "plain", false, "one line for each moment, fields separated by tabs")
	flags.BoolVar(&f.json, "json", false, "one JSON object")
	cmd.MarkFlagsMutuallyExclusive("json", "plain", "markdown")
	offer(cmd, "kind", kindNames()...)
	offer(cmd, "side", sideNames...)
	offer(cmd, "since", "10m", "2h", "1d", "7d")
	offer(cmd, "until", "10m", "2h", "1d", "7d")
	return cmd
}

func kindNames() []string {
	var names []string
	for _, k := range ops.MomentKinds {
		names = append(names, string(k))
	}
	return names
}

// fits makes what tells whether a moment was asked for.
func (f *timelineFlags) fits(now time.Time) (func(*ops.Moment) bool, error) {
	var since, until time.Time
	var side ops.Side
	var err error
	at := func(flag, text string, into *time.Time) {
		if text == "" || err != nil {
			return
		}
		if *into, err = tui.ParseTime(text, now.UTC()); err != nil {
			err = fmt.Errorf("--%s: %w", flag, err)
		}
	}
	at("since", f.since, &since)
	at("until", f.until, &until)
	for _, k := range f.kinds {
		if err == nil && !slices.Contains(kindNames(), k) {
			err = fmt.Errorf("--kind: %q is no kind of moment; there are %s", k, strings.Join(kindNames(), ", "))
		}
	}
	if f.side != "" && err == nil {
		if side, err = ops.ParseSide(f.side); err != nil {
			err = fmt.Errorf("--side: %w", err)
		}
	}
	return func(m *ops.Moment) bool {
		return (since.IsZero() || !m.At.Before(since)) && (until.IsZero() || m.At.Before(until)) && (side == "" || m.Concerns(side)) &&
			(len(f.kinds) == 0 || slices.Contains(f.kinds, string(m.Kind)))
	}, err
}

// happened is the timeline of the pair as it is on this machine, oldest first; with an error as
// much of it as can be read.
func (s *session) happened() ([]ops.Moment, error) {
	var t telling
	kept, err := s.timeline().Read()
	t.kept = kept
	runs, unread := s.past()
	t.past(runs)
	if err == nil {
		err = unread
	}
	return t.all(), err
}

// mask hides in the moments what an audience must not see, and returns the name of the pair as it
// may see it.
func (s *session) mask(pair string, list []ops.Moment) string {
	names := s.names()
	for i := range list {
		names = append(names, tui.Names(list[i].Who)...)
	}
	hide := tui.Mask(s.cfg.Pair, s.cfg.Display.Redact, names...)
	for i := range list {
		m := &list[i]
		m.Text, m.Who = hide(m.Text), hide(m.Who)
		if m.Finding != nil {
			f := *m.Finding
			f.Title, f.Was = hide(f.Title), hide(f.Was)
			m.Finding = &f
		}
	}
	return hide(pair)
}

func (f *timelineFlags) print(out io.Writer, pair string, list []ops.Moment) error {
	switch {
	case f.json:
		docs := []momentDoc{}
		for i := range list {
			docs = append(docs, momentOf(&list[i]))
		}
		return writeJSON(out, map[string]any{"schema": 1, "pair": pair, "moments": docs})
	case f.markdown:
		_, err := fmt.Fprint(out, report.Timeline(pair, list))
		return err
	case f.plain:
		for _, m := range list {
			fmt.Fprintln(out, fields(m.At.UTC().Format(time.RFC3339), string(m.Kind), sideWord(m.Side), m.Who, m.Text))
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Fprintf(out, "nothing of this is on the timeline of %s on this machine\n", safe(pair))
	}
	for _, m := range list {
		text := m.Text
		if m.Kind == ops.MomentNote && m.Who != "" {
			text = m.Who + ": " + text
		}
		fmt.Fprintf(out, "%s  %-5s  %-8s  %s\n", m.At.UTC().Format("2006-01-02 15:04:05Z"), m.Side.Upper(), safe(string(m.Kind)), safe(text))
	}
	return nil
}

type momentDoc struct {
	At      *string         `json:"at"`
	Kind    ops.MomentKind  `json:"kind"`
	Side    *ops.Side       `json:"side"`
	Who     *string         `json:"who"`
	Run     *string         `json:"run"`
	Text    string          `json:"text"`
	Finding *findingChanged `json:"finding"`
}

type findingChanged struct {
	ID       string       `json:"id"`
	Severity ops.Severity `json:"severity"`
	Title    string       `json:"title"`
	Was      *string      `json:"was"`
	Cleared  bool         `json:"cleared"`
}

func momentOf(m *ops.Moment) momentDoc {
	doc := momentDoc{At: stamp(m.At), Kind: m.Kind, Side: known(m.Side), Who: known(m.Who), Run: known(m.Run), Text: m.Text}
	if f := m.Finding; f != nil {
		doc.Finding = &findingChanged{f.ID, f.Severity, f.Title, known(f.Was), f.Cleared}
	}
	return doc
}

// known is nil where there is nothing.
func known[T ~string](text T) *T {
	if text == "" {
		return nil
	}
	return &text
}
