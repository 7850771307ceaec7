package tui

import (
	"context"
	"time"

	"tandem/ops"
)

// Backend is what the console needs of the world. Snapshot, Runs, Run and Timeline return
// what is known at once and never block; everything with a context does I/O and is called
// from commands only, never from Update or View.
type Backend interface {
	// Changed receives a bare signal when anything that the first four return has changed.
	// Signals coalesce: read everything anew after one.
	Changed() <-chan struct{}
	Snapshot() ops.Snapshot
	// Run is the run under way on the pair, started here or elsewhere, or else the last
	// one started from this console; nil if there is none.
	Run() *ops.Run
	// Timeline is what happened to the pair, oldest first; a list that was returned never changes.
	Timeline() []ops.Moment

	// Plan takes a fresh look and makes the plan. A plan may come with checks that do not
	// pass: then it must not be offered for confirmation.
	Plan(context.Context, ops.Request) (ops.Plan, error)
	// Start looks again; if the plan's basis has changed it starts nothing and returns a
	// *ChangedError with the new plan.
	Start(context.Context, ops.Plan) error
	// PlanRollback is the plan of taking back a run, for its dialog; Rollback looks again and
	// starts it, or returns a *ChangedError as Start does.
	PlanRollback(ctx context.Context, run string) (ops.Plan, error)
	Rollback(ctx context.Context, run string, plan ops.Plan) error
	// Resume continues a run that stopped half-way; accept are the risks that are accepted
	// from now on.
	Resume(ctx context.Context, run string, accept []ops.Risk) error
	// Ask sends a request to the run under way; it is carried out at the next step boundary.
	Ask(ctx context.Context, run string, ask ops.Ask) error
	// Markdown is moments, in order of time, as a page. It does no I/O.
	Markdown(pair string, list []ops.Moment) string
	// Note puts a line of the operator on the record of a run or, without one, on the timeline.
	Note(ctx context.Context, run, text string) error
	// Past lists earlier runs, latest first.
	Past(context.Context) ([]ops.Run, error)
	// Usual is how long a step or a whole plan of this title took the last times; 0: not known.
	Usual(title string) time.Duration

	// Images are the images that the service could go back to on that side, latest first.
	Images(ctx context.Context, side ops.Side, service string) ([]ImageChoice, error)
	// Versions are what the packages of the engine on a side could be brought to: where the
	// last patch began, and, unless only ways back are wanted, what is on offer.
	Versions(ctx context.Context, side ops.Side, back bool) ([]VersionChoice, error)
	// Logs follows the containers of a service on one side, the latest of a job, or one of
	// neither, until ctx ends or the span does. It calls line from one goroutine.
	Logs(ctx context.Context, side ops.Side, name string, span LogSpan, line func(LogLine)) error
	// Inspect reads all that there is to know of the containers of a service on one side.
	Inspect(ctx context.Context, side ops.Side, service string) ([]ops.Detail, error)
	// Sample takes one reading of what each of the containers has used. Those that are gone are
	// left out; with an error come the readings that there are.
	Sample(ctx context.Context, side ops.Side, ids []string) ([]ops.Sample, error)
	// Shell opens a shell on the host of a side or, with a service, in a container of it. It
	// lives until ctx ends at the latest.
	Shell(ctx context.Context, side ops.Side, service string) (Shell, error)

	ReadOnly() bool
	// SetReadOnly returns an error where the program was started with --read-only.
	SetReadOnly(bool) error
}

// ChangedError says that the pair is no longer as it was when the plan was shown.
type ChangedError struct{ Plan ops.Plan }

func (*ChangedError) Error() string {
	return "the pair has changed since this plan was made: nothing was started"
}

// ImageChoice is an image that a service could go back to.
type ImageChoice struct {
	ops.Image
	Current  bool // the one in use on this side
	PeerRuns bool // the peer runs this one
}

// VersionChoice is a set of packages that could be brought to named versions together.
type VersionChoice struct {
	Name     string            // "engine 26.1.5, compose 2.26.1"
	Packages map[string]string // package -> version; empty: removed
	Back     bool              // where the last patch of the side began
	Why      string            // why it cannot be had; empty: it can
}

// LogLine is a line of a container's log, not yet safe for a terminal.
type LogLine struct {
	ops.LogLine
	Container string
}
