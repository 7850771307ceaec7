package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

const (
	daemonFile = "/etc/docker/daemon.json"
	dockerd    = "/usr/sbin/dockerd"
	unitFile   = "/lib/systemd/system/docker.service"
)

// daemonConfig is what the engine took from its config file when it started. Nothing that
// is here is read again at a reload: only a restart does.
type daemonConfig struct {
	pools []addressPool // nil: the engine's own
	logs  obj           // LogConfig of a container that asks for none
}

// directives are the keys that the engine's config file may have (dockerd(8)); the value is
// the flag of the same meaning.
var directives = map[string]string{
	"allow-nondistributable-artifacts": "", "api-cors-header": "", "authorization-plugins": "authorization-plugin", "bip": "", "bridge": "", "builder": "",
	"cgroup-parent": "", "containerd": "", "containerd-namespace": "", "containerd-plugin-namespace": "", "cpu-rt-period": "", "cpu-rt-runtime": "",
	"data-root": "", "debug": "", "default-address-pools": "default-address-pool", "default-cgroupns-mode": "", "default-gateway": "", "default-gateway-v6": "",
	"default-ipc-mode": "", "default-runtime": "", "default-shm-size": "", "default-ulimits": "default-ulimit", "dns": "", "dns-opts": "dns-opt",
	"dns-search": "", "exec-opts": "exec-opt", "exec-root": "", "experimental": "", "features": "", "fixed-cidr": "", "fixed-cidr-v6": "", "group": "",
	"hosts": "host", "icc": "", "init": "", "init-path": "", "insecure-registries": "insecure-registry", "ip": "", "ip-forward": "", "ip-masq": "",
	"ip6tables": "", "iptables": "", "ipv6": "", "labels": "label", "live-restore": "", "log-driver": "", "log-level": "", "log-opts": "log-opt",
	"max-concurrent-downloads": "", "max-concurrent-uploads": "", "max-download-attempts": "", "mtu": "", "no-new-privileges": "", "node-generic-resources": "",
	"oom-score-adjust": "", "pidfile": "", "raw-logs": "", "registry-mirrors": "registry-mirror", "runtimes": "", "seccomp-profile": "", "selinux-enabled": "",
	"shutdown-timeout": "", "storage-driver": "", "storage-opts": "storage-opt", "swarm-default-advertise-addr": "", "tls": "", "tlscacert": "", "tlscert": "",
	"tlskey": "", "tlsverify": "", "userland-proxy": "", "userland-proxy-path": "", "userns-remap": "",
}

// newDirectives came with 23.0.
var newDirectives = map[string]string{"http-proxy": "", "https-proxy": "", "no-proxy": "", "proxies": "", "validate": "", "default-network-opts": "", "host-gateway-ip": ""}

// daemonConfig reads the config file that is there now.
func (h *Host) daemonConfig() (daemonConfig, error) {
	data, err := h.files.content(root, daemonFile)
	if err != nil {
		return parseDaemon(nil, h.flags, h.engine.next)
	}
	return parseDaemon(data, h.flags, h.engine.next)
}

// parseDaemon reads a config file with the checks of dockerd: unknown keys, and keys that
// are also given as a flag, are errors.
func parseDaemon(data []byte, flags []string, version string) (daemonConfig, error) {
	conf := daemonConfig{logs: obj{"Type": "json-file", "Config": obj{}}}
	var all map[string]json.RawMessage
	if len(strings.TrimSpace(string(data))) == 0 {
		return conf, nil
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return conf, err
	}
	known := maps.Clone(directives)
	if newer(version) {
		maps.Copy(known, newDirectives)
	}
	var unknown, twice []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		flag, ok := known[key]
		if !ok {
			unknown = append(unknown, key)
			continue
		}
		if flag == "" {
			flag = key
		}
		if value, given := flagged(flags, flag); given {
			twice = append(twice, fmt.Sprintf("%s: (from flag: %s, from file: %s)", key, value, all[key]))
		}
	}
	switch {
	case len(unknown) > 0:
		return conf, fmt.Errorf("the following directives don't match any configuration option: %s", strings.Join(unknown, ", "))
	case len(twice) > 0:
		return conf, fmt.Errorf("the following directives are specified both as a flag and in the configuration file: %s", strings.Join(twice, ", "))
	}
	var read struct {
		Pools []struct {
			Base string `json:"base"`
			Size int    `json:"size"`
		} `json:"default-address-pools"`
		Driver string            `json:"log-driver"`
		Opts   map[string]string `json:"log-opts"`
	}
	if err := json.Unmarshal(data, &read); err != nil {
		return conf, err
	}
	for _, p := range read.Pools {
		conf.pools = append(conf.pools, addressPool{p.Base, p.Size})
	}
	if read.Driver != "" {
		conf.logs["Type"] = read.Driver
	}
	options := obj{}
	for k, v := range read.Opts {
		options[k] = v
	}
	conf.logs["Config"] = options
	return conf, nil
}

