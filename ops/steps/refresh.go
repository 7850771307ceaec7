package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
)

// Refresh refreshes the package lists of a host: update, never upgrade. A source that does not
// answer is told; whether the wanted versions can be had all the same, [Fetch] finds out.
type Refresh struct {
	Side   ops.Side
	Within time.Duration
}

// Kind implements [ops.Step], as do the methods below.
func (Refresh) Kind() string { return KindRefresh }

// Title is the act in words.
func (r Refresh) Title() string { return "refresh the package lists of " + r.Side.Upper() }

var aptUpdate = []string{"apt-get", "-q", "update"}

// Effects is the command.
func (Refresh) Effects() []string { return []string{"apt-get -q update (never upgrade)"} }

// Risk is harmless: no package changes.
func (Refresh) Risk() ops.Level { return ops.Harmless }

// Guards: the side answers.
func (r Refresh) Guards() []ops.Guard { return []ops.Guard{SideFresh(r.Side)} }

// Check: lists are refreshed anew every time.
func (Refresh) Check(context.Context, ops.Env) (ops.Verdict, error) { return ops.Ready, nil }

// Do refreshes the lists.
func (r Refresh) Do(ctx context.Context, env ops.Env) error {
	limited, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	_, err := env.Hosts[r.Side].Exec(limited, ops.Command{Args: aptUpdate, Privileged: true, Mutates: true})
	var exit *ops.ExitError
	switch {
	case errors.As(err, &exit):
		_, why := aptWords(exit.Stderr)
		env.Log.Say("not all sources have answered: " + why)
		return nil
	case err != nil:
		return fmt.Errorf("refreshing the package lists of %s: %w", r.Side, err)
	}
	return nil
}

// Verify has nothing to look at: what the lists have, the simulation after it tells.
func (Refresh) Verify(context.Context, ops.Env) error { return nil }

// Undo has nothing to take back.
func (Refresh) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Refresh) Back() ops.Undoing { return ops.Undoing{} }
