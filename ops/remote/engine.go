package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"tandem/ops"
)

// dockerLink is a Docker client over one SSH connection to one engine process.
type dockerLink struct {
	host      *Host
	conn      *conn
	cli       *client.Client
	transport *http.Transport
	server    atomic.Pointer[string] // the Server header of the first answer
	stale     atomic.Bool            // make a new client for the next call
}

// Engine is the Docker Engine. It is not yet asked anything.
func (h *Host) Engine(ctx context.Context) (ops.Engine, error) {
	if _, err := h.dockerLink(ctx); err != nil {
		return nil, err
	}
	return &engine{h}, nil
}

// dockerLink returns the link to the engine, a new one where the old is not good any more.
func (h *Host) dockerLink(ctx context.Context) (*dockerLink, error) {
	c, err := h.connection(ctx)
	if err != nil {
		return nil, err
	}
	h.engineMu.Lock()
	defer h.engineMu.Unlock()
	if l := h.link; l != nil {
		if l.conn == c && !l.stale.Load() {
			return l, nil
		}
		l.transport.CloseIdleConnections()
	}
	l := &dockerLink{host: h, conn: c, transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return h.dialEngine(ctx, c) },
		// Containers asks for several at once; a channel costs nothing while it is idle.
		MaxIdleConnsPerHost: maxInspects,
		DisableCompression:  true,
	}}
	l.cli, err = client.NewClientWithOpts(
		client.WithHost("tcp://docker"), // before the HTTP client: it sets up the transport that is there
		client.WithHTTPClient(&http.Client{Transport: l, CheckRedirect: client.CheckRedirect}),
		client.WithScheme("http"),
		client.WithAPIVersionNegotiation(),
	)
	if err != nil {
		return nil, h.say("making a docker client", err, "")
	}
	h.link = l
	return l, nil
}

// trip is what happened to the request of a call. The Docker client words transport errors
// anew and drops what they wrapped, so they are kept here.
type trip struct {
	err      atomic.Pointer[error]
	server   atomic.Value // string: the Server header of the last answer
	answered atomic.Bool
}

type tripKey struct{}

// RoundTrip is the way of every request to the engine, and so the place of the read-only
// gate and of the watch for a changed engine.
func (l *dockerLink) RoundTrip(req *http.Request) (*http.Response, error) {
	t, _ := req.Context().Value(tripKey{}).(*trip)
	fail := func(err error) (*http.Response, error) {
		if t != nil {
			t.err.CompareAndSwap(nil, &err) // what comes after the first is its consequence
		}
		return nil, err
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		doing := req.Method + " " + req.URL.Path
		err := l.host.gate(doing)
		if err == nil {
			err = l.host.mayChange(req.Context(), l.conn, doing)
		}
		if err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return fail(err)
		}
	}
	resp, err := l.transport.RoundTrip(req)
	if err != nil {
		if req.Context().Err() == nil {
			l.stale.Store(true)
		}
		return fail(err)
	}
	server := resp.Header.Get("Server")
	if t != nil {
		t.server.Store(server)
	}
	if !l.server.CompareAndSwap(nil, &server) && *l.server.Load() != server {
		l.stale.Store(true)
	}
	if t != nil && resp.StatusCode < 300 {
		t.answered.Store(true)
	}
	return resp, nil
}

// engine implements [ops.Engine]. It holds nothing: every call takes the host's present
// client, so an engine kept across a reboot still works.
type engine struct{ h *Host }

// call runs one call of the Docker client under a deadline and words its error.
func call[T any](ctx context.Context, e *engine, doing string, timeout time.Duration, do func(context.Context, *client.Client) (T, error)) (T, error) {
	ctx, cancel := e.h.within(ctx, timeout)
	defer cancel()
	for again := false; ; again = true {
		var none T
		l, err := e.h.dockerLink(ctx)
		if err != nil {
			return none, err
		}
		t := &trip{}
		result, err := do(context.WithValue(ctx, tripKey{}, t), l.cli)
		if err == nil {
			return result, nil
		}
		// An engine that changed between two requests refuses the version agreed upon with
		// the old one, and has done nothing yet.
		if !again && l.stale.Load() && strings.Contains(err.Error(), "client version") {
			continue
		}
		return none, e.problem(l, doing, err, t)
	}
}

// problem words an error of the Docker client.
func (e *engine) problem(l *dockerLink, doing string, err error, t *trip) error {
	if cause := t.err.Load(); cause != nil {
		err = *cause
	}
	var p *ops.Problem
	switch {
	case errors.As(err, &p):
		return e.h.say(doing, p.Err, p.Hint)
	case errors.Is(err, context.DeadlineExceeded):
		return e.h.say(doing, as(ops.ErrUnreachable, fmt.Errorf("the engine did not answer in time: %w", err)), "systemctl status docker; is the host overloaded?")
	case errors.Is(err, context.Canceled):
		return e.h.say(doing, err, "")
	case cerrdefs.IsNotFound(err):
		return e.h.say(doing, as(errNotFound, err), "")
	}
	if lost := l.conn.lost(err); lost != nil {
		return e.h.say(doing, lost, "the connection is being made again")
	}
	if t.err.Load() != nil { // no answer came
		if errors.Is(err, io.EOF) {
			err = errors.New("the engine closed the connection")
		}
		return e.h.say(doing, as(ops.ErrUnreachable, err), "is the engine restarting? systemctl status docker")
	}
	return e.h.say(doing, err, "")
}

