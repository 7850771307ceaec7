package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"tandem/ops"
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
	switch {
	case g.plain && g.record != "":
		return errUndrawn
	case g.plain && g.follow == "":
		return plainConsole(ctx, g)
	}
	g.readOnly = g.readOnly || g.follow != ""
	// There is a little to do many times a second: on more processors Go spends as much
	// again on waking threads for it (0.8 % of a core against 0.6 %, measured).
	runtime.GOMAXPROCS(1)
	// It lives for days beside other things: half the garbage for a hundredth more work.
	debug.SetGCPercent(50)
	s, err := openWith(g, links{lend: true, last: true})
	if err != nil {
		return err
	}
	defer s.close()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	var show *spectacle
	if g.follow != "" {
		if show, err = s.liveRun(ctx, string(g.follow)); err != nil {
			return err
		}
		if g.plain || g.record == "" && !tui.Usable() {
			return s.plainLive(ctx, g, os.Stdout, show)
		}
	}
	opt, err := s.drawing(ctx, g)
	if err != nil {
		return err
	}
	defer opt.Record.Close()
	s.unlock(ctx)
	b := newBackend(ctx, s, g, show)
	defer b.close()
	opt.Backend, opt.Watch = b, show != nil
	err = tui.Run(ctx, opt)
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

// keysOf is the key table as the config has it.
func keysOf(cfg *config.Config) (tui.KeyTable, error) {
	var changes []tui.KeyChange
	for _, k := range cfg.Display.Keys {
		changes = append(changes, tui.KeyChange{Act: k.Act, Key: k.Key})
	}
	keys, i, err := tui.Remap(changes)
	if err != nil {
		return nil, cfg.WrongKey(i, err)
	}
	return keys, nil
}

// drawing are the options of a console but for its backend, with the recording begun that is asked
// for. ctx ends with the console.
func (s *session) drawing(ctx context.Context, g *globals) (tui.Options, error) {
	theme, err := themeOf(g, s.cfg)
	if err != nil {
		return tui.Options{}, err
	}
	keys, err := keysOf(s.cfg)
	if err != nil {
		return tui.Options{}, err
	}
	rec, err := recording(g)
	if err != nil {
		return tui.Options{}, err
	}
	return tui.Options{
		Theme: theme, ASCII: g.ascii, Still: g.still || s.cfg.Display.Still, NoColor: tui.NoColor(), UTC: s.cfg.Display.UTC, Now: time.Now, Present: g.present,
		Redact: s.cfg.Display.Redact, Names: s.names(), Version: version(), ThemeFile: watchTheme(ctx, theme.Name), Keys: keys, Record: rec,
	}, nil
}

// names are the people and machines that an audience need not know of, besides the pair's hosts:
// the operator, and the machines on the way to the hosts and to the balancer.
func (s *session) names() []string {
	list := []string{s.user, s.machine}
	add := func(address string) {
		user, host, ok := strings.Cut(address, "@")
		if !ok {
			user, host = "", address
		}
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		list = append(list, user, host)
	}
	hosts := []config.Host{s.cfg.Hosts[ops.Blue], s.cfg.Hosts[ops.Green]}
	if via := s.cfg.Balancer.HAProxy.Via; via != nil {
		hosts = append(hosts, *via)
	}
	for _, h := range hosts {
		add(h.SSH)
		add(h.Jump)
	}
	return list
}
