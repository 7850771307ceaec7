package tui

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
)

// names are the services of the incident, in start order.
var names = []string{
	"keycloak", "reference", "profile", "usermanagement", "tcs", "assessments", "notifications", "concerns", "revalidation", "gmc-connect",
	"generic-upload", "sync", "admins-ui", "apache",
}

var tags = []string{
	"9.0.2", "c41f0aa", "7be2290", "12d9f31", "a9e11f0", "55c0d7b", "e01b2c4", "90aa1d3", "3f7e0b8", "b8123cd", "77b01ff", "0d4c9a1", "f2c5580", "2.4.46",
}

func ago(d time.Duration) time.Time { return noon.Add(-d) }

const day = 24 * time.Hour

func ptr[T any](v T) *T { return &v }

// container is a healthy container of a service.
func container(name, tag string, up time.Duration) ops.Container {
	return ops.Container{
		ID: fmt.Sprintf("%x%s", len(name), "5f02c1aa90b1"), Name: name, State: "running", Health: "healthy", Image: "tis/" + name + ":" + tag,
		ImageID: "sha256:" + tag + "00000000", CreatedAt: ago(up + time.Second), StartedAt: ago(up), Policy: "unless-stopped", Ports: []string{"8080->8080/tcp"},
		Networks: []string{"tis"},
	}
}

// healthy is a service that is ready.
func healthy(name, tag string, up time.Duration) ops.ServiceState {
	return ops.ServiceState{Name: name, Here: true, Ready: true, State: "healthy", Containers: []ops.Container{container(name, tag, up)}}
}

func missing(name string) ops.ServiceState { return ops.ServiceState{Name: name, State: "not here"} }

// calm is a pair with nothing wrong; generic-upload and the jobs are on green only.
func calm() ops.Snapshot {
	s := ops.Snapshot{
		Pair: ops.Pair{
			Name: "tis-prod", Addresses: map[ops.Side]string{ops.Blue: "10.0.1.11", ops.Green: "10.0.1.12"}, Balancer: "haproxy",
			Jobs: []ops.Job{{Name: "ndw-etl", MaxAge: 26 * time.Hour}, {Name: "reval-etl", MaxAge: 26 * time.Hour}}, Limits: ops.DefaultLimits(),
		},
		At: ago(0), Order: ops.OrderConfig,
		Balancer: ops.BalancerStatus{
			Name: "haproxy lb1", Look: ops.Look{At: ago(time.Second)}, Minimum: 1,
			Blue:  ops.SideTraffic{Traffic: ops.InService, Sessions: ptr(41), Share: ptr(0.52), Requests: ptr(uint64(18204)), Failed: ptr(uint64(0))},
			Green: ops.SideTraffic{Traffic: ops.InService, Sessions: ptr(39), Share: ptr(0.48), Requests: ptr(uint64(17110)), Failed: ptr(uint64(0))},
		},
	}
	for i, name := range names {
		service := ops.Service{Name: name, Ready: ops.Readiness{Kind: ops.ReadyHealthy}}
		if i > 0 {
			service.After = []string{names[i-1]}
		}
		s.Services = append(s.Services, service)
	}
	for _, side := range ops.Sides {
		state := s.On(side)
		*state = ops.SideState{
			Side: side, Host: ops.Look{At: ago(12 * time.Second)}, Engine: ops.Look{At: ago(2 * time.Second)}, Link: ops.LinkUp,
			Facts: ops.Facts{
				Uptime: 12*day + 3*time.Hour, Load1: 0.41, CPUs: 4, MemTotal: 100, MemAvailable: 59, DiskTotal: 100, DiskUsed: 63, Compose: "1.29.2",
				Installed: "20.10.24",
			},
			Version:  ops.EngineVersion{Running: "20.10.24", API: "1.41"},
			Networks: []ops.Network{{Name: "tis", Subnets: []string{"172.18.0.0/16"}}},
		}
		for i, name := range names {
			if side == ops.Blue && name == "generic-upload" {
				state.Services = append(state.Services, missing(name))
				continue
			}
			state.Services = append(state.Services, healthy(name, tags[i], 12*day))
		}
		for _, job := range s.Pair.Jobs {
			j := ops.JobState{Name: job.Name, Here: side == ops.Green}
			if j.Here {
				last := container(job.Name, "1", 9*time.Hour)
				last.State, last.Health, last.FinishedAt = "exited", "", ago(9*time.Hour)
				j.Last = &last
			}
			state.Jobs = append(state.Jobs, j)
		}
	}
	s.Green.OnlyHere = []string{"generic-upload", "ndw-etl", "reval-etl"}
	s.Balancer.Green.Sessions = ptr(39)
	return s
}

