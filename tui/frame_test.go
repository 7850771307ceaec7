package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"
	"pgregory.net/rapid"

	"tandem/ops"
)

var sizes = []Size{{80, 24}, {120, 40}, {200, 60}, {20, 5}}

// situations are the frames that are kept: what the pair is like, and the keys pressed.
var situations = []struct {
	name string
	snap func() ops.Snapshot
	keys []string
	set  func(*fake)
}{
	{name: "calm", snap: calm},
	{name: "incident", snap: incident, keys: []string{"tab", "G", "k", "k", "k"}},
	{name: "one unreachable", snap: oneDown},
	{name: "both unreachable at start", snap: bothDown},
	{name: "connecting", snap: func() ops.Snapshot {
		return ops.Snapshot{Pair: calm().Pair, Services: calm().Services, Order: ops.OrderConfig}
	}},
	{name: "empty", snap: empty},
	{name: "stale", snap: stale},
	{name: "filter", snap: incident, keys: []string{"space", "/", "e", "n"}},
	{name: "help", snap: calm, keys: []string{"?"}},
	{name: "help scrolled", snap: calm, keys: append([]string{"?"}, slices.Repeat([]string{"pgdown"}, 9)...)},
	{name: "palette", snap: calm, keys: []string{":", "l", "o", "g", "t", "c", "s"}},
	{name: "findings", snap: incident, keys: []string{"f"}},
	{name: "findings to act on", snap: proposing, keys: []string{"f"}},
	{name: "no findings", snap: func() ops.Snapshot { s := calm(); s.Findings = nil; return s }, keys: []string{"f"}},
	{name: "findings, both unreachable", snap: bothDown, keys: []string{"f"}},
	{name: "filter without a match", snap: calm, keys: []string{"/", "z", "z"}},
	{name: "palette without a match", snap: calm, keys: []string{":", "z", "z"}},
	{name: "palette read-only", snap: calm, keys: []string{":"}, set: func(f *fake) { f.readOnly = true }},
	{name: "themes", snap: incident, keys: []string{"t", "j"}},
	{name: "marked", snap: calm, keys: []string{"space", "j", "space"}},
	{name: "nobody serves", snap: func() ops.Snapshot {
		s := calm()
		s.Balancer.Blue.Traffic, s.Balancer.Green.Traffic = ops.Out, ops.Down
		return s
	}},
	{name: "locked by others", snap: func() ops.Snapshot {
		s := calm()
		s.Blue.Lock = &ops.LockInfo{Run: "9c1e", Op: ops.OpRestart, Side: ops.Blue, By: "mlee", From: "ops2", Beat: ago(3 * time.Second), Step: "03-restart-tcs"}
		return s
	}},
	{name: "no start order", snap: func() ops.Snapshot { s := calm(); s.Order = ops.OrderUnknown; return s }},
	{name: "on the way", snap: onTheWay},
	{name: "presenting", snap: incident, keys: []string{"ctrl+p", "tab", "j"}},
	{name: "note", snap: calm, keys: []string{"n", "I", "N", "C"}},
	{name: "quit while a run goes on", snap: calm, keys: []string{"q"}, set: underRun},
	{name: "shell while a run goes on", snap: calm, keys: []string{"s"}, set: underRun},
	{name: "made read-only", snap: calm, keys: []string{"ctrl+o"}},
	{name: "not now", snap: calm, keys: []string{"v"}},
	{name: "read-only", snap: calm, set: func(f *fake) { f.readOnly = true }},
	{name: "run under way", snap: calm, set: underRun},
	{name: "refused", snap: calm, set: func(f *fake) {
		f.plan = func(ops.Request) (ops.Plan, error) {
			return ops.Plan{}, &ops.Problem{Doing: "taking a fresh look", Side: ops.Green, Err: errNoAnswer, Hint: "check the connection to 10.0.1.12"}
		}
	}, keys: []string{"d"}},
}

