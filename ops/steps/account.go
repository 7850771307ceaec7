package steps

import (
	"fmt"

	"tandem/ops"
)

// account puts on the record what the side runs and what the balancer has counted, as far as
// it was just read: reports tell from it what a run has changed and what users had of it.
func account(env ops.Env, snap *ops.Snapshot, side ops.Side) error {
	now, stale := env.Now(), snap.Pair.Limits.Stale
	if s := snap.On(side); s.Host.Fresh(now, stale) && s.Engine.Fresh(now, stale) {
		v := ops.Versions{Side: side, Engine: s.Version.Running, Compose: s.Facts.Compose}
		if err := env.Log.Record(ops.VersionsKey, v); err != nil {
			return fmt.Errorf("recording the versions of %s: %w", side, err)
		}
		if err := accountJobs(env, s); err != nil {
			return fmt.Errorf("recording the jobs of %s: %w", side, err)
		}
	}
	if snap.Balancer.Look.Fresh(now, stale) {
		return accountServed(env, &snap.Balancer)
	}
	return nil
}

// accountJobs puts on the record when each job ran last.
func accountJobs(env ops.Env, s *ops.SideState) error {
	var ran []ops.JobRun
	for _, j := range s.Jobs {
		if !j.Here {
			continue
		}
		run := ops.JobRun{Job: j.Name, Side: s.Side}
		if j.Last != nil {
			run.Started, run.Exit = j.Last.StartedAt, j.Last.ExitCode
			if !j.Running {
				run.Ended = j.Last.FinishedAt
			}
		}
		ran = append(ran, run)
	}
	if ran == nil {
		return nil
	}
	return env.Log.Record(ops.JobsKey, ran)
}

// accountServed puts on the record what the balancer has counted, if it counts.
func accountServed(env ops.Env, status *ops.BalancerStatus) error {
	served := status.Served()
	if len(served) == 0 {
		return nil
	}
	if err := env.Log.Record(ops.ServedKey, served); err != nil {
		return fmt.Errorf("recording what the balancer has counted: %w", err)
	}
	return nil
}
