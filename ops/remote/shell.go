package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
	"golang.org/x/crypto/ssh"

	"tandem/ops"
)

// Shell is a shell with a terminal, on a machine or in a container. It lives until it ends,
// Close is called, or the context ends with which it was opened.
type Shell struct {
	out    io.Reader
	in     io.Writer
	resize func(ops.TermSize) error
	wait   func() (int, error) // once all output has been read
	close  func()
}

// Join gives the shell what comes from in, writes what it says to out, and returns its exit
// status when it ends. Reading in may go on until its next read returns: whoever wants the
// rest of in for himself has to end that. sizes brings the terminal's new sizes.
func (s *Shell) Join(in io.Reader, out io.Writer, sizes <-chan ops.TermSize) (int, error) {
	defer s.close()
	over := make(chan struct{})
	defer close(over)
	go io.Copy(s.in, in) // what cannot be written any more has nobody to read it
	go func() {
		for {
			select {
			case size, ok := <-sizes:
				if !ok {
					return
				}
				s.resize(size) // one that is refused leaves the text in the old width: the shell goes on
			case <-over:
				return
			}
		}
	}()
	_, err := io.Copy(out, s.out)
	exit, ended := s.wait()
	if ended != nil {
		return 0, ended
	}
	return exit, err
}

// Close ends the shell.
func (s *Shell) Close() { s.close() }

// Shell opens the user's login shell on the machine. It passes the read-only gate: what is
// typed there may change anything.
func (h *Host) Shell(ctx context.Context, term ops.Terminal) (*Shell, error) {
	doing := "opening a shell on " + h.target.Name
	if err := h.gate(doing); err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, h.opt.CommandTimeout)
	defer cancel()
	c, err := h.connection(opening)
	if err != nil {
		return nil, err
	}
	session, release, err := c.session(opening, c.shells)
	if err != nil {
		return nil, h.shellProblem(c, doing, err)
	}
	s, err := startShell(opening, c, session, term)
	if err != nil {
		release()
		return nil, h.shellProblem(c, doing, err)
	}
	stop := context.AfterFunc(ctx, release)
	s.close = func() { stop(); release() }
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	s.wait = func() (int, error) {
		select {
		case err := <-ended:
			var exit *ssh.ExitError
			if errors.As(err, &exit) {
				return exit.ExitStatus(), nil
			}
			return 0, h.execProblem(c, "the shell on "+h.target.Name, ops.Command{}, err)
		case <-c.done:
			return 0, h.execProblem(c, "the shell on "+h.target.Name, ops.Command{}, io.EOF)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return s, nil
}

// shellProblem words why no shell was opened: nothing has happened yet.
func (h *Host) shellProblem(c *conn, doing string, err error) error {
	if lost := c.lost(err); lost != nil {
		return h.say(doing, lost, "is the machine up?")
	}
	return h.execProblem(c, doing, ops.Command{}, err)
}

// startShell asks for a terminal and the shell in it. On a frozen connection no answer comes:
// then it is left behind.
func startShell(ctx context.Context, c *conn, session *ssh.Session, term ops.Terminal) (*Shell, error) {
	s := &Shell{resize: func(size ops.TermSize) error { return session.WindowChange(size.Rows, size.Cols) }}
	started := make(chan error, 1)
	go func() {
		var err error
		if s.in, err = session.StdinPipe(); err == nil {
			s.out, err = session.StdoutPipe()
		}
		if err == nil {
			// An empty list of modes: sshd takes its own, as those of a console are.
			err = session.RequestPty(term.Kind, term.Size.Rows, term.Size.Cols, ssh.TerminalModes{})
		}
		if err == nil {
			err = session.Shell()
		}
		started <- err
	}()
	select {
	case err := <-started:
		return s, err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, io.EOF
	}
}

// How the question for a shell is answered: statuses that no runtime uses.
const (
	hasBash = 10
	hasSh   = 11
	whichSh = `if command -v bash >/dev/null 2>&1; then exit 10; else exit 11; fi`
)

// ContainerShell opens a shell in a container, by the engine's API: bash, else sh.
func (h *Host) ContainerShell(ctx context.Context, id, name string, term ops.Terminal) (*Shell, error) {
	e, doing := &engine{h}, "opening a shell in "+name
	if err := h.gate(doing); err != nil {
		return nil, err
	}
	which, err := e.whichShell(ctx, id, doing)
	if err != nil {
		return nil, err
	}
	size := &[2]uint{uint(term.Size.Rows), uint(term.Size.Cols)}
	options := container.ExecOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: true, ConsoleSize: size, Cmd: []string{which}, Env: []string{"TERM=" + term.Kind},
	}
	type joined struct {
		exec   string
		stream io.ReadWriteCloser
	}
	j, err := call(ctx, e, doing, h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (joined, error) {
		made, err := cli.ContainerExecCreate(ctx, id, options)
		if err != nil {
			return joined{}, err
		}
		stream, err := hijack(ctx, cli, made.ID, size)
		return joined{made.ID, stream}, err
	})
	if err != nil {
		return nil, notRunning(err)
	}
	end := sync.OnceFunc(func() { j.stream.Close() })
	stop := context.AfterFunc(ctx, end)
	s := &Shell{in: j.stream, out: j.stream, close: func() { stop(); end() }}
	s.resize = func(size ops.TermSize) error {
		return do(ctx, e, "resizing the terminal in "+name, h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
			return cli.ContainerExecResize(ctx, j.exec, container.ResizeOptions{Height: uint(size.Rows), Width: uint(size.Cols)})
		})
	}
	s.wait = func() (int, error) { return e.execExit(ctx, j.exec, "the shell in "+name) }
	s.resize(term.Size) // engines before API 1.42 take no size at the start; without one the shell works, too
	return s, nil
}

