package remote

import (
	"context"
	"errors"
	"testing"

	"tandem/ops"
)

// A change over a new connection has to pass the fence, whether it is a command or a call of the
// engine; looking has not, nor has what looks on the host itself.
func TestFenceStandsBeforeTheFirstChangeOfAConnection(t *testing.T) {
	h, _ := inLab(t, "calm", ops.Green)
	engine := labEngine(t, h)
	var overtaken error
	asked := 0
	h.SetFence(func(ctx context.Context, exec func(context.Context, ops.Command) ([]byte, error)) error {
		asked++
		if out, err := exec(ctx, ops.Command{Args: []string{"id", "-un"}}); err != nil || len(out) == 0 {
			t.Errorf("a command of the fence's own: %q, %v", out, err)
		}
		return overtaken
	})
	policy := func() error {
		all, err := engine.Containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return engine.SetRestartPolicy(t.Context(), all[0].ID, all[0].Policy)
	}
	command := func(fenced bool) error {
		_, err := h.Exec(t.Context(), ops.Command{Args: []string{"systemctl", "is-system-running"}, Mutates: true, Fenced: fenced})
		return err
	}
	step := func(what string, err error, refused bool, asks int) {
		t.Helper()
		if moved := (*ops.MovedError)(nil); errors.As(err, &moved) != refused || !refused && err != nil {
			t.Errorf("%s: %v; wanted refused: %v", what, err, refused)
		}
		if asked != asks {
			t.Errorf("%s: the fence was asked %d times, want %d", what, asked, asks)
		}
	}
	if _, err := h.Exec(t.Context(), ops.Command{Args: []string{"id", "-un"}}); err != nil {
		t.Fatal(err)
	}
	step("a script of the lock", command(true), false, 0)
	step("a command", command(false), false, 1)
	step("a call of the engine", policy(), false, 1)
	h.Reconnect()
	overtaken = &ops.MovedError{Side: ops.Green}
	step("a call over another connection", policy(), true, 2)
	step("a command over it", command(false), true, 3)
	step("a script of the lock over it", command(true), false, 3)
}
