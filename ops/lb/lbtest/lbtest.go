// Package lbtest is the contract of ops.Balancer as one suite, run over every kind of
// balancer: against the lab, against command scripts, and against a real HAProxy.
//
// A fixture is a pair that is in service on both sides, fresh for every test, and hooks
// that change the world behind the balancer. A hook that is missing must be one that has
// no sense for that kind, by the list below; a missing hook that is not on it fails.
package lbtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// Fixture is one balancer over a pair that is in service on both sides.
type Fixture struct {
	Kind     string // haproxy, elbv2, command
	Balancer ops.Balancer

	SetHealthy  func(ops.Side, bool)  // what the balancer's check finds from now on
	SetSessions func(ops.Side, int)   // open sessions of a side
	Reload      func()                // the balancer forgets what was set at run time
	Deny        func()                // changes are refused for lack of rights from now on
	Break       func()                // the balancer cannot be reached from now on
	Unknown     func() ops.Balancer   // the same balancer, asked for a name that it does not have
	ReadOnly    func(bool)            // read-only mode
	Fence       *Fence                // what is asked before changes
	Disturb     func(side ops.Side)   // another state than in service: what Restore must bring back exactly
	Exact       func(ops.Side) string // the side's exact state, read without the client
	Changes     func() int            // how many changes were asked of the balancer
}

// inapplicable lists the hooks that a kind may leave out, and why.
var inapplicable = map[string]map[string]string{
	"elbv2": {
		"SetSessions": "ELBv2 does not tell sessions",
		"Reload":      "what was registered stays registered",
	},
	"command": {
		"SetHealthy": "a command has no check that tandem knows of",
		"Reload":     "what the command remembers is its own affair",
		"Deny":       "a command's words for a refusal are its own",
		"Unknown":    "a command gets the side's own name",
		"Disturb":    "the traffic words are all the state there is",
		"Break":      "a command that does not run is no network",
	},
}

// Deadlines: of what must succeed, and of what must not.
const (
	patience   = 20 * time.Second
	impatience = 700 * time.Millisecond
)

type suite struct {
	*testing.T
	Fixture
}

// Run runs the suite; start makes a fresh fixture for every test and cleans up through t.
func Run(t *testing.T, start func(t *testing.T) Fixture) {
	tests := []struct {
		name  string
		needs []string
		run   func(*suite)
	}{
		{"both sides serve", nil, bothServe},
		{"a drain takes one side out and no other", nil, drains},
		{"every act is safe to do again", nil, repeats},
		{"a cut-off ends it", nil, cutsOff},
		{"sessions are counted", []string{"SetSessions"}, counts},
		{"a failing check is seen, and so is its end", []string{"SetHealthy"}, seesCheck},
		{"putting back waits for the check", []string{"SetHealthy"}, putBackWaits},
		{"a broken side is not put back", []string{"SetHealthy"}, putBackBroken},
		{"the recorded state comes back exactly", nil, restores},
		{"an odd recorded state comes back exactly", []string{"Disturb"}, restoresOdd},
		{"the record of another balancer is refused", nil, refusesForeign},
		{"a drain that a reload lost is seen", []string{"Reload"}, seesLostDrain},
		{"an unknown name", []string{"Unknown"}, unknown},
		{"not permitted", []string{"Deny"}, notPermitted},
		{"unreachable", []string{"Break"}, unreachable},
		{"read-only changes nothing", nil, readOnly},
		{"a fence lets no change through", nil, fenced},
		{"effects name the side and nothing else", nil, effects},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, Fixture: start(t)}
			for _, hook := range test.needs {
				if s.has(hook) {
					continue
				}
				reason, ok := inapplicable[s.Kind][hook]
				if !ok {
					t.Fatalf("the fixture of %s has no %s, and nothing says why", s.Kind, hook)
				}
				t.Logf("does not apply to %s: %s", s.Kind, reason)
				return
			}
			test.run(s)
		})
	}
}

func (s *suite) has(hook string) bool {
	return map[string]bool{
		"SetHealthy": s.SetHealthy != nil, "SetSessions": s.SetSessions != nil, "Reload": s.Reload != nil, "Deny": s.Deny != nil,
		"Break": s.Break != nil, "Unknown": s.Unknown != nil, "Disturb": s.Disturb != nil,
	}[hook]
}

