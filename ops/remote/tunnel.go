package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"tandem/ops"
)

// way is how the Docker API is reached over one connection.
type way int

const (
	wayForward  way = iota // a forwarded channel to the socket
	wayPipe                // `docker system dial-stdio` in a session
	waySudoPipe            // the same under sudo
)

// dialEngine connects to the engine's socket.
func (h *Host) dialEngine(ctx context.Context, c *conn) (net.Conn, error) {
	if w := c.engineWay(); w != wayForward {
		return h.pipe(ctx, c, w)
	}
	conn, err := c.client.DialContext(ctx, h.docker.network, h.docker.addr)
	var refused *ssh.OpenChannelError
	if err == nil || !errors.As(err, &refused) {
		return conn, err
	}
	w, err := h.findWay(ctx, c)
	if err != nil {
		return nil, err
	}
	return h.pipe(ctx, c, w)
}

// findWay looks for a way around forwarding. A look at an engine dials several times at
// once; only the first searches, for each search starts the host's docker command.
func (h *Host) findWay(ctx context.Context, c *conn) (way, error) {
	select {
	case c.searching <- struct{}{}:
		defer func() { <-c.searching }()
	case <-ctx.Done():
		return wayForward, ctx.Err()
	}
	if w := c.engineWay(); w != wayForward { // found meanwhile
		return w, nil
	}
	found, err := h.diagnose(ctx, c)
	if err != nil {
		return wayForward, err
	}
	w, err := h.otherWay(ctx, c, found)
	if err != nil {
		return wayForward, err
	}
	c.setEngineWay(w)
	return w, nil
}

func (c *conn) engineWay() way     { return way(c.way.Load()) }
func (c *conn) setEngineWay(w way) { c.way.Store(int32(w)) }

// look tells apart what sshd does not: it says "open failed" for a missing socket, a
// forbidden one, a dead one, and for forbidden forwarding. /proc/net/unix lists sockets
// under the path they were bound to; flag 00010000 is __SO_ACCEPTCON, "listening"
// (include/linux/net.h); /var/run and /run are the same place.
const look = `p=$1
PATH=$PATH:/usr/sbin:/sbin
[ -e "$p" ] && echo exists
[ -S "$p" ] && echo socket
[ -r "$p" ] && [ -w "$p" ] && echo allowed
command -v docker >/dev/null 2>&1 && echo cli
while read -r num refs proto flags type state inode path; do
	if [ "$flags" = 00010000 ]; then
		case $path in "$p"|"/var$p"|"${p#/var}") echo listens; break ;; esac
	fi
done < /proc/net/unix
echo end
`

// found is what look saw.
type found struct{ exists, socket, allowed, listens, cli bool }

func parseLook(out string) (found, error) {
	var f found
	ended := false
	for _, word := range strings.Fields(out) {
		switch word {
		case "exists":
			f.exists = true
		case "socket":
			f.socket = true
		case "allowed":
			f.allowed = true
		case "listens":
			f.listens = true
		case "cli":
			f.cli = true
		case "end":
			ended = true
		}
	}
	if !ended {
		return f, fmt.Errorf("the answer broke off: %q", out)
	}
	return f, nil
}

func (h *Host) diagnose(ctx context.Context, c *conn) (found, error) {
	if h.docker.network != "unix" {
		return found{exists: true, socket: true, allowed: true, listens: true, cli: true}, nil
	}
	args := []string{"sh", "-c", look, "sh", h.docker.addr}
	out, err := h.run(ctx, c, args, ops.Command{Args: args})
	if err != nil {
		return found{}, h.execProblem(c, "finding out why the docker socket is refused", ops.Command{}, err)
	}
	f, err := parseLook(string(out))
	if err != nil {
		return f, h.say("finding out why the docker socket is refused", err, "")
	}
	return f, nil
}

const doingEngine = "reaching the docker engine"

// otherWay decides what to do when the socket cannot be forwarded.
func (h *Host) otherWay(ctx context.Context, c *conn, f found) (way, error) {
	user := h.route[len(h.route)-1].user
	socket := h.docker.addr
	switch {
	case !f.exists:
		return wayForward, h.say(doingEngine, as(ops.ErrUnreachable, fmt.Errorf("there is no socket %s", socket)),
			"the engine is stopped or not installed: systemctl status docker; or it listens elsewhere: set `docker` in the config")
	case !f.socket:
		return wayForward, h.say(doingEngine, as(ops.ErrUnreachable, fmt.Errorf("%s is not a socket", socket)),
			"the engine listens elsewhere: set `docker` in the config")
	case !f.listens:
		return wayForward, h.daemonDown(errors.New("nothing listens on " + socket))
	case !f.allowed:
		return h.noPermission(ctx, c, f, user)
	case !f.cli:
		return wayForward, h.say(doingEngine, as(ops.ErrNotPermitted, errors.New("sshd forbids forwarding to "+h.docker.String())), forwardingHint+
			"; or install the docker command line there, which tandem would use instead")
	}
	if err := h.tryCLI(ctx, c, false); err != nil {
		return wayForward, err
	}
	return wayPipe, nil
}

