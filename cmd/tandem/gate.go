package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/lock"
)

func newGate(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "gate", Short: "For deployment pipelines: is the pair free?", Args: cobra.NoArgs,
		Long: `gate exits 0 when no run is under way on the pair, 4 when one is (and says who, why and since
when), 3 when it cannot tell: a pipeline must not go on then.

A pipeline without tandem asks on the host; what it prints says who, what for, why and since when:

  test ! -e /var/lib/tandem/lock || { cat /var/lib/tandem/lock/owner.json >&2; exit 1; }`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openWith(g, links{borrow: true})
			if err != nil {
				return err
			}
			defer s.close()
			held, err := s.locker.Held(cmd.Context())
			doc := gateDoc{Schema: 1, Pair: s.cfg.Pair.Name, Free: err == nil, Lock: firstLock(held)}
			doc.Free = doc.Free && doc.Lock == nil
			if asJSON {
				doc.Error = errText(err)
				if werr := writeJSON(cmd.OutOrStdout(), doc); werr != nil {
					return werr
				}
			}
			switch {
			case doc.Lock != nil:
				if !asJSON {
					fmt.Fprintf(cmd.OutOrStdout(), "closed: %s\n", lockWords(*doc.Lock, time.Now()))
				}
				return &codeError{exitRefused, nil}
			case err != nil:
				return &codeError{exitNoLook, err}
			}
			if !asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "open: no run is under way on %s\n", s.cfg.Pair.Name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

type gateDoc struct {
	Schema int           `json:"schema"`
	Pair   string        `json:"pair"`
	Free   bool          `json:"free"`
	Lock   *ops.LockInfo `json:"lock"`
	Error  *string       `json:"error"`
}

func errText(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	return &text
}

func firstLock(held map[ops.Side]*ops.LockInfo) *ops.LockInfo {
	for _, side := range ops.Sides {
		if held[side] != nil {
			return held[side]
		}
	}
	return nil
}

func lockWords(l ops.LockInfo, now time.Time) string {
	text := fmt.Sprintf("%s by %s at %s, since %s (%s), run %s", l.What(), l.By, l.From,
		l.Since.UTC().Format("15:04:05Z"), now.Sub(l.Since).Round(time.Second), l.Run)
	if l.Step != "" {
		text += ", at " + l.Step
	}
	if lock.Dead(l, now) {
		text += fmt.Sprintf(", without a sign of life for %s", now.Sub(l.Beat).Round(time.Second))
	}
	if l.Stopped {
		text += ", stopped half-way: tandem resume, or tandem rollback"
	}
	if l.Reason != "" {
		text += ", because: " + l.Reason
	}
	return safe(text)
}

func newLock(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "lock", Short: "Show or break the lock"}
	show := &cobra.Command{
		Use: "show", Short: "Who holds the lock, on each host", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			held, err := s.locker.Held(cmd.Context())
			for _, side := range ops.Sides {
				if info, read := held[side]; info != nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%-5s %s\n", side, lockWords(*info, time.Now()))
				} else if read || err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%-5s free\n", side)
				}
			}
			if err != nil {
				return &codeError{exitNoLook, err}
			}
			return nil
		},
	}
	var reason, pair string
	breaking := &cobra.Command{
		Use: "break --reason TEXT --pair NAME", Short: "Remove a lock whose owner is gone; on the record", Args: cobra.NoArgs,
		Long: `break removes the lock from both hosts and writes who did it and why into
/var/lib/tandem/broken.log on each. Prefer tandem resume or tandem rollback: a broken lock leaves
the pair as the run left it. --pair must repeat the pair's name.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" {
				return usagef("lock break needs --reason: it goes on the record")
			}
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			if pair != s.cfg.Pair.Name {
				return usagef("to break the lock of this pair say --pair %s", s.cfg.Pair.Name)
			}
			if s.readOnly.Load() {
				return &ops.Problem{Doing: "breaking the lock of " + pair, Err: ops.ErrReadOnly, Hint: "start without --read-only"}
			}
			broken, err := s.locker.Break(cmd.Context(), reason, operator())
			for _, side := range ops.Sides {
				if info, was := broken[side]; was {
					fmt.Fprintf(cmd.OutOrStdout(), "%-5s broken: %s\n", side, lockWords(info, time.Now()))
				}
			}
			if err != nil {
				return err
			}
			if len(broken) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "there was no lock on %s: nothing was changed\n", s.cfg.Pair.Name)
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the pair is as the run left it: look at tandem status")
			return nil
		},
	}
	breaking.Flags().StringVar(&reason, "reason", "", "why; written to both hosts")
	breaking.Flags().StringVar(&pair, "pair", "", "the pair's name, typed as a confirmation")
	cmd.AddCommand(show, breaking)
	return cmd
}
