package steps

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// madeOf is what compose's files say of a container, from an engine's inspect: by name, and
// for each name what is told of it, to be compared and never shown: it may be secret.
type madeOf struct{ env, ports, mounts, labels map[string]string }

func readMadeOf(inspect json.RawMessage) (madeOf, error) {
	var c struct {
		Config struct {
			Env    []string
			Labels map[string]string
		}
		HostConfig struct {
			PortBindings map[string][]struct{ HostIP, HostPort string }
		}
		Mounts []struct {
			Type, Name, Source, Destination string
			RW                              bool
		}
	}
	if err := json.Unmarshal(inspect, &c); err != nil {
		return madeOf{}, fmt.Errorf("reading an inspect: %w", err)
	}
	m := madeOf{env: map[string]string{}, ports: map[string]string{}, mounts: map[string]string{}, labels: map[string]string{}}
	for _, v := range c.Config.Env {
		name, value, _ := strings.Cut(v, "=")
		m.env[name] = value
	}
	for name, value := range c.Config.Labels {
		// Compose's own say which compose it was, and where the files were.
		if !strings.HasPrefix(name, "com.docker.compose.") {
			m.labels[name] = value
		}
	}
	for port, bindings := range c.HostConfig.PortBindings {
		var at []string
		for _, b := range bindings {
			ip := b.HostIP
			if ip == "0.0.0.0" { // the same as none
				ip = ""
			}
			at = append(at, ip+":"+b.HostPort)
		}
		slices.Sort(at)
		m.ports[port] = strings.Join(at, " ")
	}
	for _, at := range c.Mounts {
		from := at.Source
		if at.Type == "volume" { // where the engine keeps it
			from = at.Name
		}
		m.mounts[at.Destination] = fmt.Sprintf("%s %s %v", at.Type, from, at.RW)
	}
	return m, nil
}

// madeOtherwise says what compose has made otherwise than it was: names alone.
func madeOtherwise(was, is json.RawMessage) ([]string, error) {
	old, err := readMadeOf(was)
	if err != nil {
		return nil, err
	}
	now, err := readMadeOf(is)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, part := range []struct {
		what     string
		was, now map[string]string
	}{
		{"its environment", old.env, now.env}, {"its ports", old.ports, now.ports}, {"its mounts", old.mounts, now.mounts}, {"its labels", old.labels, now.labels},
	} {
		if names := otherNames(part.was, part.now); names != nil {
			all = append(all, part.what+": "+strings.Join(names, ", "))
		}
	}
	return all, nil
}

func otherNames(was, now map[string]string) (names []string) {
	both := maps.Clone(was)
	maps.Copy(both, now)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		before, had := was[name]
		after, has := now[name]
		switch {
		case !has:
			names = append(names, name+" (gone)")
		case !had:
			names = append(names, name+" (new)")
		case before != after:
			names = append(names, name+" (changed)")
		}
	}
	return names
}
