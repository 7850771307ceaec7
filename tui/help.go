package tui

import (
	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// sheetOfText is a screen that is read and scrolled: help, findings, details. It writes
// its lines anew when something it shows has changed.
type sheetOfText struct {
	*env
	title  func(*style.Page)
	write  func(p *style.Page)   // the body, as many lines as it takes
	sight  func() (from, to int) // lines that are kept in sight; nil: none in particular
	window widget.Window
	key    textKey
	lines  []string
}

type textKey struct {
	version, looks uint64
	width          int
	second         int64
}

func (s *sheetOfText) Update(msg tea.Msg) (screen, tea.Cmd) {
	key, ok := msg.(pressed)
	if !ok {
		return s, nil
	}
	switch key.Action {
	case actBack, actAccept:
		return s, s.leave(s)
	case actUp:
		s.window.Top--
	case actDown:
		s.window.Top++
	case actPageUp:
		s.window.Top -= 10
	case actPageDown:
		s.window.Top += 10
	case actTop:
		s.window.Top = 0
	case actBottom:
		s.window.Top = len(s.lines)
	}
	return s, nil
}

func (s *sheetOfText) View(area Size) []string {
	key := textKey{s.version, s.looks, area.W, s.now().Unix()}
	if key != s.key {
		p := s.sheet.Page(area.W - 4)
		s.write(p)
		s.key, s.lines = key, p.Lines()
	}
	air := 0
	if area.H >= 30 {
		air = 1
	}
	room := area.H - 3 - air
	if s.sight != nil {
		from, to := s.sight()
		s.window.Top = min(max(s.window.Top, to-room), from)
	}
	s.window.Top = max(0, min(s.window.Top, len(s.lines)-room))
	end := min(s.window.Top+room, len(s.lines))
	remark := ""
	if len(s.lines) > room {
		remark = "line " + count(end, len(s.lines))
	}
	body := append(s.sheet.Page(area.W-4).Fit(1), s.lines[s.window.Top:end]...)
	body = append(body, s.sheet.Page(area.W-4).Fit(room-(end-s.window.Top))...)
	return append(s.sheet.Page(area.W).Fit(air), widget.Box(s.sheet, area.W, style.Line, s.title, remark, body)...)
}

func (*sheetOfText) Scope() Scope { return inList }
func (*sheetOfText) Modal() bool  { return false }

// newHelp lists every key, with why it does not work now.
func newHelp(e *env, version string) screen {
	s := &sheetOfText{env: e}
	s.title = func(p *style.Page) { p.Put(style.Strong, "keys").Space(2).Put(style.Muted, version) }
	s.write = func(p *style.Page) {
		for _, group := range groups {
			p.Put(style.Strong, string(group)).End()
			for i := range e.keys {
				if b := &e.keys[i]; b.Group == group && b.Help != "" {
					writeBinding(e, p, b)
				}
			}
			p.End()
		}
		p.Put(style.Strong, "Signs").End()
		for _, sign := range signs {
			p.Space(2).Cell(sign.ink, sign.glyph, 10).Wrap(style.Soft, sign.text, 2)
		}
	}
	return s
}

func writeBinding(e *env, p *style.Page, b *Binding) {
	p.Space(2).Cell(style.Key, b.Show, 8).Cell(style.Text, b.Words, 20)
	if why := b.reason(e); why != "" && b.In(inPair) {
		p.Put(style.Warn, "not now: "+why+"  ")
	}
	level := ""
	if b.Level == ops.Disruptive || b.Level == ops.Destructive {
		level = " Asks first."
	}
	p.Wrap(style.Soft, b.Help+level, 3)
}

var signs = []struct {
	ink         style.Ink
	glyph, text string
}{
	{style.Strong, style.InMark, "in service"},
	{style.Warn, style.DrainMark + " " + style.OutMark, "draining, out"},
	{style.Danger, style.BadMark, "down, failed, exited: broken"},
	{style.Warn, style.WarnMark, "look at this"},
	{style.Soft, style.OkMark, "ready, passed"},
	{style.Warn, style.DiffMark, "not the same on the other side"},
	{style.Focus, style.Cursor + " " + style.Checked, "selected, marked"},
	{style.Focus, style.PinMark, "pinned: CPU and memory are read"},
	{style.Warn, "?", "unknown; never counts as well"},
}
