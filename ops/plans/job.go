package plans

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"tandem/ops"
	"tandem/ops/steps"
)

// job runs a one-shot container of the side to its end. Traffic and peer are not touched; the
// lock keeps everybody else off meanwhile.
func job(d *draft) error {
	job, err := d.job()
	if err != nil {
		return err
	}
	d.plan.Patient = true // a job is not left alone because a connection drops
	d.plan.Title = "run " + job.Name + " on " + d.side.Upper()
	d.plan.UndoText = "what the job has written: no"
	d.say("Traffic does not change. %s runs on %s until it ends.", job.Name, d.side.Upper())
	step := steps.Job{Side: d.side, Job: job.Name, Run: d.plan.ID, Within: d.limits().Start}
	if c := d.lastOf(job); c != nil {
		step.Container = was([]ops.Container{*c})[0]
		d.sayLast(c)
	} else if step.Compose, err = d.composeFor(job); err != nil {
		return err
	}

	lock := d.add(steps.Lock{Side: d.side, Run: d.plan.ID, AllowMissing: d.missing(), Alone: true}, steps.KindLock)
	ran := d.add(step, "run-"+job.Name, lock)
	d.add(steps.Unlock{Run: d.plan.ID, AllowMissing: append(d.missing(), d.side.Peer())}, steps.KindUnlock, ran)
	return nil
}

// job is the one that was asked for.
func (d *draft) job() (ops.Job, error) {
	var known []string
	for _, j := range d.snap.Pair.Jobs {
		known = append(known, j.Name)
	}
	switch {
	case len(known) == 0:
		return ops.Job{}, errors.New("the config names no job: list them under jobs")
	case len(d.req.Services) != 1:
		return ops.Job{}, fmt.Errorf("run which job? name one: %s", and(known))
	}
	name := d.req.Services[0]
	i := slices.Index(known, name)
	if i < 0 {
		return ops.Job{}, fmt.Errorf("there is no job %q%s", name, closest(name, known))
	}
	job := d.snap.Pair.Jobs[i]
	if job.Only != "" && job.Only != d.side {
		return ops.Job{}, fmt.Errorf("%s belongs on %s alone, by the config: run it there", name, job.Only.Upper())
	}
	return job, nil
}

// lastOf is the latest container of the job on the side, nil where there is none.
func (d *draft) lastOf(job ops.Job) *ops.Container {
	for _, at := range d.state.Jobs {
		if at.Name == job.Name {
			return at.Last
		}
	}
	return nil
}

// sayLast tells of the job's last run, and of a newer image that starting it again does not use.
func (d *draft) sayLast(c *ops.Container) {
	if !c.StartedAt.IsZero() && !halts(*c) {
		d.say("It ran last at %s, for %s, and ended with exit code %d.", c.StartedAt.UTC().Format("2006-01-02 15:04Z"), steps.Words(c.FinishedAt.Sub(c.StartedAt)), c.ExitCode)
	}
	if now, ok := steps.FindImage(d.state.Images, c.Image); ok && now.ID != c.ImageID {
		d.say("Its container %s is of an earlier image than %s is now: that one runs.", c.Name, c.Image)
	}
}

// composeFor is how compose makes the job's container: in the project of the services of the side.
func (d *draft) composeFor(job ops.Job) (steps.Compose, error) {
	why := ""
	for i := range d.state.Services {
		at := d.state.Services[i].Containers
		if len(at) == 0 {
			continue
		}
		compose, not := d.composeOf(at)
		if not == "" {
			compose.Service = job.Service
			return compose, nil
		}
		why = cmp.Or(why, not)
	}
	return steps.Compose{}, fmt.Errorf("%s has no container on %s to start again, and compose cannot make one (%s): make it there, then look again", job.Name, d.side.Upper(), cmp.Or(why, "no service is there whose project it could be in"))
}
