package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
	ocispec "github.com/moby/docker-image-spec/specs-go/v1"

	"tandem/ops"
)

// recipe is what it takes to make a container again.
type recipe struct {
	config  *container.Config
	host    *container.HostConfig
	primary string                               // the network to be created on
	nets    map[string]*network.EndpointSettings // all networks, the primary one too
	lost    []string
}

// Create makes a container like the inspected one. The engine takes one network at
// creation before API 1.44, so the others are connected afterwards, for every engine alike.
// A container that could not be completed is removed again.
func (e *engine) Create(ctx context.Context, like json.RawMessage, name, image string) (string, []string, error) {
	doing := "creating " + name
	var old container.InspectResponse
	if err := json.Unmarshal(like, &old); err != nil {
		return "", nil, e.h.say(doing, fmt.Errorf("reading the inspect to follow: %w", err), "")
	}
	if old.ContainerJSONBase == nil || old.HostConfig == nil || old.Config == nil {
		return "", nil, e.h.say(doing, fmt.Errorf("the inspect to follow is not one of a container"), "")
	}
	type created struct {
		id   string
		lost []string
	}
	c, err := call(ctx, e, doing, 2*time.Minute, func(ctx context.Context, cli *client.Client) (created, error) {
		r, err := e.recipe(ctx, cli, old, image)
		if err != nil {
			return created{}, err
		}
		nets := &network.NetworkingConfig{}
		if ep := r.nets[r.primary]; ep != nil {
			nets.EndpointsConfig = map[string]*network.EndpointSettings{r.primary: ep}
		}
		wanted, err := json.Marshal(r.config)
		if err != nil {
			return created{}, err
		}
		resp, err := cli.ContainerCreate(ctx, r.config, r.host, nets, nil, name)
		if err != nil {
			return created{}, err
		}
		undo := func(err error) (created, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if rmErr := cli.ContainerRemove(ctx, resp.ID, container.RemoveOptions{}); rmErr != nil {
				return created{}, fmt.Errorf("%w; and removing the unfinished container %s: %w", err, resp.ID, rmErr)
			}
			return created{}, err
		}
		for _, n := range slices.Sorted(maps.Keys(r.nets)) {
			if n == r.primary {
				continue
			}
			if err := cli.NetworkConnect(ctx, n, resp.ID, r.nets[n]); err != nil {
				return undo(fmt.Errorf("connecting to the network %s: %w", n, err))
			}
		}
		_, raw, err := cli.ContainerInspectWithRaw(ctx, resp.ID, false)
		if err != nil {
			return undo(err)
		}
		lost, err := compare(like, raw, wanted, r, image != "")
		if err != nil {
			return undo(err)
		}
		return created{resp.ID, append(r.lost, lost...)}, nil
	})
	return c.id, c.lost, err
}

// recipe works out what to ask for.
func (e *engine) recipe(ctx context.Context, cli *client.Client, old container.InspectResponse, image string) (*recipe, error) {
	r := &recipe{config: old.Config, host: old.HostConfig, nets: map[string]*network.EndpointSettings{}}
	short := old.ID[:min(12, len(old.ID))]
	if r.config.Hostname == short { // the engine's own choice
		r.config.Hostname = ""
	}
	if r.host.NetworkMode.IsContainer() || r.host.UTSMode.IsHost() {
		r.config.Hostname, r.config.Domainname = "", "" // taken from the other; the engine refuses both
	}
	if image == "" {
		if err := e.sameImage(ctx, cli, old, r); err != nil {
			return nil, err
		}
	} else if err := e.otherImage(ctx, cli, old, image, r); err != nil {
		return nil, err
	}
	if err := partners(ctx, cli, r.host); err != nil {
		return nil, err
	}
	keepVolumes(old, r.host)
	for i, l := range r.host.Links { // inspected: /target:/name/alias
		if target, alias, ok := strings.Cut(l, ":"); ok {
			r.host.Links[i] = strings.TrimPrefix(target, "/") + ":" + alias[strings.LastIndex(alias, "/")+1:]
		}
	}
	r.networks(old, short)
	if err := r.addresses(ctx, cli); err != nil {
		return nil, err
	}
	// From API 1.44 on it is a setting of the endpoint; the client takes it from the config then.
	//lint:ignore SA1019 Engines before API 1.44 know the address only here.
	if mac, ep := r.config.MacAddress, r.nets[r.primary]; mac != "" && ep != nil && versions.GreaterThanOrEqualTo(cli.ClientVersion(), "1.44") {
		ep.MacAddress = mac
	}
	return r, nil
}

