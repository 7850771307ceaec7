// Package themes holds the colours of the console, named by meaning.
//
// A theme is a YAML file with one colour for every token, as "#rrggbb", or as one that the
// terminal defines: its number in the palette of 16 (ECMA-48, SGR 30 to 37 and 90 to 97),
// "default" for the terminal's own text and ground, "reverse" for a selection that swaps
// them. The built-in ones are embedded; an operator's own file is read the same way, and as
// strictly: an unknown or missing token is an error with its line. Text that must be read
// has a contrast of at least 4.5:1 against the background and the selection (WCAG 2.1,
// 1.4.3), muted text, which may be missed, 3:1; a test computes it for every theme, for
// the terminal's colours with xterm's palette.
package themes

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var files embed.FS

// Default is the theme where nobody asked for another one.
const Default = "dark"

// Theme is a set of colours by meaning.
type Theme struct {
	Name   string `yaml:"-"`
	Dark   bool   `yaml:"dark"`
	Bold   bool   `yaml:"bold"` // what is wrong is bold, too: for themes whose colours do not tell it
	Colors Colors `yaml:"colors"`
}

// Colors has one colour for every token.
type Colors struct {
	Background Color `yaml:"background"`
	Text       Color `yaml:"text"`      // names and numbers that matter
	Soft       Color `yaml:"soft"`      // what is read second
	Muted      Color `yaml:"muted"`     // what may be missed
	Line       Color `yaml:"line"`      // borders, and the frame behind a dialog
	Focus      Color `yaml:"focus"`     // where keys go
	Blue       Color `yaml:"blue"`      // the name of the blue side, never a state
	Green      Color `yaml:"green"`     // the name of the green side, never a state
	Warn       Color `yaml:"warn"`      // look
	Danger     Color `yaml:"danger"`    // broken
	Ok         Color `yaml:"ok"`        // passed, where that is news
	Selection  Color `yaml:"selection"` // ground of the selected row
}

// Tokens lists every colour with its name, in the order of the files.
func (c Colors) Tokens() []Token {
	return []Token{
		{"background", c.Background}, {"text", c.Text}, {"soft", c.Soft}, {"muted", c.Muted}, {"line", c.Line},
		{"focus", c.Focus}, {"blue", c.Blue}, {"green", c.Green}, {"warn", c.Warn}, {"danger", c.Danger},
		{"ok", c.Ok}, {"selection", c.Selection},
	}
}

// Token is a colour and what it is for.
type Token struct {
	Name  string
	Color Color
}

// Color is an sRGB colour, or one that the terminal defines.
type Color struct {
	R, G, B uint8
	kind    kind
}

type kind uint8

const (
	unset    kind = iota
	rgb           // R, G, B
	indexed       // R is a number in the terminal's palette of 16
	standard      // the terminal's own
	reversed      // the terminal's own, text and ground swapped
)

var errColor = errors.New(`use "#rrggbb", a number from 0 to 15 of the terminal's palette, "default", or "reverse" for the selection`)

// UnmarshalText reads a colour.
func (c *Color) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "default":
		*c = Color{kind: standard}
		return nil
	case "reverse":
		*c = Color{kind: reversed}
		return nil
	default:
		if n, err := strconv.ParseUint(word, 10, 8); err == nil && n < 16 {
			*c = Color{R: uint8(n), kind: indexed}
			return nil
		}
	}
	var r, g, b uint8
	if n, err := fmt.Sscanf(string(text), "#%02x%02x%02x", &r, &g, &b); len(text) != 7 || n != 3 || err != nil {
		return fmt.Errorf("%q is not a colour: %w", text, errColor)
	}
	*c = Color{R: r, G: g, B: b, kind: rgb}
	return nil
}

// String is the colour as Lip Gloss takes it: "#rrggbb", the number, or nothing for the
// terminal's own.
func (c Color) String() string {
	switch c.kind {
	case rgb:
		return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
	case indexed:
		return strconv.Itoa(int(c.R))
	}
	return ""
}

// Terminal tells whether the terminal defines the colour.
func (c Color) Terminal() bool { return c.kind != rgb }

// Reversed tells whether text and ground are swapped.
func (c Color) Reversed() bool { return c.kind == reversed }

// xterm is the palette of 16 as xterm has it (its color resources, XTerm-col.ad).
var xterm = [16]uint32{
	0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
	0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
}

// On is the colour as an sRGB one, in xterm's palette; own stands for the terminal's own.
func (c Color) On(own Color) Color {
	switch c.kind {
	case rgb:
		return c
	case indexed:
		n := xterm[c.R]
		return Color{R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n), kind: rgb}
	}
	return own
}

// Black and White are what xterm's own ground and text are here.
var (
	Black = Color{kind: rgb}
	White = Color{R: 0xe5, G: 0xe5, B: 0xe5, kind: rgb}
)

// Names lists the built-in themes, the default first.
func Names() []string {
	names := []string{Default}
	entries, err := fs.ReadDir(files, ".")
	if err != nil { // an embedded directory can always be read
		panic(err)
	}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); name != Default {
			names = append(names, name)
		}
	}
	return names
}

// Load reads a built-in theme by name, or a file where the text has a slash or ends in
// .yaml or .yml. Empty text is the default.
func Load(nameOrPath string) (Theme, error) {
	switch {
	case nameOrPath == "":
		nameOrPath = Default
	case IsFile(nameOrPath):
		data, err := os.ReadFile(nameOrPath)
		if err != nil {
			return Theme{}, fmt.Errorf("reading the theme: %w", err)
		}
		return Parse(nameOrPath, data)
	}
	if !slices.Contains(Names(), nameOrPath) {
		return Theme{}, fmt.Errorf("there is no theme %q: use %s, or the path of a .yaml file", nameOrPath, strings.Join(Names(), ", "))
	}
	return builtIn(nameOrPath)
}

// builtIn reads a built-in theme, each once.
func builtIn(name string) (Theme, error) {
	if theme, ok := read.Load(name); ok {
		return theme.(Theme), nil
	}
	data, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return Theme{}, fmt.Errorf("reading the theme %s: %w", name, err)
	}
	theme, err := Parse(name, data)
	if err == nil {
		read.Store(name, theme)
	}
	return theme, err
}

var read sync.Map // of Theme, by name

// IsFile tells whether Load takes the text for the path of a file.
func IsFile(nameOrPath string) bool {
	return strings.ContainsRune(nameOrPath, os.PathSeparator) || strings.HasSuffix(nameOrPath, ".yaml") || strings.HasSuffix(nameOrPath, ".yml")
}

// Parse reads a theme; name is for messages and the key that cycles through themes.
func Parse(name string, data []byte) (Theme, error) {
	var t Theme
	if err := yaml.UnmarshalWithOptions(data, &t, yaml.Strict()); err != nil {
		return Theme{}, fmt.Errorf("reading the theme %s: %w", name, err)
	}
	var missing []string
	for _, token := range t.Colors.Tokens() {
		if token.Color.kind == unset {
			missing = append(missing, token.Name)
		}
	}
	if missing != nil {
		return Theme{}, fmt.Errorf("reading the theme %s: %w: %s", name, errMissing, strings.Join(missing, ", "))
	}
	for _, token := range t.Colors.Tokens() {
		if token.Color.Reversed() && token.Name != "selection" {
			return Theme{}, fmt.Errorf("reading the theme %s: %s: only the selection can be \"reverse\"", name, token.Name)
		}
	}
	t.Name = name
	return t, nil
}

var errMissing = errors.New("colours missing")
