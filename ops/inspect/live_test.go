package inspect

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// watch runs the test in a bubble with a live view that has had its first looks.
func watch(t *testing.T, s *scene, test func(t *testing.T, l *Live)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := s.inspector().Live(t.Context())
		t.Cleanup(l.Wait)
		pass(100 * time.Millisecond)
		quiet(l)
		test(t, l)
	})
}

// pass lets the bubble's time go by, until everything in it waits.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func quiet(l *Live) bool {
	select {
	case <-l.Changed():
		return false
	default:
		return true
	}
}

func texts(l *Live) []string {
	var out []string
	for _, m := range l.Moments() {
		out = append(out, strings.TrimSpace(string(m.Side)+" "+m.Text))
	}
	return out
}

func TestLiveCalm(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		snap := l.Snapshot()
		if st := snap.Green.Service("tcs"); !st.Ready || snap.Balancer.Blue.Traffic != ops.InService || snap.Green.Link != ops.LinkUp {
			t.Fatalf("after the first looks: %+v", snap)
		}
		lists, facts, asked := s.green.engine.listed(), s.green.factsRead(), len(s.lb.times())
		pass(time.Minute)
		if !quiet(l) {
			t.Error("a signal, though nothing visible changed")
		}
		if n := s.green.engine.listed() - lists; n != 6 {
			t.Errorf("%d lists in a minute, expected 6", n)
		}
		if n := s.green.factsRead() - facts; n != 2 {
			t.Errorf("%d reads of the facts in a minute, expected 2", n)
		}
		if n := len(s.lb.times()) - asked; n != 60 {
			t.Errorf("the balancer was asked %d times in a minute, expected 60", n)
		}
		if snap = l.Snapshot(); !snap.Green.Engine.Fresh(time.Now(), listEvery) || !snap.Green.Host.Fresh(time.Now(), factsEvery) || !snap.Balancer.Look.Fresh(time.Now(), time.Second) {
			t.Errorf("the ages were not kept: %v %v %v", snap.Green.Engine, snap.Green.Host, snap.Balancer.Look)
		}
		if m := texts(l); m != nil {
			t.Errorf("moments %q, expected none", m)
		}
	})
}