// onTheWay is a pair in which nothing is broken, and not all is well or known.
func onTheWay() ops.Snapshot {
	s := calm()
	for name, state := range map[string]string{"keycloak": "starting", "tcs": "restarting, 3 s", "sync": "created", "apache": "unknown"} {
		at := s.Green.Service(name)
		at.Ready, at.State = false, state
	}
	s.Balancer.Blue = ops.SideTraffic{Traffic: ops.Unknown}
	s.Balancer.Green.Traffic, s.Balancer.Green.Sessions, s.Balancer.Green.Since = ops.Draining, ptr(3), ago(12*time.Second)
	return s
}

func underRun(f *fake) {
	f.run = &ops.Run{ID: "7f3a", Started: ago(time.Minute), Plan: ops.PlanDoc{Title: "restart 14 services of GREEN"}, Steps: []ops.RunStep{{Phase: ops.Done}, {Phase: ops.Running}}}
}

var errNoAnswer = fmt.Errorf("no answer within 10s")

// empty is a pair of engines without any container, nor an order.
func empty() ops.Snapshot {
	s := calm()
	s.Services, s.Order, s.Pair.Jobs = nil, ops.OrderUnknown, nil
	for _, side := range ops.Sides {
		s.On(side).Services, s.On(side).Jobs = nil, nil
	}
	return s
}

func TestFrames(t *testing.T) {
	for _, s := range situations {
		for _, size := range sizes {
			name := fmt.Sprintf("%s %dx%d", s.name, size.W, size.H)
			t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
				begin := func() *App {
					f := newFake(s.snap())
					f.timeline = incidentTimeline()
					if s.set != nil {
						s.set(f)
					}
					a := newConsole(f, size.W, size.H)
					press(a, s.keys...)
					return a
				}
				a := begin()
				if begin().View().Content != a.View().Content {
					t.Errorf("the same state gives two frames")
				}
				keepFrame(t, a, size)
			})
		}
	}
}

