package steps

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

// netHost is a host with files, timers and an engine that reads its file when it starts.
type netHost struct {
	*host
	eng      *netEngine
	files    map[string]string
	modes    map[string]fs.FileMode
	net      ops.NetFacts
	enabled  bool      // the unit that takes the change back at a boot
	fires    time.Time // when the timed revert does; zero: not armed
	fire     func()    // claims the copy
	rest     func()    // of what the revert does
	engineAt time.Time // when the revert restarts the engine
	busy     time.Time // until then the revert is at work
	invalid  string    // dockerd --validate says so
	// breaks are pools with which the engine does not start; cuts is a range that cuts the
	// host off while docker0 is in it.
	breaks, cuts string
	hides        string // a range that hides the peer from the host while docker0 is in it
	docker0      string
	record0      string // what the engine has on record of it
	gone         bool   // cut off
	starts       int
	onStart      func() // of the engine
	reachTakes   time.Duration
}

func (h *netHost) reach() error {
	err := h.host.reach()
	h.due()
	if err == nil && h.gone {
		err = fmt.Errorf("no route to host: %w", ops.ErrUnreachable)
	}
	return err
}

func (h *netHost) Engine(context.Context) (ops.Engine, error) {
	if err := h.reach(); err != nil {
		return nil, err
	}
	return h.eng, nil
}

func (h *netHost) Net(context.Context) (ops.NetFacts, error) { return h.net, h.reach() }

func (h *netHost) Reach(context.Context) error {
	time.Sleep(h.reachTakes)
	if err := h.reach(); err != nil {
		return err
	}
	if h.eng.down {
		return errors.New("the engine does not answer")
	}
	return nil
}

func (h *netHost) Reaches(_ context.Context, to netip.AddrPort) error {
	if err := h.reach(); err != nil {
		return err
	}
	if h.hides != "" && strings.HasPrefix(h.docker0, h.hides) {
		return fmt.Errorf("%s: no route to host: %w", to, ops.ErrUnreachable)
	}
	return nil
}

func (h *netHost) ReadFile(_ context.Context, path string, privileged bool) ([]byte, error) {
	if err := h.reach(); err != nil {
		return nil, err
	}
	text, ok := h.files[path]
	if !ok || !privileged {
		return nil, fmt.Errorf("reading %s: %w", path, fs.ErrNotExist)
	}
	return []byte(text), nil
}

func (h *netHost) WriteFile(_ context.Context, path string, data []byte, mode fs.FileMode, _ bool) error {
	if err := h.reach(); err != nil {
		return err
	}
	return h.w.act(func() error {
		if old, ok := h.files[path]; ok {
			h.files[path+".tandem-backup"] = old
		}
		h.files[path], h.modes[path] = string(data), mode
		return nil
	}, "write %s", path)
}

// status is a command that ended with another status than 0.
func status(c ops.Command, n int, text string) error {
	return &ops.ExitError{Args: c.Args, Status: n, Stderr: text}
}

func (h *netHost) Exec(_ context.Context, c ops.Command) ([]byte, error) {
	if err := h.reach(); err != nil {
		return nil, err
	}
	line := strings.Join(c.Args, " ")
	switch {
	case c.Args[0] == "stat":
		return fmt.Appendf(nil, "%o\n", h.modes[c.Args[3]]), nil
	case c.Args[0] == "dockerd":
		if h.invalid != "" {
			return nil, status(c, 1, h.invalid)
		}
		return nil, nil
	case strings.HasPrefix(line, "systemctl is-active "):
		if !h.active(c.Args[2]) {
			return nil, status(c, 3, "inactive")
		}
		return nil, nil
	}
	if !c.Privileged || !c.Mutates {
		return nil, fmt.Errorf("%s: not asked as root and as a change", line)
	}
	var err error
	act := func() error { err = h.change(c); return nil }
	if e := h.w.act(act, "%s", line); e != nil {
		return nil, e
	}
	return nil, errors.Join(err, h.lostAfter(line))
}

// lostAfter is the end of a command whose answer found no way back.
func (h *netHost) lostAfter(line string) error {
	if h.gone && strings.HasPrefix(line, "systemctl restart") {
		return fmt.Errorf("connection lost: %w", ops.ErrUnreachable)
	}
	return nil
}

