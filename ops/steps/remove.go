package steps

import (
	"context"
	"fmt"
	"strings"

	"tandem/ops"
)

// Remove removes containers that the hold step has recorded in full. Their volumes stay,
// the anonymous ones too.
type Remove struct {
	Side       ops.Side
	Containers []Was
	From       string // the id of the hold step
}

// keyMade is the id of a container that was made again; keyLost is what its making could
// not keep; keyVolumes are the anonymous volumes of a removed one, which only this journal
// knows to be its own.
func keyMade(name string) string    { return "made " + name }
func keyLost(name string) string    { return "lost " + name }
func keyVolumes(name string) string { return "volumes " + name }

// Kind implements [ops.Step], as do the methods below.
func (Remove) Kind() string { return KindRemove }

// Title is the act in words.
func (r Remove) Title() string {
	return fmt.Sprintf("remove %d containers of %s", len(r.Containers), r.Side.Upper())
}

// Effects are the engine's calls.
func (r Remove) Effects() []string {
	return []string{"docker rm " + names(r.Containers) + " (volumes stay)"}
}

// Risk: what containers wrote outside of volumes is lost.
func (Remove) Risk() ops.Level { return ops.Destructive }

// Guards are those of a recovery.
func (r Remove) Guards() []ops.Guard { return recoverGuards(r.Side) }

// Check: already done when none is there.
func (r Remove) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	_, all, err := list(ctx, env, r.Side)
	if err != nil {
		return ops.Blocked, err
	}
	there, err := r.there(env, all)
	if err != nil {
		return ops.Blocked, err
	}
	if len(there) == 0 {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// there are the containers that are still to be removed; an error if one of them must not be.
func (r Remove) there(env ops.Env, all listing) ([]*ops.Container, error) {
	const doing = "removing containers"
	var list []*ops.Container
	for _, was := range r.Containers {
		kept, known, err := recorded(env, r.From, was)
		if err != nil {
			return nil, err
		}
		var made string
		if _, err := env.Log.Recall(keyMade(was.Name), &made); err != nil {
			return nil, fmt.Errorf("reading the record of %s: %w", was.Name, err)
		}
		if old := all.byID(was.ID); old != nil && old.Name != was.Name {
			return nil, unchanged(r.Side, doing, was, old)
		}
		c := all.byName(was.Name)
		switch {
		case c == nil:
			continue
		case !known:
			return nil, unrecorded(r.Side, doing, was)
		case c.ID != kept.ID && c.ID != made:
			return nil, unchanged(r.Side, doing, was, nil)
		case halts(c.State):
			return nil, &ops.Problem{
				Doing: doing, Side: r.Side, Err: fmt.Errorf("%s is %s", c.Name, c.State),
				Hint: "see who started it, stop it, then resume; or roll back",
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// Do looks at all of them before it removes the first.
func (r Remove) Do(ctx context.Context, env ops.Env) error {
	engine, all, err := list(ctx, env, r.Side)
	if err != nil {
		return err
	}
	there, err := r.there(env, all)
	if err != nil {
		return err
	}
	var gone []Was
	for _, c := range there {
		if len(c.Anonymous) > 0 {
			if err := env.Log.Record(keyVolumes(c.Name), c.Anonymous); err != nil {
				return fmt.Errorf("recording the volumes of %s: %w", c.Name, err)
			}
			env.Log.Say(c.Name + ": its anonymous volumes stay: " + strings.Join(c.Anonymous, " "))
		}
		gone = append(gone, Was{Name: c.Name, ID: c.ID})
	}
	return each(gone, func(c Was) error {
		if err := engine.Remove(ctx, c.ID); err != nil {
			return fmt.Errorf("removing %s: %w", c.Name, err)
		}
		return nil
	})
}

// Verify lists the containers afresh.
func (r Remove) Verify(ctx context.Context, env ops.Env) error {
	_, all, err := list(ctx, env, r.Side)
	if err != nil {
		return err
	}
	for _, was := range r.Containers {
		if c := all.named(was); c != nil {
			return &ops.Problem{
				Doing: "proving that the containers are gone", Side: r.Side, Err: fmt.Errorf("%s is there, %s", c.Name, c.State),
				Hint: "see who made it, then resume; or roll back",
			}
		}
	}
	return nil
}

// Undo makes those that are gone again, stopped and held as they were.
func (r Remove) Undo(ctx context.Context, env ops.Env) error {
	engine, all, err := list(ctx, env, r.Side)
	if err != nil {
		return err
	}
	touched := false
	for _, was := range r.Containers {
		kept, known, err := recorded(env, r.From, was)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		touched = true
		if all.byID(kept.ID) != nil {
			continue
		}
		if _, err := remake(ctx, env, r.Side, engine, was, kept, all.byName(was.Name)); err != nil {
			return err
		}
	}
	if !touched {
		return ops.ErrNoUndo
	}
	return nil
}

// remake makes a recorded container again, held and not started. now is the one that has
// its name, if any: one that an earlier try made is kept, unless it may be unfinished.
func remake(ctx context.Context, env ops.Env, side ops.Side, engine ops.Engine, was Was, kept original, now *ops.Container) (string, error) {
	var made string
	if _, err := env.Log.Recall(keyMade(was.Name), &made); err != nil {
		return "", fmt.Errorf("reading the record of %s: %w", was.Name, err)
	}
	switch {
	case now == nil:
	case now.ID != made && now.State == "created":
		if err := dropUnfinished(ctx, engine, now); err != nil {
			return "", err
		}
		now = nil
	case now.ImageID != kept.ImageID:
		return "", &ops.Problem{
			Doing: "making " + was.Name + " again", Side: side, Err: fmt.Errorf("another container with image %s has taken its name", short(now.Image)),
			Hint: "see who made it; remove it, then roll back again",
		}
	}
	if now == nil {
		id, lost, err := engine.Create(ctx, kept.Inspect, was.Name, "")
		if err != nil {
			return "", fmt.Errorf("making %s again: %w", was.Name, err)
		}
		if err := env.Log.Record(keyMade(was.Name), id); err != nil {
			return "", fmt.Errorf("recording %s: %w", was.Name, err)
		}
		if err := tellLost(env, was.Name, lost); err != nil {
			return "", err
		}
		now = &ops.Container{ID: id, Name: was.Name, Policy: kept.Policy}
	}
	if !held(now) {
		if err := engine.SetRestartPolicy(ctx, now.ID, "no"); err != nil {
			return "", fmt.Errorf("holding the restart policy of %s: %w", was.Name, err)
		}
	}
	return now.ID, nil
}

// tellLost says and records what the making of a container could not keep.
func tellLost(env ops.Env, name string, lost []string) error {
	if len(lost) == 0 {
		return nil
	}
	for _, what := range lost {
		env.Log.Say(name + " could not keep " + what)
	}
	if err := env.Log.Record(keyLost(name), lost); err != nil {
		return fmt.Errorf("recording what %s could not keep: %w", name, err)
	}
	return nil
}

// Back describes Undo.
func (r Remove) Back() ops.Undoing {
	return ops.Undoing{
		Title:   fmt.Sprintf("make %d containers of %s again", len(r.Containers), r.Side.Upper()),
		Effects: []string{"create each as recorded, with its volumes: " + names(r.Containers)},
		Risk:    ops.Destructive, Guards: []ops.Guard{SideFresh(r.Side)},
	}
}
