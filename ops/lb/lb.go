// Package lb opens the balancer that the config names. The kinds do not know each other;
// what they have in common is ops.Balancer, and lbtest is that contract as a suite.
//
// A further kind is a package beside them, a field of [Config] and a case in [Open].
package lb

import (
	"fmt"

	"tandem/ops"
	"tandem/ops/lb/command"
	"tandem/ops/lb/elbv2"
	"tandem/ops/lb/haproxy"
)

// Config is the balancer section of the config; only the part of its Kind is read.
type Config struct {
	Kind    string // haproxy, elbv2 or command
	HAProxy haproxy.Config
	ELBv2   elbv2.Config
	Command command.Config
}

// Open makes the client. It does not connect: a balancer that is away is an error of
// Status, not of Open.
func Open(conf Config) (ops.Balancer, error) {
	switch conf.Kind {
	case "haproxy":
		return opened(haproxy.New(conf.HAProxy))
	case "elbv2":
		return opened(elbv2.New(conf.ELBv2))
	case "command":
		return opened(command.New(conf.Command))
	}
	return nil, fmt.Errorf("balancer kind %q: expected haproxy, elbv2 or command", conf.Kind)
}

// opened keeps a nil client from becoming a balancer that is not nil.
func opened[B ops.Balancer](b B, err error) (ops.Balancer, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}
