package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// run runs a command line as the login shell would and returns its exit status.
func (h *Host) run(ctx context.Context, u user, from net.Addr, line string, stdin io.Reader, stdout, stderr io.Writer) int {
	return h.recorded(ctx, u, from, line, func(ctx context.Context) int { return h.fed(ctx, u, line, stdin, stdout, stderr) })
}

// recorded runs what was asked for, and takes note of it, of its end, and of whether it changed
// anything.
func (h *Host) recorded(ctx context.Context, u user, from net.Addr, line string, run func(context.Context) int) int {
	var log *Request
	var before int
	var hang bool
	h.with(func() {
		log = h.w.record(Request{Side: h.side, Wire: "exec", User: u.name, From: from.String(), What: line})
		before, hang = h.changes, h.faults.hangCommands
	})
	if hang {
		<-ctx.Done()
		return 255
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, commandKey{}, command{log, from}))
	defer cancel()
	var life context.Context
	h.with(func() { life = h.ctx })
	defer context.AfterFunc(life, cancel)() // a command ends with the machine
	status := run(ctx)
	h.with(func() {
		log.Status = status
		log.Mutating = h.changes != before
	})
	return status
}

// command is what a program is run for.
type command struct {
	log  *Request
	from net.Addr
}

type commandKey struct{}

// changed notes that a program changes something. It expects the lock.
func (h *Host) changed(ctx context.Context) {
	h.changes++
	if c, ok := ctx.Value(commandKey{}).(command); ok {
		r := *c.log
		r.Mutating = true
		h.w.changing(r)
	}
}

// fed runs a command line with what comes from the client.
func (h *Host) fed(ctx context.Context, u user, line string, stdin io.Reader, stdout, stderr io.Writer) int {
	if h.w.loop != nil {
		return h.shell(ctx, u, line, "", nil, stdin, stdout, stderr)
	}
	// The interpreter wants a file to read from, and one that is closed at the end.
	in, feed, err := os.Pipe()
	if err != nil {
		fmt.Fprintf(stderr, "sh: %v\n", err)
		return 2
	}
	defer in.Close()
	go func() {
		defer feed.Close()
		io.Copy(feed, stdin) // ends with the session, or when the command no longer reads
	}()
	return h.shell(ctx, u, line, "", nil, in, stdout, stderr)
}

// shell interprets a script with arguments, as a user, over the host's files.
func (h *Host) shell(ctx context.Context, u user, script, name string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), name)
	if err != nil {
		fmt.Fprintf(stderr, "sh: %v\n", err)
		return 2
	}
	reads := func(in io.Reader) io.Reader { return in }
	if h.w.loop != nil {
		// A wait on a file of the machine is no wait in a bubble of testing/synctest: programs
		// read what the client sends themselves, and the shell's own `read` has nothing.
		null, err := os.Open(os.DevNull)
		if err != nil {
			fmt.Fprintf(stderr, "sh: %v\n", err)
			return 2
		}
		defer null.Close()
		sent := stdin
		stdin = null
		reads = func(in io.Reader) io.Reader {
			if in == io.Reader(null) {
				return sent
			}
			return in
		}
	}
	r, err := h.interpreter(u, nil, args, reads, stdin, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "sh: %v\n", err)
		return 2
	}
	return statusOf(r.Run(ctx, file), stderr)
}

// statusOf is the exit status that a run of the interpreter ended with.
func statusOf(err error, stderr io.Writer) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(stderr, "sh: %v\n", err)
	return 2
}

// interpreter is a shell of a user over the host's files; more are variables beyond the usual.
func (h *Host) interpreter(u user, more, args []string, reads func(io.Reader) io.Reader, stdin io.Reader, stdout, stderr io.Writer) (*interp.Runner, error) {
	variables := append([]string{
		"HOME=" + u.home, "USER=" + u.name, "LOGNAME=" + u.name, "SHELL=/bin/sh", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		fmt.Sprintf("UID=%d", u.uid), fmt.Sprintf("EUID=%d", u.uid), fmt.Sprintf("GID=%d", groupIDs[u.groups[0]]),
	}, more...)
	if u.from != "" {
		variables = append(variables, "SSH_CONNECTION="+u.from, "SSH_CLIENT="+u.from)
	}
	env := expand.ListEnviron(variables...)
	r, err := interp.New(
		interp.Env(env), interp.Dir("/"), interp.Params(append([]string{"--"}, args...)...), interp.StdIO(stdin, stdout, stderr),
		interp.CallHandler(builtins),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, args []string) error { return h.exec(ctx, u, args, reads) }
		}),
		interp.OpenHandler(func(ctx context.Context, name string, flag int, mode fs.FileMode) (io.ReadWriteCloser, error) {
			return h.open(ctx, u, absolute(interp.HandlerCtx(ctx).Dir, name), flag, mode)
		}),
		interp.StatHandler(func(ctx context.Context, name string, follow bool) (info fs.FileInfo, err error) {
			h.with(func() {
				var n *node
				if n, err = h.files.find(name, follow); err == nil {
					info = n.info()
				}
			})
			return info, pathError("stat", name, err)
		}),
		interp.AccessHandler(func(ctx context.Context, name string, mode interp.AccessMode) (err error) {
			h.with(func() {
				var n *node
				if n, err = h.files.find(name, true); err == nil && !u.may(n, fs.FileMode(mode)) {
					err = syscall.EACCES
				}
			})
			return pathError("access", name, err)
		}),
		interp.ReadDirHandler2(func(ctx context.Context, name string) (list []fs.DirEntry, err error) {
			h.with(func() {
				var n *node
				if n, err = h.files.find(name, true); err == nil {
					for _, e := range n.sorted() {
						list = append(list, fs.FileInfoToDirEntry(e.info()))
					}
				}
			})
			return list, pathError("open", name, err)
		}),
	)
	if err != nil {
		return nil, err
	}
	r.Dir = u.home
	return r, nil
}

