// Package style turns a theme into styles asked for by meaning, and writes the lines of
// the screen.
//
// Nothing outside this package names a colour, and nothing outside it writes a control
// character: a [Page] is the only way to a frame. Whatever is put on one is masked (in
// presenter mode), made safe for a terminal, turned to ASCII (on request) and cut to the
// cells that are left, so every line is exactly as wide as it should be whatever a host
// calls its containers. Widths are terminal cells.
package style

import (
	"strings"

	"charm.land/lipgloss/v2"

	"tandem/themes"
)

// Ink is what a piece of text means.
type Ink uint8

// The inks.
const (
	Text   Ink = iota // what must be read
	Strong            // names and numbers that matter most
	Soft              // what is read second
	Muted             // what may be missed
	Line              // borders
	Focus             // where keys go
	Key               // the name of a key
	Blue              // the name of the blue side
	Green             // the name of the green side
	Warn              // look
	WarnStrong
	Danger // broken
	DangerStrong
	Ok // passed, where that is news
	BlueChip
	GreenChip
	FocusChip  // the button that has the focus
	WarnChip   // a badge that must be noticed
	DangerChip // a badge that must not be missed
	Ghost      // the frame behind a dialog
	inks
)

// Ground is what the text stands on.
type Ground uint8

// The grounds.
const (
	Plain Ground = iota
	Selected
	grounds
)

// Options of a sheet.
type Options struct {
	ASCII   bool // only ASCII reaches the screen
	NoColor bool // meaning by words, glyphs, bold, faint and reverse alone
	// Mask, if set, hides what an audience must not see, in every text.
	Mask func(string) string
}

// Sheet is a theme made ready for writing.
type Sheet struct {
	faces  [grounds][inks]face
	border lipgloss.Border
	ascii  bool
	mask   func(string) string
}

// face is what Lip Gloss writes around text of one style. It is asked once for every
// style and not for every text: a frame has some thousand texts.
type face struct{ open, close string }

func faceOf(s lipgloss.Style) face {
	const text = "x"
	open, end, _ := strings.Cut(s.Render(text), text)
	return face{open, end}
}

// look is how an ink shows.
type look struct {
	color themes.Color
	bold  bool
	loud  bool // bold where there is no colour
	chip  bool // the colour is the ground, and the paper writes on it
	back  bool // faint where there is no colour
	marks bool // keeps its colour on a row that swaps text and ground
}

// New makes a sheet.
func New(theme themes.Theme, opt Options) *Sheet {
	c := theme.Colors
	looks := [inks]look{
		Text: {color: c.Text}, Strong: {color: c.Text, bold: true}, Soft: {color: c.Soft}, Muted: {color: c.Muted}, Line: {color: c.Line, back: true},
		Focus: {color: c.Focus, loud: true, marks: true}, Key: {color: c.Focus, bold: true, marks: true}, Blue: {color: c.Blue}, Green: {color: c.Green},
		Warn: {color: c.Warn, marks: true}, WarnStrong: {color: c.Warn, bold: true, marks: true},
		Danger: {color: c.Danger, loud: true, marks: true}, DangerStrong: {color: c.Danger, bold: true, marks: true},
		Ok: {color: c.Ok}, Ghost: {color: c.Line, back: true},
		BlueChip: {color: c.Blue, bold: true, chip: true}, GreenChip: {color: c.Green, bold: true, chip: true},
		FocusChip: {color: c.Focus, bold: true, chip: true}, WarnChip: {color: c.Warn, bold: true, chip: true},
		DangerChip: {color: c.Danger, bold: true, chip: true},
	}
	s := &Sheet{border: lipgloss.RoundedBorder(), ascii: opt.ASCII, mask: opt.Mask}
	if opt.ASCII {
		s.border = lipgloss.ASCIIBorder()
	}
	for ink, l := range looks {
		if opt.NoColor {
			style := lipgloss.NewStyle().Bold(l.bold || l.loud)
			s.faces[Plain][ink] = faceOf(style.Reverse(l.chip).Faint(l.back))
			s.faces[Selected][ink] = faceOf(style.Reverse(true))
			continue
		}
		if theme.Bold {
			l.bold = l.bold || l.loud
		}
		s.faces[Plain][ink] = faceOf(l.on(c.Background, c.Background))
		if c.Selection.Reversed() {
			if !l.marks && !l.chip { // each colour would be a ground of its own, and the row a patchwork
				l.color = c.Text
			}
			s.faces[Selected][ink] = faceOf(l.on(c.Background, c.Background).Reverse(!l.chip))
			continue
		}
		s.faces[Selected][ink] = faceOf(l.on(c.Selection, c.Background))
	}
	return s
}

// on is the style of a look on a ground; paper is the ground of the screen. Where the paper
// is the terminal's own, a chip is text turned round: its colour is not known to write with.
func (l look) on(ground, paper themes.Color) lipgloss.Style {
	text, style := l.color, lipgloss.NewStyle().Bold(l.bold)
	if l.chip && paper.Terminal() {
		return tint(style.Reverse(true), text, paper)
	}
	if l.chip {
		text, ground = paper, l.color
	}
	return tint(style, text, ground)
}

// tint gives a style its colours; what is the terminal's own is left to it.
func tint(style lipgloss.Style, text, ground themes.Color) lipgloss.Style {
	if name := text.String(); name != "" {
		style = style.Foreground(lipgloss.Color(name))
	}
	if name := ground.String(); name != "" {
		style = style.Background(lipgloss.Color(name))
	}
	return style
}

// Border has the glyphs of a box.
func (s *Sheet) Border() lipgloss.Border { return s.border }
