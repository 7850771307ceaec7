package tui

import (
	"context"
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// noticeBox shows an error until it is put away: what was being done, why it did not
// succeed, what to do now.
type noticeBox struct {
	*env
	title  string
	paras  []para
	window widget.Window
}

type para struct {
	ink  style.Ink
	text string
}

func newNotice(e *env, title string, err error) *noticeBox {
	return &noticeBox{env: e, title: title, paras: explain(err)}
}

// explain turns an error into what an operator reads.
func explain(err error) []para {
	var refusal *ops.Refusal
	if errors.As(err, &refusal) {
		list := []para{{style.Strong, "Not started: nothing was changed."}}
		for _, c := range refusal.Checks {
			list = append(list, para{style.Danger, style.BadMark + " " + c.Text})
			if c.Hint != "" {
				list = append(list, para{style.Soft, c.Hint})
			}
		}
		if refusal.Hint != "" && (len(refusal.Checks) == 0 || refusal.Checks[0].Hint != refusal.Hint) {
			list = append(list, para{style.Soft, refusal.Hint})
		}
		return list
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text += ": no answer in time"
	}
	list := []para{{style.Text, text}}
	var problem *ops.Problem
	if errors.As(err, &problem) && problem.Hint != "" {
		list = append(list, para{style.Soft, problem.Hint})
	}
	return list
}

func (n *noticeBox) Update(msg tea.Msg) (screen, tea.Cmd) {
	if key, ok := msg.(pressed); ok {
		switch key.Action {
		case actUp:
			n.window.Top--
		case actDown:
			n.window.Top++
		default:
			return n, n.leave(n)
		}
	}
	return n, nil
}

func (n *noticeBox) View(area Size) []string {
	width := min(area.W, 76)
	p := n.sheet.Page(width - 4)
	p.Blank(1)
	for i, para := range n.paras {
		if i > 0 {
			p.Blank(1)
		}
		for line := range strings.Lines(para.text) {
			p.Wrap(para.ink, line, 12)
		}
	}
	p.Blank(1).Put(style.Key, "esc").Space(1).Put(style.Muted, "close").End()
	lines := p.Lines()
	room := max(area.H-2, 1)
	n.window.Top = max(0, min(n.window.Top, len(lines)-room))
	lines = lines[n.window.Top:min(n.window.Top+room, len(lines))]
	return widget.Box(n.sheet, width, style.Warn, func(p *style.Page) { p.Put(style.Strong, n.title) }, "", lines)
}

func (*noticeBox) Scope() Scope { return inNotice }
func (*noticeBox) Modal() bool  { return true }
