package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Problem is an error for the operator: what was being done, where, why it did not
// succeed, and what to do now.
type Problem struct {
	Doing string // a gerund: "connecting", "reading the engine's version"
	Side  Side   // empty: the pair or the balancer
	Err   error
	Hint  string // what to do now; may be empty
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.Side != "" {
		b.WriteString(string(p.Side))
		b.WriteString(": ")
	}
	b.WriteString(p.Doing)
	if p.Err != nil {
		b.WriteString(": ")
		b.WriteString(p.Err.Error())
	}
	return b.String()
}

func (p *Problem) Unwrap() error { return p.Err }

// MarshalText keeps problems readable in JSON and in the journal.
func (p *Problem) MarshalText() ([]byte, error) {
	text := p.Error()
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return []byte(text), nil
}

// UnmarshalText is the inverse as far as a reader needs it: the text is kept.
func (p *Problem) UnmarshalText(text []byte) error {
	*p = Problem{Doing: string(text)}
	return nil
}

// AsProblem finds the Problem in err, or makes one.
func AsProblem(err error, doing string, side Side) *Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Doing: doing, Side: side, Err: err}
}

// MayChange is asked before something is changed: it refuses in read-only mode, and words what
// the fence refuses. Either may be nil.
func MayChange(ctx context.Context, readOnly func() bool, fence func(context.Context) error, doing string, side Side) error {
	if readOnly != nil && readOnly() {
		return &Problem{Doing: doing, Side: side, Err: ErrReadOnly, Hint: "leave read-only mode first"}
	}
	if fence == nil {
		return nil
	}
	if err := fence(ctx); err != nil {
		p := AsProblem(err, doing, side)
		return &Problem{Doing: doing, Side: side, Err: p.Err, Hint: p.Hint}
	}
	return nil
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: exit status %d", strings.Join(e.Args, " "), e.Status)
	if s := strings.TrimSpace(e.Stderr); s != "" {
		text += ": " + s
	}
	return text
}

// Refusal is an operation that was not started. Nothing was changed.
type Refusal struct {
	What   string  // "drain blue"
	Checks []Check // those that did not pass
	Hint   string
}

func (r *Refusal) Error() string {
	reasons := make([]string, 0, len(r.Checks))
	for _, c := range r.Checks {
		reasons = append(reasons, c.Text)
	}
	return fmt.Sprintf("%s refused: %s (not started: nothing was changed)", r.What, strings.Join(reasons, "; "))
}
