package rig

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestServices(t *testing.T) {
	for _, count := range []int{7, 13, 20} {
		list := services(count)
		blue, green := 0, 0
		seen := map[string]bool{}
		for _, s := range list {
			for _, before := range s.After {
				if !seen[before] {
					t.Errorf("%d services: %s comes before %s", count, s.Name, before)
				}
			}
			seen[s.Name] = true
			if !s.Job && s.On(Blue) {
				blue++
			}
			if !s.Job && s.On(Green) {
				green++
			}
		}
		if blue != count || green != count+1 {
			t.Errorf("%d services asked for: %d on blue, %d on green", count, blue, green)
		}
	}
}

func TestComposeFileHoldsOnlyItsSide(t *testing.T) {
	list := services(7)
	blue := composeFile(list, Blue, time.Second, 3*time.Second)
	green := composeFile(list, Green, time.Second, 3*time.Second)
	for _, name := range []string{"generic-upload", "ndw-etl"} {
		if strings.Contains(blue, name) {
			t.Errorf("blue has %s", name)
		}
		if !strings.Contains(green, "  "+name+":\n") {
			t.Errorf("green lacks %s", name)
		}
	}
	tcs := blue[strings.Index(blue, "  tcs:\n"):strings.Index(blue, "  assessments:\n")]
	want := `  tcs:
    image: tis/tcs:9f2c1ab
    environment:
      SERVICE: tcs
      SIDE: blue
      WARMUP: 1s
    restart: always
    stop_grace_period: 10s
    ports: ["8093:8080"]
    healthcheck:
      test: [CMD, /service, health]
      interval: 3s
      timeout: 3s
      retries: 3
    depends_on: [reference, profile]
`
	if diff := cmp.Diff(want, tcs); diff != "" {
		t.Error(diff)
	}
}

// TestProcessesAreKnownByTheirArguments guards the machine against the rig's clean-up: only
// its own processes may ever be ended.
func TestProcessesAreKnownByTheirArguments(t *testing.T) {
	nspawn := []string{"/usr/bin/systemd-nspawn", "--boot", "--machine=tandem-blue"}
	for _, test := range []struct {
		name string
		args []string
		want []bool // nspawn, loop, haproxy
	}{
		{"the machine", nspawn, []bool{true, false, false}},
		{"another machine", []string{"systemd-nspawn", "--machine=tandem-blue2"}, []bool{false, false, false}},
		{"its loop", slices.Concat([]string{"sh", "-c", loop, "tandem-machine", "tandem-blue", "--"}, nspawn), []bool{false, true, false}},
		{"an editor", []string{"vi", "--machine=tandem-blue"}, []bool{false, false, false}},
		{"haproxy", []string{"/usr/sbin/haproxy", "-f", "/rig/haproxy.cfg"}, []bool{false, false, true}},
		{"the machine's own haproxy", []string{"/usr/sbin/haproxy", "-f", "/etc/haproxy/haproxy.cfg"}, []bool{false, false, false}},
	} {
		got := []bool{isNspawn(test.args, "tandem-blue"), isLoop(test.args, "tandem-blue"), isHAProxy(test.args, "/rig/haproxy.cfg")}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
