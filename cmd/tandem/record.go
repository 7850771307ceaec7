package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tandem/tui"
	"tandem/tui/cast"
)

// canRecord gives a command that opens the console its --record.
func canRecord(cmd *cobra.Command, g *globals) {
	cmd.Flags().StringVar(&g.record, "record", "", "write what the console shows into a new `file`, as asciicast v2 (asciinema play FILE)")
}

// errUndrawn refuses a recording of lines, which anything else can record.
var errUndrawn = usagef("--record keeps what is drawn, and --plain draws nothing: leave one of them out")

// recording begins what --record asks for; nil: nothing.
func recording(g *globals) (*cast.Recording, error) {
	switch {
	case g.record == "":
		return nil, nil
	case !tui.Usable():
		return nil, usagef("--record keeps what the console shows, and here is no terminal that can show it")
	}
	rec, err := cast.Create(g.record, os.Stdout)
	if errors.Is(err, fs.ErrExist) {
		return nil, &codeError{exitUsage, err}
	}
	return rec, err
}
