package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
	"tandem/tui/widget"
)

// askBox asks one question that y answers. Like every dialog it swallows keys typed
// before it could be read, save the one that leaves it, and Enter is no answer.
type askBox struct {
	*env
	title, text string
	words       string // what y does
	yes         tea.Cmd
	since       time.Time
	quits       bool        // the question is whether to leave the console
	while       func() bool // the question stands; nil: until it is answered
}

func newAsk(e *env, title, text, words string, yes tea.Cmd) *askBox {
	return &askBox{env: e, title: title, text: text, words: words, yes: yes, since: e.now()}
}

// newQuit asks before the console is left while a run is under way.
func newQuit(e *env) *askBox {
	b := newAsk(e, "Leave the console?", "The run goes on without this console. Start tandem again to watch it, from here or from another machine.", "leave", tea.Quit)
	b.quits = true
	return b
}

func (b *askBox) Update(msg tea.Msg) (screen, tea.Cmd) {
	if _, resized := msg.(tea.WindowSizeMsg); resized { // it may have been out of sight
		b.since = b.now()
	}
	key, ok := msg.(pressed)
	switch {
	case !ok && b.while != nil && !b.while():
		return b, b.leave(b)
	case !ok:
	case key.Action == actBack:
		return b, b.leave(b)
	case b.now().Sub(b.since) < quiet:
	case key.Action == actYes:
		b.leave(b)
		return b, b.yes
	case key.Action == actAccept:
		return b, b.leave(b)
	}
	return b, nil
}

func (b *askBox) View(area Size) []string {
	width := min(area.W, 64)
	p := b.sheet.Page(width - 4)
	p.Blank(1).Wrap(style.Text, b.text, 6)
	p.Blank(1).Put(style.Key, "y").Space(1).Put(style.Muted, b.words).Space(3).Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel")
	p.Right(style.FocusChip, " Cancel ").End()
	return widget.Box(b.sheet, width, style.Warn, func(p *style.Page) { p.Put(style.Strong, b.title) }, "", p.Fit(min(p.Len(), max(area.H-2, 1))))
}

func (*askBox) Scope() Scope { return inAsk }
func (*askBox) Modal() bool  { return true }
