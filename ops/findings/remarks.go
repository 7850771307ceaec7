package findings

import "tandem/ops"

// balancerFaults: what takes traffic from the pair, or lets it go astray, whatever the sides do.
func balancerFaults(v view) []ops.Finding {
	return remarks(v, "balancer-fault", ops.Warn, v.Balancer.Faults, "mend it at "+v.Balancer.Name)
}

// balancerRemarks: what the balancer says of itself.
func balancerRemarks(v view) []ops.Finding {
	return remarks(v, "balancer-remark", ops.Note, v.Balancer.Remarks, "")
}

func remarks(v view, id string, severity ops.Severity, texts []string, next string) []ops.Finding {
	var out []ops.Finding
	if read(v.Balancer.Look) {
		for _, text := range texts {
			out = append(out, ops.Finding{ID: id, Severity: severity, Title: v.Balancer.Name + ": " + text, Hint: next})
		}
	}
	return out
}
