package remote

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"

	"tandem/ops"
)

const (
	maxInspects = 4 // at once
	// What an inspect told is asked again after this long in any case: a restart policy
	// changed by hand leaves no trace in the list.
	inspectKeeps = 5 * time.Minute
	youngFor     = 2 * time.Minute
)

// Containers lists all containers. The list call has no start time, exit code, restart
// count or policy, and an inspect of each container at every look would cost more than all
// else; so what an inspect told is kept for as long as the list proves that it still holds.
func (e *engine) Containers(ctx context.Context) ([]ops.Container, error) {
	return call(ctx, e, "listing containers", e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) ([]ops.Container, error) {
		list, err := cli.ContainerList(ctx, container.ListOptions{All: true})
		if err != nil {
			return nil, err
		}
		out := make([]ops.Container, len(list))
		gone := make([]bool, len(list))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(maxInspects)
		for i, s := range list {
			seen, ok := e.h.inspects.get(s.ID, s.State, s.Status, time.Now())
			if ok {
				out[i] = listed(s, seen)
				continue
			}
			g.Go(func() error {
				at := time.Now()
				in, err := cli.ContainerInspect(ctx, s.ID)
				if cerrdefs.IsNotFound(err) {
					gone[i] = true // removed since the list was made
					return nil
				}
				if err != nil {
					return err
				}
				seen := inspected(in)
				e.h.inspects.put(s.ID, s.State, s.Status, seen, at)
				out[i] = listed(s, seen)
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		e.h.inspects.keepOnly(list)
		kept := out[:0]
		for i := range out {
			if !gone[i] {
				kept = append(kept, out[i])
			}
		}
		return kept, nil
	})
}

// Container reads one container afresh.
func (e *engine) Container(ctx context.Context, id string) (ops.Container, error) {
	return call(ctx, e, "reading "+id, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (ops.Container, error) {
		in, err := cli.ContainerInspect(ctx, id)
		if err != nil {
			return ops.Container{}, err
		}
		if in.ContainerJSONBase == nil || in.Config == nil {
			return ops.Container{}, errNoContainer
		}
		return inspected(in), nil
	})
}

// listed is a container as the list has it, filled up with what an inspect told.
func listed(s container.Summary, in ops.Container) ops.Container {
	c := in
	c.ID, c.State, c.ImageID, c.Labels = s.ID, s.State, s.ImageID, s.Labels
	c.Name = listedName(s.Names)
	c.Health = listedHealth(s.Status)
	if c.CreatedAt.IsZero() { // the list has whole seconds only
		c.CreatedAt = time.Unix(s.Created, 0).UTC()
	}
	if c.Image == "" {
		c.Image = s.Image
	}
	c.Networks = nil
	if s.NetworkSettings != nil {
		c.Networks = slices.Sorted(maps.Keys(s.NetworkSettings.Networks))
	}
	c.Ports = nil
	for _, p := range s.Ports {
		c.Ports = append(c.Ports, portText(p.IP, strconv.Itoa(int(p.PublicPort)), strconv.Itoa(int(p.PrivatePort))+"/"+p.Type))
	}
	c.Ports = sortedOnce(c.Ports)
	return c
}

// listedName leaves out names that come from links to it ("/other/alias").
func listedName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return ""
}

// listedHealth reads the health from "Up 3 days (healthy)" (container.State.String in
// moby: healthy, unhealthy, "health: starting").
func listedHealth(status string) string {
	switch {
	case strings.HasSuffix(status, "(healthy)"):
		return container.Healthy
	case strings.HasSuffix(status, "(unhealthy)"):
		return container.Unhealthy
	case strings.HasSuffix(status, "(health: starting)"):
		return container.Starting
	}
	return ""
}

// inspected is a container as an inspect has it.
func inspected(in container.InspectResponse) ops.Container {
	c := ops.Container{}
	if in.ContainerJSONBase != nil {
		c.ID, c.Name, c.ImageID, c.Restarts = in.ID, strings.TrimPrefix(in.Name, "/"), in.Image, in.RestartCount
		c.CreatedAt = engineTime(in.Created)
		if in.HostConfig != nil {
			c.Policy = policyText(in.HostConfig.RestartPolicy)
		}
		if s := in.State; s != nil {
			c.State, c.ExitCode, c.OOMKilled = s.Status, s.ExitCode, s.OOMKilled
			c.StartedAt, c.FinishedAt = engineTime(s.StartedAt), engineTime(s.FinishedAt)
			if s.Health != nil && s.Health.Status != container.NoHealthcheck {
				c.Health = s.Health.Status
			}
		}
	}
	if in.Config != nil {
		c.Image, c.Labels = in.Config.Image, in.Config.Labels
	}
	if in.NetworkSettings != nil {
		c.Networks = slices.Sorted(maps.Keys(in.NetworkSettings.Networks))
		c.Ports = portTexts(in.NetworkSettings.Ports)
	}
	c.Anonymous = anonymous(in)
	return c
}

// The engine names an anonymous volume by 64 random hex digits (moby, stringid).
var randomName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// anonymous are the names of the volumes without a name of their own. A volume driver may
// name them in another way; then the config asks for a volume at that place and nothing in
// the host config says which.
func anonymous(in container.InspectResponse) []string {
	asked := map[string]bool{}
	if in.Config != nil {
		for at := range in.Config.Volumes {
			asked[at] = true
		}
	}
	if in.ContainerJSONBase != nil && in.HostConfig != nil {
		for at := range bound(in.HostConfig) {
			delete(asked, at)
		}
	}
	var names []string
	for _, m := range in.Mounts {
		if m.Type == mount.TypeVolume && m.Name != "" && (randomName.MatchString(m.Name) || asked[m.Destination]) {
			names = append(names, m.Name)
		}
	}
	return sortedOnce(names)
}

// bound are the places in the container for which the host config says what is mounted.
func bound(host *container.HostConfig) map[string]bool {
	at := map[string]bool{}
	for _, b := range host.Binds {
		if parts := strings.Split(b, ":"); len(parts) > 1 {
			at[parts[1]] = true
		}
	}
	for _, m := range host.Mounts {
		if m.Source != "" {
			at[m.Target] = true
		}
	}
	return at
}

func portTexts(ports nat.PortMap) []string {
	var out []string
	for inside, outside := range ports {
		if len(outside) == 0 {
			out = append(out, string(inside))
		}
		for _, b := range outside {
			out = append(out, portText(b.HostIP, b.HostPort, string(inside)))
		}
	}
	return sortedOnce(out)
}

// portText is a port as `docker ps` writes it, without the addresses that mean "all".
func portText(ip, outside, inside string) string {
	switch {
	case outside == "" || outside == "0":
		return inside
	case ip == "" || ip == "0.0.0.0" || ip == "::":
		return outside + "->" + inside
	}
	return ip + ":" + outside + "->" + inside
}

func sortedOnce(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// engineTime reads the engine's times; its "never" (year 1) is the zero time.
func engineTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// policyText is a restart policy as `docker run --restart` takes it.
func policyText(p container.RestartPolicy) string {
	switch {
	case p.Name == "":
		return "no"
	case p.MaximumRetryCount > 0:
		return fmt.Sprintf("%s:%d", p.Name, p.MaximumRetryCount)
	}
	return string(p.Name)
}

func parsePolicy(text string) (container.RestartPolicy, error) {
	name, count, counted := strings.Cut(text, ":")
	p := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil {
			return p, fmt.Errorf("%q is not a restart policy", text)
		}
		p.MaximumRetryCount = n
	}
	return p, container.ValidateRestartPolicy(p)
}

// inspectCache keeps what inspects told, by container id.
type inspectCache struct {
	mu   sync.Mutex
	seen map[string]seenInspect
}

type seenInspect struct {
	state, status string
	at            time.Time
	c             ops.Container
}

// get returns what was told if the list proves that it still holds: the container runs or
// has exited, the status text is the same, and it has been so for at least twice as long as
// it is since the inspect. (Had it been started again since, its age would now be at most
// that time, and the engine's rounding never makes twice the age the same text.) The age
// is read from the text, so the clocks of the two machines do not matter.
func (k *inspectCache) get(id, state, status string, now time.Time) (ops.Container, bool) {
	if state != container.StateRunning && state != container.StateExited {
		return ops.Container{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.seen[id]
	if !ok || s.state != state || s.status != status {
		return ops.Container{}, false
	}
	age, since := statusAge(status), now.Sub(s.at)
	return s.c, age >= youngFor && since < age/2 && since < inspectKeeps
}

func (k *inspectCache) put(id, state, status string, c ops.Container, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen = map[string]seenInspect{}
	}
	k.seen[id] = seenInspect{state, status, at, c}
}

// forget drops a container, named by id, by the start of its id, or by name.
func (k *inspectCache) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for full, s := range k.seen {
		if strings.HasPrefix(full, id) || s.c.Name == id {
			delete(k.seen, full)
		}
	}
}

func (k *inspectCache) keepOnly(list []container.Summary) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) <= len(list) {
		return
	}
	here := make(map[string]bool, len(list))
	for _, s := range list {
		here[s.ID] = true
	}
	maps.DeleteFunc(k.seen, func(id string, _ seenInspect) bool { return !here[id] })
}

var agePattern = regexp.MustCompile(`(\d+) (minute|hour|day|week|month|year)s?\b`)

// statusAge is the least age that a status text can mean (units.HumanDuration of
// docker/go-units): 0 below two minutes and for texts without an age.
func statusAge(status string) time.Duration {
	if strings.Contains(status, "About an hour") {
		return 60 * time.Minute
	}
	m := agePattern.FindStringSubmatch(status)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > 1000 {
		return 0
	}
	day := 24 * time.Hour
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day}[m[2]]
	age := time.Duration(n) * unit
	if m[2] == "hour" {
		age -= unit / 2 // hours are rounded, the others cut off
	}
	return age
}
