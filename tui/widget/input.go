package widget

import (
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
)

// Input is a line of text being typed: Bubbles edits it with its usual keys, and it is
// drawn as all text is, masked and in ASCII on request. The zero value is empty.
type Input struct {
	field *textinput.Model // nil: nothing has been typed yet
}

// inputMost bounds what is typed and what a paste can bring, in characters.
const inputMost = 500

func (in *Input) edit() *textinput.Model {
	if in.field == nil {
		field := textinput.New()
		field.CharLimit = inputMost
		// Bubbles would run a program that reads the clipboard of the machine that the
		// console runs on; the terminal pastes that of the operator's.
		field.KeyMap.Paste.SetEnabled(false)
		field.SetVirtualCursor(false)
		field.Focus()
		in.field = &field
	}
	return in.field
}

// update hands a message to the field. Its commands only make a cursor blink.
func (in *Input) update(msg tea.Msg) {
	field := in.edit()
	*field, _ = field.Update(msg)
}

// Text is what has been typed.
func (in *Input) Text() string {
	if in.field == nil {
		return ""
	}
	return in.field.Value()
}

// SetText replaces the text; the cursor goes to its end.
func (in *Input) SetText(text string) {
	in.edit().SetValue(style.Safe(text))
	in.field.CursorEnd()
}

// Key takes a key press, and tells whether it did anything.
func (in *Input) Key(key tea.KeyPressMsg) bool {
	field := in.edit()
	text, at := field.Value(), field.Position()
	key.Text = style.Safe(key.Text)
	in.update(key)
	return field.Position() != at || field.Value() != text
}

// Paste adds text at the cursor, made safe, as much as there is room for.
func (in *Input) Paste(text string) { in.update(tea.PasteMsg{Content: style.Safe(text)}) }

// Put writes the text with its cursor; where it does not fit, the cursor stays in sight.
func (in *Input) Put(p *style.Page, ink style.Ink) {
	field := in.edit()
	text := []rune(field.Value())
	before := p.Tame(string(text[:field.Position()]), inputMost)
	room := p.Left() - style.Width(style.Caret)
	if hidden := style.Width(before) - room; hidden > 0 {
		before = style.Part(before, hidden, room)
	}
	p.Put(ink, before).Put(style.Focus, style.Caret).Put(ink, string(text[field.Position():]))
}
