package elbv2

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tandem/ops"
)

// prior is a side's exact state, as the journal keeps it.
type prior struct {
	Kind   string       `json:"kind"` // "elbv2"
	Groups []priorGroup `json:"groups"`
}

type priorGroup struct {
	ARN     string   `json:"arn"`
	Name    string   `json:"name"`
	Targets []target `json:"targets"` // registered, not draining
}

// registered keeps the targets that ELBv2 would send traffic to by itself.
func registered(all []registration) []target {
	out := []target{}
	for _, r := range all {
		if r.stands().registered {
			out = append(out, r.target)
		}
	}
	return out
}

// Prior is what is registered for the side, with port and zone.
func (c *Client) Prior(ctx context.Context, side ops.Side) (json.RawMessage, error) {
	groups, health, err := c.health(ctx, side)
	if err != nil {
		return nil, err
	}
	p := prior{Kind: "elbv2"}
	for i, g := range groups {
		p.Groups = append(p.Groups, priorGroup{ARN: g.arn, Name: g.name, Targets: registered(c.of(side, health[i]))})
	}
	return json.Marshal(p)
}

func (c *Client) readPrior(side ops.Side, was json.RawMessage) (prior, error) {
	var p prior
	if len(was) == 0 || string(was) == "null" {
		return p, nil
	}
	if err := json.Unmarshal(was, &p); err != nil || p.Kind != "elbv2" {
		return p, &ops.Problem{Doing: "reading the recorded state", Side: side, Err: errors.Join(fmt.Errorf("not a record of elbv2: %q", p.Kind), err),
			Hint: "the record is of another balancer: put the side back instead"}
	}
	return p, nil
}

func descriptions(targets []target) []types.TargetDescription {
	var out []types.TargetDescription
	for _, t := range targets {
		d := types.TargetDescription{Id: aws.String(t.ID)}
		if t.Port != 0 {
			d.Port = aws.Int32(t.Port)
		}
		if t.Zone != "" {
			d.AvailabilityZone = aws.String(t.Zone)
		}
		out = append(out, d)
	}
	return out
}

// Drain deregisters the side from every group in which it is registered.
func (c *Client) Drain(ctx context.Context, side ops.Side) error {
	groups, health, err := c.health(ctx, side)
	if err != nil {
		return err
	}
	leave := map[string][]target{}
	for i, g := range groups {
		leave[g.arn] = registered(c.of(side, health[i]))
	}
	return c.deregister(ctx, side, groups, leave)
}

// CutOff drains a side that is not drained yet. More there is not to do: ELBv2 itself ends
// what is left when the deregistration delay is over.
func (c *Client) CutOff(ctx context.Context, side ops.Side) error { return c.Drain(ctx, side) }

func (c *Client) deregister(ctx context.Context, side ops.Side, groups []group, leave map[string][]target) error {
	var changed []string
	for i, g := range groups {
		if len(leave[g.arn]) == 0 {
			continue
		}
		// Only id and port: a zone is for registering.
		in := &elb.DeregisterTargetsInput{TargetGroupArn: &g.arn}
		for _, t := range leave[g.arn] {
			in.Targets = append(in.Targets, types.TargetDescription{Id: aws.String(t.ID), Port: aws.Int32(t.Port)})
		}
		err := c.change(ctx, side, "deregistering from "+g.name, func(ctx context.Context) error {
			_, err := c.api.DeregisterTargets(ctx, in)
			return err
		})
		if err != nil {
			return partial(err, side, "draining", changed, groups[i:])
		}
		changed = append(changed, g.name)
		c.mu.Lock()
		c.drained[g.arn+string(side)] = time.Now()
		c.mu.Unlock()
	}
	if len(changed) == 0 {
		return nil
	}
	_, health, err := c.health(ctx, side)
	if err != nil {
		return err
	}
	var still []string
	for i, g := range groups {
		for _, t := range registered(health[i]) {
			if slices.Contains(leave[g.arn], t) {
				still = append(still, t.String()+" in "+g.name)
			}
		}
	}
	if len(still) > 0 {
		return &ops.Problem{Doing: "draining", Side: side, Err: fmt.Errorf("AWS accepted it and still lists as registered: %s", strings.Join(still, ", ")),
			Hint: "does something else register these targets (an Auto Scaling group, ECS)? Drain again"}
	}
	return nil
}

func partial(err error, side ops.Side, doing string, changed []string, left []group) error {
	if len(changed) == 0 {
		return err
	}
	var not []string
	for _, g := range left {
		not = append(not, g.name)
	}
	p := ops.AsProblem(err, doing, side)
	return &ops.Problem{Doing: doing, Side: side,
		Err:  fmt.Errorf("changed in %s, not changed in %s: %w", strings.Join(changed, ", "), strings.Join(not, ", "), p),
		Hint: "do it again, it goes on where it stopped. " + p.Hint}
}

// PutBack registers the side as prior says, or as configured in every group when prior is
// nil or names none of its targets, and waits until all of it serves. A target that is still
// draining is registered again, which ends the drain.
func (c *Client) PutBack(ctx context.Context, side ops.Side, was json.RawMessage, say func(string)) error {
	p, err := c.readPrior(side, was)
	if err != nil {
		return err
	}
	// The config may name another instance by now: only that is put back.
	for i, g := range p.Groups {
		p.Groups[i].Targets = slices.DeleteFunc(g.Targets, func(t target) bool { return !c.targets[side].matches(t) })
	}
	return c.putBack(ctx, side, p, say)
}

