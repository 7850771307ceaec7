package remote

import (
	"errors"
	"io"
	"strings"
	"testing"

	"tandem/ops"
)

// typist is an operator at a shell: what is typed goes in, what is said comes back as it comes.
type typist struct {
	t     *testing.T
	in    *io.PipeWriter
	said  *io.PipeReader
	sizes chan ops.TermSize
	ended chan error
	exit  int
	text  string
}

var small = ops.Terminal{Kind: "xterm-tandem", Size: ops.TermSize{Cols: 80, Rows: 24}}

func join(t *testing.T, s *Shell) *typist {
	in, typed := io.Pipe()
	said, out := io.Pipe()
	o := &typist{t: t, in: typed, said: said, sizes: make(chan ops.TermSize), ended: make(chan error, 1)}
	go func() {
		exit, err := s.Join(in, out, o.sizes)
		o.exit = exit
		o.ended <- err
		out.Close()
	}()
	t.Cleanup(func() { said.Close(); typed.Close() })
	return o
}

// types a line.
func (o *typist) types(line string) {
	o.t.Helper()
	if _, err := io.WriteString(o.in, line+"\r"); err != nil {
		o.t.Fatal(err)
	}
}

// sees reads until the text has come.
func (o *typist) sees(text string) {
	o.t.Helper()
	buf := make([]byte, 1024)
	for !strings.Contains(o.text, text) {
		n, err := o.said.Read(buf)
		o.text += string(buf[:n])
		if err != nil {
			o.t.Fatalf("%q never came: %v; what did:\n%s", text, err, o.text)
		}
	}
	o.text = o.text[strings.Index(o.text, text)+len(text):]
}

// ends waits for the end of the shell.
func (o *typist) ends() (int, error) {
	go io.Copy(io.Discard, o.said)
	err := <-o.ended
	return o.exit, err
}

func TestShellOnAHost(t *testing.T) {
	h, _ := inLab(t, "calm", ops.Blue)
	s, err := h.Shell(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	o := join(t, s)
	o.sees("$ ")
	o.types("stty size; echo kind=$TERM")
	o.sees("24 80\r\n")
	o.sees("kind=xterm-tandem")
	for range 2 { // once the second is taken, the first has been passed on
		o.sizes <- ops.TermSize{Cols: 132, Rows: 50}
	}
	o.types("cd /etc; pwd")
	o.sees("/etc\r\n")
	o.types("stty size")
	o.sees("50 132")
	o.types("exit 3")
	if exit, err := o.ends(); exit != 3 || err != nil {
		t.Errorf("ended with %d, %v", exit, err)
	}
	// The slot is free again.
	if s, err = h.Shell(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestShellInAContainer(t *testing.T) {
	for _, scenario := range []string{"calm", "incident"} { // engines 20.10 and 26.1
		h, _ := inLab(t, scenario, ops.Green)
		c := labContainer(t, h, "keycloak")
		s, err := h.ContainerShell(t.Context(), c.ID, c.Name, small)
		if err != nil {
			t.Fatal(err)
		}
		o := join(t, s)
		o.sees("/ # ")
		o.types("stty size; hostname; echo kind=$TERM")
		o.sees("24 80\r\n" + c.ID[:12])
		o.sees("kind=xterm-tandem")
		for range 2 {
			o.sizes <- ops.TermSize{Cols: 132, Rows: 50}
		}
		o.types("stty size; exit 4")
		o.sees("50 132")
		if exit, err := o.ends(); exit != 4 || err != nil {
			t.Errorf("ended with %d, %v", exit, err)
		}
	}
}

func labContainer(t *testing.T, h *Host, service string) ops.Container {
	t.Helper()
	list, err := labEngine(t, h).Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.Labels["com.docker.compose.service"] == service {
			return c
		}
	}
	t.Fatalf("no container of %s", service)
	return ops.Container{}
}

func TestShellsThatDoNotOpen(t *testing.T) {
	h, world := inLab(t, "calm", ops.Green)
	c := labContainer(t, h, "keycloak")
	world.NoShell("keycloak")
	_, err := h.ContainerShell(t.Context(), c.ID, c.Name, small)
	problem(t, err, nil, "opening a shell in "+c.Name+": its image has no shell", "open one on the host")
	if err := labEngine(t, h).Stop(t.Context(), c.ID, 0); err != nil {
		t.Fatal(err)
	}
	_, err = h.ContainerShell(t.Context(), c.ID, c.Name, small)
	problem(t, err, nil, "is not running", "start its service first")
	_, err = h.ContainerShell(t.Context(), "gone", "gone", small)
	problem(t, err, errNotFound, "", "")
	world.PowerOff()
	_, err = h.Shell(t.Context(), small)
	problem(t, err, ops.ErrUnreachable, "", "")
}

// A host, a container or a connection that goes away ends the shell with the reason.
func TestShellsThatBreakOff(t *testing.T) {
	h, world := inLab(t, "calm", ops.Green)
	c := labContainer(t, h, "keycloak")
	inside, err := h.ContainerShell(t.Context(), c.ID, c.Name, small)
	if err != nil {
		t.Fatal(err)
	}
	o := join(t, inside)
	o.sees("/ # ")
	if err := world.Kill("keycloak", 137); err != nil {
		t.Fatal(err)
	}
	o.ends() // with whatever status the command got

	s, err := h.Shell(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	o = join(t, s)
	o.sees("$ ")
	world.DropConnections()
	if _, err := o.ends(); !errors.Is(err, ops.ErrUnreachable) || !strings.Contains(err.Error(), "connection lost") {
		t.Errorf("ended with %v", err)
	}
}

// Read-only holds where shells are opened: nothing is sent.
func TestShellsAreRefusedInReadOnly(t *testing.T) {
	h, _ := inLab(t, "calm", ops.Green)
	c := labContainer(t, h, "keycloak")
	h.opt.ReadOnly = func() bool { return true }
	_, err := h.Shell(t.Context(), small)
	problem(t, err, ops.ErrReadOnly, "opening a shell on", "leave read-only")
	_, err = h.ContainerShell(t.Context(), c.ID, c.Name, small)
	problem(t, err, ops.ErrReadOnly, "opening a shell in", "leave read-only")
}
