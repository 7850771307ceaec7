package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"tandem/ops/config"
	"tandem/themes"
	"tandem/tui"
	"tandem/tui/style"
)

// themeOf is the theme that the flag names, else the config.
func themeOf(g *globals, cfg *config.Config) (themes.Theme, error) {
	if g.theme != "" {
		theme, err := themes.Load(g.theme)
		if err != nil {
			return themes.Theme{}, &codeError{exitUsage, err}
		}
		return theme, nil
	}
	theme, err := themes.Load(cfg.Display.Theme)
	if err != nil {
		return themes.Theme{}, cfg.WrongTheme(err)
	}
	return theme, nil
}

// safe makes text from hosts safe for a terminal.
func safe(text string) string { return style.Safe(text) }

// runConsole opens the console on the configured pair; without a usable terminal it
// prints one look in plain lines instead.
func runConsole(ctx context.Context, g *globals) error {
	// There is a little to do many times a second: on more processors Go spends as much
	// again on waking threads for it (0.8 % of a core against 0.6 %, measured).
	runtime.GOMAXPROCS(1)
	s, err := openWith(g, links{lend: true, last: true})
	if err != nil {
		return err
	}
	defer s.close()
	theme, err := themeOf(g, s.cfg)
	if err != nil {
		return err
	}
	s.unlock(ctx)
	b := newBackend(ctx, s, g)
	defer b.close()
	err = tui.Run(ctx, s.options(g, b, theme))
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, tui.ErrNoTerminal):
		snap := s.glance(ctx)
		printStatus(os.Stdout, &snap)
		fmt.Fprintln(os.Stdout, "\nNo console can be drawn here: the above is one look. See tandem --help for the commands.")
		return unreachable(&snap)
	}
	return err
}

func (s *session) options(g *globals, b *backend, theme themes.Theme) tui.Options {
	return tui.Options{
		Backend: b, Theme: theme, ASCII: g.ascii, NoColor: tui.NoColor(), UTC: s.cfg.Display.UTC, Now: time.Now, Present: g.present,
		Redact: s.cfg.Display.Redact, Version: version(), ThemeFile: watchTheme(b.ctx, theme.Name),
	}
}