// do is call without a result.
func do(ctx context.Context, e *engine, doing string, timeout time.Duration, f func(context.Context, *client.Client) error) error {
	_, err := call(ctx, e, doing, timeout, func(ctx context.Context, cli *client.Client) (struct{}, error) {
		return struct{}{}, f(ctx, cli)
	})
	return err
}

// Version asks the running engine by a ping, whose answer names it in the header Server
// ("Docker/20.10.24+dfsg1 (linux)", moby's server/middleware/version.go): GET /version
// starts runc and docker-init each time and takes 20 times as long (80 ms, measured).
// Running has the upstream part alone, as Facts.Installed has. What the engine works with
// is told by GET /version alone, so that is asked on the beat of the facts.
func (e *engine) Version(ctx context.Context) (ops.EngineVersion, error) {
	before, err := e.h.dockerLink(ctx)
	if err != nil {
		return ops.EngineVersion{}, err
	}
	v, err := e.version(ctx)
	if after, _ := e.h.dockerLink(ctx); err == nil && after != before { // it is another engine now
		return e.version(ctx)
	}
	return v, err
}

func (e *engine) version(ctx context.Context) (ops.EngineVersion, error) {
	return call(ctx, e, "reading the engine's version", e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (ops.EngineVersion, error) {
		ping, err := cli.Ping(ctx)
		if err != nil {
			return ops.EngineVersion{}, err
		}
		cli.NegotiateAPIVersionPing(ping)
		server, _ := ctx.Value(tripKey{}).(*trip).server.Load().(string)
		name, _, _ := strings.Cut(server, " ")
		running, known := strings.CutPrefix(name, "Docker/")
		if !known || ping.APIVersion == "" { // something in between took the headers away
			v, err := cli.ServerVersion(ctx)
			if err != nil {
				return ops.EngineVersion{}, err
			}
			running, ping.APIVersion = v.Version, v.APIVersion
		}
		return ops.EngineVersion{Running: upstream(running), API: ping.APIVersion, Used: cli.ClientVersion()}, nil
	})
}

// How long the versions of what the engine works with are good for, and how long to wait
// for them: an engine whose containerd is gone may not answer.
const (
	partsFor  = 30 * time.Second
	partsWait = 3 * time.Second
)

// partsSeen are the versions of what an engine works with, as it last said.
type partsSeen struct {
	cli   *client.Client // a changed engine has a new one
	at    time.Time
	parts map[string]string
}

// Parts asks GET /version for containerd and runc, on a beat of its own; nil: the engine does
// not say.
func (e *engine) Parts(ctx context.Context) map[string]string {
	l, err := e.h.dockerLink(ctx)
	if err != nil {
		return nil
	}
	cli := l.cli
	e.h.factsMu.Lock()
	seen := e.h.parts
	e.h.factsMu.Unlock()
	now := e.h.opt.Now()
	if seen.cli == cli && now.Sub(seen.at) < partsFor {
		return seen.parts
	}
	ctx, cancel := context.WithTimeout(ctx, partsWait)
	defer cancel()
	v, err := cli.ServerVersion(ctx)
	if seen.cli != cli {
		seen.parts = nil
	}
	seen.cli, seen.at = cli, now
	if err == nil {
		seen.parts = partsOf(v)
	}
	e.h.factsMu.Lock()
	e.h.parts = seen
	e.h.factsMu.Unlock()
	return seen.parts
}

// partsOf reads the components of GET /version, which engines tell from 18.06 on; nil
// where they do not.
func partsOf(v types.Version) map[string]string {
	var parts map[string]string
	for _, c := range v.Components {
		if (c.Name == "containerd" || c.Name == "runc") && c.Version != "" {
			if parts == nil {
				parts = map[string]string{}
			}
			parts[c.Name] = strings.TrimPrefix(c.Version, "v")
		}
	}
	return parts
}

// Networks lists all networks.
func (e *engine) Networks(ctx context.Context) ([]ops.Network, error) {
	return call(ctx, e, "listing networks", e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) ([]ops.Network, error) {
		list, err := cli.NetworkList(ctx, network.ListOptions{})
		if err != nil {
			return nil, err
		}
		out := make([]ops.Network, 0, len(list))
		for _, n := range list {
			o := ops.Network{ID: n.ID, Name: n.Name, Driver: n.Driver, Labels: n.Labels}
			for _, c := range n.IPAM.Config {
				o.Subnets = append(o.Subnets, c.Subnet)
			}
			out = append(out, o)
		}
		return out, nil
	})
}

