package tui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"tandem/themes"
	"tandem/tui/style"
)

// The colours of every screen in every theme are pinned in two halves, both of which can be read.
// The golden of a state at 120x40 has under its text which ink each cell is written in: a letter a
// cell; those of other sizes have how many cells there are of each. The golden of a theme
// (TestThemes) has what that theme makes of each ink. What binds them is keepFrame: in every theme,
// a frame must be, byte for byte, its inks as the golden of the theme has them.

// letters stand for the inks in the goldens.
var letters = []letterOfInk{
	{style.Text, 't', "text"}, {style.Strong, 'S', "strong"}, {style.Soft, 's', "soft"}, {style.Muted, 'm', "muted"}, {style.Line, '-', "line"},
	{style.Focus, 'f', "focus"}, {style.Key, 'k', "key"}, {style.Blue, 'b', "blue"}, {style.Green, 'g', "green"},
	{style.Warn, 'w', "warn"}, {style.WarnStrong, 'W', "warn, strong"}, {style.Danger, 'd', "danger"}, {style.DangerStrong, 'D', "danger, strong"}, {style.Ok, 'o', "ok"},
	{style.BlueChip, 'B', "blue chip"}, {style.GreenChip, 'G', "green chip"}, {style.FocusChip, 'F', "focus chip"}, {style.WarnChip, '!', "warn chip"},
	{style.DangerChip, 'X', "danger chip"}, {style.Ghost, '~', "ghost"},
}

type letterOfInk struct {
	ink    style.Ink
	letter byte
	name   string
}

// grounds, as the goldens name them.
var grounds = []struct {
	ground style.Ground
	name   string
}{{style.Plain, "plain"}, {style.Selected, "selected"}}

// role is what text is on a frame, whatever the theme.
type role struct{ ink, ground int } // places in letters and grounds

// face is what a theme writes around text of a role.
type face struct{ open, end string }

// outfit is a theme, or none: a console without colours.
type outfit struct {
	name    string
	theme   themes.Theme
	noColor bool
	faces   map[role]face
}

func newOutfit(name string, theme themes.Theme, noColor bool) *outfit {
	o := &outfit{name, theme, noColor, map[role]face{}}
	sheet := style.New(theme, style.Options{NoColor: noColor})
	for i, l := range letters {
		for j, g := range grounds {
			open, end, _ := strings.Cut(sheet.Page(1).On(g.ground).Put(l.ink, "x").End().Lines()[0], "x")
			o.faces[role{i, j}] = face{open, end}
		}
	}
	return o
}

// outfits are all that a console can wear.
var outfits = func() (list []*outfit) {
	for _, name := range themes.Names() {
		theme, err := themes.Load(name)
		if err != nil {
			panic(err)
		}
		list = append(list, newOutfit(name, theme, false))
	}
	return append(list, newOutfit("no colour", dark(), true))
}()

// The probes are themes with another colour for every token, the one on a ground of its own, the
// other on the terminal's with a selection that swaps: what a frame has in both tells its inks. Only
// a ghost is written as a line is; a theme that told them apart would fail in keepFrame.
var (
	probes = []*outfit{
		newProbe(`background: "#000000", text: "#000001", soft: "#000002", muted: "#000003", line: "#000004", focus: "#000005", blue: "#000006",
			green: "#000007", warn: "#000008", danger: "#000009", ok: "#00000a", selection: "#00000b"`),
		newProbe(`background: default, text: 1, soft: 2, muted: 3, line: 4, focus: 5, blue: 6, green: 7, warn: 8, danger: 9, ok: 10, selection: reverse`),
	}
	roles = func() map[string]role {
		m := map[string]role{}
		for j := range grounds {
			for i, l := range letters {
				r := role{i, j}
				open := probes[0].faces[r].open + probes[1].faces[r].open
				if _, taken := m[open]; !taken {
					m[open] = r
				} else if l.ink != style.Ghost {
					panic("the probes do not tell " + l.name)
				}
			}
		}
		return m
	}()
)

func newProbe(colors string) *outfit {
	theme, err := themes.Parse("probe", []byte("dark: true\ncolors: {"+colors+"}\n"))
	if err != nil {
		panic(err)
	}
	return newOutfit("probe", theme, false)
}

// inkRun is text of one role.
type inkRun struct {
	role
	text string
}

// inksOf reads what is written where off the bytes of a frame in both probes.
func inksOf(t *testing.T, a *App) (lines [][]inkRun) {
	t.Helper()
	other := strings.Split(a.in(probes[1]), "\n")
	for i, line := range strings.Split(a.in(probes[0]), "\n") {
		one, two := pieces(t, line), pieces(t, other[min(i, len(other)-1)])
		if len(one) != len(two) {
			t.Fatalf("not the same in two themes: %q and %q", line, other[i])
		}
		var runs []inkRun
		for j, p := range one {
			r, known := roles[p[0]+two[j][0]]
			if !known || p[1] != two[j][1] {
				t.Fatalf("of no ink in letters: %q, %q", p, two[j])
			}
			runs = append(runs, inkRun{r, p[1]})
		}
		lines = append(lines, runs)
	}
	return lines
}

