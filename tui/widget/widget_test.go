package widget

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"tandem/themes"
	"tandem/tui/style"
)

func TestWindowKeepsTheCursorInSight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		for range rapid.IntRange(1, 10).Draw(t, "moves") {
			count, height := rapid.IntRange(0, 50).Draw(t, "count"), rapid.IntRange(0, 20).Draw(t, "height")
			w.Move(rapid.IntRange(-60, 60).Draw(t, "by"), count)
			from, to := w.Show(height, count)
			if from < 0 || to > count || to-from > height || to-from < min(height, count) {
				t.Fatalf("shows %d to %d of %d in %d lines", from, to, count, height)
			}
			if height > 0 && count > 0 && (w.Cursor < from || w.Cursor >= to) {
				t.Fatalf("the cursor, %d, is not within %d to %d", w.Cursor, from, to)
			}
		}
	})
}

func TestInput(t *testing.T) {
	ctrl := func(c rune) tea.KeyPressMsg { return tea.KeyPressMsg{Code: c, Mod: tea.ModCtrl} }
	typed := func(text string) (keys []tea.KeyPressMsg) {
		for _, r := range text {
			keys = append(keys, tea.KeyPressMsg{Code: r, Text: string(r)})
		}
		return keys
	}
	back, left, home := tea.KeyPressMsg{Code: tea.KeyBackspace}, tea.KeyPressMsg{Code: tea.KeyLeft}, tea.KeyPressMsg{Code: tea.KeyHome}
	for name, test := range map[string]struct {
		keys []tea.KeyPressMsg
		want string
	}{
		"text":           {typed("green"), "green"},
		"backspace":      {append(typed("grén"), back, back), "gr"},
		"in the middle":  {append(append(typed("gen"), left, left), typed("re")...), "green"},
		"from the start": {append(append(typed("reen"), home), typed("g")...), "green"},
		"delete":         {append(typed("xy"), home, ctrl('d')), "y"},
		"clear":          {append(typed("blue"), ctrl('u')), ""},
		"word":           {append(typed("one two "), ctrl('w')), "one "},
		"nothing there":  {[]tea.KeyPressMsg{back, left, ctrl('w')}, ""},
	} {
		var in Input
		for _, k := range test.keys {
			in.Key(k)
		}
		if in.Text() != test.want {
			t.Errorf("%s: %q, want %q", name, in.Text(), test.want)
		}
	}
	var in Input
	if in.Key(tea.KeyPressMsg{Code: tea.KeyF5}) || in.Key(left) {
		t.Error("a key did something where there is nothing to do")
	}
	in.Paste("two\nlines\x1b[2J")
	if in.Text() != "two lines" {
		t.Errorf("a paste gives %q", in.Text())
	}
	if !in.Key(left) || in.Key(ctrl('v')) || in.Text() != "two lines" {
		t.Error("the cursor must move, and ctrl+v do nothing")
	}
	in.SetText("green")
	in.Key(typed("!")[0])
	if in.Text() != "green!" {
		t.Errorf("%q: text that was set is not typed on at its end", in.Text())
	}
	in.Paste(strings.Repeat("é", 2*inputMost))
	if n := len([]rune(in.Text())); n != inputMost {
		t.Errorf("a long paste leaves %d characters, want %d", n, inputMost)
	}
}

// TestInputShowsTheCursor checks that text which does not fit is hidden before the cursor,
// and that what must be hidden stays so where the edge cuts it.
func TestInputShowsTheCursor(t *testing.T) {
	theme, err := themes.Load("")
	if err != nil {
		t.Fatal(err)
	}
	sheet := style.New(theme, style.Options{Mask: func(text string) string { return strings.ReplaceAll(text, "secret", "******") }})
	for name, test := range map[string]struct {
		text string
		left int // how often the cursor goes left
		want string
	}{
		"it fits":        {"green", 0, "green▏    "},
		"its end":        {"drained for a reboot", 0, " a reboot▏"},
		"in the middle":  {"drained for a reboot", 9, "ained for▏"},
		"a masked name":  {"the secret is", 0, "****** is▏"},
		"wide, not half": {"日本日本日本", 0, " 日本日本▏"},
	} {
		var in Input
		in.SetText(test.text)
		for range test.left {
			in.Key(tea.KeyPressMsg{Code: tea.KeyLeft})
		}
		p := sheet.Page(10)
		in.Put(p, style.Text)
		if got := ansi.Strip(p.End().Lines()[0]); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestBoxAndInputFit(t *testing.T) {
	theme, err := themes.Load("")
	if err != nil {
		t.Fatal(err)
	}
	sheet := style.New(theme, style.Options{})
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(8, 60).Draw(t, "width")
		var in Input
		in.SetText(rapid.StringN(0, 80, -1).Draw(t, "text"))
		p := sheet.Page(width - 4)
		in.Put(p, style.Text)
		title := rapid.String().Draw(t, "title")
		lines := Box(sheet, width, style.Line, func(p *style.Page) { p.Put(style.Strong, title) }, rapid.SampledFrom([]string{"", "3 of 9", "line 1200 of 4000"}).Draw(t, "remark"), p.End().Lines())
		if len(lines) != 3 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if w := ansi.StringWidth(line); w != width {
				t.Fatalf("%d cells, want %d: %q", w, width, ansi.Strip(line))
			}
		}
		if !strings.Contains(ansi.Strip(lines[1]), style.Caret) {
			t.Fatalf("the cursor cannot be seen: %q", ansi.Strip(lines[1]))
		}
	})
}
