package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/rig"
)

// e2e is one end-to-end test: the rig, calm at the beginning, and an operator's desk. What
// fails says with it what was on the screens, in the journals, in HAProxy and in docker.
type e2e struct {
	*testing.T
	*seat
	rig     *rig.Rig
	screens []*terminal
	typed   time.Time // see every
}

// seat is where an operator sits: a machine with its own journals.
type seat struct {
	operator, config, home string
	program                string // empty: this test binary, which acts as tandem
}

// slow is how long a whole operation may take on the rig, on a machine with other work.
const slow = 8 * time.Minute

// newE2E brings the rig to calm and writes a config for it.
func newE2E(t *testing.T, edits ...func(*rig.Settings)) *e2e {
	t.Helper()
	e := &e2e{T: t, rig: rig.Shared(t)}
	e.seat = e.sit("ada@desk1", edits...)
	return e
}

func (e *e2e) sit(operator string, edits ...func(*rig.Settings)) *seat {
	e.Helper()
	home := e.TempDir()
	config, err := e.rig.Config(home, edits...)
	if err != nil {
		e.T.Fatal(err)
	}
	return &seat{operator: operator, config: config, home: home}
}

func (s *seat) env() []string {
	return []string{
		"HOME=" + s.home, "XDG_STATE_HOME=" + filepath.Join(s.home, "state"), "TANDEM_OPERATOR=" + s.operator,
		"TANDEM_CONFIG=" + s.config, "SSH_AUTH_SOCK=", "NO_COLOR=",
	}
}

func (s *seat) stateDir() string { return filepath.Join(s.home, "state", "tandem") }

func (s *seat) runDir(id string) string { return journal.Dir(s.stateDir(), rig.Project, id) }

// runs are the runs recorded at this seat, latest first.
func (s *seat) runs() []ops.Run {
	runs, err := journal.List(s.stateDir(), rig.Project)
	if err != nil {
		return nil
	}
	return runs
}

// command is tandem, to be run at this seat.
func (s *seat) command(ctx context.Context, args ...string) *exec.Cmd {
	path := s.program
	if path == "" {
		path = self().Path
	}
	made := exec.CommandContext(ctx, path, args...)
	made.Args[0] = "tandem"
	made.Env = append(os.Environ(), s.env()...)
	return made
}

// tandem runs a command to its end and returns its exit code and all that it printed.
func (e *e2e) tandem(args ...string) (int, string) { e.Helper(); return e.at(e.seat, args...) }

func (e *e2e) at(s *seat, args ...string) (int, string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), slow)
	defer cancel()
	out, err := s.command(ctx, args...).CombinedOutput()
	return e.code(err, args, out), string(out)
}

func (e *e2e) code(err error, args []string, out []byte) int {
	e.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	}
	e.Fatalf("tandem %s: %v\n%s", strings.Join(args, " "), err, out)
	return -1
}

// exits runs a command that must end with the code and print the texts.
func (e *e2e) exits(want int, args []string, texts ...string) string {
	e.Helper()
	code, out := e.tandem(args...)
	if code != want {
		e.Fatalf("tandem %s: exit code %d, want %d:\n%s", strings.Join(args, " "), code, want, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			e.Fatalf("tandem %s does not say %q:\n%s", strings.Join(args, " "), text, out)
		}
	}
	return out
}

// console opens the console at this desk in a terminal of the design size.
func (e *e2e) console(args ...string) *terminal { e.Helper(); return e.consoleAt(e.seat, args...) }

func (e *e2e) consoleAt(s *seat, args ...string) *terminal {
	e.Helper()
	c := openTerminal(e, 120, 40, s.env(), args...)
	e.screens = append(e.screens, c)
	return c
}

// confirmed starts the plan of the dialog that is open, with y or, where one is asked for, by
// typing a name, and returns the run once the journal has it.
func (e *e2e) confirmed(c *terminal, name string) string {
	e.Helper()
	known := len(e.runs())
	if name != "" { // the first moments of the dialog swallow keys; ctrl+u, or a letter too many would stay
		c.insist("\x15"+name[:1], true, "to go on: "+name[:1])
		c.press(name[1:])
	}
	id := ""
	e.eventually("a run", patience, func() error {
		runs := e.runs()
		if len(runs) > known && !runs[0].Started.IsZero() {
			id = runs[0].ID
			return nil
		}
		if name == "" && e.every(500*time.Millisecond) {
			c.press("y") // swallowed while the dialog is new, without meaning once the run has begun
		}
		return errors.New("no new run is recorded")
	})
	return id
}

