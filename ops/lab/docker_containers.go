package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

func (d *docker) container() (*container, error) { return d.e.lookup(d.r.PathValue("id")) }

func (d *docker) containerList() error {
	f, err := d.filters()
	if err != nil {
		return err
	}
	all := d.flag("all") || len(f["status"]) > 0
	out := []obj{}
	for _, c := range slices.Backward(d.e.ordered()) { // newest first, as the engine lists
		keep := (all || c.state == "running" || c.state == "restarting") && f.labelled(c.labels()) &&
			f.pass("id", func(v string) bool { return strings.HasPrefix(c.id, v) }) &&
			f.pass("name", func(v string) bool {
				fits, err := regexp.MatchString(v, "/"+c.name) // the engine matches with and without the slash
				also, err2 := regexp.MatchString(v, c.name)
				return err == nil && fits || err2 == nil && also
			}) &&
			f.pass("status", func(v string) bool { return v == c.state }) &&
			f.pass("health", func(v string) bool { return v == c.health || v == "none" && c.health == "" }) &&
			f.pass("network", func(v string) bool { _, ok := c.networks[v]; return ok })
		if keep {
			out = append(out, c.summary())
		}
	}
	d.reply(http.StatusOK, out)
	return nil
}

// summary is a container as the list shows it.
func (c *container) summary() obj {
	image := c.image
	if im := c.engine.image(c.image); im == nil || im.id != c.imageID {
		image = c.imageID // the tag went to another image
	}
	ports := []obj{}
	if c.state == "running" {
		for private, bound := range c.bindings() {
			port, proto, _ := strings.Cut(private, "/")
			n, _ := strconv.Atoi(port)
			for _, b := range bound {
				public, _ := strconv.Atoi(b["HostPort"])
				ports = append(ports, obj{"IP": "0.0.0.0", "PrivatePort": n, "PublicPort": public, "Type": proto})
			}
		}
	}
	mounts := c.volumes
	if mounts == nil {
		mounts = []obj{}
	}
	return obj{
		"Id": c.id, "Names": []string{"/" + c.name}, "Image": image, "ImageID": c.imageID, "Command": c.command(), "Created": c.created.Unix(),
		"Ports": ports, "Labels": c.labels(), "State": c.state, "Status": c.status(), "HostConfig": obj{"NetworkMode": c.host["NetworkMode"]},
		"NetworkSettings": obj{"Networks": c.endpoints()}, "Mounts": mounts,
	}
}

// status is the state in the engine's words: "Up 3 hours (healthy)".
func (c *container) status() string {
	now := c.engine.host.now()
	switch c.state {
	case "running":
		text := "Up " + units.HumanDuration(now.Sub(c.started))
		switch c.health {
		case "":
			return text
		case "starting":
			return text + " (health: starting)"
		}
		return text + " (" + c.health + ")"
	case "restarting":
		return fmt.Sprintf("Restarting (%d) %s ago", c.exit, units.HumanDuration(now.Sub(c.finished)))
	case "exited":
		return fmt.Sprintf("Exited (%d) %s ago", c.exit, units.HumanDuration(now.Sub(c.finished)))
	case "removing":
		return "Removal In Progress"
	}
	return "Created"
}

func (c *container) words(key string) []string {
	var out []string
	switch v := c.config[key].(type) {
	case []any:
		for _, w := range v {
			out = append(out, fmt.Sprint(w))
		}
	case []string:
		out = v
	}
	return out
}

func (c *container) command() string {
	return strings.Join(append(c.words("Entrypoint"), c.words("Cmd")...), " ")
}

// bindings are the published ports: "8088/tcp" -> [{HostIp, HostPort}].
func (c *container) bindings() map[string][]map[string]string {
	out := map[string][]map[string]string{}
	text, err := json.Marshal(c.host["PortBindings"])
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return nil
	}
	return out
}

func (c *container) endpoints() obj {
	out := obj{}
	for name, ep := range c.networks {
		one := obj{
			"IPAMConfig": nil, "Links": ep.links, "Aliases": ep.aliases, "NetworkID": ep.networkID, "EndpointID": "", "Gateway": "", "IPAddress": "",
			"IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "", "DriverOpts": ep.options,
		}
		if ep.ipam != nil {
			one["IPAMConfig"] = ep.ipam
		}
		if n, err := c.engine.joined(name, ep); err == nil && c.state == "running" {
			one["EndpointID"] = ep.id
			if n.subnet != "" {
				one["Gateway"], one["IPAddress"], one["IPPrefixLen"], one["MacAddress"] = n.gateway(), ep.address, n.bits(), ep.mac
			}
		}
		if minor(c.engine.release.api) >= 44 {
			one["DNSNames"] = append(slices.Clone(ep.aliases), c.id[:12])
		}
		out[name] = one
	}
	return out
}

