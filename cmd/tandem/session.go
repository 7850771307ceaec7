package main

import (
	"context"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/adrg/xdg"

	"tandem/ops"
	"tandem/ops/config"
	"tandem/ops/findings"
	"tandem/ops/inspect"
	"tandem/ops/journal"
	"tandem/ops/lb"
	"tandem/ops/lb/command"
	"tandem/ops/lb/elbv2"
	"tandem/ops/lb/haproxy"
	"tandem/ops/lock"
	"tandem/ops/remote"
)

// session is the pair as the config names it, with everything that reaches it.
type session struct {
	station
	cfg       *config.Config
	hosts     map[ops.Side]*remote.Host
	via       *remote.Host // the balancer's machine, if it is reached over SSH
	balancer  ops.Balancer
	inspector *inspect.Inspector
	planner   *inspect.Inspector // reads what plans need too
	checker   *inspect.Inspector // and what only findings do
	locker    *lock.Lock
	readOnly  *atomic.Bool
	links     links
	phrases   phrases
}

// open reads the config and makes the clients. It does no network I/O: the hosts are
// reached when they are first asked.
func open(g *globals) (*session, error) { return openWith(g, links{}) }

// links says what becomes of the connections to the hosts. The console lends its own;
// commands that only look and go borrow them. A run has its own: it must outlive a console.
// Those two last: a connection that was lost is made again.
type links struct{ lend, borrow, last bool }

// station is where a session is at work.
type station struct {
	state         string // where the journals of all pairs are
	user, machine string // for lock and journal
	// dial makes the connections of this machine; nil: the system does.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// here is the one of this process.
func here() station {
	p := station{state: stateDir()}
	p.user, p.machine = who()
	return p
}

// linksDir is where connections are lent, for this user alone.
func linksDir() string {
	if info, err := os.Stat(xdg.RuntimeDir); err == nil && info.IsDir() {
		return filepath.Join(xdg.RuntimeDir, "tandem")
	}
	return filepath.Join(os.TempDir(), "tandem-"+strconv.Itoa(os.Getuid()))
}

func openWith(g *globals, links links) (*session, error) { return openAt(g, links, here()) }

func openAt(g *globals, links links, at station) (*session, error) {
	cfg, err := loadConfig(g.config)
	if err != nil {
		return nil, err
	}
	s := &session{station: at, cfg: cfg, hosts: map[ops.Side]*remote.Host{}, readOnly: new(atomic.Bool), links: links}
	s.readOnly.Store(g.readOnly)
	for _, side := range ops.Sides {
		host, err := s.remote(side, cfg.Hosts[side])
		if err != nil {
			s.close()
			return nil, err
		}
		s.hosts[side] = host
	}
	if s.balancer, err = s.openBalancer(); err != nil {
		s.close()
		return nil, err
	}
	s.locker = lock.New(s.opsHosts(), lock.Options{})
	s.inspector = inspect.New(cfg.Pair, s.opsHosts(), s.balancer, inspect.Options{Findings: findings.All})
	s.planner = inspect.New(cfg.Pair, s.opsHosts(), s.balancer, inspect.Options{Findings: findings.All, Whole: true})
	s.checker = inspect.New(cfg.Pair, s.opsHosts(), s.balancer, inspect.Options{Findings: findings.All, Whole: true, Care: true})
	return s, nil
}

func loadConfig(flag string) (*config.Config, error) {
	path, err := config.Find(flag)
	if err != nil {
		return nil, &codeError{exitUsage, err}
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, &codeError{exitUsage, err}
	}
	return cfg, nil
}

func (s *session) remote(side ops.Side, h config.Host) (*remote.Host, error) {
	name := h.SSH
	if side != "" {
		name = s.cfg.Pair.Addresses[side]
	}
	options := remote.Options{ReadOnly: s.readOnly.Load, Passphrase: s.phrases.ask, Dial: s.dial, Once: !s.links.last}
	if s.links.lend {
		options.Share = linksDir()
	}
	if s.links.borrow {
		options.Borrow = linksDir()
	}
	return remote.New(remote.Target{
		Side: side, Name: name, SSH: h.SSH, Jump: h.Jump, Identity: h.Identity, KnownHosts: h.KnownHosts, Sudo: h.Sudo, Docker: h.Docker,
	}, options)
}

func (s *session) openBalancer() (ops.Balancer, error) {
	b := s.cfg.Balancer
	c := lb.Config{
		Kind:    b.Kind,
		HAProxy: haproxy.Config{Socket: b.HAProxy.Socket, Backends: b.HAProxy.Backends, Servers: b.HAProxy.Servers, ReadOnly: s.readOnly.Load, Fence: s.stands, Dial: s.dial},
		ELBv2: elbv2.Config{
			Region: b.ELBv2.Region, Profile: b.ELBv2.Profile, Endpoint: b.ELBv2.Endpoint,
			TargetGroups: b.ELBv2.TargetGroups, Targets: b.ELBv2.Targets, ReadOnly: s.readOnly.Load, Fence: s.stands,
		},
		Command: command.Config{Status: b.Command.Status, Drain: b.Command.Drain, PutBack: b.Command.PutBack, ReadOnly: s.readOnly.Load, Fence: s.stands},
	}
	if via := b.HAProxy.Via; via != nil {
		host, err := s.remote("", *via)
		if err != nil {
			return nil, err
		}
		s.via = host
		c.HAProxy.Via = via.SSH
		c.HAProxy.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return host.DialContext(ctx, network, addr)
		}
	}
	return lb.Open(c)
}

