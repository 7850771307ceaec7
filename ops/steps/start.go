package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

// Start makes the removed containers of one service anew and starts them: by compose on
// the host, or through the engine from what the hold step recorded of them.
//
// What is done is read from the engine: containers are known by name, and one with another
// id than Was.ID is new. So every act can be repeated after a crash between any two.
type Start struct {
	Side       ops.Side
	Service    ops.Service
	Containers []Was        // in container-number order
	From       string       // the step that recorded them: hold
	How        ops.StartWay // compose or api
	Compose    Compose      `json:",omitzero"`
	Idle       bool         `json:",omitempty"` // made, not started: jobs
	Within     time.Duration
	Stop       time.Duration // when undone, a container may take this long to stop
}

// byCompose tells whether compose makes the containers. It would not find the anonymous
// volumes of removed containers again: those are made through the engine.
func (s Start) byCompose() bool {
	if s.How != ops.StartCompose {
		return false
	}
	for _, was := range s.Containers {
		if len(was.Anonymous) > 0 {
			return false
		}
	}
	return true
}

// Kind implements [ops.Step], as do the methods below.
func (Start) Kind() string { return KindStart }

// Title is the act in words.
func (s Start) Title() string {
	if s.Idle {
		return "make " + s.Service.Name + " anew, not started"
	}
	return "start " + s.Service.Name
}

// Effects are compose's command or the engine's calls.
func (s Start) Effects() []string {
	var effects []string
	if s.byCompose() {
		effects = append(effects, "cd "+s.Compose.Directory+" && flock . "+strings.Join(s.Compose.up(len(s.Containers), s.Idle), " "))
	} else {
		for _, was := range s.Containers {
			line := "create " + was.Name + " as recorded"
			if n := len(was.Anonymous); n > 0 {
				line += fmt.Sprintf(", with its %d anonymous volumes", n)
			}
			if !s.Idle {
				line += "; docker start " + was.Name
			}
			effects = append(effects, line)
		}
	}
	if !s.Idle {
		effects = append(effects, fmt.Sprintf("wait until %s is ready, %s at most", s.Service.Name, Words(s.Within)))
	}
	return effects
}

// Risk: what is started can be stopped and removed again.
func (Start) Risk() ops.Level { return ops.Disruptive }

// Guards: once the side is down, bringing it up again must not depend on the peer.
func (s Start) Guards() []ops.Guard { return []ops.Guard{SideFresh(s.Side)} }