func (d *docker) containerInspect() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	d.reply(http.StatusOK, c.inspect())
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00Z"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (c *container) inspect() obj {
	state := obj{
		"Status": c.state, "Running": c.state == "running" || c.state == "restarting", "Paused": false, "Restarting": c.state == "restarting",
		"OOMKilled": false, "Dead": false, "Pid": c.pid, "ExitCode": c.exit, "Error": "", "StartedAt": stamp(c.started), "FinishedAt": stamp(c.finished),
	}
	if c.health != "" {
		state["Health"] = obj{"Status": c.health, "FailingStreak": c.streak, "Log": c.checks()}
	}
	words := append(c.words("Entrypoint"), c.words("Cmd")...)
	path, args := "", []string{}
	if len(words) > 0 {
		path, args = words[0], words[1:]
	}
	ports := obj{}
	if c.state == "running" {
		for private, bound := range c.bindings() {
			for _, b := range bound {
				b["HostIp"] = "0.0.0.0"
			}
			ports[private] = bound
		}
	}
	mounts := c.volumes
	if mounts == nil {
		mounts = []obj{}
	}
	return obj{
		"Id": c.id, "Created": stamp(c.created), "Path": path, "Args": args, "State": state, "Image": c.imageID, "Name": "/" + c.name,
		"RestartCount": c.restarts, "Driver": "overlay2", "Platform": "linux", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "docker-default",
		"ExecIDs": nil, "HostConfig": c.host, "Config": c.config, "Mounts": mounts, "LogPath": dockerRoot + "/containers/" + c.id + "/" + c.id + "-json.log",
		"ResolvConfPath": dockerRoot + "/containers/" + c.id + "/resolv.conf", "HostnamePath": dockerRoot + "/containers/" + c.id + "/hostname",
		"HostsPath":       dockerRoot + "/containers/" + c.id + "/hosts",
		"GraphDriver":     obj{"Name": "overlay2", "Data": obj{}},
		"NetworkSettings": obj{"Bridge": "", "Ports": ports, "Networks": c.endpoints(), "SandboxID": "", "SandboxKey": ""},
	}
}