// whichShell asks by a command in the container itself, so that one without a shell is told
// before the console makes room for it.
func (e *engine) whichShell(ctx context.Context, id, doing string) (string, error) {
	exec, err := call(ctx, e, doing, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (string, error) {
		made, err := cli.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: []string{"sh", "-c", whichSh}})
		if err != nil {
			return "", err
		}
		return made.ID, cli.ContainerExecStart(ctx, made.ID, container.ExecStartOptions{Detach: true})
	})
	none := e.h.say(doing, errors.New("its image has no shell"), "open one on the host, and look at the container from there")
	switch {
	case err != nil && (strings.Contains(err.Error(), "executable file not found") || strings.Contains(err.Error(), "no such file or directory")):
		return "", none
	case err != nil:
		return "", notRunning(err)
	}
	exit, err := e.execExit(ctx, exec, doing)
	switch {
	case err != nil:
		return "", err
	case exit == hasBash:
		return "bash", nil
	case exit == hasSh:
		return "sh", nil
	case exit == 126 || exit == 127: // of the runtime: it could not start sh
		return "", none
	}
	return "", e.h.say(doing, fmt.Errorf("asking for a shell ended with status %d", exit), "")
}

// notRunning adds what to do where the engine refuses a command in a container that does not run.
func notRunning(err error) error {
	var p *ops.Problem
	if errors.As(err, &p) && cerrdefs.IsConflict(err) {
		return &ops.Problem{Doing: p.Doing, Side: p.Side, Err: p.Err, Hint: "start its service first"}
	}
	return err
}

// execExit is the exit status of a command in a container. The engine says that it has ended a
// moment after its output has.
func (e *engine) execExit(ctx context.Context, exec, doing string) (int, error) {
	return call(ctx, e, doing, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (int, error) {
		beat := time.NewTicker(50 * time.Millisecond)
		defer beat.Stop()
		for {
			now, err := cli.ContainerExecInspect(ctx, exec)
			if err != nil || !now.Running {
				return now.ExitCode, err
			}
			select {
			case <-beat.C:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	})
}

// hijack starts a command in a container and takes over the connection. The Docker client would
// dial for that itself and past our transport, where the read-only gate is; the standard
// client hands the connection over where the server switches protocols.
func hijack(ctx context.Context, cli *client.Client, exec string, size *[2]uint) (io.ReadWriteCloser, error) {
	start := container.ExecStartOptions{Tty: true}
	if versions.GreaterThanOrEqualTo(cli.ClientVersion(), "1.42") {
		start.ConsoleSize = size
	}
	body, err := json.Marshal(start)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/v"+cli.ClientVersion()+"/exec/"+exec+"/start", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	resp, err := cli.HTTPClient().Do(req)
	if err != nil {
		return nil, err
	}
	if stream, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		return stream, nil
	}
	defer resp.Body.Close()
	var refused struct{ Message string }
	if text, _ := io.ReadAll(io.LimitReader(resp.Body, maxStderr)); json.Unmarshal(text, &refused) != nil || refused.Message == "" {
		refused.Message = strings.TrimSpace(resp.Status + " " + string(text))
	}
	if resp.StatusCode == http.StatusConflict {
		return nil, as(cerrdefs.ErrConflict, errors.New(refused.Message))
	}
	return nil, errors.New(refused.Message)
}
