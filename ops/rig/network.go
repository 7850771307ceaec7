package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// The rig's own little network. Nothing routes out of it.
const (
	bridge    = "tandem-br0"
	lbAddress = "10.213.77.1"
	netBits   = "/24"
)

var addresses = map[string]string{Blue: "10.213.77.11", Green: "10.213.77.12"}

// bridgeFilter makes bridged traffic obey iptables: where dockerd ever ran on this
// machine, its FORWARD policy would then drop everything between the hosts.
const bridgeFilter = "/proc/sys/net/bridge/bridge-nf-call-iptables"

// makeNetwork makes the bridge, and a namespace with one cable into it for every host.
func makeNetwork(ctx context.Context) error {
	if err := os.WriteFile(bridgeFilter, []byte("0"), 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("freeing bridged traffic from iptables: %w", err)
	}
	steps := [][]string{
		{"link", "add", bridge, "type", "bridge"},
		{"addr", "add", lbAddress + netBits, "dev", bridge},
		{"link", "set", bridge, "up"},
	}
	for _, side := range sides {
		name := machineName(side)
		steps = append(steps, [][]string{
			{"netns", "add", name},
			{"link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name},
			{"link", "set", name, "master", bridge, "up"},
			{"-n", name, "link", "set", "lo", "up"},
			{"-n", name, "addr", "add", addresses[side] + netBits, "dev", "eth0"},
			{"-n", name, "link", "set", "eth0", "up"},
		}...)
	}
	for _, step := range steps {
		if err := run(ctx, "ip", step...); err != nil {
			return fmt.Errorf("making the network: ip %s: %w", strings.Join(step, " "), err)
		}
	}
	return nil
}

// removeNetwork removes what makeNetwork made, and is content where there is nothing.
func removeNetwork(ctx context.Context) error {
	var all []error
	for _, side := range sides {
		name := machineName(side)
		if _, err := os.Stat("/sys/class/net/" + name); err == nil {
			all = append(all, run(ctx, "ip", "link", "del", name))
		}
		if _, err := os.Stat("/run/netns/" + name); err == nil {
			all = append(all, run(ctx, "ip", "netns", "del", name))
		}
	}
	if _, err := os.Stat("/sys/class/net/" + bridge); err == nil {
		all = append(all, run(ctx, "ip", "link", "del", bridge))
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("removing the network: %w", err)
	}
	return nil
}

// bridgeFilterNow is the setting to put back at the end; empty where the kernel has none.
func bridgeFilterNow() string {
	now, err := os.ReadFile(bridgeFilter)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(now))
}

// dropBridges removes the bridges that the engine has made: the namespace outlives the machine,
// and the next engine would take docker0 over with its address and keep clear of the others.
func (m *Machine) dropBridges(ctx context.Context) error {
	const script = `for b in $(ip -n "$1" -br link show type bridge | cut -d" " -f1); do ip -n "$1" link delete "$b" || exit; done`
	if err := run(ctx, "sh", "-c", script, "sh", machineName(m.Side)); err != nil {
		return fmt.Errorf("removing the engine's bridges of %s: %w", m.Side, err)
	}
	return nil
}

// CableCut unplugs the host from the network; it goes on running.
func (m *Machine) CableCut() error { return m.cable("down") }

// CableRestore plugs the host in again.
func (m *Machine) CableRestore() error { return m.cable("up") }

func (m *Machine) cable(to string) error {
	if said, err := exec.Command("ip", "link", "set", machineName(m.Side), to).CombinedOutput(); err != nil {
		return fmt.Errorf("setting the cable of %s %s: %w: %s", m.Side, to, err, said)
	}
	return nil
}
