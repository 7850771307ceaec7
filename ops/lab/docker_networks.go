package lab

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

func (n *network) json(e *engine, full bool) obj {
	containers := obj{}
	if full {
		for _, c := range e.containers {
			if ep := c.networks[n.name]; ep != nil && ep.networkID == n.id && c.state == "running" {
				address := ""
				if n.subnet != "" {
					address = fmt.Sprintf("%s/%d", ep.address, n.bits())
				}
				containers[c.id] = obj{"Name": c.name, "EndpointID": ep.id, "MacAddress": ep.mac, "IPv4Address": address, "IPv6Address": ""}
			}
		}
	}
	labels, options := n.labels, n.options
	if labels == nil {
		labels = map[string]string{}
	}
	if options == nil {
		options = map[string]string{}
	}
	return obj{
		"Name": n.name, "Id": n.id, "Created": stamp(n.created), "Scope": n.scope, "Driver": n.driver, "EnableIPv6": n.ipv6,
		"IPAM":     n.ranges(),
		"Internal": n.internal, "Attachable": n.attachable, "Ingress": false, "ConfigFrom": obj{"Network": ""}, "ConfigOnly": false,
		"Containers": containers, "Options": options, "Labels": labels,
	}
}

func (d *docker) networkList() error {
	f, err := d.filters()
	if err != nil {
		return err
	}
	out := []obj{}
	for _, n := range slices.SortedFunc(maps.Values(d.e.networks), func(a, b *network) int {
		return cmp.Or(b.created.Compare(a.created), strings.Compare(a.name, b.name))
	}) {
		if f.labelled(n.labels) && f.pass("name", func(v string) bool { return strings.Contains(n.name, v) }) &&
			f.pass("id", func(v string) bool { return strings.HasPrefix(n.id, v) }) &&
			f.pass("driver", func(v string) bool { return v == n.driver }) &&
			f.pass("type", func(v string) bool { return (v == "builtin") == n.builtin }) {
			out = append(out, n.json(d.e, false))
		}
	}
	d.reply(http.StatusOK, out)
	return nil
}

func (d *docker) networkInspect() error {
	n, err := d.e.network(d.r.PathValue("id"))
	if err != nil {
		return err
	}
	d.reply(http.StatusOK, n.json(d.e, true))
	return nil
}

// ranges is the IPAM of an inspect: as asked for, or what the engine chose.
func (n *network) ranges() obj {
	configs := []any{}
	if asked, ok := n.ipam["Config"].([]any); ok && len(asked) > 0 {
		configs = asked
	} else if n.subnet != "" {
		configs = append(configs, obj{"Subnet": n.subnet, "Gateway": n.gateway()})
	}
	driver, _ := n.ipam["Driver"].(string)
	return obj{"Driver": cmp.Or(driver, "default"), "Options": n.ipam["Options"], "Config": configs}
}

func (d *docker) networkCreate() error {
	var body struct {
		Name, Driver                     string
		Labels, Options                  map[string]string
		IPAM                             obj
		Internal, Attachable, EnableIPv6 bool
	}
	if err := d.body(&body); err != nil {
		return err
	}
	if n, ok := d.e.networks[body.Name]; ok {
		if n.builtin {
			return apiError{http.StatusForbidden, "operation is not permitted on predefined " + body.Name + " network "}
		}
		return apiError{http.StatusConflict, "network with name " + body.Name + " already exists"}
	}
	n := &network{
		id: d.h.w.newID(), name: body.Name, driver: cmp.Or(body.Driver, "bridge"), scope: "local", created: d.h.now(), labels: body.Labels, options: body.Options,
		ipam: body.IPAM, internal: body.Internal, attachable: body.Attachable, ipv6: body.EnableIPv6,
	}
	switch n.driver {
	case "bridge", "macvlan", "ipvlan":
	case "host", "null":
		return apiError{http.StatusForbidden, fmt.Sprintf("only one instance of %q network is allowed", n.driver)}
	default:
		return apiError{http.StatusNotFound, fmt.Sprintf("plugin %q not found", n.driver)}
	}
	if err := d.e.assign(n); err != nil {
		return err
	}
	d.e.networks[n.name] = n
	d.h.rerouted()
	d.e.emit("network", "create", n.id, map[string]string{"name": n.name, "type": n.driver})
	d.reply(http.StatusCreated, obj{"Id": n.id, "Warning": ""})
	return nil
}

