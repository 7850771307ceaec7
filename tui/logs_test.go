package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"tandem/ops"
)

// logLine is a line of the log of tcs, n seconds after two o'clock.
func logLine(n int, text string) LogLine {
	return LogLine{LogLine: ops.LogLine{At: time.Date(2024, 5, 17, 14, 0, n, 0, time.UTC), Text: text}, Container: "tis_tcs_1"}
}

// logScreen is a console with the logs of tcs open, its streams filled by the test.
func logScreen(w, h int) (*App, *logView) {
	f := newFake(calm())
	a := newConsole(f, w, h)
	v := newLogs(&a.env, ops.Blue, "tcs")
	v.cancel = func() {} // its streams are begun
	a.Update(openMsg{v})
	return a, v
}

func fill(v *logView, n int) {
	for i := range n {
		for side := range v.sides {
			l := logLine(2*i+side, fmt.Sprintf("INFO %d --- [nio-8093-exec-%d] t.tcs.TcsApp : GET /api/tcs/%d took %d ms, and that is all there is to say", i, i%10, 1000+i, 10*i))
			if i%7 == 3 {
				l.Text, l.Stderr = "WARN slow query in transaction, pool is exhausted", true
			}
			v.sides[side].stream.add(l)
		}
	}
}

// has sets what is to be said of the streams.
func has(v *logView, states ...logState) {
	for i, state := range states {
		v.sides[i].stream.state = state
	}
}

func TestLogFrames(t *testing.T) {
	for _, s := range []struct {
		name string
		fill func(*logView)
		keys []string
		then func(*logView)
	}{
		{name: "opening"},
		{name: "no lines", fill: func(v *logView) { has(v, logState{}, logState{}) }},
		{name: "error", fill: func(v *logView) {
			for i := range 3 {
				v.sides[1].stream.add(logLine(i, "INFO it works"))
			}
			has(v, logState{ended: true, err: &ops.Problem{Doing: "reading the log of tcs", Side: ops.Blue, Err: errors.New("no container of tcs is on blue"), Hint: "start it first"}})
		}},
		{name: "following", fill: func(v *logView) { fill(v, 100) }},
		{name: "two containers", fill: func(v *logView) {
			fill(v, 20)
			for i := range 10 {
				l := logLine(50+i, "INFO it works")
				l.Container = "tis_tcs_2"
				v.sides[i%2].stream.add(l)
			}
		}},
		{name: "wrapped", fill: func(v *logView) { fill(v, 100) }, keys: []string{"w"}},
		{name: "merged", fill: func(v *logView) { fill(v, 100) }, keys: []string{"o", "o", "o", "o", "t"}},
		{name: "one side", fill: func(v *logView) { fill(v, 100); v.wish = layoutOne }, keys: []string{"tab", "t", "t"}},
		{name: "top", fill: func(v *logView) { fill(v, 100) }, keys: []string{"g", "right"}},
		{name: "paused", fill: func(v *logView) { fill(v, 100) }, keys: []string{"f"}, then: func(v *logView) {
			for i := range 66 {
				v.sides[i%2].stream.add(logLine(300+i, "INFO news"))
			}
		}},
		{name: "search asked", fill: func(v *logView) { fill(v, 100) }, keys: append([]string{"/"}, typing("slow")...)},
		{name: "found", fill: func(v *logView) { fill(v, 100) }, keys: append(append([]string{"/"}, typing("SLOW Q")...), "enter", "N", "N")},
		{name: "only found", fill: func(v *logView) { fill(v, 100) }, keys: append(append([]string{"/"}, typing("SLOW Q")...), "enter", "&")},
		{name: "none found", fill: func(v *logView) { fill(v, 100) }, keys: append(append([]string{"/"}, typing("absent")...), "enter", "&")},
		{name: "since", fill: func(v *logView) {
			v.span = LogSpan{Since: noon.Add(-4 * time.Minute), Until: noon.Add(-26 * time.Hour)}
			has(v, logState{over: true}, logState{over: true})
		}},
		{name: "since asked", fill: func(v *logView) { fill(v, 100) }, keys: append(append([]string{"s"}, typing("14:3x")...), "enter")},
		{name: "until asked", fill: func(v *logView) { fill(v, 100) }, keys: []string{"u"}},
		{name: "save asked", fill: func(v *logView) { fill(v, 100) }, keys: []string{"S"}},
		{name: "broken off", fill: func(v *logView) {
			fill(v, 4)
			has(v, logState{}, logState{ended: true, err: errors.New("connection lost")})
		}},
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {40, 10}} {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				a, v := logScreen(size.W, size.H)
				if s.fill != nil {
					s.fill(v)
				}
				press(a, s.keys...)
				if s.then != nil {
					s.then(v)
					a.drawn = false
				}
				keepFrame(t, a, size)
			})
		}
	}
}

