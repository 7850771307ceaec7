package plans

import (
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/findings"
)

// What a finding proposes can be planned from the very snapshot that it was made of: the key
// opens a dialog, not an error.
func TestWhatFindingsProposeCanBePlanned(t *testing.T) {
	snapshots := map[string]func() ops.Snapshot{"calm": calm, "recoverable": recoverable}
	seen := map[ops.Op]bool{}
	for _, change := range []struct {
		name string
		do   func(s *ops.Snapshot)
	}{
		{"canary never tried", func(s *ops.Snapshot) { s.Blue.Canary = nil }},
		{"canary failed", func(s *ops.Snapshot) { s.Green.Canary = &ops.CanaryResult{At: at, Text: "no space left"} }},
		{"out though ready", func(s *ops.Snapshot) { s.Balancer.Green.Traffic = ops.Out }},
		{"both out", func(s *ops.Snapshot) { s.Balancer.Green.Traffic, s.Balancer.Blue.Traffic = ops.Out, ops.Draining }},
		{"drain lost", func(s *ops.Snapshot) { s.Balancer.Green.DrainLost = at }},
		{"service exited", func(s *ops.Snapshot) {
			service := s.Green.Service("tcs")
			service.Ready, service.State, service.Containers[0].State = false, "exited 1", "exited"
			s.Balancer.Green.Traffic = ops.Down
		}},
		{"image differs", func(s *ops.Snapshot) {
			c := &s.Green.Service("tcs").Containers[0]
			c.ImageID, c.CreatedAt = "sha256:bbbbbbbbbbbbbbbb", at
		}},
		{"job failed", func(s *ops.Snapshot) {
			s.Green.Jobs = []ops.JobState{{Name: "ndw-etl", Here: true, Last: &ops.Container{
				ID: "j1", Name: "ndw-etl", State: "exited", ExitCode: 1, FinishedAt: at.Add(-time.Hour), Image: "ndw-etl:1", ImageID: "sha256:cc",
			}}}
			s.Green.Jobs[0].Container = []ops.Container{*s.Green.Jobs[0].Last}
		}},
		{"compose at odds with the engine", func(s *ops.Snapshot) { s.Green.Facts.Compose, s.Green.Version.Running = "1.29.2", "26.1.5" }},
		{"a compose that fits is offered", func(s *ops.Snapshot) {
			s.Green.Facts.Compose, s.Green.Version.Running = "1.29.2", "26.1.5"
			s.Green.Facts.Packages = map[string]string{"docker-compose": "1.29.2-3", "docker.io": "26.1.5+dfsg1-9"}
			s.Green.Care = ops.Look{At: at}
			s.Green.Upkeep = ops.Upkeep{Manager: "apt", Offered: map[string][]string{"docker-compose": {"2.26.1-4"}}}
		}},
		{"reboot due", func(s *ops.Snapshot) { s.Blue.Facts.RebootRequired = true }},
	} {
		for from, make := range snapshots {
			snap := make()
			change.do(&snap)
			for _, f := range findings.All(snap, at) {
				if f.Do == nil {
					continue
				}
				seen[f.Do.Op] = true
				if plan, err := Make(snap, *f.Do, "run1"); err != nil {
					t.Errorf("%s, %s: [%s] %s proposes %+v: %v", from, change.name, f.ID, f.Title, *f.Do, err)
				} else if len(plan.Steps) == 0 {
					t.Errorf("%s, %s: [%s] proposes a plan of nothing", from, change.name, f.ID)
				}
			}
		}
	}
	for _, op := range []ops.Op{ops.OpCanary, ops.OpPutBack, ops.OpDrain, ops.OpRestart, ops.OpRollback, ops.OpJob, ops.OpRecover, ops.OpPatch} {
		if !seen[op] {
			t.Errorf("%s was not proposed", op)
		}
	}
}
