package findings

import "tandem/ops"

// sideOut: a side that could serve does not, and no run is at it.
func sideOut(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !v.couldServe(side) {
			return nil
		}
		_, of := s.Ready()
		t := v.Balancer.On(side)
		f := ops.Finding{
			ID: "side-out", Severity: ops.Warn, Side: side, Title: t.Traffic.Words() + ", though all " + count(of, "service") + " are ready",
			Detail: t.Detail, Hint: "put it back: u", Do: putBack(side),
		}
		switch d := s.Drained; {
		case d != nil:
			f.Detail = sentence("taken out by "+d.By+" at "+d.From+", "+clock(d.At, v.now)+", run "+d.Run, f.Detail)
		case !t.Since.IsZero():
			f.Detail = sentence("since "+clock(t.Since, v.now)+", by no run that is known here", f.Detail)
		}
		return []ops.Finding{f}
	})
}

// couldServe tells whether a side is out although it is ready, its peer serves or may, and no
// run keeps it out.
func (v *view) couldServe(side ops.Side) bool {
	s := v.On(side)
	ready, of := s.Ready()
	return read(v.Balancer.Look) && read(s.Engine) && taken(v.Balancer.On(side).Traffic) && !v.nobody() && of > 0 && ready == of && !v.running()
}