const forwardingHint = "set AllowStreamLocalForwarding yes in its sshd_config, and see DisableForwarding there and `restrict` or `no-port-forwarding` in authorized_keys"

func (h *Host) daemonDown(err error) error {
	return h.say(doingEngine, as(ops.ErrUnreachable, fmt.Errorf("the engine does not run: %w", err)),
		"systemctl status docker; journalctl -u docker -n 50")
}

// noPermission tries sudo, and else tells how to be allowed to use the socket.
func (h *Host) noPermission(ctx context.Context, c *conn, f found, user string) (way, error) {
	hint := fmt.Sprintf("as root on the host: usermod -aG docker %s (this gives it root's power there), then log in anew; or allow it `sudo -n`", user)
	err := errors.New(user + " may not use " + h.docker.addr)
	sudo, sudoErr := h.needsSudo(ctx, c)
	if sudoErr != nil {
		return wayForward, sudoErr
	}
	if !sudo || !f.cli {
		return wayForward, h.say(doingEngine, as(ops.ErrNotPermitted, err), hint)
	}
	if sudoErr := h.tryCLI(ctx, c, true); sudoErr != nil {
		if errors.Is(sudoErr, ops.ErrUnreachable) {
			return wayForward, sudoErr
		}
		return wayForward, h.say(doingEngine, as(ops.ErrNotPermitted, fmt.Errorf("%w, and sudo does not help: %w", err, ops.AsProblem(sudoErr, "", "").Err)), hint)
	}
	return waySudoPipe, nil
}

// tryCLI proves that dial-stdio reaches the engine: without input it connects, ends, and
// says in its exit status whether it could.
func (h *Host) tryCLI(ctx context.Context, c *conn, sudo bool) error {
	cmd := ops.Command{Args: h.dialStdio(sudo), Privileged: sudo, Stdin: strings.NewReader("")}
	_, err := h.run(ctx, c, cmd.Args, cmd)
	if err == nil {
		return nil
	}
	var exit *ops.ExitError
	if errors.As(err, &exit) && cliSaysDown(exit.Stderr) {
		return h.daemonDown(errors.New(strings.TrimSpace(exit.Stderr)))
	}
	return h.execProblem(c, doingEngine+" through the docker command line", cmd, err)
}

func cliSaysDown(stderr string) bool {
	return strings.Contains(stderr, "Cannot connect to the Docker daemon") || strings.Contains(stderr, "connection refused")
}

// dialStdio names the socket, for a docker context on the host may mean another engine.
func (h *Host) dialStdio(sudo bool) []string {
	args := []string{"docker", "--host", h.docker.String(), "system", "dial-stdio"}
	if sudo {
		args = append([]string{"sudo", "-n", "--"}, args...)
	}
	return args
}

// pipe starts dial-stdio in a session.
func (h *Host) pipe(ctx context.Context, c *conn, w way) (net.Conn, error) {
	line, err := commandLine(h.dialStdio(w == waySudoPipe))
	if err != nil {
		return nil, err
	}
	s, release, err := c.session(ctx, c.pipes)
	if err != nil {
		return nil, err
	}
	p := &pipeConn{close: release, ended: make(chan struct{})}
	errs := &tail{max: maxStderr}
	p.broke = func(err error) error {
		c.setEngineWay(wayForward) // find out anew what is the matter
		text := strings.TrimSpace(errs.String())
		switch {
		case cliSaysDown(text):
			return h.daemonDown(errors.New(text))
		case text != "":
			return h.say(doingEngine+" through the docker command line", errors.New(text), "")
		}
		return err
	}
	s.Stderr = errs
	if p.in, err = s.StdinPipe(); err == nil {
		p.out, err = s.StdoutPipe()
	}
	if err == nil {
		err = s.Start(line)
	}
	if err != nil {
		release()
		return nil, err
	}
	go func() {
		s.Wait() // its error is in what the command wrote
		close(p.ended)
	}()
	return p, nil
}

// pipeConn is a command's standard input and output as a connection.
type pipeConn struct {
	in    io.WriteCloser
	out   io.Reader
	close func()
	ended chan struct{} // all of standard error has come
	broke func(error) error
}

func (p *pipeConn) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if n == 0 && err == io.EOF {
		select {
		case <-p.ended:
		case <-time.After(time.Second):
		}
		err = p.broke(err)
	}
	return n, err
}

func (p *pipeConn) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p *pipeConn) CloseWrite() error           { return p.in.Close() }

func (p *pipeConn) Close() error {
	p.close()
	return nil
}

// A command's pipes have addresses and deadlines as little as forwarded channels do.
func (p *pipeConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "@", Net: "unix"} }
func (p *pipeConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "@", Net: "unix"} }
func (p *pipeConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *pipeConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *pipeConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