// context ends well after anything should have.
func (s *suite) context() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	s.Cleanup(cancel)
	return ctx
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// on is the traffic of a side now.
func (s *suite) on(side ops.Side) ops.SideTraffic {
	s.Helper()
	status, err := s.Balancer.Status(s.context())
	s.must(err)
	return *status.On(side)
}

// await polls until the side's traffic is what it should be.
func (s *suite) await(side ops.Side, what string, ok func(ops.SideTraffic) bool) ops.SideTraffic {
	s.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := s.on(side)
		if ok(got) {
			return got
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s is %+v, want %s", side, got, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (s *suite) awaitTraffic(side ops.Side, want ...ops.Traffic) {
	s.Helper()
	s.await(side, string(want[0]), func(t ops.SideTraffic) bool { return slices.Contains(want, t.Traffic) })
}

func left(t ops.Traffic) bool { return t == ops.Draining || t == ops.Out }

func bothServe(s *suite) {
	status, err := s.Balancer.Status(s.context())
	s.must(err)
	if status.Name != s.Balancer.Name() || status.Minimum < 1 || status.Look.At.IsZero() || status.Look.Err != nil {
		s.Errorf("status is %+v", status)
	}
	for _, side := range ops.Sides {
		if got := status.On(side); got.Traffic != ops.InService {
			s.Errorf("%s is %+v", side, *got)
		}
	}
	if s.Balancer.Every() <= 0 {
		s.Errorf("Every is %v", s.Balancer.Every())
	}
}

func drains(s *suite) {
	s.must(s.Balancer.Drain(s.context(), ops.Green))
	got := s.on(ops.Green)
	if !left(got.Traffic) {
		s.Errorf("green is %+v after a drain", got)
	}
	if got.Share != nil && *got.Share != 0 {
		s.Errorf("green still gets %v of new traffic", *got.Share)
	}
	blue := s.on(ops.Blue)
	if blue.Traffic != ops.InService {
		s.Errorf("blue is %+v after a drain of green", blue)
	}
	if blue.Share != nil && *blue.Share != 1 {
		s.Errorf("blue gets %v of new traffic, want all", *blue.Share)
	}
}

func repeats(s *suite) {
	ctx := s.context()
	s.must(s.Balancer.PutBack(ctx, ops.Green, nil, s.say))
	if n := s.Changes(); n != 0 {
		s.Errorf("putting back a side that is in service made %d changes", n)
	}
	for _, act := range []struct {
		name string
		do   func() error
	}{
		{"drain", func() error { return s.Balancer.Drain(ctx, ops.Green) }},
		{"cut-off", func() error { return s.Balancer.CutOff(ctx, ops.Green) }},
		{"drain after cut-off", func() error { return s.Balancer.Drain(ctx, ops.Green) }},
	} {
		s.must(act.do())
		before, changes := s.Exact(ops.Green), s.Changes()
		s.must(act.do())
		if s.Exact(ops.Green) != before || s.Changes() != changes {
			s.Errorf("a second %s changed %q to %q", act.name, before, s.Exact(ops.Green))
		}
	}
	for range 2 {
		s.must(s.Balancer.PutBack(ctx, ops.Green, nil, s.say))
		s.awaitTraffic(ops.Green, ops.InService)
	}
}

func cutsOff(s *suite) {
	s.must(s.Balancer.CutOff(s.context(), ops.Green))
	if got := s.on(ops.Green); !left(got.Traffic) {
		s.Errorf("green is %+v after a cut-off", got)
	}
	if got := s.on(ops.Blue); got.Traffic != ops.InService {
		s.Errorf("blue is %+v after a cut-off of green", got)
	}
}

func counts(s *suite) {
	s.SetSessions(ops.Green, 3)
	s.must(s.Balancer.Drain(s.context(), ops.Green))
	number := func(n int) func(ops.SideTraffic) bool {
		return func(t ops.SideTraffic) bool { return t.Sessions != nil && *t.Sessions == n }
	}
	s.await(ops.Green, "3 sessions", number(3))
	s.SetSessions(ops.Green, 0)
	s.await(ops.Green, "no sessions", number(0))
}

func seesCheck(s *suite) {
	s.SetHealthy(ops.Green, false)
	s.awaitTraffic(ops.Green, ops.Down)
	s.SetHealthy(ops.Green, true)
	s.awaitTraffic(ops.Green, ops.InService)
}

// putBackWaits is the rule that matters most: no traffic before the check has passed.
func putBackWaits(s *suite) {
	s.must(s.Balancer.Drain(s.context(), ops.Green))
	s.SetHealthy(ops.Green, false)
	said := make(chan string, 100)
	result := make(chan error, 1)
	ctx := s.context()
	go func() {
		result <- s.Balancer.PutBack(ctx, ops.Green, nil, func(text string) { said <- text })
	}()
	<-said // it is under way
	for range 10 {
		select {
		case err := <-result:
			s.Fatalf("PutBack ended before the check passed: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if got := s.on(ops.Green); got.Traffic == ops.InService {
			s.Fatalf("green serves before its check has passed: %+v", got)
		}
	}
	s.SetHealthy(ops.Green, true)
	s.must(<-result)
	if got := s.on(ops.Green); got.Traffic != ops.InService {
		s.Errorf("green is %+v after PutBack", got)
	}
}

func putBackBroken(s *suite) {
	s.must(s.Balancer.CutOff(s.context(), ops.Green))
	s.SetHealthy(ops.Green, false)
	ctx, cancel := context.WithTimeout(s.Context(), impatience)
	defer cancel()
	err := s.Balancer.PutBack(ctx, ops.Green, nil, s.say)
	s.problem(err, context.DeadlineExceeded)
	if got := s.on(ops.Green); got.Traffic == ops.InService {
		s.Errorf("green serves though its check fails: %+v", got)
	}
}

func restores(s *suite) {
	ctx := s.context()
	before := s.Exact(ops.Green)
	prior, err := s.Balancer.Prior(ctx, ops.Green)
	s.must(err)
	if !json.Valid(prior) {
		s.Fatalf("Prior is %q", prior)
	}
	s.must(s.Balancer.Drain(ctx, ops.Green))
	drained := s.Exact(ops.Green)
	out, err := s.Balancer.Prior(ctx, ops.Green)
	s.must(err)
	s.must(s.Balancer.Restore(ctx, ops.Green, prior, s.say))
	if diff := cmp.Diff(before, s.Exact(ops.Green)); diff != "" {
		s.Errorf("the state before the drain, restored (-want +got):\n%s", diff)
	}
	s.awaitTraffic(ops.Green, ops.InService)
	s.must(s.Balancer.Restore(ctx, ops.Green, out, s.say))
	if diff := cmp.Diff(drained, s.Exact(ops.Green)); diff != "" {
		s.Errorf("the drained state, restored (-want +got):\n%s", diff)
	}
	s.must(s.Balancer.PutBack(ctx, ops.Green, prior, s.say))
	if diff := cmp.Diff(before, s.Exact(ops.Green)); diff != "" {
		s.Errorf("the state before the drain, put back (-want +got):\n%s", diff)
	}
}

func restoresOdd(s *suite) {
	ctx := s.context()
	s.Disturb(ops.Green)
	before := s.Exact(ops.Green)
	prior, err := s.Balancer.Prior(ctx, ops.Green)
	s.must(err)
	s.must(s.Balancer.CutOff(ctx, ops.Green))
	s.must(s.Balancer.Restore(ctx, ops.Green, prior, s.say))
	if diff := cmp.Diff(before, s.Exact(ops.Green)); diff != "" {
		s.Errorf("restored (-want +got):\n%s", diff)
	}
}

func refusesForeign(s *suite) {
	err := s.Balancer.Restore(s.context(), ops.Green, json.RawMessage(`{"kind": "carrier pigeon"}`), s.say)
	s.problem(err, nil)
	if n := s.Changes(); n != 0 {
		s.Errorf("%d changes were made", n)
	}
}

func seesLostDrain(s *suite) {
	s.must(s.Balancer.Drain(s.context(), ops.Green))
	if got := s.on(ops.Green); got.Traffic != ops.Draining {
		s.Fatalf("green is %+v", got)
	}
	s.Reload()
	s.awaitTraffic(ops.Green, ops.InService)
}

func unknown(s *suite) {
	b := s.Unknown()
	ctx := s.context()
	_, err := b.Status(ctx)
	s.problem(err, ops.ErrUnknownServer)
	s.problem(b.Drain(ctx, ops.Green), ops.ErrUnknownServer)
	_, err = b.Prior(ctx, ops.Green)
	s.problem(err, ops.ErrUnknownServer)
	if n := s.Changes(); n != 0 {
		s.Errorf("%d changes were made", n)
	}
}

func notPermitted(s *suite) {
	ctx := s.context()
	s.Deny()
	before := s.Exact(ops.Green)
	s.problem(s.Balancer.Drain(ctx, ops.Green), ops.ErrNotPermitted)
	if after := s.Exact(ops.Green); after != before {
		s.Errorf("green went from %q to %q", before, after)
	}
	if got := s.on(ops.Green); got.Traffic != ops.InService {
		s.Errorf("green is %+v", got)
	}
}

func unreachable(s *suite) {
	s.Break()
	ctx := s.context()
	_, err := s.Balancer.Status(ctx)
	s.problem(err, ops.ErrUnreachable)
	s.problem(s.Balancer.Drain(ctx, ops.Green), ops.ErrUnreachable)
	s.problem(s.Balancer.PutBack(ctx, ops.Green, nil, s.say), ops.ErrUnreachable)
}

// Fence refuses changes while it is down. The zero value is open.
type Fence struct{ down atomic.Bool }

var errFenced = errors.New("fenced")

// Ask is for the client's configuration.
func (f *Fence) Ask(context.Context) error {
	if f.down.Load() {
		return &ops.Problem{Doing: "asking", Err: errFenced, Hint: "give way"}
	}
	return nil
}

func fenced(s *suite) {
	ctx := s.context()
	prior, err := s.Balancer.Prior(ctx, ops.Green)
	s.must(err)
	s.must(s.Balancer.Drain(ctx, ops.Green))
	changes := s.Changes()
	s.Fence.down.Store(true)
	defer s.Fence.down.Store(false)
	s.problem(s.Balancer.PutBack(ctx, ops.Green, prior, s.say), errFenced)
	s.problem(s.Balancer.Restore(ctx, ops.Green, prior, s.say), errFenced)
	if n := s.Changes() - changes; n != 0 {
		s.Errorf("%d changes were made through the fence", n)
	}
}

func readOnly(s *suite) {
	ctx := s.context()
	prior, err := s.Balancer.Prior(ctx, ops.Green)
	s.must(err)
	s.ReadOnly(true)
	s.problem(s.Balancer.Drain(ctx, ops.Green), ops.ErrReadOnly)
	s.problem(s.Balancer.CutOff(ctx, ops.Green), ops.ErrReadOnly)
	if n := s.Changes(); n != 0 {
		s.Errorf("%d changes were made in read-only mode", n)
	}
	if got := s.on(ops.Green); got.Traffic != ops.InService {
		s.Errorf("green is %+v", got)
	}
	s.ReadOnly(false)
	s.must(s.Balancer.Drain(ctx, ops.Green))
	changes := s.Changes()
	s.ReadOnly(true)
	s.problem(s.Balancer.PutBack(ctx, ops.Green, prior, s.say), ops.ErrReadOnly)
	s.problem(s.Balancer.Restore(ctx, ops.Green, prior, s.say), ops.ErrReadOnly)
	if n := s.Changes() - changes; n != 0 {
		s.Errorf("%d changes were made in read-only mode", n)
	}
	if _, err := s.Balancer.Prior(ctx, ops.Green); err != nil {
		s.Errorf("Prior in read-only mode: %v", err)
	}
}

func effects(s *suite) {
	for _, act := range []string{"drain", "cut-off", "put-back"} {
		blue, green := s.Balancer.Effects(act, ops.Blue), s.Balancer.Effects(act, ops.Green)
		if len(green) == 0 {
			s.Errorf("%s has no effects", act)
		}
		if act != "cut-off" && slices.Equal(blue, green) {
			s.Errorf("the effects of %s do not name the side: %q", act, green)
		}
		for _, line := range green {
			if strings.TrimSpace(line) == "" {
				s.Errorf("%s has an empty effect: %q", act, green)
			}
		}
	}
	if n := s.Changes(); n != 0 {
		s.Errorf("%d changes were made by describing", n)
	}
}

// problem checks that err is one for an operator: typed, with a hint.
func (s *suite) problem(err, want error) {
	s.Helper()
	if err == nil {
		s.Errorf("no error, want %v", want)
		return
	}
	if want != nil && !errors.Is(err, want) {
		s.Errorf("error is %v, want %v", err, want)
	}
	var p *ops.Problem
	if !errors.As(err, &p) {
		s.Errorf("error is no Problem: %v", err)
		return
	}
	if p.Doing == "" || p.Hint == "" {
		s.Errorf("problem says too little: %+v", p)
	}
}

func (s *suite) say(text string) { s.Log(text) }
