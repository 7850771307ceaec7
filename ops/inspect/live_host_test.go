package inspect

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

func (h *fakeHost) reads() (upkeep, net int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.upkeepN, h.netN
}

// A package manager is asked when it has done something, else every quarter of an hour.
func TestLiveUpkeep(t *testing.T) {
	s := newScene()
	s.green.facts.Packaging = "before"
	s.green.upkeep = ops.Upkeep{Manager: "apt", Changes: []ops.PackageChange{{At: time.Unix(500, 0), Command: "apt-get install docker.io"}}}
	watch(t, s, func(t *testing.T, l *Live) {
		if n, _ := s.green.reads(); n != 1 || l.Snapshot().Green.Upkeep.Manager != "apt" {
			t.Fatalf("%d reads, %+v", n, l.Snapshot().Green.Upkeep)
		}
		pass(time.Hour)
		if n, _ := s.green.reads(); n != 5 || !quiet(l) {
			t.Errorf("%d reads in a calm hour", n)
		}
		if at := l.Snapshot().Green.Care.At; time.Since(at) > careEvery {
			t.Errorf("its age was not kept: %v", at)
		}
		s.green.change(func(h *fakeHost) {
			h.facts.Packaging = "after"
			h.upkeep.Busy = "apt-get, process 4711"
			h.upkeep.Changes = append(h.upkeep.Changes, ops.PackageChange{
				At: time.Date(2020, 11, 12, 16, 2, 10, 0, time.UTC), Command: "apt-get upgrade", By: "ann",
				Packages: []ops.VersionChange{{Name: "docker.io", From: "20.10.24", To: "26.1.5"}, {Name: "docker-cli", To: "26.1.5"}, {Name: "docker-compose", From: "1.29.2"}},
				Err:      "interrupted",
			})
		})
		pass(factsEvery + time.Second)
		if n, _ := s.green.reads(); n != 6 || quiet(l) {
			t.Errorf("%d reads after the packages changed", n)
		}
		pass(10 * factsEvery)
		if n, _ := s.green.reads(); n < 15 || !quiet(l) {
			t.Errorf("%d reads while apt is at work", n)
		}
		s.green.change(func(h *fakeHost) { h.facts.Packaging, h.careErr = "later", errors.New("the answer broke off") })
		pass(factsEvery + time.Second)
		side := l.Snapshot().Green
		if quiet(l) || side.Care.Err == nil || side.Care.At.IsZero() || side.Upkeep.Manager != "apt" {
			t.Errorf("what was known stays, with the error: %+v, %+v", side.Care, side.Upkeep)
		}
		if d := cmp.Diff([]string{
			"green packages changed by ann: apt-get upgrade: docker.io 20.10.24 -> 26.1.5, docker-cli 26.1.5 installed, docker-compose 1.29.2 removed (interrupted)",
		}, texts(l)); d != "" {
			t.Error(d)
		}
	})
}

// Networks are read on a slow beat, and when the connection is back; an error leaves them.
func TestLiveNet(t *testing.T) {
	s := newScene()
	watch(t, s, func(t *testing.T, l *Live) {
		pass(15 * time.Minute)
		if _, n := s.green.reads(); n != 5 || !quiet(l) { // at the start, when the connection is there, and thrice
			t.Errorf("%d reads in a quarter of an hour", n)
		}
		s.green.change(func(h *fakeHost) { h.netErr = errors.New("the daemon.json cannot be read") })
		pass(netEvery)
		if snap := l.Snapshot(); snap.Green.Net == nil || !quiet(l) {
			t.Errorf("the networks were forgotten: %+v", snap.Green.Net)
		}
	})
}

// A clock that is measured a little otherwise each time is no news.
func TestSameFactsAhead(t *testing.T) {
	at := func(d time.Duration) ops.Facts { return ops.Facts{BootID: "x", Ahead: d} }
	if !sameFacts(at(0), at(1900*time.Millisecond)) || !sameFacts(at(5*time.Second), at(5100*time.Millisecond)) {
		t.Error("jitter is a change")
	}
	if sameFacts(at(0), at(3*time.Second)) || sameFacts(at(time.Second), at(-2*time.Second)) {
		t.Error("a step of the clock is none")
	}
}