func TestLiveEvents(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		lists := s.green.engine.listed()
		for range 20 {
			s.green.engine.say("exec_start: curl localhost")
		}
		pass(time.Second)
		if n := s.green.engine.listed() - lists; n != 0 {
			t.Errorf("health checks led to %d lists", n)
		}
		stopped := running("tcs")
		stopped.State, stopped.ExitCode = "exited", 1
		for range 10 {
			s.green.engine.put(stopped, "die")
		}
		pass(200 * time.Millisecond)
		if n := s.green.engine.listed() - lists; n != 0 || !quiet(l) {
			t.Errorf("%d lists before the events were gathered", n)
		}
		pass(100 * time.Millisecond)
		if n := s.green.engine.listed() - lists; n != 1 || quiet(l) {
			t.Errorf("%d lists for ten events that came together, expected 1 and a signal", n)
		}
		snap := l.Snapshot()
		if st := snap.Green.Service("tcs"); st.State != "exited 1" || st.Ready {
			t.Errorf("got %+v", st)
		}
		again := running("tcs")
		again.StartedAt = time.Unix(2000, 0)
		s.green.engine.put(again, "start")
		pass(time.Second)
		again.StartedAt = time.Unix(3000, 0)
		s.green.engine.put(again, "restart")
		pass(time.Second)
		again.Restarts = 6
		s.green.engine.put(again, "start")
		pass(time.Second)
		again.ID = "new"
		s.green.engine.put(again, "start")
		s.green.engine.put(running("shell"), "start")
		pass(time.Second)
		if diff := cmp.Diff([]string{
			"green tcs exited 1", "green tcs healthy", "green tcs restarted: healthy",
			"green tcs restarted by the engine (6 times so far), last exit status 0", "green tcs replaced: healthy", "green shell appeared: healthy",
		}, texts(l)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLiveEngineRestart(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		s.green.engine.stop()
		pass(3 * time.Second)
		snap := l.Snapshot()
		if snap.Green.Engine.Err == nil || snap.Green.Engine.At.IsZero() || snap.Green.Service("tcs").State != "healthy" {
			t.Errorf("the last good rows and the error: %+v, %+v", snap.Green.Engine, snap.Green.Services)
		}
		if snap.Green.Host.Err != nil || snap.Blue.Engine.Err != nil {
			t.Error("the error is not the host's, nor blue's")
		}
		lists := s.green.engine.listed()
		pass(5 * time.Minute)
		if n := s.green.engine.listed() - lists; n > 14 {
			t.Errorf("%d tries in five minutes: no backing off", n)
		}
		s.green.engine.start("26.1.5")
		l.Poke()
		pass(time.Second)
		snap = l.Snapshot()
		if snap.Green.Engine.Err != nil || snap.Green.Version.Running != "26.1.5" {
			t.Errorf("after the engine came back: %+v %+v", snap.Green.Engine, snap.Green.Version)
		}
		stopped := running("tcs")
		stopped.State = "exited"
		s.green.engine.put(stopped, "die")
		pass(time.Second)
		if diff := cmp.Diff([]string{
			"green engine does not answer: unexpected EOF", "green engine answers again", "green engine 26.1.5, was 20.10.24", "green tcs exited 0",
		}, texts(l)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLiveReboot(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		s.green.change(func(h *fakeHost) { h.link, h.err = ops.LinkDown, errors.New("connection lost") })
		s.green.engine.stop()
		pass(40 * time.Second)
		snap := l.Snapshot()
		if snap.Green.Link != ops.LinkDown || snap.Green.Host.Err == nil || snap.Green.Host.At.IsZero() || snap.Green.Facts.BootID != "first" {
			t.Errorf("while it is down: %+v", snap.Green)
		}
		s.green.change(func(h *fakeHost) { h.link, h.err, h.facts.BootID = ops.LinkUp, nil, "second" })
		s.green.engine.start("20.10.24")
		pass(1100 * time.Millisecond)
		snap = l.Snapshot()
		if snap.Green.Link != ops.LinkUp || snap.Green.Host.Err != nil || snap.Green.Engine.Err != nil || snap.Green.Facts.BootID != "second" {
			t.Errorf("a second after it came back: %+v", snap.Green)
		}
		got := texts(l)
		for _, want := range []string{"green connection lost", "green connected again", "green rebooted", "green engine answers again"} {
			if !contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
		if contains(got, "green engine does not answer: unexpected EOF") {
			t.Errorf("a lost connection is told as a stopped engine: %q", got)
		}
	})
}

// TestLiveShortReboot: the connection goes and comes back between two looks at it, and only
// the broken stream of events tells that something happened.
func TestLiveShortReboot(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		pass(100 * time.Millisecond)
		s.green.change(func(h *fakeHost) { h.facts.BootID = "second" })
		s.green.engine.stop()
		pass(100 * time.Millisecond)
		s.green.engine.start("20.10.24")
		pass(2 * time.Second)
		if snap := l.Snapshot(); snap.Green.Link != ops.LinkUp || snap.Green.Engine.Err != nil || snap.Green.Facts.BootID != "second" {
			t.Errorf("two seconds later: %+v", snap.Green)
		}
		if got := texts(l); !contains(got, "green rebooted") {
			t.Errorf("moments: %q", got)
		}
	})
}

// TestLiveLinkFoundLost: the loop that follows the engine finds the connection lost, and it
// is back before the loop that follows the connection looks: it must not stay lost.
func TestLiveLinkFoundLost(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		pass(100 * time.Millisecond)
		s.green.change(func(h *fakeHost) { h.link, h.err = ops.LinkDown, errors.New("connection lost") })
		s.green.engine.stop()
		pass(100 * time.Millisecond)
		if link := l.Snapshot().Green.Link; link != ops.LinkDown {
			t.Errorf("the link is %s", link)
		}
		s.green.change(func(h *fakeHost) { h.link, h.err = ops.LinkUp, nil })
		s.green.engine.start("20.10.24")
		pass(2 * time.Second)
		if snap := l.Snapshot(); snap.Green.Link != ops.LinkUp || snap.Green.Engine.Err != nil || snap.Green.Host.Err != nil {
			t.Errorf("two seconds later: %+v", snap.Green)
		}
		if got := texts(l); !contains(got, "green connection lost") || !contains(got, "green connected again") {
			t.Errorf("moments: %q", got)
		}
	})
}

