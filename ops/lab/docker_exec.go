package lab

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// execution is a command in a container, beside its own.
type execution struct {
	id        string
	container *container
	args      []string
	env       []string
	tty       bool
	running   bool
	exit      *int
	terminal  *tty // nil: none
}

// NoShell makes the image of a service one without any shell, as distroless ones are.
func (h *Host) NoShell(service string) { h.with(func() { h.faults.noShell[service] = true }) }

func (d *docker) execCreate() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	var want struct {
		Tty bool
		Cmd []string
		Env []string
	}
	if err := d.body(&want); err != nil {
		return err
	}
	switch {
	case c.state != "running":
		return apiError{http.StatusConflict, "container " + c.id + " is not running"}
	case len(want.Cmd) == 0:
		return apiError{http.StatusBadRequest, "No exec command specified"}
	}
	x := &execution{id: d.h.w.newID(), container: c, args: want.Cmd, env: want.Env, tty: want.Tty}
	d.e.execs[x.id] = x
	d.reply(http.StatusCreated, obj{"Id": x.id})
	return nil
}

func (d *docker) execution() (*execution, error) {
	x := d.e.execs[d.r.PathValue("id")]
	if x == nil {
		return nil, apiError{http.StatusNotFound, "No such exec instance: " + d.r.PathValue("id")}
	}
	return x, nil
}

func (d *docker) execInspect() error {
	x, err := d.execution()
	if err != nil {
		return err
	}
	d.reply(http.StatusOK, obj{
		"ID": x.id, "Running": x.running, "ExitCode": x.exit, "ContainerID": x.container.id, "CanRemove": false, "OpenStdin": x.tty, "OpenStdout": x.tty,
		"ProcessConfig": obj{"tty": x.tty, "entrypoint": x.args[0], "arguments": x.args[1:]},
	})
	return nil
}

func (d *docker) execResize() error {
	x, err := d.execution()
	if err != nil {
		return err
	}
	rows, errRows := strconv.Atoi(d.r.URL.Query().Get("h"))
	cols, errCols := strconv.Atoi(d.r.URL.Query().Get("w"))
	switch {
	case errRows != nil || errCols != nil:
		return apiError{http.StatusBadRequest, "invalid size"}
	case !x.running || x.terminal == nil:
		return apiError{http.StatusInternalServerError, "cannot resize a stopped container: unknown"}
	}
	t := x.terminal
	d.h.w.mu.Unlock() // it writes to the client
	t.resize(cols, rows)
	d.h.w.mu.Lock()
	d.reply(http.StatusOK, nil)
	return nil
}

// execStart runs a command detached, or joins it with the connection.
func (d *docker) execStart() error {
	x, err := d.execution()
	if err != nil {
		return err
	}
	var want struct {
		Detach, Tty bool
		ConsoleSize [2]int
	}
	if err := d.body(&want); err != nil {
		return err
	}
	switch {
	case x.container.state != "running":
		return apiError{http.StatusConflict, "container " + x.container.id + " is not running"}
	case x.running || x.exit != nil:
		return apiError{http.StatusConflict, "exec command " + x.id + " is already running"}
	case !x.container.has(x.args[0]):
		return apiError{http.StatusBadRequest, fmt.Sprintf("OCI runtime exec failed: exec failed: unable to start container process: exec: %q: executable file not found in $PATH: unknown", x.args[0])}
	case want.Detach:
		x.running = true
		go x.run(context.Background())
		d.reply(http.StatusOK, nil)
		return nil
	}
	return d.execJoin(x, want.ConsoleSize)
}

// execJoin takes the connection over, as the engine does where a client asks to switch
// protocols. It ends with the shell, the container, the daemon or the client.
func (d *docker) execJoin(x *execution, size [2]int) error {
	if !x.tty || d.r.Header.Get("Upgrade") != "tcp" {
		return apiError{http.StatusNotImplemented, "the lab joins terminals alone"}
	}
	conn, buffered, err := http.NewResponseController(d.w).Hijack()
	if err != nil {
		return err
	}
	d.log.Status = http.StatusSwitchingProtocols
	x.running = true
	x.terminal = newTTY(struct {
		io.Reader
		io.Writer
	}{buffered, conn}, "", 80, 24)
	changed := x.container.changed.wait()
	d.h.w.mu.Unlock()
	defer d.h.w.mu.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // what ends the shell from outside closes its connection
		defer conn.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-d.run.over:
				return
			case <-changed:
			}
			over := false
			d.h.with(func() { over, changed = x.container.state != "running", x.container.changed.wait() })
			if over {
				return
			}
		}
	}()
	io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	x.terminal.resize(size[1], size[0])
	x.run(ctx)
	return nil
}

