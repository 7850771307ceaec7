package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/rig"
)

// TestE2ERecoverIncident is the incident itself: `apt-get upgrade` on both hosts, docker
// restarted, compose left behind. The recovery by compose is refused with the reason; with
// the services started through the API both hosts are recovered from the console, one after the
// other, while users are served. It is a walkthrough: in presenter mode, and recorded.
func TestE2ERecoverIncident(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	for _, side := range ops.Sides {
		e.must(e.rig.Offer(t.Context(), string(side), "docker.io"))
		e.must(e.rig.Side(string(side)).Upgrade(t.Context()))
		_, err := e.rig.Side(string(side)).Exec(t.Context(), "systemctl", "restart", "docker")
		e.must(err)
		e.eventually(string(side)+" to be healthy again", slow, func() error { return e.ready(side) })
		e.isServer(side, "UP")
	}
	load := e.rig.Load(t.Context(), 40)
	serving := e.sample()
	before := e.world()

	e.exits(exitRefused, []string{"run", "recover", "both", "--without", "pools", "--straight-on", "--yes"}, "ContainerConfig", "--start api")
	if now := e.world(); fmt.Sprint(now) != fmt.Sprint(before) {
		e.Errorf("the refused recovery changed\n%+v\nto\n%+v", before, now)
	}
	e.unlocked()

	e.presented()
	after := e.world()
	for _, side := range ops.Sides {
		e.anew(side, before[side], after[side])
		e.isServer(side, "UP")
	}
	e.served(serving)
	run := e.runs()[0]
	for _, s := range run.Steps {
		t.Logf("%-34s %-12s %6.1f s", s.Doc.ID, s.Phase, s.Ended.Sub(s.Started).Seconds())
	}
	e.unlocked()
	e.exits(exitDone, []string{"gate"}, "open")
	e.lossless(load)
}

// presented recovers both sides in a console in presenter mode, from the findings to the pair
// as it should be. What it records has no name and no address of a machine or a person in it;
// TANDEM_CAST names a file that keeps it.
func (e *e2e) presented() {
	e.Helper()
	file := cmp.Or(os.Getenv("TANDEM_CAST"), filepath.Join(e.seat.home, "walkthrough.cast"))
	read := func() {} // what is kept is for people, who have to read it
	if os.Getenv("TANDEM_CAST") != "" {
		read = func() { time.Sleep(4 * time.Second) }
	}
	c := e.console("--present", "--record", file)
	c.see("PRESENTING", "2 of 2 in service", "cannot recreate containers")
	read()
	c.press("f")
	c.insist("g", true, "deploy nothing here with compose")
	read()
	c.press("esc")
	c.see("tab side")
	c.press("tab", "R")
	c.see("Recover", "1 sides: GREEN only", "5 start by: auto")
	c.insist("1", true, "1 sides: GREEN, then BLUE")
	c.insist("3", true, "3 address pools: leave out")
	c.insist("6", true, "6 between: go straight on")
	c.insist("5", true, "5 start by: API")
	read()
	e.ended(e.confirmed(c, "both"), ops.OutcomeDone)
	c.see("summary")
	read()
	e.back(c)
	c.see("2 of 2 in service", "7/7 ready", "8/8 ready")
	read()
	c.press("q")
	if code := c.exited(); code != 0 {
		e.Errorf("the console ended with %d", code)
	}

	text, err := os.ReadFile(file)
	e.must(err)
	output, screen, err := playCast(text)
	e.must(err)
	if output != c.recorded() {
		e.Errorf("%d bytes are recorded, the terminal got %d; the last screen:\n%s", len(output), len(c.recorded()), screen)
	}
	operator, desk, _ := strings.Cut(e.seat.operator, "@")
	here, err := os.Hostname()
	e.must(err)
	for _, secret := range []string{"10.213.", operator + "@", desk, here} {
		if strings.Contains(output, secret) {
			e.Errorf("%q is in the recording", secret)
		}
	}
}

