package themes

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// luminance and contrast are those of WCAG 2.1.
func luminance(c Color) float64 {
	lin := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
}

func contrast(a, b Color) float64 {
	x, y := luminance(a), luminance(b)
	if x < y {
		x, y = y, x
	}
	return (x + 0.05) / (y + 0.05)
}

func TestContrast(t *testing.T) {
	for _, name := range Names() {
		theme, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		least := 4.5
		if name == "high-contrast" {
			least = 7
		}
		for _, token := range theme.Colors.Tokens() {
			want := least
			switch token.Name {
			case "background", "selection", "line":
				continue
			case "muted":
				want = 3
			}
			for _, ground := range []Token{{"background", theme.Colors.Background}, {"selection", theme.Colors.Selection}} {
				if ground.Color.Reversed() { // the same two colours
					continue
				}
				if got := contrast(token.Color.On(White), ground.Color.On(Black)); got < want {
					t.Errorf("%s: %s on %s has %.2f:1, want at least %.1f:1", name, token.Name, ground.Name, got, want)
				}
			}
		}
	}
}

// Colour blindness, simulated after Machado, Oliveira and Fernandes 2009, severity 1.
var blindness = map[string][3][3]float64{
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

func TestColorSafeStatesStayApart(t *testing.T) {
	theme, err := Load("color-safe")
	if err != nil {
		t.Fatal(err)
	}
	c := theme.Colors
	pairs := [][2]Token{
		{{"ok", c.Ok}, {"danger", c.Danger}}, {{"ok", c.Ok}, {"warn", c.Warn}}, {{"warn", c.Warn}, {"danger", c.Danger}},
		{{"blue", c.Blue}, {"green", c.Green}}, {{"green", c.Green}, {"danger", c.Danger}},
	}
	for kind, m := range blindness {
		see := func(c Color) (out [3]float64) {
			in := [3]float64{float64(c.R), float64(c.G), float64(c.B)}
			for i := range out {
				for j := range in {
					out[i] += m[i][j] * in[j]
				}
			}
			return out
		}
		for _, p := range pairs {
			a, b := see(p[0].Color), see(p[1].Color)
			if d := math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2]); d < 45 {
				t.Errorf("with %s, %s and %s are only %.0f apart", kind, p[0].Name, p[1].Name, d)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	good, err := files.ReadFile("dark.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(own, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if theme, err := Load(own); err != nil || theme.Colors.Danger.String() != "#ff7070" {
		t.Errorf("own file: %v, danger %v", err, theme.Colors.Danger)
	}
	if theme, err := Load(""); err != nil || theme.Name != Default {
		t.Errorf("default: %q, %v", theme.Name, err)
	}
	if _, err := Load("neon"); err == nil || !strings.Contains(err.Error(), "dark, color-safe, high-contrast, light, monochrome, terminal") {
		t.Errorf("an unknown name must list the known ones, got %v", err)
	}
	if _, err := Load("./none.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	for what, text := range map[string]string{
		"unknown token":  strings.Replace(string(good), "danger:", "red:", 1),
		"missing token":  strings.Replace(string(good), "  ok: \"#8fb98b\"\n", "", 1),
		"not a colour":   strings.Replace(string(good), "#ff7070", "tomato!", 1),
		"no such number": strings.Replace(string(good), `"#ff7070"`, "16", 1),
		"reversed text":  strings.Replace(string(good), `"#ff7070"`, "reverse", 1),
		"short colour":   strings.Replace(string(good), "#ff7070", "#f77", 1),
		"unknown key":    string(good) + "\nfont: mono\n",
		"not a document": "colors: [",
	} {
		if _, err := Parse("x", []byte(text)); err == nil {
			t.Errorf("%s: no error", what)
		} else if what == "unknown token" && !strings.Contains(err.Error(), "red") {
			t.Errorf("%s: the error does not name it: %v", what, err)
		} else if what == "missing token" && !strings.Contains(err.Error(), "ok") {
			t.Errorf("%s: the error does not name it: %v", what, err)
		}
	}
}
