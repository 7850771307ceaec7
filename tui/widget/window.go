// Package widget holds parts of screens that know nothing of ops: a scrolling window, a
// line of input, a box. They keep state and write to a style.Page; none does I/O, none
// knows the keys of the console (see tui/keys.go).
package widget

// Window is a cursor in a list and the part of the list that is shown. The zero value is
// at the top.
type Window struct {
	Cursor int // index of the selected entry
	Top    int // index of the first entry shown
}

// Move moves the cursor by n entries in a list of count.
func (w *Window) Move(n, count int) { w.Set(w.Cursor+n, count) }

// Set puts the cursor on an entry, or on the nearest there is.
func (w *Window) Set(i, count int) { w.Cursor = max(0, min(i, count-1)) }

// Show scrolls as little as possible so that the cursor is among the height entries
// shown, and returns the range of entries to draw.
func (w *Window) Show(height, count int) (from, to int) {
	height = max(height, 0)
	w.Set(w.Cursor, count)
	if w.Cursor < w.Top {
		w.Top = w.Cursor
	}
	if w.Cursor >= w.Top+height {
		w.Top = w.Cursor - height + 1
	}
	w.Top = max(0, min(w.Top, count-height))
	return w.Top, min(w.Top+height, count)
}
