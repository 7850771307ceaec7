package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/clipperhouse/displaywidth"
	"github.com/mattn/go-runewidth"

	"tandem/ops"
)

// Terminals measure text in four ways: by grapheme or rune by rune (wcwidth), and characters of
// ambiguous width (most of the console's glyphs) as narrow or, as set in East Asia, as wide.
// Those that take them as wide need --ascii.
var widthSettings = []struct {
	name  string
	ascii bool
	width func(string) int
}{
	{"grapheme", false, ansi.StringWidth},
	{"wcwidth", false, ansi.StringWidthWc},
	{"grapheme, ambiguous wide", true, displaywidth.Options{EastAsianWidth: true}.String},
	{"wcwidth, ambiguous wide", true, (&runewidth.Condition{EastAsianWidth: true}).StringWidth},
}

// onEveryScreen draws every screen of a pair with names of every kind.
func onEveryScreen(t *testing.T, size Size, opt Options, look func(name string, a *App)) {
	for name, way := range everyScreen {
		s := incident()
		for i, word := range []string{"日本語サービス", "e\u0301cole", "±§×°", "👩‍👩‍👧‍👦"} {
			for _, side := range ops.Sides {
				s.On(side).Services[i].Name, s.On(side).Services[i].State = word, word
			}
			s.Services[i].Name = word
		}
		f := newFake(s)
		f.timeline, f.plan, f.images, f.versions, f.past = incidentTimeline(), plannedOK, choices, patches, pastRuns()
		if strings.HasPrefix(strings.Join(way, ""), "v") {
			f.run = together()
		}
		opt.Backend, opt.UTC, opt.Now = f, true, func() time.Time { return noon }
		a := New(opt)
		a.ctx = newConsole(f, size.W, size.H).ctx
		a.Update(tea.WindowSizeMsg{Width: size.W, Height: size.H})
		press(a, way...)
		look(name, a)
	}
}

func TestEveryScreenInEveryWidth(t *testing.T) {
	for _, set := range widthSettings {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}} {
			t.Run(fmt.Sprintf("%s %dx%d", set.name, size.W, size.H), func(t *testing.T) {
				t.Parallel()
				onEveryScreen(t, size, Options{Theme: dark(), ASCII: set.ascii}, func(name string, a *App) {
					for i, line := range strings.Split(ansi.Strip(a.View().Content), "\n") {
						if w := set.width(line); w != size.W {
							t.Errorf("%s: line %d has %d cells: %q", name, i, w, line)
						}
					}
				})
			})
		}
	}
}

// A console begun in a theme looks as one that is given it later: on every screen the same text in
// the same inks, none of them forgotten.
func TestEveryScreenInEveryTheme(t *testing.T) {
	size := Size{120, 40}
	inks := map[string][][]inkRun{}
	onEveryScreen(t, size, Options{Theme: dark()}, func(screen string, a *App) { inks[screen] = inksOf(t, a) })
	for _, o := range outfits {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			onEveryScreen(t, size, Options{Theme: o.theme, NoColor: o.noColor}, func(screen string, a *App) {
				frame := a.View().Content
				checkFrame(t, frame, size)
				if want := o.write(inks[screen]); frame != want && screen != "themes" { // it shows which one is on
					t.Errorf("%s: %s", screen, unlike(frame, want))
				}
			})
		})
	}
}
