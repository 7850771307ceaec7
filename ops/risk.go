package ops

import (
	"slices"
	"strings"
)

// Risk is a guard accepted by the operator, for the steps of one side.
type Risk struct {
	Guard  string `json:"guard"`
	Reason string `json:"reason"`
	// Side is whose steps it lets go on; empty: those of the side that was asked for, which
	// is the first one of a run of both.
	Side Side `json:"side,omitempty"`
	// Service is the only one that the guard need not hold for; empty: any.
	Service string `json:"service,omitempty"`
}

// String names the guard, then what of it is accepted: "services-ready (tcs, BLUE)".
func (r Risk) String() string {
	var of []string
	if r.Service != "" {
		of = append(of, r.Service)
	}
	if r.Side != "" {
		of = append(of, r.Side.Upper())
	}
	if of == nil {
		return r.Guard
	}
	return r.Guard + " (" + strings.Join(of, ", ") + ")"
}

// Accepts tells whether the risks cover a guard of the side's steps, for each of the named
// services where it is about services.
func (r Request) Accepts(risks []Risk, side Side, guard string, services ...string) bool {
	covers := func(service string) bool {
		return slices.ContainsFunc(risks, func(a Risk) bool {
			return a.Guard == guard && (a.Side == side || a.Side == "" && side == r.Side) && (a.Service == "" || a.Service == service)
		})
	}
	if len(services) == 0 {
		return covers("")
	}
	return !slices.ContainsFunc(services, func(s string) bool { return !covers(s) })
}

// Waivable is why a step did not succeed, where the run may go on without it once one of the
// risks is accepted.
type Waivable struct {
	Err   error
	Risks []Risk
}

func (w *Waivable) Error() string { return w.Err.Error() }
func (w *Waivable) Unwrap() error { return w.Err }

// Bind says what a risk is about that is accepted while the run stands at a step: what the
// step itself says, else this step's side, and the services that keep it from going on. What
// comes after them is asked for again.
func (r *Run) Bind(risk Risk) []Risk {
	if risk.Side != "" || risk.Service != "" {
		return []Risk{risk}
	}
	var bound []Risk
	for i := range r.Steps {
		s := &r.Steps[i]
		if !s.stands() {
			continue
		}
		if i := slices.IndexFunc(s.Risks, func(may Risk) bool { return may.Guard == risk.Guard }); i >= 0 {
			risk.Side, risk.Service = s.Risks[i].Side, s.Risks[i].Service
			bound = append(bound, risk)
			continue
		}
		risk.Side = s.Doc.Side
		services := []string{s.Doc.Service}
		if slices.Contains(s.Doc.Guards, risk.Guard) {
			services = []string{""}
		}
		for _, c := range s.Checks {
			if c.Guard == risk.Guard && !c.Allows() && len(c.Services) > 0 {
				services = c.Services
			}
		}
		for _, risk.Service = range services {
			if !slices.Contains(bound, risk) {
				bound = append(bound, risk)
			}
		}
	}
	if bound == nil {
		return []Risk{risk}
	}
	return bound
}

// stands tells whether the step was begun and has not come to a good end.
func (s *RunStep) stands() bool {
	switch s.Phase {
	case Failed, Refused, Running, TakingBack, UndoFailed:
		return true
	}
	return s.Phase == Waiting && !s.Started.IsZero()
}
