package ops

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Traffic is what a side gets from the balancer.
type Traffic string

// The traffic words. Only InService serves: unknown is not healthy.
const (
	InService Traffic = "in-service"
	Draining  Traffic = "draining"
	Out       Traffic = "out"
	Down      Traffic = "down" // in, but failing its check
	Unknown   Traffic = "unknown"
)

// Words is the traffic as it is written on the screen.
func (t Traffic) Words() string {
	switch t {
	case InService:
		return "in service"
	case "":
		return string(Unknown)
	}
	return string(t)
}

// BalancerStatus is what the balancer says of both sides.
type BalancerStatus struct {
	Name  string      `json:"name"` // as shown: "haproxy lb1"
	Look  Look        `json:"look"`
	Blue  SideTraffic `json:"blue"`
	Green SideTraffic `json:"green"`
	// Minimum is how many sides must stay in service for the balancer itself to keep
	// routing only to healthy ones (ELBv2 minimum_healthy_targets); at least 1.
	Minimum int `json:"minimum"`
	// Wants says whose thresholds make Minimum more than 1, each in words.
	Wants []string `json:"wants,omitempty"`
	// Faults are what takes traffic from the pair, or lets it go astray, whatever the sides
	// do: a load balancer that is not active, a server without a check.
	Faults []string `json:"faults,omitempty"`
	// Remarks are things the balancer says of itself that an operator should know.
	Remarks []string `json:"remarks,omitempty"`
}

// On is the traffic of one side.
func (b *BalancerStatus) On(side Side) *SideTraffic {
	if side == Green {
		return &b.Green
	}
	return &b.Blue
}

// SideTraffic is the traffic of one side, over all its pools.
type SideTraffic struct {
	Traffic  Traffic   `json:"traffic"`
	Sessions *int      `json:"sessions"`         // current; nil: the balancer does not say
	Share    *float64  `json:"share,omitempty"`  // of new traffic, 0..1; nil: not known
	Check    string    `json:"check,omitempty"`  // the balancer's own check, in its words
	Detail   string    `json:"detail,omitempty"` // why it is not simply in or out
	Since    time.Time `json:"since,omitzero"`   // last change, where the balancer says
	Members  []Member  `json:"members,omitempty"`
	Requests *uint64   `json:"requests,omitempty"` // counted since the balancer's start; nil: not counted
	Failed   *uint64   `json:"failed,omitempty"`
	// DrainLost is when the side began to serve again although no run put it back: a
	// reload lost the drain, or somebody did it by hand. Set by the live view only.
	DrainLost time.Time `json:"drain_lost,omitzero"`
	// Calls are the exact calls of each act ("drain", "cut-off", "put-back"), as
	// Balancer.Effects names them: plans are made from a Snapshot alone and show these.
	Calls map[string][]string `json:"calls,omitempty"`
}

// Member is a side's place in one pool (HAProxy backend, ELBv2 target group).
type Member struct {
	Pool     string  `json:"pool"`
	Name     string  `json:"name"` // server or target
	Traffic  Traffic `json:"traffic"`
	State    string  `json:"state"` // in the balancer's own words
	Check    string  `json:"check,omitempty"`
	Shifted  bool    `json:"shifted,omitempty"` // healthy, but a zonal shift keeps traffic away
	Weight   int     `json:"weight,omitempty"`
	Sessions *int    `json:"sessions,omitempty"`
}

// Balancer takes sides out of traffic and puts them back.
//
// Every method is safe to call again. Errors wrap ErrUnknownServer, ErrNotPermitted,
// ErrThrottled or ErrUnreachable where they apply and are a *Problem with a hint. A
// method that changes several pools reports a partial change as an error that names
// which pools changed and which did not.
type Balancer interface {
	// Name is the balancer as shown: "haproxy lb1".
	Name() string
	// Every is how often Status may be asked in a live view.
	Every() time.Duration
	// Status reads both sides. On an error the caller keeps what it had, with its age.
	Status(context.Context) (BalancerStatus, error)
	// Prior returns the side's exact present state, for Restore: the journal keeps it
	// before anything is changed.
	Prior(context.Context, Side) (json.RawMessage, error)
	// Drain stops new traffic to the side and returns at once; sessions may go on.
	Drain(context.Context, Side) error
	// CutOff ends a drain that will not end by itself: no traffic at all from now on.
	CutOff(context.Context, Side) error
	// PutBack lets the side serve again, only after the balancer's own check has passed
	// where it has one, and returns when the balancer says in-service or ctx ends.
	// prior is what Prior returned before the side was taken out, or nil: then the
	// config decides. say receives progress in words.
	PutBack(ctx context.Context, side Side, prior json.RawMessage, say func(string)) error
	// Restore brings the side to exactly the recorded state, the safe way (a side that
	// was in service goes through PutBack).
	Restore(ctx context.Context, side Side, prior json.RawMessage, say func(string)) error
	// Effects are the exact calls that an act would make, for the confirm dialog.
	// act is "drain", "cut-off" or "put-back".
	Effects(act string, side Side) []string
	Close() error
}

// Typed errors of balancers and hosts.
var (
	ErrUnknownServer = errors.New("unknown server")
	ErrNotPermitted  = errors.New("not permitted")
	ErrThrottled     = errors.New("throttled")
	ErrUnreachable   = errors.New("unreachable")
	ErrReadOnly      = errors.New("read-only: nothing was changed")
)
