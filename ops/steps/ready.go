package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
)

// Was is a container as it was when the plan was made.
type Was struct {
	Name      string
	ID        string
	StartedAt time.Time
	Image     string `json:",omitempty"` // as asked for
	ImageID   string `json:",omitempty"`
	// Anonymous are its volumes without a name of their own, see ops.Container.
	Anonymous []string `json:",omitempty"`
}

// listing is one fresh look at all containers of a side.
type listing []ops.Container

func list(ctx context.Context, env ops.Env, side ops.Side) (ops.Engine, listing, error) {
	engine, err := env.Hosts[side].Engine(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the engine of %s: %w", side, err)
	}
	all, err := engine.Containers(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("listing the containers of %s: %w", side, err)
	}
	return engine, all, nil
}

func (l listing) byID(id string) *ops.Container {
	for i := range l {
		if l[i].ID == id {
			return &l[i]
		}
	}
	return nil
}

func (l listing) byName(name string) *ops.Container {
	for i := range l {
		if l[i].Name == name {
			return &l[i]
		}
	}
	return nil
}

// find returns the container that was, or the one that has taken its name since.
func (l listing) find(was Was) *ops.Container {
	if c := l.byID(was.ID); c != nil {
		return c
	}
	return l.byName(was.Name)
}

// containerState says in one word how a container is, and whether that is ready by
// itself: healthy where it has a health check, running otherwise.
func containerState(c *ops.Container) (word string, ready bool) {
	switch {
	case c == nil:
		return "missing", false
	case c.State == "exited":
		return fmt.Sprintf("exited %d", c.ExitCode), false
	case c.State != "running":
		return c.State, false
	case c.Health != "":
		return c.Health, c.Health == "healthy"
	default:
		return "running", true
	}
}

// serviceReady tells whether the service passes its readiness test, given its containers.
func serviceReady(ctx context.Context, host ops.Host, svc ops.Service, containers []*ops.Container) (word string, ready bool) {
	if len(containers) == 0 {
		return "missing", false
	}
	kind := svc.Ready.Kind
	for _, c := range containers {
		w, ok := containerState(c)
		switch {
		case c == nil || c.State != "running":
			return w, false
		case kind == ops.ReadyHealthy && c.Health == "":
			return "without a health check", false
		case (kind == ops.ReadyHealthy || kind == ops.ReadyAuto) && !ok:
			return w, false
		}
		word = w
	}
	switch kind {
	case ops.ReadyHTTP:
		code, err := host.Get(ctx, svc.Ready.URL)
		if err != nil {
			return "starting (" + err.Error() + ")", false
		}
		return fmt.Sprintf("http %d", code), code >= 200 && code < 400
	case ops.ReadyExec:
		_, err := host.Exec(ctx, ops.Command{Args: svc.Ready.Exec})
		var exit *ops.ExitError
		switch {
		case errors.As(err, &exit):
			return fmt.Sprintf("%s: exit status %d", svc.Ready.Exec[0], exit.Status), false
		case err != nil:
			return "unknown (" + err.Error() + ")", false
		}
		return "ready", true
	case ops.ReadyRunning:
		return "running", true
	}
	return word, true
}

// waitReady waits until the service is ready, given its containers as they were.
func waitReady(ctx context.Context, env ops.Env, side ops.Side, svc ops.Service, was []Was, within time.Duration) error {
	return waitService(ctx, env, side, svc, within, func(all listing) []*ops.Container {
		containers, _ := all.of(was)
		return containers
	})
}

// waitService waits until the service is ready. Where running is all that can be asked, it
// must be seen twice with the same start: a container that ends at once is running, too.
func waitService(ctx context.Context, env ops.Env, side ops.Side, svc ops.Service, within time.Duration, now func(listing) []*ops.Container) error {
	var before []time.Time
	var unseen error
	err := wait(ctx, env, within, func() (bool, string, error) {
		_, all, err := list(ctx, env, side)
		if unseen = err; err != nil {
			return false, svc.Name + ": " + err.Error(), ctx.Err()
		}
		containers := now(all)
		word, ready := serviceReady(ctx, env.Hosts[side], svc, containers)
		starts := startsOf(containers)
		settled := !ready || word != "running" || slices.EqualFunc(before, starts, time.Time.Equal)
		before = nil
		if ready {
			before = starts
		}
		return ready && settled, svc.Name + ": " + word, nil
	})
	if errors.Is(err, errTimeout) && errors.Is(unseen, ops.ErrUnreachable) {
		err = fmt.Errorf("%w: %w", ops.ErrUnreachable, err)
	}
	return notReady(err, side, svc)
}

func startsOf(containers []*ops.Container) (starts []time.Time) {
	for _, c := range containers {
		if c != nil {
			starts = append(starts, c.StartedAt)
		}
	}
	return starts
}

// waitContainer waits for one container of several.
func waitContainer(ctx context.Context, env ops.Env, side ops.Side, svc ops.Service, was Was, within time.Duration) error {
	err := wait(ctx, env, within, func() (bool, string, error) {
		_, all, err := list(ctx, env, side)
		if err != nil {
			return false, was.Name + ": " + err.Error(), ctx.Err()
		}
		c := all.find(was)
		word, ready := containerState(c)
		if svc.Ready.Kind != ops.ReadyAuto && svc.Ready.Kind != ops.ReadyHealthy && c != nil {
			ready = c.State == "running"
		}
		return ready, was.Name + ": " + word, nil
	})
	return notReady(err, side, svc)
}

func notReady(err error, side ops.Side, svc ops.Service) error {
	if !errors.Is(err, errTimeout) {
		return err
	}
	return &ops.Problem{
		Doing: "waiting for " + svc.Name + " to be ready", Side: side, Err: err,
		Hint: "read its log: l on " + svc.Name + "; mend it, then resume, or roll back",
	}
}

// of are the containers that were, each as it is now, with their starts.
func (l listing) of(was []Was) (containers []*ops.Container, starts []time.Time) {
	for _, w := range was {
		c := l.find(w)
		containers = append(containers, c)
		if c != nil {
			starts = append(starts, c.StartedAt)
		}
	}
	return containers, starts
}

func names(was []Was) string {
	list := make([]string, 0, len(was))
	for _, w := range was {
		list = append(list, w.Name)
	}
	return strings.Join(list, " ")
}
