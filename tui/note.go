package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
	"tandem/tui/widget"
)

// noteBox takes a line for the journal of a run, or for the timeline.
type noteBox struct {
	*env
	run   string // id; empty: the timeline
	input widget.Input
}

func newNote(e *env, run string) screen { return &noteBox{env: e, run: run} }

func (n *noteBox) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		n.input.Paste(msg.Content)
	case pressed:
		switch msg.Action {
		case actBack:
			return n, n.leave(n)
		case actAccept:
			if n.input.Text() != "" {
				n.leave(n)
				return n, n.write()
			}
		case "":
			n.input.Key(msg.Key)
		}
	}
	return n, nil
}

func (n *noteBox) write() tea.Cmd {
	e, id, text := n.env, n.run, n.input.Text()
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(e.ctx, askTime)
		defer cancel()
		if err := e.backend.Note(ctx, id, text); err != nil {
			return noticeMsg{"note", err}
		}
		return sayMsg{style.Focus, "noted"}
	}
}

func (n *noteBox) View(area Size) []string {
	width := min(area.W, 80)
	title := "Note for the journal of the run"
	if n.run == "" {
		title = "Note for the timeline"
	}
	p := n.sheet.Page(width - 4)
	p.Blank(1)
	n.input.Put(p, style.Strong)
	p.End().Blank(1).Put(style.Key, "enter").Space(1).Put(style.Muted, "write").Space(3).Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel").End()
	return widget.Box(n.sheet, width, style.Focus, func(p *style.Page) { p.Put(style.Strong, title) }, "", p.Fit(min(p.Len(), max(area.H-2, 1))))
}

func (*noteBox) Scope() Scope { return inTyped }
func (*noteBox) Modal() bool  { return true }
