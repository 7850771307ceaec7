package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/ops"
)

// Bits of srv_admin_state (management guide 9.3, "show servers state"). 0x04, disabled in
// the config, stays set after the server was made ready and means nothing by itself
// (measured on 2.6.12).
const (
	forcedMaint    = 0x01
	inheritedMaint = 0x02
	forcedDrain    = 0x08
	inheritedDrain = 0x10
	resolveMaint   = 0x20

	anyMaint = forcedMaint | inheritedMaint | resolveMaint
	anyDrain = forcedDrain | inheritedDrain
)

// Bits of srv_check_state: a check is configured, and it is enabled.
const checkOn = 0x02 | 0x04

// server is one row of "show stat" together with its row of "show servers state".
type server struct {
	backend, name string
	status        string // "UP", "UP 1/3", "DRAIN", "MAINT (via tis/blue)", "no check"
	check         string // "L7OK"; empty without a check and in maint
	checkText     string // "Layer4 connection problem: Connection refused"
	tracked       string // "tis/blue"; empty: it does not track
	admin         int
	weight        int // as used now
	initial       int // as configured
	checked       bool
	backup        bool
	sessions      int
	requests      uint64
	failed        uint64
	age           time.Duration // since the last change
}

// look is one reading of all servers, in HAProxy's order.
type look struct {
	at      time.Time
	servers []server
}

func (c *Client) look(ctx context.Context, side ops.Side) (look, error) {
	stat, err := c.ask(ctx, side, "show stat -1 4 -1") // of all proxies the servers only
	if err != nil {
		return look{}, err
	}
	state, err := c.ask(ctx, side, "show servers state")
	if err != nil {
		return look{}, err
	}
	l, err := parse(stat, state)
	if err != nil {
		return look{}, &ops.Problem{Doing: "reading the servers of " + c.Name(), Side: side, Err: err,
			Hint: "is " + c.addr + " really the runtime socket of an HAProxy?"}
	}
	l.at = time.Now()
	return l, nil
}

// parse puts the two tables together.
func parse(stat, state string) (look, error) {
	admin, err := parseState(state)
	if err != nil {
		return look{}, err
	}
	r := csv.NewReader(strings.NewReader(stat))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		return look{}, fmt.Errorf("reading show stat: %w", err)
	}
	if len(rows) == 0 || rows[0][0] != "# pxname" {
		return look{}, errors.New("show stat has no header")
	}
	rows[0][0] = "pxname"
	column := columns(rows[0])
	for _, name := range []string{"svname", "status", "weight", "scur", "lastchg", "check_status"} {
		if _, ok := column[name]; !ok {
			return look{}, fmt.Errorf("show stat has no column %s", name)
		}
	}
	var l look
	for _, row := range rows[1:] {
		text := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		number := func(name string) uint64 {
			n, _ := strconv.ParseUint(text(name), 10, 64) // empty where HAProxy does not count
			return n
		}
		s := server{
			backend: text("pxname"), name: text("svname"), status: text("status"),
			// A check under way is marked with a star.
			check: strings.TrimPrefix(text("check_status"), "* "), checkText: text("check_desc"),
			tracked: text("tracked"), weight: int(number("weight")), backup: number("bck") > 0, sessions: int(number("scur")),
			requests: number("stot"), failed: number("hrsp_5xx") + number("econ") + number("eresp"),
			age: time.Duration(number("lastchg")) * time.Second,
		}
		if last := text("last_chk"); last != "" {
			s.checkText += ": " + last
		}
		known, ok := admin[[2]string{s.backend, s.name}]
		if !ok {
			continue // a listener or a server template: it has no state to change
		}
		s.admin, s.initial = known.admin, known.initial
		s.checked = known.check&checkOn == checkOn
		l.servers = append(l.servers, s)
	}
	return l, nil
}

type stateRow struct{ admin, initial, check int }

