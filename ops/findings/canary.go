package findings

import (
	"time"

	"tandem/ops"
)

// canaryAge is how long a canary that passed is a proof; the guards of plans take it so too.
const canaryAge = time.Hour

// canaryOld: whether a new container could start now is not known.
func canaryOld(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		f := ops.Finding{ID: "canary-old", Severity: ops.Note, Side: side, Hint: "try it: c", Do: canary(side)}
		changed := lastChange(s)
		before := func(c *ops.CanaryResult) bool { return changed != nil && changed.At.After(c.At) }
		switch {
		case !read(s.Engine) || s.Canary != nil && !s.Canary.OK || s.Probe != nil && !s.Probe.OK:
			return nil // said already
		case s.Canary == nil:
			f.Title = "whether a new container can start was never tried"
		case before(s.Canary) || s.Probe != nil && before(s.Probe):
			f.Title = "no canary has passed since the engine's packages changed at " + clock(changed.At, v.now)
		case v.now.Sub(s.Canary.At) > canaryAge:
			f.Title = "no canary has passed since " + clock(s.Canary.At, v.now)
		case s.Probe == nil && s.Facts.Compose != "" && composed(s):
			f.Title = "whether compose can make a container was never tried"
		default:
			return nil
		}
		return []ops.Finding{f}
	})
}