// TestLogsStandStill checks that what is being read does not move while lines come, even
// when the oldest ones are dropped.
func TestLogsStandStill(t *testing.T) {
	a, v := logScreen(120, 40)
	fill(v, logKept)
	press(a, "pgup", "pgup")
	before := strings.Split(text(a), "\n")[3]
	for i := range 10_000 {
		v.sides[0].stream.add(logLine(1_000_000+i, "more"))
	}
	a.drawn = false
	if after := strings.Split(text(a), "\n")[3]; after != before {
		t.Errorf("%q became %q", before, after)
	}
	wants(t, a, "paused +10000 new")
	press(a, "f")
	wants(t, a, "following", "more")
	press(a, "f")
	wants(t, a, "paused  f follows")
	press(a, "g")
	wants(t, a, "line 1 of 10", "older lines were dropped")
	press(a, "G")
	wants(t, a, "following")
}

// TestSidesKeepThePlace goes through all layouts: the line that was found stays in sight.
func TestSidesKeepThePlace(t *testing.T) {
	a, v := logScreen(120, 40)
	fill(v, 200)
	press(a, append(append([]string{"/"}, typing("slow")...), "enter", "N", "N", "N", "N")...)
	found := v.pane().found
	for range 4 {
		press(a, "o")
		if v.pane().found != found || !strings.Contains(text(a), "paused") || v.pane().rank() == 0 {
			t.Errorf("layout %d: found %+v", v.layout(), v.pane().found)
		}
		wants(t, a, v.local(found.At).Format("15:04:05Z"))
	}
	press(a, "f", "o")
	wants(t, a, "following")
}

func TestScrollingToTheEndFollowsAgain(t *testing.T) {
	a, v := logScreen(120, 40)
	fill(v, 200)
	press(a, "pgup")
	wants(t, a, "paused")
	press(a, "space", "space")
	wants(t, a, "following")
}

func TestSearchInLogs(t *testing.T) {
	a, v := logScreen(120, 40)
	fill(v, 100)
	press(a, append(append([]string{"/"}, typing("/tcs/1042 ")...), "enter")...)
	if pane := v.pane(); pane.found == nil || pane.found.number != 43 || pane.follow {
		t.Errorf("found line %+v", pane.found)
	}
	wants(t, a, "1 of 1")
	if !strings.Contains(a.View().Content, "/tcs/1042 ") {
		t.Error("what was found is not marked as one piece")
	}
	press(a, "n")
	wants(t, a, "not found below: /tcs/1042")
	press(a, "esc", "n")
	if v.search != nil || len(a.stack) != 2 {
		t.Error("esc does not clear the search alone")
	}
	press(a, "esc")
	if len(a.stack) != 1 {
		t.Error("the second esc does not go back")
	}
}

func TestHostileLogLines(t *testing.T) {
	for _, size := range []Size{{80, 24}, {120, 40}, {40, 10}} {
		for i, name := range hostile {
			a, v := logScreen(size.W, size.H)
			for _, side := range v.sides {
				stream := side.stream
				l := logLine(1, name)
				l.Container = name
				stream.add(l)
				stream.add(logLine(2, "x"+name+strings.Repeat("y", 300)+name))
			}
			for _, keys := range [][]string{nil, {"w"}, {"w", "right"}, {"/", "y", "enter"}, {"w"}, {"o"}} {
				press(a, keys...)
				frame := a.View().Content
				checkFrame(t, frame, size)
				for _, word := range []string{"\x1b]", "\x1bP", "\x1b[2J", "\x1b[H", "\u202e"} {
					if strings.Contains(frame, word) {
						t.Fatalf("line %d: %q reached the frame", i, word)
					}
				}
			}
		}
	}
}

