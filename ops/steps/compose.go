package steps

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"tandem/ops"
)

// The labels that compose writes on containers (pkg/api/labels.go of docker/compose).
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelNumber  = "com.docker.compose.container-number"
	labelOneoff  = "com.docker.compose.oneoff"
)

// Compose is how compose is asked for a service on the host.
type Compose struct {
	Command   []string // docker compose, or docker-compose
	Project   string   `json:",omitempty"`
	Directory string   `json:",omitempty"` // the project's, on the host; relative files are found from it
	Files     []string `json:",omitempty"`
	EnvFile   string   `json:",omitempty"`
	Service   string   `json:",omitempty"` // as the compose files name it
}

// command is compose's command line for the project.
func (c Compose) command(verb ...string) []string {
	args := append([]string{}, c.Command...)
	args = append(args, "--project-name", c.Project, "--project-directory", c.Directory)
	for _, f := range c.Files {
		args = append(args, "-f", c.at(f))
	}
	if c.EnvFile != "" {
		args = append(args, "--env-file", c.at(c.EnvFile))
	}
	return append(args, verb...)
}

// up is the command that makes the containers of the service, n of them, and starts them
// unless they are to stay idle.
func (c Compose) up(n int, idle bool) []string {
	args := c.command("up", "--no-deps", "--no-build")
	if idle {
		args = append(args, "--no-start")
	} else {
		args = append(args, "-d")
	}
	if n > 1 {
		args = append(args, "--scale", c.Service+"="+strconv.Itoa(n))
	}
	return append(args, c.Service)
}

// at is a file as the labels of a container name it: compose before v2 wrote it relative.
func (c Compose) at(file string) string {
	if path.IsAbs(file) {
		return file
	}
	return path.Join(c.Directory, file)
}

// inDirectory runs its arguments in a directory, both outputs in one and in order: compose
// reports on standard error. cd sets PWD, too, which compose files may use.
//
// flock(1) on the directory lets one compose at a time work there. Two that start together
// would both make the project's network, and engines before 25 allow two of one name; and
// one whose runner was killed goes on without it.
const inDirectory = `cd "$1" && shift && exec flock . "$@" 2>&1`

// turns has a channel for each host that compose was run on, full while it runs there. Those
// that wait for the flock hold one of the few sessions of an SSH connection, and nothing else
// would get through: within this program they wait before they are sent.
var turns sync.Map

// turn waits until compose may be run on the host; release says that it has ended.
func turn(ctx context.Context, host ops.Host) (release func(), err error) {
	made, _ := turns.LoadOrStore(host, make(chan struct{}, 1))
	running := made.(chan struct{})
	select {
	case running <- struct{}{}:
		return func() { <-running }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another compose: %w", ctx.Err())
	}
}

// run runs compose in a directory of the host and passes on what it says. Where the user
// may not talk to the engine, it is run again as root.
func (c Compose) run(ctx context.Context, host ops.Host, dir string, args []string, stdin []byte, within time.Duration, say func(string)) error {
	release, err := turn(ctx, host)
	if err != nil {
		return err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for _, root := range []bool{false, true} {
		out := &lines{each: say}
		cmd := ops.Command{Args: append([]string{"sh", "-c", inDirectory, "sh", dir}, args...), Stdout: out, Mutates: true, Privileged: root}
		if stdin != nil {
			cmd.Stdin = bytes.NewReader(stdin)
		}
		_, err := host.Exec(limited, cmd)
		out.end()
		var exit *ops.ExitError
		switch {
		case err == nil:
			return nil
		case limited.Err() != nil && ctx.Err() == nil:
			return fmt.Errorf("%s: %w after %s", strings.Join(c.Command, " "), errTimeout, Words(within))
		case !errors.As(err, &exit):
			return fmt.Errorf("running %s: %w", strings.Join(c.Command, " "), err)
		case errors.Is(err, ops.ErrNotPermitted): // sudo's own refusal
			return err
		case root || !out.denied:
			return fmt.Errorf("%s ended with status %d: %s", strings.Join(c.Command, " "), exit.Status, clip(cmp.Or(out.last, strings.TrimSpace(exit.Stderr))))
		}
	}
	return nil
}

// lines passes on whole lines, and remembers the last one that tells something.
type lines struct {
	each   func(string)
	rest   []byte
	last   string
	broken bool // a Python traceback has begun: of it only the last line tells something
	denied bool // it was said that the engine or a file may not be reached
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexAny(l.rest, "\r\n")
		if i < 0 {
			return len(p), nil
		}
		l.line(string(l.rest[:i]))
		l.rest = l.rest[i+1:]
	}
}

func (l *lines) end() {
	l.line(string(l.rest))
	l.rest = nil
}

func (l *lines) line(text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	l.broken = l.broken || strings.HasPrefix(text, "Traceback (most recent call last)")
	if !l.broken {
		l.each(text)
	}
	// The packed docker-compose adds "[42] Failed to execute script docker-compose".
	if !strings.Contains(text, "Failed to execute script") {
		l.last = text
	}
	low := strings.ToLower(text)
	l.denied = l.denied || strings.Contains(low, "permission denied") || strings.Contains(low, "couldn't connect to docker daemon")
}

// clip shortens a line of a program for the journal.
func clip(line string) string {
	const most = 300
	if len(line) <= most {
		return line
	}
	return strings.ToValidUTF8(line[:most], "") + "..."
}
