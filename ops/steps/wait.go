package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/ops"
)

// sayEvery is how often a wait repeats unchanged words, so that a journal shows life
// without growing by a line a second.
const sayEvery = 10 * time.Second

// errTimeout is the end of a wait by its deadline.
var errTimeout = errors.New("deadline passed")

// wait looks every env.Poll until look is done, look gives an error, or within has passed.
// look returns words for what it saw.
func wait(ctx context.Context, env ops.Env, within time.Duration, look func() (done bool, words string, err error)) error {
	begun := env.Now()
	var said string
	var saidAt time.Time
	for {
		done, words, err := look()
		now := env.Now()
		if err != nil {
			return err
		}
		if words != "" && (words != said || now.Sub(saidAt) >= sayEvery) {
			text := words
			if passed := now.Sub(begun).Round(time.Second); passed > 0 {
				text = fmt.Sprintf("%s, %s", words, Words(passed))
			}
			env.Log.Say(text)
			said, saidAt = words, now
		}
		if done {
			return nil
		}
		if now.Sub(begun) >= within {
			return fmt.Errorf("%w after %s; last seen: %s", errTimeout, Words(within), words)
		}
		if err := pause(ctx, env.Poll); err != nil {
			return err
		}
	}
}

// pause returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Words writes a duration as people read it: "12 s", "5 min", "1 min 30 s".
func Words(d time.Duration) string {
	d = d.Round(time.Second)
	minutes, rest := int(d/time.Minute), int(d%time.Minute/time.Second)
	switch {
	case minutes == 0:
		return fmt.Sprintf("%d s", rest)
	case rest == 0:
		return fmt.Sprintf("%d min", minutes)
	default:
		return fmt.Sprintf("%d min %d s", minutes, rest)
	}
}