// addresses gives up fixed addresses that are not in their network any more.
func (r *recipe) addresses(ctx context.Context, cli *client.Client) error {
	for _, name := range slices.Sorted(maps.Keys(r.nets)) {
		fixed := r.nets[name].IPAMConfig
		if fixed == nil || fixed.IPv4Address == "" && fixed.IPv6Address == "" {
			continue
		}
		n, err := cli.NetworkInspect(ctx, name, network.InspectOptions{})
		if cerrdefs.IsNotFound(err) {
			continue // which the creation will say
		}
		if err != nil {
			return err
		}
		keep := *fixed
		for _, a := range []*string{&keep.IPv4Address, &keep.IPv6Address} {
			if *a != "" && !within(n.IPAM.Config, *a) {
				r.lost = append(r.lost, fmt.Sprintf("fixed address %s on the network %s, whose range is another now", *a, name))
				*a = ""
			}
		}
		r.nets[name].IPAMConfig = &keep
	}
	return nil
}

// within tells whether an address lies in one of a network's ranges.
func within(ranges []network.IPAMConfig, text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && slices.ContainsFunc(ranges, func(c network.IPAMConfig) bool {
		p, err := netip.ParsePrefix(c.Subnet)
		return err == nil && p.Contains(a)
	})
}

// sameImage names the image by its id where its name now means another one.
func (e *engine) sameImage(ctx context.Context, cli *client.Client, old container.InspectResponse, r *recipe) error {
	img, err := cli.ImageInspect(ctx, old.Config.Image)
	switch {
	case err == nil && img.ID == old.Image:
	case err == nil || cerrdefs.IsNotFound(err):
		r.config.Image = old.Image
	default:
		return err
	}
	return nil
}

// otherImage takes out what the container had from its image, so that the new image's own
// values apply: an inspect shows both merged.
func (e *engine) otherImage(ctx context.Context, cli *client.Client, old container.InspectResponse, image string, r *recipe) error {
	now, err := cli.ImageInspect(ctx, image)
	if err != nil {
		return err
	}
	r.config.Image = image
	if _, ok := r.config.Labels[composeImageLabel]; ok { // compose compares it with the image
		r.config.Labels = maps.Clone(r.config.Labels)
		r.config.Labels[composeImageLabel] = now.ID
	}
	was, err := cli.ImageInspect(ctx, old.Image)
	switch {
	case cerrdefs.IsNotFound(err):
		r.lost = append(r.lost, "the defaults of the new image: the old image is gone, so its defaults cannot be told from the container's own settings and were kept")
		return nil
	case err != nil:
		return err
	case was.Config == nil:
		return nil
	}
	dropDefaults(r.config, was.Config)
	return nil
}

const composeImageLabel = "com.docker.compose.image"

// dropDefaults removes from c what equals the image's config.
func dropDefaults(c *container.Config, img *ocispec.DockerOCIImageConfig) {
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool { return slices.Contains(img.Env, v) })
	c.Labels = maps.Clone(c.Labels)
	maps.DeleteFunc(c.Labels, func(k, v string) bool { i, ok := img.Labels[k]; return ok && i == v })
	c.Volumes = maps.Clone(c.Volumes)
	maps.DeleteFunc(c.Volumes, func(k string, _ struct{}) bool { _, ok := img.Volumes[k]; return ok })
	c.ExposedPorts = maps.Clone(c.ExposedPorts)
	for p := range c.ExposedPorts {
		if _, ok := img.ExposedPorts[string(p)]; ok {
			delete(c.ExposedPorts, p)
		}
	}
	// An entry point of its own switches the image's command off, so then both stay.
	if slices.Equal(c.Entrypoint, img.Entrypoint) {
		c.Entrypoint = nil
		if slices.Equal(c.Cmd, img.Cmd) {
			c.Cmd = nil
		}
	}
	if c.WorkingDir == img.WorkingDir {
		c.WorkingDir = ""
	}
	if c.User == img.User {
		c.User = ""
	}
	if c.StopSignal == img.StopSignal {
		c.StopSignal = ""
	}
	if slices.Equal(c.Shell, img.Shell) {
		c.Shell = nil
	}
	if reflect.DeepEqual(c.Healthcheck, img.Healthcheck) {
		c.Healthcheck = nil
	}
	c.OnBuild = nil
}

// keepVolumes gives the new container the old one's anonymous volumes, by name: the engine
// would make empty ones.
func keepVolumes(old container.InspectResponse, host *container.HostConfig) {
	named := bound(host)
	for _, m := range old.Mounts {
		if m.Type != mount.TypeVolume || m.Name == "" || named[m.Destination] {
			continue
		}
		i := slices.IndexFunc(host.Mounts, func(asked mount.Mount) bool { return asked.Target == m.Destination })
		if i >= 0 && host.Mounts[i].Type == mount.TypeVolume {
			host.Mounts[i].Source = m.Name
			continue
		}
		bind := m.Name + ":" + m.Destination
		if !m.RW {
			bind += ":ro"
		}
		host.Binds = append(host.Binds, bind)
	}
}