// pieces cuts a line in a probe into the texts and what opens each.
func pieces(t *testing.T, line string) (list [][2]string) {
	t.Helper()
	for rest := line; rest != ""; {
		open, after, _ := strings.Cut(rest, "m")
		text, more, ended := strings.Cut(after, "\x1b[m")
		if !strings.HasPrefix(open, "\x1b[") || !ended || strings.Contains(text, "\x1b") {
			t.Fatalf("not written by a page: %q", line)
		}
		list, rest = append(list, [2]string{open + "m", text}), more
	}
	return list
}

// write makes a frame of its inks, in the outfit.
func (o *outfit) write(lines [][]inkRun) string {
	var b strings.Builder
	for i, runs := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, r := range runs {
			f := o.faces[r.role]
			b.WriteString(f.open + r.text + f.end)
		}
	}
	return b.String()
}

// picture draws the inks, a letter a cell. A blank has no ink that could be seen but that of a chip;
// on a selected ground it is an underscore.
func picture(lines [][]inkRun) string {
	var b strings.Builder
	for _, runs := range lines {
		var line strings.Builder
		for _, r := range runs {
			l := letters[r.ink]
			for _, c := range r.text {
				letter := l.letter
				switch {
				case c != ' ' || l.ink >= style.BlueChip && l.ink <= style.DangerChip:
				case grounds[r.ground].ground == style.Selected:
					letter = '_'
				default:
					letter = ' '
				}
				line.WriteString(strings.Repeat(string(letter), ansi.StringWidthWc(string(c))))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + selected(runs) + "\n")
	}
	return b.String()
}

const selectedMark = "  selected"

// selected tells the columns of a line that are on a selected ground, from the first on.
func selected(runs []inkRun) string {
	text, col, from := "", 0, -1
	for _, r := range append(runs, inkRun{}) { // what ends the last one
		on := grounds[r.ground].ground == style.Selected
		if on && from < 0 {
			from = col
		} else if !on && from >= 0 {
			text += fmt.Sprintf(" %d-%d", from+1, col)
			from = -1
		}
		col += ansi.StringWidth(r.text)
	}
	if text != "" {
		text = selectedMark + text
	}
	return text
}

// tally tells how many cells a picture has of each ink: it is a line for what would be pages.
func tally(picture string) string {
	text := ""
	for _, l := range append(letters, letterOfInk{letter: '_', name: "selected"}) {
		n := 0
		for _, line := range strings.Split(picture, "\n") {
			line, _, _ = strings.Cut(line, selectedMark)
			n += strings.Count(line, string(l.letter))
		}
		if n > 0 {
			text += fmt.Sprintf(" %c %d ", l.letter, n)
		}
	}
	return strings.TrimSpace(text) + "\n"
}

// keepFrame compares what the console shows with the golden of the test, and checks its size and its
// colours in every theme. Nothing may be kept in another way: what has a golden has its colours.
func keepFrame(t *testing.T, a *App, size Size) {
	t.Helper()
	first := a.View().Content
	checkFrame(t, first, size)
	worn := outfit{theme: a.themes[a.theme], noColor: a.opt.NoColor}
	inks := inksOf(t, a)
	for _, o := range outfits {
		want := o.write(inks)
		if o.theme.Name == worn.theme.Name && o.noColor == worn.noColor && first != want {
			t.Errorf("begun in %s, it has other colours: %s", o.name, unlike(first, want))
		}
		if got := a.in(o); got != want {
			t.Errorf("in %s it is not written in its inks: %s", o.name, unlike(got, want))
		}
	}
	if got := a.in(&worn); got != first {
		t.Errorf("after all the themes it looks otherwise: %s", unlike(got, first))
	}
	below := picture(inks)
	if size != (Size{120, 40}) {
		below = tally(below)
	}
	golden.RequireEqual(t, trimmed(first)+"\n"+below)
}

// unlike shows the first line in which two frames differ.
func unlike(got, want string) string {
	lines := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(lines) || line != lines[i] {
			return fmt.Sprintf("line %d\n%q\nwant\n%q", i+1, line, strings.Join(lines[min(i, len(lines)):min(i+1, len(lines))], ""))
		}
	}
	return "it has fewer lines"
}

// in is the frame in an outfit.
func (a *App) in(o *outfit) string {
	a.themes[a.theme], a.opt.NoColor = o.theme, o.noColor
	a.restyle()
	a.drawn = false
	return a.View().Content
}

// TestThemes keeps what each theme makes of each ink.
func TestThemes(t *testing.T) {
	for _, o := range outfits {
		t.Run(strings.ReplaceAll(o.name, " ", "-"), func(t *testing.T) {
			var b strings.Builder
			for j, g := range grounds {
				for i, l := range letters {
					f := o.faces[role{i, j}]
					fmt.Fprintf(&b, "%-9s %c  %-15s %q %q\n", g.name, l.letter, l.name, f.open, f.end)
				}
			}
			golden.RequireEqual(t, b.String())
		})
	}
}