// run runs the command to its end. It expects that the lock is not held.
func (x *execution) run(ctx context.Context) {
	status := x.interpret(ctx)
	x.container.engine.host.with(func() { x.running, x.exit = false, &status })
}

func (x *execution) interpret(ctx context.Context) int {
	var out io.Writer = io.Discard
	if x.terminal != nil {
		out = x.terminal
	}
	r, err := x.interpreter(out)
	if err != nil {
		fmt.Fprintf(out, "sh: %v\n", err)
		return 2
	}
	if len(x.args) > 2 && x.args[1] == "-c" {
		file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(x.args[2]), "")
		if err != nil {
			return 2
		}
		return statusOf(r.Run(ctx, file), out)
	}
	if x.terminal == nil {
		return 0
	}
	return x.terminal.session(ctx, func() string { return "/ # " }, r, func(_ string, run func(context.Context) int) int { return run(ctx) })
}

// inside are the programs of an image.
var inside = []string{"sh", "hostname", "ps", "which", "stty", "ls"}

// has tells whether the image of a container has a program. It expects the lock.
func (c *container) has(name string) bool {
	s, ok := c.behaviour()
	return slices.Contains(inside, name) && !(ok && c.engine.host.faults.noShell[s.name])
}

// interpreter is a shell over the little that is in a container.
func (x *execution) interpreter(out io.Writer) (*interp.Runner, error) {
	env := append([]string{"HOME=/root", "PATH=/usr/local/bin:/usr/bin:/bin", "HOSTNAME=" + x.container.id[:12]}, x.env...)
	none := func(_ context.Context, name string, _ int, _ fs.FileMode) (io.ReadWriteCloser, error) {
		if name == "/dev/null" {
			return &openFile{Reader: strings.NewReader(""), write: func(p []byte) (int, error) { return len(p), nil }}, nil
		}
		return nil, pathError("open", name, syscall.ENOENT)
	}
	return interp.New(
		interp.Env(expand.ListEnviron(env...)), interp.Dir("/"), interp.StdIO(nil, out, out), interp.CallHandler(builtins), interp.OpenHandler(none),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, args []string) error {
				if status := x.program(ctx, interp.HandlerCtx(ctx).Stdout, args); status != 0 {
					return interp.ExitStatus(status)
				}
				return nil
			}
		}),
		interp.StatHandler(func(_ context.Context, name string, _ bool) (fs.FileInfo, error) {
			return nil, pathError("stat", name, syscall.ENOENT)
		}),
		interp.ReadDirHandler2(func(_ context.Context, name string) ([]fs.DirEntry, error) {
			return nil, pathError("open", name, syscall.ENOENT)
		}),
	)
}

func (x *execution) program(ctx context.Context, out io.Writer, args []string) int {
	switch {
	case args[0] == "which":
		if len(args) > 1 && slices.Contains(inside, args[1]) {
			fmt.Fprintf(out, "/bin/%s\n", args[1])
			return 0
		}
		return 1
	case args[0] == "hostname":
		fmt.Fprintf(out, "%s\n", x.container.id[:12])
	case args[0] == "ps":
		fmt.Fprintf(out, "PID   USER     COMMAND\n    1 root     %s\n   40 root     %s\n", x.container.name, x.args[0])
	case args[0] == "ls":
		fmt.Fprintln(out, "app  bin  etc  lib  tmp  usr")
	case args[0] == "stty":
		t, ok := ctx.Value(ttyKey{}).(*tty)
		if !ok {
			fmt.Fprintln(out, "stty: standard input: Not a tty")
			return 1
		}
		fmt.Fprintln(out, t.size())
	default:
		fmt.Fprintf(out, "sh: %s: not found\n", args[0])
		return 127
	}
	return 0
}
