package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"tandem/ops"
	"tandem/ops/config"
)

// Exit codes, as documented in the package doc and the README.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitNoLook  = 3
	exitRefused = 4
	exitHalfWay = 5
	exitWarn    = 10
	exitBlock   = 11
)

// codeError carries an exit code. An empty text prints nothing: the command has said
// everything already.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// problems are several that one operator is told of, each with its own remedy.
type problems []*ops.Problem

func (list problems) Error() string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "; ")
}

func (list problems) Unwrap() []error {
	errs := make([]error, len(list))
	for i, p := range list {
		errs[i] = p
	}
	return errs
}

func usagef(format string, args ...any) error {
	return &codeError{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode is the exit code that an error stands for.
func exitCode(err error) int {
	var code *codeError
	var refusal *ops.Refusal
	var held *ops.HeldError
	var mistakes config.Errors
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &refusal), errors.As(err, &held), errors.Is(err, ops.ErrReadOnly):
		return exitRefused
	case errors.As(err, &mistakes):
		return exitUsage
	case errors.Is(err, ops.ErrUnreachable):
		return exitNoLook
	}
	return exitFailed
}

// printError writes the error for the operator: what, where, why, and what to do now.
func printError(w io.Writer, err error) {
	var several problems
	if errors.As(err, &several) {
		for _, p := range several {
			printError(w, p)
		}
		return
	}
	text := err.Error()
	if text == "" {
		return
	}
	fmt.Fprintf(w, "tandem: %s\n", text)
	hint := ""
	var p *ops.Problem
	var refusal *ops.Refusal
	switch {
	case errors.As(err, &refusal):
		hint = refusal.Hint
	case errors.As(err, &p):
		hint = p.Hint
	}
	if hint != "" {
		fmt.Fprintf(w, "  → %s\n", hint)
	}
}
