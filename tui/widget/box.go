package widget

import "tandem/tui/style"

// Box draws a frame of the given width around what body writes, with a title at the
// left and a remark at the right of its upper edge. Body writes to a page of width-4:
// one blank column inside either edge.
func Box(sheet *style.Sheet, width int, edge style.Ink, title func(*style.Page), remark string, body []string) []string {
	p, b := sheet.Page(width), sheet.Border()
	p.Put(edge, b.TopLeft+b.Top).Limit(width - 2)
	if title != nil {
		title(p.Space(1))
		p.Space(1)
	}
	if remark != "" {
		p.Fill(edge, b.Top, width-3-p.Measure(remark)-1).Space(1).Put(style.Soft, remark).Space(1)
	}
	p.Free().Fill(edge, b.Top, width-1).Put(edge, b.TopRight).End()
	for _, line := range body {
		p.Put(edge, b.Left).Space(1).Inlay(line, width-4).To(width-1).Put(edge, b.Right).End()
	}
	p.Put(edge, b.BottomLeft).Fill(edge, b.Bottom, width-1).Put(edge, b.BottomRight).End()
	return p.Lines()
}