func (c *Client) putBack(ctx context.Context, side ops.Side, p prior, say func(string)) error {
	groups, health, err := c.health(ctx, side)
	if err != nil {
		return err
	}
	enter := c.wanted(side, groups, health, p)
	var changed []string
	for i, g := range groups {
		there := registered(health[i])
		missing := slices.DeleteFunc(slices.Clone(enter[g.arn]), func(t target) bool {
			return slices.ContainsFunc(there, t.matches)
		})
		if len(missing) == 0 {
			continue
		}
		err := c.change(ctx, side, "registering with "+g.name, func(ctx context.Context) error {
			_, err := c.api.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: &g.arn, Targets: descriptions(missing)})
			return err
		})
		if err != nil {
			return partial(err, side, "putting back", changed, groups[i:])
		}
		changed = append(changed, g.name)
		c.mu.Lock()
		delete(c.drained, g.arn+string(side))
		c.mu.Unlock()
		for _, t := range missing {
			say(t.String() + " is registered with " + g.name + ", waiting for its health check")
		}
	}
	return c.await(ctx, side, enter, say)
}

// wanted is what should be registered, by group ARN. Without a record it is what is still
// listed of the side, be it draining, and only then the configured target.
func (c *Client) wanted(side ops.Side, groups []group, health [][]registration, p prior) map[string][]target {
	out := map[string][]target{}
	some := false
	for _, g := range p.Groups {
		out[g.ARN] = g.Targets
		some = some || len(g.Targets) > 0
	}
	if some {
		return out
	}
	for i, g := range groups {
		listed := c.of(side, health[i])
		out[g.arn] = registered(listed)
		if len(out[g.arn]) > 0 {
			continue
		}
		for _, r := range listed {
			out[g.arn] = append(out[g.arn], r.target)
		}
		if len(listed) == 0 {
			t := c.targets[side]
			t.Port = cmp.Or(t.Port, g.port)
			out[g.arn] = []target{t}
		}
	}
	return out
}

// Restore registers and deregisters until the side is as recorded, and waits where it is
// to serve.
func (c *Client) Restore(ctx context.Context, side ops.Side, was json.RawMessage, say func(string)) error {
	p, err := c.readPrior(side, was)
	if err != nil {
		return err
	}
	if len(p.Groups) == 0 {
		return &ops.Problem{Doing: "restoring", Side: side, Err: errors.New("no state was recorded"), Hint: "put the side back instead"}
	}
	for _, g := range p.Groups {
		for _, t := range g.Targets {
			if !c.targets[side].matches(t) {
				return &ops.Problem{Doing: "restoring", Side: side, Err: fmt.Errorf("%s was recorded for %s, but the config now says %s", t, g.Name, c.targets[side]),
					Hint: "put the side back instead"}
			}
		}
	}
	groups, health, err := c.health(ctx, side)
	if err != nil {
		return err
	}
	some := false
	leave := map[string][]target{}
	for i, g := range groups {
		var keep []target
		for _, old := range p.Groups {
			if old.ARN == g.arn {
				keep = old.Targets
			}
		}
		some = some || len(keep) > 0
		leave[g.arn] = slices.DeleteFunc(registered(c.of(side, health[i])), func(t target) bool {
			return slices.ContainsFunc(keep, func(k target) bool { return k.matches(t) })
		})
	}
	if err := c.deregister(ctx, side, groups, leave); err != nil || !some {
		return err
	}
	return c.putBack(ctx, side, p, say)
}

// await looks until every wanted target serves. Throttling and a lost connection only make
// it take longer.
func (c *Client) await(ctx context.Context, side ops.Side, wanted map[string][]target, say func(string)) error {
	said, last := "", "nothing was seen"
	for {
		waiting, err := c.pending(ctx, side, wanted)
		switch {
		case ctx.Err() != nil:
			return &ops.Problem{Doing: "waiting for the health check", Side: side, Err: fmt.Errorf("%s: %w", last, ctx.Err()),
				Hint: "look at what the health check asks for on the host; it stays registered and serves as soon as the check passes: drain it if it must not"}
		case errors.Is(err, ops.ErrThrottled), errors.Is(err, ops.ErrUnreachable):
			last = err.Error()
		case err != nil:
			return err
		case len(waiting) == 0:
			return nil
		default:
			last = strings.Join(waiting, "; ")
		}
		if last != said {
			said = last
			say(last)
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.poll + rand.N(c.poll/4+1)): // not in step with other consoles
		}
	}
}

func (c *Client) pending(ctx context.Context, side ops.Side, wanted map[string][]target) ([]string, error) {
	groups, health, err := c.health(ctx, side)
	if err != nil {
		return nil, err
	}
	var waiting []string
	for i, g := range groups {
		for _, t := range wanted[g.arn] {
			state := "not listed"
			for _, r := range health[i] {
				if !t.matches(r.target) {
					continue
				}
				s := r.stands()
				if state = cmp.Or(s.words, r.words()); s.traffic == ops.InService {
					state = ""
				}
			}
			if state != "" {
				waiting = append(waiting, t.String()+" in "+g.name+" is "+state)
			}
		}
	}
	return waiting, nil
}

// Effects are the calls, for every configured group.
func (c *Client) Effects(act string, side ops.Side) []string {
	t := c.targets[side]
	var out []string
	for _, g := range c.conf.TargetGroups {
		name := shortName(g)
		switch act {
		case "drain":
			out = append(out, "elbv2: DeregisterTargets "+name+" "+t.String())
		case "put-back":
			out = append(out, "elbv2: RegisterTargets "+name+" "+t.String()+", then wait until it is healthy")
		case "cut-off":
			delay := "the deregistration delay"
			c.mu.Lock()
			for _, known := range c.groups {
				if known.name == name {
					delay += " (" + strconv.Itoa(int(known.delay.Seconds())) + " s)"
				}
			}
			c.mu.Unlock()
			out = append(out, "elbv2: nothing more for "+t.String()+" in "+name+": AWS ends what is left when "+delay+" is over")
		}
	}
	return out
}
