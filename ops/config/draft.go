package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"tandem/ops"
)

// Draft is what is known of a pair before it has a config. Notes say where a part comes
// from, or what of it is a guess.
type Draft struct {
	Pair     string
	Hosts    map[ops.Side]Host
	Balancer Balancer
	Compose  ops.Compose
	Services []ops.Service // empty: no order is known
	Jobs     []ops.Job
	Notes    map[string][]string // by top-level key
}

// YAML is the draft as a config with comments. [Parse] accepts it where the draft is whole.
func (d Draft) YAML() []byte {
	w := &draftWriter{notes: d.Notes}
	w.line("# tandem.yaml, drafted by `tandem init`. Look at what the comments call a guess, then: tandem config check")
	w.part("pair", scalar(d.Pair))
	w.part("hosts", "")
	for _, side := range ops.Sides {
		h := d.Hosts[side]
		w.line("  %s:", side)
		for _, key := range []struct{ name, value string }{{"ssh", h.SSH}, {"jump", h.Jump}, {"identity", h.Identity}, {"known_hosts", h.KnownHosts}} {
			if key.value != "" {
				w.line("    %s: %s", key.name, scalar(key.value))
			}
		}
	}
	w.part("balancer", "")
	w.line("  kind: %s", d.Balancer.Kind)
	switch b := d.Balancer; b.Kind {
	case "haproxy":
		w.line("  haproxy:\n    socket: %s", scalar(b.HAProxy.Socket))
		if b.HAProxy.Via != nil {
			w.line("    via: %s", scalar(b.HAProxy.Via.SSH))
		}
		w.line("    backends: %s\n    servers: %s", scalars(b.HAProxy.Backends), sides(b.HAProxy.Servers))
	case "elbv2":
		w.line("  elbv2:\n    region: %s\n    target_groups: %s\n    targets: %s", scalar(b.ELBv2.Region), scalars(b.ELBv2.TargetGroups), sides(b.ELBv2.Targets))
	}
	if c := d.Compose; c != (ops.Compose{}) {
		w.part("compose", "")
		for _, key := range []struct{ name, value string }{{"project", c.Project}, {"directory", c.Directory}} {
			if key.value != "" {
				w.line("  %s: %s", key.name, scalar(key.value))
			}
		}
	}
	if len(d.Services) == 0 {
		w.comments("services")
		w.line("# services:   # start order; stops run backwards\n#   - {name: first, after: []}\n#   - {name: second, after: [first]}")
	} else {
		w.part("services", "")
		for _, s := range d.Services {
			w.line("  - {name: %s, after: %s%s}", scalar(s.Name), scalars(s.After), only(s.Only))
		}
	}
	if len(d.Jobs) > 0 {
		w.part("jobs", "")
		for _, j := range d.Jobs {
			w.line("  - {name: %s, service: %s%s}   # max_age: 26h says how old its last run may get", scalar(j.Name), scalar(j.Service), only(j.Only))
		}
	}
	w.line("\n# What Docker may use for its networks, and what it must not touch: the ranges of your own network.\n# networks: {pools: [{base: 10.200.0.0/16, size: 24}], reserved: [10.0.0.0/17]}")
	l := ops.DefaultLimits()
	w.line("\n# Deadlines, as they are without this line:\n# limits: {drain: %s, stop: %s, start: %s, reboot: %s, soak: %s, stale: %s, revert: %s}",
		short(l.Drain.String()), short(l.Stop.String()), short(l.Start.String()), short(l.Reboot.String()), short(l.Soak.String()), short(l.Stale.String()), short(l.Revert.String()))
	return w.Bytes()
}

// draftWriter writes the parts of a draft.
type draftWriter struct {
	bytes.Buffer
	notes map[string][]string
}

func (w *draftWriter) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// part begins a top-level key, under its comments.
func (w *draftWriter) part(key, value string) {
	w.comments(key)
	w.line("%s", strings.TrimRight(key+": "+value, " "))
}

func (w *draftWriter) comments(key string) {
	w.line("")
	for _, note := range w.notes[key] {
		w.line("# %s", strings.ReplaceAll(note, "\n", " "))
	}
}

// scalar is a text as YAML has it, quoted where it must be.
func scalar(text string) string {
	out, err := yaml.MarshalWithOptions(text, yaml.Flow(true))
	if err != nil {
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSpace(string(out))
}

func scalars(list []string) string {
	words := make([]string, len(list))
	for i, text := range list {
		words[i] = scalar(text)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func sides(of map[ops.Side]string) string {
	return fmt.Sprintf("{blue: %s, green: %s}", scalar(of[ops.Blue]), scalar(of[ops.Green]))
}

func only(side ops.Side) string {
	if side == "" {
		return ""
	}
	return ", only: " + string(side)
}

// short is a duration without the zeroes that Go writes: 5m, not 5m0s.
func short(d string) string {
	if strings.HasSuffix(d, "m0s") {
		d = strings.TrimSuffix(d, "0s")
	}
	if strings.HasSuffix(d, "h0m") {
		d = strings.TrimSuffix(d, "0m")
	}
	return d
}
