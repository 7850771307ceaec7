package haproxy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// prior is a side's exact state, as the journal keeps it.
type prior struct {
	Kind    string        `json:"kind"` // "haproxy"
	Servers []priorServer `json:"servers"`
}

type priorServer struct {
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Admin   int    `json:"admin_state"` // the whole mask
	Weight  int    `json:"weight"`
	Initial int    `json:"initial_weight"`
}

// in tells whether the server was to get new traffic, whatever its check said.
func (p priorServer) in() bool { return p.Admin&(anyMaint|anyDrain) == 0 && p.Weight > 0 }

// state is the word that brings the administrative state back.
func (p priorServer) state() string {
	switch {
	case p.Admin&forcedMaint != 0:
		return "maint"
	case p.Admin&forcedDrain != 0:
		return "drain"
	}
	return "ready"
}

func (c *Client) members(ctx context.Context, side ops.Side) ([]server, error) {
	l, err := c.look(ctx, side)
	if err != nil {
		return nil, err
	}
	return c.find(l, side, c.conf.Servers[side])
}

// Prior is the administrative state and the weight in every backend. It is read before a
// side is taken out, so it refuses with [ops.ErrNotPermitted] where the socket's level would
// not let the side be taken out: at that time nothing has been changed yet.
func (c *Client) Prior(ctx context.Context, side ops.Side) (json.RawMessage, error) {
	if err := c.permitted(ctx, side); err != nil {
		return nil, err
	}
	members, err := c.members(ctx, side)
	if err != nil {
		return nil, err
	}
	p := prior{Kind: "haproxy"}
	for _, s := range members {
		p.Servers = append(p.Servers, priorServer{Backend: s.backend, Server: s.name, Admin: s.admin, Weight: s.weight, Initial: s.initial})
	}
	return json.Marshal(p)
}

func setState(s server, state string) string { return "set server " + s.id() + " state " + state }

// Drain sends "state drain" for every server of the side that is not in drain or maint yet.
func (c *Client) Drain(ctx context.Context, side ops.Side) error {
	return c.setAll(ctx, side, "drain", "draining", forcedDrain|forcedMaint)
}

// CutOff sends "state maint". Requests under way are still answered (measured on 2.6.12),
// unless the config says "on-marked-down shutdown-sessions".
func (c *Client) CutOff(ctx context.Context, side ops.Side) error {
	return c.setAll(ctx, side, "maint", "cutting off", forcedMaint)
}

func (c *Client) setAll(ctx context.Context, side ops.Side, state, doing string, enough int) error {
	members, err := c.members(ctx, side)
	if err != nil {
		return err
	}
	var changed []string
	for i, s := range members {
		if s.admin&enough != 0 {
			continue
		}
		if err := c.change(ctx, side, setState(s, state)); err != nil {
			return partial(err, side, doing, changed, members[i:])
		}
		changed = append(changed, s.id())
	}
	return nil
}

// partial names what an interrupted change has done, where it has done something.
func partial(err error, side ops.Side, doing string, changed []string, left []server) error {
	if len(changed) == 0 {
		return err
	}
	var not []string
	for _, s := range left {
		not = append(not, s.id())
	}
	p := ops.AsProblem(err, doing, side)
	return &ops.Problem{Doing: doing, Side: side,
		Err:  fmt.Errorf("changed %s, not changed %s: %w", strings.Join(changed, ", "), strings.Join(not, ", "), p),
		Hint: "do it again, it goes on where it stopped. " + p.Hint}
}

// PutBack puts the side back where prior says that it was in, or in every backend when
// prior is nil or names no place where it was in.
//
// Servers that are in already are left alone; one that is in and fails its check is waited
// for. The others go maint, drain, a passed check, ready. When ctx ends before the check
// has passed they stay in drain.
func (c *Client) PutBack(ctx context.Context, side ops.Side, was json.RawMessage, say func(string)) error {
	p, err := c.readPrior(side, was)
	if err != nil {
		return err
	}
	wanted := map[string]priorServer{}
	for _, s := range p.Servers {
		if s.in() {
			wanted[s.Backend] = s
		}
	}
	return c.putBack(ctx, side, wanted, say)
}