// TestE2ERecoverPools moves the address pools of green, where the containers then have
// their addresses; a range that holds the console's own address is refused.
func TestE2ERecoverPools(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	pools := netip.MustParsePrefix("10.201.0.0/16")
	e := newE2E(t, overTCP, func(s *rig.Settings) {
		s.More = "networks:\n  pools: [{base: " + pools.String() + ", size: 24}]\n  reserved: [10.0.0.0/17]\n"
	})
	clash := e.sit("ada@desk1", overTCP, func(s *rig.Settings) { s.More = "networks:\n  pools: [{base: 10.213.0.0/16, size: 24}]\n" })
	if code, out := e.at(clash, "plan", "recover", "green"); code != exitRefused || !strings.Contains(out, "10.213.0.0/16") || !strings.Contains(out, "10.213.77.") {
		e.Errorf("a range that holds our own address: exit code %d: %s", code, out)
	}
	load := e.rig.Load(t.Context(), 30)
	before := e.world()
	e.exits(exitDone, []string{"run", "recover", "green", "--yes"}, "done")
	after := e.world()
	e.anew(ops.Green, before[ops.Green], after[ops.Green])
	for name, c := range after[ops.Green].services {
		for network, at := range c.NetworkSettings.Networks {
			if addr, err := netip.ParseAddr(at.IPAddress); err != nil || !pools.Contains(addr) {
				e.Errorf("%s has the address %s in %s, not in %s", name, at.IPAddress, network, pools)
			}
		}
	}
	e.isServer(ops.Green, "UP")
	e.unlocked()
	e.lossless(load)
}

// consoleSource is an address of the console's machine outside the network that it shares
// with the hosts, as that of an operator is who comes through a router.
const consoleSource = "10.214.5.1"

// fromAfar has the console come to green from an address that green answers by way of its
// default route, which any more exact route takes precedence over.
func (e *e2e) fromAfar() {
	e.Helper()
	green := e.rig.Side(rig.Green)
	ip := func(args ...string) error {
		said, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, said)
		}
		return nil
	}
	const bridge = "tandem-br0"
	e.must(ip("addr", "add", consoleSource+"/32", "dev", bridge))
	e.Cleanup(func() {
		_ = ip("route", "del", green.Address+"/32") // gone with the rig at the latest
		_ = ip("addr", "del", consoleSource+"/32", "dev", bridge)
	})
	e.must(ip("route", "replace", green.Address+"/32", "dev", bridge, "src", consoleSource))
	_, err := green.Exec(e.Context(), "ip", "route", "replace", "default", "via", "10.213.77.1")
	e.must(err)
}

// TestE2ERecoverCutOff moves the pools of green to a range that holds the console's own
// address, which is refused, and forced through: the host is cut off from the console,
// takes the change back by itself within its time, and the run says so when it sees it again.
func TestE2ERecoverCutOff(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP, func(s *rig.Settings) { s.More = "networks:\n  pools: [{base: 10.214.5.0/24, size: 24}]\n" })
	e.fromAfar()
	green := e.rig.Side(rig.Green)
	daemon := func() string {
		text, err := green.Exec(t.Context(), "cat", "/etc/docker/daemon.json")
		e.must(err)
		return text
	}
	original, before := daemon(), e.world()
	recovery := []string{"run", "recover", "green", "--without", "reboot", "--yes"}
	e.exits(exitRefused, recovery, "10.214.5.0/24", consoleSource)
	e.unlocked()

	front := e.start(append(recovery, "--accept", "pools-free", "--reason", "INC-1: to see it come back")...)
	id := e.began()
	e.eventually("the new pools on the host", slow, func() error {
		if text := daemon(); !strings.Contains(text, "10.214.5.0/24") {
			return errors.New("still the old ones")
		}
		return nil
	})
	written := time.Now()
	e.eventually("the host to take it back", slow, func() error {
		if text := daemon(); text != original {
			return errors.New("still the new pools")
		}
		return nil
	})
	// limits.revert is 30 s. systemd may take a minute longer over a timer where its
	// AccuracySec says so (systemd.timer(5)); half of one is for a machine that is slow.
	if took := time.Since(written); took > 45*time.Second {
		e.Errorf("the host took %s to take the pools back", took.Round(time.Second))
	} else {
		t.Logf("taken back after %s", took.Round(100*time.Millisecond))
	}
	<-front.done
	out := front.out.String()
	if code := e.finished(front); code != exitHalfWay || !strings.Contains(out, "has its earlier file back by itself") {
		e.Fatalf("after the host was cut off: exit code %d: %s", code, out)
	}
	e.exits(exitDone, []string{"rollback", id, "--yes"})
	e.eventually("green to be healthy", slow, func() error { return e.ready(ops.Green) })
	e.isServer(ops.Green, "UP")
	if now := daemon(); now != original {
		e.Errorf("daemon.json is %q, it was %q", now, original)
	}
	for name, was := range before[ops.Green].services {
		if now := e.containers(ops.Green)[name]; now.Image != was.Image || now.State.Status != "running" {
			e.Errorf("%s is %s of image %s, it was of %s", name, now.State.Status, now.Image, was.Image)
		}
	}
	e.unlocked()
}

