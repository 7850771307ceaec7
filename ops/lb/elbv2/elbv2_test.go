package elbv2

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/lab"
)

// The whole table: every state with every reason of the API, and what is in neither.
func TestStates(t *testing.T) {
	serves := map[string]ops.Traffic{
		"initial":            ops.Down,
		"healthy":            ops.InService,
		"unhealthy":          ops.Down,
		"unhealthy.draining": ops.Down,
		"draining":           ops.Draining,
		"unavailable":        ops.Unknown,
		"unused":             ops.Unknown,
		"sideways":           ops.Unknown,
	}
	exceptions := map[string]ops.Traffic{
		"unused Target.NotRegistered": ops.Out,
		"unused Target.NotInUse":      ops.Down,
		"unused Target.InvalidState":  ops.Down,
		"unused Target.IpUnusable":    ops.Down,
	}
	states := append(types.TargetHealthStateEnum("").Values(), "sideways")
	reasons := append(types.TargetHealthReasonEnum("").Values(), "", "Target.Bewitched")
	for _, state := range states {
		for _, reason := range reasons {
			want, ok := serves[string(state)]
			if !ok {
				t.Fatalf("the API has a new state %q", state)
			}
			if exception, ok := exceptions[string(state)+" "+string(reason)]; ok {
				want = exception
			}
			r := registration{state: string(state), reason: string(reason)}
			got := r.stands()
			out := want == ops.Draining || want == ops.Out
			if got.traffic != want || got.registered == out {
				t.Errorf("%s is %+v, want %s", r.words(), got, want)
			}
			if got.words == "" && want != ops.InService && want != ops.Draining {
				t.Errorf("%s has no words", r.words())
			}
		}
	}
	for _, override := range append(types.TargetAdministrativeOverrideStateEnum("").Values(), "", "eclipse") {
		want := ops.Unknown
		switch override {
		case "", types.TargetAdministrativeOverrideStateEnumNoOverride:
			want = ops.InService
		case types.TargetAdministrativeOverrideStateEnumZonalShiftActive, types.TargetAdministrativeOverrideStateEnumZonalShiftDelegatedToDns:
			want = ops.Down
		}
		if got := (registration{state: "healthy", override: string(override)}).stands(); got.traffic != want || !got.registered {
			t.Errorf("healthy with override %q is %+v, want %s", override, got, want)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]target{
		"i-0aaa":         {ID: "i-0aaa"},
		"i-0aaa:8080":    {ID: "i-0aaa", Port: 8080},
		"10.0.1.11":      {ID: "10.0.1.11"},
		"10.0.1.11:80":   {ID: "10.0.1.11", Port: 80},
		"fd00::1":        {ID: "fd00::1"},
		"[fd00::1]:8080": {ID: "fd00::1", Port: 8080},
		"":               {}, ":80": {}, "i-0aaa:": {}, "i-0aaa:0": {}, "i-0aaa:http": {}, "i-0aaa:70000": {},
	} {
		got, err := parseTarget(text)
		if got != want || (err == nil) != (want.ID != "") {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func status(t *testing.T, c *Client) ops.BalancerStatus {
	t.Helper()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatusOfOddStates(t *testing.T) {
	p := newLabPair(t, nil)
	c := p.client(t, nil)
	p.SetState("i-0bbb", "unused", "Target.InvalidState")
	if got := status(t, c).Green; got.Traffic != ops.Down || !strings.Contains(got.Detail, "stopped or terminated") || got.Check != "unused Target.InvalidState" {
		t.Errorf("green with a stopped instance is %+v", got)
	}
	p.SetState("i-0bbb", "", "")
	p.SetOverride("i-0bbb", "zonal_shift_active")
	got := status(t, c)
	if got.Green.Traffic != ops.Down || !strings.Contains(got.Green.Detail, "zonal shift") || *got.Blue.Share != 1 {
		t.Errorf("green in a shifted zone is %+v, blue %+v", got.Green, got.Blue)
	}
	if !got.Green.Members[0].Shifted || got.Blue.Members[0].Shifted {
		t.Errorf("shifted: green %+v, blue %+v", got.Green.Members[0], got.Blue.Members[0])
	}
	p.SetOverride("i-0bbb", "no_override")
	if got := status(t, c); got.Green.Traffic != ops.InService || *got.Green.Share != 0.5 || got.Green.Sessions != nil || len(got.Remarks)+len(got.Faults)+len(got.Wants) != 0 || got.Minimum != 1 {
		t.Errorf("status is %+v", got)
	}
	p.SetHealthy(func(string, int) bool { return false })
	if got := status(t, c); got.Blue.Share != nil || !slices.Contains(got.Faults, "tis-web has no healthy target: the load balancer sends traffic to all of them") {
		t.Errorf("with nothing healthy: %+v", got)
	}
	if got := status(t, p.client(t, func(conf *Config) { conf.Targets = map[ops.Side]string{ops.Blue: "i-0aaa", ops.Green: "i-0ccc"} })).Green; got.Traffic != ops.Out ||
		got.Check != "unused Target.NotRegistered" {
		t.Errorf("a target that is not there is %+v", got)
	}
}

func TestThresholds(t *testing.T) {
	const prefix = "target_group_health."
	for _, test := range []struct {
		name, key, value string
		minimum          int
		wants            string
	}{
		{"as delivered", "", "", 1, ""},
		{"half of them", "unhealthy_state_routing.minimum_healthy_targets.percentage", "50", 1, ""},
		{"more than half", "unhealthy_state_routing.minimum_healthy_targets.percentage", "51", 2, "tis-web wants 2 healthy targets (unhealthy state routing)"},
		{"both by number", "dns_failover.minimum_healthy_targets.count", "2", 2, "tis-web wants 2 healthy targets (dns failover)"},
		{"off", "dns_failover.minimum_healthy_targets.count", "off", 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newLabPair(t, nil)
			p.SetAttribute("tis-web", prefix+test.key, test.value)
			got := status(t, p.client(t, nil))
			if got.Minimum != test.minimum || strings.Join(got.Wants, "; ") != test.wants {
				t.Errorf("minimum is %d for %q, want %d, %q", got.Minimum, got.Wants, test.minimum, test.wants)
			}
		})
	}
	t.Run("a third target helps", func(t *testing.T) {
		p := newLabPair(t, func(o *lab.ELBv2Options) {
			o.Groups[0].Targets = append(o.Groups[0].Targets, lab.ELBv2Target{ID: "i-0ccc"})
			o.Groups[0].Attributes = map[string]string{prefix + "dns_failover.minimum_healthy_targets.count": "2"}
		})
		if got := status(t, p.client(t, nil)); got.Minimum != 1 || len(got.Wants) != 0 {
			t.Errorf("minimum is %d for %q", got.Minimum, got.Wants)
		}
	})
	t.Run("no load balancer", func(t *testing.T) {
		p := newLabPair(t, func(o *lab.ELBv2Options) { o.Groups[1].Balancer = "" })
		got := status(t, p.client(t, nil))
		if got.Blue.Traffic != ops.Down || !slices.Contains(got.Faults, "tis-api is not attached to a load balancer: its targets get no traffic") {
			t.Errorf("status is %+v", got)
		}
	})
}

// A target that is still draining comes back with the port and zone that it had.
func TestPutBackWhileDraining(t *testing.T) {
	p := newLabPair(t, nil)
	c := p.client(t, nil)
	before := p.exact(ops.Green)
	if err := c.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	if got := status(t, c).Green; !strings.Contains(got.Detail, "shown as draining until") {
		t.Errorf("green is %+v", got)
	}
	if got := status(t, p.client(t, nil)).Green; !strings.Contains(got.Detail, "for 5m0s") {
		t.Errorf("seen by another console green is %+v", got)
	}
	if err := c.PutBack(t.Context(), ops.Green, nil, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.exact(ops.Green)); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
}

// The delay is over: the targets are gone, and the record alone knows port and zone.
func TestPutBackAfterTheDelay(t *testing.T) {
	p := newLabPair(t, func(o *lab.ELBv2Options) {
		for i := range o.Groups {
			o.Groups[i].Attributes = map[string]string{"deregistration_delay.timeout_seconds": "0.02"}
		}
	})
	c := p.client(t, nil)
	before := p.exact(ops.Green)
	prior, err := c.Prior(t.Context(), ops.Green)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); status(t, c).Green.Traffic != ops.Out; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("green is %+v", status(t, c).Green)
		}
	}
	if err := c.PutBack(t.Context(), ops.Green, prior, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.exact(ops.Green)); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	want := []string{"DeregisterTargets tis-web i-0bbb:80", "DeregisterTargets tis-api i-0bbb:8085",
		"RegisterTargets tis-web i-0bbb:80", "RegisterTargets tis-api i-0bbb:8085"}
	if diff := cmp.Diff(want, p.changes()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestPartialChangeIsNamed(t *testing.T) {
	p := newLabPair(t, nil)
	p.ELBv2.Deny("DeregisterTargets", 1)
	c := p.client(t, nil)
	err := c.Drain(t.Context(), ops.Green)
	if !errors.Is(err, ops.ErrNotPermitted) || !strings.Contains(err.Error(), "changed in tis-web, not changed in tis-api") {
		t.Errorf("error is %v", err)
	}
	if got := status(t, c).Green; got.Traffic != ops.Unknown || !strings.Contains(got.Detail, "partly: in service in tis-api; draining in tis-web") {
		t.Errorf("green is %+v", got)
	}
	p.Allow("DeregisterTargets")
	if err := c.Drain(t.Context(), ops.Green); err != nil { // it goes on where it stopped
		t.Fatal(err)
	}
	if got := status(t, c).Green.Traffic; got != ops.Draining {
		t.Errorf("green is %s", got)
	}
}

func TestFaults(t *testing.T) {
	problem := func(t *testing.T, err, want error, hint string) {
		t.Helper()
		var p *ops.Problem
		if !errors.Is(err, want) || !errors.As(err, &p) || !strings.Contains(p.Hint, hint) {
			t.Errorf("error is %#v, want %v with a hint like %q", err, want, hint)
		}
	}
	t.Run("a look that is throttled is not tried again", func(t *testing.T) {
		p := newLabPair(t, nil)
		c := p.client(t, nil)
		status(t, c)
		p.Throttle(-1)
		before := len(p.Calls())
		_, err := c.Status(t.Context())
		problem(t, err, ops.ErrThrottled, "last known state")
		if n := len(p.Calls()) - before; n != 2 { // one for each group
			t.Errorf("%d calls", n)
		}
	})
	t.Run("a put-back goes on through throttling", func(t *testing.T) {
		p := newLabPair(t, nil)
		c := p.client(t, nil)
		if err := c.Drain(t.Context(), ops.Green); err != nil {
			t.Fatal(err)
		}
		throttled := false
		err := c.PutBack(t.Context(), ops.Green, nil, func(text string) {
			if strings.Contains(text, "being registered") {
				p.Throttle(3)
			}
			if strings.Contains(text, "RegistrationInProgress") {
				t.Errorf("said twice: %s", text)
			}
			throttled = throttled || strings.Contains(text, "throttled")
		})
		if err != nil || !throttled {
			t.Errorf("PutBack = %v, said that it was throttled: %v", err, throttled)
		}
	})
	t.Run("denied", func(t *testing.T) {
		p := newLabPair(t, nil)
		p.ELBv2.Deny("DescribeTargetHealth", 0)
		_, err := p.client(t, nil).Status(t.Context())
		problem(t, err, ops.ErrNotPermitted, "must allow elasticloadbalancing:DescribeTargetHealth")
	})
	t.Run("a group that is not there", func(t *testing.T) {
		p := newLabPair(t, nil)
		_, err := p.client(t, func(c *Config) { c.TargetGroups = []string{"tis-wab"} }).Status(t.Context())
		problem(t, err, ops.ErrUnknownServer, "target_groups")
		if !strings.Contains(err.Error(), "there are: tis-web, tis-api") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("it hangs", func(t *testing.T) {
		p := newLabPair(t, nil)
		p.Hang(true)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := p.client(t, nil).Status(ctx)
		problem(t, err, ops.ErrUnreachable, "did not answer")
	})
	t.Run("nobody listens", func(t *testing.T) {
		p := newLabPair(t, nil)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		_, err = p.client(t, func(c *Config) { c.Endpoint = "http://" + ln.Addr().String() }).Status(t.Context())
		problem(t, err, ops.ErrUnreachable, "did not answer")
	})
	t.Run("no such target to register", func(t *testing.T) {
		c := newLabPair(t, nil).client(t, nil)
		err := c.problem(t.Context(), "registering", ops.Green, &types.InvalidTargetException{})
		problem(t, err, ops.ErrUnknownServer, "targets")
	})
	t.Run("credentials that are not accepted", func(t *testing.T) {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte(`<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token has expired</Message></Error></ErrorResponse>`))
		})}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(ln)
		t.Cleanup(func() { server.Close() })
		_, err = newLabPair(t, nil).client(t, func(c *Config) { c.Endpoint = "http://" + ln.Addr().String() }).Status(t.Context())
		problem(t, err, ops.ErrNotPermitted, "sign in again")
	})
}

// An emulator on this machine needs no credentials; AWS itself does, and says so.
func TestWithoutCredentials(t *testing.T) {
	p := newLabPair(t, nil)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	status(t, p.client(t, nil))

	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_, err := p.client(t, func(c *Config) { c.Endpoint = "" }).Status(t.Context())
	var problem *ops.Problem
	if !errors.Is(err, ops.ErrNotPermitted) || !errors.As(err, &problem) || !strings.Contains(problem.Hint, "no AWS credentials") {
		t.Errorf("error is %v", err)
	}
	if loopback("http://example.com:4566") || !loopback("http://localhost:4566") || !loopback("http://[::1]:4566") || loopback("") {
		t.Error("loopback is told wrongly")
	}
}

func TestPriorIsPlainJSON(t *testing.T) {
	got, err := newLabPair(t, nil).client(t, nil).Prior(t.Context(), ops.Green)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"elbv2","groups":[{"arn":"` + lab.ELBv2ARN("tis-web") + `","name":"tis-web","targets":[{"id":"i-0bbb","port":80,"zone":"eu-west-2b"}]},` +
		`{"arn":"` + lab.ELBv2ARN("tis-api") + `","name":"tis-api","targets":[{"id":"i-0bbb","port":8085}]}]}`
	if diff := cmp.Diff(json.RawMessage(want), got); diff != "" {
		t.Errorf("prior (-want +got):\n%s", diff)
	}
}

// A record names the instances of its time. The config names today's.
func TestRecordOfAnotherInstance(t *testing.T) {
	p := newLabPair(t, nil)
	before := p.client(t, nil)
	prior, err := before.Prior(t.Context(), ops.Green)
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Drain(t.Context(), ops.Green); err != nil {
		t.Fatal(err)
	}
	now := p.client(t, func(c *Config) { c.Targets = map[ops.Side]string{ops.Blue: "i-0aaa", ops.Green: "i-0ccc"} })
	err = now.Restore(t.Context(), ops.Green, prior, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "i-0bbb:80 was recorded for tis-web, but the config now says i-0ccc") {
		t.Errorf("restore: %v", err)
	}
	if err := now.PutBack(t.Context(), ops.Green, prior, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if s := status(t, now); s.Green.Traffic != ops.InService {
		t.Errorf("green is %s", s.Green.Traffic)
	}
	if s := status(t, before); s.Green.Traffic == ops.InService {
		t.Error("the instance of before was registered again")
	}
}
