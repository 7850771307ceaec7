package lab

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The answers, as the API reference of 2015-12-01 shows them.
type (
	elbMember[T any] struct {
		Member []T `xml:"member"`
	}
	elbGroupXML struct {
		TargetGroupArn     string
		TargetGroupName    string
		Protocol           string
		Port               int
		TargetType         string
		HealthCheckPath    string
		LoadBalancerArns   elbMember[string]
		UnhealthyThreshold int `xml:"UnhealthyThresholdCount"`
	}
	elbBalancerXML struct {
		LoadBalancerArn  string
		LoadBalancerName string
		Type             string
		StateCode        string `xml:"State>Code"`
	}
	elbAttributeXML struct {
		Key, Value string
	}
	elbTargetXML struct {
		ID   string `xml:"Id"`
		Port int
		Zone string `xml:"AvailabilityZone,omitempty"`
	}
	elbHealthXML struct {
		Target   elbTargetXML
		State    string `xml:"TargetHealth>State"`
		Reason   string `xml:"TargetHealth>Reason,omitempty"`
		Text     string `xml:"TargetHealth>Description,omitempty"`
		Override string `xml:"AdministrativeOverride>State"`
	}
	elbErrorXML struct {
		XMLName xml.Name `xml:"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/ ErrorResponse"`
		Type    string   `xml:"Error>Type"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
		Request string   `xml:"RequestId"`
	}
)

type elbFault struct {
	status        int
	code, message string
}

func (f *elbFault) Error() string { return f.code + ": " + f.message }

// ServeHTTP answers one call.
func (e *ELBv2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	hang := e.hang
	e.mu.Unlock()
	if hang != nil {
		<-hang
		return
	}
	action := r.Form.Get("Action")
	e.mu.Lock()
	result, fault := e.call(action, r)
	e.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	if fault != nil {
		w.WriteHeader(fault.status)
		elbWrite(w, elbErrorXML{Type: "Sender", Code: fault.code, Message: fault.message, Request: "00000000-lab"})
		return
	}
	fmt.Fprintf(w, `<%sResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><%sResult>`, action, action)
	if result != nil {
		elbWrite(w, result)
	}
	fmt.Fprintf(w, `</%sResult><ResponseMetadata><RequestId>00000000-lab</RequestId></ResponseMetadata></%sResponse>`, action, action)
}

// elbWrite writes XML; a client that has gone away is its own affair.
func elbWrite(w http.ResponseWriter, v any) {
	data, err := xml.Marshal(v)
	if err != nil {
		panic(err) // the types above can be marshalled
	}
	w.Write(data)
}

// call carries out one call, under the lock.
func (e *ELBv2) call(action string, r *http.Request) (any, *elbFault) {
	arn := r.Form.Get("TargetGroupArn")
	var group *elbGroup
	for _, g := range e.groups {
		if ELBv2ARN(g.conf.Name) == arn {
			group = g
			e.age(g)
		}
	}
	targets := elbTargets(r)
	name := ""
	if group != nil {
		name = group.conf.Name
	}
	e.note(false)
	asks := !strings.HasPrefix(action, "Describe")
	e.calls = append(e.calls, Request{At: time.Now(), Wire: "elbv2", What: elbDescribe(action, name, targets), Mutating: asks})
	defer e.note(asks)
	if e.throttle != 0 {
		e.throttle = max(e.throttle-1, -1)
		return nil, &elbFault{http.StatusBadRequest, "Throttling", "Rate exceeded"}
	}
	if e.denied[action] {
		if e.failAt[action]--; e.failAt[action] < 0 {
			return nil, &elbFault{http.StatusForbidden, "AccessDenied", "User: arn:aws:iam::123456789012:user/ops is not authorized to perform: " +
				"elasticloadbalancing:" + action}
		}
	}
	switch action {
	case "DescribeTargetGroups":
		return e.describeGroups(r)
	case "DescribeLoadBalancers":
		return e.describeBalancers(r), nil
	}
	if group == nil {
		return nil, &elbFault{http.StatusBadRequest, "TargetGroupNotFound", "One or more target groups not found"}
	}
	switch action {
	case "DescribeTargetHealth":
		return e.describeHealth(group, targets), nil
	case "DescribeTargetGroupAttributes":
		return elbAttributes(group), nil
	case "RegisterTargets":
		for _, t := range targets {
			if known := group.find(t.ID, cmp.Or(t.Port, group.conf.Port)); known != nil {
				if !known.deregistered.IsZero() {
					known.deregistered, known.registered = time.Time{}, time.Now()
				}
				continue
			}
			group.targets = append(group.targets, &elbTarget{id: t.ID, port: cmp.Or(t.Port, group.conf.Port), zone: t.Zone, registered: time.Now()})
		}
		return nil, nil
	case "DeregisterTargets":
		// "If the specified target does not exist, the action returns successfully."
		for _, t := range targets {
			for _, known := range group.targets {
				if known.id == t.ID && (t.Port == 0 || t.Port == known.port) && known.deregistered.IsZero() {
					known.deregistered = time.Now()
				}
			}
		}
		return nil, nil
	}
	return nil, &elbFault{http.StatusBadRequest, "InvalidAction", "The action " + action + " is not valid for this web service."}
}

func elbTargets(r *http.Request) []ELBv2Target {
	var out []ELBv2Target
	for i := 1; ; i++ {
		prefix := "Targets.member." + strconv.Itoa(i) + "."
		id := r.Form.Get(prefix + "Id")
		if id == "" {
			return out
		}
		port, _ := strconv.Atoi(r.Form.Get(prefix + "Port")) // none: the group's
		out = append(out, ELBv2Target{ID: id, Port: port, Zone: r.Form.Get(prefix + "AvailabilityZone")})
	}
}

func elbList(r *http.Request, key string) []string {
	var out []string
	for i := 1; ; i++ {
		value := r.Form.Get(key + ".member." + strconv.Itoa(i))
		if value == "" {
			return out
		}
		out = append(out, value)
	}
}

func elbBalancerARN(name string) string {
	return elbAccount + "loadbalancer/app/" + name + "/fedcba9876543210"
}

func (e *ELBv2) describeGroups(r *http.Request) (any, *elbFault) {
	names, arns := elbList(r, "Names"), elbList(r, "TargetGroupArns")
	var out struct {
		XMLName xml.Name      `xml:"TargetGroups"`
		Member  []elbGroupXML `xml:"member"`
	}
	found := map[string]bool{}
	for _, g := range e.groups {
		name, arn := g.conf.Name, ELBv2ARN(g.conf.Name)
		if len(names)+len(arns) > 0 && !slices.Contains(names, name) && !slices.Contains(arns, arn) {
			continue
		}
		found[name], found[arn] = true, true
		x := elbGroupXML{TargetGroupArn: arn, TargetGroupName: name, Protocol: "HTTP", Port: g.conf.Port, TargetType: "instance",
			HealthCheckPath: "/health", UnhealthyThreshold: 2}
		if g.conf.Balancer != "" {
			x.LoadBalancerArns.Member = []string{elbBalancerARN(g.conf.Balancer)}
		}
		out.Member = append(out.Member, x)
	}
	for _, name := range append(names, arns...) {
		if !found[name] {
			return nil, &elbFault{http.StatusBadRequest, "TargetGroupNotFound", "One or more target groups not found"}
		}
	}
	return out, nil
}

func (e *ELBv2) describeBalancers(r *http.Request) any {
	arns := elbList(r, "LoadBalancerArns")
	var out struct {
		XMLName xml.Name         `xml:"LoadBalancers"`
		Member  []elbBalancerXML `xml:"member"`
	}
	seen := map[string]bool{}
	for _, g := range e.groups {
		arn := elbBalancerARN(g.conf.Balancer)
		if g.conf.Balancer == "" || seen[arn] || len(arns) > 0 && !slices.Contains(arns, arn) {
			continue
		}
		seen[arn] = true
		out.Member = append(out.Member, elbBalancerXML{LoadBalancerArn: arn, LoadBalancerName: g.conf.Balancer, Type: "application", StateCode: "active"})
	}
	return out
}

func elbAttributes(g *elbGroup) any {
	var out struct {
		XMLName xml.Name          `xml:"Attributes"`
		Member  []elbAttributeXML `xml:"member"`
	}
	for key, value := range g.attrs {
		out.Member = append(out.Member, elbAttributeXML{key, value})
	}
	return out
}

// describeHealth lists all targets of the group, or the ones asked for; one that is not
// registered is unused.
func (e *ELBv2) describeHealth(g *elbGroup, asked []ELBv2Target) any {
	var out struct {
		XMLName xml.Name       `xml:"TargetHealthDescriptions"`
		Member  []elbHealthXML `xml:"member"`
	}
	add := func(t *elbTarget, state, reason string) {
		out.Member = append(out.Member, elbHealthXML{Target: elbTargetXML{t.id, t.port, t.zone}, State: state, Reason: reason,
			Text: elbTexts[reason], Override: cmp.Or(e.override[t.id], "no_override")})
	}
	if len(asked) == 0 {
		for _, t := range g.targets {
			state, reason := e.state(g, t)
			add(t, state, reason)
		}
	}
	for _, a := range asked {
		a.Port = cmp.Or(a.Port, g.conf.Port)
		if t := g.find(a.ID, a.Port); t != nil {
			state, reason := e.state(g, t)
			add(t, state, reason)
			continue
		}
		add(&elbTarget{id: a.ID, port: a.Port}, "unused", "Target.NotRegistered")
	}
	return out
}

var elbTexts = map[string]string{
	"Elb.RegistrationInProgress":      "Target registration is in progress",
	"Elb.InitialHealthChecking":       "Initial health checks in progress",
	"Target.FailedHealthChecks":       "Health checks failed",
	"Target.DeregistrationInProgress": "Target deregistration is in progress",
	"Target.NotRegistered":            "Target is not registered to the target group",
	"Target.NotInUse":                 "Target group is not configured to receive traffic from the load balancer",
}
