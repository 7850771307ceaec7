package elbv2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

// group is what seldom changes of a target group.
type group struct {
	arn, name string
	port      int32
	delay     time.Duration // of deregistration
	minimums  []minimum
	balancers []string
	faults    []string
}

// minimum is a threshold of the group under which ELBv2 sends traffic to unhealthy targets
// too ("unhealthy state routing"), or takes the zone out of DNS ("dns failover").
type minimum struct {
	what       string
	count      int
	percentage int // 0: off
}

// registration is one target of a group as DescribeTargetHealth tells it.
type registration struct {
	target
	state, reason, text, override string
}

// standing is what a state means: the traffic, and whether the target is registered, so
// that it may serve again by itself.
type standing struct {
	traffic    ops.Traffic
	registered bool
	words      string
}

// states are all states and reasons of the API reference. An empty reason stands for any
// reason that has no line of its own.
var states = map[types.TargetHealthStateEnum]map[types.TargetHealthReasonEnum]standing{
	types.TargetHealthStateEnumInitial: {
		"": {ops.Down, true, "not serving yet"},
		types.TargetHealthReasonEnumRegistrationInProgress: {ops.Down, true, "being registered"},
		types.TargetHealthReasonEnumInitialHealthChecking:  {ops.Down, true, "first health checks under way"},
	},
	types.TargetHealthStateEnumHealthy: {"": {ops.InService, true, ""}},
	types.TargetHealthStateEnumUnhealthy: {
		"": {ops.Down, true, "unhealthy"},
		types.TargetHealthReasonEnumResponseCodeMismatch: {ops.Down, true, "the health check got another status than expected"},
		types.TargetHealthReasonEnumTimeout:              {ops.Down, true, "the health check timed out"},
		types.TargetHealthReasonEnumFailedHealthChecks:   {ops.Down, true, "the health check fails"},
		types.TargetHealthReasonEnumInternalError:        {ops.Down, true, "unhealthy for an internal error of the load balancer"},
	},
	// Registered and unhealthy; only its old connections are let go on (NLB).
	types.TargetHealthStateEnumUnhealthyDraining: {"": {ops.Down, true, "unhealthy, old connections end"}},
	types.TargetHealthStateEnumUnused: {
		"": {ops.Unknown, true, "unused"},
		types.TargetHealthReasonEnumNotRegistered: {ops.Out, false, "not registered"},
		types.TargetHealthReasonEnumNotInUse:      {ops.Down, true, "registered, but the group or its zone gets no traffic"},
		types.TargetHealthReasonEnumInvalidState:  {ops.Down, true, "registered, but the instance is stopped or terminated"},
		types.TargetHealthReasonEnumIpUnusable:    {ops.Down, true, "registered, but a load balancer uses the address itself"},
	},
	types.TargetHealthStateEnumDraining: {"": {ops.Draining, false, ""}},
	types.TargetHealthStateEnumUnavailable: {
		"": {ops.Unknown, true, "its health is not available"},
		types.TargetHealthReasonEnumHealthCheckDisabled: {ops.Unknown, true, "its health check is switched off"},
		types.TargetHealthReasonEnumInternalError:       {ops.Unknown, true, "its health is not available for an internal error"},
	},
}

// stands looks a registration up. A healthy target under an administrative override gets
// no traffic; it stays registered and may serve again at any time.
func (r registration) stands() standing {
	s, ok := states[types.TargetHealthStateEnum(r.state)][types.TargetHealthReasonEnum(r.reason)]
	if !ok {
		s, ok = states[types.TargetHealthStateEnum(r.state)][""]
	}
	if !ok {
		return standing{ops.Unknown, true, "aws says " + r.words()}
	}
	if s.traffic != ops.InService {
		return s
	}
	switch types.TargetAdministrativeOverrideStateEnum(r.override) {
	case "", types.TargetAdministrativeOverrideStateEnumNoOverride:
		return s
	case types.TargetAdministrativeOverrideStateEnumZonalShiftActive:
		return standing{ops.Down, true, "healthy, but a zonal shift keeps traffic away"}
	case types.TargetAdministrativeOverrideStateEnumZonalShiftDelegatedToDns:
		return standing{ops.Down, true, "healthy, but a zonal shift by DNS keeps traffic away"}
	}
	return standing{ops.Unknown, true, "healthy, but with an override that is not known: " + r.override}
}

