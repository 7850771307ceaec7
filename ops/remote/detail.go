package remote

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"tandem/ops"
)

const (
	maxChecks = 3    // of the five that an engine keeps
	maxSaid   = 1024 // bytes of what a check said
)

// Detail reads all that an operator may know of a container. Values of its environment and
// arguments of its command end here: what leaves this package are prints of them.
func (h *Host) Detail(ctx context.Context, id string) (ops.Detail, error) {
	e := &engine{h}
	return call(ctx, e, "reading the details of "+id, h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (ops.Detail, error) {
		in, err := cli.ContainerInspect(ctx, id)
		if err != nil {
			return ops.Detail{}, err
		}
		if in.ContainerJSONBase == nil || in.Config == nil {
			return ops.Detail{}, errNoContainer
		}
		d := detailed(in)
		im, err := cli.ImageInspect(ctx, in.Image)
		switch {
		case err == nil:
			d.Digests = im.RepoDigests
		case !cerrdefs.IsNotFound(err): // the image of a container may have been removed by force
			return ops.Detail{}, err
		}
		return d, nil
	})
}

var errNoContainer = errors.New("the engine's answer has no container in it")

// detailed is a container as an inspect has it, without secrets.
func detailed(in container.InspectResponse) ops.Detail {
	d := ops.Detail{Container: inspected(in), Args: len(in.Args), Program: in.Path}
	d.Labels = nil // nobody shows them, and they hold what compose files hold
	d.Command = printOf("command", append([]string{in.Path}, in.Args...)...)
	for _, pair := range in.Config.Env {
		name, value, _ := strings.Cut(pair, "=")
		d.Env = append(d.Env, ops.Variable{Name: name, Value: printOf("env", name, value)})
	}
	slices.SortStableFunc(d.Env, func(a, b ops.Variable) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range in.Mounts {
		d.Mounts = append(d.Mounts, mounted(m))
	}
	slices.SortFunc(d.Mounts, func(a, b ops.Mount) int { return strings.Compare(a.Place, b.Place) })
	if in.NetworkSettings != nil {
		for _, name := range slices.Sorted(maps.Keys(in.NetworkSettings.Networks)) {
			d.Ends = append(d.Ends, ops.Endpoint{Network: name, Address: addressOf(in.NetworkSettings.Networks[name])})
		}
	}
	if host := in.HostConfig; host != nil {
		d.Ports = wanted(d.Ports, host)
		d.Caps = capsOf(&host.Resources)
	}
	if s := in.State; s != nil {
		d.Error = s.Error
		if s.Health != nil {
			d.Streak, d.Checks = s.Health.FailingStreak, checksOf(s.Health.Log)
		}
	}
	return d
}

// wanted are the ports in effect, or those asked for where the container does not run.
func wanted(ports []string, host *container.HostConfig) []string {
	if len(ports) > 0 {
		return ports
	}
	return portTexts(host.PortBindings)
}

func mounted(m container.MountPoint) ops.Mount {
	out := ops.Mount{Kind: string(m.Type), Source: m.Source, Place: m.Destination, ReadOnly: !m.RW}
	if m.Type == mount.TypeVolume {
		out.Source = m.Name
		if randomName.MatchString(m.Name) {
			out.Source = "" // another on every host
		}
	}
	return out
}

func addressOf(ep *network.EndpointSettings) string {
	switch {
	case ep == nil:
		return ""
	case ep.IPAddress != "":
		return ep.IPAddress
	}
	return ep.GlobalIPv6Address
}

func capsOf(r *container.Resources) ops.Caps {
	l := ops.Caps{Memory: r.Memory, CPUs: float64(r.NanoCPUs) / 1e9}
	if l.CPUs == 0 && r.CPUQuota > 0 && r.CPUPeriod > 0 {
		l.CPUs = float64(r.CPUQuota) / float64(r.CPUPeriod)
	}
	if r.PidsLimit != nil && *r.PidsLimit > 0 { // -1: none
		l.Pids = *r.PidsLimit
	}
	return l
}

// checksOf are the last checks, latest first; the engine has the oldest first.
func checksOf(log []*container.HealthcheckResult) []ops.HealthCheck {
	var out []ops.HealthCheck
	for _, r := range slices.Backward(log) {
		if r == nil || len(out) == maxChecks {
			continue
		}
		text := strings.TrimSpace(r.Output)
		out = append(out, ops.HealthCheck{At: r.End.UTC(), Exit: r.ExitCode, Output: strings.ToValidUTF8(text[:min(len(text), maxSaid)], "")})
	}
	return out
}

// salt makes prints worthless outside this process. Both sides have the same, or nothing could
// be compared.
var salt = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // it never returns an error (crypto/rand)
	return key
})

// printOf is a print of a secret. The lengths keep parts apart: "ab","c" is not "a","bc".
func printOf(kind string, parts ...string) (p ops.Print) {
	mac := hmac.New(sha256.New, salt())
	mac.Write([]byte(kind))
	for _, part := range parts {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	copy(p[:], mac.Sum(nil))
	return p
}

// sampled are the parts of a reading that are used: most of it is not, and decoding all of it
// costs several times as much.
type sampled struct {
	Read time.Time `json:"read"`
	CPU  struct {
		Usage struct {
			Total uint64 `json:"total_usage"` // ns
		} `json:"cpu_usage"`
	} `json:"cpu_stats"`
	Memory struct {
		Usage uint64 `json:"usage"`
		Limit uint64 `json:"limit"`
		Stats struct {
			V1 *uint64 `json:"total_inactive_file"`
			V2 uint64  `json:"inactive_file"`
		} `json:"stats"`
	} `json:"memory_stats"`
}

// used is the memory in use as `docker stats` counts it (docker/cli,
// calculateMemUsageUnixNoCache): without the page cache that was not used lately. cgroup v1 has
// both counters, of which the one for the whole tree counts.
func (s *sampled) used() uint64 {
	usage, stats := s.Memory.Usage, &s.Memory.Stats
	switch {
	case stats.V1 != nil && *stats.V1 < usage:
		return usage - *stats.V1
	case stats.V2 < usage:
		return usage - stats.V2
	}
	return usage
}

// sampleTime bounds a reading. Engine 28 answers at once; 20.10 waits for the next beat of its
// collector, up to a second, and those before (API 1.41) do not know of single readings and wait
// for two.
const sampleTime = 6 * time.Second

// Sample takes one reading of what a container has used. It opens no stream: the engine answers
// once. A container that does not run has an empty one.
func (h *Host) Sample(ctx context.Context, id string) (ops.Sample, error) {
	e := &engine{h}
	return call(ctx, e, "reading what "+id+" uses", sampleTime, func(ctx context.Context, cli *client.Client) (ops.Sample, error) {
		answer, err := cli.ContainerStatsOneShot(ctx, id)
		if err != nil {
			return ops.Sample{}, err
		}
		defer answer.Body.Close()
		var s sampled
		if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
			return ops.Sample{}, fmt.Errorf("reading the engine's answer: %w", err)
		}
		out := ops.Sample{ID: id}
		if s.Read.Year() > 1 && s.CPU.Usage.Total > 0 {
			out.At, out.CPU, out.Memory, out.Limit = s.Read.UTC(), time.Duration(s.CPU.Usage.Total), s.used(), s.Memory.Limit
		}
		return out, nil
	})
}
