package steps

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tandem/ops"
)

// Swap moves a service to another image that is present on the host: every container is
// made anew from its own inspect with that image. The old one is kept aside, stopped,
// until the new one is ready.
//
// What is done is read from the engine: the container that was is known by its id, whatever
// its name; the new one by the old one's name and another id. So every act can be repeated
// after a crash between any two of them.
type Swap struct {
	Side       ops.Side
	Service    ops.Service
	Image      string // as Create gets it: a tag where there is one
	ImageID    string
	Containers []Was         // in container-number order
	Stop       time.Duration // a container may take this long to stop, then it is killed
	Within     time.Duration // for getting ready
	Out        bool          `json:",omitempty"` // see Restart.Out
	Sequenced  bool          `json:",omitempty"` // see Restart.Sequenced
}

// original is what is recorded of a container before it is touched.
type original struct {
	Inspect json.RawMessage
	ID      string
	Policy  string
	Health  string `json:",omitempty"` // by its health check; empty: it has none
	Running bool   // it ran, or the engine was about to start it again
	Image   string
	ImageID string
}

// aside is the name of a container that waits for its successor to be ready.
func aside(name, id string) string { return ops.KeptName(name, id) }

func keyOriginal(name string) string { return "original " + name }

// Kind implements [ops.Step], as do the methods below.
func (Swap) Kind() string { return KindSwap }

// Title is the act in words.
func (s Swap) Title() string { return s.Service.Name + " to image " + short(s.Image) }

// short cuts an image id as docker does.
func short(ref string) string {
	if bare, ok := strings.CutPrefix(ref, "sha256:"); ok {
		return bare[:min(12, len(bare))]
	}
	return ref
}

// Effects are the engine's calls.
func (s Swap) Effects() []string {
	var effects []string
	for _, c := range s.Containers {
		effects = append(effects,
			"docker update --restart no "+c.Name,
			fmt.Sprintf("docker stop --time %d %s", int(s.Stop.Seconds()), c.Name),
			"docker rename "+c.Name+" "+aside(c.Name, c.ID),
			"create "+c.Name+" as it was, from image "+short(s.Image)+"; docker start "+c.Name,
			fmt.Sprintf("wait until ready, %s at most", Words(s.Within)),
			"docker rm "+aside(c.Name, c.ID),
		)
	}
	return effects
}

// Risk: containers are removed, with what they wrote outside of volumes.
func (Swap) Risk() ops.Level { return ops.Destructive }

// Guards are those of a restart, and the image must be there.
func (s Swap) Guards() []ops.Guard {
	return append(actGuards(s.Side, s.Out, s.Sequenced), ImagePresent(s.Side, short(s.Image), s.ImageID))
}

// Check: already done when every container runs the image, nothing is aside, and the
// service is ready.
func (s Swap) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return ops.Blocked, err
	}
	if done, err := s.done(ctx, env, all); done || err != nil {
		return verdict(done), err
	}
	images, err := engine.Images(ctx)
	if err != nil {
		return ops.Blocked, fmt.Errorf("listing the images of %s: %w", s.Side, err)
	}
	if _, ok := FindImage(images, s.ImageID); !ok {
		return ops.Blocked, &ops.Problem{
			Doing: "looking for image " + short(s.Image), Side: s.Side, Err: errors.New("it is not on the host any more"),
			Hint: "roll back, then choose an image from the list",
		}
	}
	return ops.Ready, nil
}

func verdict(done bool) ops.Verdict {
	if done {
		return ops.AlreadyDone
	}
	return ops.Blocked
}

func (s Swap) done(ctx context.Context, env ops.Env, all listing) (bool, error) {
	var now []*ops.Container
	for _, was := range s.Containers {
		c, old := all.byName(was.Name), all.byID(was.ID)
		if c == nil || c.ImageID != s.ImageID || old != nil && old.Name != was.Name {
			return false, nil
		}
		now = append(now, c)
	}
	_, ready := serviceReady(ctx, env.Hosts[s.Side], s.Service, now)
	return ready, nil
}