// TestPresenterHidesHostsInCutLines checks that no half of a name is shown where a line is
// cut, scrolled or wrapped.
func TestPresenterHidesHostsInCutLines(t *testing.T) {
	for col := range 60 {
		a, v := logScreen(80, 24)
		a.Update(openMsg{v})
		for _, side := range v.sides {
			side.stream.add(logLine(1, strings.Repeat("x", 20+col)+" 10.0.1.11 said no"))
		}
		for _, keys := range [][]string{{"ctrl+p"}, {"w"}, {"w", "right"}, {"right"}, {"right"}} {
			press(a, keys...)
			if frame := text(a); strings.Contains(frame, "0.1.1") || strings.Contains(frame, ".11 said") {
				t.Fatalf("column %d: a part of the address can be seen:\n%s", col, frame)
			}
		}
	}
}

// TestAnyLogFits writes any lines and presses any keys at any size.
func TestAnyLogFits(t *testing.T) {
	keys := []string{"up", "down", "pgup", "pgdown", "g", "G", "f", "w", "o", "tab", "left", "right", "/", "a", "enter", "n", "N", "space", "&", "t", "s", "u", "esc"}
	rapid.Check(t, func(t *rapid.T) {
		size := Size{rapid.IntRange(40, 220).Draw(t, "width"), rapid.IntRange(10, 60).Draw(t, "height")}
		a, v := logScreen(size.W, size.H)
		for i := range rapid.IntRange(0, 60).Draw(t, "lines") {
			l := logLine(i, rapid.OneOf(rapid.String(), rapid.SampledFrom(hostile[:15]), rapid.StringN(100, 400, -1)).Draw(t, "line"))
			l.Stderr, l.Container = rapid.Bool().Draw(t, "stderr"), rapid.SampledFrom([]string{"one", "two"}).Draw(t, "container")
			v.sides[rapid.IntRange(0, 1).Draw(t, "side")].stream.add(l)
		}
		for range rapid.IntRange(0, 10).Draw(t, "keys") {
			press(a, rapid.SampledFrom(keys).Draw(t, "key"))
			checkFrame(t, a.View().Content, size)
		}
	})
}

func TestStreamKeepsTheLast(t *testing.T) {
	s := newLogStream(0)
	for i := range 2 * logKeptMost {
		s.add(logLine(i, fmt.Sprint(i)))
	}
	lines := s.read(1).lines
	if n := len(lines); n < logKept || n > logKeptMost || lines[n-1].Text != fmt.Sprint(2*logKeptMost-1) || lines[0].Text != fmt.Sprint(2*logKeptMost-n) {
		t.Errorf("%d lines, from %s to %s", n, lines[0].Text, lines[n-1].Text)
	}
	s.add(LogLine{LogLine: ops.LogLine{Text: strings.Repeat("é", 1<<19)}})
	lines = s.read(1).lines
	if last := lines[len(lines)-1].Text; len(last) > logMost+16 || !strings.HasSuffix(last, "é … cut") {
		t.Errorf("a line of 1 MB is kept with %d bytes", len(last))
	}
}

// TestStreamIsBoundedInBytes lets long lines come: there are fewer of them.
func TestStreamIsBoundedInBytes(t *testing.T) {
	s := newLogStream(0)
	long := strings.Repeat("x", logMost)
	for i := range 3 * logBytesMost / logMost {
		s.add(logLine(i, long))
	}
	kept, n := 0, 0
	for _, e := range s.read(1).lines {
		kept += len(e.Text)
		n++
	}
	if kept > logBytesMost || kept < logBytesMost/2 || s.bytes != n*weight(&LogLine{LogLine: ops.LogLine{Text: long}}) {
		t.Errorf("%d lines of %d bytes are kept, %d by the count", n, kept, s.bytes)
	}
}

