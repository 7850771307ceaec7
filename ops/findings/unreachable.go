package findings

import "tandem/ops"

// unreachable: a host or its engine could not be read.
func unreachable(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		var out []ops.Finding
		if p := s.Host.Err; p != nil {
			title := "the host cannot be read: "
			if s.Link != ops.LinkUp {
				title = "cannot be reached: "
			}
			out = append(out, ops.Finding{
				ID: "unreachable", Severity: ops.Block, Side: side, Title: title + cause(p), Detail: lastSeen(s.Host),
				Hint: hint(p, "check that ssh to "+v.Pair.Addresses[side]+" works; it is tried again by itself"),
			})
		}
		// Without a connection the engine is out of reach for the same reason.
		if p := s.Engine.Err; p != nil && (s.Link == ops.LinkUp || s.Host.Err == nil) && (s.Host.Err == nil || cause(p) != cause(s.Host.Err)) {
			out = append(out, ops.Finding{
				ID: "engine-unreachable", Severity: ops.Block, Side: side, Title: "the engine cannot be read: " + cause(p), Detail: lastSeen(s.Engine),
				Hint: hint(p, "on the host: systemctl status docker"),
			})
		}
		return out
	})
}