var containerName = regexp.MustCompile(`^/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// free refuses a name that is taken.
func (e *engine) free(name string) error {
	if !containerName.MatchString(name) {
		return apiError{http.StatusBadRequest, fmt.Sprintf("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)}
	}
	for _, c := range e.containers {
		if c.name == strings.TrimPrefix(name, "/") {
			return apiError{http.StatusConflict, fmt.Sprintf("Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", "/"+c.name, c.id)}
		}
	}
	return nil
}

func (d *docker) containerCreate() error {
	var body obj
	if err := d.body(&body); err != nil {
		return err
	}
	name := d.r.URL.Query().Get("name")
	if name == "" {
		name = "lab_" + strconv.Itoa(d.e.nextNumber())
	}
	if err := d.e.free(name); err != nil {
		return err
	}
	ref, _ := body["Image"].(string)
	im := d.e.image(ref)
	if im == nil {
		if !strings.Contains(ref, ":") {
			ref += ":latest"
		}
		return apiError{http.StatusNotFound, "No such image: " + ref}
	}
	networking, _ := body["NetworkingConfig"].(obj)
	endpoints, _ := networking["EndpointsConfig"].(obj)
	if len(endpoints) > 1 && minor(d.api) < 44 {
		return apiError{http.StatusBadRequest, fmt.Sprintf("Container cannot be connected to network endpoints: %s", strings.Join(slices.Sorted(maps.Keys(endpoints)), ", "))}
	}
	c := d.e.make(strings.TrimPrefix(name, "/"), im, body)
	d.reply(http.StatusCreated, obj{"Id": c.id, "Warnings": []string{}})
	return nil
}

func (e *engine) nextNumber() int {
	n := 0
	for _, c := range e.containers {
		n = max(n, c.number)
	}
	return n + 1
}

// make makes a container with the image's and the engine's defaults where nothing was
// asked for.
func (e *engine) make(name string, im *image, config obj) *container {
	ref, _ := config["Image"].(string)
	host, _ := config["HostConfig"].(obj)
	networking, _ := config["NetworkingConfig"].(obj)
	endpoints, _ := networking["EndpointsConfig"].(obj)
	delete(config, "HostConfig")
	delete(config, "NetworkingConfig")
	if host == nil {
		host = obj{}
	}
	for k, v := range im.config {
		switch have := config[k].(type) {
		case nil:
			config[k] = v
		case obj:
			if add, ok := v.(obj); ok && k != "Healthcheck" {
				merged := maps.Clone(add)
				maps.Copy(merged, have)
				config[k] = merged
			}
		case []any:
			if k == "Env" {
				config[k] = mergeEnv(v, have)
			}
		}
	}
	e.fill(host)
	mode, _ := host["NetworkMode"].(string)
	if mode == "" || mode == "default" {
		mode = "default"
		host["NetworkMode"] = mode
	}
	c := &container{
		engine: e, number: e.nextNumber(), id: e.host.w.newID(), name: name, created: e.host.now(), image: ref, imageID: im.id, config: config, host: host,
		networks: map[string]*endpoint{}, state: "created",
	}
	if len(endpoints) == 0 && !strings.HasPrefix(mode, "container:") {
		if mode == "default" {
			mode = "bridge"
		}
		endpoints = obj{mode: obj{}}
	}
	for at, settings := range endpoints {
		if at == "default" {
			at = "bridge"
		}
		n, err := e.network(at)
		if err == nil {
			at = n.name
		}
		c.networks[at] = newEndpoint(c, n, settings)
	}
	if config["Hostname"] == nil || config["Hostname"] == "" {
		config["Hostname"] = c.id[:12]
	}
	c.mount()
	e.containers[c.id] = c
	e.emit("container", "create", c.id, c.attributes())
	return c
}

// fill puts the engine's defaults into a HostConfig, as an inspect shows them.
func (e *engine) fill(host obj) {
	policy, _ := host["RestartPolicy"].(obj)
	if policy == nil || policy["Name"] == nil || policy["Name"] == "" {
		host["RestartPolicy"] = obj{"Name": "no", "MaximumRetryCount": 0}
	}
	logs, _ := host["LogConfig"].(obj)
	if kind, _ := logs["Type"].(string); kind == "" {
		host["LogConfig"] = e.config.logs
	}
	for key, value := range map[string]any{
		"IpcMode": "private", "CgroupnsMode": "private", "Runtime": "runc", "ShmSize": 64 << 20, "Isolation": "", "PidMode": "", "UTSMode": "", "UsernsMode": "",
		"MaskedPaths":   []string{"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"},
		"ReadonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
	} {
		if blank(host[key]) {
			host[key] = value
		}
	}
}

// mergeEnv keeps what was asked for and adds the image's variables that it does not name.
func mergeEnv(image any, asked []any) []any {
	have := map[string]bool{}
	for _, v := range asked {
		key, _, _ := strings.Cut(fmt.Sprint(v), "=")
		have[key] = true
	}
	out := slices.Clone(asked)
	if defaults, ok := image.([]any); ok {
		for _, v := range defaults {
			if key, _, _ := strings.Cut(fmt.Sprint(v), "="); !have[key] {
				out = append(out, v)
			}
		}
	}
	return out
}

// newEndpoint is a place in a network; nil is one that is not there (yet): that is found
// out at the start.
func newEndpoint(c *container, n *network, settings any) *endpoint {
	ep := &endpoint{}
	if n != nil {
		ep.networkID = n.id
	}
	if s, ok := settings.(obj); ok {
		if names, ok := s["Aliases"].([]any); ok {
			for _, a := range names {
				ep.aliases = append(ep.aliases, fmt.Sprint(a))
			}
		}
		ep.ipam, _ = s["IPAMConfig"].(obj)
		ep.options, ep.links = s["DriverOpts"], s["Links"]
	}
	if short := c.id[:12]; (n == nil || !n.builtin) && !slices.Contains(ep.aliases, short) && minor(c.engine.release.api) < 45 {
		ep.aliases = append(ep.aliases, short) // until 1.45 the engine adds its own id
	}
	return ep
}
