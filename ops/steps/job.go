package steps

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// Job runs a one-shot container to its end: one that ran before is started again, one that is
// not there is made by compose. Its log goes into the run, its exit code is the outcome.
//
// Before the start it is recorded since when the container ran. One that has started since is
// this step's own: after a crash it is attached to, never started twice.
type Job struct {
	Side      ops.Side
	Job       string
	Run       string
	Container Was           `json:",omitzero"` // the one to be started again; zero: compose makes one
	Compose   Compose       `json:",omitzero"`
	Within    time.Duration // for compose to make it; a job itself may take as long as it takes
}

// Kind implements [ops.Step], as do the methods below.
func (Job) Kind() string { return KindJob }

// Title is the act in words.
func (j Job) Title() string { return "run " + j.Job }

// Effects are the engine's calls or compose's command.
func (j Job) Effects() []string {
	start := "docker start " + j.Container.Name
	if j.Container.ID == "" {
		start = "cd " + j.Compose.Directory + " && flock . " + strings.Join(j.Compose.up(1, false), " ")
	}
	return []string{start, "follow its log until it ends, then read its exit code"}
}

// Risk: what a job does to data is not ours to judge.
func (Job) Risk() ops.Level { return ops.Disruptive }

// Guards: the side answers, and the job runs on neither.
func (j Job) Guards() []ops.Guard {
	return []ops.Guard{SideFresh(j.Side), JobNotRunning(j.Side, j.Job, j.Run, j.Container)}
}

// keyBefore is the container as it was before the start: a [Was], zero where there was none.
const keyBefore = "before"

// Check refuses a job that somebody else has started since the plan was made. One that this
// run has started is gone on with.
func (j Job) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	begun, err := env.Log.Recall(keyBefore, &Was{})
	if err != nil {
		return ops.Blocked, fmt.Errorf("reading what ran before: %w", err)
	}
	if begun {
		return ops.Ready, nil
	}
	_, all, err := list(ctx, env, j.Side)
	if err != nil {
		return ops.Blocked, err
	}
	if err := j.free(j.find(all)); err != nil {
		return ops.Blocked, err
	}
	return ops.Ready, nil
}

// free is an error where the container cannot be started.
func (j Job) free(c *ops.Container) error {
	problem := func(hint, format string, args ...any) error {
		return &ops.Problem{Doing: "starting " + j.Job, Side: j.Side, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case c == nil && j.Container.ID != "":
		return problem("look again: another may have taken its place", "container %s is gone", j.Container.Name)
	case c != nil && halts(c.State):
		return problem("wait for its end, then look again", "it runs since %s, and was not started by this run", c.StartedAt.UTC().Format(time.DateTime+"Z"))
	}
	return nil
}

// find is the job's container, nil where there is none.
func (j Job) find(all listing) *ops.Container {
	if j.Container.ID != "" {
		return all.find(j.Container)
	}
	i := slices.IndexFunc(all, func(c ops.Container) bool {
		return c.Labels[labelProject] == j.Compose.Project && c.Labels[labelService] == j.Compose.Service && !strings.EqualFold(c.Labels[labelOneoff], "true") && !ops.Kept(c.Name)
	})
	if i < 0 {
		return nil
	}
	return &all[i]
}

// Do starts the job, unless this run has, and follows it to its end.
func (j Job) Do(ctx context.Context, env ops.Env) error {
	engine, all, err := list(ctx, env, j.Side)
	if err != nil {
		return err
	}
	c := j.find(all)
	var before Was
	begun, err := env.Log.Recall(keyBefore, &before)
	if err != nil {
		return fmt.Errorf("reading what ran before: %w", err)
	}
	if !begun {
		if err := j.free(c); err != nil {
			return err
		}
		if c != nil {
			before = Was{Name: c.Name, ID: c.ID, StartedAt: c.StartedAt}
		}
		if err := env.Log.Record(keyBefore, before); err != nil {
			return fmt.Errorf("recording what ran before: %w", err)
		}
	}
	tail := logLines
	if !anew(c, before) {
		if c, err = j.start(ctx, env, engine, before); err != nil {
			return err
		}
		tail = 0
	} else {
		env.Log.Say(fmt.Sprintf("%s was started by this run at %s: attached to it", c.Name, c.StartedAt.UTC().Format(time.TimeOnly+"Z")))
	}
	if c, err = j.follow(ctx, env, c, tail); err != nil {
		return err
	}
	return j.outcome(env, c)
}

// anew tells whether the container has started since it was recorded.
func anew(c *ops.Container, before Was) bool {
	return c != nil && !c.StartedAt.IsZero() && before.startedAnew(c)
}

// start starts the container, or has compose make and start it, and reads it afresh.
func (j Job) start(ctx context.Context, env ops.Env, engine ops.Engine, before Was) (*ops.Container, error) {
	if before.ID != "" {
		if err := engine.Start(ctx, before.ID); err != nil {
			return nil, fmt.Errorf("starting %s: %w", before.Name, err)
		}
	} else {
		// "true" waits for a compose that a killed runner left at work: it has the lock.
		for _, args := range [][]string{{"true"}, j.Compose.up(1, false)} {
			_, all, err := list(ctx, env, j.Side)
			if err != nil {
				return nil, err
			}
			if anew(j.find(all), before) {
				break
			}
			if err := j.Compose.run(ctx, env.Hosts[j.Side], j.Compose.Directory, args, nil, j.Within, func(line string) { env.Log.Say(clip(line)) }); err != nil {
				return nil, err
			}
		}
	}
	_, all, err := list(ctx, env, j.Side)
	if err != nil {
		return nil, err
	}
	c := j.find(all)
	if !anew(c, before) {
		return nil, &ops.Problem{
			Doing: "starting " + j.Job, Side: j.Side, Err: fmt.Errorf("it was asked to start and has not"), Hint: "see what the engine says of it: docker inspect, then resume",
		}
	}
	env.Log.Say(c.Name + " started")
	return c, nil
}

// follow passes on the log until the run of the container is over. A log that breaks off is
// taken up again.
func (j Job) follow(ctx context.Context, env ops.Env, c *ops.Container, tail int) (*ops.Container, error) {
	out := relay{say: env.Log.Say, now: env.Now}
	defer out.end()
	since := c.StartedAt
	for {
		engine, err := env.Hosts[j.Side].Engine(ctx)
		if err != nil {
			return nil, fmt.Errorf("reaching the engine of %s: %w", j.Side, err)
		}
		// Whether the log broke off or ended, the container tells.
		_ = engine.Logs(ctx, c.ID, ops.LogOptions{Since: since, Tail: tail, Follow: true}, func(l ops.LogLine) {
			if tail = 0; l.At.After(since) {
				since = l.At
			}
			out.line(l.Text)
		})
		since = since.Add(time.Nanosecond)
		now, err := engine.Container(ctx, c.ID)
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", c.Name, err)
		case !halts(now.State):
			return &now, nil
		}
		if err := pause(ctx, env.Poll); err != nil {
			return nil, err
		}
	}
}

