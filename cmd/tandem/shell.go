package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/muesli/cancelreader"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/ops"
	"tandem/ops/remote"
	"tandem/tui"
)

func newShell(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use: "shell SIDE [SERVICE]", Short: "A shell on a host, or in a container", Args: cobra.RangeArgs(1, 2),
		Long: `shell opens the login shell on the host of a side, or bash (else sh) in a container of a service there,
over the connection that the config describes. What is typed there is not guarded, and nobody can take it
back: with --read-only it is refused.`,
		Example: "  tandem shell green\n  tandem shell green keycloak",
		RunE: func(cmd *cobra.Command, args []string) error {
			side, err := ops.ParseSide(args[0])
			switch {
			case err != nil:
				return &codeError{exitUsage, err}
			case g.present:
				return usagef("a shell cannot be masked: leave --present out")
			case !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())):
				return usagef("a shell needs a terminal; for a single command use ssh")
			}
			s, err := open(g)
			if err != nil {
				return err
			}
			defer s.close()
			return s.runShell(cmd, side, args[1:])
		},
	}
	cmd.ValidArgsFunction = completeService(g)
	return cmd
}

func (s *session) runShell(cmd *cobra.Command, side ops.Side, service []string) error {
	ctx := cmd.Context()
	name := ""
	var snap ops.Snapshot
	if len(service) > 0 {
		name, snap = service[0], s.glance(ctx)
	}
	log := s.timeline()
	var unsaved error
	sh, err := s.openShell(ctx, &snap, side, name, func(text string) {
		unsaved = log.Add(ops.Moment{At: time.Now(), Kind: ops.MomentShell, Side: side, Who: operator(), Text: safe(text)})
	})
	if err != nil {
		return err
	}
	defer sh.Close()
	if held, err := s.locker.Held(ctx); err == nil && firstLock(held) != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "tandem: a run is under way, and what is done in a shell may cross it: %s\n", safe(lockWords(*firstLock(held), time.Now())))
	}
	sh.SetStdin(cmd.InOrStdin())
	sh.SetStdout(cmd.OutOrStdout())
	if err := sh.Run(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "tandem: %s closed, exit status %d\n", safe(sh.Title()), sh.Exit())
	if unsaved != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "tandem: it is not on the timeline: %s\n", safe(unsaved.Error()))
	}
	if sh.Exit() != 0 {
		return &codeError{exitFailed, nil}
	}
	return nil
}

// shell is an open shell, to be joined with the operator's terminal by Run.
type shell struct {
	remote *remote.Shell
	title  string // "shell on BLUE", "shell in tis_tcs_1 on BLUE"
	where  string // "on the host", "in tis_tcs_1"
	in     io.Reader
	out    io.Writer
	exit   int
	tell   func(text string) // for the timeline
}

// openShell opens a shell on the host of a side or, with a service, in a container of it. What
// cannot be opened is told before the terminal is touched.
func (s *session) openShell(ctx context.Context, snap *ops.Snapshot, side ops.Side, service string, tell func(string)) (*shell, error) {
	host, sh := s.hosts[side], &shell{in: os.Stdin, out: os.Stdout, tell: tell}
	terminal := ops.Terminal{Kind: os.Getenv("TERM"), Size: sizeOf(os.Stdout)}
	var err error
	if service == "" {
		sh.title, sh.where = "shell on "+side.Upper(), "on the host"
		sh.remote, err = host.Shell(ctx, terminal)
	} else {
		var c ops.Container
		if c, err = containerFor(snap, side, service); err == nil {
			sh.title, sh.where = "shell in "+c.Name+" on "+side.Upper(), "in "+c.Name
			sh.remote, err = host.ContainerShell(ctx, c.ID, c.Name, terminal)
		}
	}
	if err != nil {
		return nil, err
	}
	return sh, nil
}

