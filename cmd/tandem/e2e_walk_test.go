package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/rig"
)

// TestE2EWalkthrough is a whole maintenance window in one console, with traffic through
// HAProxy the whole time: drain green, restart all of it, put it back, and bring a service
// back to an earlier image. No request may fail, and HAProxy, docker and the journals must
// tell the same story.
func TestE2EWalkthrough(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	load := e.rig.Load(e.Context(), 40)
	c := e.console()
	c.see("2 of 2 in service", "7/7 ready", "8/8 ready", "read-write")
	c.press("tab")

	e.walkDrain(c)
	e.walkRestart(c)
	e.walkPutBack(c)
	e.walkRollback(c)

	sums := e.lossless(load)
	if sums.Last[rig.Blue].Sub(sums.Last[rig.Green]) > time.Second {
		e.Errorf("green's last answer was at %s, blue's at %s: it is not back", sums.Last[rig.Green], sums.Last[rig.Blue])
	}
	e.unlocked()
	if runs := e.runs(); len(runs) != 4 {
		e.Errorf("%d runs are recorded", len(runs))
	}
	c.press("q")
	if code := c.exited(); code != 0 {
		e.Errorf("the console ended with %d", code)
	}
}

// overTCP reaches HAProxy by its address, which is short enough to be read in a dialog.
func overTCP(s *rig.Settings) { s.Socket = "tcp://10.213.77.1:9999" }

func (e *e2e) walkDrain(c *terminal) {
	e.Helper()
	c.press("d")
	c.see("BLUE serves alone until GREEN is put back.", "GREEN gets no new traffic; its", "20 s to end, then they are cut off.",
		"generic-upload and ndw-etl are only on GREEN", "BLUE: 7 of 7 services ready", "set server tis/green state drain",
		"set server tis-api/green state maint", "traffic: yes, exactly as it is now", "to go on", "Cancel")
	held := e.hold(e.Context(), 12, 8*time.Second)
	e.eventually("sessions on green", patience, e.sessions(ops.Green, 3))
	id := e.confirmed(c, "")
	c.see("draining")
	e.isServer(ops.Green, "DRAIN")
	run := e.ended(id, ops.OutcomeDone)
	if lost := held(); len(lost) > 0 {
		e.Errorf("sessions were cut off by the drain: %v", lost)
	}
	e.isServer(ops.Green, "MAINT")
	drain := step(e, &run, "drain")
	if !slices.ContainsFunc(run.Lines, func(l ops.RunLine) bool { return strings.Contains(l.Text, "sessions left") }) {
		e.Errorf("the journal tells nothing of the sessions: %+v", run.Lines)
	}
	// HAProxy's own clock: it changed within the step.
	if changed := e.changed(ops.Green); changed.Before(drain.Started.Add(-2*time.Second)) || changed.After(drain.Ended.Add(2*time.Second)) {
		e.Errorf("HAProxy changed green at %s, the journal drained it from %s to %s", changed, drain.Started, drain.Ended)
	}
	e.back(c)
	c.see("1 of 2 in service", "○ out")
}

func (e *e2e) walkRestart(c *terminal) {
	e.Helper()
	before, blue := e.containers(ops.Green), e.containers(ops.Blue)
	c.press("r")
	c.see("GREEN is out and stays out: traffic does not change.", "8 services of GREEN restart in start order", "to go on")
	run := e.ended(e.confirmed(c, ""), ops.OutcomeDone)
	e.inOrder(&run, before, ops.Green)
	for name, now := range e.containers(ops.Blue) {
		if !now.State.StartedAt.Equal(blue[name].State.StartedAt) {
			e.Errorf("%s on blue was started anew", name)
		}
	}
	if now := e.server(ops.Green); now != "MAINT" {
		e.Errorf("green is %s after the restart", now)
	}
	e.back(c)
	c.see("8/8 ready")
}

// inOrder proves from docker's times and the journal's that all services of the side were
// started anew, each only when those it comes after were ready, and each was ready when
// its step was done.
func (e *e2e) inOrder(run *ops.Run, before map[string]container, side ops.Side) {
	e.Helper()
	after := e.containers(side)
	for _, s := range e.rig.Services {
		if !s.On(string(side)) || s.Job {
			continue
		}
		own := step(e, run, "restart-"+s.Name)
		started := after[s.Name].State.StartedAt
		if !started.After(before[s.Name].State.StartedAt) {
			e.Errorf("%s was not started anew", s.Name)
		}
		if started.Before(own.Started) || started.After(own.Ended) {
			e.Errorf("docker started %s at %s, its step went from %s to %s", s.Name, started, own.Started, own.Ended)
		}
		for _, name := range s.After {
			if need := step(e, run, "restart-"+name); started.Before(need.Ended) {
				e.Errorf("%s started at %s, before %s was ready at %s", s.Name, started, name, need.Ended)
			}
		}
		e.Logf("%-16s started %s, ready %s", s.Name, started.UTC().Format("15:04:05.000"), own.Ended.UTC().Format("15:04:05.000"))
	}
}