// flagged finds a flag of the daemon: --name value, --name=value or its letter.
func flagged(flags []string, name string) (value string, ok bool) {
	letter := map[string]string{"host": "-H", "data-root": "-g", "debug": "-D", "group": "-G", "log-level": "-l", "pidfile": "-p", "storage-driver": "-s"}[name]
	for i, f := range flags {
		key, value, joined := strings.Cut(f, "=")
		if key != "--"+name && (letter == "" || key != letter) {
			continue
		}
		if !joined && i+1 < len(flags) {
			value = flags[i+1]
		}
		return "[" + value + "]", true
	}
	return "", false
}

// newer tells engines from 23.0 on.
func newer(version string) bool { return minor(releases[version].api) >= 42 }

// broken is what the daemon would say instead of starting; empty: it starts.
func (e *engine) broken() string {
	conf, err := e.host.daemonConfig()
	if err != nil {
		return unreadable(daemonFile, err)
	}
	for _, p := range conf.pools {
		base, err := netip.ParsePrefix(p.Base)
		switch {
		case err != nil:
			return "failed to start daemon: Error initializing network controller: invalid base pool \"" + p.Base + "\": invalid CIDR address: " + p.Base
		case p.Size < base.Bits() || p.Size > 32:
			return fmt.Sprintf("failed to start daemon: Error initializing network controller: invalid pools size : %d", p.Size)
		}
	}
	return ""
}

func unreadable(file string, err error) string {
	return fmt.Sprintf("unable to configure the Docker daemon with file %s: %v", file, err)
}

// dockerdProgram knows --version, and from 23.0 on --validate, which reads the file and
// does not ask whether its values make sense.
func dockerdProgram(c *call) int {
	var version string
	c.h.with(func() { version = c.h.engine.next })
	file, validate := daemonFile, false
	var flags []string
	for i := 0; i < len(c.args); i++ {
		key, value, joined := strings.Cut(c.args[i], "=")
		switch {
		case key == "--version" || key == "-v":
			c.say("Docker version %s, build %s\n", releases[version].version, releases[version].commit)
			return 0
		case key == "--validate" && newer(version):
			validate = true
		case key == "--config-file":
			if !joined && i+1 < len(c.args) {
				i++
				value = c.args[i]
			}
			file = value
		case key == "--validate":
			fmt.Fprintf(c.stderr, "Status: unknown flag: %s\nSee 'dockerd --help'., Code: 125\n", key)
			return 1
		case key == "--help":
			c.say("\nUsage:\tdockerd [OPTIONS]\n\nA self-sufficient runtime for containers.\n\nOptions:\n      --config-file string                    Daemon configuration file (default \"/etc/docker/daemon.json\")\n")
			if newer(version) {
				c.say("      --validate                              Validate daemon configuration and exit\n")
			}
			return 0
		default:
			flags = append(flags, c.args[i])
		}
	}
	if !validate {
		c.complain("dockerd", "the lab's engine is started by systemctl alone")
		return 1
	}
	data, err := c.read(file)
	if err == nil {
		_, err = parseDaemon(data, flags, version)
	}
	if err != nil {
		fmt.Fprintln(c.stderr, unreadable(file, err))
		return 1
	}
	fmt.Fprintln(c.stderr, "configuration OK")
	return 0
}

// EngineFlags adds flags to the engine's unit, in effect from its next start on.
func (h *Host) EngineFlags(flags ...string) {
	h.with(func() {
		h.flags = append(h.flags, flags...)
		h.writeUnit()
	})
}

func (h *Host) writeUnit() {
	h.files.put(unitFile, 0o644, "[Unit]\nDescription=Docker Application Container Engine\nAfter=network-online.target docker.socket firewalld.service containerd.service time-set.target\nRequires=docker.socket\n\n"+
		"[Service]\nType=notify\nExecStart="+strings.Join(append([]string{dockerd}, h.flags...), " ")+"\nExecReload=/bin/kill -s HUP $MAINPID\nRestart=always\nStartLimitBurst=3\n\n[Install]\nWantedBy=multi-user.target\n")
}