// Check: already done when all are new, as recorded, and ready.
func (s Start) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := list(ctx, env, s.Side)
	if err != nil {
		return ops.Blocked, err
	}
	if err := s.removed(all); err != nil {
		return ops.Blocked, err
	}
	now := s.now(all)
	for i, c := range now {
		kept, err := s.kept(env, s.Containers[i])
		if err != nil {
			return ops.Blocked, err
		}
		whole, err := s.whole(env, s.Containers[i], c)
		if err != nil {
			return ops.Blocked, err
		}
		if !whole || !samePolicy(c.Policy, kept.Policy) {
			return ops.Ready, nil
		}
	}
	if s.Idle {
		return ops.AlreadyDone, nil
	}
	if _, ready := serviceReady(ctx, env.Hosts[s.Side], s.Service, now); ready {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// removed is an error while one of the old containers still has its name.
func (s Start) removed(all listing) error {
	for _, was := range s.Containers {
		if c := all.byName(was.Name); c != nil && c.ID == was.ID {
			return &ops.Problem{
				Doing: "starting " + s.Service.Name, Side: s.Side, Err: fmt.Errorf("the old container %s was not removed", was.Name),
				Hint: "roll back, look again and make a new plan",
			}
		}
	}
	return nil
}

// kept is what the hold step recorded.
func (s Start) kept(env ops.Env, was Was) (original, error) {
	kept, known, err := recorded(env, s.From, was)
	if err == nil && !known {
		err = unrecorded(s.Side, "starting "+s.Service.Name, was)
	}
	return kept, err
}

// now are the new containers, one for each that was, nil where there is none. They have
// its name, or another that compose gave them: before v2 it made tis_tcs_1, since then
// tis-tcs-1.
func (s Start) now(all listing) []*ops.Container {
	now := make([]*ops.Container, len(s.Containers))
	known := map[string]bool{}
	for i, was := range s.Containers {
		known[was.ID] = true
		if c := all.byName(was.Name); c != nil && c.ID != was.ID {
			now[i], known[c.ID] = c, true
		}
	}
	if !s.byCompose() {
		return now
	}
	var others []*ops.Container
	for i := range all {
		c := &all[i]
		if c.Labels[labelProject] == s.Compose.Project && c.Labels[labelService] == s.Compose.Service && c.Labels[labelOneoff] != "True" &&
			!ops.Kept(c.Name) && !known[c.ID] {
			others = append(others, c)
		}
	}
	slices.SortFunc(others, func(a, b *ops.Container) int { return cmp.Compare(containerNumber(a), containerNumber(b)) })
	for i := range now {
		if now[i] == nil && len(others) > 0 {
			now[i], others = others[0], others[1:]
		}
	}
	return now
}

func containerNumber(c *ops.Container) int {
	n, err := strconv.Atoi(c.Labels[labelNumber])
	if err != nil {
		return int(^uint(0) >> 1)
	}
	return n
}

// whole tells whether a new container is there and as far as it has to be. One that was never
// started may be unfinished, unless this step has recorded that it is not.
func (s Start) whole(env ops.Env, was Was, c *ops.Container) (bool, error) {
	switch {
	case c == nil:
		return false, nil
	case !s.Idle:
		return c.State == "running", nil
	case c.State != "created":
		return true, nil
	}
	var made string
	if _, err := env.Log.Recall(keyMade(was.Name), &made); err != nil {
		return false, fmt.Errorf("reading the record of %s: %w", was.Name, err)
	}
	return c.ID == made, nil
}

// keyBegun is when the step was begun first.
const keyBegun = "begun"

// Do makes what is not there, starts it and waits for the service.
func (s Start) Do(ctx context.Context, env ops.Env) error {
	if err := env.Log.Record(keyBegun, env.Now()); err != nil {
		return fmt.Errorf("recording the start: %w", err)
	}
	tryKeepOut(ctx, env, s.Side)
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	if err := s.removed(all); err != nil {
		return err
	}
	if s.byCompose() {
		err = s.throughCompose(ctx, env, engine)
	} else {
		err = s.throughEngine(ctx, env, engine, all)
	}
	if err == nil {
		err = s.policies(ctx, env)
	}
	if err == nil && !s.Idle {
		err = s.await(ctx, env)
	}
	return s.outcome(ctx, env, err)
}

func (s Start) throughEngine(ctx context.Context, env ops.Env, engine ops.Engine, all listing) error {
	for i, c := range s.now(all) {
		was := s.Containers[i]
		whole, err := s.whole(env, was, c)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		kept, err := s.kept(env, was)
		if err != nil {
			return err
		}
		id, err := create(ctx, env, engine, c, kept, was.Name, "")
		if err != nil {
			return err
		}
		if s.Idle {
			if err := env.Log.Record(keyMade(was.Name), id); err != nil {
				return fmt.Errorf("recording %s: %w", was.Name, err)
			}
			continue
		}
		if err := engine.Start(ctx, id); err != nil {
			return fmt.Errorf("starting %s: %w", was.Name, err)
		}
	}
	return nil
}

func (s Start) throughCompose(ctx context.Context, env ops.Env, engine ops.Engine) error {
	if err := s.composeAtRest(ctx, env); err != nil {
		return err
	}
	_, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	needed := false
	for i, c := range s.now(all) {
		whole, err := s.whole(env, s.Containers[i], c)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		needed = true
		if c == nil {
			continue
		}
		if err := dropUnfinished(ctx, engine, c); err != nil {
			return err
		}
	}
	if needed {
		if err := s.ask(ctx, env, s.Compose.up(len(s.Containers), s.Idle)...); err != nil {
			return err
		}
		if _, all, err = list(ctx, env, s.Side); err != nil {
			return err
		}
	}
	// Also what an earlier try made: it may have been cut off before it looked.
	for i, c := range s.now(all) {
		if err := s.compare(ctx, env, engine, s.Containers[i], c); err != nil {
			return err
		}
	}
	return nil
}

func (s Start) ask(ctx context.Context, env ops.Env, args ...string) error {
	return s.Compose.run(ctx, env.Hosts[s.Side], s.Compose.Directory, args, nil, s.Within, func(line string) { env.Log.Say(clip(line)) })
}

// composeAtRest waits for a compose that a killed runner left at work: it has the lock.
func (s Start) composeAtRest(ctx context.Context, env ops.Env) error { return s.ask(ctx, env, "true") }

// compare looks at what compose has made in the place of a container. Its files may have been
// changed since: that is told, and none of its values.
func (s Start) compare(ctx context.Context, env ops.Env, engine ops.Engine, was Was, c *ops.Container) error {
	if c == nil {
		return &ops.Problem{
			Doing: "starting " + s.Service.Name, Side: s.Side, Err: fmt.Errorf("compose ended well, but there is no container in the place of %s: its files are not those that this side ran", was.Name),
		}
	}
	kept, err := s.kept(env, was)
	if err != nil {
		return err
	}
	if c.Name != was.Name {
		env.Log.Say(fmt.Sprintf("compose made %s in the place of %s", c.Name, was.Name))
	}
	inspect, err := engine.Inspect(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", c.Name, err)
	}
	lost, err := madeOtherwise(kept.Inspect, inspect)
	if err != nil {
		return fmt.Errorf("comparing %s with what was recorded: %w", c.Name, err)
	}
	if c.ImageID != kept.ImageID {
		lost = append([]string{"its image: it runs " + short(c.ImageID) + " (" + c.Image + "), it ran " + short(kept.ImageID) + " (" + kept.Image + ")"}, lost...)
	}
	if err := tellLost(env, was.Name, lost); err != nil {
		return err
	}
	if !s.Idle {
		return nil
	}
	if err := env.Log.Record(keyMade(was.Name), c.ID); err != nil {
		return fmt.Errorf("recording %s: %w", was.Name, err)
	}
	return nil
}

// policies gives the new containers the recorded restart policies: compose goes by its files.
func (s Start) policies(ctx context.Context, env ops.Env) error {
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	for i, c := range s.now(all) {
		kept, err := s.kept(env, s.Containers[i])
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if err := restorePolicy(ctx, engine, c, kept.Policy); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the service is ready. Once the operator has accepted that it is not,
// the time since the first try counts.
func (s Start) await(ctx context.Context, env ops.Env) error {
	within := s.Within
	if accepted(env, GuardServicesReady, s.Service.Name) {
		begun := env.Now()
		if _, err := env.Log.Recall(keyBegun, &begun); err != nil {
			return fmt.Errorf("reading when it was begun: %w", err)
		}
		within = max(0, within-env.Now().Sub(begun))
	}
	return waitService(ctx, env, s.Side, s.Service, within, s.now)
}

// outcome words what went wrong, with the last lines of the service's log. Where the
// operator has accepted that services are not ready, the run goes on without this one.
func (s Start) outcome(ctx context.Context, env ops.Env, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ops.ErrUnreachable) || errors.Is(err, ops.ErrReadOnly) || errors.Is(err, ops.ErrNotPermitted) {
		return err
	}
	s.sayLogs(ctx, env)
	if accepted(env, GuardServicesReady, s.Service.Name) {
		env.Log.Say("going on without " + s.Service.Name + ", as accepted (" + GuardServicesReady + "): " + err.Error())
		return nil
	}
	p := *ops.AsProblem(err, "starting "+s.Service.Name, s.Side)
	p.Hint = "its last lines are above: mend it, then resume to try again; or skip it: resume --accept " + GuardServicesReady + " --reason WHY; or roll back"
	return &p
}

const (
	logLines = 20
	logTime  = 10 * time.Second
)

// sayLogs shows the end of each log. It is best effort: the reason is told in any case.
func (s Start) sayLogs(ctx context.Context, env ops.Env) {
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return
	}
	for _, c := range s.now(all) {
		if c == nil {
			continue
		}
		err := engine.Logs(ctx, c.ID, ops.LogOptions{Tail: logLines}, func(l ops.LogLine) { env.Log.Say(clip(c.Name + " | " + l.Text)) })
		if err != nil {
			env.Log.Say("the log of " + c.Name + " cannot be read: " + err.Error())
		}
	}
}

// Verify reads the containers afresh.
func (s Start) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	now := s.now(all)
	if s.Idle {
		if i := slices.Index(now, nil); i >= 0 && !accepted(env, GuardServicesReady, s.Service.Name) {
			return &ops.Problem{
				Doing: "proving that " + s.Service.Name + " is there", Side: s.Side, Err: fmt.Errorf("there is no container in the place of %s", s.Containers[i].Name),
				Hint: "see who removed it, then resume",
			}
		}
		return nil
	}
	err = proveReady(ctx, env, s.Side, s.Service, now)
	if err != nil && accepted(env, GuardServicesReady, s.Service.Name) {
		env.Log.Say(err.Error() + ": accepted")
		return nil
	}
	return err
}