// partners checks that the containers whose network, processes or volumes the new one is to
// share are there. The engine would say so only at the start.
func partners(ctx context.Context, cli *client.Client, host *container.HostConfig) error {
	shared := map[string]string{}
	for what, mode := range map[string]string{"network": string(host.NetworkMode), "processes": string(host.PidMode), "memory": string(host.IpcMode)} {
		if id, ok := strings.CutPrefix(mode, "container:"); ok {
			shared[id] = what
		}
	}
	for _, from := range host.VolumesFrom {
		id, _, _ := strings.Cut(from, ":")
		shared[id] = "volumes"
	}
	for _, id := range slices.Sorted(maps.Keys(shared)) {
		_, err := cli.ContainerInspect(ctx, id)
		if cerrdefs.IsNotFound(err) {
			return fmt.Errorf("it shares the %s of the container %s, which is not there: make that one first, and name it by its name", shared[id], id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// networks takes over all networks with aliases and fixed addresses. Addresses that the
// engine gave out are not asked for again.
func (r *recipe) networks(old container.InspectResponse, short string) {
	mode := r.host.NetworkMode
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() || old.NetworkSettings == nil {
		return
	}
	for name, ep := range old.NetworkSettings.Networks {
		if ep == nil {
			ep = &network.EndpointSettings{}
		}
		if ep.NetworkID != "" && string(mode) == ep.NetworkID { // an id does not outlive its network
			r.host.NetworkMode = container.NetworkMode(name)
		}
		keep := &network.EndpointSettings{
			IPAMConfig: ep.IPAMConfig, Links: ep.Links, DriverOpts: ep.DriverOpts, GwPriority: ep.GwPriority,
			// Engines before 25 add the short id to the aliases by themselves.
			Aliases: slices.DeleteFunc(slices.Clone(ep.Aliases), func(a string) bool { return a == short }),
		}
		r.nets[name] = keep
	}
	r.primary = string(r.host.NetworkMode)
	if r.host.NetworkMode.IsDefault() || r.host.NetworkMode.IsBridge() {
		r.primary = network.NetworkBridge
	}
	if r.nets[r.primary] == nil && len(r.nets) > 0 {
		// Its first network is gone or was taken away: any other may be the first.
		r.primary = slices.Sorted(maps.Keys(r.nets))[0]
		r.host.NetworkMode = container.NetworkMode(r.primary)
	}
}

// Run proves that a container can be created, started and removed. A container of the same
// name that an earlier, broken run left behind is removed first, if its labels say that it
// is such a one.
func (e *engine) Run(ctx context.Context, spec ops.RunSpec) (int, error) {
	doing := "running " + spec.Name
	return call(ctx, e, doing, 2*time.Minute, func(ctx context.Context, cli *client.Client) (int, error) {
		if err := removeLeftover(ctx, cli, spec); err != nil {
			return 0, err
		}
		resp, err := cli.ContainerCreate(ctx,
			&container.Config{Image: spec.Image, Cmd: spec.Command, Labels: spec.Labels},
			&container.HostConfig{
				Resources:   container.Resources{Memory: spec.Memory},
				NetworkMode: container.NetworkMode(spec.Network),
			}, nil, nil, spec.Name)
		if err != nil {
			return 0, err
		}
		exit, runErr := runToEnd(ctx, cli, resp.ID)
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err := cli.ContainerRemove(cleanup, resp.ID, container.RemoveOptions{Force: true}); err != nil && runErr == nil {
			return 0, fmt.Errorf("removing it again: %w", err)
		}
		return exit, runErr
	})
}

func runToEnd(ctx context.Context, cli *client.Client, id string) (int, error) {
	ended, failed := cli.ContainerWait(ctx, id, container.WaitConditionNextExit) // before the start, not to miss the end
	if err := cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return 0, err
	}
	select {
	case w := <-ended:
		if w.Error != nil {
			return 0, fmt.Errorf("waiting for its end: %s", w.Error.Message)
		}
		return int(w.StatusCode), nil
	case err := <-failed:
		return 0, err
	}
}

func removeLeftover(ctx context.Context, cli *client.Client, spec ops.RunSpec) error {
	left, err := cli.ContainerInspect(ctx, spec.Name)
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for k, v := range spec.Labels {
		if left.Config == nil || left.Config.Labels[k] != v {
			return fmt.Errorf("a container named %s exists already and is not of our making", spec.Name)
		}
	}
	if len(spec.Labels) == 0 {
		return fmt.Errorf("a container named %s exists already", spec.Name)
	}
	return cli.ContainerRemove(ctx, left.ID, container.RemoveOptions{Force: true})
}
