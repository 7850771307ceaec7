package ops

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Level is how much an act can hurt.
type Level string

// Harmless needs no confirmation, Disruptive needs y, Destructive needs the side's name typed.
const (
	Harmless    Level = "harmless"
	Disruptive  Level = "disruptive"
	Destructive Level = "destructive"
)

// Verdict is what Check says before an act.
type Verdict string

// Ready: do it. AlreadyDone: the world is already so, Do is skipped. Blocked: it cannot
// be done now; the error says why.
const (
	Ready       Verdict = "ready"
	AlreadyDone Verdict = "already-done"
	Blocked     Verdict = "blocked"
)

// ErrNoUndo is returned by Undo where there is nothing to take back.
var ErrNoUndo = errors.New("nothing to take back")

// ErrOver is what an error of Do is (errors.Is) where the act has come to an end of its own
// without success, such as a job with another exit code than 0: nothing of it is left to be
// gone on with or to be taken back.
var ErrOver = errors.New("over without success")

// Step is one guarded act, as plain data: a journal can hold it and a resumed run can
// rebuild it. Its exported fields, marshalled as JSON, are all there is to it.
type Step interface {
	// Kind names the type for the decoder: "drain".
	Kind() string
	// Title is the act in words: "drain green".
	Title() string
	// Effects are the exact calls and commands, as they will be made.
	Effects() []string
	Risk() Level
	// Guards are read afresh right before Do; any that fails or is unknown refuses.
	Guards() []Guard
	// Check looks at the world. AlreadyDone skips Do.
	Check(context.Context, Env) (Verdict, error)
	// Do acts; safe to call again after a crash. It records prior state through
	// Env.Log.Record before it changes it.
	Do(context.Context, Env) error
	// Verify reads the world afresh; it never trusts what Do returned.
	Verify(context.Context, Env) error
	// Undo restores the recorded prior state, or returns ErrNoUndo.
	Undo(context.Context, Env) error
	// Back describes Undo: what it would do, how risky it is, what must hold. A zero
	// Undoing means that there is nothing to take back.
	Back() Undoing
}

// Undoing describes how a step is taken back.
type Undoing struct {
	Title   string
	Effects []string
	Risk    Level
	Guards  []Guard
}

// Guard is a condition over a fresh snapshot. Its ID is also the name of the risk that
// an operator may accept, with a reason, to go on all the same.
type Guard struct {
	ID    string
	Title string // the condition in words: "BLUE in service, all services ready"
	// Eval decides from the snapshot alone. now is the time of the decision.
	Eval func(snap *Snapshot, now time.Time) Check
	// Absolute guards cannot be accepted as a risk.
	Absolute bool
	// Whole guards need what plans need: images, and the networks of the hosts.
	Whole bool
}

// CheckState is the outcome of a guard.
type CheckState string

// Only Pass and Remark let a step go on; Remark is something to be read first.
const (
	Pass     CheckState = "pass"
	Remark   CheckState = "remark"
	Fail     CheckState = "fail"
	NotKnown CheckState = "unknown"
)

// Check is an evaluated guard.
type Check struct {
	Guard    string     `json:"guard"`
	State    CheckState `json:"state"`
	Text     string     `json:"text"`           // what was seen, in words
	At       time.Time  `json:"at,omitzero"`    // when the data behind it was read; zero: never
	Hint     string     `json:"hint,omitempty"` // what to do when it did not pass
	Absolute bool       `json:"absolute,omitempty"`
	Accepted bool       `json:"accepted,omitempty"` // did not pass, but the risk was accepted
	// Side is, in a plan, whose steps it guards; empty: those of the side that was asked for.
	Side Side `json:"side,omitempty"`
	// Services are those for which it did not pass, where it is about services.
	Services []string `json:"services,omitempty"`
}

// Allows tells whether a step may go on.
func (c Check) Allows() bool { return c.State == Pass || c.State == Remark || c.Accepted }

// Env is what a step may use.
type Env struct {
	Pair     Pair
	Hosts    map[Side]Host
	Balancer Balancer
	Locker   Locker
	// Look reads the pair afresh. Whole reads what plans need, too, which takes twice as
	// long; nil: Look does.
	Look, Whole func(context.Context) (Snapshot, error)
	Now         func() time.Time
	// Poll is the pause between two looks while a step waits for a state.
	Poll time.Duration
	Log  Log
	Run  LockInfo // who carries this out
	// Accepted tells whether the operator has accepted a guard as a risk for this step, of
	// the named services where it is about services; nil: none was.
	Accepted func(guard string, services ...string) bool
	// Recorded reads what an earlier step of this run recorded under a key, false if it
	// recorded nothing: a put-back restores what the drain of the same run found. nil where
	// there is no earlier step.
	Recorded func(step, key string, value any) (bool, error)
}

// Log is a step's way into the journal.
type Log interface {
	// Say adds a line of progress.
	Say(text string)
	// Record stores prior state under a key of this step, synced before it returns. The
	// first record of a key stays: a step done again after a crash must not record the
	// half-changed world as prior state.
	Record(key string, value any) error
	// Recall reads what Record stored; false if nothing was.
	Recall(key string, value any) (bool, error)
}

// Locker holds the lock on both hosts.
type Locker interface {
	// Take makes the mark on both hosts or on none. A lock held by another run is a
	// *HeldError; one held by the same run is taken again, or from those that info.Former
	// names: that of anybody else is a *MovedError. missing names sides that could
	// not be reached; with allowMissing the lock is taken on the other alone.
	Take(ctx context.Context, info LockInfo, allowMissing bool) (missing []Side, err error)
	// Held reads the marks afresh; nil where there is none. A side that could not be read
	// is not in the map, and is an error unless Take was allowed to leave it out.
	Held(context.Context) (map[Side]*LockInfo, error)
	// Release removes the marks of this run and of no other.
	Release(ctx context.Context, run string) error
	// Released is who released the lock of a run, nil where no host that answers says so, or
	// one still has its mark.
	Released(ctx context.Context, run string) *LockInfo
}

// ErrLockGone is a mark that this run had and has no more.
var ErrLockGone = errors.New("the lock is gone: someone broke it, or the run was ended elsewhere")

// HeldError says who holds the lock.
type HeldError struct {
	Side Side
	Info LockInfo
}

func (e *HeldError) Error() string {
	return "locked by " + e.Info.By + " at " + e.Info.From + " for " + e.Info.What() + ", run " + e.Info.Run + ", since " + e.Info.Since.UTC().Format("2006-01-02 15:04:05Z")
}

// MovedError is a lock that another process took for this very run, or released when it had
// brought the run to its end.
type MovedError struct {
	Side Side
	Info LockInfo
	Over bool
}

func (e *MovedError) Error() string {
	if e.Over {
		return "run " + e.Info.Run + " has come to its end, by " + e.Info.By + " at " + e.Info.From
	}
	return "run " + e.Info.Run + " goes on from " + e.Info.From
}

// Decoder rebuilds a step from its kind and data.
type Decoder func(kind string, data json.RawMessage) (Step, error)
