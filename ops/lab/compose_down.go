package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// chosen are the containers of the services asked for, or of all in the file.
func (c *composing) chosen() ([]made, error) {
	names := c.names
	if len(names) == 0 {
		names = c.project.names()
	}
	order, err := c.ordered(names, false)
	if err != nil {
		return nil, err
	}
	var out []made
	for _, service := range order {
		have, err := c.containers(service)
		if err != nil {
			return nil, err
		}
		out = append(out, have...)
	}
	return out, nil
}

func (c *composing) startAll() error {
	all, err := c.chosen()
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.State != "running" {
			if err := c.start(m.name(), "Starting"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *composing) stopAll() error {
	all, err := c.chosen()
	if err != nil {
		return err
	}
	patience := c.flags["-t"] + c.flags["--timeout"]
	if patience == "" {
		patience = "10"
	}
	for _, m := range slices.Backward(all) {
		if m.State != "running" && m.State != "restarting" {
			continue
		}
		if err := c.ask("POST", "/containers/"+m.ID+"/stop?t="+patience, nil, nil); err != nil {
			return c.failed(m.name(), err)
		}
		c.tell("Container", m.name(), "Stopping", map[bool]string{true: "done", false: "Stopped"}[c.v1()])
	}
	return nil
}

func (c *composing) rm() error {
	if !c.has("-f", "--force") {
		return errors.New("rm asks on a terminal, and there is none here: -f")
	}
	if c.has("-s", "--stop") {
		if err := c.stopAll(); err != nil {
			return err
		}
	}
	all, err := c.chosen()
	if err != nil {
		return err
	}
	query := ""
	if c.has("-v") {
		query = "?v=1"
	}
	for _, m := range slices.Backward(all) {
		if m.State == "running" {
			continue
		}
		if err := c.ask("DELETE", "/containers/"+m.ID+query, nil, nil); err != nil {
			return c.failed(m.name(), err)
		}
		c.tell("Container", m.name(), "Removing", map[bool]string{true: "done", false: "Removed"}[c.v1()])
	}
	return nil
}

func (c *composing) down() error {
	if err := c.stopAll(); err != nil {
		return err
	}
	c.flags["-f"] = ""
	if err := c.rm(); err != nil {
		return err
	}
	used := map[string]bool{}
	for _, service := range c.project.names() {
		for name := range c.onNetworks(service) {
			used[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		real, external := c.external(name, c.networks[name])
		if external {
			continue
		}
		if c.v1() {
			fmt.Fprintf(c.stderr, "Removing network %s\n", real)
		}
		var refused apiError
		if err := c.ask("DELETE", "/networks/"+real, nil, nil); err != nil && !(errors.As(err, &refused) && refused.status == http.StatusNotFound) {
			return c.failed(real, err)
		}
	}
	return nil
}

func (c *composing) ps() error {
	all, err := c.chosen()
	if err != nil {
		return err
	}
	for _, m := range all {
		switch {
		case !c.v1() && !c.has("-a", "--all") && m.State != "running":
		case c.has("-q", "--quiet"):
			c.say("%s\n", m.ID)
		case c.has("--services"):
			c.say("%s\n", m.service())
		default:
			c.say("%-30s %-30s %s\n", m.name(), m.Image, m.Status)
		}
	}
	return nil
}

func (c *composing) config() error {
	switch {
	case c.has("-q", "--quiet"):
	case c.has("--services"):
		order, err := c.ordered(c.project.names(), false)
		if err != nil {
			return err
		}
		c.say("%s\n", strings.Join(order, "\n"))
	default:
		text, err := json.MarshalIndent(obj{"name": c.name, "services": c.services, "networks": c.networks, "volumes": c.volumes}, "", "  ")
		if err != nil {
			return err
		}
		c.say("%s\n", text)
	}
	return nil
}
