package lab

import (
	"slices"
	"time"
)

// Request is one request as it came over a wire.
type Request struct {
	At       time.Time
	Side     string // empty: the balancer
	Wire     string // docker, exec, forward, haproxy, elbv2
	User     string // who asked, for exec
	From     string // the address of the connection that it came over, where it is known
	What     string // "GET /v1.41/containers/json?all=1", or the command line
	Mutating bool   // it changed something, or asked for a change
	Status   int    // HTTP status or exit status; 0 also while it is being answered
}

// maxRequests is how many requests a lab remembers: a demo may run for days.
const maxRequests = 50_000

// record expects the lock.
func (w *World) record(r Request) *Request {
	r.At = time.Now()
	if len(w.requests) == maxRequests {
		w.requests = slices.Clone(w.requests[maxRequests/2:])
	}
	w.requests = append(w.requests, &r)
	return &r
}

// Requests is every request to the hosts so far (of very many, the latest), in the order
// in which they came.
func (w *World) Requests() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Request, len(w.requests))
	for i, r := range w.requests {
		out[i] = *r
	}
	return slices.Clip(out)
}