// shifted tells whether a zonal shift keeps traffic from a healthy target.
func (r registration) shifted() bool {
	return r.state == string(types.TargetHealthStateEnumHealthy) && slices.Contains([]types.TargetAdministrativeOverrideStateEnum{
		types.TargetAdministrativeOverrideStateEnumZonalShiftActive, types.TargetAdministrativeOverrideStateEnumZonalShiftDelegatedToDns,
	}, types.TargetAdministrativeOverrideStateEnum(r.override))
}

// words is the state in AWS's words: "unused Target.NotInUse".
func (r registration) words() string { return strings.TrimSpace(r.state + " " + r.reason) }

// resolve finds the configured groups, and their attributes and load balancers.
func (c *Client) resolve(ctx context.Context, side ops.Side) ([]group, error) {
	c.mu.Lock()
	groups, fresh := c.groups, time.Since(c.groupsAt) < groupsEvery
	c.mu.Unlock()
	if fresh {
		return groups, nil
	}
	var names, arns []string
	for _, g := range c.conf.TargetGroups {
		if strings.HasPrefix(g, "arn:") {
			arns = append(arns, g)
		} else {
			names = append(names, g)
		}
	}
	found := map[string]types.TargetGroup{} // by name and by ARN
	for _, in := range []elb.DescribeTargetGroupsInput{{Names: names}, {TargetGroupArns: arns}} {
		if len(in.Names)+len(in.TargetGroupArns) == 0 {
			continue // it would list every group of the account
		}
		out, err := call(ctx, c, side, "looking for the target groups", func(ctx context.Context) (*elb.DescribeTargetGroupsOutput, error) {
			return c.api.DescribeTargetGroups(ctx, &in, once)
		})
		if err != nil {
			return nil, c.namesThere(ctx, err)
		}
		for _, g := range out.TargetGroups {
			found[aws.ToString(g.TargetGroupName)], found[aws.ToString(g.TargetGroupArn)] = g, g
		}
	}
	groups = nil
	for _, wanted := range c.conf.TargetGroups {
		g, ok := found[wanted]
		if !ok {
			return nil, c.namesThere(ctx, &ops.Problem{Doing: "looking for target group " + wanted, Err: ops.ErrUnknownServer,
				Hint: "compare balancer.elbv2.target_groups and region in tandem.yaml with AWS"})
		}
		one, err := c.describe(ctx, side, g)
		if err != nil {
			return nil, err
		}
		groups = append(groups, one)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups, c.groupsAt = groups, time.Now()
	return groups, nil
}

// namesThere adds the names of the groups that exist to an unknown-name error.
func (c *Client) namesThere(ctx context.Context, err error) error {
	if !errors.Is(err, ops.ErrUnknownServer) {
		return err
	}
	out, listing := call(ctx, c, "", "listing the target groups", func(ctx context.Context) (*elb.DescribeTargetGroupsOutput, error) {
		return c.api.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{}, once)
	})
	if listing != nil {
		return err
	}
	var names []string
	for _, g := range out.TargetGroups {
		names = append(names, aws.ToString(g.TargetGroupName))
	}
	p := ops.AsProblem(err, "looking for the target groups", "")
	return &ops.Problem{Doing: p.Doing, Side: p.Side, Hint: p.Hint,
		Err: fmt.Errorf("%w (configured: %s; there are: %s)", p.Err, strings.Join(c.conf.TargetGroups, ", "), strings.Join(names, ", "))}
}

const attributePrefix = "target_group_health."