// TestStreamIsOpenedAgain lets a stream break off: its tail comes again, and is not taken
// for news.
func TestStreamIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, changed, ended := newLogStream(0), make(chan struct{}, 1), make(chan struct{})
		opened := 0
		go func() {
			defer close(ended)
			s.run(ctx, changed, func(ctx context.Context, line func(LogLine)) error {
				opened++
				for i := range 3 + opened {
					line(logLine(i, fmt.Sprint(i)))
				}
				if opened == 3 {
					<-ctx.Done()
					return ctx.Err()
				}
				return errors.New("connection lost")
			}, func() bool { return true })
		}()
		synctest.Wait()
		if got := s.read(1); len(got.lines) != 4 || !got.state.ended || got.state.err == nil {
			t.Errorf("%d lines, %+v", len(got.lines), got.state)
		}
		time.Sleep(2*logPause + time.Second)
		synctest.Wait()
		if got := s.read(1); len(got.lines) != 6 || got.state.ended {
			t.Errorf("%d lines, %+v: want 0 to 5 once each", len(got.lines), got.state)
		}
		cancel()
		<-ended
	})
}

// TestLeavingEndsTheStreams checks that nothing goes on reading once the screen is left.
func TestLeavingEndsTheStreams(t *testing.T) {
	for _, leave := range []func(*App){
		func(a *App) { press(a, "esc") },
		func(a *App) { a.Update(homeMsg{}) },
		func(a *App) { a.Update(key("ctrl+c")) },
	} {
		f := newFake(calm())
		ended := make(chan error, 2)
		f.logs = func(ctx context.Context, _ ops.Side, _ string, line func(LogLine)) error {
			line(logLine(1, "hello"))
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}
		a := newConsole(f, 120, 40)
		v := newLogs(&a.env, ops.Blue, "tcs")
		a.Update(openMsg{v})
		leave(a)
		for range ops.Sides {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		}
	}
}

// TestLogNewsComeOnce runs the real waiting command: many lines, one message.
func TestLogNewsComeOnce(t *testing.T) {
	f := newFake(calm())
	f.logs = func(ctx context.Context, side ops.Side, _ string, line func(LogLine)) error {
		for i := range 1000 {
			line(logLine(i, "hello from "+string(side)))
		}
		<-ctx.Done()
		return ctx.Err()
	}
	a := newConsole(f, 120, 40)
	a.ctx = t.Context()
	v := newLogs(&a.env, ops.Blue, "tcs")
	defer v.Close()
	_, cmd := a.Update(openMsg{v})
	for news := 1; ; news++ {
		if news > 1000 {
			t.Fatal("a message for every line")
		}
		_, cmd = a.Update(batched(cmd))
		v.pane()
		if len(v.single[0].list.lines) == 1000 {
			break
		}
	}
	wants(t, a, "hello from blue")
}

// batched runs a command, and of a batch its only one.
func batched(cmd tea.Cmd) tea.Msg {
	msg := cmd()
	if batch, ok := msg.(tea.BatchMsg); ok && len(batch) == 1 {
		return batched(batch[0])
	}
	return msg
}

func TestFindGoesThroughAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, v := logScreen(120, 40)
		want := map[uint64]bool{}
		n := rapid.IntRange(1, 100).Draw(t, "lines")
		for i := range n {
			text := "no"
			if rapid.Bool().Draw(t, "has") {
				text, want[uint64(i+1)] = "a NEEDLE", true
			}
			v.sides[0].stream.add(logLine(i, text))
		}
		v.input.SetText("needle")
		settle(a, v.look())
		pane, got := v.pane(), 0
		for pane.find(-1, 10, false) {
			if !want[pane.found.number] {
				t.Fatalf("line %d has no needle", pane.found.number)
			}
			got++
		}
		if got != len(want) {
			t.Fatalf("%d found, want %d", got, len(want))
		}
		for got > 1 && pane.find(1, 10, false) {
			got--
		}
		if got > 1 {
			t.Fatalf("%d not found on the way back", got-1)
		}
	})
}
