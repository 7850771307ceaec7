// Package elbv2 takes sides out of the target groups of AWS load balancers (Elastic Load
// Balancing v2: ALB and NLB) and puts them back.
//
// # Rules
//
//   - A side is one or more targets, in every configured target group. Only what
//     DescribeTargetHealth says counts: DeregisterTargets succeeds for targets that were
//     never there, so every change is looked at before and after.
//   - Only healthy serves, and only without an administrative override: a target in a zone
//     that is shifted away gets no traffic. One table says so for every state and reason
//     ([Client.Status]); what is not in it is unknown.
//   - The SDK's waiters are not used: they take a stopped instance for deregistered and end
//     at the first throttling. Waiting is a loop of our own.
//   - A change is sent from one place ([Client.change]), where read-only mode holds.
//   - Draining lasts the whole deregistration delay (300 s by default), also without any
//     connection, and cannot be cut short. ELBv2 does not tell sessions.
//
// # Permissions
//
// elasticloadbalancing:DescribeTargetHealth, DescribeTargetGroups,
// DescribeTargetGroupAttributes, DescribeLoadBalancers, RegisterTargets, DeregisterTargets.
//
// Sources: the API reference of 2015-12-01 and the guides "Health checks for target groups"
// and "Edit target group attributes".
package elbv2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"

	"tandem/ops"
)

// Config says which target groups and targets are the pair.
type Config struct {
	Region, Profile string // empty: the SDK's default chain
	Endpoint        string // empty: AWS
	TargetGroups    []string
	Targets         map[ops.Side]string // instance id or ip, optionally with :port
	ReadOnly        func() bool         // nil: changes are allowed
	// Fence is asked before every change whether it may still be made; nil: nobody is.
	Fence func(context.Context) error
}

const (
	callDeadline = 10 * time.Second
	groupsEvery  = 5 * time.Minute // how long names, attributes and load balancers are believed
	changeTries  = 3               // of a change that is throttled; looks are not tried again, the next one comes soon
)

// Client is the target groups of a pair. Its methods may be called at the same time.
type Client struct {
	conf    Config
	api     *elb.Client
	targets map[ops.Side]target
	poll    time.Duration // between looks while waiting

	mu       sync.Mutex
	groups   []group
	groupsAt time.Time
	drained  map[string]time.Time // target group ARN and side -> when this client deregistered it
}

var _ ops.Balancer = (*Client)(nil)

// New reads the AWS configuration (environment, profile); it calls nothing yet, except that
// an endpoint on this machine is used without credentials when there are none.
func New(conf Config) (*Client, error) {
	if len(conf.TargetGroups) == 0 {
		return nil, errors.New("elbv2: expected at least one target group")
	}
	c := &Client{conf: conf, targets: map[ops.Side]target{}, poll: 2 * time.Second, drained: map[string]time.Time{}}
	for _, side := range ops.Sides {
		t, err := parseTarget(conf.Targets[side])
		if err != nil {
			return nil, fmt.Errorf("elbv2 target of %s: %w", side, err)
		}
		c.targets[side] = t
	}
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	options := []func(*config.LoadOptions) error{config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = changeTries, 2*time.Second })
	})}
	if conf.Region != "" {
		options = append(options, config.WithRegion(conf.Region))
	}
	if conf.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(conf.Profile))
	}
	local := loopback(conf.Endpoint)
	if local { // an emulator: no instance metadata will ever answer for it
		options = append(options, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, &ops.Problem{Doing: "reading the AWS configuration", Err: err, Hint: "compare balancer.elbv2.profile with ~/.aws/config"}
	}
	if loaded.Region == "" {
		return nil, &ops.Problem{Doing: "reading the AWS configuration", Err: errors.New("no region"), Hint: "set balancer.elbv2.region, such as eu-west-2"}
	}
	if local {
		if _, err := loaded.Credentials.Retrieve(ctx); err != nil {
			loaded.Credentials = credentials.NewStaticCredentialsProvider("local", "local", "")
		}
	}
	c.api = elb.NewFromConfig(loaded, func(o *elb.Options) {
		if conf.Endpoint != "" {
			o.BaseEndpoint = aws.String(conf.Endpoint)
		}
	})
	return c, nil
}

func loopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// target is one target as configured or as ELBv2 knows it.
type target struct {
	ID   string `json:"id"`
	Port int32  `json:"port,omitempty"` // 0 in the config: any port, and the group's when registering
	Zone string `json:"zone,omitempty"` // as given when it was registered; for ip targets outside the VPC "all"
}

