package tui

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tandem/ops"
)

// recorded is the journal of a restart of one service of GREEN that took 2:32, with a silence of
// 2:10 in it.
func recorded() []ops.Event {
	doc := ops.PlanDoc{ID: "20240517-135900-7f3a", Pair: "tis-prod", Op: ops.OpRestart, Side: ops.Green, Title: "restart tcs of GREEN"}
	for _, s := range [][3]string{
		{"01-lock", "lock", "take the lock"}, {"02-drain", "drain", "drain GREEN"}, {"03-restart", "restart", "restart tcs"},
		{"04-put-back", "put-back", "put GREEN back"}, {"05-unlock", "unlock", "release the lock"},
	} {
		doc.Steps = append(doc.Steps, ops.StepDoc{ID: s[0], Kind: s[1], Title: s[2], Side: ops.Green})
	}
	doc.Steps[2].Data = service("tcs")
	at := time.Date(2024, 5, 17, 13, 59, 0, 0, time.UTC)
	var list []ops.Event
	add := func(after time.Duration, kind ops.EventKind, step, text string, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			panic(err)
		}
		at = at.Add(after)
		list = append(list, ops.Event{Seq: len(list) + 1, At: at, Kind: kind, Step: step, Text: text, Data: raw})
	}
	add(0, ops.EvStarted, "", "jsmith@ops1", doc)
	add(0, ops.EvIntent, "01-lock", "", nil)
	add(time.Second, ops.EvDone, "01-lock", "", nil)
	add(0, ops.EvIntent, "02-drain", "", nil)
	add(time.Second, ops.EvGuard, "02-drain", "BLUE in service", ops.Check{Guard: "peer-in-service", State: ops.Pass, Text: "BLUE is in service"})
	add(time.Second, ops.EvSay, "02-drain", "GREEN: 12 sessions left", nil)
	add(3*time.Second, ops.EvDone, "02-drain", "", nil)
	add(0, ops.EvIntent, "03-restart", "", nil)
	add(2*time.Second, ops.EvSay, "03-restart", "tcs: starting", nil)
	add(130*time.Second, ops.EvDone, "03-restart", "", nil)
	add(0, ops.EvIntent, "04-put-back", "", nil)
	add(10*time.Second, ops.EvDone, "04-put-back", "", nil)
	add(0, ops.EvIntent, "05-unlock", "", nil)
	add(4*time.Second, ops.EvDone, "05-unlock", "", nil)
	add(0, ops.EvEnded, "", string(ops.OutcomeDone), nil)
	return list
}

// wall is a clock that the test turns.
type wall struct{ at time.Time }

func (w *wall) now() time.Time { return w.at }

// pass lets time go by, and the console notice.
func (w *wall) pass(a *App, d time.Duration) {
	w.at = w.at.Add(d)
	a.Update(playMsg{})
}

func newPlayed(events []ops.Event, speed float64, size Size) (*App, *Replay, *wall) {
	w := &wall{noon}
	r := NewReplay(calm().Pair, events, func(string) time.Duration { return 0 }, speed, w.now)
	a := New(Options{Backend: r, Theme: dark(), UTC: true, Now: w.now, Version: "v0"})
	ended, end := context.WithCancel(context.Background())
	end()
	a.ctx = ended
	a.Update(tea.WindowSizeMsg{Width: size.W, Height: size.H})
	return a, r, w
}

func TestReplayFrames(t *testing.T) {
	for _, s := range []struct {
		name  string
		after time.Duration
		keys  []string
	}{
		{name: "begins"},
		{name: "drains", after: 4 * time.Second},
		{name: "silence", after: 11 * time.Second},
		{name: "paused", after: 11 * time.Second, keys: []string{"space"}},
		{name: "a step back", after: 15 * time.Second, keys: []string{"space", "left"}},
		{name: "presenting", after: 4 * time.Second, keys: []string{"ctrl+p"}},
		{name: "the end", after: time.Hour},
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {60, 20}, {40, 10}, {20, 5}} {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				a, _, w := newPlayed(recorded(), 1, size)
				w.pass(a, s.after)
				press(a, s.keys...)
				frame := a.View().Content
				checkFrame(t, frame, size)
				if strings.Contains(frame, "ops1") != (s.name != "presenting" && size.W > 90) {
					t.Errorf("who began it: %s", frame)
				}
				if size.W >= 80 {
					keepFrame(t, a, size)
				}
			})
		}
	}
}

