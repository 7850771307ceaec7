package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tandem/ops"
	"tandem/ops/journal"
)

// desk is a machine at which an operator works: the journals of the runs started there.
type desk struct{ state, pair string }

// latest is the run that was begun last at this desk, and its folder.
func (d desk) latest() (run ops.Run, dir string, err error) {
	state := filepath.Join(d.state, "tandem")
	runs, err := journal.List(state, d.pair)
	if err == nil && len(runs) == 0 {
		err = fmt.Errorf("no run has begun at %s", d.state)
	}
	if err != nil {
		return ops.Run{}, "", err
	}
	return runs[0], journal.Dir(state, d.pair, runs[0].ID), nil
}

// begun waits for the first run.
func (d desk) begun() (dir string, err error) {
	eventually(func() bool {
		_, dir, err = d.latest()
		return err == nil
	})
	return dir, err
}

// ask waits until a run is under way.
func (d desk) ask(ask ops.Ask) error {
	var dir string
	if !eventually(func() (live bool) {
		if _, dir, _ = d.latest(); dir != "" {
			_, live = journal.Owner(dir)
		}
		return live
	}) {
		return errors.New("no run is under way")
	}
	return journal.Ask(dir, ask, "ada@desk1")
}

// reached waits until the latest run has an event that fits.
func (d desk) reached(fits func(*ops.Run, ops.Event) bool) error {
	dir, err := d.begun()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var run ops.Run
	err = journal.Follow(ctx, dir, func(events []ops.Event) error {
		for _, e := range events {
			run.Apply(e)
			if fits(&run, e) {
				return errFollowed
			}
		}
		return nil
	})
	if err != errFollowed {
		return fmt.Errorf("waiting for an event: %w; the run ended %q, its last lines: %+v", err, run.Outcome, run.Lines[max(len(run.Lines)-8, 0):])
	}
	return nil
}

// killRunner ends the process that carries out the latest run as a crash would, and waits
// until it is gone. A run that has ended meanwhile has none.
func (d desk) killRunner() error {
	_, dir, err := d.latest()
	if err != nil {
		return err
	}
	if pid, live := journal.Owner(dir); live {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing the runner: %w", err)
		}
	}
	if !eventually(func() bool { _, live := journal.Owner(dir); return !live }) {
		return fmt.Errorf("the runner of %s is still there", dir)
	}
	return nil
}

// validate checks a JSON text against a schema of this folder.
func validate(schema, text string) error {
	file, err := os.Open(schema)
	if err != nil {
		return err
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", schema, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(schema, doc); err != nil {
		return err
	}
	compiled, err := c.Compile(schema)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		return fmt.Errorf("reading the output: %w", err)
	}
	if _, object := value.(map[string]any); !object {
		return fmt.Errorf("the output is %s", json.RawMessage(text))
	}
	return compiled.Validate(value)
}
