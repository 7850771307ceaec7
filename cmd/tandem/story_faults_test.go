package main

import (
	"time"

	"tandem/ops/lab"
)

// faults are what a story can do to a host of the lab.
var faults = map[string]func(h *lab.Host, args []string) error{
	"cut-cable":      func(h *lab.Host, _ []string) error { h.CutCable(); return nil },
	"restore-cable":  func(h *lab.Host, _ []string) error { h.RestoreCable(); return nil },
	"power-off":      func(h *lab.Host, _ []string) error { h.PowerOff(); return nil },
	"power-on":       func(h *lab.Host, _ []string) error { h.PowerOn(); return nil },
	"hang":           func(h *lab.Host, _ []string) error { h.HangOnAccept(true); h.DropConnections(); return nil },
	"new-host-key":   func(h *lab.Host, _ []string) error { return h.ChangeHostKey() },
	"sudo-password":  func(h *lab.Host, _ []string) error { h.SudoNeedsPassword(true); return nil },
	"no-socket":      func(h *lab.Host, _ []string) error { h.HideSocket(true); return nil },
	"no-rights":      func(h *lab.Host, _ []string) error { h.ForbidSocket(true); return nil },
	"stop-engine":    func(h *lab.Host, _ []string) error { h.StopEngine(); return nil },
	"start-engine":   func(h *lab.Host, _ []string) error { h.StartEngine(); return nil },
	"restart-engine": func(h *lab.Host, _ []string) error { h.RestartEngine(); return nil },
	"no-forwarding":  func(h *lab.Host, _ []string) error { h.ForbidForwarding(true); return nil },
	"linger": func(h *lab.Host, args []string) error {
		d, err := time.ParseDuration(args[0])
		h.Linger(d)
		return err
	},
	"start": func(h *lab.Host, args []string) error { return h.Start(args[0]) },
	"broken": func(h *lab.Host, args []string) error {
		h.Trouble(args[0], &lab.Trouble{Exit: 3, Says: args[1]})
		return nil
	},
	"kill":      func(h *lab.Host, args []string) error { return h.Kill(args[0], 137) },
	"sick":      func(h *lab.Host, args []string) error { h.Trouble(args[0], &lab.Trouble{Unhealthy: true}); return nil },
	"well":      func(h *lab.Host, args []string) error { h.Trouble(args[0], nil); return nil },
	"fall-sick": func(h *lab.Host, args []string) error { return h.Sicken(args[0], true) },
	"get-well":  func(h *lab.Host, args []string) error { return h.Sicken(args[0], false) },
	"says": func(h *lab.Host, args []string) error {
		return h.Print(args[0], controls.Replace(args[1]), false)
	},
	"no-shell":  func(h *lab.Host, args []string) error { h.NoShell(args[0]); return nil },
	"no-starts": func(h *lab.Host, args []string) error { h.RefuseStarts(args[0]); return nil },
}

// fault SIDE NAME [ARGS...]: breaks or mends something of a host.
func (s *story) fault(args []string) {
	if len(args) < 2 || faults[args[1]] == nil {
		s.ts.Fatalf("there is no fault %q", args)
	}
	s.ts.Check(faults[args[1]](s.world.World().Host(args[0]), args[2:]))
}

// balancer FAULT: breaks or mends something of the balancer.
func (s *story) balancer(args []string) {
	haproxy, elbv2 := s.world.HAProxy(), s.world.ELBv2()
	switch {
	case haproxy != nil && args[0] == "level":
		haproxy.SetLevel(args[1])
	case haproxy != nil && args[0] == "refuse":
		s.ts.Check(haproxy.Refuse(args[1] == "on"))
	case haproxy != nil && args[0] == "hang":
		haproxy.Hang(args[1] == "on")
	case elbv2 != nil && args[0] == "throttle":
		elbv2.Throttle(s.number(args[1]))
	case elbv2 != nil && args[0] == "deny":
		elbv2.Deny(args[1], 0)
	case elbv2 != nil && args[0] == "hang":
		elbv2.Hang(args[1] == "on")
	default:
		s.ts.Fatalf("this balancer has no fault %q", args)
	}
}