// Undo removes what was made. Volumes stay.
func (s Start) Undo(ctx context.Context, env ops.Env) error {
	begun, err := env.Log.Recall(keyBegun, new(time.Time))
	if err != nil {
		return fmt.Errorf("reading when it was begun: %w", err)
	}
	if !begun {
		return ops.ErrNoUndo
	}
	if err := keepOut(ctx, env, s.Side); err != nil {
		return err
	}
	if s.byCompose() {
		if err := s.composeAtRest(ctx, env); err != nil {
			return err
		}
	}
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(s.now(all)) {
		if c == nil {
			continue
		}
		if halts(c.State) {
			if err := engine.Stop(ctx, c.ID, s.Stop); err != nil {
				return fmt.Errorf("stopping %s: %w", c.Name, err)
			}
		}
		if err := engine.Remove(ctx, c.ID); err != nil {
			return fmt.Errorf("removing %s: %w", c.Name, err)
		}
	}
	return nil
}

// Back describes Undo.
func (s Start) Back() ops.Undoing {
	var effects []string
	for _, was := range s.Containers {
		effects = append(effects, fmt.Sprintf("docker stop --time %d %s; docker rm %s (the new one, volumes stay)", int(s.Stop.Seconds()), was.Name, was.Name))
	}
	return ops.Undoing{
		Title: "remove the new containers of " + s.Service.Name, Effects: effects, Risk: ops.Destructive, Guards: []ops.Guard{SideFresh(s.Side), SideOutAgain(s.Side)},
	}
}
