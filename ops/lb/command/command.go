// Package command drives any other balancer through commands of the operator's own, run on
// this machine.
//
// # Rules
//
//   - A command is a program with arguments; there is no shell. {{side}} inside an argument
//     is replaced by blue or green.
//   - status prints one of the traffic words (in-service, draining, out, down, unknown) and
//     optionally the number of open sessions: "draining 3". Anything else is an error.
//   - drain and put_back exit with 0 when they have done their part; being in service is what
//     status says.
//   - Every command has a deadline and is killed, with what it started, when it is over. A
//     command that changes something is run from one place ([Client.change]), where read-only
//     mode holds.
package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

// Config holds the commands: a program and its arguments.
type Config struct {
	Status, Drain, PutBack []string
	ReadOnly               func() bool // nil: changes are allowed
	// Fence is asked before every change whether it may still be made; nil: nobody is.
	Fence func(context.Context) error
}

const (
	commandDeadline = 20 * time.Second
	pollEvery       = time.Second
	outputLimit     = 64 << 10 // bytes kept of what a command prints
)

// Client is a balancer behind commands. Its methods may be called at the same time.
type Client struct {
	conf           Config
	deadline, poll time.Duration
}

var _ ops.Balancer = (*Client)(nil)

// New checks the config; it runs nothing.
func New(conf Config) (*Client, error) {
	for name, args := range map[string][]string{"status": conf.Status, "drain": conf.Drain, "put_back": conf.PutBack} {
		if len(args) == 0 || args[0] == "" {
			return nil, fmt.Errorf("command: expected a program for %s", name)
		}
	}
	return &Client{conf: conf, deadline: commandDeadline, poll: pollEvery}, nil
}

// Name is the program: "command ./lb".
func (c *Client) Name() string { return "command " + c.conf.Status[0] }

// Every is five seconds: a command may be slow.
func (c *Client) Every() time.Duration { return 5 * time.Second }

// Close has nothing to end.
func (c *Client) Close() error { return nil }

func arguments(args []string, side ops.Side) []string {
	out := slices.Clone(args)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "{{side}}", string(side))
	}
	return out
}

// run runs one command and returns what it printed.
func (c *Client) run(ctx context.Context, side ops.Side, template []string) (string, error) {
	args := arguments(template, side)
	limited, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	cmd := exec.CommandContext(limited, args[0], args[1:]...)
	// Its own process group, so that what it started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var stdout, stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.String(), nil
	}
	p := &ops.Problem{Doing: "running " + strings.Join(args, " "), Side: side}
	var exit *exec.ExitError
	switch {
	case limited.Err() != nil && ctx.Err() == nil:
		p.Err = fmt.Errorf("no end after %s: %w", c.deadline, context.DeadlineExceeded)
		p.Hint = "the command was killed; run it by hand to see what it waits for"
	case ctx.Err() != nil:
		p.Err = ctx.Err()
		p.Hint = "the command was killed before its end: look at the state of the balancer"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		p.Err, p.Hint = err, "is balancer.command right in tandem.yaml? A path such as ./lb starts at the folder of tandem.yaml"
	case errors.Is(err, fs.ErrPermission):
		p.Err, p.Hint = fmt.Errorf("%w: %w", ops.ErrNotPermitted, err), "make the program executable for this user (chmod +x)"
	case errors.As(err, &exit):
		p.Err = &ops.ExitError{Args: args, Status: exit.ExitCode(), Stderr: cmp.Or(strings.TrimSpace(stderr.String()), strings.TrimSpace(stdout.String()))}
		p.Hint = "run the command by hand to see why"
	default:
		p.Err, p.Hint = err, "run the command by hand to see why"
	}
	return "", p
}

// tail keeps the end of what is written.
type tail struct{ bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	if over := t.Len() + len(b) - outputLimit; over > 0 {
		t.Next(over)
	}
	t.Buffer.Write(b[max(0, len(b)-outputLimit):])
	return len(b), nil
}

// change runs a command that changes something. It is the only place that does so.
func (c *Client) change(ctx context.Context, side ops.Side, template []string) error {
	doing := "running " + strings.Join(arguments(template, side), " ")
	if err := ops.MayChange(ctx, c.conf.ReadOnly, c.conf.Fence, doing, side); err != nil {
		return err
	}
	_, err := c.run(ctx, side, template)
	return err
}

var words = []ops.Traffic{ops.InService, ops.Draining, ops.Out, ops.Down, ops.Unknown}

