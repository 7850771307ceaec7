package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

func (e *engine) Parts(context.Context) map[string]string { return nil }

func (e *engine) Version(context.Context) (ops.EngineVersion, error) {
	return ops.EngineVersion{Running: e.version}, nil
}

func (e *engine) Logs(_ context.Context, id string, opt ops.LogOptions, line func(ops.LogLine)) error {
	c, err := e.get(id)
	if err != nil {
		return err
	}
	for i := range opt.Tail {
		line(ops.LogLine{Text: fmt.Sprintf("line %d of %s", i+1, c.Name)})
	}
	if ends, ok := e.ends[c.Name]; ok && opt.Follow && c.State == "running" {
		line(ops.LogLine{At: time.Now(), Text: "completed"})
		c.State, c.ExitCode, c.FinishedAt = "exited", ends, c.StartedAt.Add(time.Minute)
	}
	return nil
}

// tool is compose on a host.
type tool struct {
	h      *host
	joint  string // in names: _ before v2
	breaks bool   // it cannot recreate: docker-compose 1.29.2 on engine 26
	fails  string // what it says to every up, ending with status 1
	empty  bool   // its files do not have the service
	rooted bool   // only root may talk to the engine
	image  string // in its files
	unset  bool   // a variable of its files is not set
	asked  []string
	born   int
}

func newTool(h *host) *tool {
	t := &tool{h: h, joint: "-", image: "tcs:2"}
	h.program = t.program
	return t
}

func (t *tool) program(c ops.Command) ([]byte, bool, error) {
	if c.Args[0] != "sh" || c.Args[2] != inDirectory {
		return nil, false, nil
	}
	dir, args := c.Args[4], c.Args[5:]
	if slices.Equal(args, []string{"true"}) {
		return nil, true, nil
	}
	t.asked = append(t.asked, fmt.Sprintf("%s: %s", dir, strings.Join(args, " ")))
	end := func(lines string) ([]byte, bool, error) {
		_, _ = io.WriteString(c.Stdout, lines)
		return nil, true, &ops.ExitError{Args: c.Args, Status: 1}
	}
	if t.rooted && !c.Privileged {
		return end("permission denied while trying to connect to the Docker daemon socket\n")
	}
	if slices.Contains(args, "-") {
		return t.probe(c, args, end)
	}
	if slices.Contains(args, "config") {
		if t.unset {
			_, _ = io.WriteString(c.Stdout, "WARNING: The TAG variable is not set. Defaulting to a blank string.\n")
		}
		if t.fails != "" {
			return end(t.fails)
		}
		return nil, true, nil
	}
	if t.fails != "" {
		return end(t.fails)
	}
	service, n := args[len(args)-1], 1
	if i := slices.Index(args, "--scale"); i > 0 {
		_, _ = fmt.Sscanf(args[i+1], service+"=%d", &n)
	}
	for i := 1; i <= n && !t.empty; i++ {
		if err := t.up(service, i, slices.Contains(args, "-d"), c.Stdout); err != nil {
			return nil, true, err
		}
	}
	return nil, true, nil
}

func (t *tool) up(service string, i int, start bool, out io.Writer) error {
	e, number := t.h.engine, fmt.Sprint(i)
	at := slices.IndexFunc(e.containers, func(c *ops.Container) bool {
		return c.Labels[labelService] == service && c.Labels[labelNumber] == number && !ops.Kept(c.Name)
	})
	if at < 0 {
		t.born++
		image, _ := FindImage(e.images, t.image)
		c := &ops.Container{
			ID: fmt.Sprintf("comp%04d", t.born), Name: strings.Join([]string{"p", service, number}, t.joint), State: "created", Health: "healthy",
			Image: t.image, ImageID: image.ID, Policy: "unless-stopped", Labels: map[string]string{labelProject: "p", labelService: service, labelNumber: number},
		}
		if err := e.w.act(func() error { e.containers = append(e.containers, c); return nil }, "compose creates %s", c.Name); err != nil {
			return err
		}
		at = len(e.containers) - 1
	}
	c := e.containers[at]
	if !start || c.State == "running" {
		return nil
	}
	_, _ = fmt.Fprintf(out, "Container %s  Started\r\n\n", c.Name)
	return e.w.act(func() error { return begin(c) }, "compose starts %s", c.Name)
}

// probe is the throw-away project.
func (t *tool) probe(c ops.Command, args []string, end func(string) ([]byte, bool, error)) ([]byte, bool, error) {
	var file struct {
		Services map[string]struct {
			Image  string
			Labels map[string]string
		}
	}
	data, err := io.ReadAll(c.Stdin)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err != nil {
		return nil, true, err
	}
	e, name := t.h.engine, args[slices.Index(args, "--project-name")+1]+t.joint+"canary"+t.joint+"1"
	old := e.byName(name)
	switch {
	case slices.Contains(args, "down"):
		return nil, true, e.Remove(context.Background(), old.ID)
	case old != nil && t.breaks:
		err := e.Rename(context.Background(), old.ID, "0123456789ab_"+name)
		if err != nil {
			return nil, true, err
		}
		return end("ERROR: for canary  'ContainerConfig'\nTraceback (most recent call last):\nKeyError: 'ContainerConfig'\n[42] Failed to execute script docker-compose\n")
	case old != nil:
		if err := e.Remove(context.Background(), old.ID); err != nil {
			return nil, true, err
		}
	}
	service := file.Services["canary"]
	if _, ok := FindImage(e.images, service.Image); !ok {
		return end("pull access denied for " + service.Image + "\n")
	}
	t.born++
	made := &ops.Container{ID: fmt.Sprintf("comp%04d", t.born), Name: name, State: "created", Labels: service.Labels}
	return nil, true, e.w.act(func() error { e.containers = append(e.containers, made); return nil }, "compose creates %s", name)
}

// holding records containers as a hold step with the id hold does.
func holding(t *testing.T, w *world, containers, others []Was) {
	t.Helper()
	must(t, Hold{Side: ops.Green, Containers: containers, Others: others}.Do(t.Context(), w.envOf("hold")))
}

// removal leaves a side as it is before its services start: recorded, held, removed.
func removal(t *testing.T, w *world) (ops.Service, []Was) {
	t.Helper()
	w.balancer.traffic[ops.Green] = ops.Out
	svc, was := two(w, "healthy")
	e := w.hosts[ops.Green].engine
	for i, c := range e.containers {
		c.Labels = map[string]string{labelProject: "p", labelService: "tcs", labelNumber: fmt.Sprint(i + 1)}
	}
	holding(t, w, was, nil)
	e.containers = []*ops.Container{{ID: "other", Name: "backup", Image: "backup:1", State: "exited", Policy: "no"}}
	w.acts, w.calls = 0, nil
	return svc, was
}

func startOf(t *testing.T, w *world, how ops.StartWay) Start {
	t.Helper()
	svc, was := removal(t, w)
	return Start{
		Side: ops.Green, Service: svc, Containers: was, From: "hold", How: how, Within: time.Minute, Stop: 10 * time.Second,
		Compose: Compose{Command: []string{"docker", "compose"}, Project: "p", Directory: "/opt/p", Files: []string{"docker-compose.yml", "/etc/p.yml"}, EnvFile: ".env", Service: "tcs"},
	}
}
