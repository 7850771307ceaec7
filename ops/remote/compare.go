package remote

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
)

// Settings that are expected to differ, or that are compared in another way below.
var (
	ownConfig   = []string{"Hostname", "Image", "Env", "Labels", "MacAddress"}
	imageConfig = []string{"Cmd", "Entrypoint", "ExposedPorts", "Volumes", "WorkingDir", "User", "StopSignal", "Shell", "Healthcheck", "OnBuild", "ArgsEscaped"}
	ownHost     = []string{"Binds", "Mounts", "Links", "NetworkMode", "ContainerIDFile", "ConsoleSize"}
)

// compare names what the new container has not the same as the old one. It works on the
// engine's own JSON, so that settings which the Docker client does not know count too. It
// names settings and never their values, which may be secret.
func compare(old, new, wanted json.RawMessage, r *recipe, otherImage bool) ([]string, error) {
	type inspect struct {
		Config          map[string]any
		HostConfig      map[string]any
		Mounts          []struct{ Type, Name, Source, Destination string }
		NetworkSettings struct {
			Networks map[string]*network.EndpointSettings
		}
	}
	var was, is inspect
	var want container.Config
	for _, p := range []struct {
		from json.RawMessage
		to   any
	}{{old, &was}, {new, &is}, {wanted, &want}} {
		if err := json.Unmarshal(p.from, p.to); err != nil {
			return nil, fmt.Errorf("comparing the new container with the old: %w", err)
		}
	}
	var lost []string
	skip := ownConfig
	if otherImage {
		skip = slices.Concat(ownConfig, imageConfig)
	}
	differ := func(where string, a, b map[string]any, skip []string) {
		for _, k := range slices.Sorted(maps.Keys(a)) {
			if slices.Contains(skip, k) || reflect.DeepEqual(plain(k, a[k]), plain(k, b[k])) {
				continue
			}
			lost = append(lost, where+" "+k)
		}
	}
	differ("setting", was.Config, is.Config, skip)
	differ("host setting", was.HostConfig, is.HostConfig, ownHost)

	env, _ := is.Config["Env"].([]any)
	for _, v := range want.Env {
		if !slices.Contains(env, any(v)) {
			name, _, _ := strings.Cut(v, "=")
			lost = append(lost, "environment variable "+name)
		}
	}
	labels, _ := is.Config["Labels"].(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(want.Labels)) {
		if labels[k] != any(want.Labels[k]) {
			lost = append(lost, "label "+k)
		}
	}
	for _, m := range was.Mounts {
		if m.Type == string(mount.TypeVolume) {
			m.Source = "" // where the engine keeps it
		}
		if !slices.ContainsFunc(is.Mounts, func(n struct{ Type, Name, Source, Destination string }) bool {
			return n.Destination == m.Destination && n.Type == m.Type && n.Name == m.Name && (m.Source == "" || n.Source == m.Source)
		}) {
			lost = append(lost, "mount "+m.Destination)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.nets)) {
		ep := is.NetworkSettings.Networks[name]
		if ep == nil {
			lost = append(lost, "network "+name)
			continue
		}
		for _, a := range r.nets[name].Aliases {
			if !slices.Contains(ep.Aliases, a) {
				lost = append(lost, fmt.Sprintf("alias %s on the network %s", a, name))
			}
		}
		if fixed := r.nets[name].IPAMConfig; fixed != nil && (fixed.IPv4Address != "" || fixed.IPv6Address != "") &&
			(ep.IPAMConfig == nil || ep.IPAMConfig.IPv4Address != fixed.IPv4Address || ep.IPAMConfig.IPv6Address != fixed.IPv6Address) {
			lost = append(lost, fmt.Sprintf("fixed address on the network %s", name))
		}
	}
	if mac, _ := was.Config["MacAddress"].(string); mac != "" && is.Config["MacAddress"] != any(mac) &&
		(is.NetworkSettings.Networks[r.primary] == nil || is.NetworkSettings.Networks[r.primary].MacAddress != mac) {
		lost = append(lost, "fixed MAC address")
	}
	return lost, nil
}

// plain is a setting without what engines write in different ways and mean the same: null,
// "", [], {}, false and 0; the prefix CAP_ (from 20.10 on) and the order of capabilities; no
// restart policy and the policy "no"; -1 for the swappiness that nobody has set.
func plain(key string, v any) any {
	switch {
	case (key == "CapAdd" || key == "CapDrop") && v != nil:
		var names []string
		list, _ := v.([]any)
		for _, c := range list {
			names = append(names, strings.TrimPrefix(strings.ToUpper(fmt.Sprint(c)), "CAP_"))
		}
		return sortedOnce(names)
	case key == "RestartPolicy":
		if p, ok := v.(map[string]any); ok && p["Name"] == "no" {
			return nil
		}
	case key == "MemorySwappiness" && v == any(float64(-1)):
		return nil
	}
	return nonEmpty(v)
}

// nonEmpty leaves out of a JSON value what says nothing; nil if all of it does.
func nonEmpty(v any) any {
	switch v := v.(type) {
	case string, bool, float64:
		if reflect.ValueOf(v).IsZero() {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = nonEmpty(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			switch kept := nonEmpty(v[k]); {
			case kept != nil:
				out[k] = kept
			case isSet(v[k]): // {"8080/tcp": {}}: the key is what it says
				out[k] = true
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return v
}

// isSet tells whether the value is an empty list or object, and not just none.
func isSet(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}
