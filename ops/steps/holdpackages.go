package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/ops"
)

// HoldPackages puts packages on hold, so that the next `apt-get upgrade` leaves them where they
// are. A hold on a package that is not installed protects nothing: only such that are come here.
type HoldPackages struct {
	Side     ops.Side
	Packages []string
}

const keyHeld = "held"

// Kind implements [ops.Step], as do the methods below.
func (HoldPackages) Kind() string { return KindHoldPackages }

// Title is the act in words.
func (h HoldPackages) Title() string { return "hold the packages of " + h.Side.Upper() }

// Effects is the command.
func (h HoldPackages) Effects() []string {
	return []string{"apt-mark hold " + strings.Join(h.Packages, " ")}
}

// Risk is harmless: no package changes.
func (HoldPackages) Risk() ops.Level { return ops.Harmless }

// Guards: none.
func (HoldPackages) Guards() []ops.Guard { return nil }

// Check: already done when all are on hold.
func (h HoldPackages) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	free, _, err := h.look(ctx, env)
	if err != nil {
		return ops.Blocked, err
	}
	if len(free) == 0 {
		return ops.AlreadyDone, nil
	}
	return ops.Ready, nil
}

// look tells which of the packages are on hold and which are not.
func (h HoldPackages) look(ctx context.Context, env ops.Env) (free, held []string, err error) {
	if held, err = heldNow(ctx, env.Hosts[h.Side], h.Side, h.Packages); err != nil {
		return nil, nil, err
	}
	for _, name := range h.Packages {
		if !slices.Contains(held, name) {
			free = append(free, name)
		}
	}
	return free, held, nil
}

// Do holds those that are not.
func (h HoldPackages) Do(ctx context.Context, env ops.Env) error {
	free, held, err := h.look(ctx, env)
	if err != nil {
		return err
	}
	if err := env.Log.Record(keyHeld, held); err != nil {
		return fmt.Errorf("recording the holds: %w", err)
	}
	return mark(ctx, env, h.Side, "hold", free)
}

// Verify reads the holds afresh.
func (h HoldPackages) Verify(ctx context.Context, env ops.Env) error {
	free, _, err := h.look(ctx, env)
	if err == nil && len(free) > 0 {
		err = &ops.Problem{
			Doing: "holding the packages", Side: h.Side, Err: errors.New("not on hold: " + strings.Join(free, " ")), Hint: "see who took them off, then resume",
		}
	}
	return err
}

// Undo takes those off hold that were not on it before.
func (h HoldPackages) Undo(ctx context.Context, env ops.Env) error {
	var before []string
	known, err := env.Log.Recall(keyHeld, &before)
	if err != nil {
		return fmt.Errorf("reading the record of the holds: %w", err)
	}
	if !known {
		return ops.ErrNoUndo
	}
	_, held, err := h.look(ctx, env)
	if err != nil {
		return err
	}
	held = slices.DeleteFunc(held, func(name string) bool { return slices.Contains(before, name) })
	return mark(ctx, env, h.Side, "unhold", held)
}

// Back describes Undo.
func (h HoldPackages) Back() ops.Undoing {
	return ops.Undoing{
		Title:   "take the packages of " + h.Side.Upper() + " off hold, but for those that were on it",
		Effects: []string{"apt-mark unhold " + strings.Join(h.Packages, " ")}, Risk: ops.Harmless,
	}
}
