package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/kevinburke/ssh_config"

	"tandem/ops"
)

// A hop is one machine on the way, with all that is needed to log in to it.
type hop struct {
	user       string
	addr       string // host:port to connect to, as seen from the hop before
	keyName    string // host:port under which known_hosts has it
	identities []string
	only       bool   // offer no agent key that is not one of identities
	agent      string // path of the agent's socket; empty: none
	knownHosts []string
	userKnown  string // the file that the remedy names
}

// String is the hop as an operator would write it.
func (h hop) String() string {
	host, port, err := net.SplitHostPort(h.addr)
	if err == nil && port == "22" {
		return h.user + "@" + host
	}
	return h.user + "@" + h.addr
}

// maxHops ends a ProxyJump that leads in a circle.
const maxHops = 8

// sshFiles are the SSH config files, the user's first: the first value found wins, as in
// ssh_config(5).
type sshFiles struct {
	configs []*ssh_config.Config
	home    string
	local   string // the operator's own user name
}

func readSSHFiles(named string) (*sshFiles, error) {
	f := &sshFiles{}
	f.home, _ = os.UserHomeDir()
	if u, err := user.Current(); err == nil {
		f.local = u.Username
	}
	paths := []string{filepath.Join(f.home, ".ssh", "config"), "/etc/ssh/ssh_config"}
	if named != "" {
		paths = []string{f.tilde(named)}
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && named == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the SSH config: %w", err)
		}
		c, err := ssh_config.DecodeBytes(data)
		if err != nil {
			return nil, &ops.Problem{Doing: "reading " + path, Err: err, Hint: "`Match exec` is not supported: name another file, or mend the line"}
		}
		f.configs = append(f.configs, c)
	}
	return f, nil
}

func (f *sshFiles) tilde(path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		return filepath.Join(f.home, path[1:])
	}
	return path
}

// get is the first value of a key for an alias, or "".
func (f *sshFiles) get(alias, key string) string {
	for _, c := range f.configs {
		if v, err := c.Get(alias, key); err == nil && v != "" {
			return v
		}
	}
	return ""
}

func (f *sshFiles) all(alias, key string) []string {
	var values []string
	for _, c := range f.configs {
		v, err := c.GetAll(alias, key)
		if err == nil {
			values = append(values, v...)
		}
	}
	return values
}

// expand replaces the tokens of ssh_config(5), TOKENS, and a leading ~.
func (f *sshFiles) expand(text, alias, host, port, user string) string {
	text = strings.NewReplacer("%%", "%", "%h", host, "%n", alias, "%p", port, "%r", user, "%u", f.local, "%d", f.home).Replace(text)
	return f.tilde(text)
}

// resolve finds the hops to a target.
func resolve(t Target) ([]hop, error) {
	files, err := readSSHFiles(t.SSHConfig)
	if err != nil {
		return nil, err
	}
	return files.route(t.SSH, t, maxHops)
}

func (f *sshFiles) route(spec string, t Target, left int) ([]hop, error) {
	if left == 0 {
		return nil, fmt.Errorf("more than %d jump hosts: does ProxyJump lead in a circle?", maxHops)
	}
	h, alias, err := f.hop(spec, t)
	if err != nil {
		return nil, err
	}
	jump := t.Jump
	if jump == "" {
		jump = f.get(alias, "ProxyJump")
	}
	var hops []hop
	if jump != "" && jump != "none" {
		for i, via := range strings.Split(jump, ",") {
			next := Target{Identity: t.Identity, KnownHosts: t.KnownHosts}
			if i > 0 {
				next.Jump = "none" // reached through the one before it in the list
			}
			more, err := f.route(strings.TrimPrefix(strings.TrimSpace(via), "ssh://"), next, left-1)
			if err != nil {
				return nil, err
			}
			hops = append(hops, more...)
		}
	}
	if len(hops) >= maxHops {
		return nil, fmt.Errorf("more than %d jump hosts", maxHops)
	}
	return append(hops, h), nil
}