func parseState(text string) (map[[2]string]stateRow, error) {
	version, rest, _ := strings.Cut(text, "\n")
	if version != "1" {
		return nil, fmt.Errorf("show servers state has format %q, expected 1", version)
	}
	out := map[[2]string]stateRow{}
	var column map[string]int
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "#" {
			column = columns(fields[1:])
			for _, name := range []string{"be_name", "srv_name", "srv_admin_state", "srv_uweight", "srv_iweight", "srv_check_state"} {
				if _, ok := column[name]; !ok {
					return nil, fmt.Errorf("show servers state has no column %s", name)
				}
			}
			continue
		}
		if column == nil || len(fields) < len(column) {
			return nil, fmt.Errorf("show servers state has an odd row %q", strings.TrimSpace(line))
		}
		var row stateRow
		for name, to := range map[string]*int{"srv_admin_state": &row.admin, "srv_iweight": &row.initial, "srv_check_state": &row.check} {
			n, err := strconv.Atoi(fields[column[name]])
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, err)
			}
			*to = n
		}
		out[[2]string{fields[column["be_name"]], fields[column["srv_name"]]}] = row
	}
	return out, nil
}

func columns(names []string) map[string]int {
	out := make(map[string]int, len(names))
	for i, name := range names {
		out[name] = i
	}
	return out
}

func (s *server) id() string { return s.backend + "/" + s.name }

// traffic is what the server gets, and why where the status does not say.
func (s *server) traffic() (ops.Traffic, string) {
	word, _, _ := strings.Cut(s.status, " ")
	switch {
	case s.admin&anyMaint != 0:
		return ops.Out, ""
	case s.admin&anyDrain != 0:
		if word == "DOWN" {
			return ops.Draining, "fails its check too (" + s.checkText + ")"
		}
		return ops.Draining, ""
	case word == "DOWN":
		return ops.Down, s.checkText
	case word == "MAINT" || word == "DRAIN" || word != "UP" && word != "NOLB" && s.status != "no check":
		// The two tables were not read at the same instant, or the word is new to us.
		return ops.Unknown, "haproxy says " + s.status
	case word == "NOLB":
		return ops.Draining, "the check or the agent asked for no new traffic"
	case s.weight == 0:
		return ops.Draining, "weight 0: only persistent sessions"
	}
	return ops.InService, ""
}

// find returns the servers of a side, one for each configured backend.
func (c *Client) find(l look, side ops.Side, name string) ([]server, error) {
	var out []server
	for _, backend := range c.conf.Backends {
		i := slices.IndexFunc(l.servers, func(s server) bool { return s.backend == backend && s.name == name })
		if i < 0 {
			return nil, c.unknown(l, side, backend, name)
		}
		out = append(out, l.servers[i])
	}
	return out, nil
}

func (c *Client) unknown(l look, side ops.Side, backend, name string) error {
	var backends, servers []string
	for _, s := range l.servers {
		if s.backend == backend {
			servers = append(servers, s.name)
		}
		if !slices.Contains(backends, s.backend) {
			backends = append(backends, s.backend)
		}
	}
	there := "backend " + backend + " has " + strings.Join(servers, ", ")
	if len(servers) == 0 {
		there = "there is no backend " + backend + "; there are " + strings.Join(backends, ", ")
	}
	return &ops.Problem{Doing: "looking for " + backend + "/" + name + " in " + c.Name(), Side: side,
		Err:  fmt.Errorf("%w: %s", ops.ErrUnknownServer, there),
		Hint: "mend balancer.haproxy.backends or servers in tandem.yaml"}
}

// Status reads both sides. The counters begin at the start of HAProxy or its last reload.
func (c *Client) Status(ctx context.Context) (ops.BalancerStatus, error) {
	l, err := c.look(ctx, "")
	if err != nil {
		return ops.BalancerStatus{}, err
	}
	status := ops.BalancerStatus{Name: c.Name(), Look: ops.Look{At: l.at}, Minimum: 1}
	for _, side := range ops.Sides {
		members, err := c.find(l, side, c.conf.Servers[side])
		if err != nil {
			return ops.BalancerStatus{}, err
		}
		*status.On(side) = c.sum(l, side, members)
		for _, s := range members {
			if !s.checked && s.tracked == "" && s.admin&anyMaint == 0 {
				status.Faults = append(status.Faults, s.id()+" has no check: haproxy sends it traffic whether it answers or not")
			}
		}
	}
	level, err := c.socketLevel(ctx, l.at)
	if err != nil {
		return ops.BalancerStatus{}, err
	}
	if level != "admin" && level != "" {
		status.Remarks = append(status.Remarks, "the socket has level "+level+": it can be looked at, but draining and putting back need level admin")
	}
	return status, nil
}

