package style

import (
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"tandem/themes"
)

func sheet(t interface{ Fatal(...any) }, opt Options) *Sheet {
	theme, err := themes.Load(themes.Default)
	if err != nil {
		t.Fatal(err)
	}
	return New(theme, opt)
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                           "plain",
		"":                                "",
		"\x1b[31mred\x1b[0m":              "red",
		"\x1b]0;title\x07name":            "name",
		"\x1b]8;;http://x\x1b\\link":      "link",
		"a\tb\r\nc":                       "a b  c",
		"bell\x07 del\x7f":                "bell del",
		"\u202eevil\u202c \u2066x":        "evil x",
		"zero\u200bwidth\ufeff":           "zerowidth",
		"c1 \u0085 here":                  "c1  here",
		"日本":                              "日本",
		"⚠\ufe0f":                         "⚠",
		"e\u0301":                         "e\u0301",
		"z" + strings.Repeat("\u0336", 9): "z" + strings.Repeat("\u0336", 3),
		"\u0301start":                     "start",
		"✓ ≠ ●":                           "✓ ≠ ●",
	} {
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestSafeAlways checks the promise for any bytes: no controls, nothing hidden, valid,
// and the same width by grapheme and by wcwidth.
func TestSafeAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := Safe(string(rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\x1b[]0;mP\\\xc2\x9b\xe2\x80\xae")))).Draw(t, "bytes")))
		checkWidths(t, text)
		checkWidths(t, Safe(rapid.String().Draw(t, "string")))
		for _, r := range text {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%U is left in %q", r, text)
			}
		}
		if Safe(text) != text {
			t.Fatalf("safe text is not left as it is: %q", text)
		}
	})
}

func checkWidths(t *rapid.T, text string) {
	if g, w := ansi.StringWidth(text), ansi.StringWidthWc(text); g != w {
		t.Fatalf("%q is %d cells by grapheme, %d by wcwidth", text, g, w)
	}
}

// TestWidthsAgree puts every assigned character beside others.
func TestWidthsAgree(t *testing.T) {
	bad := 0
	for r := rune(0x20); r <= unicode.MaxRune && bad < 20; r++ {
		if !unicode.IsGraphic(r) {
			continue
		}
		for _, text := range []string{string(r), "a" + string(r) + "b", "日" + string(r) + string(r)} {
			text = Safe(text)
			if g, w := ansi.StringWidth(text), ansi.StringWidthWc(text); g != w {
				t.Errorf("%U in %q: %d cells by grapheme, %d by wcwidth", r, text, g, w)
				bad++
				break
			}
		}
	}
}

func TestPageFitsExactly(t *testing.T) {
	plain, ascii := sheet(t, Options{}), sheet(t, Options{ASCII: true, NoColor: true})
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(0, 60).Draw(t, "width")
		s := rapid.SampledFrom([]*Sheet{plain, ascii}).Draw(t, "sheet")
		p := s.Page(width)
		for range rapid.IntRange(0, 6).Draw(t, "puts") {
			text, n := rapid.String().Draw(t, "text"), rapid.IntRange(0, 40).Draw(t, "n")
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0:
				p.Put(Text, text)
			case 1:
				p.Cell(Danger, text, n)
			case 2:
				p.Number(Warn, text, n)
			case 3:
				p.Right(Soft, text)
			case 4:
				p.Limit(n)
			case 5:
				p.On(Selected).Fill(Line, "─", n)
			case 6:
				p.Wrap(BlueChip, text, 3)
			case 7:
				p.Free().To(n)
			}
		}
		p.End()
		for _, line := range p.Lines() {
			if w := ansi.StringWidth(line); w != width {
				t.Fatalf("a line has %d cells, want %d: %q", w, width, line)
			}
		}
	})
}

func TestPutCutsWithAnEllipsis(t *testing.T) {
	for name, test := range map[string]struct {
		opt  Options
		want string
	}{
		"unicode": {Options{}, "generic…"},
		"ascii":   {Options{ASCII: true}, "generic~"},
	} {
		p := sheet(t, test.opt).Page(8).Put(Text, "generic-upload").End()
		if got := ansi.Strip(p.Lines()[0]); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	p := sheet(t, Options{}).Page(20).Cell(Muted, "why", 6).Wrap(Text, "a new container cannot start on this engine", 2)
	got := strings.Split(strings.ReplaceAll(ansi.Strip(strings.Join(p.Lines(), "\n")), " \n", "\n"), "\n")
	if len(got) != 2 || strings.TrimRight(got[0], " ") != "why   a new" || !strings.HasSuffix(got[1], "…") {
		t.Errorf("%q", got)
	}
}

// TestLongTextIsCheap checks that a line of a megabyte costs no more than what is shown.
func TestLongTextIsCheap(t *testing.T) {
	s := sheet(t, Options{})
	long := strings.Repeat("日本\x1b[31m", 1<<18)
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			s.Page(80).Put(Text, long).End()
		}
	})
	if result.AllocedBytesPerOp() > 64<<10 {
		t.Errorf("putting a long line takes %d bytes", result.AllocedBytesPerOp())
	}
}

func TestMaskIsAppliedToAllText(t *testing.T) {
	s := sheet(t, Options{Mask: func(text string) string { return strings.ReplaceAll(text, "secret", "***") }})
	p := s.Page(40).Put(Text, "a secret").Cell(Warn, "secret", 10).Right(Ok, "secret").End()
	if got := ansi.Strip(p.Lines()[0]); strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
}

func TestFloat(t *testing.T) {
	s := sheet(t, Options{})
	frame := s.Page(11).Put(Danger, "aaaaaaaaaaa").End().Put(Text, "bbbb日本bbb").End().Put(Text, "ccccccccccc").End().Lines()
	box := s.Page(3).Put(Strong, "BOX").End().Lines()
	got := s.Float(frame, box, 11)
	if want := "bbbbBOX bbb"; ansi.Strip(got[1]) != want {
		t.Errorf("%q, want %q", ansi.Strip(got[1]), want)
	}
	if ansi.Strip(got[0]) != "aaaaaaaaaaa" || strings.Contains(got[0], s.faces[Plain][Danger].open) {
		t.Errorf("the frame behind the box does not recede: %q", got[0])
	}
}

func TestSVG(t *testing.T) {
	s := sheet(t, Options{})
	p := s.Page(12).Put(Danger, "a<b").Put(BlueChip, " B ").On(Selected).Put(Text, "sel").End()
	theme, err := themes.Load(themes.Default)
	if err != nil {
		t.Fatal(err)
	}
	got := SVG(strings.Join(p.Lines(), "\n"), theme)
	for _, want := range []string{"a&lt;b", `fill="#ff7070"`, `<rect x="41"`, `fill="#1b2733"`, `font-weight="bold"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