func (e *e2e) walkPutBack(c *terminal) {
	e.Helper()
	c.press("u")
	c.see("Put back", "set server tis/green state ready", "to go on")
	run := e.ended(e.confirmed(c, ""), ops.OutcomeDone)
	e.isServer(ops.Green, "UP")
	back := step(e, &run, "put-back")
	if changed := e.changed(ops.Green); changed.Before(back.Started.Add(-2*time.Second)) || changed.After(back.Ended.Add(2*time.Second)) {
		e.Errorf("HAProxy changed green at %s, the journal put it back from %s to %s", changed, back.Started, back.Ended)
	}
	e.back(c)
	c.see("2 of 2 in service")
}

func (e *e2e) walkRollback(c *terminal) {
	e.Helper()
	before := e.containers(ops.Green)
	for range 4 {
		c.press("down")
	}
	c.see("› tcs")
	c.press("b")
	c.see("tcs to an image that is on GREEN", rig.Tags[1], rig.Tags[2], "in use", "an earlier run, its steps taken back")
	c.press("down")
	c.insist("enter", true, "looking at both sides afresh") // the list is new: enter may be swallowed
	c.see("tcs goes from tis/tcs:" + rig.Tags[0] + " to tis/tcs:" + rig.Tags[1])
	run := e.ended(e.confirmed(c, "green"), ops.OutcomeDone) // containers are made anew: y is not enough
	after := e.containers(ops.Green)
	for name, now := range after {
		switch was := before[name]; {
		case name == "tcs":
			swap := step(e, &run, "swap-tcs")
			if now.Config.Image != "tis/tcs:"+rig.Tags[1] || now.State.StartedAt.Before(swap.Started) || now.State.StartedAt.After(swap.Ended) {
				e.Errorf("tcs runs %s since %s; the journal swapped it from %s to %s", now.Config.Image, now.State.StartedAt, swap.Started, swap.Ended)
			}
		case now.ID != was.ID || !now.State.StartedAt.Equal(was.State.StartedAt):
			e.Errorf("%s was touched: %+v, before %+v", name, now, was)
		}
	}
	e.isServer(ops.Green, "UP")
	e.back(c)
	c.see("2 of 2 in service", rig.Tags[1])
}

// TestE2ERefused drains green and then asks for blue as well: that is refused on the
// screen and on the command line, and nothing changes.
func TestE2ERefused(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	load := e.rig.Load(e.Context(), 20)
	e.exits(exitDone, []string{"run", "drain", "green", "--yes"}, "drain GREEN: done")
	e.watch()
	state := e.shown()
	c := e.console()
	c.see("1 of 2 in service")
	c.press("d")
	c.see("Refused. Nothing was changed.", "GREEN is out")
	c.press("y", "esc")
	c.gone("Refused.")
	e.exits(exitRefused, []string{"run", "drain", "blue", "--yes"}, "GREEN is out")
	e.exits(exitRefused, []string{"plan", "drain", "blue"}, "GREEN is out")
	if now := e.shown(); now != state {
		e.Errorf("HAProxy went from\n%s\nto\n%s", state, now)
	}
	for _, side := range ops.Sides {
		if acts := e.acts(side, ""); len(acts) > 0 {
			e.Errorf("docker on %s did %v", side, acts)
		}
	}
	if runs := e.runs(); len(runs) != 1 {
		e.Errorf("%d runs are recorded, only the drain of green was one", len(runs))
	}
	e.unlocked()
	e.exits(exitDone, []string{"run", "put-back", "green", "--yes"}, "put GREEN back: done")
	e.isServer(ops.Green, "UP")
	e.lossless(load)
}

// TestE2EReadOnly presses every operation in a console that may only look, and finds no
// trace of it on the hosts.
func TestE2EReadOnly(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	e.watch()
	since, state := time.Now(), e.shown()
	c := e.console("--read-only")
	c.see("2 of 2 in service", "READ-ONLY")
	for key, words := range map[string]string{"d": "drain", "u": "put back", "r": "restart", "b": "roll back", "c": "canary"} {
		c.press(key)
		c.see(words + ": not now, read-only")
	}
	c.press("ctrl+o")
	c.see("started with --read-only")
	e.exits(exitRefused, []string{"run", "drain", "green", "--yes", "--read-only"}, "read-only")
	if now := e.shown(); now != state {
		e.Errorf("HAProxy went from\n%s\nto\n%s", state, now)
	}
	for _, side := range ops.Sides {
		if acts := e.acts(side, ""); len(acts) > 0 {
			e.Errorf("docker on %s did %v", side, acts)
		}
		out, err := e.rig.Side(string(side)).Exec(e.Context(), "sh", "-c", "ls -A /var/lib/tandem 2>/dev/null; journalctl --quiet --since=@"+
			strconv.FormatInt(since.Unix(), 10)+" --identifier=sudo --identifier=systemd-logind --grep='COMMAND|reboot' || true")
		if err != nil || strings.TrimSpace(out) != "" {
			e.Errorf("traces on %s: %s, %v", side, out, err)
		}
	}
	if runs := e.runs(); len(runs) != 0 {
		e.Errorf("runs: %+v", runs)
	}
}

