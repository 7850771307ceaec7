package lb

import (
	"strings"
	"testing"

	"tandem/ops"
	"tandem/ops/lb/command"
	"tandem/ops/lb/elbv2"
	"tandem/ops/lb/haproxy"
)

func TestOpen(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	servers := map[ops.Side]string{ops.Blue: "blue", ops.Green: "green"}
	for _, test := range []struct {
		conf Config
		name string // of the balancer; empty: an error that contains want
		want string
	}{
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "unix:///run/haproxy/admin.sock", Backends: []string{"tis"}, Servers: servers}},
			"haproxy /run/haproxy/admin.sock", ""},
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "tcp://127.0.0.1:9999", Via: "lb1", Backends: []string{"tis"}, Servers: servers}}, "haproxy lb1", ""},
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "/run/haproxy/admin.sock", Backends: []string{"tis"}, Servers: servers}}, "", "unix:///path"},
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "unix://run/haproxy/admin.sock", Backends: []string{"tis"}, Servers: servers}}, "", "unix:///path"},
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "tcp://127.0.0.1", Backends: []string{"tis"}, Servers: servers}}, "", "tcp://host:port"},
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "tcp://127.0.0.1:1", Servers: servers}}, "", "at least one backend"},
		{Config{Kind: "haproxy", HAProxy: haproxy.Config{Socket: "tcp://127.0.0.1:1", Backends: []string{"tis"}}}, "", "for blue and for green"},
		{Config{Kind: "elbv2", ELBv2: elbv2.Config{Region: "eu-west-2", TargetGroups: []string{"web", "arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/api/2"},
			Targets: servers}}, "elbv2 web, api", ""},
		{Config{Kind: "elbv2", ELBv2: elbv2.Config{TargetGroups: []string{"web"}, Targets: servers}}, "", "no region"},
		{Config{Kind: "elbv2", ELBv2: elbv2.Config{Region: "eu-west-2", Targets: servers}}, "", "at least one target group"},
		{Config{Kind: "elbv2", ELBv2: elbv2.Config{Region: "eu-west-2", Profile: "nobody", TargetGroups: []string{"web"}, Targets: servers}}, "", "nobody"},
		{Config{Kind: "elbv2", ELBv2: elbv2.Config{Region: "eu-west-2", TargetGroups: []string{"web"}}}, "", "target of blue"},
		{Config{Kind: "command", Command: command.Config{Status: []string{"./lb", "status"}, Drain: []string{"./lb"}, PutBack: []string{"./lb"}}}, "command ./lb", ""},
		{Config{Kind: "command", Command: command.Config{Status: []string{"./lb"}, Drain: []string{"./lb"}}}, "", "put_back"},
		{Config{Kind: "nginx"}, "", "expected haproxy, elbv2 or command"},
	} {
		b, err := Open(test.conf)
		switch {
		case test.name == "":
			if err == nil || b != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v: %v, %v, want an error with %q", test.conf, b, err, test.want)
			}
		case err != nil:
			t.Errorf("%+v: %v", test.conf, err)
		case b.Name() != test.name:
			t.Errorf("name is %q, want %q", b.Name(), test.name)
		}
	}
}
