package findings

import "tandem/ops"

// healthMissing: services that count as ready because they run, and for no better reason. Where
// the config says how to test a service, or that running is enough, there is nothing to say.
func healthMissing(v view) []ops.Finding {
	ready := map[string]ops.ReadinessKind{}
	for _, service := range v.Services {
		ready[service.Name] = service.Ready.Kind
	}
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Engine) {
			return nil
		}
		var list []string
		for i := range s.Services {
			service := &s.Services[i]
			if !service.Ready || ready[service.Name] != ops.ReadyAuto {
				continue
			}
			for _, c := range service.Containers {
				if c.Health == "" || c.Health == "none" {
					list = append(list, service.Name)
					break
				}
			}
		}
		if len(list) == 0 {
			return nil
		}
		return []ops.Finding{{
			ID: "health-missing", Severity: ops.Note, Side: side, Title: "no health check, counted ready because they run: " + names(list),
			Hint: "give the image a health check, or the service a `ready` in the config",
		}}
	})
}
