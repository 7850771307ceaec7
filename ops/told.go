package ops

import (
	"encoding/json"
	"maps"
	"strings"
)

// LostKey is the start of the key under which a step records what could not be kept of a
// container that it made anew: "lost NAME", with the list of what it was.
const LostKey = "lost "

// Loss is what could not be kept of a container that was made anew.
type Loss struct {
	Step string // id of the step that found it
	Name string // of the container
	What []string
}

// ProbeKey begins the keys under which steps record what became of a try of compose: a
// [Probed]. Each try has a key of its own, ending in its time.
const ProbeKey = "compose-probe "

// Probed is the outcome of a try of compose on a side.
type Probed struct {
	Side Side `json:"side"`
	CanaryResult
}

// Told is what the records of a run tell of what became of it.
type Told struct {
	Lost []Loss
	// Before and After are the first and the last record of what each side runs.
	Before, After map[Side]Versions
	// ServedBefore and ServedAfter are the first and the last count of the balancer; nil:
	// none.
	ServedBefore, ServedAfter map[Side]Served
	Probes                    []Probed  // oldest first
	Jobs                      []JobRun  // as recorded, oldest first
	Marks                     []RunLine // what of the run belongs on the timeline of its pair, oldest first
}

// apply adds one record. Maps are replaced, never changed: a copy of a Run may have them.
func (t *Told) apply(e Event) {
	t.mark(e)
	if e.Kind != EvRecord {
		return
	}
	switch name, lost := strings.CutPrefix(e.Text, LostKey); {
	case lost:
		loss := Loss{Step: e.Step, Name: name}
		if json.Unmarshal(e.Data, &loss.What) == nil && len(loss.What) > 0 {
			t.Lost = append(t.Lost[:len(t.Lost):len(t.Lost)], loss)
		}
	case strings.HasPrefix(e.Text, ProbeKey):
		var p Probed
		if json.Unmarshal(e.Data, &p) == nil && p.Side != "" {
			t.Probes = append(t.Probes[:len(t.Probes):len(t.Probes)], p)
		}
	case e.Text == JobsKey:
		var jobs []JobRun
		if json.Unmarshal(e.Data, &jobs) == nil {
			t.Jobs = append(t.Jobs[:len(t.Jobs):len(t.Jobs)], jobs...)
		}
	case e.Text == VersionsKey:
		var v Versions
		if json.Unmarshal(e.Data, &v) != nil || v.Side == "" {
			return
		}
		if _, known := t.Before[v.Side]; !known {
			t.Before = with(t.Before, v)
		}
		t.After = with(t.After, v)
	case e.Text == ServedKey:
		var served map[Side]Served
		if json.Unmarshal(e.Data, &served) != nil || len(served) == 0 {
			return
		}
		if t.ServedBefore == nil {
			t.ServedBefore = served
		}
		t.ServedAfter = served
	}
}

func with(m map[Side]Versions, v Versions) map[Side]Versions {
	if m = maps.Clone(m); m == nil {
		m = map[Side]Versions{}
	}
	m[v.Side] = v
	return m
}

// Since is what was counted after the earlier of two counts, of the sides of which both tell.
// It is not known where a counter went back: the balancer was started anew.
func Since(before, after map[Side]Served) (requests, failed uint64, known bool) {
	for side, was := range before {
		is, counted := after[side]
		if !counted || is.Requests < was.Requests {
			return 0, 0, false
		}
		requests += is.Requests - was.Requests
		if was.Failed == nil || is.Failed == nil {
			continue
		}
		if *is.Failed < *was.Failed {
			return 0, 0, false
		}
		failed += *is.Failed - *was.Failed
	}
	return requests, failed, len(before) > 0
}