// status runs the status command for one side.
func (c *Client) status(ctx context.Context, side ops.Side) (ops.SideTraffic, error) {
	text, err := c.run(ctx, side, c.conf.Status)
	if err != nil {
		return ops.SideTraffic{}, err
	}
	fields := strings.Fields(text)
	odd := func(why string) (ops.SideTraffic, error) {
		return ops.SideTraffic{}, &ops.Problem{Doing: "reading what " + strings.Join(arguments(c.conf.Status, side), " ") + " printed", Side: side,
			Err: errors.New(why), Hint: "it must print one of in-service, draining, out, down, unknown, and optionally a number of sessions"}
	}
	switch {
	case len(fields) == 0:
		return odd("nothing was printed")
	case len(fields) > 2 || !slices.Contains(words, ops.Traffic(fields[0])):
		return odd(fmt.Sprintf("unexpected %.80q", text))
	}
	t := ops.SideTraffic{Traffic: ops.Traffic(fields[0])}
	if len(fields) == 2 {
		n, err := strconv.Atoi(fields[1])
		if err != nil || n < 0 {
			return odd(fmt.Sprintf("%.80q is no number of sessions", fields[1]))
		}
		t.Sessions = &n
	}
	t.Members = []ops.Member{{Pool: "command", Name: string(side), Traffic: t.Traffic, State: fields[0], Sessions: t.Sessions}}
	return t, nil
}

// Status runs the status command for both sides at the same time.
func (c *Client) Status(ctx context.Context) (ops.BalancerStatus, error) {
	out := ops.BalancerStatus{Name: c.Name(), Minimum: 1}
	var all errgroup.Group
	for _, side := range ops.Sides {
		all.Go(func() (err error) {
			*out.On(side), err = c.status(ctx, side)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return ops.BalancerStatus{}, err
	}
	out.Look.At = time.Now()
	return out, nil
}

// prior is a side's state as far as a command tells it.
type prior struct {
	Kind    string      `json:"kind"` // "command"
	Traffic ops.Traffic `json:"traffic"`
}

// left tells whether the side gets no new traffic.
func left(t ops.Traffic) bool { return t == ops.Draining || t == ops.Out }

// Prior is the traffic word.
func (c *Client) Prior(ctx context.Context, side ops.Side) (json.RawMessage, error) {
	t, err := c.status(ctx, side)
	if err != nil {
		return nil, err
	}
	return json.Marshal(prior{Kind: "command", Traffic: t.Traffic})
}

// Drain runs the drain command, unless status says that the side is draining or out.
func (c *Client) Drain(ctx context.Context, side ops.Side) error {
	t, err := c.status(ctx, side)
	if err != nil || left(t.Traffic) {
		return err
	}
	return c.change(ctx, side, c.conf.Drain)
}

// CutOff drains a side that is not drained yet; there is no command for more.
func (c *Client) CutOff(ctx context.Context, side ops.Side) error { return c.Drain(ctx, side) }

// PutBack runs the put_back command and waits until status says in-service. prior has no
// say: the traffic word is all the state there is.
func (c *Client) PutBack(ctx context.Context, side ops.Side, _ json.RawMessage, say func(string)) error {
	t, err := c.status(ctx, side)
	if err != nil || t.Traffic == ops.InService {
		return err
	}
	if err := c.change(ctx, side, c.conf.PutBack); err != nil {
		return err
	}
	for said := ops.Traffic(""); ; {
		t, err := c.status(ctx, side)
		switch {
		case ctx.Err() != nil:
			return &ops.Problem{Doing: "waiting for traffic", Side: side, Err: fmt.Errorf("put_back was run, the balancer says %s: %w", said.Words(), ctx.Err()),
				Hint: "see with status why the side does not serve, then put it back again"}
		case err != nil:
			return err
		case t.Traffic == ops.InService:
			return nil
		case t.Traffic != said:
			said = t.Traffic
			say(string(side) + " is " + said.Words())
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.poll):
		}
	}
}

// Restore drains or puts back.
func (c *Client) Restore(ctx context.Context, side ops.Side, was json.RawMessage, say func(string)) error {
	var p prior
	err := json.Unmarshal(was, &p)
	switch {
	case err != nil || p.Kind != "command":
		return &ops.Problem{Doing: "reading the recorded state", Side: side, Err: errors.Join(fmt.Errorf("not a record of command: %q", p.Kind), err),
			Hint: "the record is of another balancer: put the side back instead"}
	case left(p.Traffic):
		return c.Drain(ctx, side)
	}
	return c.PutBack(ctx, side, was, say)
}

// Effects are the command lines.
func (c *Client) Effects(act string, side ops.Side) []string {
	switch act {
	case "drain":
		return []string{strings.Join(arguments(c.conf.Drain, side), " ")}
	case "cut-off":
		return []string{"nothing more than the drain: there is no command for it"}
	case "put-back":
		return []string{strings.Join(arguments(c.conf.PutBack, side), " "),
			"wait until " + strings.Join(arguments(c.conf.Status, side), " ") + " prints in-service"}
	}
	return nil
}
