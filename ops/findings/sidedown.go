package findings

import "tandem/ops"

// sideDown: the balancer sends traffic there or would, but its check does not pass.
func sideDown(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		t := v.Balancer.On(side)
		if !read(v.Balancer.Look) || t.Traffic != ops.Down || shifted(t) {
			return nil
		}
		f := ops.Finding{ID: "side-down", Severity: ops.Block, Side: side, Title: "down: the balancer's check does not pass", Detail: t.Detail}
		if t.Check != "" {
			f.Title += ": " + t.Check
		}
		f.Hint = "see which service is not ready, and restart it: r"
		ready, of := s.Ready()
		switch {
		case read(s.Engine) && of > 0 && ready == of:
			f.Hint = "all services are ready: see what the check of " + v.Balancer.Name + " asks for"
		case read(s.Engine) && of > 0:
			f.Do = restart(side, unready(s)...)
		}
		return []ops.Finding{f}
	})
}

// unready are the services that a restart may help.
func unready(s *ops.SideState) []string {
	var out []string
	for i := range s.Services {
		if service := &s.Services[i]; service.Here && !service.Ready && len(service.Containers) > 0 {
			out = append(out, service.Name)
		}
	}
	return out
}
