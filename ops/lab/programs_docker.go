package lab

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// dockerCLI knows version, system dial-stdio and the compose plug-in where there is one.
func dockerCLI(c *call) int {
	switch {
	case len(c.args) == 0:
		return 0
	case c.args[0] == "--version" || c.args[0] == "-v":
		var r release
		c.h.with(func() { r = releases[c.h.engine.next] })
		c.say("Docker version %s, build %s\n", r.version, r.commit)
		return 0
	case c.args[0] == "compose" && c.h.has(composePlugin):
		next := *c
		next.args = c.args[1:]
		return next.compose(c.h.plugin)
	case c.args[0] == "compose":
		fmt.Fprintln(c.stderr, "docker: 'compose' is not a docker command.\nSee 'docker --help'")
		return 1
	}
	line := strings.Join(c.args, " ")
	var dial func(net.Conn)
	c.h.with(func() { dial = c.h.socket(c.user, socketPath) })
	if dial == nil {
		return c.noDaemon()
	}
	switch {
	case strings.HasSuffix(line, "system dial-stdio"):
		near, far := net.Pipe()
		dial(far)
		join(stdio{c.stdin, c.stdout}, near)
		return 0
	case c.args[0] == "version" || c.args[0] == "info":
		c.h.with(func() { c.say("%s\n", c.h.engine.release.version) })
		return 0
	}
	fmt.Fprintf(c.stderr, "docker: '%s' is not known here\n", line)
	return 1
}

// noDaemon tells the ways apart as the CLI does.
func (c *call) noDaemon() int {
	err := c.onFiles(false, func(f *files) error {
		n, err := f.find(socketPath, true)
		if err == nil && !c.user.may(n, 6) {
			fmt.Fprintln(c.stderr, "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied")
		} else {
			fmt.Fprintln(c.stderr, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
		}
		return nil
	})
	if err != nil {
		return 2
	}
	return 1
}

// stdio is a program's standard input and output as one connection. Closing it ends
// a read that waits on the input.
type stdio struct {
	in  io.Reader
	out io.Writer
}

func (s stdio) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s stdio) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s stdio) Close() error {
	if f, ok := s.in.(*os.File); ok {
		return f.SetReadDeadline(time.Unix(1, 0))
	}
	return nil
}
