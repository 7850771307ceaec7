package rig

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The sides, as strings: this package shares no words with the code that it tests.
const (
	Blue  = "blue"
	Green = "green"
)

var sides = [2]string{Blue, Green}

// Tags are the versions of every image that both hosts hold, newest first. The newest
// runs, and is also tagged latest.
var Tags = [3]string{"9f2c1ab", "4d7e0aa", "1b3c5d7"}

// Project is the compose project, and Directory where its file lies on the hosts.
const (
	Project   = "tis"
	Directory = "/opt/tis"
)

// Service is one entry of the compose file.
type Service struct {
	Name  string
	Port  int      // published on the host
	After []string // start order
	Only  string   // exists on this side only; empty: on both
	Job   bool     // runs once and exits
}

// On tells whether the service exists on the side.
func (s Service) On(side string) bool { return s.Only == "" || s.Only == side }

// Container is the name that compose v1 gives the service's container.
func (s Service) Container() string { return Project + "_" + s.Name + "_1" }

// Image is the image that the service runs when the rig is calm.
func (s Service) Image() string { return Project + "/" + s.Name + ":" + Tags[0] }

// The services of incident.md, in start order. Those marked more are there only when a
// bigger host is asked for.
var known = []struct {
	Service
	more bool
}{
	{Service: Service{Name: "keycloak", Port: 8087}},
	{Service: Service{Name: "reference", Port: 8088, After: []string{"keycloak"}}},
	{Service: Service{Name: "profile", Port: 8082, After: []string{"keycloak"}}},
	{Service: Service{Name: "usermanagement", Port: 8100, After: []string{"profile"}}},
	{Service: Service{Name: "tcs", Port: 8093, After: []string{"reference", "profile"}}},
	{Service: Service{Name: "assessments", Port: 8097, After: []string{"tcs"}}},
	{Service: Service{Name: "notifications", Port: 8101, After: []string{"tcs"}}, more: true},
	{Service: Service{Name: "concerns", Port: 8102, After: []string{"tcs"}}, more: true},
	{Service: Service{Name: "revalidation", Port: 8103, After: []string{"tcs"}}, more: true},
	{Service: Service{Name: "gmc-connect", Port: 8104, After: []string{"tcs"}}, more: true},
	{Service: Service{Name: "sync", Port: 8105, After: []string{"tcs"}}, more: true},
	{Service: Service{Name: "admins-ui", Port: 8106, After: []string{"usermanagement"}}, more: true},
	{Service: Service{Name: "generic-upload", Port: 8099, After: []string{"tcs"}, Only: Green}},
}

// services makes the list for a pair with at least count long-running containers on
// blue; green has one more, and the job.
func services(count int) []Service {
	const front = 1
	var list []Service
	base := 0
	for _, k := range known {
		if !k.more && k.On(Blue) {
			base++
		}
	}
	room := count - base - front
	for _, k := range known {
		if k.more {
			if room <= 0 {
				continue
			}
			room--
		}
		list = append(list, k.Service)
	}
	for n := 1; room > 0; n, room = n+1, room-1 {
		list = append(list, Service{Name: fmt.Sprintf("worker-%02d", n), Port: 8200 + n, After: []string{"keycloak"}})
	}
	var all []string
	for _, s := range list {
		if s.On(Blue) {
			all = append(all, s.Name)
		}
	}
	list = append(list,
		Service{Name: "apache", Port: 80, After: all},
		Service{Name: "ndw-etl", Only: Green, Job: true})
	return list
}

// composeFile is the docker-compose.yml of one side. It lists depends_on without
// conditions, as the real ones did: compose does not wait for health.
func composeFile(list []Service, side string, warmup, check time.Duration) string {
	var out strings.Builder
	out.WriteString("version: \"2.4\"\nservices:\n")
	for _, s := range list {
		if !s.On(side) {
			continue
		}
		fmt.Fprintf(&out, "  %s:\n    image: %s\n    environment:\n      SERVICE: %s\n      SIDE: %s\n      WARMUP: %s\n",
			s.Name, s.Image(), s.Name, side, warmup)
		if s.Job {
			out.WriteString("    command: [job]\n    restart: \"no\"\n")
			continue
		}
		if s.Name == "apache" {
			fmt.Fprintf(&out, "      FRONT: %s\n", strings.Join(s.After, ","))
		}
		fmt.Fprintf(&out, "    restart: always\n    stop_grace_period: 10s\n    ports: [\"%d:8080\"]\n", s.Port)
		fmt.Fprintf(&out, "    healthcheck:\n      test: [CMD, /service, health]\n      interval: %s\n      timeout: 3s\n      retries: 3\n", check)
		if after := present(list, s.After, side); len(after) > 0 {
			fmt.Fprintf(&out, "    depends_on: [%s]\n", strings.Join(after, ", "))
		}
	}
	return out.String()
}

// present keeps the names that exist on the side.
func present(list []Service, names []string, side string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		at := slices.IndexFunc(list, func(s Service) bool { return s.Name == name })
		return at < 0 || !list[at].On(side)
	})
}