// socketLevel is the level as it was within the last minute; see askLevel.
func (c *Client) socketLevel(ctx context.Context, now time.Time) (string, error) {
	c.mu.Lock()
	level, fresh := c.level, now.Sub(c.levelAt) < levelEvery
	c.mu.Unlock()
	if fresh {
		return level, nil
	}
	level, err := c.askLevel(ctx, "")
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.level, c.levelAt = level, now
	return level, nil
}

// askLevel returns user, operator or admin; empty where HAProxy is too old to say (before 1.8).
func (c *Client) askLevel(ctx context.Context, side ops.Side) (string, error) {
	level, err := c.ask(ctx, side, "show cli level")
	if errors.Is(err, ops.ErrUnreachable) || ctx.Err() != nil {
		return "", err
	}
	return level, nil
}

// permitted refuses a socket on which servers cannot be changed. The level is asked afresh:
// it may have been mended a moment ago. One that is not known does not refuse.
func (c *Client) permitted(ctx context.Context, side ops.Side) error {
	level, err := c.askLevel(ctx, side)
	if err != nil || level == "admin" || level == "" {
		return err
	}
	return c.problem(ctx, "finding out whether "+c.Name()+" lets us change servers", side,
		fmt.Errorf("%w: the socket has level %s", ops.ErrNotPermitted, level))
}

func (c *Client) sum(l look, side ops.Side, members []server) ops.SideTraffic {
	var out ops.SideTraffic
	var why []string
	var sessions int
	var requests, failed uint64
	var share float64
	age := members[0].age
	for _, s := range members {
		traffic, reason := s.traffic()
		if reason != "" {
			why = append(why, s.id()+" "+reason)
		}
		n := s.sessions
		out.Members = append(out.Members, ops.Member{Pool: s.backend, Name: s.name, Traffic: traffic, State: s.status,
			Check: l.checkOf(s), Weight: s.weight, Sessions: &n})
		sessions, requests, failed = sessions+s.sessions, requests+s.requests, failed+s.failed
		share += l.share(s) / float64(len(members))
		age = min(age, s.age)
	}
	out.Sessions, out.Requests, out.Failed, out.Share = &sessions, &requests, &failed, &share
	out.Traffic, out.Detail = ops.SumTraffic(out.Members)
	if out.Detail != "" {
		why = append([]string{out.Detail}, why...)
	}
	out.Detail = strings.Join(why, "; ")
	out.Check = l.checkOf(members[0])
	for _, s := range members[1:] { // a check that does not pass says more than one that does
		if check := l.checkOf(s); passed(out.Check) && !passed(check) && check != "" {
			out.Check = check
		}
	}
	out.Since = c.changed(side, l.at.Add(-age).Truncate(time.Second))
	return out
}

// changed keeps the time of the last change steady: HAProxy gives an age in whole seconds,
// so that the time computed from it wanders by one.
func (c *Client) changed(side ops.Side, at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := at.Sub(c.since[side]); d < -2*time.Second || d > 2*time.Second {
		c.since[side] = at
	}
	return c.since[side]
}

// checkOf is the result of the check that decides over the server: its own, or that of the
// server it tracks.
func (l look) checkOf(s server) string {
	if s.tracked != "" {
		for _, t := range l.servers {
			if t.id() == s.tracked && t.id() != s.id() {
				return l.checkOf(t)
			}
		}
	}
	return s.check
}

// passed tells whether a check's result is a pass. L7OKC, conditionally passed, is none: it
// stands for "no new traffic".
func passed(check string) bool {
	return slices.Contains([]string{"L4OK", "L6OK", "L7OK", "PROCOK"}, check)
}

// share is the server's part of new traffic in its backend. Backups get some only when no
// other server can.
func (l look) share(of server) float64 {
	var mine, all float64
	for _, backup := range []bool{false, true} {
		for _, s := range l.servers {
			if traffic, _ := s.traffic(); s.backend != of.backend || s.backup != backup || traffic != ops.InService {
				continue
			}
			all += float64(s.weight)
			if s.name == of.name {
				mine = float64(s.weight)
			}
		}
		if all > 0 {
			return mine / all
		}
	}
	return 0
}