// every tells whether a key may be typed once more.
func (e *e2e) every(pause time.Duration) bool {
	if time.Since(e.typed) < pause {
		return false
	}
	e.typed = time.Now()
	return true
}

// back leaves the view of a run that is over. What is typed next must not come with the
// escape, or the two are one key.
func (e *e2e) back(c *terminal) {
	e.Helper()
	c.see("done in")
	c.press("esc")
	c.see("tab side")
}

// ended waits until the run has ended and returns it.
func (e *e2e) ended(id string, want ops.Outcome) ops.Run {
	e.Helper()
	var run ops.Run
	e.eventually("the end of run "+id, slow, func() error {
		events, err := journal.Read(e.runDir(id))
		if err != nil {
			return err
		}
		if run = ops.Replay(events); run.Ended.IsZero() {
			return errors.New("it goes on")
		}
		return nil
	})
	if run.Outcome != want {
		e.Fatalf("run %s ended %s, want %s", id, run.Outcome, want)
	}
	return run
}

// eventually waits for a state, asked for ten times a second.
func (e *e2e) eventually(what string, limit time.Duration, ask func() error) {
	e.Helper()
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-beat.C:
		case <-deadline.C:
			e.Fatalf("waited %s for %s: %v", limit, what, err)
		case <-e.Context().Done():
			e.Fatalf("waiting for %s: %v", what, e.Context().Err())
		}
	}
}

// Fatalf ends the test and says what the world looks like.
func (e *e2e) Fatalf(format string, args ...any) {
	e.Helper()
	e.dump()
	e.T.Fatalf(format, args...)
}

// Errorf marks the test as failed; the first time it says what the world looks like.
func (e *e2e) Errorf(format string, args ...any) {
	e.Helper()
	if !e.Failed() {
		e.dump()
	}
	e.T.Errorf(format, args...)
}

func (e *e2e) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%v", err)
	}
}

// dump writes everything there is to see into the test's log.
func (e *e2e) dump() {
	e.Helper()
	for i, c := range e.screens {
		text, _ := c.text()
		e.Logf("screen %d:\n%s", i+1, text)
	}
	for _, run := range e.runs() {
		events, err := journal.Read(e.runDir(run.ID))
		var lines strings.Builder
		for _, ev := range events {
			if ev.Kind != ops.EvRecord && ev.Kind != ops.EvStarted {
				fmt.Fprintf(&lines, "%s %-12s %-22s %s %.300s\n", ev.At.UTC().Format("15:04:05.000"), ev.Kind, ev.Step, ev.Text, ev.Data)
			}
		}
		e.Logf("run %s, %s: %v\n%s", run.ID, run.Plan.Title, err, lines.String())
	}
	status, err := e.rig.HAProxyStatus()
	e.Logf("HAProxy: %v, %v", status, err)
	for _, side := range ops.Sides {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.Context()), 10*time.Second)
		out, err := e.rig.Side(string(side)).Exec(ctx, "sh", "-c", `curl -s --unix-socket /run/docker.sock 'http://docker/containers/json?all=1' | tr '{' '\n' | grep -o '"\(Names\|Image\|State\|Status\)":[^,]*'`)
		cancel()
		e.Logf("containers on %s: %v\n%s", side, err, out)
	}
}

// servers are HAProxy's words for one side, the same in every backend, or all of them.
func (e *e2e) server(side ops.Side) string {
	e.Helper()
	status, err := e.rig.HAProxyStatus()
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, backend := range rig.Backends {
		words = append(words, status[backend+"/"+string(side)])
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " and ")
}

// isServer waits until HAProxy has the word for the side.
func (e *e2e) isServer(side ops.Side, want string) {
	e.Helper()
	e.eventually(string(side)+" to be "+want, patience, func() error {
		if now := e.server(side); now != want {
			return fmt.Errorf("HAProxy says %s", now)
		}
		return nil
	})
}

// container is what docker says of one.
type container struct {
	ID      string
	Created time.Time
	Image   string // the id
	Config  struct{ Image string }
	State   struct {
		Status    string
		StartedAt time.Time
	}
	NetworkSettings struct {
		Networks map[string]struct{ NetworkID, IPAddress string }
	}
}