// incident is the Friday of the incident, before anybody has acted.
func incident() ops.Snapshot {
	s := calm()
	g := &s.Green
	g.Version = ops.EngineVersion{Running: "26.1.5", API: "1.45"}
	g.Facts.Uptime, g.Facts.Load1, g.Facts.MemAvailable, g.Facts.DiskUsed = 3*time.Minute, 1.90, 78, 64
	g.Facts.Installed, g.Facts.RebootRequired = "26.1.5", true
	g.Canary = &ops.CanaryResult{At: ago(2 * time.Minute)}
	*g.Service("tcs") = healthy("tcs", "b770c1e", 3*time.Minute)
	*g.Service("generic-upload") = healthy("generic-upload", "77b01ff", 3*time.Minute)
	broken := g.Service("revalidation")
	broken.Ready, broken.State = false, "exited 1"
	broken.Containers[0].State, broken.Containers[0].Health, broken.Containers[0].ExitCode, broken.Containers[0].Restarts = "exited", "", 1, 6
	g.Jobs[0].Last.ExitCode, g.Jobs[0].Last.FinishedAt = 125, ago(13*time.Hour)
	g.Jobs[1].Last.FinishedAt = ago(30 * time.Hour)
	g.Networks[0].Subnets = []string{"172.31.0.0/16"}
	g.Others = []ops.Container{container("portainer", "2", 40*day)}
	s.Findings = []ops.Finding{
		{ID: "engine-differs", Severity: ops.Warn, Title: "engine differs: blue 20.10.24, green 26.1.5", Detail: "apt-get upgrade by jsmith, Thu 16:02Z: docker.io 20.10.24 to 26.1.5.", Hint: "Bring both to the same version, one side at a time, while the other serves."},
		{ID: "canary", Severity: ops.Block, Side: ops.Green, Title: "a new container cannot start: compose 1.29.2 fails on engine 26.1.5", Detail: "The engine no longer speaks API 1.22, which this compose asks for.", Hint: "Restart through the API, or bring compose up to 2.x."},
		{ID: "job", Severity: ops.Block, Side: ops.Green, Title: "ndw-etl failed 01:10Z, exit 125", Detail: "125: the engine did not start the container."},
		{ID: "overlap", Severity: ops.Warn, Side: ops.Green, Title: "docker network tis overlaps a reserved range", Detail: "172.31.0.0/16 is in networks.reserved."},
		{ID: "one-sided", Severity: ops.Note, Side: ops.Green, Title: "only here: generic-upload, ndw-etl, reval-etl"},
	}
	return s
}

func incidentTimeline() []ops.Moment {
	return []ops.Moment{
		{At: ago(282 * time.Second), Kind: ops.MomentPackages, Side: ops.Blue, Text: "engine package 26.1.5, was 20.10.24"},
		{At: ago(135 * time.Second), Kind: ops.MomentNote, Who: "ada@desk1", Text: "users report upload missing when green is out"},
		{At: ago(31 * time.Second), Kind: ops.MomentEngine, Side: ops.Green, Text: "revalidation restarted by the engine (6 times so far), last exit status 1"},
	}
}

// oneDown is a pair whose green host has stopped to answer: its last rows stay.
func oneDown() ops.Snapshot {
	s := calm()
	why := &ops.Problem{Doing: "connecting to 10.0.1.12:22", Side: ops.Green, Err: errors.New("no answer within 10s"), Hint: "check the network and that the host is up"}
	s.Green.Link, s.Green.Engine = ops.LinkDown, ops.Look{At: ago(42 * time.Second), Err: why}
	s.Green.Host = ops.Look{At: ago(55 * time.Second), Err: why}
	s.Balancer.Green = ops.SideTraffic{Traffic: ops.Down, Sessions: ptr(0), Since: ago(40 * time.Second), Check: "L4TOUT"}
	s.Balancer.Blue.Share = ptr(1.0)
	return s
}

// dark start: neither host nor balancer has ever answered.
func bothDown() ops.Snapshot {
	s := calm()
	for _, side := range ops.Sides {
		why := &ops.Problem{Doing: "connecting to " + s.Pair.Addresses[side] + ":22", Side: side, Err: errors.New("connection refused"), Hint: "check that sshd runs"}
		*s.On(side) = ops.SideState{Side: side, Link: ops.LinkDown, Engine: ops.Look{Err: why}, Host: ops.Look{Err: why}}
	}
	s.Balancer = ops.BalancerStatus{Look: ops.Look{Err: &ops.Problem{Doing: "asking haproxy", Err: errors.New("connection refused")}}}
	return s
}

// stale is a pair that has not been looked at for a while, without any error.
func stale() ops.Snapshot {
	s := calm()
	s.Blue.Engine.At, s.Balancer.Look.At = ago(80*time.Second), ago(20*time.Second)
	return s
}

// big has n services on both sides.
func big(n int) ops.Snapshot {
	s := calm()
	s.Services, s.Blue.Services, s.Green.Services = nil, nil, nil
	for i := range n {
		name := fmt.Sprintf("service-%04d", i)
		s.Services = append(s.Services, ops.Service{Name: name})
		s.Blue.Services = append(s.Blue.Services, healthy(name, "a1b2c3d", time.Duration(i)*time.Minute))
		s.Green.Services = append(s.Green.Services, healthy(name, []string{"a1b2c3d", "b770c1e"}[i%2], time.Duration(i)*time.Minute))
	}
	return s
}

// sequence opens the message of tea.Sequence, whose type is not exported.
func sequence(msg tea.Msg) ([]tea.Cmd, bool) {
	v := reflect.ValueOf(msg)
	if v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[tea.Cmd]() {
		return nil, false
	}
	cmds := make([]tea.Cmd, v.Len())
	for i := range cmds {
		cmds[i] = v.Index(i).Interface().(tea.Cmd)
	}
	return cmds, true
}
