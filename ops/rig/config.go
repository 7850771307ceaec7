package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Settings are what a test may say of the config that Config writes.
type Settings struct {
	User      string            // root (default), ops or plain
	Addresses map[string]string // host:port of each side, for a proxy in between
	Socket    string            // of HAProxy, as the config spells it; default the admin socket's path
	Via       string            // optional: user@host where Socket is
	Backends  []string
	Limits    string // the limits line, as YAML
	More      string // YAML added at the end
}

// Config writes a tandem.yaml for this rig into dir, with the key and the known hosts
// that it names, and returns its path.
func (r *Rig) Config(dir string, edits ...func(*Settings)) (string, error) {
	path, _ := r.HAProxySocket()
	set := Settings{
		User: "root", Socket: "unix://" + path, Backends: Backends[:],
		Limits:    "{drain: 20s, stop: 15s, start: 60s, reboot: 2m, soak: 3s, stale: 15s, revert: 30s}",
		Addresses: map[string]string{},
	}
	for _, side := range sides {
		set.Addresses[side] = net.JoinHostPort(addresses[side], "22")
	}
	for _, edit := range edits {
		edit(&set)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("writing the config: %w", err)
	}
	files := map[string][]byte{}
	var err error
	if files["id_ed25519"], err = os.ReadFile(filepath.Join(r.dir, "id_ed25519")); err != nil {
		return "", fmt.Errorf("reading the rig's key: %w", err)
	}
	if files["known_hosts"], err = r.knownHosts(set.Addresses); err != nil {
		return "", err
	}
	files["tandem.yaml"] = r.yaml(dir, set)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", fmt.Errorf("writing the config: %w", err)
		}
	}
	return filepath.Join(dir, "tandem.yaml"), nil
}

// knownHosts has a line for the way to each side and for its real address, see sshd(8).
func (r *Rig) knownHosts(ways map[string]string) ([]byte, error) {
	var out bytes.Buffer
	for _, side := range sides {
		key, err := os.ReadFile(filepath.Join(r.machines[side].dir, "root/etc/ssh/ssh_host_ed25519_key.pub"))
		if err != nil {
			return nil, fmt.Errorf("reading the host key of %s: %w", side, err)
		}
		names := []string{addresses[side]}
		host, port, err := net.SplitHostPort(ways[side])
		if err != nil {
			return nil, fmt.Errorf("reading the address of %s: %w", side, err)
		}
		switch {
		case port != "22":
			names = append(names, "["+host+"]:"+port)
		case host != names[0]:
			names = append(names, host)
		}
		fmt.Fprintf(&out, "%s %s\n", strings.Join(names, ","), bytes.TrimSpace(key))
	}
	return out.Bytes(), nil
}

func (r *Rig) yaml(dir string, set Settings) []byte {
	var out bytes.Buffer
	out.WriteString("pair: tis\nhosts:\n")
	for _, side := range sides {
		fmt.Fprintf(&out, "  %s:\n    ssh: %s@%s\n    identity: %s\n    known_hosts: %s\n", side, set.User, set.Addresses[side],
			filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "known_hosts"))
	}
	fmt.Fprintf(&out, "balancer:\n  kind: haproxy\n  haproxy:\n    socket: %s\n", set.Socket)
	if set.Via != "" {
		fmt.Fprintf(&out, "    via: {ssh: %s, identity: %s, known_hosts: %s}\n", set.Via,
			filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "known_hosts"))
	}
	fmt.Fprintf(&out, "    backends: [%s]\n    servers: {blue: blue, green: green}\n", strings.Join(set.Backends, ", "))
	fmt.Fprintf(&out, "compose: {project: %s, directory: %s}\nservices:\n", Project, Directory)
	var jobs strings.Builder
	for _, s := range r.Services {
		only := ""
		if s.Only != "" {
			only = ", only: " + s.Only
		}
		if s.Job {
			fmt.Fprintf(&jobs, "  - {name: %s, service: %s, max_age: 26h%s}\n", s.Name, s.Name, only)
			continue
		}
		fmt.Fprintf(&out, "  - {name: %s, after: [%s], ready: %s%s}\n", s.Name, strings.Join(s.After, ", "), s.ready(), only)
	}
	fmt.Fprintf(&out, "jobs:\n%slimits: %s\n%s", jobs.String(), set.Limits, set.More)
	return out.Bytes()
}

// ready spreads the readiness tests over the services, so that each kind is used.
func (s Service) ready() string {
	switch s.Name {
	case "apache", "tcs":
		return fmt.Sprintf("{http: \"http://localhost:%d/health\"}", s.Port)
	}
	return "healthy"
}

// composeUp brings the host's containers to what the compose file says.
func (m *Machine) composeUp(ctx context.Context) error {
	_, err := m.Exec(ctx, "docker-compose", "--project-directory", Directory, "--file", Directory+"/docker-compose.yml",
		"up", "--detach", "--remove-orphans", "--no-color", "--quiet-pull")
	return err
}

// Healthy waits until every service of the side runs the current image and is healthy.
func (r *Rig) Healthy(ctx context.Context, side string) error {
	return waitFor(ctx, 250*time.Millisecond, func() error {
		ctx, cancel := context.WithTimeout(ctx, probe)
		defer cancel()
		wrong, err := r.wrong(ctx, side)
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			return errors.New(strings.Join(wrong, ", "))
		}
		return nil
	})
}