// containers are those of the services of a side, by service, as the engine tells them.
func (e *e2e) containers(side ops.Side) map[string]container {
	e.Helper()
	var names, paths []string
	for _, s := range e.rig.Services {
		if s.On(string(side)) && !s.Job {
			names = append(names, s.Name)
			paths = append(paths, "/containers/"+s.Container()+"/json")
		}
	}
	all := map[string]container{}
	answers := e.engine(side, paths...)
	for _, name := range names {
		var c container
		e.must(answers.Decode(&c))
		all[name] = c
	}
	return all
}

// engine asks the engine of a side on its own socket, from inside the host: an upgrade of
// docker.io takes the docker command away. The answers follow each other.
func (e *e2e) engine(side ops.Side, paths ...string) *json.Decoder {
	e.Helper()
	args := []string{"curl", "--silent", "--show-error", "--unix-socket", "/run/docker.sock"}
	for _, path := range paths {
		args = append(args, "http://docker"+path)
	}
	out, err := e.rig.Side(string(side)).Exec(e.Context(), args...)
	e.must(err)
	return json.NewDecoder(strings.NewReader(out))
}

// watching is the unit on a host that writes down what its engine does. The engine itself
// remembers its last 256 events only, and every health check is some of them.
const watching = "tandem-test-events"

// watch begins to write down the events of containers on both hosts that change something.
func (e *e2e) watch() {
	e.Helper()
	for _, side := range ops.Sides {
		host := e.rig.Side(string(side))
		args := []string{"systemd-run", "--quiet", "--collect", "--unit", watching, "--property", "StandardOutput=truncate:/run/" + watching,
			"docker", "events", "--format", `{{.TimeNano}} {{index .Actor.Attributes "name"}} {{.Action}}`}
		for _, kind := range []string{"create", "start", "restart", "stop", "kill", "die", "destroy", "rename", "update", "pause", "import", "untag", "delete"} {
			args = append(args, "--filter", "event="+kind)
		}
		_, err := host.Exec(e.Context(), args...)
		e.must(err)
		e.Cleanup(func() {
			// A host that was rebooted has no such unit any more.
			_, _ = host.Exec(context.WithoutCancel(e.Context()), "systemctl", "stop", watching)
		})
	}
}

// acts are the times of the events since watch, by container; of one kind, or of all.
func (e *e2e) acts(side ops.Side, kind string) map[string][]time.Time {
	e.Helper()
	out, err := e.rig.Side(string(side)).Exec(e.Context(), "cat", "/run/"+watching)
	e.must(err)
	acts := map[string][]time.Time{}
	for line := range strings.Lines(out) {
		var nano int64
		var name, action string
		if _, err := fmt.Sscan(line, &nano, &name, &action); err != nil {
			e.Fatalf("an event on %s: %q", side, line)
		}
		if kind == "" || kind == action {
			acts[name] = append(acts[name], time.Unix(0, nano))
		}
	}
	return acts
}

// lossless ends the load and checks that every request was answered.
func (e *e2e) lossless(load *rig.Load) rig.LoadSums {
	e.Helper()
	sums := load.Stop()
	e.Logf("%d requests from blue and %d from green in %s, %d failed, %d late", sums.OK[rig.Blue], sums.OK[rig.Green],
		sums.End.Sub(sums.Begin).Round(time.Second), sums.Failed, sums.Late)
	if sums.Failed > 0 {
		e.Errorf("%d requests failed: %v", sums.Failed, sums.Failures[:min(20, len(sums.Failures))])
	}
	for _, side := range slices.Sorted(maps.Keys(sums.OK)) {
		if sums.OK[side] == 0 {
			e.Errorf("%s answered nothing", side)
		}
	}
	return sums
}

// unlocked checks that no mark is left on either host.
func (e *e2e) unlocked() {
	e.Helper()
	for _, side := range ops.Sides {
		if out, err := e.rig.Side(string(side)).Exec(e.Context(), "sh", "-c", "test ! -e /var/lib/tandem/lock || cat /var/lib/tandem/lock/owner.json"); err != nil || out != "" {
			e.Errorf("a lock on %s: %s, %v", side, out, err)
		}
	}
}