// TestE2ERecoverCableAtPools cuts the cable of the host while its pools are being moved:
// it takes them back all the same.
func TestE2ERecoverCableAtPools(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP, func(s *rig.Settings) { s.More = "networks:\n  pools: [{base: 10.202.0.0/16, size: 24}]\n" })
	green := e.rig.Side(rig.Green)
	daemon := func() string {
		text, err := green.Exec(t.Context(), "cat", "/etc/docker/daemon.json")
		e.must(err)
		return text
	}
	original := daemon()
	front := e.start("run", "recover", "green", "--without", "reboot", "--yes")
	id := e.began()
	e.eventually("the new pools on the host", slow, func() error {
		if text := daemon(); !strings.Contains(text, "10.202.0.0/16") {
			return errors.New("still the old ones")
		}
		return nil
	})
	e.must(green.CableCut())
	e.Cleanup(func() { _ = green.CableRestore() })
	e.eventually("the host to take it back", slow, func() error {
		if text := daemon(); text != original {
			return errors.New("still the new pools")
		}
		return nil
	})
	e.must(green.CableRestore())
	<-front.done
	if code := e.finished(front); code != exitHalfWay {
		e.Fatalf("after the host was cut off: exit code %d: %s", code, &front.out)
	}
	e.exits(exitDone, []string{"rollback", id, "--yes"})
	e.eventually("green to be healthy", slow, func() error { return e.ready(ops.Green) })
	e.isServer(ops.Green, "UP")
	e.unlocked()
}

// insideEach is how often a runner is killed in the middle of the acts of one kind: on both
// sides, at their beginning and later.
const insideEach = 4

// TestE2ERecoverKill kills the runner of a recovery of both hosts again and again: after
// every step, and in the middle of those that hurt. Each time resume goes on.
func TestE2ERecoverKill(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP, func(s *rig.Settings) { s.More = "networks:\n  pools: [{base: 10.203.0.0/16, size: 24}]\n" })
	load := e.rig.Load(t.Context(), 30)
	serving := e.sample()
	before := e.world()
	front := e.start("run", "recover", "both", "--straight-on", "--yes")
	id := e.began()
	killed := map[string]bool{} // boundaries, as kind and step
	middle := map[string]int{}  // kills inside acts, by kind of step
	for {
		seen := 0
		if len(killed) > 0 {
			events, err := journal.Read(e.runDir(id))
			e.must(err)
			seen = len(events)
			front = e.start("resume", id)
		}
		at, kind := "", ""
		e.reached(id, func(run *ops.Run, ev ops.Event) bool {
			if run.Events <= seen {
				return false
			}
			step := run.Step(ev.Step)
			hurts := step != nil && step.Doc.Risk != ops.Harmless
			boundary := string(ev.Kind) + " " + ev.Step
			if ev.Kind == ops.EvSay {
				boundary += " " + ev.Text // each line of an act is another place in it
			}
			inside := hurts && (ev.Kind == ops.EvIntent || ev.Kind == ops.EvSay) && middle[step.Doc.Kind] < insideEach
			if (ev.Kind == ops.EvDone || inside) && !killed[boundary] {
				if at = boundary; ev.Kind != ops.EvDone {
					kind = step.Doc.Kind
				}
				if kind == "remove" {
					e.halfRemoved(step.Doc.Side)
				}
				return true
			}
			return ev.Kind == ops.EvEnded
		})
		if at == "" {
			break
		}
		killed[at] = true
		if kind != "" {
			middle[kind]++
		}
		e.killRunner(id)
		if code := e.finished(front); code != exitHalfWay && code != exitDone {
			e.Errorf("after a kill at %s the exit code is %d: %s", at, code, &front.out)
		}
		events, err := journal.Read(e.runDir(id))
		e.must(err)
		if ops.Replay(events).Outcome == ops.OutcomeDone {
			break
		}
		if step := lastBoundary(events); step != "" {
			killed[string(ops.EvDone)+" "+step] = true
		}
	}
	e.finished(front)
	run := e.ended(id, ops.OutcomeDone)
	t.Logf("killed %d times in a run of %d steps; inside acts: %v", len(killed), len(run.Steps), middle)
	for _, s := range run.Steps {
		if s.Phase == ops.Done && s.Doc.Kind != "unlock" && !killed[string(ops.EvDone)+" "+s.Doc.ID] {
			e.Errorf("the runner was not killed at the end of %s", s.Doc.ID)
		}
	}
	for _, kind := range []string{"reboot", "remove", "remove-networks", "pools", "start"} {
		if middle[kind] < len(ops.Sides) {
			e.Errorf("the runner was killed %d times in the middle of %s", middle[kind], kind)
		}
	}
	after := e.world()
	for _, side := range ops.Sides {
		e.anew(side, before[side], after[side])
		e.isServer(side, "UP")
	}
	e.served(serving)
	e.unlocked()
	e.lossless(load)
}

