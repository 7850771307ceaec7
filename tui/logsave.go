package tui

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// saveBox asks for the name of the file that something goes into.
type saveBox struct {
	*env
	title string
	what  func() string        // is saved, in words
	save  func(string) tea.Cmd // into a file of this name
	input widget.Input
}

func newLogSave(of *logView) screen {
	b := &saveBox{env: of.env, title: "Save the log to a file", save: of.save}
	b.what = func() string { return some(of.counted(), "line") + " of " + of.saved() + ", as they are now" }
	b.input.SetText(of.fileName(of.name, ".log"))
	return b
}

// fileName is what is proposed: pair, what is saved, and time, without what a shell or a file
// system could take for something else.
func (e *env) fileName(what, ext string) string {
	name := e.sheet.Plain(e.snap.Pair.Name + "-" + what)
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, name)
	return strings.TrimLeft(name, "-.") + "-" + e.now().UTC().Format("20060102T150405Z") + ext
}

func (b *saveBox) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		b.input.Paste(msg.Content)
	case pressed:
		switch msg.Action {
		case actBack:
			return b, b.leave(b)
		case actAccept:
			if name := strings.TrimSpace(b.input.Text()); name != "" {
				b.leave(b)
				return b, b.save(name)
			}
		case "":
			b.input.Key(msg.Key)
		}
	}
	return b, nil
}

func (b *saveBox) View(area Size) []string {
	width := min(area.W, 80)
	p := b.sheet.Page(width - 4)
	p.Blank(1)
	b.input.Put(p, style.Strong)
	p.End().Blank(1)
	p.Put(style.Soft, b.what()).End()
	p.Wrap(style.Muted, "A name goes into the folder that tandem was started in. Nobody else may read the file, and none that is there is written over.", 3)
	p.Blank(1).Put(style.Key, "enter").Space(1).Put(style.Muted, "save").Space(3).Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel").End()
	return widget.Box(b.sheet, width, style.Focus, func(p *style.Page) { p.Put(style.Strong, b.title) }, "", p.Fit(min(p.Len(), max(area.H-2, 1))))
}

func (*saveBox) Scope() Scope { return inTyped }
func (*saveBox) Modal() bool  { return true }

// saved says whose lines are saved: those on the screen.
func (v *logView) saved() string {
	if v.layout() == layoutOne {
		return v.side.Upper()
	}
	return sidesOf(v.merged)
}

// toSave are the lines on the screen, with those above and below: of both sides where both
// are shown.
func (v *logView) toSave() []*logEntry {
	if v.layout() == layoutBeside {
		list := both(v.sides)
		return (&logPane{list: list}).shown(v.only)
	}
	return v.pane().shown(v.only)
}

// counted is how many lines are saved.
func (v *logView) counted() (n int) {
	for _, p := range v.panes() {
		n += len(p.shown(v.only))
	}
	return n
}

// save writes the lines to a new file and says where that is.
func (v *logView) save(name string) tea.Cmd {
	lines, sheet := slices.Clone(v.toSave()), v.sheet
	return func() tea.Msg {
		path, err := saveFile("the log", name, func(w io.Writer) error { return writeLog(w, lines, sheet) })
		if err != nil {
			return noticeMsg{"save the log", err}
		}
		return sayMsg{style.Focus, some(len(lines), "line") + " saved to " + path}
	}
}

// saveFile makes a file that only the operator may read, and returns its whole name. One that
// is there is never written to; one that cannot be written to its end is taken away.
func saveFile(what, name string, write func(io.Writer) error) (string, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return "", &ops.Problem{Doing: "saving " + what + " to " + name, Err: err, Hint: "give the whole path"}
	}
	problem := func(err error, hint string) error {
		var at *fs.PathError
		if errors.As(err, &at) { // the path is said already
			err = at.Err
		}
		return &ops.Problem{Doing: "saving " + what + " to " + path, Err: err, Hint: hint}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return "", problem(errors.New("there is such a file already, and it was left as it is"), "give another name")
	case errors.Is(err, fs.ErrNotExist):
		return "", problem(errors.New("there is no such folder"), "give a folder that is there")
	case errors.Is(err, fs.ErrPermission):
		return "", problem(err, "give the path of a folder that you may write to, such as /tmp/"+filepath.Base(path))
	case err != nil:
		return "", problem(err, "give another path")
	}
	buffer := bufio.NewWriter(file)
	err = write(buffer)
	err = errors.Join(err, buffer.Flush())
	err = errors.Join(err, file.Close())
	if err != nil {
		os.Remove(path) // half of it must not be taken for a whole one
		return "", problem(err, "nothing was saved; is the disk full? give a path on another one")
	}
	return path, nil
}

// writeLog writes lines as they are on the screen: safe for a terminal and, before an
// audience, masked; with their whole times.
func writeLog(w io.Writer, lines []*logEntry, sheet *style.Sheet) error {
	for _, e := range lines {
		at := "-"
		if !e.At.IsZero() {
			at = e.At.UTC().Format(time.RFC3339Nano)
		}
		from := "out"
		if e.Stderr {
			from = "err"
		}
		if _, err := fmt.Fprintf(w, "%s %s %s %s %s\n", at, ops.Sides[e.side], sheet.Plain(e.Container), from, sheet.Plain(e.Text)); err != nil {
			return err
		}
	}
	return nil
}