// Restore puts back where the side was in, and sets maint, drain or weight elsewhere.
func (c *Client) Restore(ctx context.Context, side ops.Side, was json.RawMessage, say func(string)) error {
	p, err := c.readPrior(side, was)
	if err != nil {
		return err
	}
	if len(p.Servers) == 0 {
		return &ops.Problem{Doing: "restoring", Side: side, Err: errors.New("no state was recorded"), Hint: "put the side back instead"}
	}
	members, err := c.members(ctx, side)
	if err != nil {
		return err
	}
	wanted := map[string]priorServer{}
	for _, old := range p.Servers {
		if old.in() {
			wanted[old.Backend] = old
			continue
		}
		for _, s := range members {
			if s.backend != old.Backend {
				continue
			}
			if old.state() != wordOf(s.admin) {
				if err := c.change(ctx, side, setState(s, old.state())); err != nil {
					return err
				}
				say(s.id() + " is in " + old.state() + " again")
			}
			if err := c.setWeight(ctx, side, s, old.Weight); err != nil {
				return err
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return c.putBack(ctx, side, wanted, say)
}

func wordOf(admin int) string { return priorServer{Admin: admin}.state() }

func (c *Client) readPrior(side ops.Side, was json.RawMessage) (prior, error) {
	var p prior
	if len(was) == 0 || string(was) == "null" {
		return p, nil
	}
	if err := json.Unmarshal(was, &p); err != nil || p.Kind != "haproxy" {
		return p, &ops.Problem{Doing: "reading the recorded state", Side: side, Err: errors.Join(fmt.Errorf("not a record of haproxy: %q", p.Kind), err),
			Hint: "the record is of another balancer: put the side back instead"}
	}
	return p, nil
}

func (c *Client) setWeight(ctx context.Context, side ops.Side, s server, weight int) error {
	if s.weight == weight {
		return nil
	}
	return c.change(ctx, side, fmt.Sprintf("set server %s weight %d", s.id(), weight))
}

// putBack brings the wanted servers in; an empty wanted means all of them.
func (c *Client) putBack(ctx context.Context, side ops.Side, wanted map[string]priorServer, say func(string)) error {
	members, err := c.members(ctx, side)
	if err != nil {
		return err
	}
	var targets, away []server // to be in at the end; of these, the ones that are not in now
	for _, s := range members {
		old, ok := wanted[s.backend]
		if !ok && len(wanted) > 0 {
			say(s.id() + " was not in service before: left as it is")
			continue
		}
		targets = append(targets, s)
		weight := cmp.Or(old.Weight, s.weight, s.initial)
		if err := c.setWeight(ctx, side, s, weight); err != nil {
			return err
		}
		if s.admin&(anyMaint|anyDrain) != 0 {
			away = append(away, s)
		}
	}
	// maint first: it forgets the last check, which may be of before a restart.
	for _, state := range []string{"maint", "drain"} {
		for _, s := range away {
			if s.admin&forcedMaint != 0 && state == "maint" {
				continue
			}
			if err := c.change(ctx, side, setState(s, state)); err != nil {
				return err
			}
		}
	}
	for _, s := range away {
		if !s.checked && s.tracked == "" {
			say(s.id() + " has no check in haproxy: it is put back on the word of the services alone")
		} else {
			say(s.id() + " gets no new traffic yet, waiting for its check")
		}
	}
	if err := c.await(ctx, side, away, "the check to pass", checkPassed, say); err != nil {
		return err
	}
	for i, s := range away {
		if err := c.change(ctx, side, setState(s, "ready")); err != nil {
			return partial(err, side, "putting back", ids(away[:i]), away[i:])
		}
		say(s.id() + " is ready")
	}
	return c.await(ctx, side, targets, "traffic", serving, say)
}

func ids(servers []server) []string {
	var out []string
	for _, s := range servers {
		out = append(out, s.id())
	}
	return out
}

// checkPassed tells whether a server in drain may be made ready. Right after maint the
// table still shows the last check of before, with a status such as "DRAIN 1/3"; the plain
// word comes with the first fresh pass (measured on 2.6.12).
func checkPassed(l look, s server) (bool, string, error) {
	switch {
	case s.admin&anyMaint != 0:
		return false, "", fmt.Errorf("%s is in maintenance (%s): somebody else has changed it", s.id(), s.status)
	case s.admin&forcedDrain == 0:
		return true, "", nil // a reload has put it in: what is left is to see it serve
	case !s.checked && s.tracked == "":
		return true, "", nil
	}
	check := l.checkOf(s)
	return s.status == "DRAIN" && passed(check), strings.TrimSpace(s.status + " " + check), nil
}

// serving tells whether new traffic goes to the server.
func serving(_ look, s server) (bool, string, error) {
	traffic, reason := s.traffic()
	if s.admin&inheritedDrain != 0 {
		reason = "held by " + s.tracked + ", which it tracks"
	}
	done := traffic == ops.InService && (s.status == "UP" || s.status == "no check")
	return done, strings.TrimSpace(s.status + " " + s.check + " " + reason), nil
}

// await looks until done holds for every server, and says what each waits for whenever
// that changes. A HAProxy that does not answer may be restarting: that is waited for too.
func (c *Client) await(ctx context.Context, side ops.Side, servers []server, what string, done test, say func(string)) error {
	said := map[string]string{}
	last := "nothing was seen"
	for {
		waiting, err := c.pending(ctx, side, servers, done)
		switch {
		case ctx.Err() != nil:
			return &ops.Problem{Doing: "waiting for " + what, Side: side, Err: fmt.Errorf("%s: %w", last, ctx.Err()),
				Hint: "look at what the check asks for on the host, then put the side back again; the check decides whether it gets new traffic"}
		case errors.Is(err, ops.ErrUnreachable):
			last = err.Error()
		case err != nil:
			return err
		case len(waiting) == 0:
			return nil
		default:
			last = strings.Join(slices.Sorted(maps.Values(waiting)), "; ")
		}
		for id, text := range waiting {
			if said[id] != text {
				said[id] = text
				say(text)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// test looks at one server: done, or what it waits for, or why waiting has no sense.
type test func(look, server) (done bool, waits string, err error)

// pending returns what the servers that are not done wait for.
func (c *Client) pending(ctx context.Context, side ops.Side, servers []server, done test) (map[string]string, error) {
	l, err := c.look(ctx, side)
	if err != nil {
		return nil, err
	}
	waiting := map[string]string{}
	for _, s := range servers {
		now, err := c.find(l, side, s.name)
		if err != nil {
			return nil, err
		}
		for _, s2 := range now {
			if s2.backend != s.backend {
				continue
			}
			ok, waits, err := done(l, s2)
			if err != nil {
				return nil, &ops.Problem{Doing: "putting back", Side: side, Err: err,
					Hint: "find out who else works on this balancer, then put the side back again"}
			}
			if !ok {
				waiting[s.id()] = s.id() + " is " + waits
			}
		}
	}
	return waiting, nil
}

// Effects are the commands, for every configured backend.
func (c *Client) Effects(act string, side ops.Side) []string {
	states := map[string][]string{"drain": {"drain"}, "cut-off": {"maint"}, "put-back": {"maint", "drain", "", "ready"}}
	var out []string
	for _, state := range states[act] {
		if state == "" {
			out = append(out, c.Name()+": wait until the check of "+c.conf.Servers[side]+" passes, without new traffic")
			continue
		}
		for _, backend := range c.conf.Backends {
			out = append(out, c.Name()+": "+setState(server{backend: backend, name: c.conf.Servers[side]}, state))
		}
	}
	return out
}
