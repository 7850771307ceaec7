package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tandem/tui"
	"tandem/tui/cast"
)

// given is a flag that, given without a word, is a mistake: an empty variable of a script must not
// pass for no flag at all.
type given string

func (g *given) Set(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	*g = given(text)
	return nil
}

func (g *given) String() string { return string(*g) }
func (*given) Type() string     { return "string" }

// canRecord gives a command that opens the console its --record.
func canRecord(cmd *cobra.Command, g *globals) {
	cmd.Flags().Var(&g.record, "record", "write what the console shows into a new `file`, as asciicast v2 (asciinema play FILE)")
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
	rec, err := cast.Create(string(g.record), os.Stdout)
	if errors.Is(err, fs.ErrExist) {
		return nil, &codeError{exitUsage, err}
	}
	return rec, err
}
