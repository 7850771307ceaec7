package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/ops/config"
	"tandem/ops/lab"
)

// welcome is for whoever starts tandem for the first time.
const welcome = `tandem is a console for a pair of Docker hosts, blue and green, behind one load balancer.
There is no config yet, so it knows of no pair.

  tandem init blue=ops@10.0.1.11 green=ops@10.0.1.12
      looks at your two hosts over SSH, changes nothing on them, and writes a tandem.yaml;
      then tandem config check, and tandem --read-only to look without a risk

  tandem demo
      a made-up pair in this process: everything works, nothing outside is touched

`

// runOrBegin opens the console. Where there is no config yet it says at a terminal what to do,
// and offers the demo.
func runOrBegin(cmd *cobra.Command, g *globals) error {
	err := runConsole(cmd.Context(), g)
	if !errors.Is(err, config.ErrNone) || !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), welcome, "d opens the demo now, i its incident, anything else leaves: ")
	scenario := map[string]string{"d": "calm", "i": "incident"}
	answer, _ := readLine(cmd.InOrStdin())
	if scenario[answer] == "" {
		return &codeError{exitUsage, nil}
	}
	end, err := startLab(g, lab.Options{Scenario: scenario[answer], Speed: 1})
	if err != nil {
		return err
	}
	defer end()
	return runConsole(cmd.Context(), g)
}
