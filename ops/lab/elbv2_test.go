package lab

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// elbAsk makes a call as the AWS Query protocol does and returns status and body.
func elbAsk(t *testing.T, e *ELBv2, action string, parameters ...string) (int, string) {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2015-12-01"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	resp, err := http.PostForm(e.URL(), form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestELBv2Lifecycle(t *testing.T) {
	e, err := NewELBv2(ELBv2Options{Registration: 40 * time.Millisecond, Groups: []ELBv2Group{{Name: "web", Port: 8080, Balancer: "tis",
		Attributes: map[string]string{"deregistration_delay.timeout_seconds": "0.3"}, Targets: []ELBv2Target{{ID: "i-1"}, {ID: "i-2", Port: 81, Zone: "a"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	web := []string{"TargetGroupArn", ELBv2ARN("web")}
	state := func() string {
		_, body := elbAsk(t, e, "DescribeTargetHealth", append(web, "Targets.member.1.Id", "i-2", "Targets.member.1.Port", "81")...)
		_, rest, _ := strings.Cut(body, "<TargetHealth><State>")
		word, _, _ := strings.Cut(rest, "<")
		return word
	}
	var seen []string
	until := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
			got := state()
			if len(seen) == 0 || seen[len(seen)-1] != got {
				seen = append(seen, got)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("i-2 went %q, want %s", seen, want)
			}
		}
	}
	until("healthy")
	one := append(web, "Targets.member.1.Id", "i-2", "Targets.member.1.Port", "81")
	elbAsk(t, e, "DeregisterTargets", one...)
	until("unused")
	elbAsk(t, e, "RegisterTargets", append(one, "Targets.member.1.AvailabilityZone", "a")...)
	until("healthy")
	e.SetHealthy(func(id string, port int) bool { return id != "i-2" || port != 81 })
	until("unhealthy")
	if want := []string{"healthy", "draining", "unused", "initial", "healthy", "unhealthy"}; !slices.Equal(seen, want) {
		t.Errorf("i-2 went %q, want %q", seen, want)
	}
	if got := e.Registered("web"); !slices.Equal(got, []string{"i-1:8080: registered", "i-2:81:a registered"}) {
		t.Errorf("registered are %q", got)
	}
	// Deregistering what is not there succeeds, as in AWS.
	if code, _ := elbAsk(t, e, "DeregisterTargets", append(web, "Targets.member.1.Id", "i-9")...); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
	if calls := e.Calls(); calls[len(calls)-1] != "DeregisterTargets web i-9" {
		t.Errorf("the last call is %q", calls[len(calls)-1])
	}
	for _, test := range []struct {
		action string
		params []string
		code   string
	}{
		{"DescribeTargetGroups", []string{"Names.member.1", "wab"}, "TargetGroupNotFound"},
		{"DescribeTargetHealth", []string{"TargetGroupArn", "arn:aws:nothing"}, "TargetGroupNotFound"},
		{"Dance", web, "InvalidAction"},
	} {
		if code, body := elbAsk(t, e, test.action, test.params...); code != http.StatusBadRequest || !strings.Contains(body, "<Code>"+test.code+"</Code>") {
			t.Errorf("%s: %d %s", test.action, code, body)
		}
	}
	e.Throttle(1)
	if code, body := elbAsk(t, e, "DescribeTargetHealth", web...); code != http.StatusBadRequest || !strings.Contains(body, "<Code>Throttling</Code>") {
		t.Errorf("throttled: %d %s", code, body)
	}
	if code, _ := elbAsk(t, e, "DescribeTargetHealth", web...); code != http.StatusOK {
		t.Errorf("after one throttled call: %d", code)
	}
}
