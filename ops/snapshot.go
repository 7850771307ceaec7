package ops

import (
	"net/netip"
	"time"
)

// Snapshot is one look at the whole pair. It is plain data: plans, findings and
// screens are made from it and from nothing else.
type Snapshot struct {
	Pair     Pair           `json:"pair"`
	At       time.Time      `json:"at"`
	Services []Service      `json:"services"` // in start order, from the config or from labels
	Order    OrderSource    `json:"order"`
	Blue     SideState      `json:"blue"`
	Green    SideState      `json:"green"`
	Balancer BalancerStatus `json:"balancer"`
	Findings []Finding      `json:"findings"`
}

// On is the state of one side.
func (s *Snapshot) On(side Side) *SideState {
	if side == Green {
		return &s.Green
	}
	return &s.Blue
}

// OrderSource says where the start order comes from. Without a known order nothing
// is sequenced: alphabetical is never an order.
type OrderSource string

// Sources of the start order.
const (
	OrderUnknown OrderSource = ""
	OrderConfig  OrderSource = "config"
	OrderLabels  OrderSource = "labels"
)

// Look says when a part of the world was last read with success, and why the latest
// try was not one. Old data stays; nothing acts on it when it is stale.
type Look struct {
	At  time.Time `json:"at"`            // last good read; zero: never
	Err *Problem  `json:"err,omitempty"` // why the latest read did not succeed; nil: it did
}

// Fresh tells whether the data may be acted upon: read without error, within stale.
func (l Look) Fresh(now time.Time, stale time.Duration) bool {
	return l.Err == nil && !l.At.IsZero() && now.Sub(l.At) <= stale
}

// SideState is everything seen of one side.
type SideState struct {
	Side      Side           `json:"side"`
	Host      Look           `json:"host"`   // Facts
	Engine    Look           `json:"engine"` // Version, Containers, Networks
	Link      Link           `json:"link"`
	Facts     Facts          `json:"facts"`
	Version   EngineVersion  `json:"version"`
	Services  []ServiceState `json:"services"` // one for each of Snapshot.Services, same order
	Jobs      []JobState     `json:"jobs"`
	Others    []Container    `json:"others,omitempty"` // containers of no service and no job
	Networks  []Network      `json:"networks,omitempty"`
	Images    []Image        `json:"images,omitempty"`    // present on the host; nil: not read
	Net       *NetFacts      `json:"net,omitempty"`       // nil: not read
	OnlyHere  []string       `json:"only_here,omitempty"` // services and jobs that exist on this side only
	Lock      *LockInfo      `json:"lock,omitempty"`
	Canary    *CanaryResult  `json:"canary,omitempty"`    // the latest known, nil: never tried
	Probe     *CanaryResult  `json:"probe,omitempty"`     // the same through compose
	Drained   *Drained       `json:"drained,omitempty"`   // the run that took it out, where a journal here knows; nil: not known, or in since
	Care      Look           `json:"care"`                // Upkeep
	Upkeep    Upkeep         `json:"upkeep"`              // not known where Care was never good
	Simulated *Simulation    `json:"simulated,omitempty"` // made for a plan of patch alone
}

// Ready counts the services of this side that are ready, of how many that belong here.
func (s *SideState) Ready() (ready, of int) {
	for i := range s.Services {
		if !s.Services[i].Here {
			continue
		}
		of++
		if s.Services[i].Ready {
			ready++
		}
	}
	return ready, of
}

