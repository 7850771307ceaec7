package tui

import (
	"path"
	"slices"

	tea "charm.land/bubbletea/v2"

	"tandem/themes"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// themePicker shows the themes. The whole screen is in the one under the cursor, so that it
// is seen on what is there at the time; esc goes back to the one before.
type themePicker struct {
	*env
	names  []string
	before int
	window widget.Window
}

// themeMsg asks for the theme of that number.
type themeMsg int

// themeFileMsg brings the operator's own theme, read anew because its file has changed.
type themeFileMsg struct {
	theme themes.Theme
	err   error
}

func newThemePicker(e *env, list []themes.Theme, at int) screen {
	p := &themePicker{env: e, before: at, window: widget.Window{Cursor: at}}
	for _, theme := range list {
		p.names = append(p.names, path.Base(theme.Name))
	}
	return p
}

func (*themePicker) Modal() bool  { return true }
func (*themePicker) Scope() Scope { return inChoose }

func (p *themePicker) Update(msg tea.Msg) (screen, tea.Cmd) {
	key, ok := msg.(pressed)
	if !ok {
		return p, nil
	}
	switch {
	case key.Action == actBack:
		p.show(p.before)
		return p, p.leave(p)
	case key.Action == actAccept:
		p.leave(p)
		return p, p.say(style.Soft, "theme "+p.names[p.window.Cursor]+"; display.theme of the config makes it stay")
	case key.Action == actUp:
		p.window.Move(-1, len(p.names))
	case key.Action == actDown:
		p.window.Move(1, len(p.names))
	case key.Key.String() == "t": // the key that opened it goes round
		p.window.Cursor = (p.window.Cursor + 1) % len(p.names)
	default:
		return p, nil
	}
	return p, p.show(p.window.Cursor)
}

func (p *themePicker) show(i int) tea.Cmd { return p.post(themeMsg(i)) }

// View lists the themes, and what each kind of word looks like in the one that is on.
func (p *themePicker) View(area Size) []string {
	width := min(area.W, 58)
	body := p.sheet.Page(width - 4).Blank(1)
	from, to := p.window.Show(max(area.H-8, 1), len(p.names))
	for i := from; i < to; i++ {
		mark := " "
		if i == p.window.Cursor {
			mark = style.Cursor
			body.On(style.Selected)
		}
		body.Put(style.Focus, mark).Space(1).Put(style.Text, p.names[i]).End()
	}
	body.Blank(1)
	body.Put(style.BlueChip, " BLUE ").Space(1).Put(style.GreenChip, " GREEN ").Space(2).Put(style.Ok, style.OkMark+" healthy").Space(2).
		Put(style.Warn, style.WarnMark+" look").Space(2).Put(style.Danger, style.BadMark+" broken").Space(2).Put(style.Muted, "not here").End()
	body.Blank(1).Put(style.Key, "enter").Space(1).Put(style.Muted, "keeps it").Space(3).Put(style.Key, "esc").Space(1).Put(style.Muted, "the one before").End()
	return widget.Box(p.sheet, width, style.Focus, func(page *style.Page) { page.Put(style.Strong, "Theme") }, "", body.Lines())
}

// wear puts a theme on.
func (a *App) wear(i int) {
	if i >= 0 && i < len(a.themes) {
		a.theme = i
		a.restyle()
	}
}

// reread takes the operator's own theme as its file has it now. One with a mistake changes
// nothing: the colours that are there stay readable.
func (a *App) reread(msg themeFileMsg) tea.Cmd {
	if msg.err != nil {
		return a.notice("the theme's file has changed, and stays unread", msg.err)
	}
	i := slices.IndexFunc(a.themes, func(t themes.Theme) bool { return t.Name == msg.theme.Name })
	if i < 0 {
		return nil
	}
	a.themes[i] = msg.theme
	if i == a.theme {
		a.restyle()
	}
	return a.say(style.Soft, "theme "+path.Base(msg.theme.Name)+" read anew")
}

// ThemeFile is what became of the file of the operator's own theme.
type ThemeFile struct {
	Theme themes.Theme
	Err   error
}

// awaitTheme waits for the next change of the theme's file.
func (a *App) awaitTheme() tea.Cmd {
	changed, ctx := a.opt.ThemeFile, a.ctx
	if changed == nil {
		return nil
	}
	return func() tea.Msg {
		select {
		case now, ok := <-changed:
			if !ok {
				return nil
			}
			return themeFileMsg{now.Theme, now.Err}
		case <-ctx.Done():
			return nil
		}
	}
}