// TestReplayEndsAsTheRunDid: at the end the checklist and the summary are those of the live view.
func TestReplayEndsAsTheRunDid(t *testing.T) {
	size := Size{120, 40}
	a, r, w := newPlayed(recorded(), 1, size)
	w.pass(a, time.Hour)
	run := ops.Replay(recorded())
	f := newFake(r.Snapshot())
	f.run, f.readOnly = &run, true
	live := newConsole(f, size.W, size.H)
	live.now = r.Clock
	press(live, "v")
	body := func(a *App) string {
		_, body, found := strings.Cut(trimmed(a.View().Content), "╭─ restart tcs")
		body, _, _ = strings.Cut(body, " BLUE ")
		if !found {
			t.Fatalf("no checklist:\n%s", trimmed(a.View().Content))
		}
		return strings.ReplaceAll(body, "│"+strings.Repeat(" ", size.W-2)+"│\n", "") // there is more room in one
	}
	if diff := cmp.Diff(body(live), body(a)); diff != "" {
		t.Errorf("the live view (-) and the replay (+):\n%s", diff)
	}
}

func TestReplaySteps(t *testing.T) {
	a, r, w := newPlayed(recorded(), 1, Size{120, 40})
	at := func(want string) {
		t.Helper()
		if got := r.Clock().Format("15:04:05"); got != want {
			t.Errorf("at %s, want %s", got, want)
		}
	}
	at("13:59:00")
	w.pass(a, 3*time.Second)
	at("13:59:03")
	wants(t, a, "◐ draining")
	press(a, "space")
	w.pass(a, time.Minute)
	at("13:59:03")
	press(a, "right")
	at("13:59:06")
	press(a, "right", "right")
	at("14:01:28")
	press(a, "right", "right", "right")
	at("14:01:32")
	wants(t, a, "THE END", "done in 2:32", "5 done", "space play")
	press(a, "left")
	at("14:01:28")
	wants(t, a, "GREEN ● in service")
	press(a, "left", "left", "left", "left", "left", "left")
	at("13:59:00")
	// While it plays, a key soon after another goes to the step before.
	press(a, "right", "space")
	w.pass(a, 200*time.Millisecond)
	press(a, "left")
	at("13:59:00")
	// The silence of 2:10 passes in 4 s, at twice the speed in 2 s, and the clock with it.
	press(a, "right", "right")
	at("13:59:06")
	press(a, "+")
	w.pass(a, time.Second)
	at("13:59:08")
	wants(t, a, "a silence of 2:10 passes in 2 s")
	w.pass(a, time.Second)
	at("14:00:13")
	w.pass(a, time.Hour)
	at("14:01:32")
	press(a, "space")
	at("13:59:00")
	wants(t, a, "PLAYING")
	if _, cmd := a.Update(key("q")); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not leave at once")
	}
}

// TestReplayOfARunThatDied: without a last word it has stopped half-way, and nothing is offered.
func TestReplayOfARunThatDied(t *testing.T) {
	a, _, w := newPlayed(recorded()[:9], 1, Size{120, 40})
	w.pass(a, time.Hour)
	wants(t, a, "THE END", "STOPPED HALF-WAY")
	for _, offer := range []string{"rolls back", "retries", "read-only: ctrl+o"} {
		if strings.Contains(text(a), offer) {
			t.Errorf("offers %q:\n%s", offer, text(a))
		}
	}
}

// TestReplayIsTheJournal: wherever the keys lead, what is shown is what the events up to there
// tell, and the time is not outside theirs.
func TestReplayIsTheJournal(t *testing.T) {
	events := recorded()
	rapid.Check(t, func(t *rapid.T) {
		a, r, w := newPlayed(events, 1, Size{80, 24})
		for range rapid.IntRange(1, 30).Draw(t, "keys") {
			w.pass(a, time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms"))*time.Millisecond)
			press(a, rapid.SampledFrom([]string{"space", "left", "right", "+", "-", "up", "esc", "enter"}).Draw(t, "key"))
			now := r.Clock()
			n := 0
			for n < len(events) && !events[n].At.After(now) {
				n++
			}
			run := ops.Replay(events[:n])
			if diff := cmp.Diff(&run, a.run); diff != "" {
				t.Fatalf("at %s: %s", now, diff)
			}
			checkFrame(t, a.View().Content, Size{80, 24})
		}
	})
}

// TestReplayChangesNothing presses every key: none panics, none asks the world for anything.
func TestReplayChangesNothing(t *testing.T) {
	for _, k := range everyKey() {
		a, _, w := newPlayed(recorded(), 1, Size{80, 24})
		w.pass(a, 5*time.Second)
		press(a, k, "y")
		checkFrame(t, a.View().Content, Size{80, 24})
	}
}