// containerFor is the container of a service, or of a job, in which a shell is wanted: one that
// runs, if there is one.
func containerFor(snap *ops.Snapshot, side ops.Side, service string) (ops.Container, error) {
	list := snap.On(side).Containers(service)
	if i := slices.IndexFunc(list, func(c ops.Container) bool { return c.State == "running" }); i >= 0 {
		return list[i], nil
	}
	doing := "opening a shell in " + service
	switch look := snap.On(side).Engine; {
	case len(list) > 0:
		return ops.Container{}, &ops.Problem{Doing: doing, Side: side, Err: fmt.Errorf("its container is %s", list[0].State), Hint: "start it first, or open a shell on the host"}
	case look.Err != nil:
		return ops.Container{}, look.Err
	}
	return ops.Container{}, &ops.Problem{Doing: doing, Side: side, Err: fmt.Errorf("no container of %s is on %s", service, side), Hint: "tandem status lists what is there"}
}

func (s *shell) Title() string          { return s.title }
func (s *shell) Exit() int              { return s.exit }
func (s *shell) SetStdin(in io.Reader)  { s.in = in }
func (s *shell) SetStdout(to io.Writer) { s.out = to }
func (s *shell) SetStderr(io.Writer)    {} // a terminal has one output
func (s *shell) Close()                 { s.remote.Close() }

// Run joins the terminal with the shell until it ends. The terminal is raw meanwhile: every key
// goes to the other end, ctrl+c, too.
func (s *shell) Run() error {
	in, ok := s.in.(*os.File)
	if !ok {
		in = os.Stdin
	}
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return &ops.Problem{Doing: "opening the " + s.title, Err: fmt.Errorf("making the terminal raw: %w", err), Hint: "start tandem in a terminal"}
	}
	defer term.Restore(int(in.Fd()), state)
	keys, stop, err := keyboard(in)
	if err != nil {
		return &ops.Problem{Doing: "opening the " + s.title, Err: fmt.Errorf("reading the terminal: %w", err)}
	}
	defer stop()
	sizes, stopSizes := watchSize(os.Stdout)
	defer stopSizes()
	fmt.Fprintf(s.out, "tandem: %s; exit or ctrl+d comes back\r\n", safe(s.title))
	by, began := operator(), time.Now()
	s.tell(fmt.Sprintf("shell %s opened by %s", s.where, by))
	s.exit, err = s.remote.Join(keys, s.out, sizes)
	end := fmt.Sprintf("exit status %d", s.exit)
	if err != nil {
		end = "broken off"
	}
	s.tell(fmt.Sprintf("shell %s of %s closed after %s, %s", s.where, by, time.Since(began).Round(time.Second), end))
	return err
}

// keyboard reads the terminal until stop, which waits for its end: the key after that is the
// console's again.
func keyboard(in *os.File) (keys io.Reader, stop func(), err error) {
	reader, err := cancelreader.NewReader(in)
	if err != nil {
		return nil, nil, err
	}
	out, into := io.Pipe()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, err := io.Copy(into, reader)
		into.CloseWithError(err)
	}()
	return out, func() {
		out.Close()
		reader.Cancel()
		<-over
		reader.Close()
	}, nil
}

// watchSize tells the size of the terminal now and whenever it changes.
func watchSize(out *os.File) (<-chan ops.TermSize, func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	sizes, done := make(chan ops.TermSize), make(chan struct{})
	go func() {
		for {
			select {
			case sizes <- sizeOf(out):
			case <-done:
				return
			}
			select {
			case <-changed:
			case <-done:
				return
			}
		}
	}()
	return sizes, func() {
		signal.Stop(changed)
		close(done)
	}
}

// sizeOf is the size of a terminal; that of old ones where it does not say.
func sizeOf(out *os.File) ops.TermSize {
	cols, rows, err := term.GetSize(int(out.Fd()))
	if err != nil || cols <= 0 || rows <= 0 {
		return ops.TermSize{Cols: 80, Rows: 24}
	}
	return ops.TermSize{Cols: cols, Rows: rows}
}

// Shell opens a shell for the console.
func (b *backend) Shell(ctx context.Context, side ops.Side, service string) (tui.Shell, error) {
	if b.ReadOnly() { // the hosts refuse it, too
		return nil, &ops.Problem{Doing: "opening a shell", Side: side, Err: ops.ErrReadOnly, Hint: "leave read-only mode first"}
	}
	snap := b.Snapshot()
	sh, err := b.s.openShell(ctx, &snap, side, service, func(text string) {
		b.happened(ops.Moment{Kind: ops.MomentShell, Side: side, Who: operator(), Text: text}) // what cannot be saved is told on the timeline
	})
	if err != nil {
		return nil, err
	}
	return sh, nil
}
