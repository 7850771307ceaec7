package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"tandem/ops"
	"tandem/ops/findings"
	"tandem/ops/inspect"
	"tandem/ops/journal"
)

// watchEvery is how often a watch compares: a change counts when two of its looks have it.
const watchEvery = 5 * time.Second

// runWatch tells of findings as they come and go, until a signal ends it.
func (f *checkFlags) runWatch(cmd *cobra.Command, g *globals) error {
	s, err := open(g)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	tell, warning := s.notifier(cmd.ErrOrStderr())
	defer tell.Close()
	if warning != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "tandem: "+warning)
	}
	live := s.inspector.Live(ctx)
	defer live.Wait()
	select {
	case <-live.Looked():
	case <-ctx.Done():
		return &codeError{exitNoLook, nil}
	}
	canaries := make(chan struct{})
	go func() {
		defer close(canaries)
		s.tryOnSchedule(ctx, live, func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "tandem: "+safe(text)) })
	}()
	defer func() { <-canaries }()
	var tracker findings.Tracker
	beat := time.NewTicker(watchEvery)
	defer beat.Stop()
	for first := true; ; first = false {
		snap := s.glimpse(live)
		changes := tracker.See(&snap)
		for _, c := range changes {
			f.printChange(cmd.OutOrStdout(), snap.At, c)
			tellChange(tell, snap.Pair.Name, c)
		}
		calm := len(f.shown(snap.Findings)) == 0
		if calm && !f.plain && (first || len(changes) > 0) {
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", snap.At.UTC().Format("15:04:05Z"), summary(nil))
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			if code := checkCode(&snap); code != exitDone {
				return &codeError{code, nil}
			}
			return nil
		}
	}
}

// tryOnSchedule starts canaries as the config has it, and removes what others have left, until
// ctx ends.
func (s *session) tryOnSchedule(ctx context.Context, live *inspect.Live, say func(string)) {
	schedule := newCanaries(s)
	beat := time.NewTicker(watchEvery)
	defer beat.Stop()
	for first := true; ; first = false {
		snap := s.glimpse(live)
		if first || leftover(&snap) {
			for _, text := range s.tidy(ctx, &snap) {
				say(text)
			}
		}
		if schedule.due(&snap, time.Now()) != "" {
			if err := schedule.run(ctx, snap); err != nil && ctx.Err() == nil {
				say("a canary on schedule did not begin: " + err.Error())
			}
			live.Poke()
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

// glimpse is what a live view shows now, with what the journals know.
func (s *session) glimpse(live *inspect.Live) ops.Snapshot {
	snap := live.Snapshot()
	// Without a journal no canary is known, and rules say so.
	runs, _ := journal.Latest(s.state, s.cfg.Pair.Name, runsForLook)
	addKnown(runs, &snap)
	snap.At = time.Now()
	snap.Findings = findings.All(snap, snap.At) // ages are not the live view's
	return snap
}

// printChange writes a change as one line.
func (f *checkFlags) printChange(w io.Writer, at time.Time, c findings.Change) {
	if !f.shows(c.Now.Severity) && !f.shows(c.Was.Severity) {
		return
	}
	if f.plain {
		fmt.Fprintln(w, fields(at.UTC().Format(time.RFC3339), string(c.Kind), string(c.Now.Severity), sideWord(c.Now.Side), c.Now.ID, c.Now.Title))
		return
	}
	was := ""
	if c.Kind == findings.Changed {
		was = fmt.Sprintf("   (was: %s, %s, %s)", c.Was.Severity, c.Was.Side.Upper(), c.Was.Title)
	}
	fmt.Fprintf(w, "%s  %-7s  %-5s  %-5s  %s\n", at.UTC().Format("15:04:05Z"), c.Kind, c.Now.Severity, c.Now.Side.Upper(), safe(c.Now.Title+was))
}
