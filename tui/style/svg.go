package style

import (
	"encoding/xml"
	"fmt"
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"

	"tandem/themes"
)

// Cell size of a picture, in pixels, as of common monospace fonts at 15 px: an advance
// of 0.6 em.
const (
	cellWidth, cellHeight, fontSize = 9, 19, 15
	margin                          = 14
)

// SVG draws a frame of the console as a picture, as wide and as high as the frame is.
// Text is placed run by run, so that the columns stand whatever font the viewer has.
func SVG(frame string, theme themes.Theme) string {
	columns, rows := lipgloss.Size(frame)
	cells := lipgloss.NewCanvas(columns, rows).Compose(lipgloss.NewLayer(frame))
	width, height := columns*cellWidth+2*margin, rows*cellHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="%d">`+"\n",
		width, height, width, height, fontSize)
	theme.Colors.Text, theme.Colors.Background = theme.Colors.Text.On(themes.White), theme.Colors.Background.On(themes.Black)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="%s"/>`+"\n", width, height, theme.Colors.Background)
	for row := range rows {
		drawLine(&b, cells, row, theme)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// drawLine draws the runs of one style in a line.
func drawLine(b *strings.Builder, cells *lipgloss.Canvas, row int, theme themes.Theme) {
	var run strings.Builder
	var style uv.Style
	begin := 0
	flush := func(end int) {
		if run.Len() > 0 {
			drawRun(b, run.String(), margin+begin*cellWidth, margin+row*cellHeight, style, theme)
			run.Reset()
		}
		begin = end
	}
	for col := range cells.Width() {
		cell := cells.CellAt(col, row)
		if cell.Width == 0 { // the second half of a wide character
			continue
		}
		if !cell.Style.Equal(&style) {
			flush(col)
			style = cell.Style
		}
		run.WriteString(cell.Content)
	}
	flush(cells.Width())
}

func drawRun(b *strings.Builder, run string, x, y int, style uv.Style, theme themes.Theme) {
	width := ansi.StringWidth(run) * cellWidth
	fg, bg := hex(style.Fg, theme.Colors.Text), hex(style.Bg, theme.Colors.Background)
	if style.Attrs&uv.AttrReverse != 0 {
		fg, bg = bg, fg
	}
	if bg != theme.Colors.Background.String() {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", x, y, width, cellHeight, bg)
	}
	text := strings.TrimRight(run, " ")
	if text == "" {
		return
	}
	lead := len(text) - len(strings.TrimLeft(text, " "))
	text = text[lead:]
	x += lead * cellWidth
	weight := ""
	if style.Attrs&uv.AttrBold != 0 {
		weight = ` font-weight="bold"`
	}
	if style.Attrs&uv.AttrFaint != 0 {
		weight += ` fill-opacity="0.5"`
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" textLength="%d" xml:space="preserve" fill="%s"%s>`, x, y+14, ansi.StringWidth(text)*cellWidth, fg, weight)
	if err := xml.EscapeText(b, []byte(text)); err != nil { // a strings.Builder takes everything
		panic(err)
	}
	b.WriteString("</text>\n")
}

// hex is a colour as "#rrggbb"; what has none has that of the theme.
func hex(c color.Color, none themes.Color) string {
	if c == nil {
		return none.String()
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