func (s *session) opsHosts() map[ops.Side]ops.Host {
	hosts := map[ops.Side]ops.Host{}
	for side, h := range s.hosts {
		hosts[side] = h
	}
	return hosts
}

// runsForLook is how many earlier runs a look goes through for what they tell of canaries and drains.
const runsForLook = 200

// look reads the whole pair once, with all that plans need, and says what stands out.
func (s *session) look(ctx context.Context) ops.Snapshot { return s.lookBy(ctx, s.planner) }

// lookCloser is look with what the package managers tell.
func (s *session) lookCloser(ctx context.Context) ops.Snapshot { return s.lookBy(ctx, s.checker) }

// glance is look for eyes alone: without what only plans need it is faster.
func (s *session) glance(ctx context.Context) ops.Snapshot { return s.lookBy(ctx, s.inspector) }

func (s *session) lookBy(ctx context.Context, i *inspect.Inspector) ops.Snapshot {
	snap := i.Look(ctx)
	// Without a journal no canary is known, and guards say so.
	runs, _ := journal.Latest(s.state, s.cfg.Pair.Name, runsForLook)
	addKnown(runs, &snap)
	snap.Findings = findings.All(snap, snap.At) // what the journals know is not the inspector's
	return snap
}

// env is what steps get to work with.
func (s *session) env(info ops.LockInfo) ops.Env {
	return ops.Env{
		Pair: s.cfg.Pair, Hosts: s.opsHosts(), Balancer: s.balancer, Locker: s.locker,
		Look:  func(ctx context.Context) (ops.Snapshot, error) { return s.glance(ctx), nil },
		Whole: func(ctx context.Context) (ops.Snapshot, error) { return s.look(ctx), nil },
		Now:   time.Now, Poll: 500 * time.Millisecond, Run: info,
	}
}

func (s *session) close() {
	if s.balancer != nil {
		s.balancer.Close()
	}
	for _, h := range s.hosts {
		h.Close()
	}
	if s.via != nil {
		s.via.Close()
	}
}

// unreachable is the error of a look that saw neither host.
func unreachable(snap *ops.Snapshot) error {
	for _, side := range ops.Sides {
		if st := snap.On(side); st.Engine.Err == nil || st.Host.Err == nil {
			return nil
		}
	}
	return &codeError{exitNoLook, problems{snap.Blue.Host.Err, snap.Green.Host.Err}}
}

// stateDir is where the journals of all pairs are.
func stateDir() string { return filepath.Join(xdg.StateHome, "tandem") }

// who is the operator, for lock and journal: $SUDO_USER counts before the effective user.
func who() (name, machine string) {
	machine, err := os.Hostname()
	if err != nil {
		machine = "unknown"
	}
	if name = os.Getenv("SUDO_USER"); name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	// For walkthroughs and shared accounts: say who is really at the keyboard.
	if set := os.Getenv("TANDEM_OPERATOR"); set != "" {
		name, machine, _ = strings.Cut(set, "@")
		if machine == "" {
			machine, _ = os.Hostname()
		}
	}
	return name, machine
}

// operator is who for the record: user@machine.
func operator() string {
	name, machine := who()
	return name + "@" + machine
}
