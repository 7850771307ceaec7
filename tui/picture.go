package tui

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"tandem/themes"
	"tandem/tui/style"
)

// Stage is a console without a terminal: keys are pressed, what it shows is waited for, and
// drawn as a picture.
type Stage struct {
	program *tea.Program
	theme   themes.Theme
	changed chan struct{} // a bare signal after every message
	ended   chan struct{}
	err     error
}

// NewStage opens a console of a size. It ends with ctx, or when it is closed.
func NewStage(ctx context.Context, opt Options, size Size) *Stage {
	app := New(opt)
	app.ctx = ctx
	s := &Stage{theme: opt.Theme, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	s.program = tea.NewProgram(staged{app, s.changed}, tea.WithContext(ctx), tea.WithInput(nil), tea.WithOutput(io.Discard),
		tea.WithoutRenderer(), tea.WithoutSignalHandler(), tea.WithWindowSize(size.W, size.H))
	go func() {
		defer close(s.ended)
		_, s.err = s.program.Run()
		app.close()
	}()
	return s
}

// staged is the App, which also tells its frame to whoever asks.
type staged struct {
	*App
	changed chan<- struct{}
}

type frameMsg chan<- string

func (s staged) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if ask, ok := msg.(frameMsg); ok {
		ask <- s.App.View().Content
		return s, nil
	}
	_, cmd := s.App.Update(msg)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s, cmd
}

// press presses keys by their names, with blanks between them, and types every other word.
func (s *Stage) press(keys string) {
	for _, name := range strings.Fields(keys) {
		for _, key := range keysOf(name) {
			s.program.Send(key)
		}
	}
}

// Show presses keys once, by their names or as words, and waits until the console shows all of
// the texts. It lets the moment go by before in which dialogs swallow what is typed.
func (s *Stage) Show(ctx context.Context, keys string, texts ...string) error {
	return s.show(ctx, keys, false, texts)
}

// Insist is Show with keys that may be pressed again each second: a dialog that has changed
// meanwhile swallows some.
func (s *Stage) Insist(ctx context.Context, keys string, texts ...string) error {
	return s.show(ctx, keys, true, texts)
}

func (s *Stage) show(ctx context.Context, keys string, again bool, texts []string) error {
	awake := time.NewTimer(quiet + minFrame)
	defer awake.Stop()
	pressed := keys == ""
	for {
		frame := ansi.Strip(s.frame())
		missing := without(frame, texts)
		if pressed && missing == "" {
			return nil
		}
		select {
		case <-s.changed:
		case <-awake.C:
			s.press(keys)
			pressed = true
			if again {
				awake.Reset(time.Second)
			}
		case <-s.ended:
			return fmt.Errorf("the console ended: %w", s.err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q after the keys %q: %w; there is\n%s", missing, keys, ctx.Err(), frame)
		}
	}
}

// without is the first of the texts that a frame does not have.
func without(frame string, texts []string) string {
	for _, text := range texts {
		if !strings.Contains(frame, text) {
			return text
		}
	}
	return ""
}

// frame is what the console shows; empty when it has ended.
func (s *Stage) frame() string {
	answer := make(chan string, 1)
	s.program.Send(frameMsg(answer))
	select {
	case frame := <-answer:
		return frame
	case <-s.ended:
		return ""
	}
}

// Picture draws what the console shows, as SVG.
func (s *Stage) Picture() string { return style.SVG(s.frame(), s.theme) }

// Close ends the console. A run goes on without it.
func (s *Stage) Close() {
	s.program.Quit()
	<-s.ended
}

// keysOf are the key presses of a key by its name ("d", "enter", "ctrl+o"), or of a word.
func keysOf(name string) []tea.KeyPressMsg {
	named := map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "space": {Code: tea.KeySpace, Text: " "},
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown},
		"left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
		"backspace": {Code: tea.KeyBackspace},
	}
	if key, ok := named[name]; ok {
		return []tea.KeyPressMsg{key}
	}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return []tea.KeyPressMsg{{Code: rune(letter[0]), Mod: tea.ModCtrl}}
	}
	var keys []tea.KeyPressMsg
	for _, r := range name {
		keys = append(keys, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return keys
}
