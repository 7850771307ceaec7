package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// serviceNotReady: services that should be ready and are not, those of one state together.
func serviceNotReady(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Engine) {
			return nil
		}
		groups := map[string][]string{}
		var states []string
		whys := map[string]string{}
		for i := range s.Services {
			service := &s.Services[i]
			if service.Ready || !service.Here || service.State == "starting" && !v.late(service) {
				continue
			}
			state := v.stateOf(side, service)
			if groups[state] == nil {
				states = append(states, state)
				whys[state] = service.Why
			}
			groups[state] = append(groups[state], service.Name)
		}
		var out []ops.Finding
		for _, state := range states {
			out = append(out, notReady(side, state, groups[state], whys[state]))
		}
		return out
	})
}

// stateOf is why a service is not ready, in words that those of one cause share.
func (v *view) stateOf(side ops.Side, service *ops.ServiceState) string {
	switch peer := v.On(side.Peer()).Service(service.Name); {
	case service.State == "missing" && peer != nil && len(peer.Containers) > 0:
		return "missing here, runs on " + string(side.Peer())
	case strings.HasPrefix(service.State, "exited") && slices.ContainsFunc(service.Containers, func(c ops.Container) bool { return c.OOMKilled }):
		return service.State + ", killed: out of memory"
	}
	return service.State
}

func notReady(side ops.Side, state string, list []string, why string) ops.Finding {
	f := ops.Finding{
		ID: "service-not-ready", Severity: ops.Block, Side: side, Title: list[0] + " " + state,
		Hint: "read its log: l, then restart it: r", Do: restart(side, list...),
	}
	switch {
	case len(list) > 1:
		f.Title = fmt.Sprintf("%d services %s: %s", len(list), state, names(list))
		f.Hint = "read their logs: l, then restart them: r"
	case !strings.Contains(state, why):
		f.Detail = why
	}
	switch state {
	case "missing":
		f.Hint, f.Do = "start it with compose, or take it out of the config", nil
	case "missing here, runs on " + string(side.Peer()):
		f.Hint, f.Do = "start it here with compose, or say `only: "+string(side.Peer())+"` in the config", nil
	case "starting":
		f.Severity, f.Title = ops.Warn, f.Title+" for longer than usual"
	case "unknown":
		f.Severity, f.Hint, f.Do = ops.Warn, "look again; unknown counts as not ready", nil
	case "running":
		f.Title = names(list) + " cannot prove to be ready"
		f.Hint, f.Do = "give its image a health check, or change `ready` in the config", nil
	}
	if f.Do != nil {
		f.Logs = list
	}
	return f
}

// late tells whether a service takes longer to start than it may.
func (v *view) late(s *ops.ServiceState) bool {
	limit := v.Pair.Limits.Start
	for i := range v.Services {
		if v.Services[i].Name == s.Name && v.Services[i].Timeout > 0 {
			limit = v.Services[i].Timeout
		}
	}
	var latest time.Time
	for _, c := range s.Containers {
		if c.StartedAt.After(latest) {
			latest = c.StartedAt
		}
	}
	return !latest.IsZero() && v.now.Sub(latest) > limit
}
