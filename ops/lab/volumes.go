package lab

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// volume is a volume of an engine.
type volume struct {
	name      string
	created   time.Time
	labels    map[string]string
	anonymous bool // made for a container that asked for a place and no name
}

func (v *volume) json() obj {
	return obj{
		"Name": v.name, "Driver": "local", "Mountpoint": volumePath(v.name), "Scope": "local", "Labels": v.labels, "Options": nil, "CreatedAt": v.created.UTC().Format(time.RFC3339),
	}
}

func volumePath(name string) string { return dockerRoot + "/volumes/" + name + "/_data" }

func (e *engine) volume(name string, anonymous bool) {
	if e.volumes[name] == nil {
		e.volumes[name] = &volume{name: name, created: e.host.now(), anonymous: anonymous}
		if anonymous && minor(e.release.api) >= 42 {
			e.volumes[name].labels = map[string]string{"com.docker.volume.anonymous": ""}
		}
	}
}

// mount lists the mounts of an inspect: the HostConfig's Binds and Mounts, and a new volume
// for every place that the image or the container declares and nothing is mounted at.
func (c *container) mount() {
	have := map[string]bool{}
	add := func(dest string, m obj) {
		m["Destination"] = dest
		have[dest] = true
		c.volumes = append(c.volumes, m)
	}
	binds, _ := c.host["Binds"].([]any)
	for _, b := range binds {
		source, rest, ok := strings.Cut(fmt.Sprint(b), ":")
		if !ok {
			continue
		}
		dest, mode, _ := strings.Cut(rest, ":")
		add(dest, c.mountOf(source, mode, !slices.Contains(strings.Split(mode, ","), "ro")))
	}
	mounts, _ := c.host["Mounts"].([]any)
	for _, one := range mounts {
		m, _ := one.(obj)
		dest, _ := m["Target"].(string)
		source, _ := m["Source"].(string)
		readOnly, _ := m["ReadOnly"].(bool)
		switch m["Type"] {
		case "bind", "volume":
			if source == "" {
				source = c.engine.anonymous()
			}
			add(dest, c.mountOf(source, "z", !readOnly))
		case "tmpfs":
			add(dest, obj{"Type": "tmpfs", "Source": "", "Mode": "", "RW": !readOnly, "Propagation": ""})
		}
	}
	declared, _ := c.config["Volumes"].(obj)
	for _, dest := range slices.Sorted(maps.Keys(declared)) {
		if !have[dest] {
			add(dest, c.mountOf(c.engine.anonymous(), "", true))
		}
	}
}

func (c *container) mountOf(source, mode string, writes bool) obj {
	if strings.HasPrefix(source, "/") {
		return obj{"Type": "bind", "Source": source, "Mode": mode, "RW": writes, "Propagation": "rprivate"}
	}
	c.engine.volume(source, false)
	return obj{"Type": "volume", "Name": source, "Source": volumePath(source), "Driver": "local", "Mode": mode, "RW": writes, "Propagation": ""}
}

// anonymous makes a volume with a name of 64 hex digits.
func (e *engine) anonymous() string {
	name := e.host.w.newID()
	e.volume(name, true)
	return name
}

// dropAnonymous removes the anonymous volumes of a container that was removed with v=1, or
// by itself.
func (e *engine) dropAnonymous(c *container) {
	for _, m := range c.volumes {
		name, _ := m["Name"].(string)
		if v := e.volumes[name]; v != nil && v.anonymous && len(e.users(name)) == 0 {
			delete(e.volumes, name)
		}
	}
}

// users are the containers that have a volume.
func (e *engine) users(name string) []string {
	var ids []string
	for _, c := range e.ordered() {
		if slices.ContainsFunc(c.volumes, func(m obj) bool { return m["Name"] == name }) {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// Volumes are the names of the host's volumes, sorted.
func (h *Host) Volumes() (names []string) {
	h.with(func() { names = slices.Sorted(maps.Keys(h.engine.volumes)) })
	return names
}

func (d *docker) volumeList() error {
	f, err := d.filters()
	if err != nil {
		return err
	}
	out := []obj{}
	for _, name := range slices.Sorted(maps.Keys(d.e.volumes)) {
		v := d.e.volumes[name]
		if f.labelled(v.labels) && f.pass("name", func(want string) bool { return strings.Contains(name, want) }) &&
			f.pass("dangling", func(want string) bool { return (want == "true" || want == "1") == (len(d.e.users(name)) == 0) }) {
			out = append(out, v.json())
		}
	}
	d.reply(http.StatusOK, obj{"Volumes": out, "Warnings": nil})
	return nil
}

func (d *docker) volumeCreate() error {
	var body struct {
		Name   string
		Labels map[string]string
	}
	if err := d.body(&body); err != nil {
		return err
	}
	if body.Name == "" {
		body.Name = d.e.anonymous()
	}
	d.e.volume(body.Name, false)
	v := d.e.volumes[body.Name]
	if body.Labels != nil && v.labels == nil {
		v.labels = body.Labels
	}
	d.reply(http.StatusCreated, v.json())
	return nil
}

func (d *docker) volumeInspect() error {
	v := d.e.volumes[d.r.PathValue("name")]
	if v == nil {
		return noVolume(d.r.PathValue("name"))
	}
	d.reply(http.StatusOK, v.json())
	return nil
}

func noVolume(name string) error {
	return apiError{http.StatusNotFound, "get " + name + ": no such volume"}
}

func (d *docker) volumeRemove() error {
	name := d.r.PathValue("name")
	if d.e.volumes[name] == nil {
		return noVolume(name)
	}
	if ids := d.e.users(name); len(ids) > 0 {
		return apiError{http.StatusConflict, fmt.Sprintf("remove %s: volume is in use - [%s]", name, strings.Join(ids, ", "))}
	}
	delete(d.e.volumes, name)
	d.reply(http.StatusNoContent, nil)
	return nil
}