// lastBoundary is the step that a process which is gone had ended last, if it had not acted
// since: its end may have been written after the kill was decided upon.
func lastBoundary(events []ops.Event) string {
	for _, ev := range slices.Backward(events) {
		switch ev.Kind {
		case ops.EvIntent, ops.EvGuard:
		case ops.EvDone:
			return ev.Step
		default:
			return ""
		}
	}
	return ""
}

// halfRemoved waits until some of the containers of a side are removed, or all.
func (e *e2e) halfRemoved(side ops.Side) {
	e.Helper()
	count := func() int {
		var all []struct{}
		e.must(e.engine(side, "/containers/json?all=1").Decode(&all))
		return len(all)
	}
	had := count()
	for had > 0 && count() == had {
	}
}

// TestE2ERecoverCables cuts the cable of the peer, which keeps the run from its next act
// that could hurt, and then for a minute that of the host under work, in the middle of the
// start, which is waited for. Then the runner's machine is gone, and another one that has
// the config alone goes on. Users are served all the time.
func TestE2ERecoverCables(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	front := e.start("run", "recover", "green", "--without", "reboot,pools", "--yes")
	id := e.began()
	blue, green := e.rig.Side(rig.Blue), e.rig.Side(rig.Green)
	e.Cleanup(func() { _, _ = blue.CableRestore(), green.CableRestore() })

	e.reached(id, intent("hold"))
	e.must(blue.CableCut())
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool {
		return ev.Kind == ops.EvPaused && strings.Contains(ev.Text, "BLUE")
	})
	waiting := e.containers(ops.Green)
	e.must(blue.CableRestore())
	for name, c := range waiting {
		if c.State.Status != "running" {
			e.Errorf("%s was %s while the peer could not be reached", name, c.State.Status)
		}
	}
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool { return ev.Kind == ops.EvContinued })
	e.isServer(ops.Blue, "UP")
	load := e.rig.Load(t.Context(), 30)

	begun := false
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool {
		begun = begun || ev.Kind == ops.EvDone && strings.Contains(ev.Step, "-start-")
		return begun && ev.Kind == ops.EvSay && strings.Contains(ev.Step, "-start-")
	})
	e.must(green.CableCut())
	cut := time.Now()
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool {
		return (ev.Kind == ops.EvSay || ev.Kind == ops.EvPaused) && strings.Contains(ev.Text, "GREEN cannot be reached")
	})
	e.eventually("a minute without a cable", 2*time.Minute, func() error {
		if left := time.Minute - time.Since(cut); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
	e.must(green.CableRestore())
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool {
		return ev.At.After(cut.Add(time.Minute)) && ev.Kind == ops.EvDone && strings.Contains(ev.Step, "-start-")
	})

	e.killRunner(id)
	<-front.done
	grace := e.sit("grace@desk2", overTCP)
	if code, out := e.at(grace, "resume"); code != exitDone {
		e.Errorf("resumed at another machine: exit code %d: %s", code, out)
	}
	e.isServer(ops.Green, "UP")
	e.must(e.ready(ops.Green))
	e.unlocked()
	e.lossless(load)
}

// TestE2ERecoverPowerLoss pulls the plug of the host under work while its containers are
// being stopped; it comes back, and the recovery is taken to its end.
func TestE2ERecoverPowerLoss(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t, overTCP)
	load := e.rig.Load(t.Context(), 30)
	before := e.world()
	front := e.start("run", "recover", "green", "--without", "pools", "--yes")
	id := e.began()
	e.reached(id, func(_ *ops.Run, ev ops.Event) bool {
		return ev.Kind == ops.EvDone && strings.Contains(ev.Step, "-stop-")
	})
	green := e.rig.Side(rig.Green)
	e.must(green.PowerOff())
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	e.must(green.PowerOn(ctx))
	<-front.done
	if code := e.finished(front); code == exitHalfWay {
		e.exits(exitDone, []string{"resume", id})
	}
	e.ended(id, ops.OutcomeDone)
	e.anew(ops.Green, before[ops.Green], e.world()[ops.Green])
	e.isServer(ops.Green, "UP")
	e.unlocked()
	e.lossless(load)
}

