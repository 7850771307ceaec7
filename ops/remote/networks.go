package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"tandem/ops"
)

// InspectNetwork returns the engine's answer as it came.
func (e *engine) InspectNetwork(ctx context.Context, id string) (json.RawMessage, error) {
	return call(ctx, e, "inspecting the network "+id, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (json.RawMessage, error) {
		_, raw, err := cli.NetworkInspectWithRaw(ctx, id, network.InspectOptions{})
		return raw, err
	})
}

// RemoveNetwork is refused by the engine while a container is on the network.
func (e *engine) RemoveNetwork(ctx context.Context, id string) error {
	return do(ctx, e, "removing the network "+id, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) error {
		return cli.NetworkRemove(ctx, id)
	})
}

// CreateNetwork makes a network like the inspected one, then compares. A name that is
// taken is an error that wraps [fs.ErrExist]: engines before API 1.44 would make a second
// network of that name. A network that could not be inspected afterwards is removed again.
func (e *engine) CreateNetwork(ctx context.Context, like json.RawMessage, anyRange bool) (string, []string, error) {
	var old inspectedNetwork
	if err := json.Unmarshal(like, &old); err != nil || old.Name == "" || old.Driver == "" {
		return "", nil, e.h.say("creating a network", errors.Join(errors.New("the inspect to follow is not one of a network"), err), "")
	}
	options, lost := old.options(anyRange)
	type created struct {
		id   string
		lost []string
	}
	doing := "creating the network " + old.Name
	c, err := call(ctx, e, doing, e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) (created, error) {
		list, err := cli.NetworkList(ctx, network.ListOptions{})
		if err != nil {
			return created{}, err
		}
		for _, n := range list {
			if n.Name == old.Name {
				return created{}, as(fs.ErrExist, fmt.Errorf("there is a network of that name already, with the id %s", n.ID))
			}
		}
		made, err := cli.NetworkCreate(ctx, old.Name, options) // the client sets CheckDuplicate where it counts
		if cerrdefs.IsConflict(err) {
			err = as(fs.ErrExist, err)
		}
		if err != nil {
			return created{}, err
		}
		_, raw, err := cli.NetworkInspectWithRaw(ctx, made.ID, network.InspectOptions{})
		var is inspectedNetwork
		if err == nil {
			err = json.Unmarshal(raw, &is)
		}
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return created{}, errors.Join(err, cli.NetworkRemove(ctx, made.ID))
		}
		return created{made.ID, append(lost, old.missing(&is, options.IPAM)...)}, nil
	})
	return c.id, c.lost, err
}

// inspectedNetwork is an inspect that tells "false" from "not said": engines before 28 do
// not say EnableIPv4, and mean true.
type inspectedNetwork struct {
	network.Inspect
	EnableIPv4 *bool
}

// options are what to ask for, and what cannot be asked for.
func (n *inspectedNetwork) options(anyRange bool) (network.CreateOptions, []string) {
	o := network.CreateOptions{Driver: n.Driver, Internal: n.Internal, Attachable: n.Attachable, Ingress: n.Ingress, ConfigOnly: n.ConfigOnly}
	if n.Scope != "local" { // where the driver's own is another, the engine refuses "local"
		o.Scope = n.Scope
	}
	if n.ConfigOnly { // its driver "null" is what the engine makes of none
		o.Driver = ""
	}
	if n.ConfigFrom.Network != "" {
		// All else comes from there, and the engine refuses it here (moby libnetwork,
		// Network.validateConfiguration).
		o.ConfigFrom = &n.ConfigFrom
		return o, nil
	}
	o.EnableIPv4, o.EnableIPv6, o.Options, o.Labels = n.EnableIPv4, &n.EnableIPv6, n.Options, n.Labels
	o.IPAM = &network.IPAM{Driver: n.IPAM.Driver, Options: n.IPAM.Options}
	var lost []string
	for _, c := range n.IPAM.Config {
		// Some engines write the gateway of IPv6 with the length of its range.
		c.Gateway, _, _ = strings.Cut(c.Gateway, "/")
		// The pools that are moved are of IPv4, and before 27 a range of IPv6 is never the engine's choice.
		if anyRange && !strings.Contains(c.Subnet, ":") {
			if c.IPRange != "" {
				lost = append(lost, "range for containers "+c.IPRange+" (the engine chooses the range)")
			}
			for _, name := range slices.Sorted(maps.Keys(c.AuxAddress)) {
				lost = append(lost, "reserved address "+c.AuxAddress[name]+" (the engine chooses the range)")
			}
			continue
		}
		o.IPAM.Config = append(o.IPAM.Config, c)
	}
	return o, lost
}