// assign gives a new network the range that it asks for, or one out of the pools.
func (e *engine) assign(n *network) error {
	configs, _ := n.ipam["Config"].([]any)
	for _, one := range configs {
		conf, _ := one.(obj)
		subnet, _ := conf["Subnet"].(string)
		p, err := netip.ParsePrefix(subnet)
		switch {
		case err != nil:
			return apiError{http.StatusBadRequest, "invalid subnet " + subnet + ": invalid CIDR address: " + subnet}
		case p.Addr().Is6():
			continue
		}
		for _, other := range e.networks {
			if other.subnet != "" && other.prefix().Overlaps(p) {
				return apiError{http.StatusForbidden, "Pool overlaps with other one on this address space"}
			}
		}
		n.subnet = p.Masked().String()
		n.gate, _ = conf["Gateway"].(string)
		if n.gate == "" {
			conf["Gateway"] = n.gateway()
		}
	}
	if n.subnet != "" {
		return nil
	}
	if n.subnet = e.freeRange(); n.subnet == "" {
		return apiError{http.StatusNotFound, "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"}
	}
	n.ipam = maps.Clone(n.ipam)
	delete(n.ipam, "Config")
	return nil
}

func (d *docker) networkRemove() error {
	n, err := d.e.network(d.r.PathValue("id"))
	if err != nil {
		return err
	}
	if n.builtin {
		return apiError{http.StatusForbidden, n.name + " is a pre-defined network and cannot be removed"}
	}
	for _, c := range d.e.containers {
		if ep := c.networks[n.name]; ep != nil && ep.networkID == n.id && c.state == "running" {
			return apiError{http.StatusForbidden, fmt.Sprintf("error while removing network: network %s id %s has active endpoints", n.name, n.id)}
		}
	}
	delete(d.e.networks, n.name)
	d.h.rerouted()
	d.e.emit("network", "destroy", n.id, map[string]string{"name": n.name, "type": n.driver})
	d.reply(http.StatusNoContent, nil)
	return nil
}

// joining is the body of connect and disconnect.
type joining struct {
	Container      string
	EndpointConfig obj
	Force          bool
}

func (d *docker) joining() (*network, *container, joining, error) {
	var body joining
	if err := d.body(&body); err != nil {
		return nil, nil, body, err
	}
	n, err := d.e.network(d.r.PathValue("id"))
	if err != nil {
		return nil, nil, body, err
	}
	c, err := d.e.lookup(body.Container)
	return n, c, body, err
}

func (d *docker) networkConnect() error {
	n, c, body, err := d.joining()
	if err != nil {
		return err
	}
	if c.networks[n.name] != nil {
		return apiError{http.StatusForbidden, fmt.Sprintf("endpoint with name %s already exists in network %s", c.name, n.name)}
	}
	c.networks[n.name] = newEndpoint(c, n, body.EndpointConfig)
	if c.state == "running" {
		c.joinAll()
	}
	d.e.emit("network", "connect", n.id, map[string]string{"name": n.name, "type": n.driver, "container": c.id})
	d.reply(http.StatusOK, nil)
	return nil
}

func (d *docker) networkDisconnect() error {
	n, c, _, err := d.joining()
	if err != nil {
		return err
	}
	if c.networks[n.name] == nil {
		return apiError{http.StatusForbidden, fmt.Sprintf("container %s is not connected to network %s", c.id, n.name)}
	}
	delete(c.networks, n.name)
	d.e.emit("network", "disconnect", n.id, map[string]string{"name": n.name, "type": n.driver, "container": c.id})
	d.reply(http.StatusOK, nil)
	return nil
}