// place is what a recovery makes anew on a side.
type place struct {
	boot     string
	services map[string]container
	networks map[string]string // ids, by name
}

// world is what there is on both sides.
func (e *e2e) world() map[ops.Side]place {
	e.Helper()
	all := map[ops.Side]place{}
	for _, side := range ops.Sides {
		boot, err := e.rig.Side(string(side)).BootID(e.Context())
		e.must(err)
		p := place{boot: boot, services: e.containers(side), networks: map[string]string{}}
		for _, c := range p.services {
			for name, at := range c.NetworkSettings.Networks {
				p.networks[name] = at.NetworkID
			}
		}
		all[side] = p
	}
	return all
}

// anew checks that a side was booted anew, that its containers and their networks are new
// ones of the same images, and that all services are ready.
func (e *e2e) anew(side ops.Side, before, after place) {
	e.Helper()
	if after.boot == before.boot {
		e.Errorf("%s was not rebooted", side)
	}
	for name, was := range before.services {
		now := after.services[name]
		if now.ID == was.ID || now.Image != was.Image || now.State.Status != "running" {
			e.Errorf("%s on %s: %s of image %s is %s, it was %s of %s", name, side, now.ID, now.Image, now.State.Status, was.ID, was.Image)
		}
	}
	for name, id := range after.networks {
		if was := before.networks[name]; was == "" || was == id {
			e.Errorf("the network %s on %s is %s, it was %s", name, side, id, was)
		}
	}
	e.must(e.ready(side))
}

// ready asks tandem whether all services of the side are.
func (e *e2e) ready(side ops.Side) error {
	e.Helper()
	code, out := e.tandem("status")
	if code != exitDone {
		return fmt.Errorf("exit code %d: %s", code, out)
	}
	_, own, _ := strings.Cut(out, "\n"+side.Upper())
	own, _, _ = strings.Cut(own, "\n\n")
	n := 0
	for _, s := range e.rig.Services {
		if s.On(string(side)) && !s.Job {
			n++
		}
	}
	if !strings.Contains(own, fmt.Sprintf("%d of %d ready", n, n)) {
		return errors.New(own)
	}
	return nil
}

// samples are what HAProxy said of the sides, ten times a second.
type samples struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	taken  int
	least  int           // sides in service at one time
	gap    time.Duration // the longest between two samples
	err    error         // the first that could not be read
}

// sample begins to read HAProxy ten times a second.
func (e *e2e) sample() *samples {
	ctx, cancel := context.WithCancel(e.Context())
	s := &samples{cancel: cancel, least: len(ops.Sides)}
	s.done.Go(func() {
		beat := time.NewTicker(100 * time.Millisecond)
		defer beat.Stop()
		last := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
			}
			up, err := e.inService()
			if err != nil {
				s.err = cmp.Or(s.err, err)
				continue
			}
			s.taken, s.least, s.gap, last = s.taken+1, min(s.least, up), max(s.gap, time.Since(last)), time.Now()
		}
	})
	return s
}

// inService counts the sides that are in service in every backend.
func (e *e2e) inService() (int, error) {
	status, err := e.rig.HAProxyStatus()
	if err != nil {
		return 0, err
	}
	up := 0
	for _, side := range ops.Sides {
		if !slices.ContainsFunc(rig.Backends[:], func(backend string) bool { return !strings.HasPrefix(status[backend+"/"+string(side)], "UP") }) {
			up++
		}
	}
	return up, nil
}

// served ends the samples and checks that one side was in service at each of them.
func (e *e2e) served(s *samples) {
	e.Helper()
	s.cancel()
	s.done.Wait()
	e.Logf("HAProxy was read %d times, at most %s apart; at least %d sides served", s.taken, s.gap.Round(time.Millisecond), s.least)
	switch {
	case s.err != nil:
		e.Errorf("HAProxy could not be read all the time: %v", s.err)
	case s.taken == 0 || s.least < 1:
		e.Errorf("there was a moment with %d sides in service, in %d samples", s.least, s.taken)
	}
}