func (c *Client) describe(ctx context.Context, side ops.Side, g types.TargetGroup) (group, error) {
	out := group{arn: aws.ToString(g.TargetGroupArn), name: aws.ToString(g.TargetGroupName), port: aws.ToInt32(g.Port), balancers: g.LoadBalancerArns}
	attributes, err := call(ctx, c, side, "reading the attributes of "+out.name, func(ctx context.Context) (*elb.DescribeTargetGroupAttributesOutput, error) {
		return c.api.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn}, once)
	})
	if err != nil {
		return group{}, err
	}
	values := map[string]string{}
	for _, a := range attributes.Attributes {
		values[aws.ToString(a.Key)] = aws.ToString(a.Value)
	}
	if seconds, err := strconv.ParseFloat(values["deregistration_delay.timeout_seconds"], 64); err == nil {
		out.delay = time.Duration(seconds * float64(time.Second))
	}
	for _, what := range []string{"unhealthy_state_routing", "dns_failover"} {
		m := minimum{what: strings.ReplaceAll(what, "_", " ")}
		// "off" and what is not there count as no threshold; Minimum is 1 in any case.
		m.count, _ = strconv.Atoi(values[attributePrefix+what+".minimum_healthy_targets.count"])
		m.percentage, _ = strconv.Atoi(values[attributePrefix+what+".minimum_healthy_targets.percentage"])
		out.minimums = append(out.minimums, m)
	}
	if len(out.balancers) == 0 {
		out.faults = append(out.faults, out.name+" is not attached to a load balancer: its targets get no traffic")
		return out, nil
	}
	balancers, err := call(ctx, c, side, "reading the load balancer of "+out.name, func(ctx context.Context) (*elb.DescribeLoadBalancersOutput, error) {
		return c.api.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: out.balancers}, once)
	})
	if err != nil {
		return group{}, err
	}
	for _, b := range balancers.LoadBalancers {
		if b.State != nil && b.State.Code != types.LoadBalancerStateEnumActive {
			out.faults = append(out.faults, "load balancer "+aws.ToString(b.LoadBalancerName)+" is "+string(b.State.Code))
		}
	}
	return out, nil
}

// health reads all targets of every group, at the same time.
func (c *Client) health(ctx context.Context, side ops.Side) ([]group, [][]registration, error) {
	groups, err := c.resolve(ctx, side)
	if err != nil {
		return nil, nil, err
	}
	out := make([][]registration, len(groups))
	var all errgroup.Group
	for i, g := range groups {
		all.Go(func() (err error) {
			out[i], err = c.healthOf(ctx, side, g)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		if errors.Is(err, ops.ErrUnknownServer) { // the group was replaced: find it anew
			c.mu.Lock()
			c.groupsAt = time.Time{}
			c.mu.Unlock()
		}
		return nil, nil, err
	}
	return groups, out, nil
}

func (c *Client) healthOf(ctx context.Context, side ops.Side, g group) ([]registration, error) {
	described, err := call(ctx, c, side, "reading the targets of "+g.name, func(ctx context.Context) (*elb.DescribeTargetHealthOutput, error) {
		return c.api.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &g.arn}, once)
	})
	if err != nil {
		return nil, err
	}
	var out []registration
	for _, d := range described.TargetHealthDescriptions {
		if d.Target == nil || d.TargetHealth == nil {
			continue
		}
		r := registration{target: target{ID: aws.ToString(d.Target.Id), Port: aws.ToInt32(d.Target.Port), Zone: aws.ToString(d.Target.AvailabilityZone)},
			state: string(d.TargetHealth.State), reason: string(d.TargetHealth.Reason), text: aws.ToString(d.TargetHealth.Description)}
		if d.AdministrativeOverride != nil {
			r.override = string(d.AdministrativeOverride.State)
		}
		out = append(out, r)
	}
	return out, nil
}

// of returns the registrations of a side; none when it is not registered.
func (c *Client) of(side ops.Side, all []registration) []registration {
	var out []registration
	for _, r := range all {
		if c.targets[side].matches(r.target) && r.reason != string(types.TargetHealthReasonEnumNotRegistered) {
			out = append(out, r)
		}
	}
	return out
}

