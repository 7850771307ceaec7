// Package haproxy takes sides out of an HAProxy and puts them back, through its runtime
// socket (HAProxy's management guide, section 9.3).
//
// # Rules
//
//   - One command is one connection: the non-interactive mode, in which HAProxy answers and
//     closes. Every one has a deadline. A command that changes something is sent from one
//     place ([Client.change]), where read-only mode holds.
//   - Success is an empty line and errors are plain text without a code (measured on 2.6.12).
//     Text that is not known is an error.
//   - Tables are read by the names of their columns, never by place.
//   - What was set at run time is lost on a reload without a state file, so nothing is
//     remembered here: every look reads the administrative state afresh, and a drain that
//     was lost shows as in-service.
//   - "state ready" serves at once, before any check has passed. A server is therefore put
//     back by way of maint and drain: leaving maint starts a fresh check, drain keeps new
//     traffic away until it has passed.
//   - A server that tracks another has no check of its own; the tracked one's counts.
//
// Sessions and weights are counts, times are HAProxy's own seconds.
package haproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"tandem/ops"
)

// Config says where the socket is and which servers are the pair.
type Config struct {
	Socket   string // unix:///path or tcp://host:port
	Via      string // the machine whose socket it is, as shown; empty: this one
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Backends []string
	Servers  map[ops.Side]string // the server's name, the same in every backend
	ReadOnly func() bool         // nil: changes are allowed
	// Fence is asked before every change whether it may still be made; nil: nobody is.
	Fence func(context.Context) error
}

const (
	commandDeadline = 5 * time.Second
	pollEvery       = 250 * time.Millisecond // while waiting for a check
	levelEvery      = time.Minute            // how often the socket's level is asked
	answerLimit     = 16 << 20               // of one answer, in bytes
)

// Client is an HAProxy. Its methods may be called at the same time.
type Client struct {
	conf          Config
	network, addr string

	mu      sync.Mutex
	level   string
	levelAt time.Time
	since   map[ops.Side]time.Time
}

var _ ops.Balancer = (*Client)(nil)

// New checks the config; it does not connect.
func New(conf Config) (*Client, error) {
	if len(conf.Backends) == 0 || conf.Servers[ops.Blue] == "" || conf.Servers[ops.Green] == "" {
		return nil, errors.New("haproxy: expected at least one backend and a server for blue and for green")
	}
	return onSocket(conf)
}

// onSocket is a client of a socket, whatever is behind it.
func onSocket(conf Config) (*Client, error) {
	u, err := url.Parse(conf.Socket)
	if err != nil {
		return nil, fmt.Errorf("reading the socket's address: %w", err)
	}
	c := &Client{conf: conf, network: u.Scheme, since: map[ops.Side]time.Time{}}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.addr = u.Path
	case u.Scheme == "tcp" && u.Port() != "" && u.Path == "":
		c.addr = u.Host
	default:
		return nil, fmt.Errorf("haproxy socket %q: expected unix:///path or tcp://host:port", conf.Socket)
	}
	if conf.Dial == nil {
		c.conf.Dial = (&net.Dialer{}).DialContext
	}
	return c, nil
}

// Name is "haproxy lb1".
func (c *Client) Name() string { return "haproxy " + cmp.Or(c.conf.Via, c.addr) }

// Every is one second: a look is two short answers from memory.
func (c *Client) Every() time.Duration { return time.Second }

// Close has nothing to end: every command has its own connection.
func (c *Client) Close() error { return nil }

// ask sends one command that changes nothing and returns the answer without the empty
// line that ends it.
func (c *Client) ask(ctx context.Context, side ops.Side, command string) (string, error) {
	doing := "asking " + c.Name() + " for “" + command + "”"
	answer, err := c.exchange(ctx, command)
	if err != nil {
		return "", c.problem(ctx, doing, side, err)
	}
	if err := refusal(answer); err != nil {
		return "", c.problem(ctx, doing, side, err)
	}
	return answer, nil
}

// change sends one command that changes the state of a server. It is the only place that
// does so.
func (c *Client) change(ctx context.Context, side ops.Side, command string) error {
	doing := "sending “" + command + "” to " + c.Name()
	if err := ops.MayChange(ctx, c.conf.ReadOnly, c.conf.Fence, doing, side); err != nil {
		return err
	}
	answer, err := c.exchange(ctx, command)
	if err == nil && answer != "" {
		if err = refusal(answer); err == nil {
			err = fmt.Errorf("haproxy answered %q", answer)
		}
	}
	if err != nil {
		return c.problem(ctx, doing, side, err)
	}
	return nil
}

// refusal recognises the texts with which HAProxy refuses, as 2.6.12 writes them.
func refusal(answer string) error {
	line, _, _ := strings.Cut(answer, "\n")
	switch {
	case strings.HasPrefix(line, "Permission denied"):
		return fmt.Errorf("%w: haproxy answered %q", ops.ErrNotPermitted, line)
	case strings.HasPrefix(line, "No such server"), strings.HasPrefix(line, "No such backend"), strings.HasPrefix(line, "Can't find backend"):
		return fmt.Errorf("%w: haproxy answered %q", ops.ErrUnknownServer, line)
	case strings.HasPrefix(line, "Unknown command"):
		return fmt.Errorf("haproxy answered %q", line)
	}
	return nil
}

func (c *Client) exchange(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandDeadline)
	defer cancel()
	conn, err := c.conf.Dial(ctx, c.network, c.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// A connection through SSH knows no deadlines; closing it ends every wait.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("sending: %w", cmp.Or(ctx.Err(), err))
	}
	answer, err := io.ReadAll(io.LimitReader(conn, answerLimit))
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", cmp.Or(ctx.Err(), err))
	}
	if len(answer) == 0 {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", errors.New("the connection was closed without an answer")
	}
	return strings.TrimRight(string(answer), "\n"), nil
}

// problem says what an operator can do about err. What is not a refusal is a connection
// that did not work.
func (c *Client) problem(ctx context.Context, doing string, side ops.Side, err error) error {
	p := &ops.Problem{Doing: doing, Side: side, Err: err}
	where := "on " + cmp.Or(c.conf.Via, "this machine")
	switch {
	case errors.Is(err, ops.ErrNotPermitted):
		p.Hint = "the socket needs level admin: “stats socket " + c.addr + " level admin” in the global section of haproxy.cfg " + where
	case errors.Is(err, ops.ErrUnknownServer):
		p.Hint = "compare balancer.haproxy.backends and servers in tandem.yaml with haproxy.cfg " + where
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
	case errors.Is(err, fs.ErrPermission):
		p.Err = fmt.Errorf("%w: %w", ops.ErrNotPermitted, err)
		p.Hint = "the user needs read and write on " + c.addr + " " + where + ": join the group of the socket (often haproxy)"
	case strings.HasPrefix(err.Error(), "haproxy answered"):
		p.Hint = "this version of haproxy does not know the command: 1.8 or later is needed"
	default:
		p.Err = fmt.Errorf("%w: %w", ops.ErrUnreachable, err)
		p.Hint = "is haproxy running " + where + ", with “stats socket” at " + c.network + "://" + c.addr + "?"
		if errors.Is(err, context.DeadlineExceeded) {
			p.Hint = "haproxy accepted the command and did not answer in time: look at its load and its log " + where
		}
	}
	return p
}
