package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"

	"tandem/ops"
)

// frames is how many frames a second are drawn at most. The renderer ticks at this rate
// even when nothing changes, so a low number keeps an idle console cheap.
const frames = 20

// ErrNoTerminal says that the console cannot be shown: print plain lines instead.
var ErrNoTerminal = errors.New("no terminal that can show the console")

// NoColor tells whether the environment asks for no colour: NO_COLOR with any value that
// is not empty (no-color.org).
func NoColor() bool { return os.Getenv("NO_COLOR") != "" }

// Usable tells whether this process has a terminal that can show the console.
func Usable() bool {
	name := os.Getenv("TERM")
	return name != "" && name != "dumb" && term.IsTerminal(os.Stdin.Fd()) && term.IsTerminal(os.Stdout.Fd())
}

// Run shows the console on the terminal of this process until the operator leaves it, ctx
// ends, it is told to end (SIGTERM, SIGINT) or the terminal goes away (SIGHUP): then it ends
// without an error, and a run goes on without it. It returns ErrNoTerminal where there is no terminal that can show it.
func Run(ctx context.Context, opt Options) error {
	if !Usable() {
		return ErrNoTerminal
	}
	// Signals are taken here alone: Bubble Tea's handler waits for ever where the program has ended
	// by then, and the program for it.
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	app := New(opt)
	app.ctx = ctx
	app.link = newLink(os.Stdout, time.Now)
	var out term.File = app.link
	if opt.Record != nil {
		out = opt.Record.Of(out)
	}
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(frames), tea.WithoutSignalHandler(), tea.WithOutput(out), tea.WithFilter(app.link.beforeQuit)}
	if opt.NoColor {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	_, err := tea.NewProgram(app, options...).Run()
	app.close()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("showing the console: %w", err)
	}
	return nil
}

// close leaves every screen, so that what they hold ends.
func (a *App) close() {
	for len(a.stack) > 1 {
		a.pop()
	}
}

// awaitRecord tells, once, that the recording has come to an end before the console. The console
// goes on without it.
func (a *App) awaitRecord() tea.Cmd {
	if a.opt.Record == nil {
		return nil
	}
	failed, ctx := a.opt.Record.Failed(), a.ctx
	return func() tea.Msg {
		select {
		case err := <-failed:
			return noticeMsg{"the recording has stopped", &ops.Problem{Doing: "recording", Err: err, Hint: "the file has all up to here; the console goes on without it"}}
		case <-ctx.Done():
			return nil
		}
	}
}
