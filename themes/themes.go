// Package themes holds the colours of the console, named by meaning.
//
// A theme is a YAML file with one colour for every token, as "#rrggbb". The built-in
// ones are embedded; an operator's own file is read the same way, and as strictly: an
// unknown or missing token is an error with its line. Text that must be read has a
// contrast of at least 4.5:1 against the background and the selection (WCAG 2.1,
// 1.4.3), muted text, which may be missed, 3:1; a test computes it for every theme.
package themes

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

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

// Color is an sRGB colour.
type Color struct {
	R, G, B uint8
	set     bool
}

// UnmarshalText reads "#rrggbb".
func (c *Color) UnmarshalText(text []byte) error {
	var r, g, b uint8
	if len(text) != 7 {
		return fmt.Errorf("%q is not a colour: use \"#rrggbb\"", text)
	}
	if n, err := fmt.Sscanf(string(text), "#%02x%02x%02x", &r, &g, &b); n != 3 || err != nil {
		return fmt.Errorf("%q is not a colour: use \"#rrggbb\"", text)
	}
	*c = Color{R: r, G: g, B: b, set: true}
	return nil
}

// String is the colour as "#rrggbb".
func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

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
	case strings.ContainsRune(nameOrPath, os.PathSeparator), strings.HasSuffix(nameOrPath, ".yaml"), strings.HasSuffix(nameOrPath, ".yml"):
		data, err := os.ReadFile(nameOrPath)
		if err != nil {
			return Theme{}, fmt.Errorf("reading the theme: %w", err)
		}
		return Parse(nameOrPath, data)
	}
	if !slices.Contains(Names(), nameOrPath) {
		return Theme{}, fmt.Errorf("there is no theme %q: use %s, or the path of a .yaml file", nameOrPath, strings.Join(Names(), ", "))
	}
	data, err := files.ReadFile(nameOrPath + ".yaml")
	if err != nil {
		return Theme{}, fmt.Errorf("reading the theme %s: %w", nameOrPath, err)
	}
	return Parse(nameOrPath, data)
}

// Parse reads a theme; name is for messages and the key that cycles through themes.
func Parse(name string, data []byte) (Theme, error) {
	var t Theme
	if err := yaml.UnmarshalWithOptions(data, &t, yaml.Strict()); err != nil {
		return Theme{}, fmt.Errorf("reading the theme %s: %w", name, err)
	}
	var missing []string
	for _, token := range t.Colors.Tokens() {
		if !token.Color.set {
			missing = append(missing, token.Name)
		}
	}
	if missing != nil {
		return Theme{}, fmt.Errorf("reading the theme %s: %w: %s", name, errMissing, strings.Join(missing, ", "))
	}
	t.Name = name
	return t, nil
}

var errMissing = errors.New("colours missing")
