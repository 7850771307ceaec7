package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tandem/ops"
)

// plainAct is a line of the plain console's menu: the command of tandem that it stands for. The
// numbers stay what they are, so that a hand can learn them.
type plainAct struct {
	text string
	side bool // asks for the side first
	args []string
}

var plainActs = []plainAct{
	{text: "look again", args: []string{"status"}},
	{text: "findings: what is wrong, why, and what to do", args: []string{"check", "--notes"}},
	{text: "drain a side", side: true, args: []string{"run", "drain"}},
	{text: "put a side back", side: true, args: []string{"run", "put-back"}},
	{text: "restart the services of a side, in sequence", side: true, args: []string{"run", "restart"}},
	{text: "recover a side", side: true, args: []string{"run", "recover"}},
	{text: "canary on a side: can a new container start", side: true, args: []string{"run", "canary"}},
	{text: "patch: which versions are on offer", side: true, args: []string{"patch"}},
	{text: "go on with a run that stopped half-way", args: []string{"resume"}},
	{text: "take the last run back", args: []string{"rollback"}},
	{text: "runs", args: []string{"runs"}},
	{text: "report of the last run", args: []string{"report"}},
	{text: "the lock", args: []string{"lock", "show"}},
	{text: "timeline: what happened in the last 24 hours", args: []string{"timeline", "--since", "24h"}},
}

// runPlain is the console line by line: one look, then numbered choices, each carried out by the
// command of the same meaning, which shows its plan and asks as it does on its own. Nothing is
// ever drawn over; a screen reader and a log have all of it.
func runPlain(ctx context.Context, g *globals, in io.Reader, out io.Writer) error {
	err := runCommand(ctx, g, out, "status")
	for {
		if err != nil {
			printError(out, err)
		}
		if ctx.Err() != nil {
			return nil
		}
		fmt.Fprintln(out)
		for i, act := range plainActs {
			fmt.Fprintf(out, "%2d  %s\n", i+1, act.text)
		}
		fmt.Fprint(out, " q  leave\nnumber: ")
		answer, ok := readLine(in)
		switch {
		case !ok || answer == "q":
			fmt.Fprintln(out)
			return nil
		case answer == "":
			answer = "1"
		}
		var n int
		if _, scanned := fmt.Sscanf(answer, "%d", &n); scanned != nil || n < 1 || n > len(plainActs) {
			err = usagef("%q is none of the choices: a number from 1 to %d, or q", answer, len(plainActs))
			continue
		}
		act := plainActs[n-1]
		args := append([]string{}, act.args...)
		if act.side {
			fmt.Fprint(out, "which side, blue or green (empty: none): ")
			answer, ok := readLine(in)
			if !ok || answer == "" {
				err = nil
				continue
			}
			var side ops.Side
			if side, err = ops.ParseSide(answer); err != nil {
				continue
			}
			args = append(args, string(side))
		}
		fmt.Fprintln(out)
		if g.readOnly && act.side && act.args[0] == "run" {
			err = errors.New("read-only: nothing can be changed from here")
			continue
		}
		err = runCommand(ctx, g, out, args...)
	}
}

// runCommand carries out a command of tandem in this process, with the flags of this one.
func runCommand(ctx context.Context, g *globals, out io.Writer, args ...string) error {
	cmd := newRoot().cmd
	if g.config != "" {
		args = append(args, "--config", g.config)
	}
	if g.readOnly {
		args = append(args, "--read-only")
	}
	cmd.SetArgs(args)
	cmd.SetOut(out)
	return cmd.ExecuteContext(ctx)
}

// readLine reads a line byte by byte: the commands read their answers from the same input.
func readLine(in io.Reader) (line string, ok bool) {
	var text strings.Builder
	for b := make([]byte, 1); ; {
		n, err := in.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimSpace(text.String()), true
		case n == 1:
			text.WriteByte(b[0])
		case err != nil:
			return strings.TrimSpace(text.String()), text.Len() > 0
		}
	}
}

// plainConsole is runPlain on the terminal of this process.
func plainConsole(ctx context.Context, g *globals) error {
	return runPlain(ctx, g, os.Stdin, os.Stdout)
}