func contains(list []string, text string) bool {
	for _, l := range list {
		if l == text {
			return true
		}
	}
	return false
}

// TestLiveUnreachableAtStart: the view opens, says so, and recovers.
func TestLiveUnreachableAtStart(t *testing.T) {
	s := newScene()
	for _, h := range []*fakeHost{s.blue, s.green} {
		h.link, h.err = ops.LinkDown, errors.New("no route to host")
	}
	watch(t, s, func(t *testing.T, l *Live) {
		pass(time.Minute)
		snap := l.Snapshot()
		for _, side := range ops.Sides {
			if sd := snap.On(side); sd.Host.Err == nil || !sd.Host.At.IsZero() || sd.Service("tcs").State != "unknown" {
				t.Errorf("%s: %+v", side, sd)
			}
		}
		for _, h := range []*fakeHost{s.blue, s.green} {
			h.change(func(h *fakeHost) { h.link, h.err = ops.LinkUp, nil })
		}
		pass(1100 * time.Millisecond)
		snap = l.Snapshot()
		for _, side := range ops.Sides {
			if sd := snap.On(side); sd.Host.Err != nil || !sd.Service("tcs").Ready {
				t.Errorf("%s: %+v", side, sd)
			}
		}
	})
}

func TestLiveBalancer(t *testing.T) {
	s := newScene()
	s.lb.every = 5 * time.Second
	watch(t, s, func(t *testing.T, l *Live) {
		pass(5 * time.Minute)
		asked := s.lb.times()
		for i := 1; i < len(asked); i++ {
			if gap := asked[i].Sub(asked[i-1]); gap < 4*time.Second || gap > 6*time.Second {
				t.Errorf("asked after %s, expected 5 s and a fifth to either side", gap)
			}
		}
		s.lb.set("", "", ops.ErrThrottled)
		pass(30 * time.Second)
		snap := l.Snapshot()
		if snap.Balancer.Blue.Traffic != ops.InService || !errors.Is(snap.Balancer.Look.Err, ops.ErrThrottled) || time.Since(snap.Balancer.Look.At) < 24*time.Second {
			t.Errorf("throttled: %+v", snap.Balancer)
		}
		s.lb.set(ops.InService, ops.Down, nil)
		pass(12 * time.Second)
		if diff := cmp.Diff([]string{"the balancer does not answer: throttled", "green traffic: down, was in service", "the balancer answers again"}, texts(l)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLiveDrainLost(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		lock := &ops.LockInfo{Run: "7f3a"}
		locks := func(lock *ops.LockInfo) {
			s.blue.change(func(h *fakeHost) { h.lock = lock })
			s.green.change(func(h *fakeHost) { h.lock = lock })
		}
		// A run takes green out, and another puts it back.
		locks(lock)
		s.lb.set(ops.InService, ops.Draining, nil)
		pass(10 * time.Second)
		locks(nil)
		s.lb.set(ops.InService, ops.Out, nil)
		pass(10 * time.Second)
		locks(lock)
		s.lb.set(ops.InService, ops.InService, nil)
		pass(10 * time.Second)
		locks(nil)
		pass(10 * time.Second)
		snap := l.Snapshot()
		if !snap.Balancer.Green.DrainLost.IsZero() {
			t.Fatalf("a put-back of ours is taken for a lost drain: %v", texts(l))
		}
		// A drain is taken back, before anybody looks at the locks again.
		s.lb.set(ops.InService, ops.Out, nil)
		pass(10 * time.Second)
		s.blue.change(func(h *fakeHost) { h.last = "rollback" })
		s.green.change(func(h *fakeHost) { h.last = "rollback" })
		s.lb.set(ops.InService, ops.InService, nil)
		pass(10 * time.Second)
		snap = l.Snapshot()
		if !snap.Balancer.Green.DrainLost.IsZero() {
			t.Fatalf("a rollback of ours is taken for a lost drain: %v", texts(l))
		}
		// Somebody reloads the balancer.
		s.lb.set(ops.InService, ops.Out, nil)
		pass(10 * time.Second)
		s.lb.set(ops.InService, ops.InService, nil)
		pass(2 * time.Second)
		snap = l.Snapshot()
		if lost := snap.Balancer.Green.DrainLost; lost.IsZero() || !snap.Balancer.Blue.DrainLost.IsZero() {
			t.Fatalf("the lost drain was not noticed: %v", texts(l))
		}
		if !contains(texts(l), "green drain lost: serves again, and no run put it back") {
			t.Errorf("got %q", texts(l))
		}
		pass(time.Minute)
		if snap = l.Snapshot(); snap.Balancer.Green.DrainLost.IsZero() {
			t.Error("it was forgotten")
		}
		s.lb.set(ops.InService, ops.Draining, nil)
		pass(2 * time.Second)
		if snap = l.Snapshot(); !snap.Balancer.Green.DrainLost.IsZero() {
			t.Error("drained again, and still said to be lost")
		}
	})
}

func TestLiveLockAndTests(t *testing.T) {
	s := newScene()
	s.pair.Services[0].Ready = ops.Readiness{Kind: ops.ReadyHTTP, URL: "http://tcs"}
	s.blue.statuses["http://tcs"], s.green.statuses["http://tcs"] = 200, 200
	watch(t, s, func(t *testing.T, l *Live) {
		s.green.change(func(h *fakeHost) {
			h.lock = &ops.LockInfo{Run: "7f3a", By: "jo"}
			h.statuses["http://tcs"] = 500
		})
		pass(5 * time.Second)
		snap := l.Snapshot()
		if snap.Green.Lock == nil || snap.Green.Lock.Run != "7f3a" || snap.Blue.Lock != nil || quiet(l) {
			t.Errorf("the lock is %+v, and a signal was expected", snap.Green.Lock)
		}
		pass(5 * time.Second)
		snap = l.Snapshot()
		if st := snap.Green.Service("tcs"); st.Ready || st.State != "unhealthy" || !snap.Blue.Service("tcs").Ready {
			t.Errorf("got %+v", st)
		}
		// The tests, too, keep what they saw last when the connection is lost.
		s.blue.change(func(h *fakeHost) { h.link, h.err = ops.LinkDown, errors.New("lost") })
		s.blue.engine.stop()
		pass(time.Minute)
		snap = l.Snapshot()
		if st := snap.Blue.Service("tcs"); st.State != "healthy" || snap.Blue.Engine.Err == nil {
			t.Errorf("got %+v, %v", st, snap.Blue.Engine.Err)
		}
		s.green.change(func(h *fakeHost) { h.lock = nil })
		pass(5 * time.Second)
		if snap = l.Snapshot(); snap.Green.Lock != nil {
			t.Errorf("the lock is still %+v", snap.Green.Lock)
		}
	})
}

func TestLiveFindings(t *testing.T) {
	s := newScene()
	i := s.inspector()
	i.opts.Findings = func(snap ops.Snapshot, now time.Time) []ops.Finding {
		if !snap.Green.Engine.Fresh(now, time.Second) {
			return []ops.Finding{{ID: "stale"}}
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		l := i.Live(t.Context())
		t.Cleanup(l.Wait)
		pass(500 * time.Millisecond)
		quiet(l)
		pass(3 * time.Second)
		snap := l.Snapshot()
		if len(snap.Findings) != 1 || quiet(l) {
			t.Errorf("findings %v, and a signal was expected", snap.Findings)
		}
	})
}

// BenchmarkUpdate is what a busy balancer costs: once a second its counters move.
func BenchmarkUpdate(b *testing.B) {
	s := newScene()
	l := &Live{i: s.inspector(), changed: make(chan struct{}, 1), drains: map[ops.Side]*drain{ops.Blue: {}, ops.Green: {}}}
	l.world = l.i.unseen()
	for n := range 20 {
		name := "service-" + string(rune('a'+n))
		s.pair.Services = append(s.pair.Services, ops.Service{Name: name})
		for _, side := range ops.Sides {
			l.world.on(side).list = append(l.world.on(side).list, running(name))
			l.world.on(side).engine.At = time.Unix(1, 0)
		}
	}
	l.i = s.inspector()
	b.ReportAllocs()
	for b.Loop() {
		l.update(func(*world) bool { return true })
	}
}
