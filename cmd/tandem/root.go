package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tandem/ops"
)

// globals are the flags of every command.
type globals struct {
	config   string
	readOnly bool
	theme    string
	ascii    bool
	still    bool
	present  bool
	plain    bool
	record   given
	follow   given // the run that the console only watches
}

type root struct{ cmd *cobra.Command }

func newRoot() *root {
	g := &globals{}
	cmd := &cobra.Command{
		Use:   "tandem",
		Short: "A console for a blue and a green Docker host behind one load balancer",
		Long: `tandem shows a pair of Docker hosts side by side: traffic, services, containers, versions,
what is wrong and what differs. It drains a host, restarts services in sequence, puts the
host back and rolls back, each after a confirmation, each recorded and resumable.

Without a command it opens the console. Nothing set up yet? Try: tandem demo`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return runOrBegin(cmd, g) },
	}
	cmd.SetVersionTemplate("tandem {{.Version}}\n")
	flags := cmd.PersistentFlags()
	flags.StringVar(&g.config, "config", "", "config `file` (default: $TANDEM_CONFIG, ./tandem.yaml, then the XDG config folder)")
	flags.BoolVar(&g.readOnly, "read-only", false, "look only: nothing that changes anything is sent")
	flags.StringVar(&g.theme, "theme", "", "theme `name` or file (default: display.theme of the config)")
	flags.BoolVar(&g.ascii, "ascii", false, "draw with ASCII characters only")
	flags.BoolVar(&g.still, "reduced-motion", false, "show what changes by itself every 5 s only, all at once")
	flags.BoolVar(&g.present, "present", false, "presenter mode: mask hosts and addresses, echo keys")
	flags.BoolVar(&g.plain, "plain", false, "no screen is drawn: lines and numbered choices, for screen readers and logs")
	canRecord(cmd, g)
	cmd.Flags().Var(&g.follow, "follow", "watch the `run` under way, read-only, also one of another user or machine")
	cmd.RegisterFlagCompletionFunc("follow", completeRun(g, (*ops.Run).Live))
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &codeError{exitUsage, err} })
	cmd.AddCommand(
		newDemo(g), newInit(), newStatus(g), newCheck(g), newPlan(g), newRun(g), newResume(g), newRollback(g), newPatch(g), newRuns(g), newReport(g), newTimeline(g), newReplay(g),
		newGate(g), newLock(g), newShell(g), newConfig(g), newVersion(), newDocs(),
	)
	offerThemes(cmd)
	withoutFiles(cmd)
	return &root{cmd}
}

// exit prints the error and returns its exit code.
func (r *root) exit(err error) int {
	if err == nil {
		return exitDone
	}
	var code *codeError
	if !errors.As(err, &code) && isUsage(err) {
		err = &codeError{exitUsage, fmt.Errorf("%w (see tandem --help)", err)}
	}
	printError(r.cmd.ErrOrStderr(), err)
	return exitCode(err)
}

// isUsage tells cobra's own complaints about arguments, which have no type of their own.
func isUsage(err error) bool {
	for _, prefix := range []string{"unknown command", "accepts ", "requires at least", "invalid argument", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}

// sideArg reads the side where the operation needs one.
func sideArg(op ops.Op, args []string) (ops.Side, []string, error) {
	if len(args) == 0 {
		return "", nil, usagef("%s needs a side: blue or green", op)
	}
	side, err := ops.ParseSide(args[0])
	if err != nil {
		return "", nil, &codeError{exitUsage, err}
	}
	return side, args[1:], nil
}
