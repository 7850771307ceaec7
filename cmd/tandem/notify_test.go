package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/findings"
	"tandem/ops/notify"
	"tandem/tui"
)

type letters []string

func (l *letters) Send(_ context.Context, text string) error {
	*l = append(*l, strings.Split(text, "\n")...)
	return nil
}

// delivered is what people read after what was done.
func delivered(clean func(string) string, do func(n *notify.Notifier)) []string {
	var got letters
	n := notify.New(&got, clean, func(error) {})
	do(n)
	n.Close()
	return got
}

func TestTellChange(t *testing.T) {
	f := func(severity ops.Severity, title string) ops.Finding {
		return ops.Finding{ID: "x", Severity: severity, Side: ops.Green, Title: title, Hint: "mend it"}
	}
	got := delivered(safe, func(n *notify.Notifier) {
		for _, c := range []findings.Change{
			{Kind: findings.New, Now: f(ops.Block, "a\x1b[31m b")},
			{Kind: findings.New, Now: f(ops.Warn, "warning")},
			{Kind: findings.Changed, Now: f(ops.Block, "c"), Was: f(ops.Warn, "b")},
			{Kind: findings.Changed, Now: f(ops.Block, "d"), Was: f(ops.Block, "c")},
			{Kind: findings.Changed, Now: f(ops.Warn, "e"), Was: f(ops.Block, "d")},
			{Kind: findings.Cleared, Now: f(ops.Warn, "e"), Was: f(ops.Warn, "e")},
			{Kind: findings.Cleared, Now: f(ops.Block, "f"), Was: f(ops.Block, "f")},
		} {
			tellChange(n, "tis", c)
		}
	})
	want := []string{
		"tis: block on GREEN: a b → mend it", "tis: block on GREEN: c → mend it", "tis: still a block on GREEN: d → mend it",
		"tis: no longer a block on GREEN: e → mend it", "tis: cleared on GREEN: f",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTellRun(t *testing.T) {
	run := func(op ops.Op, events ...ops.Event) []string {
		return delivered(safe, func(n *notify.Notifier) {
			begun := ops.Run{ID: "r1", By: "ada@desk1", Plan: ops.PlanDoc{ID: "r1", Pair: "tis", Op: op, Title: string(op)}}
			tell := tellRun(n, begun)
			for _, e := range events {
				tell(e)
			}
		})
	}
	paused, intent := ops.Event{Kind: ops.EvPaused, Text: "BLUE does not serve"}, ops.Event{Kind: ops.EvIntent, Step: "s1"}
	failed, done := ops.Event{Kind: ops.EvEnded, Text: string(ops.OutcomeRefused)}, ops.Event{Kind: ops.EvEnded, Text: string(ops.OutcomeDone)}
	alarm := ops.Event{Kind: ops.EvAlarm, Text: "nobody serves"}
	if diff := cmp.Diff([]string{
		"tis: drain: paused: BLUE does not serve (run r1)", "tis: drain: ALARM: nobody serves (run r1)", "tis: drain: refused: nothing was changed (run r1)",
	}, run(ops.OpDrain, intent, paused, alarm, failed)); diff != "" {
		t.Error(diff)
	}
	if got := run(ops.OpCanary, ops.Event{Kind: ops.EvResumed, Text: "ada"}, done); got != nil {
		t.Errorf("a canary that passed is told: %q", got)
	}
	if got := run(ops.OpCanary, failed); len(got) != 1 {
		t.Errorf("a canary that did not pass is not told: %q", got)
	}
}

func TestMessagesAreMasked(t *testing.T) {
	pair := ops.Pair{Addresses: map[ops.Side]string{ops.Blue: "ops@blue.example.org", ops.Green: "10.0.1.12"}}
	got := delivered(tui.Mask(pair, []string{"hosts", "addresses"}), func(n *notify.Notifier) { n.Tell("dial 10.0.1.12:22 from 10.9.9.9, blue.example.org") })
	if diff := cmp.Diff([]string{"dial green-host:22 from •.•.•.•, blue-host"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSlackOfTheEnvironment(t *testing.T) {
	named := config.Notify{SlackWebhookEnv: "TANDEM_TEST_WEBHOOK"}
	for _, test := range []struct {
		notify  config.Notify
		value   string
		channel bool
		warning string
	}{
		{config.Notify{}, "https://hooks.example.org/s3cret", false, ""},
		{named, "", false, "$TANDEM_TEST_WEBHOOK is not set"},
		{named, "hooks.example.org/s3cret", false, "does not hold"},
		{named, "https://hooks.example.org/s3cret", true, ""},
	} {
		t.Setenv("TANDEM_TEST_WEBHOOK", test.value)
		channel, warning := slack(test.notify)
		if (channel != nil) != test.channel || !strings.Contains(warning, test.warning) || (warning == "") != (test.warning == "") || strings.Contains(warning, "s3cret") {
			t.Errorf("%q: %v, %q", test.value, channel != nil, warning)
		}
	}
}
