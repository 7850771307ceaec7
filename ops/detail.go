package ops

import "time"

// Detail is all that an operator may know of one container. It holds no value of its
// environment and no argument of its command, where passwords stand: of those there are
// prints, which tell whether two sides have the same and nothing else.
type Detail struct {
	Container
	Digests []string      // of the image in its registry: name@sha256:...; none where it was built or loaded here
	Program string        // what its command starts, without the arguments
	Args    int           // how many arguments that gets
	Command Print         // of the whole command
	Env     []Variable    // by name
	Mounts  []Mount       // by place
	Ends    []Endpoint    // by network
	Streak  int           // health checks that have not passed, one after the other
	Checks  []HealthCheck // the last health checks, latest first
	Caps    Caps
	Error   string // why the engine could not start it
}

// Print stands for a secret: equal prints are equal secrets. It is salted anew in every
// process, so that it cannot be guessed at, nor compared with one of another process.
type Print [16]byte

// Variable is a variable of a container's environment: its value stays on the host.
type Variable struct {
	Name  string
	Value Print
}

// Mount is a place of a container that is not of its image.
type Mount struct {
	Kind     string // bind, volume, tmpfs, ...
	Source   string // path on the host, or name of the volume; empty: it has none of its own
	Place    string // path in the container
	ReadOnly bool
}

// Endpoint is a container's place in a network.
type Endpoint struct {
	Network string
	Address string // empty: it does not run
}

// HealthCheck is one health check of a container.
type HealthCheck struct {
	At     time.Time
	Exit   int
	Output string // what it said, as it came, cut
}

// Caps are what a container may not go beyond; 0: no cap.
type Caps struct {
	Memory int64   // bytes
	CPUs   float64 // how many it may use at once
	Pids   int64
}

// Sample is what a container has used up to a moment. CPU use is known from two of them.
type Sample struct {
	ID     string
	Name   string
	At     time.Time     // by the engine's clock; zero: it does not run
	CPU    time.Duration // used since it was started
	Memory uint64        // bytes in use, without the page cache that can be given back at once
	Limit  uint64        // bytes it may use: its own limit, else the memory of the host
}

// Running tells whether the sample is one of a container that runs.
func (s Sample) Running() bool { return !s.At.IsZero() }

// Load is how many CPUs the container has used between two samples, on average. It is not
// known where it was started anew in between. The engine's own times say how long that was: its
// counter of the whole system, by which `docker stats` divides, says the same less finely.
func Load(before, now Sample) (cpus float64, known bool) {
	wall := now.At.Sub(before.At)
	if before.ID != now.ID || !before.Running() || !now.Running() || wall <= 0 || now.CPU < before.CPU {
		return 0, false
	}
	return float64(now.CPU-before.CPU) / float64(wall), true
}
