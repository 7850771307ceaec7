package ops

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/netip"
	"time"
)

// Host is the machine of a side. One connection carries everything; it reconnects
// by itself. Every call has a deadline, its own or the context's.
type Host interface {
	Side() Side
	// Address is the host as shown.
	Address() string
	// Link is the state of the connection, and why it is down.
	Link() (Link, *Problem)
	// Exec runs a command: every argument arrives as it is, none is interpreted by a
	// shell. An exit status other than 0 is an *ExitError.
	Exec(context.Context, Command) ([]byte, error)
	// ReadFile returns an error that wraps fs.ErrNotExist where there is no such file.
	ReadFile(ctx context.Context, path string, privileged bool) ([]byte, error)
	// WriteFile replaces the file as one act and keeps the earlier one as path.tandem-backup.
	WriteFile(ctx context.Context, path string, data []byte, mode fs.FileMode, privileged bool) error
	// Get asks an http(s) URL as seen from the host and returns the status code.
	Get(ctx context.Context, url string) (int, error)
	// Facts reads the host in one round trip.
	Facts(context.Context) (Facts, error)
	// Net reads what addresses the host has and can reach, in one round trip.
	Net(context.Context) (NetFacts, error)
	// Upkeep reads what the package manager did, is doing and would do, in one round trip.
	Upkeep(context.Context) (Upkeep, error)
	// Simulate asks the package manager what installing packages at these versions would do; an
	// empty version: the package is removed.
	// What it refuses is in the answer; an error is an answer that did not come.
	Simulate(ctx context.Context, versions map[string]string) (Simulation, error)
	// Reach proves over a connection made for it alone that the host and its engine can be
	// reached anew.
	Reach(context.Context) error
	// Reaches proves over such a connection that the host itself reaches an address: it connects
	// there by TCP.
	Reaches(ctx context.Context, to netip.AddrPort) error
	// Engine is the Docker Engine through the same connection. After an engine change or
	// a reboot it is a new client: do not keep it across steps.
	Engine(context.Context) (Engine, error)
	Close() error
}

// Command is a command on a host.
type Command struct {
	Args       []string
	Privileged bool // through `sudo -n` where the user is not root
	Stdin      io.Reader
	// Stdout, if set, receives output as it comes; Exec then returns only what follows
	// on standard error when the command did not succeed.
	Stdout io.Writer
	// Mutates says that the command changes something: a read-only host refuses it with
	// ErrReadOnly before anything is sent.
	Mutates bool
	// Fenced says that the command makes sure on the host itself that it may: a script of the
	// lock.
	Fenced bool
}

// ExitError is a command that ended with another status than 0.
type ExitError struct {
	Args   []string
	Status int
	Stderr string
}

// Engine is the part of the Docker Engine that tandem uses, in tandem's words, so that
// the client behind it can be exchanged.
type Engine interface {
	// Version leaves Parts to the call of that name, which takes longer.
	Version(context.Context) (EngineVersion, error)
	// Parts are the versions of what the engine works with, as it says: containerd, runc. They
	// may be half a minute old; nil: not known.
	Parts(context.Context) map[string]string
	// Containers lists all containers, stopped ones too, with what the list call gives
	// plus start time, exit code, restart count and policy from inspect where needed.
	Containers(context.Context) ([]Container, error)
	// Container reads one container afresh, by id or name.
	Container(ctx context.Context, id string) (Container, error)
	// Inspect returns the engine's full inspect, for the journal and for Create.
	Inspect(ctx context.Context, id string) (json.RawMessage, error)
	Networks(context.Context) ([]Network, error)
	// InspectNetwork returns the engine's full inspect, by id or name, for the journal and
	// for CreateNetwork.
	InspectNetwork(ctx context.Context, id string) (json.RawMessage, error)
	// CreateNetwork makes a network like the inspected one: name, driver, options, labels.
	// With anyRange the engine chooses the address range from its pools. lost lists what
	// could not be kept the same, in words.
	CreateNetwork(ctx context.Context, like json.RawMessage, anyRange bool) (id string, lost []string, err error)
	RemoveNetwork(ctx context.Context, id string) error // one with a container on it is refused
	// Pools are the address pools in effect; nil where the engine uses its own, or does not
	// say (before API 1.41).
	Pools(context.Context) ([]Pool, error)
	Images(context.Context) ([]Image, error)

	Start(ctx context.Context, id string) error
	Stop(ctx context.Context, id string, within time.Duration) error
	Restart(ctx context.Context, id string, within time.Duration) error
	Rename(ctx context.Context, id, name string) error
	Remove(ctx context.Context, id string) error // never its volumes; a running one is refused
	SetRestartPolicy(ctx context.Context, id, policy string) error
	// Create makes a container like the inspected one, under the given name, with another
	// image where image is not empty, on the same networks with the same aliases. It does
	// not start it. kept lists what could not be kept the same, in words.
	Create(ctx context.Context, like json.RawMessage, name, image string) (id string, lost []string, err error)
	// Run is for canaries: create from an image with a command, start, wait for its end,
	// remove. It returns the exit code.
	Run(ctx context.Context, spec RunSpec) (exit int, err error)
	// Import makes an image from a tar of its root file system.
	Import(ctx context.Context, tar io.Reader, ref string, changes []string) (id string, err error)
	RemoveImage(ctx context.Context, ref string) error
	// Logs streams both outputs of a container, oldest first, until the end, the
	// context's end, or for ever when Follow is set. The function is called from one
	// goroutine; lines longer than 64 KiB arrive cut.
	Logs(ctx context.Context, id string, opt LogOptions, line func(LogLine)) error
	// Events calls the function for every event until ctx ends or the stream breaks; it
	// always returns an error. Events are hints: list afterwards.
	Events(ctx context.Context, ready func(), event func(EngineEvent)) error
}

// RunSpec describes a throw-away container.
type RunSpec struct {
	Name    string
	Image   string
	Command []string
	Labels  map[string]string
	Memory  int64 // bytes
	Network string
}

// LogOptions of a log stream.
type LogOptions struct {
	Tail   int // lines; 0: all
	Since  time.Time
	Until  time.Time // zero: no end
	Follow bool      // go on with what comes, up to Until
}

// LogLine is one line of a container's output, without its line end, as it came:
// whoever shows it must make it safe for a terminal.
type LogLine struct {
	At     time.Time
	Stderr bool
	Text   string
}

// EngineEvent is an event of the engine.
type EngineEvent struct {
	At     time.Time
	Type   string // container, network, daemon, ...
	Action string
	ID     string
	Name   string
}
