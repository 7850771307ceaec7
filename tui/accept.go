package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
	"tandem/tui/widget"
)

// acceptForm is what it takes to accept a risk: a reason, then a name, which must be typed.
type acceptForm struct {
	why, name widget.Input
	named     bool // the name is being typed, no longer the reason
	wanted    string
}

// begin asks anew, for this name; the reason typed before stays.
func (f *acceptForm) begin(wanted string) {
	f.wanted, f.named = wanted, false
	f.name.SetText("")
}

func (f *acceptForm) reason() string { return strings.TrimSpace(f.why.Text()) }

// next goes from the reason, once there is one, to the name, and back.
func (f *acceptForm) next() {
	f.named = !f.named && f.reason() != ""
	f.name.SetText("")
}

// key takes what is typed, and tells whether the name is there.
func (f *acceptForm) key(key tea.KeyPressMsg) bool {
	if !f.named {
		f.why.Key(key)
		return false
	}
	f.name.Key(key)
	return f.name.Text() == f.wanted
}

// paste adds to the reason: a name must be typed.
func (f *acceptForm) paste(text string) {
	if !f.named {
		f.why.Paste(text)
	}
}

// put draws both fields.
func (f *acceptForm) put(p *style.Page) {
	labels := [2]string{"reason", "type " + f.wanted}
	inputs := [2]*widget.Input{&f.why, &f.name}
	for i, input := range inputs {
		here := f.named == (i == 1)
		ink := style.Soft
		if here {
			ink = style.Focus
		}
		p.Put(ink, labels[i]).To(14)
		if here {
			input.Put(p, style.Strong)
		} else {
			p.Put(style.Strong, input.Text())
		}
		p.End()
	}
	hint := "a reason is needed; it goes on the record"
	if f.reason() != "" {
		hint = "tab: next field; the reason goes on the record"
	}
	p.Put(style.Muted, hint).End()
}