// Do swaps one container after the other.
func (s Swap) Do(ctx context.Context, env ops.Env) error {
	for i, was := range s.Containers {
		if err := s.swap(ctx, env, was, i == len(s.Containers)-1); err != nil {
			return err
		}
	}
	return nil
}

func (s Swap) swap(ctx context.Context, env ops.Env, was Was, last bool) error {
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	old := all.byID(was.ID)
	if err := recordOriginal(ctx, env, s.Side, engine, "swapping the image of "+s.Service.Name, was, old); err != nil {
		return err
	}
	if old != nil && old.ImageID == s.ImageID && old.Name == was.Name {
		return nil
	}
	if old != nil {
		if err := noteStop(env); err != nil {
			return err
		}
		if err := setAside(ctx, engine, old, aside(was.Name, was.ID), s.Stop); err != nil {
			return err
		}
	}
	next := all.byName(was.Name)
	if next != nil && next.ID == was.ID {
		next = nil
	}
	if err := s.bring(ctx, env, engine, was, next, s.Image, s.ImageID); err != nil {
		return err
	}
	if err := s.await(ctx, env, was, last); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	if err := engine.Remove(ctx, old.ID); err != nil {
		return fmt.Errorf("removing %s: %w", aside(was.Name, was.ID), err)
	}
	return nil
}

// recordOriginal keeps all that is needed to make the container again. old is the
// container that has the id it had when the plan was made.
func recordOriginal(ctx context.Context, env ops.Env, side ops.Side, engine ops.Engine, doing string, was Was, old *ops.Container) error {
	var kept original
	known, err := env.Log.Recall(keyOriginal(was.Name), &kept)
	if err != nil {
		return fmt.Errorf("reading the record of %s: %w", was.Name, err)
	}
	if known {
		return nil
	}
	if err := unchanged(side, doing, was, old); err != nil {
		return err
	}
	inspect, err := engine.Inspect(ctx, old.ID)
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", was.Name, err)
	}
	kept = original{Inspect: inspect, ID: old.ID, Policy: old.Policy, Running: halts(old.State), Health: old.Health, Image: old.Image, ImageID: old.ImageID}
	if err := env.Log.Record(keyOriginal(was.Name), kept); err != nil {
		return fmt.Errorf("recording %s: %w", was.Name, err)
	}
	return nil
}

// unchanged is an error where a container is not the one that the plan was made for.
func unchanged(side ops.Side, doing string, was Was, old *ops.Container) error {
	if old != nil && old.Name == was.Name {
		return nil
	}
	return &ops.Problem{
		Doing: doing, Side: side, Err: fmt.Errorf("container %s was replaced or renamed since the plan was made", was.Name),
		Hint: "roll back, look again and make a new plan",
	}
}

// setAside stops a container under another name. Its restart policy goes first: with one
// it would come back at the next restart of the engine and hold its successor's ports.
func setAside(ctx context.Context, engine ops.Engine, c *ops.Container, name string, stop time.Duration) error {
	if c.Policy != "no" && c.Policy != "" {
		if err := engine.SetRestartPolicy(ctx, c.ID, "no"); err != nil {
			return fmt.Errorf("holding the restart policy of %s: %w", c.Name, err)
		}
	}
	if halts(c.State) {
		if err := engine.Stop(ctx, c.ID, stop); err != nil {
			return fmt.Errorf("stopping %s: %w", c.Name, err)
		}
	}
	if c.Name != name {
		if err := engine.Rename(ctx, c.ID, name); err != nil {
			return fmt.Errorf("renaming %s to %s: %w", c.Name, name, err)
		}
	}
	return nil
}

// halts tells whether a container in this state has to be stopped.
func halts(state string) bool {
	return state == "running" || state == "restarting" || state == "paused"
}