// due lets happen what has fallen due.
func (h *netHost) due() {
	now := time.Now()
	if !h.fires.IsZero() && !now.Before(h.fires) {
		h.busy, h.fires = h.fires, time.Time{}
		h.fire()
	}
	if !h.engineAt.IsZero() && !now.Before(h.engineAt) {
		h.engineAt = time.Time{}
		h.rest()
		_ = h.restartEngine(ops.Command{})
	}
}

func (h *netHost) active(unit string) bool {
	h.due()
	if unit == revertTimer {
		return !h.fires.IsZero()
	}
	return time.Now().Before(h.busy)
}

func (h *netHost) change(c ops.Command) error {
	switch line := strings.Join(c.Args, " "); {
	case strings.HasPrefix(line, "rm -f "):
		for _, name := range c.Args[2:] {
			delete(h.files, name)
		}
	case c.Args[0] == "rm":
		return h.rename(c, c.Args[1], "")
	case strings.HasPrefix(line, "mv -T "):
		return h.rename(c, c.Args[2], c.Args[3])
	case strings.HasPrefix(line, "systemctl reset-failed "):
		return status(c, 1, "Unit not loaded.")
	case line == "systemctl stop "+revertTimer:
		if h.fires.IsZero() {
			return status(c, 5, "Unit not loaded.")
		}
		h.fires = time.Time{}
	case line == "systemctl enable "+bootService:
		if _, ok := h.files[bootFile]; !ok {
			return status(c, 1, "Unit file does not exist.")
		}
		h.enabled = true
	case line == "systemctl disable "+bootService:
		h.enabled = false
	case line == "systemctl restart docker.service":
		return h.restartEngine(c)
	case c.Args[0] == "systemd-run":
		return h.arm(c)
	default:
		return status(c, 127, "not found")
	}
	return nil
}

// boot is the host's start after a loss of power: timers are gone, and an enabled unit runs once
// the engine is up.
func (h *netHost) boot() {
	h.fires, h.engineAt, h.busy = time.Time{}, time.Time{}, time.Time{}
	h.docker0 = ""
	_ = h.restartEngine(ops.Command{})
	p := newPools()
	_, armed := h.files[p.armed()]
	_, taken := h.files[p.taken()]
	if !h.enabled || !armed && !taken {
		return
	}
	for line := range strings.Lines(h.files[bootFile]) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=/bin/sh "); ok && h.files[p.script()] == revertScript {
			h.revert(strings.Fields(command)[1:])
			_ = h.restartEngine(ops.Command{})
		}
	}
}

// revert is revertScript up to its last restart of the engine.
func (h *netHost) revert(args []string) {
	file, copied, between := args[0], args[1], args[2]
	if _, taken := h.files[copied+"-taken"]; h.rename(ops.Command{}, copied, copied+"-taken") != nil && !taken {
		return
	}
	if text, ok := h.files[between]; ok {
		h.files[file] = text
		_ = h.restartEngine(ops.Command{})
	}
	if len(args) > 3 {
		delete(h.files, file)
		delete(h.files, copied+"-taken")
		return
	}
	_ = h.rename(ops.Command{}, copied+"-taken", file)
}

func (h *netHost) rename(c ops.Command, from, to string) error {
	text, ok := h.files[from]
	if !ok {
		return status(c, 1, "No such file or directory")
	}
	if to != "" {
		h.files[to], h.modes[to] = text, h.modes[from]
	}
	delete(h.files, from)
	return nil
}

// arm starts the timer; what it does takes two seconds.
func (h *netHost) arm(c ops.Command) error {
	if !h.fires.IsZero() {
		return status(c, 1, "Unit "+revertTimer+" was already loaded")
	}
	after, err := time.ParseDuration(strings.TrimPrefix(c.Args[2], "--on-active="))
	if err != nil || c.Args[1] != "--unit="+revertUnit || c.Args[4] != "sh" || h.files[c.Args[5]] != revertScript {
		return status(c, 1, "Failed to parse")
	}
	h.fires = time.Now().Add(after)
	h.fire = func() {
		if h.rename(c, c.Args[7], c.Args[7]+"-taken") != nil {
			return
		}
		h.busy = h.busy.Add(2 * time.Second)
		h.engineAt, h.rest = h.busy, func() { h.revert(c.Args[6:]) }
	}
	return nil
}