// Status reads both sides in all target groups.
//
// Sessions are nil: ELBv2 does not tell them. Share is by number of serving targets, which
// is what round robin and least outstanding requests come to; nil where a group has no
// healthy target, because ELBv2 then sends traffic to all of them.
func (c *Client) Status(ctx context.Context) (ops.BalancerStatus, error) {
	groups, health, err := c.health(ctx, "")
	if err != nil {
		return ops.BalancerStatus{}, err
	}
	now := time.Now()
	status := ops.BalancerStatus{Name: c.Name(), Look: ops.Look{At: now}, Minimum: 1}
	for i, g := range groups {
		need, wants, faults := g.need(c, health[i])
		status.Minimum = max(status.Minimum, need)
		status.Wants = append(status.Wants, wants...)
		status.Faults = append(append(status.Faults, g.faults...), faults...)
	}
	for _, side := range ops.Sides {
		*status.On(side) = c.sum(side, groups, health, now)
	}
	return status, nil
}

func (c *Client) sum(side ops.Side, groups []group, health [][]registration, now time.Time) ops.SideTraffic {
	var out ops.SideTraffic
	var why []string
	share, shared := 0.0, true
	for i, g := range groups {
		mine, serving := 0, 0
		for _, r := range health[i] {
			if r.stands().traffic == ops.InService {
				serving++
				if c.targets[side].matches(r.target) {
					mine++
				}
			}
		}
		if serving == 0 {
			shared = false
		} else {
			share += float64(mine) / float64(serving) / float64(len(groups))
		}
		registrations := c.of(side, health[i])
		if len(registrations) == 0 {
			registrations = []registration{{target: c.targets[side], state: "unused", reason: string(types.TargetHealthReasonEnumNotRegistered)}}
		}
		in := len(registered(registrations)) > 0
		for _, r := range registrations {
			s := r.stands()
			if in && !s.registered {
				continue // what is left of an earlier registration on another port
			}
			if s.traffic == ops.Draining {
				s.words = c.clock(side, g, now)
			}
			if s.words != "" {
				why = append(why, g.name+" "+r.target.String()+" "+s.words)
			}
			if out.Check == "" || r.state != string(types.TargetHealthStateEnumHealthy) {
				out.Check = r.words()
			}
			out.Members = append(out.Members, ops.Member{Pool: g.name, Name: r.target.String(), Traffic: s.traffic, State: r.words(), Check: r.text, Shifted: r.shifted()})
		}
	}
	if shared {
		out.Share = &share
	}
	out.Traffic, out.Detail = ops.SumTraffic(out.Members)
	if out.Detail != "" {
		why = append([]string{out.Detail}, why...)
	}
	out.Detail = strings.Join(why, "; ")
	return out
}

// clock says how far a drain is. ELBv2 does not tell when it began: it is known only where
// this client has asked for it.
func (c *Client) clock(side ops.Side, g group, now time.Time) string {
	c.mu.Lock()
	began, known := c.drained[g.arn+string(side)]
	c.mu.Unlock()
	switch {
	case !known:
		return fmt.Sprintf("shown as draining for %s from the deregistration, also without connections", g.delay)
	case now.Sub(began) >= g.delay:
		return "its deregistration delay is over, AWS still lists it"
	}
	return "shown as draining until " + began.Add(g.delay).UTC().Format("15:04:05Z") + ", also without connections"
}

// need is how many sides must stay for the group's thresholds, which of them want more than
// one, and what of the group takes traffic from everybody.
func (g group) need(c *Client, health []registration) (need int, wants, faults []string) {
	others, total, healthy := 0, 0, 0
	for _, r := range health {
		s := r.stands()
		if !s.registered {
			continue
		}
		total++
		ours := c.targets[ops.Blue].matches(r.target) || c.targets[ops.Green].matches(r.target)
		if s.traffic == ops.InService {
			healthy++
			if !ours {
				others++
			}
		}
	}
	need = 1
	for _, m := range g.minimums {
		wanted := max(m.count, int(math.Ceil(float64(m.percentage)/100*float64(max(total, others+len(ops.Sides))))))
		need = max(need, wanted-others)
		if wanted-others > 1 {
			wants = append(wants, fmt.Sprintf("%s wants %d healthy targets (%s)", g.name, wanted, m.what))
		}
	}
	if total > 0 && healthy == 0 {
		faults = append(faults, g.name+" has no healthy target: the load balancer sends traffic to all of them")
	}
	if total == 0 {
		faults = append(faults, g.name+" has no registered target: clients get 503")
	}
	slices.Sort(wants)
	return need, slices.Compact(wants), faults
}