// bring makes sure that a container of the recorded shape and the given image runs under
// the recorded name. next is the one that has the name now, if any.
func (s Swap) bring(ctx context.Context, env ops.Env, engine ops.Engine, was Was, next *ops.Container, image, imageID string) error {
	if next != nil && next.ImageID != imageID {
		return &ops.Problem{
			Doing: "swapping the image of " + s.Service.Name, Side: s.Side, Err: fmt.Errorf("another container with image %s has taken the name %s", short(next.Image), was.Name),
			Hint: "see who made it; remove it or roll back",
		}
	}
	if next != nil && next.State == "running" {
		return nil
	}
	var kept original
	if _, err := env.Log.Recall(keyOriginal(was.Name), &kept); err != nil {
		return fmt.Errorf("reading the record of %s: %w", was.Name, err)
	}
	id, err := create(ctx, env, engine, next, kept, was.Name, image)
	if err != nil {
		return err
	}
	if err := engine.Start(ctx, id); err != nil {
		return fmt.Errorf("starting %s: %w", was.Name, err)
	}
	return nil
}

// create makes a container of the recorded shape, with another image where image is not
// empty. next is the one that has the name now: one that was started before is left.
func create(ctx context.Context, env ops.Env, engine ops.Engine, next *ops.Container, kept original, name, image string) (id string, err error) {
	if next != nil && next.State != "created" {
		return next.ID, nil
	}
	if next != nil {
		if err := dropUnfinished(ctx, engine, next); err != nil {
			return "", err
		}
	}
	id, lost, err := engine.Create(ctx, kept.Inspect, name, image)
	if err != nil {
		return "", fmt.Errorf("creating %s from %s: %w", name, short(cmp.Or(image, kept.Image)), err)
	}
	return id, tellLost(env, name, lost)
}

// dropUnfinished removes a container that was never started: its making may have been cut
// short before it had all its networks.
func dropUnfinished(ctx context.Context, engine ops.Engine, c *ops.Container) error {
	if c.State != "created" {
		return nil
	}
	if err := engine.Remove(ctx, c.ID); err != nil {
		return fmt.Errorf("removing the unfinished %s: %w", c.Name, err)
	}
	return nil
}

// await waits for the container under the name, and for the whole service with the last.
func (s Swap) await(ctx context.Context, env ops.Env, was Was, last bool) error {
	if !last {
		return waitContainer(ctx, env, s.Side, s.Service, Was{Name: was.Name}, s.Within)
	}
	return waitReady(ctx, env, s.Side, s.Service, byName(s.Containers), s.Within)
}

// byName forgets the ids: the containers of these names, whoever they are now.
func byName(was []Was) []Was {
	var named []Was
	for _, w := range was {
		named = append(named, Was{Name: w.Name})
	}
	return named
}

// Verify reads the containers afresh.
func (s Swap) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	containers, _ := all.of(byName(s.Containers))
	for i, c := range containers {
		if c != nil && c.ImageID != s.ImageID {
			return &ops.Problem{
				Doing: "proving the image of " + s.Service.Name, Side: s.Side, Err: fmt.Errorf("%s runs %s", s.Containers[i].Name, short(c.Image)),
				Hint: "resume, or roll back",
			}
		}
	}
	return proveReady(ctx, env, s.Side, s.Service, containers)
}

// Undo brings back what was recorded: the old container where it still exists, else one
// made from its inspect with its image.
func (s Swap) Undo(ctx context.Context, env ops.Env) error {
	touched := false
	for i := len(s.Containers) - 1; i >= 0; i-- {
		was := s.Containers[i]
		var kept original
		ok, err := env.Log.Recall(keyOriginal(was.Name), &kept)
		if err != nil {
			return fmt.Errorf("reading the record of %s: %w", was.Name, err)
		}
		if !ok {
			continue
		}
		if s.Out && !touched {
			if err := keepOut(ctx, env, s.Side); err != nil {
				return err
			}
		}
		touched = true
		if err := s.bringBack(ctx, env, was, kept); err != nil {
			return err
		}
		if kept.Running {
			if err := s.await(ctx, env, was, i == 0); err != nil {
				return err
			}
		}
		if err := s.dropSuccessor(ctx, env, was, kept); err != nil {
			return err
		}
	}
	if !touched {
		return ops.ErrNoUndo
	}
	return nil
}