// Service finds a service's state by name, nil if there is none.
func (s *SideState) Service(name string) *ServiceState {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

// Containers are what a name stands for on this side: those of a service, the latest of a job,
// or a container of neither.
func (s *SideState) Containers(name string) []Container {
	if service := s.Service(name); service != nil {
		return service.Containers
	}
	for i := range s.Jobs {
		if j := &s.Jobs[i]; j.Name == name && j.Last != nil {
			return []Container{*j.Last}
		}
	}
	for i := range s.Others {
		if s.Others[i].Name == name {
			return s.Others[i : i+1]
		}
	}
	return nil
}

// Link is the state of the connection to a host.
type Link string

// The states of a connection.
const (
	LinkNever      Link = ""
	LinkConnecting Link = "connecting"
	LinkUp         Link = "up"
	LinkDown       Link = "down" // lost or refused; being tried again
)

// ServiceState is a service on one side.
type ServiceState struct {
	Name       string      `json:"name"`
	Here       bool        `json:"here"`          // belongs on this side, or has containers here all the same
	Ready      bool        `json:"ready"`         // passes its readiness test, all containers
	State      string      `json:"state"`         // in words: healthy, running, starting, unhealthy, exited 1, missing, not here, unknown
	Why        string      `json:"why,omitempty"` // why it is not ready, where the state alone does not say
	Containers []Container `json:"containers"`
}

// JobState is a job on one side.
type JobState struct {
	Name      string      `json:"name"`
	Here      bool        `json:"here"`
	Running   bool        `json:"running"`
	Last      *Container  `json:"last,omitempty"` // the latest container of the job
	Container []Container `json:"containers,omitempty"`
}

// LabelCanary marks the throw-away containers of tandem; its value is the run.
const LabelCanary = "tandem.canary"

// Container is a container as listed by the engine.
type Container struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	State      string            `json:"state"`            // created, running, paused, restarting, removing, exited, dead
	Health     string            `json:"health,omitempty"` // healthy, unhealthy, starting; empty: no health check
	Image      string            `json:"image"`            // as asked for: name:tag
	ImageID    string            `json:"image_id"`
	CreatedAt  time.Time         `json:"created_at"`
	StartedAt  time.Time         `json:"started_at"`
	FinishedAt time.Time         `json:"finished_at,omitzero"`
	ExitCode   int               `json:"exit_code"`
	OOMKilled  bool              `json:"oom_killed,omitempty"`
	Restarts   int               `json:"restarts"`
	Policy     string            `json:"restart_policy,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Networks   []string          `json:"networks,omitempty"`
	Ports      []string          `json:"ports,omitempty"`
	// Anonymous are its volumes without a name of their own: they stay when it is removed,
	// and only tandem's journal knows then whose they were.
	Anonymous []string `json:"anonymous,omitempty"`
}

// Network is a network of the engine.
type Network struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Driver  string            `json:"driver"`
	Subnets []string          `json:"subnets"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// Image is an image present on a host.
type Image struct {
	ID      string    `json:"id"`
	Tags    []string  `json:"tags"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"` // bytes
}

// EngineVersion is what the running engine says of itself.
type EngineVersion struct {
	Running string `json:"running"`
	API     string `json:"api"`  // the highest it speaks
	Used    string `json:"used"` // the one in use
	// Parts are the versions of what it works with, as it says: containerd, runc.
	Parts map[string]string `json:"parts,omitempty"`
}

// Facts are read from a host in one round trip.
type Facts struct {
	BootID         string            `json:"boot_id"`
	Uptime         time.Duration     `json:"uptime"`
	Load1          float64           `json:"load1"`
	CPUs           int               `json:"cpus"`
	MemTotal       uint64            `json:"mem_total"`     // bytes
	MemAvailable   uint64            `json:"mem_available"` // bytes
	DiskTotal      uint64            `json:"disk_total"`    // bytes, of the engine's directory
	DiskUsed       uint64            `json:"disk_used"`
	InodesTotal    uint64            `json:"inodes_total"` // of the same file system; 0: it does not count them
	InodesUsed     uint64            `json:"inodes_used"`
	OS             string            `json:"os"`
	Kernel         string            `json:"kernel"`
	Installed      string            `json:"installed"` // engine package version, upstream part; empty: not known
	Packages       map[string]string `json:"packages"`  // docker, containerd, runc, compose packages: full version
	Compose        string            `json:"compose"`   // compose version; empty: not found
	ComposeHow     string            `json:"compose_how"`
	EngineReplaced bool              `json:"engine_replaced"` // the running engine's binary was deleted or replaced
	// Newer are programs of the engine that were put in place after it had started:
	// containerd, runc.
	Newer          []string  `json:"newer,omitempty"`
	RebootRequired bool      `json:"reboot_required"`
	Clock          time.Time `json:"clock"` // the host's clock when it answered
	// Ahead is how far the host's clock is ahead of ours; negative: behind. What the way there
	// and back may account for is taken off, so that 0 is "not known to differ".
	Ahead time.Duration `json:"ahead"`
	// Packaging changes when the package manager has done something: Upkeep is then read anew.
	Packaging string    `json:"packaging,omitempty"`
	User      string    `json:"user"`
	Lock      *LockInfo `json:"lock,omitempty"`
}

// NetFacts is what decides whether an address range is free on a host.
type NetFacts struct {
	Addresses []netip.Prefix `json:"addresses"` // of its interfaces, the engine's bridges left out
	Routes    []netip.Prefix `json:"routes"`    // what it has routes to, the default and the engine's bridges left out
	Resolvers []netip.Addr   `json:"resolvers"`
	Client    netip.Addr     `json:"client"`      // where our connection comes from, as the host sees it; invalid: not known
	Server    netip.AddrPort `json:"server"`      // where its sshd took that connection; invalid: not known
	Pools     []Pool         `json:"pools"`       // of the engine, in effect; nil: its own
	Daemon    string         `json:"daemon_json"` // the engine's config file as it is; empty: there is none
	Flags     []string       `json:"flags"`       // the engine's command line, its program first; empty: not known
	Validates bool           `json:"validates"`   // this engine can check a config file: dockerd --validate, from 23.0
}

// Pool is a range that the engine cuts into networks of Size bits.
type Pool struct {
	Base netip.Prefix `json:"base"`
	Size int          `json:"size"`
}

// CanaryResult says whether a new container could start.
type CanaryResult struct {
	At   time.Time     `json:"at"`
	OK   bool          `json:"ok"`
	Took time.Duration `json:"took"`
	Text string        `json:"text"` // why not, in words
}

// Severity of a finding.
type Severity string

// Severities, from what may be known to what must be mended first.
const (
	Note  Severity = "note"
	Warn  Severity = "warn"
	Block Severity = "block"
)

// Finding is something the operator should know.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Side     Side     `json:"side,omitempty"`
	Title    string   `json:"title"`
	Detail   string   `json:"detail,omitempty"`
	Hint     string   `json:"hint,omitempty"`
	// Do is the operation that the hint proposes, where it is one of tandem's: the console
	// opens its dialog.
	Do *Request `json:"do,omitempty"`
	// Logs are the services and jobs whose logs say more: the console opens them.
	Logs []string `json:"-"`
}

// What is what the lock is held for: "recover green, then blue".
func (l LockInfo) What() string {
	what := string(l.Op)
	if l.Side != "" {
		what += " " + string(l.Side)
		if l.Both {
			what += ", then " + string(l.Side.Peer())
		}
	}
	return what
}

// LockInfo is the mark of a run on a host.
type LockInfo struct {
	Run     string    `json:"run"`
	Op      Op        `json:"op"`
	Side    Side      `json:"side,omitempty"`
	Both    bool      `json:"both,omitempty"` // the peer of Side comes after it
	By      string    `json:"by"`             // user
	From    string    `json:"from"`           // machine
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Beat    time.Time `json:"beat"` // last sign of life of the owner, by the owner's clock
	Step    string    `json:"step,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Stopped bool      `json:"stopped,omitempty"` // the run stopped half-way: resume or roll back
	// Former are marks of the run that may be replaced when the lock is taken, see Replaces: as
	// they were found left alone, or with no Beat where it does not matter.
	Former []LockInfo `json:"-"`
}