// restartEngine lets the engine read its file.
func (h *netHost) restartEngine(c ops.Command) error {
	h.starts++
	if h.onStart != nil {
		h.onStart()
	}
	text := h.files[daemonFile]
	h.eng.down = h.breaks != "" && strings.Contains(text, h.breaks)
	if h.eng.down {
		return status(c, 1, "Job for docker.service failed")
	}
	pools, err := poolsIn([]byte(text))
	if err != nil {
		return status(c, 1, err.Error())
	}
	h.eng.pools = pools
	if pools != nil {
		h.docker0 = netip.PrefixFrom(pools[0].Base.Addr(), pools[0].Size).String()
	} else {
		h.docker0 = cmp.Or(h.docker0, h.record0, "172.17.0.0/16")
	}
	h.record0 = h.docker0
	h.gone = h.cuts != "" && strings.HasPrefix(h.docker0, h.cuts)
	return nil
}

const daemonFile = "/etc/docker/daemon.json"

// netEngine is an engine with networks.
type netEngine struct {
	*engine
	h        *netHost
	down     bool
	api      string
	pools    []ops.Pool
	networks []*ops.Network
	on       map[string][]string // running endpoints by network, of containers that are not listed
	lossy    string              // what CreateNetwork cannot keep
	cannot   error               // CreateNetwork ends with it
	born     int
}

func (e *netEngine) ask() error {
	if err := e.h.reach(); err != nil {
		return err
	}
	if e.down {
		return errors.New("the engine does not answer")
	}
	return nil
}

func (e *netEngine) Containers(ctx context.Context) ([]ops.Container, error) {
	if err := e.ask(); err != nil {
		return nil, err
	}
	return e.engine.Containers(ctx)
}

func (e *netEngine) Parts(context.Context) map[string]string { return nil }

func (e *netEngine) Version(context.Context) (ops.EngineVersion, error) {
	return ops.EngineVersion{Running: "26.1.5", API: e.api}, e.ask()
}

func (e *netEngine) Pools(context.Context) ([]ops.Pool, error) {
	if e.api == "1.40" {
		return nil, e.ask()
	}
	return e.pools, e.ask()
}

func (e *netEngine) Networks(context.Context) ([]ops.Network, error) {
	var all []ops.Network
	for _, n := range e.networks {
		shown := *n
		if n.Name == "bridge" {
			shown.Subnets = []string{e.h.docker0}
		}
		all = append(all, shown)
	}
	return all, e.ask()
}

type netInspect struct {
	Name, ID, Driver string
	Labels           map[string]string
	IPAM             struct{ Config []netSubnet }
	Containers       map[string]netEndpoint
}

type (
	netSubnet   struct{ Subnet string }
	netEndpoint struct{ Name string }
)

func (e *netEngine) InspectNetwork(_ context.Context, id string) (json.RawMessage, error) {
	if err := e.ask(); err != nil {
		return nil, err
	}
	for _, n := range e.networks {
		if n.ID != id && n.Name != id {
			continue
		}
		i := netInspect{Name: n.Name, ID: n.ID, Driver: n.Driver, Labels: n.Labels, Containers: map[string]netEndpoint{}}
		for _, s := range n.Subnets {
			i.IPAM.Config = append(i.IPAM.Config, netSubnet{s})
		}
		for k, name := range e.on[n.Name] {
			i.Containers[fmt.Sprint(k)] = netEndpoint{name}
		}
		return json.Marshal(i)
	}
	return nil, fmt.Errorf("no such network %s", id)
}

func (e *netEngine) CreateNetwork(_ context.Context, like json.RawMessage, anyRange bool) (string, []string, error) {
	if err := errors.Join(e.ask(), e.cannot); err != nil {
		return "", nil, err
	}
	var i netInspect
	if err := json.Unmarshal(like, &i); err != nil {
		return "", nil, err
	}
	n := &ops.Network{Name: i.Name, Driver: i.Driver, Labels: maps.Clone(i.Labels)}
	for _, s := range i.IPAM.Config {
		n.Subnets = append(n.Subnets, s.Subnet)
	}
	if anyRange {
		n.Subnets = []string{e.free()}
	}
	for _, s := range n.Subnets {
		if e.taken(netip.MustParsePrefix(s)) {
			return "", nil, errors.New("Pool overlaps with other one on this address space")
		}
	}
	var lost []string
	if e.lossy != "" {
		lost = []string{e.lossy}
	}
	return n.ID, lost, e.w.act(func() error {
		e.born++
		n.ID = fmt.Sprintf("net%d", e.born)
		e.networks = append(e.networks, n)
		return nil
	}, "create network %s %v", n.Name, n.Subnets)
}

