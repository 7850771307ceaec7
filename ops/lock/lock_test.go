package lock

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

var since = time.Date(2026, 3, 5, 14, 3, 22, 0, time.UTC)

func info(run string) ops.LockInfo {
	return ops.LockInfo{Run: run, Op: ops.OpRestart, Side: ops.Green, By: "ana", From: "laptop", PID: 42, Since: since,
		Reason: `it's "$(down)"; \n & 100% `}
}

func take(t *testing.T, l *Lock, run string) {
	t.Helper()
	if _, err := l.Take(t.Context(), info(run), false); err != nil {
		t.Fatal(err)
	}
}

func TestTakeShowRelease(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	held, err := l.Held(t.Context())
	if diff := cmp.Diff(map[ops.Side]*ops.LockInfo{ops.Blue: nil, ops.Green: nil}, held); err != nil || diff != "" {
		t.Fatalf("before: %v\n%s", err, diff)
	}
	take(t, l, "r1")
	take(t, l, "r1") // the same run, again
	held, err = l.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*machine{blue, green} {
		got := *held[m.side]
		if got.Beat.IsZero() {
			t.Error("no sign of life")
		}
		got.Beat = time.Time{}
		if diff := cmp.Diff(info("r1"), got); diff != "" {
			t.Errorf("%s: the mark differs:\n%s", m.side, diff)
		}
		if !m.frozen() {
			t.Errorf("%s: a pipeline would not see the freeze", m.side)
		}
		if mode(t, m.path("lock")) != 0o755 || mode(t, m.path("lock/owner.json")) != 0o644 {
			t.Errorf("%s: not everyone can read the mark", m.side)
		}
	}
	if err := l.Release(t.Context(), "r2"); err != nil || !blue.frozen() || !green.frozen() {
		t.Errorf("another run's release: %v; still frozen: %v %v", err, blue.frozen(), green.frozen())
	}
	for range 2 {
		if err := l.Release(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*machine{blue, green} {
			if left, _ := os.ReadDir(m.dir); len(left) != 1 || left[0].Name() != "last.json" {
				t.Errorf("%s: left behind: %v", m.side, left)
			}
		}
	}
	// Whose it was stays on the hosts, for a machine that has only the beginning of the run.
	if last := l.Released(t.Context(), "r1"); last == nil || last.By != info("r1").By || last.From != info("r1").From {
		t.Errorf("released by %+v", last)
	}
	if last := l.Released(t.Context(), "r2"); last != nil {
		t.Errorf("r2 was released by %+v", last)
	}
}

// Where a release was cut short, whoever finds the rest left alone may go on; a run that had not
// heard of the other host for long has ended without it.
func TestReleaseCutShort(t *testing.T) {
	for name, early := range map[string]time.Duration{"cut short": 5 * time.Second, "ended without the other": time.Minute} {
		t.Run(name, func(t *testing.T) {
			blue, green, hosts := newPair(t)
			now := since
			at := func(hosts map[ops.Side]ops.Host) *Lock {
				l := New(hosts, Options{Base: testBase, Beat: time.Hour, Now: func() time.Time { return now }})
				t.Cleanup(func() { l.Close(context.Background()) })
				return l
			}
			take(t, at(hosts), "r1")
			now = now.Add(early)
			alone := at(map[ops.Side]ops.Host{ops.Green: green})
			take(t, alone, "r1") // a sign of life, there only
			if err := alone.Release(t.Context(), "r1"); err != nil || green.frozen() {
				t.Fatalf("releasing green alone: %v", err)
			}
			held, err := at(hosts).Held(t.Context())
			if err != nil || held[ops.Blue] == nil {
				t.Fatal(held, err)
			}
			next := info("r1")
			next.By, next.From = "bob", "desk"
			if _, err := at(hosts).Take(t.Context(), next, false); !errors.As(err, new(*ops.MovedError)) {
				t.Errorf("taken from somebody who was not found left alone: %v", err)
			}
			next.Former = []ops.LockInfo{*held[ops.Blue]}
			_, err = at(hosts).Take(t.Context(), next, false)
			if over := errors.As(err, new(*ops.MovedError)); over != (early > lately) || blue.frozen() && green.frozen() == over {
				t.Errorf("taken from who was: %v, frozen: %v %v", err, blue.frozen(), green.frozen())
			}
		})
	}
}

// A lock that was had on one host only is given back, and the run has not come to its end: whoever
// resumes it, a process that is not on its record yet, may take it.
func TestGivenBackIsNoEnd(t *testing.T) {
	blue, green, hosts := newPair(t)
	green.setDown(true)
	if _, err := newLock(t, hosts).Take(t.Context(), info("r1"), false); !errors.Is(err, ops.ErrUnreachable) || blue.frozen() {
		t.Fatalf("with green down: %v, blue frozen: %v", err, blue.frozen())
	}
	green.setDown(false)
	next := info("r1")
	next.PID++
	l := newLock(t, hosts)
	if _, err := l.Take(t.Context(), next, false); err != nil || l.Released(t.Context(), "r1") != nil {
		t.Error(err)
	}
}

func TestFence(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	want := func(what string, kind any) {
		t.Helper()
		for name, err := range map[string]error{"a host": l.Fence(ops.Green)(t.Context(), green.Exec), "the balancer": l.Stands(t.Context())} {
			if kind == nil && err != nil || kind != nil && !errors.As(err, kind) {
				t.Errorf("%s, before %s: %v", what, name, err)
			}
		}
	}
	want("nothing was taken", nil)
	take(t, l, "r1")
	want("the mark is ours", nil)
	if err := newLock(t, map[ops.Side]ops.Host{ops.Blue: blue}).Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	want("the mark is gone from the other host", new(*ops.Problem))
	take(t, l, "r1")
	other := info("r1")
	other.From, other.Former = "desk", []ops.LockInfo{info("r1")}
	far := newLock(t, hosts)
	if _, err := newLock(t, map[ops.Side]ops.Host{ops.Blue: blue}).Take(t.Context(), other, false); err != nil {
		t.Fatal(err)
	}
	want("another process goes on, as the other host knows", new(*ops.MovedError))
	if _, err := far.Take(t.Context(), other, false); err != nil {
		t.Fatal(err)
	}
	want("another process goes on", new(*ops.MovedError))
	if err := far.Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	want("another process has brought it to its end", new(*ops.MovedError))
	take(t, newLock(t, hosts), "r2")
	want("another run", new(*ops.HeldError))
	green.setDown(true)
	blue.setDown(true)
	want("nobody answers", new(*ops.Problem))
}

// The other host need not answer.
func TestFenceWithOneHost(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	take(t, l, "r1")
	blue.setDown(true)
	if err := errors.Join(l.Fence(ops.Green)(t.Context(), green.Exec), l.Stands(t.Context())); err != nil {
		t.Error(err)
	}
	if err := l.Fence(ops.Blue)(t.Context(), blue.Exec); !errors.Is(err, ops.ErrUnreachable) {
		t.Errorf("the host itself does not answer: %v", err)
	}
}

func TestOnlyChangesArePrivilegedAndMutate(t *testing.T) {
	blue, _, hosts := newPair(t)
	l := newLock(t, hosts)
	if _, err := l.Held(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range blue.commands {
		if c.Mutates || c.Privileged {
			t.Errorf("looking at the lock needs privilege or changes something: %v", c.Args[3:])
		}
	}
	blue.commands = nil
	take(t, l, "r1")
	if last := blue.commands[len(blue.commands)-1]; !last.Mutates || !last.Privileged {
		t.Error("taking the lock is not marked as a change")
	}
}

func TestHeldByAnotherRun(t *testing.T) {
	blue, green, hosts := newPair(t)
	take(t, newLock(t, map[ops.Side]ops.Host{ops.Green: green}), "r1") // on green alone
	_, err := newLock(t, hosts).Take(t.Context(), info("r2"), true)
	var held *ops.HeldError
	var problem *ops.Problem
	if !errors.As(err, &held) || held.Info.Run != "r1" || held.Side != ops.Green || !errors.As(err, &problem) || problem.Hint == "" {
		t.Errorf("taking what is held: %v", err)
	}
	if blue.frozen() {
		t.Error("blue was marked all the same")
	}
}

// Another run wins green between our look and our mark: blue is given back.
func TestTheFirstIsGivenBack(t *testing.T) {
	blue, green, hosts := newPair(t)
	other := newLock(t, map[ops.Side]ops.Host{ops.Green: green})
	l := newLock(t, map[ops.Side]ops.Host{ops.Blue: &before{machine: blue, script: takeScript, act: func() { take(t, other, "r1") }}, ops.Green: green})
	_, err := l.Take(t.Context(), info("r2"), true)
	if held := (*ops.HeldError)(nil); !errors.As(err, &held) || held.Info.Run != "r1" {
		t.Errorf("taking: %v", err)
	}
	if blue.frozen() || !green.frozen() {
		t.Errorf("blue marked: %v, green marked: %v", blue.frozen(), green.frozen())
	}
	if err := other.Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	take(t, newLock(t, hosts), "r2")
}

// before does something just before a host runs a script for the first time.
type before struct {
	*machine
	script string
	act    func()
}

func (b *before) Exec(ctx context.Context, c ops.Command) ([]byte, error) {
	if c.Args[2] == b.script && b.act != nil {
		act := b.act
		b.act = nil
		act()
	}
	return b.machine.Exec(ctx, c)
}

func TestOneOfManyWins(t *testing.T) {
	_, _, hosts := newPair(t)
	runs := []string{"r1", "r2", "r3", "r4", "r5"}
	won := make(chan string, len(runs))
	for _, run := range runs {
		go func() {
			if _, err := newLock(t, hosts).Take(t.Context(), info(run), false); err != nil {
				run = ""
			}
			won <- run
		}()
	}
	var winners []string
	for range runs {
		if run := <-won; run != "" {
			winners = append(winners, run)
		}
	}
	// All may lose when each gives back to the others, but two never win.
	if len(winners) > 1 {
		t.Fatalf("%v hold the lock at the same time", winners)
	}
	held, err := newLock(t, hosts).Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for side, mark := range held {
		if (mark != nil) != (len(winners) == 1) || mark != nil && mark.Run != winners[0] {
			t.Errorf("%s is marked by %+v, the winner is %v", side, mark, winners)
		}
	}
}

func TestAHostThatDoesNotAnswer(t *testing.T) {
	for _, down := range ops.Sides {
		t.Run(string(down), func(t *testing.T) {
			blue, green, hosts := newPair(t)
			lost, left := blue, green
			if down == ops.Green {
				lost, left = green, blue
			}
			lost.setDown(true)
			l := newLock(t, hosts)
			missing, err := l.Take(t.Context(), info("r1"), false)
			if !errors.Is(err, ops.ErrUnreachable) || left.frozen() || !cmp.Equal(missing, []ops.Side{down}) {
				t.Errorf("taking: missing %v, %v; the other is marked: %v", missing, err, left.frozen())
			}
			if missing, err = l.Take(t.Context(), info("r1"), true); err != nil || !cmp.Equal(missing, []ops.Side{down}) || !left.frozen() {
				t.Fatalf("taking without it: missing %v, %v", missing, err)
			}
			held, err := l.Held(t.Context())
			if _, known := held[down]; err != nil || known || held[down.Peer()] == nil {
				t.Errorf("held: %v, %v", held, err)
			}
			if _, err := newLock(t, hosts).Held(t.Context()); !errors.Is(err, ops.ErrUnreachable) {
				t.Errorf("a lock that nobody could read is reported as %v", err)
			}
			if err := l.Release(t.Context(), "r1"); err != nil || left.frozen() {
				t.Errorf("releasing: %v; still marked: %v", err, left.frozen())
			}
		})
	}
	t.Run("both", func(t *testing.T) {
		blue, green, hosts := newPair(t)
		blue.setDown(true)
		green.setDown(true)
		if missing, err := newLock(t, hosts).Take(t.Context(), info("r1"), true); !errors.Is(err, ops.ErrUnreachable) || len(missing) != 2 {
			t.Errorf("taking: missing %v, %v", missing, err)
		}
	})
}

// The answer of a host is lost after it made the mark.
func TestALostAnswer(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	green.loseAnswers(1)
	if _, err := l.Take(t.Context(), info("r1"), false); !errors.Is(err, ops.ErrUnreachable) {
		t.Errorf("taking: %v", err)
	}
	if blue.frozen() || green.frozen() {
		t.Errorf("marks left behind: blue %v, green %v", blue.frozen(), green.frozen())
	}
	// A run that holds the lock already does not lose it so.
	take(t, l, "r1")
	green.loseAnswers(1)
	if _, err := l.Take(t.Context(), info("r1"), false); err == nil {
		t.Error("a lost answer was taken for a yes")
	}
	if !blue.frozen() || !green.frozen() {
		t.Errorf("the lock was given up: blue %v, green %v", blue.frozen(), green.frozen())
	}
}

func TestAFreezeMadeByHand(t *testing.T) {
	blue, _, hosts := newPair(t)
	if err := os.MkdirAll(blue.path("lock"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := newLock(t, hosts)
	_, err := l.Take(t.Context(), info("r1"), false)
	if held := (*ops.HeldError)(nil); !errors.As(err, &held) || held.Info.Run != "" || held.Info.By == "" {
		t.Errorf("taking: %v", err)
	}
	if err := l.Release(t.Context(), "r1"); err != nil || !blue.frozen() {
		t.Errorf("releasing: %v; still frozen: %v", err, blue.frozen())
	}
	if broken, err := l.Break(t.Context(), "nobody knows whose", "bo@desk"); err != nil || len(broken) != 1 || blue.frozen() {
		t.Errorf("breaking: %v, %v", broken, err)
	}
	take(t, l, "r1")
}

func TestBreak(t *testing.T) {
	blue, green, hosts := newPair(t)
	l := newLock(t, hosts)
	take(t, l, "r1")
	if _, err := l.Break(t.Context(), " ", "bo@desk"); err == nil || !blue.frozen() {
		t.Errorf("broken without a reason: %v", err)
	}
	green.setDown(true)
	broken, err := l.Break(t.Context(), "the laptop is at the bottom of the sea", "bo@desk")
	if len(broken) != 1 || broken[ops.Blue].Run != "r1" || !errors.Is(err, ops.ErrUnreachable) {
		t.Errorf("breaking with green down: %v, %v", broken, err)
	}
	green.setDown(false)
	if broken, err = l.Break(t.Context(), "and green", "bo@desk"); len(broken) != 1 || err != nil {
		t.Errorf("breaking green: %v, %v", broken, err)
	}
	for _, m := range []*machine{blue, green} {
		var line struct {
			At         time.Time
			By, Reason string
			Lock       ops.LockInfo
		}
		if err := json.Unmarshal([]byte(m.read(t, "broken.log")), &line); err != nil {
			t.Fatal(err)
		}
		if m.frozen() || line.By != "bo@desk" || line.Lock.Run != "r1" || line.At.IsZero() {
			t.Errorf("%s: still frozen %v, the record says %+v", m.side, m.frozen(), line)
		}
		if kept, err := filepath.Glob(m.path("broken/*/owner.json")); err != nil || len(kept) != 1 {
			t.Errorf("%s: what lay beside the mark is gone: %v, %v", m.side, kept, err)
		}
	}
	if broken, err := l.Break(t.Context(), "again", "bo@desk"); len(broken) != 0 || err != nil {
		t.Errorf("breaking nothing: %v, %v", broken, err)
	}
	take(t, l, "r2")
}

func TestRunIDs(t *testing.T) {
	_, _, hosts := newPair(t)
	for _, run := range []string{"", "../x", "a\nb"} {
		if _, err := newLock(t, hosts).Take(t.Context(), info(run), false); err == nil || !strings.Contains(err.Error(), "no run id") {
			t.Errorf("%q: %v", run, err)
		}
	}
}

func TestDead(t *testing.T) {
	for _, test := range []struct {
		name string
		info ops.LockInfo
		want bool
	}{
		{"lively", ops.LockInfo{Beat: since.Add(-5 * time.Second)}, false},
		{"at the limit", ops.LockInfo{Beat: since.Add(-DeadAfter)}, false},
		{"silent", ops.LockInfo{Beat: since.Add(-DeadAfter - time.Second)}, true},
		{"stopped half-way", ops.LockInfo{Beat: since.Add(-time.Hour), Stopped: true}, false},
		{"made by hand", ops.LockInfo{}, false},
		{"a clock that is ahead", ops.LockInfo{Beat: since.Add(time.Hour)}, false},
	} {
		if got := Dead(test.info, since); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// A host that loses its power or has a full disk while the mark is made has none: one that is half
// made would belong to nobody, and keep everybody out.
func TestATakeThatIsCutShort(t *testing.T) {
	blue, green, hosts := newPair(t)
	_, err := newLock(t, map[ops.Side]ops.Host{ops.Blue: full{blue}, ops.Green: green}).Take(t.Context(), info("r1"), false)
	if err == nil || blue.frozen() || green.frozen() {
		t.Fatalf("taken on a full disk: %v, frozen %v %v", err, blue.frozen(), green.frozen())
	}
	l := newLock(t, hosts)
	take(t, l, "r1")
	if err := l.Release(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(blue.path("taking-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}

// full is a machine where the mark's files cannot be written: the shell is killed by SIGXFSZ.
type full struct{ *machine }

func (f full) Exec(ctx context.Context, c ops.Command) ([]byte, error) {
	if c.Args[2] == takeScript {
		c.Args = slices.Clone(c.Args)
		c.Args[2] = "ulimit -f 0; " + takeScript
	}
	return f.machine.Exec(ctx, c)
}
