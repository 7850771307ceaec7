package ops

// Terminal is what a shell is opened for: the kind, as in $TERM, and how large it is.
type Terminal struct {
	Kind string
	Size TermSize
}

// TermSize is the size of a terminal in cells.
type TermSize struct{ Cols, Rows int }