// successor is the name under which the swapped container waits while the old one is made
// again.
func successor(name string) string { return ops.AfterName(name) }

func (s Swap) bringBack(ctx context.Context, env ops.Env, was Was, kept original) error {
	err := outlastStops(ctx, env, s.Side, s.Stop, func(all listing) []*ops.Container { return []*ops.Container{all.byID(was.ID)} })
	if err != nil {
		return err
	}
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	now, old := all.byName(was.Name), all.byID(was.ID)
	if now != nil && now.ID != was.ID && now.ImageID == s.ImageID && s.ImageID != kept.ImageID {
		if err := setAside(ctx, engine, now, successor(was.Name), s.Stop); err != nil {
			return err
		}
		now = nil
	}
	if old == nil {
		image, err := reference(ctx, engine, kept)
		if err != nil {
			return err
		}
		return s.bring(ctx, env, engine, was, now, image, kept.ImageID)
	}
	if old.Name != was.Name {
		if err := engine.Rename(ctx, old.ID, was.Name); err != nil {
			return fmt.Errorf("renaming %s to %s: %w", old.Name, was.Name, err)
		}
	}
	if err := restorePolicy(ctx, engine, old, kept.Policy); err != nil {
		return err
	}
	if kept.Running && old.State != "running" {
		if err := engine.Start(ctx, old.ID); err != nil {
			return fmt.Errorf("starting %s: %w", was.Name, err)
		}
	}
	return nil
}

// dropSuccessor removes the swapped container once the old one is back.
func (s Swap) dropSuccessor(ctx context.Context, env ops.Env, was Was, kept original) error {
	engine, all, err := list(ctx, env, s.Side)
	if err != nil {
		return err
	}
	c := all.byName(successor(was.Name))
	if c == nil {
		return nil
	}
	if back := all.byName(was.Name); back == nil || back.ImageID != kept.ImageID {
		return &ops.Problem{
			Doing: "removing " + c.Name, Side: s.Side, Err: fmt.Errorf("%s is not back on its recorded image", was.Name),
			Hint: "roll back again",
		}
	}
	if err := engine.Remove(ctx, c.ID); err != nil {
		return fmt.Errorf("removing %s: %w", c.Name, err)
	}
	return nil
}

// reference names the recorded image: by its tag where that still means the same image.
func reference(ctx context.Context, engine ops.Engine, kept original) (string, error) {
	images, err := engine.Images(ctx)
	if err != nil {
		return "", fmt.Errorf("listing images: %w", err)
	}
	if i, ok := FindImage(images, kept.Image); ok && i.ID == kept.ImageID {
		return kept.Image, nil
	}
	return kept.ImageID, nil
}

// Back describes Undo.
func (s Swap) Back() ops.Undoing {
	var effects []string
	for _, c := range s.Containers {
		effects = append(effects,
			fmt.Sprintf("docker stop --time %d %s; docker rename %s %s", int(s.Stop.Seconds()), c.Name, c.Name, successor(c.Name)),
			"create "+c.Name+" as recorded, from image "+short(c.Image)+"; docker start "+c.Name,
			"docker rm "+successor(c.Name),
		)
	}
	image := ""
	if len(s.Containers) > 0 {
		image = " " + short(s.Containers[0].Image)
	}
	guards := []ops.Guard{SideFresh(s.Side), NoJobRunning(s.Side)}
	if s.Out {
		guards = append(guards, SideOutAgain(s.Side))
	} else {
		guards = append(guards, PeerInService(s.Side), PeerReady(s.Side))
	}
	for _, c := range s.Containers {
		guards = append(guards, ImagePresent(s.Side, short(c.Image), c.ImageID))
	}
	return ops.Undoing{Title: s.Service.Name + " back to image" + image, Effects: effects, Risk: ops.Destructive, Guards: guards}
}
