package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Reset brings the rig back to calm, whatever a test did to it: machines on, cables in,
// HAProxy running with both sides in service, every service healthy with the current
// image, nothing beside them, no lock, and the packages, the engine's configuration and its
// address pools of the beginning. Nothing is restarted that is as it should be.
func (r *Rig) Reset(ctx context.Context) error {
	side := func(side string) func() error {
		return func() error {
			if err := r.resetHost(ctx, side); err != nil {
				return fmt.Errorf("bringing %s back to calm: %w", side, err)
			}
			return nil
		}
	}
	if err := both(side(Blue), side(Green)); err != nil {
		return err
	}
	if err := r.StartHAProxy(ctx); err != nil {
		return fmt.Errorf("bringing HAProxy back: %w", err)
	}
	for _, backend := range Backends {
		for _, side := range sides {
			server := backend + "/" + side
			for _, command := range []string{"set server " + server + " state ready", "set server " + server + " weight 100%"} {
				if said, err := r.HAProxy(command); err != nil || said != "" {
					return fmt.Errorf("bringing HAProxy back: %s: %w %s", command, err, said)
				}
			}
		}
	}
	return r.bothUp(ctx)
}

func (r *Rig) resetHost(ctx context.Context, side string) error {
	m := r.machines[side]
	if err := m.CableRestore(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(m.dir, changed)); err == nil {
		return r.remake(ctx, m)
	}
	if other, err := m.reconfigured(); err != nil {
		return err
	} else if other {
		return r.remake(ctx, m)
	}
	if err := m.PowerOn(ctx); err != nil {
		return err
	}
	if _, err := m.Exec(ctx, "rm", "-rf", "/var/lib/tandem"); err != nil {
		return err
	}
	compose := composeFile(r.Services, side, r.opts.Warmup, r.opts.Check)
	if _, err := m.ExecInput(ctx, []byte(compose), "tee", Directory+"/docker-compose.yml"); err != nil {
		return err
	}
	wrong, err := r.wrong(ctx, side)
	if err != nil {
		return err
	}
	if len(wrong) == 0 {
		return nil
	}
	// Containers that only lack health are left alone; the others compose makes anew.
	state, err := m.containers(ctx)
	if err != nil {
		return err
	}
	remove := []string{"rm", "--force", "--volumes"}
	rebuild := false
	for _, s := range r.on(side) {
		c, found := state[s.Container()]
		good := found && c.image == s.Image() && (s.Job || c.running)
		if found && !good {
			remove = append(remove, s.Container())
		}
		rebuild = rebuild || !good
		delete(state, s.Container())
	}
	remove = append(remove, slices.Sorted(maps.Keys(state))...)
	if len(remove) > 3 {
		if _, err := m.Docker(ctx, remove...); err != nil {
			return err
		}
	}
	if rebuild {
		// Tags may have been moved or removed too.
		if _, err := m.Docker(ctx, "load", "--quiet", "--input", "/var/lib/docker/images.tar"); err != nil {
			return err
		}
		if err := m.composeUp(ctx); err != nil {
			return err
		}
	}
	limit, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	return r.Healthy(limit, side)
}

// reconfigured tells whether the engine's file is another than at the beginning, or one lies
// beside it, which a timer on the host may be about to put in its place. The networks that were
// made from other pools, the engine's own among them, go with the disks alone.
func (m *Machine) reconfigured() (bool, error) {
	file := filepath.Join(m.dir, "root", daemonFile)
	beside, err := filepath.Glob(file + ".*")
	if err != nil {
		return false, fmt.Errorf("looking beside the engine's configuration of %s: %w", m.Side, err)
	}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading the engine's configuration of %s: %w", m.Side, err)
	}
	return len(beside) > 0 || string(text) != daemonConfig, nil
}

// on lists the services of a side.
func (r *Rig) on(side string) []Service {
	return slices.DeleteFunc(slices.Clone(r.Services), func(s Service) bool { return !s.On(side) })
}

type container struct {
	image   string
	running bool
	healthy bool
	status  string // in docker's words
}

// containers are all containers of the host, by name.
func (m *Machine) containers(ctx context.Context) (map[string]container, error) {
	text, err := m.Docker(ctx, "ps", "--all", "--no-trunc", "--format", "{{.Names}}\t{{.Image}}\t{{.State}}\t{{.Status}}")
	if err != nil {
		return nil, err
	}
	found := map[string]container{}
	for line := range strings.Lines(text) {
		words := strings.Split(strings.TrimSpace(line), "\t")
		if len(words) != 4 {
			return nil, fmt.Errorf("reading the containers of %s: a line with %d parts: %q", m.Side, len(words), line)
		}
		found[words[0]] = container{image: words[1], running: words[2] == "running",
			healthy: strings.HasSuffix(words[3], "(healthy)"), status: words[3]}
	}
	return found, nil
}

// wrong lists what keeps a side from being calm.
func (r *Rig) wrong(ctx context.Context, side string) ([]string, error) {
	state, err := r.machines[side].containers(ctx)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, s := range r.on(side) {
		c, found := state[s.Container()]
		switch {
		case !found:
			list = append(list, s.Container()+" is missing")
		case c.image != s.Image():
			list = append(list, s.Container()+" runs "+c.image)
		case !s.Job && !c.healthy, s.Job && c.running:
			list = append(list, s.Container()+" is "+c.status)
		}
		delete(state, s.Container())
	}
	for name := range state {
		list = append(list, name+" is too many")
	}
	return list, nil
}
