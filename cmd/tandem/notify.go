package main

import (
	"fmt"
	"io"
	"os"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/findings"
	"tandem/ops/notify"
	"tandem/tui"
)

// slack is the channel that the config names, nil where it names none or its secret is not in
// the environment; the warning says so where that is not what the config asks for.
func slack(to config.Notify) (channel *notify.Slack, warning string) {
	name := to.SlackWebhookEnv
	if name == "" {
		return nil, ""
	}
	webhook := os.Getenv(name)
	if webhook == "" {
		return nil, fmt.Sprintf("$%s is not set: nothing is told to Slack", name)
	}
	channel, err := notify.NewSlack(webhook)
	if err != nil {
		return nil, fmt.Sprintf("$%s: %v: nothing is told to Slack", name, err)
	}
	return channel, ""
}

// notifier tells people who are not at a console; nil, which tells nobody, without a channel.
// What does not get through is said on log.
//
// Each thing is told by one process alone: what becomes of a run by its runner, what becomes of
// findings by tandem check --watch. A console tells nobody: its operator sees it.
func (s *session) notifier(log io.Writer) (n *notify.Notifier, warning string) {
	channel, warning := slack(s.cfg.Notify)
	if channel == nil {
		return nil, warning
	}
	clean := safe
	if words := s.cfg.Display.Redact; len(words) > 0 {
		mask := tui.Mask(s.cfg.Pair, words)
		clean = func(text string) string { return mask(safe(text)) }
	}
	return notify.New(channel, clean, func(err error) { fmt.Fprintln(log, "tandem: not told:", safe(err.Error())) }), ""
}

// tellChange tells of blocks: those that come, change or go.
func tellChange(n *notify.Notifier, pair string, c findings.Change) {
	what := ""
	switch now, was := c.Now.Severity == ops.Block, c.Was.Severity == ops.Block; {
	case !now && !was:
		return
	case c.Kind == findings.Cleared:
		what = "cleared"
	case now && was:
		what = "still a block"
	case now:
		what = "block"
	default:
		what = "no longer a block"
	}
	text := fmt.Sprintf("%s: %s on %s: %s", pair, what, c.Now.Side.Upper(), c.Now.Title)
	if c.Kind != findings.Cleared && c.Now.Hint != "" {
		text += " → " + c.Now.Hint
	}
	n.Tell(text)
}

// tellRun returns what a runner calls with each event of its run: people are told when it begins,
// pauses and ends, and when nobody serves meanwhile. A canary that passes is no news: it may be tried every few minutes. The run is
// as its journal has it up to now.
func tellRun(n *notify.Notifier, run ops.Run) func(ops.Event) {
	return func(e ops.Event) {
		run.Apply(e)
		what := ""
		switch e.Kind {
		case ops.EvStarted:
			what = "begun by " + run.By
			if run.Plan.Request.Reason != "" {
				what += ", because: " + run.Plan.Request.Reason
			}
		case ops.EvResumed:
			what = "resumed by " + e.Text
		case ops.EvRollback:
			what = "is being taken back: " + e.Text
		case ops.EvPaused:
			what = "paused: " + e.Text
		case ops.EvAlarm:
			what = "ALARM: " + e.Text
		case ops.EvAllClear:
			what = "all clear: " + e.Text
		case ops.EvEnded:
			what = endWords(&run)
		}
		passed := run.Outcome == ops.OutcomeDone || run.Outcome == ""
		if what == "" || run.Plan.Op == ops.OpCanary && passed {
			return
		}
		n.Tell(fmt.Sprintf("%s: %s: %s (run %s)", run.Plan.Pair, run.Plan.Title, what, run.ID))
	}
}
