package lab

import (
	"slices"
	"time"
)

// Turn is a change of what the balancer gives a side.
type Turn struct {
	At    time.Time
	Side  string
	State string // in-service, draining, out or down
	Asked bool   // a request to the balancer made it; else its check, or a reload
}

// maxTurns is how many turns a balancer remembers.
const maxTurns = 10_000

// turns is the trace of a balancer. Its methods expect the balancer's lock.
type turns struct {
	all  []Turn
	last map[string]string
}

// note adds a turn where the state of a side is another than it was.
func (t *turns) note(side, state string, asked bool) {
	if t.last == nil {
		t.last = map[string]string{}
	}
	if t.last[side] == state {
		return
	}
	t.last[side] = state
	if len(t.all) == maxTurns {
		t.all = slices.Clone(t.all[maxTurns/2:])
	}
	t.all = append(t.all, Turn{At: time.Now(), Side: side, State: state, Asked: asked})
}

// Trace is what the balancer gave each side since the lab began, in order: HAProxy's to the
// instant, ELBv2's as seen at each call of its API.
func (l *Lab) Trace() []Turn { return l.balancer.trace() }

// AlwaysServed looks for the first moment at which a request to the balancer left no side in
// service. What a check or a fault did alone does not count.
func AlwaysServed(trace []Turn) (bad Turn, ok bool) {
	state := map[string]string{}
	for _, t := range trace {
		state[t.Side] = t.State
		serves := slices.ContainsFunc(Sides, func(side string) bool { return state[side] == "in-service" })
		if t.Asked && t.State != "in-service" && !serves {
			return t, false
		}
	}
	return Turn{}, true
}
