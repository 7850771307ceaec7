package findings

import "tandem/ops"

// nobody tells whether the balancer says of both sides that they do not serve.
func (v *view) nobody() bool {
	not := func(t ops.Traffic) bool { return taken(t) || t == ops.Down }
	return read(v.Balancer.Look) && not(v.Balancer.Blue.Traffic) && not(v.Balancer.Green.Traffic)
}

// bothOut: nobody serves.
func bothOut(v view) []ops.Finding {
	if !v.nobody() {
		return nil
	}
	blue, green := v.Balancer.Blue.Traffic, v.Balancer.Green.Traffic
	f := ops.Finding{ID: "both-out", Severity: ops.Block, Title: "both sides are out: nobody serves"}
	if !taken(blue) || !taken(green) {
		f.Title = "no side is in service: blue " + blue.Words() + ", green " + green.Words()
	}
	f.Hint = "neither side is known to be ready: mend the one with fewer findings, then put it back: u"
	for _, side := range ops.Sides {
		s := v.On(side)
		if ready, of := s.Ready(); read(s.Engine) && of > 0 && ready == of && taken(v.Balancer.On(side).Traffic) {
			f.Hint, f.Do = string(side)+" is ready: put it back: u on "+string(side), putBack(side)
			break
		}
	}
	return []ops.Finding{f}
}