// Images lists the images, without intermediate layers.
func (e *engine) Images(ctx context.Context) ([]ops.Image, error) {
	return call(ctx, e, "listing images", e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) ([]ops.Image, error) {
		list, err := cli.ImageList(ctx, image.ListOptions{})
		if err != nil {
			return nil, err
		}
		out := make([]ops.Image, 0, len(list))
		for _, i := range list {
			o := ops.Image{ID: i.ID, Created: time.Unix(i.Created, 0).UTC(), Size: i.Size}
			for _, tag := range i.RepoTags {
				if tag != "<none>:<none>" {
					o.Tags = append(o.Tags, tag)
				}
			}
			out = append(out, o)
		}
		return out, nil
	})
}

// Inspect returns the engine's answer as it came.
func (e *engine) Inspect(ctx context.Context, id string) (json.RawMessage, error) {
	return call(ctx, e, "inspecting "+id, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (json.RawMessage, error) {
		_, raw, err := cli.ContainerInspectWithRaw(ctx, id, false)
		return raw, err
	})
}

func (e *engine) Start(ctx context.Context, id string) error {
	defer e.h.inspects.forget(id)
	return do(ctx, e, "starting "+id, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		return cli.ContainerStart(ctx, id, container.StartOptions{})
	})
}

// Stop gives the container the time and then kills it, as the engine does; the deadline of
// the call leaves room for both.
func (e *engine) Stop(ctx context.Context, id string, within time.Duration) error {
	defer e.h.inspects.forget(id)
	return do(ctx, e, "stopping "+id, within+e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		return cli.ContainerStop(ctx, id, stopOptions(within))
	})
}

func (e *engine) Restart(ctx context.Context, id string, within time.Duration) error {
	defer e.h.inspects.forget(id)
	return do(ctx, e, "restarting "+id, within+e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		return cli.ContainerRestart(ctx, id, stopOptions(within))
	})
}

// stopOptions rounds up: 0 seconds would mean to kill at once.
func stopOptions(within time.Duration) container.StopOptions {
	seconds := int((within + time.Second - 1) / time.Second)
	return container.StopOptions{Timeout: &seconds}
}

func (e *engine) Rename(ctx context.Context, id, name string) error {
	defer e.h.inspects.forget(id)
	return do(ctx, e, fmt.Sprintf("renaming %s to %s", id, name), e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		return cli.ContainerRename(ctx, id, name)
	})
}

// Remove removes a stopped container and leaves its volumes.
func (e *engine) Remove(ctx context.Context, id string) error {
	defer e.h.inspects.forget(id)
	return do(ctx, e, "removing "+id, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		return cli.ContainerRemove(ctx, id, container.RemoveOptions{})
	})
}

// SetRestartPolicy takes the policy as Container.Policy has it: "always", "on-failure:3".
func (e *engine) SetRestartPolicy(ctx context.Context, id, policy string) error {
	doing := fmt.Sprintf("setting the restart policy of %s to %s", id, policy)
	p, err := parsePolicy(policy)
	if err != nil {
		return e.h.say(doing, err, "")
	}
	defer e.h.inspects.forget(id)
	return do(ctx, e, doing, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		_, err := cli.ContainerUpdate(ctx, id, container.UpdateConfig{RestartPolicy: p})
		return err
	})
}

func (e *engine) RemoveImage(ctx context.Context, ref string) error {
	return do(ctx, e, "removing the image "+ref, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		_, err := cli.ImageRemove(ctx, ref, image.RemoveOptions{})
		return err
	})
}

// Import has no second try: the tar is read only once.
func (e *engine) Import(ctx context.Context, tar io.Reader, ref string, changes []string) (string, error) {
	ctx, cancel := e.h.within(ctx, 2*time.Minute)
	defer cancel()
	doing := "importing the image " + ref
	if _, err := e.Version(ctx); err != nil { // agrees on the version beforehand
		return "", err
	}
	l, err := e.h.dockerLink(ctx)
	if err != nil {
		return "", err
	}
	t := &trip{}
	body, err := l.cli.ImageImport(context.WithValue(ctx, tripKey{}, t), image.ImportSource{Source: tar, SourceName: "-"}, ref, image.ImportOptions{Changes: changes})
	if err != nil {
		return "", e.problem(l, doing, err, t)
	}
	defer body.Close()
	id := ""
	for messages := json.NewDecoder(body); ; {
		var m struct{ Status, Error string }
		switch err := messages.Decode(&m); {
		case err == io.EOF && id != "":
			return id, nil
		case err == io.EOF:
			return "", e.h.say(doing, errors.New("the engine did not name the new image"), "")
		case err != nil:
			return "", e.problem(l, doing, err, t)
		case m.Error != "":
			return "", e.h.say(doing, errors.New(m.Error), "")
		case strings.HasPrefix(m.Status, "sha256:"):
			id = m.Status
		}
	}
}
