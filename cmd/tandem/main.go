// Command tandem is a console for a pair of Docker hosts, blue and green, behind one
// load balancer: it shows both side by side and carries out what an incident needs, in
// order, guarded, confirmed, recorded and resumable.
//
// This package is flags and wiring, one file per subcommand; it decides nothing. What an
// operation does is in ops/plans (which steps, in which order) and ops/steps (each act);
// how it is carried out is in ops/runner; how it looks is in tui.
//
// # Exit codes
//
//	0   done
//	1   an operation did not succeed, or was left to go on by itself
//	2   usage or config error
//	3   could not look: unreachable, or a refused key
//	4   refused by a guard, lock or gate: nothing was changed
//	5   stopped half-way: resume or rollback
//	10  check: warnings
//	11  check: blocks
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

// run is main with the exit code as its result, so that tests can call the program in
// their own process.
func run() int {
	// SIGINT is left to the commands: what Ctrl-C means differs between a look and a run.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	root := newRoot()
	err := root.cmd.ExecuteContext(ctx)
	return root.exit(err)
}