// free is the first range of the pools that no network has.
func (e *netEngine) free() string {
	pools := e.pools
	if pools == nil {
		pools = ops.EnginePools
	}
	for _, p := range pools {
		if r := netip.PrefixFrom(p.Base.Addr(), p.Size); !e.taken(r) {
			return r.String()
		}
	}
	return "192.168.240.0/20"
}

func (e *netEngine) taken(r netip.Prefix) bool {
	return slices.ContainsFunc(e.networks, func(n *ops.Network) bool {
		return slices.ContainsFunc(n.Subnets, func(s string) bool { return netip.MustParsePrefix(s).Overlaps(r) })
	})
}

func (e *netEngine) RemoveNetwork(_ context.Context, id string) error {
	if err := e.ask(); err != nil {
		return err
	}
	i := slices.IndexFunc(e.networks, func(n *ops.Network) bool { return n.ID == id })
	if i < 0 {
		return fmt.Errorf("no such network %s", id)
	}
	name := e.networks[i].Name
	if len(e.on[name]) > 0 {
		return errors.New("network has active endpoints")
	}
	return e.w.act(func() error { e.networks = slices.Delete(e.networks, i, i+1); return nil }, "remove network %s", name)
}

// netShape is what a rollback must give back: the networks but for their ids.
func (e *netEngine) netShape() string {
	var lines []string
	for _, n := range e.networks {
		lines = append(lines, fmt.Sprintf("%s %s %v %v", n.Name, n.Driver, n.Subnets, n.Labels))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// netWorld is a pair whose hosts have networks and files.
type netWorld struct {
	*world
	at map[ops.Side]*netHost
}

func newNetWorld() *netWorld {
	w := &netWorld{world: newWorld(), at: map[ops.Side]*netHost{}}
	for _, side := range ops.Sides {
		h := &netHost{host: w.hosts[side], files: map[string]string{}, modes: map[string]fs.FileMode{}, docker0: "172.17.0.0/16"}
		h.net = ops.NetFacts{Client: netip.MustParseAddr("10.0.9.9"), Server: netip.MustParseAddrPort("10.0.1.12:22"), Validates: true}
		h.eng = &netEngine{engine: h.host.engine, h: h, api: "1.45", on: map[string][]string{}, networks: []*ops.Network{
			{ID: "b0", Name: "bridge", Driver: "bridge", Subnets: []string{"172.17.0.0/16"}},
			{ID: "t1", Name: "tis_default", Driver: "bridge", Subnets: []string{"172.18.0.0/16"}, Labels: map[string]string{"com.docker.compose.network": "default"}},
			{ID: "t2", Name: "ext", Driver: "bridge", Subnets: []string{"172.30.5.0/24"}, Labels: map[string]string{"team": "tis"}},
		}}
		w.at[side] = h
	}
	return w
}

// envOf is the environment of a step with these hosts.
func (w *netWorld) envOf(id string) ops.Env {
	env := w.world.envOf(id)
	env.Hosts = map[ops.Side]ops.Host{ops.Blue: w.at[ops.Blue], ops.Green: w.at[ops.Green]}
	return env
}

// file is the engine's file on green; "-" where there is none.
func (w *netWorld) file() string {
	w.at[ops.Green].due()
	text, ok := w.at[ops.Green].files[daemonFile]
	if !ok {
		return "-"
	}
	return text
}

// eachCut calls f with every call n at which act can die, each in a world of its own, until
// act comes to its end.
func eachCut(t *testing.T, make func(*testing.T) *netWorld, id string, act func(context.Context, ops.Env) error, f func(t *testing.T, w *netWorld)) {
	t.Helper()
	for n := 1; ; n++ {
		var died bool
		bubble(t, func(t *testing.T) {
			w := make(t)
			died, _ = w.dieIn(t.Context(), n, func(ctx context.Context) error { return act(ctx, w.envOf(id)) })
			if died {
				f(t, w)
			}
		})
		if t.Failed() {
			t.Fatalf("cut short at call %d", n)
		}
		if !died {
			if n < 5 {
				t.Fatalf("only %d calls", n)
			}
			return
		}
	}
}
