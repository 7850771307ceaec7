package tui

import (
	"time"

	"tandem/ops"
)

// meter tells what users have had of the run that is under way, as far as this console has
// seen it: requests as the balancer counts them. The App feeds it, so that it outlives the
// screen of the run.
type meter struct {
	of               string // id of the run that it is about; empty: none was seen under way
	at               time.Time
	base             map[ops.Side]ops.Served
	requests, failed uint64
	counts           bool // requests and failed are known
}

// read takes note of what the backend has said last.
func (m *meter) read(e *env) {
	if e.run == nil || !e.run.Live() {
		return
	}
	now := e.snap.Balancer.Served()
	if e.run.ID != m.of {
		*m = meter{of: e.run.ID, at: e.now(), base: now}
	}
	m.requests, m.failed, m.counts = ops.Since(m.base, now)
}
