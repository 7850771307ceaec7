package inspect

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// found is a host that Survey can look at: an engine's containers, and files.
type found struct {
	ops.Host
	list  []ops.Container
	files map[string]string
}

func (f *found) Engine(context.Context) (ops.Engine, error) { return engineOf{of: f}, nil }

func (f *found) ReadFile(_ context.Context, path string, _ bool) ([]byte, error) {
	text, ok := f.files[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

type engineOf struct {
	ops.Engine
	of *found
}

func (e engineOf) Containers(context.Context) ([]ops.Container, error) { return e.of.list, nil }

func surveyed(project, service string, more ...func(*ops.Container)) ops.Container {
	c := ops.Container{
		Name: project + "-" + service + "-1", State: "running", Policy: "always", StartedAt: time.Now(),
		Labels: map[string]string{labelProject: project, labelService: service, labelDirectory: "/opt/" + project, labelFiles: "docker-compose.yml"},
	}
	for _, m := range more {
		m(&c)
	}
	return c
}

func ended(c *ops.Container) { c.State, c.Policy = "exited", "no" }

func TestSurvey(t *testing.T) {
	const list = "services:\n  web:\n    image: ${IMAGE:?}\n    depends_on: [db, cache]\n  db: {image: x}\n  cache: {image: y}\n"
	const conditions = "services:\n  web:\n    depends_on:\n      db: {condition: service_healthy}\n      etl: {condition: service_started}\n"
	labelled := func(c *ops.Container) { c.Labels[labelDepends] = "db:service_healthy:false" }
	both := func(more ...ops.Container) []ops.Container {
		return append([]ops.Container{surveyed("tis", "web"), surveyed("tis", "db")}, more...)
	}
	for name, test := range map[string]struct {
		blue, green found
		services    string // name(after)@only
		jobs, says  string
	}{
		"a list in the file":  {blue: found{list: both(surveyed("tis", "cache")), files: map[string]string{"/opt/tis/docker-compose.yml": list}}, green: found{list: both()}, services: "cache()@blue db() web(cache db)"},
		"conditions":          {blue: found{list: both(), files: map[string]string{"/opt/tis/docker-compose.yml": conditions}}, green: found{list: both(surveyed("tis", "etl", ended))}, services: "db() web(db)", jobs: "etl@green"},
		"labels":              {blue: found{list: []ops.Container{surveyed("tis", "web", labelled), surveyed("tis", "db")}}, green: found{list: both()}, services: "db() web(db)", says: "from the labels"},
		"nobody tells":        {blue: found{list: both()}, green: found{list: both()}, says: "nothing tells the start order"},
		"a circle":            {blue: found{list: both(), files: map[string]string{"/opt/tis/docker-compose.yml": "services: {web: {depends_on: [db]}, db: {depends_on: [web]}}"}}, green: found{list: both()}, says: "in a circle: db, web"},
		"a file that is none": {blue: found{list: both(), files: map[string]string{"/opt/tis/docker-compose.yml": "- x"}}, green: found{list: both()}, says: "could not be used"},
		"no common project":   {blue: found{list: both()}, green: found{list: []ops.Container{surveyed("other", "web")}}, says: "no compose project is on both hosts"},
		"two projects":        {blue: found{list: both(surveyed("mon", "agent"))}, green: found{list: both(surveyed("mon", "agent"))}, says: "there is also mon"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Survey(t.Context(), map[ops.Side]ops.Host{ops.Blue: &test.blue, ops.Green: &test.green})
			if err != nil {
				t.Fatal(err)
			}
			var services, jobs, says []string
			at := func(side ops.Side) string {
				if side == "" {
					return ""
				}
				return "@" + string(side)
			}
			for _, s := range f.Services {
				services = append(services, s.Name+"("+strings.Join(s.After, " ")+")"+at(s.Only))
			}
			for _, j := range f.Jobs {
				jobs = append(jobs, j.Name+at(j.Only))
			}
			for _, part := range f.How {
				says = slices.Concat(says, part)
			}
			if diff := cmp.Diff([]string{test.services, test.jobs}, []string{strings.Join(services, " "), strings.Join(jobs, " ")}); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(strings.Join(says, "\n"), test.says) {
				t.Errorf("it does not say %q: %q", test.says, says)
			}
		})
	}
}