func (f *sshFiles) hop(spec string, t Target) (h hop, alias string, err error) {
	var port string
	h.user, alias, port, err = splitSpec(spec)
	if err != nil {
		return h, "", err
	}
	if port == "" {
		port = f.get(alias, "Port")
	}
	if port == "" {
		port = "22"
	}
	if h.user == "" {
		h.user = f.get(alias, "User")
	}
	if h.user == "" {
		h.user = f.local
	}
	host := alias
	if name := f.get(alias, "HostName"); name != "" {
		host = f.expand(name, alias, alias, port, h.user)
	}
	h.addr = net.JoinHostPort(host, port)
	h.keyName = h.addr
	if name := f.get(alias, "HostKeyAlias"); name != "" {
		h.keyName = net.JoinHostPort(name, "22")
	}
	expand := func(text string) string { return f.expand(text, alias, host, port, h.user) }

	if t.Identity != "" {
		h.identities = append(h.identities, f.tilde(t.Identity))
	}
	configured := f.all(alias, "IdentityFile")
	for _, path := range configured {
		if path != "none" {
			h.identities = append(h.identities, expand(path))
		}
	}
	if len(h.identities) == 0 && len(configured) == 0 {
		for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
			path := filepath.Join(f.home, ".ssh", name)
			if _, err := os.Stat(path); err == nil {
				h.identities = append(h.identities, path)
			}
		}
	}
	h.only = strings.EqualFold(f.get(alias, "IdentitiesOnly"), "yes")

	switch agent := f.get(alias, "IdentityAgent"); agent {
	case "none":
	case "", "SSH_AUTH_SOCK":
		h.agent = os.Getenv("SSH_AUTH_SOCK")
	default:
		h.agent = expand(agent)
	}

	user := strings.Fields(f.get(alias, "UserKnownHostsFile"))
	global := strings.Fields(f.get(alias, "GlobalKnownHostsFile"))
	if len(user) == 0 {
		user = []string{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"}
	}
	if len(global) == 0 {
		global = []string{"/etc/ssh/ssh_known_hosts"}
	}
	if t.KnownHosts != "" {
		user, global = []string{t.KnownHosts}, nil
	}
	for _, path := range append(user, global...) {
		h.knownHosts = append(h.knownHosts, expand(path))
	}
	h.userKnown = h.knownHosts[0]
	return h, alias, nil
}

// splitSpec reads user@host:port, where user and port may be missing and an IPv6 address
// with a port stands in brackets.
func splitSpec(spec string) (user, host, port string, err error) {
	rest := spec
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		user, rest = rest[:i], rest[i+1:]
	}
	switch {
	case strings.HasPrefix(rest, "[") || strings.Count(rest, ":") == 1:
		if strings.HasSuffix(rest, "]") {
			host = strings.Trim(rest, "[]")
			break
		}
		if host, port, err = net.SplitHostPort(rest); err != nil {
			return "", "", "", fmt.Errorf("%q is not user@host:port: %w", spec, err)
		}
	default:
		host = rest
	}
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(spec, " \t\n") {
		return "", "", "", fmt.Errorf("%q is not user@host:port and not an SSH alias", spec)
	}
	return user, host, port, nil
}

// address is where the Docker Engine listens, as seen from the machine.
type address struct{ network, addr string }

func (a address) String() string { return a.network + "://" + a.addr }

func parseDocker(text string) (address, error) {
	if text == "" {
		return address{"unix", "/var/run/docker.sock"}, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return address{}, err
	case u.Scheme == "unix" && strings.HasPrefix(u.Path, "/") && u.Host == "":
		return address{"unix", u.Path}, nil
	case u.Scheme == "tcp" && u.Port() != "":
		return address{"tcp", u.Host}, nil
	}
	return address{}, fmt.Errorf("%q is neither unix:///path nor tcp://host:port", text)
}