func parseTarget(text string) (target, error) {
	if _, err := netip.ParseAddr(text); err == nil { // an IPv6 address has colons too
		return target{ID: text}, nil
	}
	id, port, found := text, "", false
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		id, port, found = strings.Trim(text[:i], "[]"), text[i+1:], true
	}
	if id == "" {
		return target{}, errors.New("expected an instance id or an ip address, optionally with :port")
	}
	if !found {
		return target{ID: id}, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return target{}, fmt.Errorf("%q is no port: expected id:port with 1 to 65535", port)
	}
	return target{ID: id, Port: int32(n)}, nil
}

func (t target) String() string {
	if t.Port == 0 {
		return t.ID
	}
	return t.ID + ":" + strconv.Itoa(int(t.Port))
}

// matches tells whether a registered target is the configured one.
func (t target) matches(registered target) bool {
	return t.ID == registered.ID && (t.Port == 0 || t.Port == registered.Port)
}

// Name is "elbv2 tis-web, tis-api".
func (c *Client) Name() string {
	var names []string
	for _, g := range c.conf.TargetGroups {
		names = append(names, shortName(g))
	}
	return "elbv2 " + strings.Join(names, ", ")
}

// shortName is the name in a target group's ARN, arn:...:targetgroup/NAME/ID.
func shortName(group string) string {
	if parts := strings.Split(group, "/"); strings.HasPrefix(group, "arn:") && len(parts) == 3 {
		return parts[1]
	}
	return group
}

// Every is five seconds: Describe calls share a bucket of 40, refilled by 10 a second, with
// everybody in the account and region.
func (c *Client) Every() time.Duration { return 5 * time.Second }

// Close has nothing to end.
func (c *Client) Close() error { return nil }

// once is for looks: no second try, the next look comes soon and the bucket is shared.
func once(o *elb.Options) { o.Retryer = aws.NopRetryer{} }

// call gives a call its deadline and its errors the operator's words.
func call[T any](ctx context.Context, c *Client, side ops.Side, doing string, do func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	out, err := do(limited)
	if err != nil {
		return out, c.problem(ctx, doing, side, err)
	}
	return out, nil
}

// change makes a call that changes something. It is the only place that does so.
func (c *Client) change(ctx context.Context, side ops.Side, doing string, do func(context.Context) error) error {
	if err := ops.MayChange(ctx, c.conf.ReadOnly, c.conf.Fence, doing, side); err != nil {
		return err
	}
	_, err := call(ctx, c, side, doing, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}

// problem sorts an error by its code. The codes are those of "Common errors" and of each
// action in the API reference.
func (c *Client) problem(ctx context.Context, doing string, side ops.Side, err error) error {
	p := &ops.Problem{Doing: doing, Side: side, Err: err}
	action := "the action"
	var op *smithy.OperationError
	if errors.As(err, &op) {
		action = "elasticloadbalancing:" + op.Operation()
	}
	var api smithy.APIError
	var network net.Error
	switch {
	case errors.As(err, &api):
		short := fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
		p.Err = short
		switch api.ErrorCode() {
		case "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled":
			p.Err = fmt.Errorf("%w: %w", ops.ErrThrottled, short)
			p.Hint = "others in this account and region use the same allowance: wait, the last known state is kept"
		case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OperationNotPermitted":
			p.Err = fmt.Errorf("%w: %w", ops.ErrNotPermitted, short)
			p.Hint = "the IAM policy of these credentials must allow " + action + " on the target groups"
		case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException",
			"MissingAuthenticationToken", "IncompleteSignature", "OptInRequired":
			p.Err = fmt.Errorf("%w: %w", ops.ErrNotPermitted, short)
			p.Hint = "AWS does not accept the credentials: look at balancer.elbv2.profile and the environment, sign in again (aws sso login), check the clock"
		case "TargetGroupNotFound", "TargetGroupNotFoundException", "InvalidTarget", "InvalidTargetException":
			p.Err = fmt.Errorf("%w: %w", ops.ErrUnknownServer, short)
			p.Hint = "compare balancer.elbv2.target_groups, targets and region in tandem.yaml with AWS"
		default:
			p.Hint = "AWS refused " + action + ": the message above is its own"
		}
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
	case strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "failed to refresh cached credentials"):
		p.Err = fmt.Errorf("%w: %w", ops.ErrNotPermitted, err)
		p.Hint = "no AWS credentials were found: set balancer.elbv2.profile or the environment, or sign in (aws sso login)"
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), op != nil:
		p.Err = fmt.Errorf("%w: %w", ops.ErrUnreachable, err)
		p.Hint = "the endpoint of region " + c.conf.Region + " did not answer: look at the network, a proxy, or balancer.elbv2.endpoint"
	}
	return p
}
