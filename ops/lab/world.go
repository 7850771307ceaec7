package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// World is everything that the lab's wires lead to. One lock guards it all: it is
// small, and a request sees one state of it.
type World struct {
	mu       sync.Mutex
	speed    float64
	away     time.Duration // how long a reboot takes
	closed   bool
	services []service
	loop     *Loop         // nil: 127.0.0.1
	onChange func(Request) // may be nil
	hosts    map[string]*Host
	web      *web
	requests []*Request
	ids      uint64
}

// Host is one machine of the lab, and where its faults are asked for.
type Host struct {
	w       *World
	side    string
	name    string
	files   *files
	users   map[string]user
	bootID  string
	booted  time.Time
	up      bool
	settled bool // since its boot: systemd has nothing left to start
	apt     *packaging
	compose string // version of docker-compose, empty: not there
	plugin  string // version of `docker compose`, empty: not there
	engine  *engine
	cgroup  int // version of the kernel's control groups
	sshd    *sshd
	faults  faults
	changes int      // so that a command that changed something is known
	flags   []string // of the engine's unit, after the program's name
	units   map[string]*unit
	flocks  map[string]chan struct{} // by path; closed when the lock is free
	said    []logLine                // the engine's journal
	docker0 string                   // range of the default bridge; empty: not made since the boot
	record0 string                   // what the engine has on record of it
	routes  []string                 // beyond those of its own network
	ctx     context.Context          // until the host goes down
	die     context.CancelFunc
}

// faults are what is wrong with a host on purpose.
type faults struct {
	hangOnAccept bool
	hangCommands bool
	hangEngine   bool
	noForwarding bool
	sudoPassword bool
	inodes       int64  // used; 0: as many as there are files
	noStart      string // what the engine says to any start of a new container
	trouble      map[string]Trouble
	noShell      map[string]bool // services whose image has none
	linger       time.Duration   // how long a program runs that would end at once
}

// Trouble is what a service does instead of getting ready.
type Trouble struct {
	Exit      int  // ends with this status when its start-up is over
	Unhealthy bool // stays up, but its health check does not pass
	Deaf      bool // ignores SIGTERM, so that a stop takes its whole time and ends in SIGKILL
	Says      string
}

// listen opens a port of the lab.
func (w *World) listen(network, address string) (net.Listener, error) {
	if w.loop != nil {
		return w.loop.Listen(network, address)
	}
	return net.Listen(network, address)
}

// changing tells whoever wants to know that something is about to change.
func (w *World) changing(r Request) {
	if w.onChange != nil {
		w.onChange(r)
	}
}

// Sides of the lab, in the order in which they are always named.
var Sides = []string{"blue", "green"}

// Host is the host of a side, nil if there is no such side.
func (w *World) Host(side string) *Host { return w.hosts[side] }

// Serving tells whether a balancer's check of the side would pass: the front service
// and what it cannot do without answer.
func (w *World) Serving(side string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[side]
	if h == nil || !h.reachable() {
		return false
	}
	for _, s := range w.services {
		if s.front && !h.engine.answers(s.name) {
			return false
		}
	}
	return true
}

// after runs f with the lock held when d of the lab's time has gone by.
func (w *World) after(d time.Duration, f func()) {
	time.AfterFunc(w.pace(d), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.closed {
			f()
		}
	})
}

func (w *World) pace(d time.Duration) time.Duration { return time.Duration(float64(d) / w.speed) }

func (w *World) service(name string) (service, bool) {
	i := slices.IndexFunc(w.services, func(s service) bool { return s.name == name })
	if i < 0 {
		return service{}, false
	}
	return w.services[i], true
}

// newID makes ids of the engine's form. They are counted, so that the same scenario
// has the same ids in the same order every time.
func (w *World) newID() string {
	w.ids++
	return fmt.Sprintf("%016x%016x%016x%016x", mix(w.ids), mix(w.ids+1<<20), mix(w.ids+2<<20), mix(w.ids+3<<20))
}

// mix spreads a counter over 64 bits (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func newBootID() string {
	var b [16]byte
	rand.Read(b[:]) // never returns an error
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// signal wakes everyone who waits for a change. Its methods expect the world's lock.
type signal struct{ c chan struct{} }

func (s *signal) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) fire() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