// builtins keeps those of the interpreter that would look at the machine's own disk away
// from it: they become programs of the lab.
func builtins(_ context.Context, args []string) ([]string, error) {
	switch args[0] {
	case "command":
		if len(args) > 2 && args[1] == "-v" {
			return append([]string{"which"}, args[2:]...), nil
		}
		if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			return args[1:], nil
		}
	case "cd": // the interpreter's does not know where options end
		if len(args) > 1 && args[1] == "--" {
			return append([]string{"cd"}, args[2:]...), nil
		}
	case "umask": // files made by a redirection are 0644 here, whatever the mask
		return []string{"true"}, nil
	case "type", "source", ".", "hash", "kill":
		return append([]string{"/lab/" + args[0]}, args[1:]...), nil
	}
	return args, nil
}

func absolute(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// open opens a file of the host for a redirection.
func (h *Host) open(ctx context.Context, u user, name string, flag int, mode fs.FileMode) (io.ReadWriteCloser, error) {
	if name == "/dev/null" {
		return &openFile{Reader: strings.NewReader(""), write: func(p []byte) (int, error) { return len(p), nil }}, nil
	}
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		data, err := h.files.content(u, name)
		if err != nil {
			return nil, pathError("open", name, err)
		}
		return &openFile{Reader: bytes.NewReader(data)}, nil
	}
	n, err := h.files.write(u, name, fileFlags{create: flag&os.O_CREATE != 0, exclusive: flag&os.O_EXCL != 0, truncate: flag&os.O_TRUNC != 0}, mode)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	h.changed(ctx)
	return &openFile{Reader: strings.NewReader(""), write: func(p []byte) (int, error) {
		h.with(func() { n.data = append(n.data, p...) })
		return len(p), nil
	}}, nil
}

// call is a program being run.
type call struct {
	ctx    context.Context
	h      *Host
	user   user
	dir    string
	args   []string // without the program's name
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	flush  func() // writes what is held back; nil: nothing is
}

// exec finds a program and runs it.
func (h *Host) exec(ctx context.Context, u user, args []string, reads func(io.Reader) io.Reader) error {
	hc := interp.HandlerCtx(ctx)
	stdin := reads(hc.Stdin)
	if f, ok := stdin.(*os.File); ok && f == nil {
		stdin = strings.NewReader("")
	}
	c := &call{ctx: ctx, h: h, user: u, dir: hc.Dir, args: args[1:], stdin: stdin, stdout: hc.Stdout, stderr: hc.Stderr}
	if status := c.program(args[0]); status != 0 {
		return interp.ExitStatus(status)
	}
	return nil
}

func (c *call) program(name string) int {
	if c.ctx.Err() != nil {
		return 143 // nothing begins on a machine that went down
	}
	if name == composePlugin && c.h.has(name) {
		return c.compose(c.h.plugin)
	}
	run, ok := programs[path.Base(name)]
	if !ok || !c.h.has(name) {
		c.complain("sh", "%s: not found", name)
		return 127
	}
	return run(c)
}

// has tells whether the host has a program: those that come and go with a package are
// files in the usual places, the others are always there.
func (h *Host) has(name string) bool {
	base := path.Base(name)
	dir := path.Dir(name)
	switch {
	case name == composePlugin:
		return h.plugin != ""
	case base == "docker-compose":
		return h.compose != ""
	case base == "docker":
		return h.hasDocker()
	}
	return dir == "." || dir == "/bin" || dir == "/usr/bin" || dir == "/sbin" || dir == "/usr/sbin" || dir == "/usr/local/bin"
}

func (c *call) complain(who, format string, args ...any) {
	fmt.Fprintf(c.stderr, who+": "+format+"\n", args...)
}

func (c *call) say(format string, args ...any) { fmt.Fprintf(c.stdout, format, args...) }

func (c *call) path(name string) string { return absolute(c.dir, name) }

// options takes the flags off the front: single letters, those in valued with a value.
func (c *call) options(valued string) (flags map[string]string, rest []string) {
	flags = map[string]string{}
	args := c.args
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "--":
			return flags, args[1:]
		case strings.HasPrefix(a, "--"):
			key, value, _ := strings.Cut(a[2:], "=")
			flags[key] = value
			args = args[1:]
			continue
		case len(a) < 2 || a[0] != '-':
			return flags, args
		}
		args = args[1:]
		for i := 1; i < len(a); i++ {
			letter := a[i : i+1]
			if !strings.Contains(valued, letter) {
				flags[letter] = ""
				continue
			}
			value := a[i+1:]
			if value == "" && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			flags[letter] = value
			break
		}
	}
	return flags, nil
}

func has(flags map[string]string, names ...string) bool {
	for _, n := range names {
		if _, ok := flags[n]; ok {
			return true
		}
	}
	return false
}

// errText is an error in the words of libc.
func errText(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		text := no.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// onFiles works on the host's files; a change counts.
func (c *call) onFiles(change bool, f func(*files) error) error {
	c.h.w.mu.Lock()
	defer c.h.w.mu.Unlock()
	if c.ctx.Err() != nil {
		return syscall.EIO // the host went down in the middle of this
	}
	err := f(c.h.files)
	if change && err == nil {
		c.h.changed(c.ctx)
	}
	return err
}

var programs map[string]func(*call) int

func init() {
	// Filled here because sudo and sh lead back to this table.
	programs = map[string]func(*call) int{}
	maps.Copy(programs, filePrograms)
	maps.Copy(programs, systemPrograms)
	for name, run := range programs {
		if !slices.Contains(streaming, name) {
			programs[name] = late(run)
		}
	}
}