// trimmed is a frame as plain text, without the blanks at the ends of lines.
func trimmed(frame string) string {
	lines := strings.Split(ansi.Strip(frame), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// checkFrame tells whether a frame is exactly as large as the terminal.
func checkFrame(t interface{ Errorf(string, ...any) }, frame string, size Size) {
	lines := strings.Split(frame, "\n")
	if len(lines) != size.H {
		t.Errorf("%d lines, want %d", len(lines), size.H)
	}
	for i, line := range lines {
		if w := ansi.StringWidth(line); w != size.W {
			t.Errorf("line %d has %d cells, want %d: %q", i, w, size.W, ansi.Strip(line))
		}
	}
}

func TestASCIIAndNoColour(t *testing.T) {
	f := newFake(incident())
	f.timeline = incidentTimeline()
	a := New(Options{Backend: f, Theme: dark(), UTC: true, ASCII: true, NoColor: true, Now: func() time.Time { return noon }})
	a.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	frame := a.View().Content
	for _, r := range ansi.Strip(frame) {
		if r >= 0x80 {
			t.Fatalf("%q is not ASCII", r)
		}
	}
	if strings.Contains(frame, ";38;") || strings.Contains(frame, ";48;") {
		t.Error("a colour in a frame without colours")
	}
	golden.RequireEqual(t, frame)
}

// hostile names try to take the terminal over, or to move what stands beside them.
var hostile = []string{
	"\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]52;c;aGk=\x1b\\", "a\nb\r\tc", "\u202eevil\u2066", "\u009b31m", "\x9b31m", "e\u0301\u0301\u0301\u0301\u0301\u0301",
	"日本語サービス", "👩‍👩‍👧‍👦family", "⚠️", "🇬🇧", "한\u1100\u1161", "\xff\xfe", "\u200b\u200d", strings.Repeat("x", 1<<20), strings.Repeat("\u0300", 1<<16), "\x1bP+q\x1b\\",
	"\U000e0041tag", "❤\ufe0f\U0001f3fd", "नि\u094dक्षि", "\x7f\b\b\b", "ﷺ",
}

func TestHostileNames(t *testing.T) {
	for i, name := range hostile {
		s := incident()
		for _, side := range ops.Sides {
			state := &s.On(side).Services[0]
			state.Name, state.State = name, name
			state.Containers[0].Name, state.Containers[0].Image, state.Containers[0].Ports = name, name, []string{name}
			s.On(side).Networks[0].Name = name
		}
		s.Services[0].Name = name
		s.Findings[0].Title, s.Balancer.Name, s.Pair.Name = name, name, name
		for _, size := range sizes {
			f := newFake(s)
			f.timeline = []ops.Moment{{At: noon, Text: name, Who: name, Kind: ops.MomentKind(name), Side: ops.Side(name), Run: name}}
			a := newConsole(f, size.W, size.H)
			for _, keys := range [][]string{{}, {"enter"}, {"esc", "f"}, {"esc", "T"}, {"esc", ":"}} {
				press(a, keys...)
				frame := a.View().Content
				checkFrame(t, frame, size)
				for _, r := range ansi.Strip(frame) {
					if r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e) {
						t.Fatalf("name %d: %U reached the frame", i, r)
					}
				}
				for _, word := range []string{"\x1b]", "\x1bP", "\x1b[2J", "\x1b[H"} {
					if strings.Contains(frame, word) {
						t.Fatalf("name %d: %q reached the frame", i, word)
					}
				}
			}
		}
	}
}

// TestAnyPairFits draws pairs of every kind at every size: no line is ever too long or
// too short, whatever is pressed.
func TestAnyPairFits(t *testing.T) {
	keys := []string{"tab", "up", "down", "j", "k", "g", "G", "pgup", "pgdown", "space", "/", "a", "esc", "enter", "f", "T", "1", "?", ":", "t", "m", "ctrl+o", "ctrl+p", "ctrl+l", "u"}
	word := rapid.OneOf(rapid.SampledFrom(names), rapid.SampledFrom(hostile[:15]), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]func() ops.Snapshot{calm, incident, oneDown, bothDown, stale, empty}).Draw(t, "situation")()
		for i := range rapid.IntRange(0, 5).Draw(t, "changes") {
			name := word.Draw(t, fmt.Sprint("word", i))
			side := rapid.SampledFrom(ops.Sides[:]).Draw(t, "side")
			if n := len(s.On(side).Services); n > 0 {
				state := &s.On(side).Services[rapid.IntRange(0, n-1).Draw(t, "service")]
				state.State, state.Ready = name, rapid.Bool().Draw(t, "ready")
			}
			s.Findings = append(s.Findings, ops.Finding{Title: name, Detail: name, Side: side})
			s.Balancer.On(side).Traffic = rapid.SampledFrom([]ops.Traffic{ops.InService, ops.Draining, ops.Out, ops.Down, ops.Unknown, ""}).Draw(t, "traffic")
			s.Balancer.On(side).Detail = name
		}
		size := Size{rapid.IntRange(1, 230).Draw(t, "width"), rapid.IntRange(1, 70).Draw(t, "height")}
		f := newFake(s)
		f.timeline = incidentTimeline()
		a := newConsole(f, size.W, size.H)
		for range rapid.IntRange(0, 8).Draw(t, "keys") {
			press(a, rapid.SampledFrom(keys).Draw(t, "key"))
			checkFrame(t, a.View().Content, size)
			if rapid.Bool().Draw(t, "resize") {
				size = Size{rapid.IntRange(1, 230).Draw(t, "width"), rapid.IntRange(1, 70).Draw(t, "height")}
				a.Update(tea.WindowSizeMsg{Width: size.W, Height: size.H})
				checkFrame(t, a.View().Content, size)
			}
		}
	})
}

// A stage shows what keys lead to, and what it shows becomes a picture that is well-formed and
// has its text.
func TestStage(t *testing.T) {
	f := newFake(incident())
	s := NewStage(t.Context(), Options{Backend: f, Theme: dark(), Now: func() time.Time { return noon }}, Size{120, 40})
	defer s.Close()
	if err := s.Show(t.Context(), "", "tis-prod", "reboot due"); err != nil {
		t.Fatal(err)
	}
	picture := s.Picture()
	for _, want := range []string{"<svg ", "tis-prod", "reboot due", "#f0b429", "</svg>"} {
		if !strings.Contains(picture, want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if err := s.Show(t.Context(), "f", "worst first"); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Show(ended, "", "not there"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "worst first") {
		t.Errorf("what is not there: %v", err)
	}
	s.Close()
	if err := s.Show(t.Context(), "", "worst first"); err == nil {
		t.Error("a console that has ended shows something")
	}
}
