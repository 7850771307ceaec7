package tui

import (
	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
)

// Picture draws the console's first frame at a size, as SVG: what the backend knows now.
func Picture(opt Options, size Size) string {
	app := New(opt)
	app.Update(tea.WindowSizeMsg{Width: size.W, Height: size.H})
	return style.SVG(app.View().Content, opt.Theme)
}
