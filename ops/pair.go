package ops

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Side is blue or green.
type Side string

// The two sides. An empty Side stands for the pair as a whole.
const (
	Blue  Side = "blue"
	Green Side = "green"
)

// Sides lists both sides in the order in which they are always shown.
var Sides = [2]Side{Blue, Green}

// Peer is the other side.
func (s Side) Peer() Side {
	switch s {
	case Blue:
		return Green
	case Green:
		return Blue
	}
	return ""
}

// Upper is the side as a heading: BLUE, GREEN, or PAIR.
func (s Side) Upper() string {
	if s == "" {
		return "PAIR"
	}
	return strings.ToUpper(string(s))
}

// ParseSide reads a side as an operator types it.
func ParseSide(text string) (Side, error) {
	switch Side(strings.ToLower(strings.TrimSpace(text))) {
	case Blue:
		return Blue, nil
	case Green:
		return Green, nil
	}
	return "", fmt.Errorf("%q is not a side: use blue or green", text)
}

// Pair is what the config says of the pair, without how to reach it.
type Pair struct {
	Name      string          `json:"name"`
	Addresses map[Side]string `json:"addresses"` // as shown on the screen
	Balancer  string          `json:"balancer"`  // kind: haproxy, elbv2, command
	Compose   Compose         `json:"compose"`
	Services  []Service       `json:"services"` // start order from the config; empty: from labels
	Jobs      []Job           `json:"jobs,omitempty"`
	Networks  Networks        `json:"networks"`
	Limits    Limits          `json:"limits"`
	Canary    time.Duration   `json:"canary,omitempty"` // try a canary on each side this often; 0: only when asked
}

// Networks says which address ranges Docker may use.
type Networks struct {
	Pools    []Pool         `json:"pools,omitempty"`
	Reserved []netip.Prefix `json:"reserved,omitempty"`
}

// Compose says which compose project the services belong to. Empty fields come
// from the labels of the containers.
type Compose struct {
	Project   string `json:"project,omitempty"`
	Directory string `json:"directory,omitempty"`
}

// Service is one service as configured. After is always resolved: the config reader
// has filled in "after the one before" where nothing was said.
type Service struct {
	Name    string        `json:"name"`
	After   []string      `json:"after,omitempty"`
	Ready   Readiness     `json:"ready"`
	Timeout time.Duration `json:"timeout,omitempty"` // for getting ready; 0: Limits.Start
	Only    Side          `json:"only,omitempty"`    // exists on one side only
}

// On tells whether the service belongs on the side.
func (s Service) On(side Side) bool { return s.Only == "" || s.Only == side }

// Readiness is how a service proves that it is ready.
type Readiness struct {
	Kind ReadinessKind `json:"kind"`
	URL  string        `json:"url,omitempty"`  // for ReadyHTTP, as seen from the host; 2xx and 3xx pass
	Exec []string      `json:"exec,omitempty"` // for ReadyExec, run on the host; exit 0 passes
}

// ReadinessKind names a readiness test.
type ReadinessKind string

// The readiness tests. ReadyAuto is healthy where the container has a health
// check, running otherwise.
const (
	ReadyAuto    ReadinessKind = ""
	ReadyHealthy ReadinessKind = "healthy"
	ReadyRunning ReadinessKind = "running"
	ReadyHTTP    ReadinessKind = "http"
	ReadyExec    ReadinessKind = "exec"
)

// Job is a one-shot container.
type Job struct {
	Name    string        `json:"name"`
	Service string        `json:"service"` // compose service or container name it runs as
	MaxAge  time.Duration `json:"max_age,omitempty"`
	Only    Side          `json:"only,omitempty"`
}

// Limits are the deadlines of the config, all with defaults.
type Limits struct {
	Drain  time.Duration `json:"drain"`  // sessions may take this long to end, then hard out
	Stop   time.Duration `json:"stop"`   // a container may take this long to stop
	Start  time.Duration `json:"start"`  // a service may take this long to get ready
	Reboot time.Duration `json:"reboot"` // a host may take this long to come back
	Soak   time.Duration `json:"soak"`   // a side put back must stay in service this long
	Stale  time.Duration `json:"stale"`  // nothing acts on data older than this
	Revert time.Duration `json:"revert"` // a network change reverts itself after this
}

// DefaultLimits are the limits where the config says nothing.
func DefaultLimits() Limits {
	return Limits{
		Drain: 5 * time.Minute, Stop: 30 * time.Second, Start: 5 * time.Minute, Reboot: 10 * time.Minute,
		Soak: 15 * time.Second, Stale: 15 * time.Second, Revert: 90 * time.Second,
	}
}