// missing names in words what the new network has not the same. Values are told: labels and
// options of networks hold no secrets, and ranges are what matters.
func (n *inspectedNetwork) missing(is *inspectedNetwork, ipam *network.IPAM) []string {
	var lost []string
	differ := func(what string, was, now any) {
		if was != now {
			lost = append(lost, fmt.Sprintf("%s %v (now %v)", what, was, now))
		}
	}
	differ("driver", n.Driver, is.Driver)
	differ("scope", n.Scope, is.Scope)
	differ("internal", n.Internal, is.Internal)
	differ("attachable", n.Attachable, is.Attachable)
	differ("IPv6", n.EnableIPv6, is.EnableIPv6)
	differ("IPv4", n.EnableIPv4 == nil || *n.EnableIPv4, is.EnableIPv4 == nil || *is.EnableIPv4)
	differ("configuration from", n.ConfigFrom.Network, is.ConfigFrom.Network)
	pairs := func(what string, was, now map[string]string) {
		for _, k := range slices.Sorted(maps.Keys(was)) {
			differ(what+" "+k, was[k], now[k])
		}
	}
	pairs("option", n.Options, is.Options)
	pairs("label", n.Labels, is.Labels)
	if ipam == nil {
		return lost
	}
	differ("address manager", ipam.Driver, is.IPAM.Driver)
	pairs("address manager's option", ipam.Options, is.IPAM.Options)
	for _, c := range ipam.Config {
		i := slices.IndexFunc(is.IPAM.Config, func(now network.IPAMConfig) bool { return now.Subnet == c.Subnet })
		if i < 0 {
			lost = append(lost, "range "+c.Subnet)
			continue
		}
		now := is.IPAM.Config[i]
		now.Gateway, _, _ = strings.Cut(now.Gateway, "/")
		if c.Gateway != "" { // else it was the engine's choice
			differ("gateway", c.Gateway, now.Gateway)
		}
		differ("range for containers", c.IPRange, now.IPRange)
		pairs("reserved address", c.AuxAddress, now.AuxAddress)
	}
	return lost
}

// Pools asks for the pools in effect.
func (e *engine) Pools(ctx context.Context) ([]ops.Pool, error) {
	return call(ctx, e, "reading the engine's address pools", e.h.opt.CommandTimeout, func(ctx context.Context, cli *client.Client) ([]ops.Pool, error) {
		info, err := cli.Info(ctx)
		if err != nil {
			return nil, err
		}
		var pools []ops.Pool
		for _, p := range info.DefaultAddressPools {
			base, err := netip.ParsePrefix(p.Base)
			if err != nil {
				return nil, fmt.Errorf("reading the pool %q: %w", p.Base, err)
			}
			pools = append(pools, ops.Pool{Base: base, Size: p.Size})
		}
		return pools, nil
	})
}

// Reach connects anew, beside the connection that there is. A key's passphrase is not asked
// for again: keys that were opened are kept for the life of the process.
func (h *Host) Reach(ctx context.Context) error {
	probe, err := New(h.target, h.opt)
	if err != nil {
		return err
	}
	defer probe.Close()
	engine, err := probe.Engine(ctx)
	if err != nil {
		return err
	}
	_, err = engine.Version(ctx)
	return err
}

// Reaches connects anew and lets sshd open a TCP connection, as for a forwarded port.
func (h *Host) Reaches(ctx context.Context, to netip.AddrPort) error {
	probe, err := New(h.target, h.opt)
	if err != nil {
		return err
	}
	defer probe.Close()
	ctx, cancel := h.within(ctx, getTimeout)
	defer cancel()
	conn, err := probe.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	return conn.Close()
}