// step finds a step of a run by the end of its id.
func step(e *e2e, run *ops.Run, name string) ops.RunStep {
	e.Helper()
	for _, s := range run.Steps {
		if _, rest, ok := strings.Cut(s.Doc.ID, "-"); ok && rest == name {
			return s
		}
	}
	e.Fatalf("run %s has no step %s", run.ID, name)
	return ops.RunStep{}
}

// hold opens slow requests through HAProxy. The function returned waits for their ends and
// tells those that were not answered.
func (e *e2e) hold(ctx context.Context, n int, each time.Duration) func() []error {
	ctx, cancel := context.WithTimeout(ctx, each+patience)
	var all sync.WaitGroup
	var mu sync.Mutex
	var lost []error
	for range n {
		all.Go(func() {
			if err := get(ctx, fmt.Sprintf("%s/slow?for=%s", e.rig.URL(), each)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				lost = append(lost, err)
			}
		})
	}
	return func() []error {
		defer cancel()
		all.Wait()
		return lost
	}
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

// stat reads one column of HAProxy's statistics of a side, in each backend.
func (e *e2e) stat(side ops.Side, column string) []int {
	e.Helper()
	answer, err := e.rig.HAProxy("show stat -1 4 -1")
	e.must(err)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	e.must(err)
	name, at := slices.Index(rows[0], "svname"), slices.Index(rows[0], column)
	var values []int
	for _, row := range rows[1:] {
		if row[name] == string(side) {
			n, err := strconv.Atoi(row[at])
			e.must(err)
			values = append(values, n)
		}
	}
	return values
}

// current is how many sessions HAProxy has open to a side.
func (e *e2e) current(side ops.Side) int {
	sum := 0
	for _, n := range e.stat(side, "scur") {
		sum += n
	}
	return sum
}

// sessions asks for at least so many sessions on a side.
func (e *e2e) sessions(side ops.Side, least int) func() error {
	return func() error {
		if n := e.current(side); n < least {
			return fmt.Errorf("%d sessions on %s", n, side)
		}
		return nil
	}
}

// changed is when HAProxy last changed its mind about a side, to the second.
func (e *e2e) changed(side ops.Side) time.Time {
	return time.Now().Add(-time.Duration(slices.Min(e.stat(side, "lastchg"))) * time.Second)
}

// shown is HAProxy's word for every server, to be compared.
func (e *e2e) shown() string {
	return "blue " + e.server(ops.Blue) + ", green " + e.server(ops.Green)
}

// TestE2EShell opens a shell through a real sshd, from the console and by the command, and looks at
// the details of a service of a real engine.
func TestE2EShell(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	c := e.console()
	c.see("2 of 2 in service", "8/8 ready")
	c.press("s")
	c.see("shell on BLUE", "# ")
	c.press("echo $(cat /etc/hostname) $((6*7)) $(stty size)", "enter")
	c.see("blue 42 40 120")
	c.press("exit 3", "enter")
	c.see("2 of 2 in service", "shell on BLUE closed, exit status 3")
	c.press("x")
	c.see("its image has no shell") // that of the rig is one program
	c.press("esc")
	c.gone("its image has no shell")

	c.press("enter")
	c.see("differs: env SIDE", "ok: 200 OK", " MiB of ", "8080/tcp")
	c.press("esc")
	c.gone("differs: env SIDE")
	c.press("q")
	if code := c.exited(); code != 0 {
		e.Errorf("the console ended with %d", code)
	}

	sh := openTerminal(e, 80, 24, e.seat.env(), "shell", "green")
	sh.see("# ")
	sh.press("echo $(cat /etc/hostname) $((6*7)); exit", "enter")
	sh.see("green 42", "shell on GREEN closed, exit status 0")
	if code := sh.exited(); code != 0 {
		e.Errorf("tandem shell ended with %d", code)
	}
	if code, out := e.tandem("--read-only", "shell", "green"); code == 0 {
		e.Errorf("a shell in read-only mode: %s", out)
	}
	e.exits(exitDone, []string{"timeline"}, "shell on the host opened by", "closed after")
}