// outcome puts on the record how the job ended.
func (j Job) outcome(env ops.Env, c *ops.Container) error {
	ran := ops.JobRun{Job: j.Job, Side: j.Side, Started: c.StartedAt, Ended: c.FinishedAt, Exit: c.ExitCode}
	if err := env.Log.Record(ops.JobsKey, []ops.JobRun{ran}); err != nil {
		return fmt.Errorf("recording the end of %s: %w", j.Job, err)
	}
	if c.ExitCode != 0 || c.OOMKilled {
		return &ops.Problem{
			Doing: "running " + j.Job, Side: j.Side, Err: endedBadly{c.ExitCode, c.OOMKilled, took(c)},
			Hint: "its last lines are above, l shows its log; mend it, then run it again",
		}
	}
	env.Log.Say(fmt.Sprintf("%s ended with exit code 0 after %s", c.Name, took(c)))
	return nil
}

func took(c *ops.Container) string { return Words(c.FinishedAt.Sub(c.StartedAt)) }

// endedBadly is a job that has come to its end without success: nothing of it is left to
// resume.
type endedBadly struct {
	code int
	oom  bool
	took string
}

func (e endedBadly) Error() string {
	text := fmt.Sprintf("it ended with exit code %d after %s", e.code, e.took)
	if e.oom {
		text += ", killed: out of memory"
	}
	return text
}

// Is makes it an [ops.ErrOver].
func (endedBadly) Is(target error) bool { return target == ops.ErrOver }

// Verify reads the container afresh.
func (j Job) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, j.Side)
	if err != nil {
		return err
	}
	if c := j.find(all); c != nil && (halts(c.State) || c.ExitCode != 0) {
		word, _ := containerState(c)
		return &ops.Problem{Doing: "proving the end of " + j.Job, Side: j.Side, Err: fmt.Errorf("its container is %s", word), Hint: "somebody has started it again: wait for its end"}
	}
	return nil
}

// Undo has nothing to take back: what a job has written stays.
func (Job) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Job) Back() ops.Undoing { return ops.Undoing{} }

// A journal is no log: of a job that writes a lot the first lines go on the record as they
// come, then one every relayEvery, and the last ones.
const (
	relayFirst = 200
	relayEvery = 5 * time.Second
)

// relay passes on lines of a log.
type relay struct {
	say  func(string)
	now  func() time.Time
	said int
	at   time.Time // of the line said last
	kept []string  // the latest lines not said, logLines at most
	left int       // not said and not kept
}

func (r *relay) line(text string) {
	now := r.now()
	if r.said < relayFirst || now.Sub(r.at) >= relayEvery {
		r.left += len(r.kept)
		r.kept = nil
		r.tellLeft()
		r.said, r.at = r.said+1, now
		r.say(clip(text))
		return
	}
	r.kept = append(r.kept, text)
	if len(r.kept) > logLines {
		r.kept, r.left = r.kept[1:], r.left+1
	}
}

func (r *relay) tellLeft() {
	if r.left > 0 {
		r.say(fmt.Sprintf("(%d lines left out)", r.left))
		r.left = 0
	}
}

// end says the last lines.
func (r *relay) end() {
	r.tellLeft()
	for _, text := range r.kept {
		r.say(clip(text))
	}
	r.kept = nil
}
