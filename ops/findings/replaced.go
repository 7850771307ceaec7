package findings

import (
	"strings"

	"tandem/ops"
)

// engineReplaced: the same version was installed anew under the running engine.
func engineReplaced(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) || !s.Facts.EngineReplaced || changedUnder(s) || v.patching(side) {
			return nil
		}
		return []ops.Finding{v.replaced("engine-replaced", side, "the engine's program was replaced while it runs")}
	})
}

// partsNewer: what the engine starts containers with was replaced after it had started.
func partsNewer(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) || len(s.Facts.Newer) == 0 || s.Facts.EngineReplaced || changedUnder(s) || v.patching(side) {
			return nil
		}
		return []ops.Finding{v.replaced("parts-newer", side, strings.Join(s.Facts.Newer, " and ")+" replaced after the engine had started")}
	})
}

// replaced is a program put in place under the running engine: to be proven, and no more than
// a note once that was done.
func (v *view) replaced(id string, side ops.Side, what string) ops.Finding {
	s := v.On(side)
	changed := lastChange(s)
	f := ops.Finding{
		ID: id, Severity: ops.Warn, Side: side, Title: what + ": a new container may not start" + inShort(changed, v.now),
		Detail: inFull(changed, v.now), Hint: "prove it with a canary: c", Do: canary(side),
	}
	if changed != nil && provenSince(s, changed.At) {
		f.Severity, f.Title = ops.Note, what+inShort(changed, v.now)
		f.Detail = sentence("a canary has passed since", f.Detail)
		f.Hint, f.Do = "restart the engine when the side is next out of service", nil
	}
	return f
}
