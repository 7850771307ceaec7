package main

import (
	"testing"
	"time"

	"tandem/ops"
)

// When a canary on schedule is due, and where.
func TestCanaryDue(t *testing.T) {
	now := time.Date(2025, 6, 6, 14, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *ops.CanaryResult { return &ops.CanaryResult{At: now.Add(-d), OK: true} }
	for _, test := range []struct {
		name   string
		change func(*canaries, *ops.Snapshot)
		want   ops.Side
	}{
		{"both tried", nil, ""},
		{"never tried", func(_ *canaries, s *ops.Snapshot) { s.Green.Canary = nil }, ops.Green},
		{"too old", func(_ *canaries, s *ops.Snapshot) { s.Blue.Canary = ago(16 * time.Minute) }, ops.Blue},
		{"not yet", func(_ *canaries, s *ops.Snapshot) { s.Blue.Canary = ago(15 * time.Minute) }, ""},
		{"the older first", func(_ *canaries, s *ops.Snapshot) {
			s.Blue.Canary, s.Green.Canary = ago(20*time.Minute), ago(30*time.Minute)
		}, ops.Green},
		{"one that failed counts", func(_ *canaries, s *ops.Snapshot) { s.Blue.Canary = ago(time.Minute); s.Blue.Canary.OK = false }, ""},
		{"tried and refused", func(c *canaries, s *ops.Snapshot) { s.Green.Canary, c.tried[ops.Green] = nil, now.Add(-time.Minute) }, ""},
		{"tried and refused long ago", func(c *canaries, s *ops.Snapshot) { s.Green.Canary, c.tried[ops.Green] = nil, now.Add(-time.Hour) }, ops.Green},
		{"locked", func(_ *canaries, s *ops.Snapshot) { s.Green.Canary, s.Blue.Lock = nil, &ops.LockInfo{Run: "r"} }, ""},
		{"stopped half-way", func(_ *canaries, s *ops.Snapshot) { s.Green.Canary, s.Green.Lock = nil, &ops.LockInfo{Stopped: true} }, ""},
		{"not reached", func(_ *canaries, s *ops.Snapshot) { s.Green.Canary, s.Green.Link = nil, ops.LinkDown }, ""},
		{"old data", func(_ *canaries, s *ops.Snapshot) { s.Green.Canary, s.Green.Engine.At = nil, now.Add(-time.Minute) }, ""},
		{"the peer not reached", func(_ *canaries, s *ops.Snapshot) { s.Green.Canary, s.Blue.Link = nil, ops.LinkDown }, ops.Green},
		{"no schedule", func(c *canaries, s *ops.Snapshot) { s.Green.Canary, c.every = nil, 0 }, ""},
	} {
		snap := ops.Snapshot{At: now, Pair: ops.Pair{Limits: ops.DefaultLimits()}}
		for _, side := range ops.Sides {
			*snap.On(side) = ops.SideState{Side: side, Link: ops.LinkUp, Host: ops.Look{At: now}, Engine: ops.Look{At: now}, Canary: ago(2 * time.Minute)}
		}
		c := &canaries{every: 15 * time.Minute, jitter: time.Second, tried: map[ops.Side]time.Time{}}
		if test.change != nil {
			test.change(c, &snap)
		}
		if got := c.due(&snap, now); got != test.want {
			t.Errorf("%s: due on %q, want %q", test.name, got, test.want)
		}
	}
}
