package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-cmp/cmp"
)

// wire is a channel in memory.
type wire struct {
	mu    sync.Mutex
	start time.Time
	got   []string // second since the start, and message
	fail  func(try int) error
	tries int
}

func (w *wire) Send(ctx context.Context, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	if w.fail != nil {
		if err := w.fail(w.tries); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.got = append(w.got, fmt.Sprintf("%s %s", time.Since(w.start), text))
	return nil
}

// with runs a test in a bubble, with a notifier on a wire and what it warned of.
func with(t *testing.T, fail func(try int) error, test func(n *Notifier, w *wire, warned *[]string)) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w, warned := &wire{start: time.Now(), fail: fail}, new([]string)
		n := New(w, strings.TrimSpace, func(err error) { *warned = append(*warned, err.Error()) })
		defer n.Close()
		test(n, w, warned)
	})
}

// pass lets the bubble's time go by, until everything in it waits.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func same(t *testing.T, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOneMessageASecond(t *testing.T) {
	with(t, nil, func(n *Notifier, w *wire, _ *[]string) {
		n.Tell(" a ")
		synctest.Wait()
		n.Tell("b")
		pass(300 * time.Millisecond)
		n.Tell("c")
		pass(5 * time.Second)
		n.Tell("d")
		n.Close()
		n.Tell("too late")
		same(t, []string{"0s a", "1s b\nc", "5.3s d"}, w.got)
	})
}

func TestTriedAgainWhenTold(t *testing.T) {
	fail := func(try int) error {
		if try == 1 {
			return fmt.Errorf("too many: %w", &backoff.RetryAfterError{Duration: 30 * time.Second})
		}
		return nil
	}
	with(t, fail, func(n *Notifier, w *wire, warned *[]string) {
		n.Tell("a")
		pass(10 * time.Second)
		n.Tell("b")
		pass(time.Minute)
		same(t, []string{"30s a", "31s b"}, w.got)
		same(t, nil, *warned)
	})
}

func TestDroppedAndSaidOnce(t *testing.T) {
	gone := true
	fail := func(int) error {
		if gone {
			return backoff.Permanent(errors.New("no such webhook"))
		}
		return nil
	}
	with(t, fail, func(n *Notifier, w *wire, warned *[]string) {
		for _, text := range []string{"a", "b", "c"} {
			n.Tell(text)
			pass(2 * time.Second)
		}
		gone = false
		n.Tell("d")
		pass(2 * time.Second)
		n.Tell("e")
		pass(2 * time.Second)
		same(t, []string{"no such webhook"}, *warned)
		same(t, []string{"6s d\n(did not get through before: 3)", "8s e"}, w.got)
	})
}

// A channel that is away is tried for a minute; what comes meanwhile is kept, up to a limit.
func TestAwayForAWhile(t *testing.T) {
	away := true
	fail := func(int) error {
		if away {
			return errors.New("refused")
		}
		return nil
	}
	with(t, fail, func(n *Notifier, w *wire, warned *[]string) {
		for i := range queued + 20 {
			n.Tell(fmt.Sprintf("text %d", i))
		}
		pass(2 * time.Minute)
		away = false
		pass(2 * time.Minute)
		same(t, []string{"refused"}, *warned)
		if w.tries > 30 {
			t.Errorf("%d tries", w.tries)
		}
		n.Tell("last")
		pass(time.Second)
		if last := w.got[len(w.got)-1]; !strings.Contains(last, "last") || !strings.Contains(last, "did not get through before: 120") {
			t.Errorf("got %q", last)
		}
	})
}

// The end waits for a channel that hangs, but not for long.
func TestHangingAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warned []string
		n := New(hanging{}, strings.TrimSpace, func(err error) { warned = append(warned, err.Error()) })
		begun := time.Now()
		n.Tell("a")
		n.Tell("b")
		if time.Since(begun) != 0 {
			t.Error("telling took its time")
		}
		n.Close()
		if took := time.Since(begun); took != flush {
			t.Errorf("closing took %s", took)
		}
		if len(warned) != 1 {
			t.Errorf("warned of %q", warned)
		}
	})
}

type hanging struct{}

func (hanging) Send(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestLongTexts(t *testing.T) {
	with(t, nil, func(n *Notifier, w *wire, _ *[]string) {
		n.Tell(strings.Repeat("ä", 2*most))
		for range 50 {
			n.Tell(strings.Repeat("x", 99))
		}
		n.Close()
		if len(w.got) != 3 {
			t.Errorf("%d messages", len(w.got))
		}
		for _, text := range w.got {
			if len(text) > most+20 || strings.Contains(text, "\ufffd") {
				t.Errorf("a message of %d bytes: %.100q", len(text), text)
			}
		}
	})
}

func TestNobodyToTell(*testing.T) {
	var n *Notifier
	n.Tell("a")
	n.Close()
}
