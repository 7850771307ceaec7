package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tandem/ops"
)

// keyPools is the engine's setting for its address pools (dockerd(8)).
const keyPools = "default-address-pools"

// member is a member of a JSON object: its name, and where its value stands in the text.
type member struct {
	key      string
	from, to int
}

// members reads the top level of a daemon.json and where its object ends. A file that is
// empty is an object without members to the engine.
func members(text []byte) (all []member, end int, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, 0, errors.New("it is not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, 0, fmt.Errorf("reading its JSON: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, 0, fmt.Errorf("reading its JSON: %w", err)
		}
		to := int(d.InputOffset())
		name := key.(string) // a key of an object is a string, or Token has ended with an error
		if slices.ContainsFunc(all, func(m member) bool { return m.key == name }) {
			return nil, 0, fmt.Errorf("it has %q twice", name)
		}
		all = append(all, member{name, to - len(value), to})
	}
	if _, err := d.Token(); err != nil {
		return nil, 0, fmt.Errorf("reading its JSON: %w", err)
	}
	end = int(d.InputOffset()) - 1
	if _, err := d.Token(); err != io.EOF {
		return nil, 0, errors.New("something follows its JSON object")
	}
	return all, end, nil
}

func keys(all []member) []string {
	var names []string
	for _, m := range all {
		names = append(names, m.key)
	}
	return names
}

// filePool is a pool as daemon.json has it.
type filePool struct {
	Base string `json:"base"`
	Size int    `json:"size"`
}

// withPools is the text with these pools: all else stays byte for byte.
func withPools(text []byte, pools []ops.Pool) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{\n}\n")
	}
	all, end, err := members(text)
	if err != nil {
		return nil, err
	}
	if now, err := poolsIn(text); err == nil && slices.Equal(now, pools) {
		return text, nil
	}
	var wanted []filePool
	for _, p := range pools {
		wanted = append(wanted, filePool{p.Base.Masked().String(), p.Size})
	}
	value, err := json.Marshal(wanted)
	if err != nil {
		return nil, fmt.Errorf("encoding the pools: %w", err)
	}
	for _, m := range all {
		if m.key == keyPools {
			return slices.Concat(text[:m.from], value, text[m.to:]), nil
		}
	}
	entry := slices.Concat([]byte(`"`+keyPools+`": `), value)
	if len(all) == 0 {
		return slices.Concat(text[:end], []byte("  "), entry, []byte("\n"), text[end:]), nil
	}
	// A new member stands apart from the one before as the first does from the bracket.
	open := bytes.IndexByte(text, '{') + 1
	apart := text[open : open+bytes.IndexByte(text[open:], '"')]
	last := all[len(all)-1].to
	return slices.Concat(text[:last], []byte(","), apart, entry, text[last:]), nil
}

// poolsIn reads the pools of a daemon.json; nil where it sets none.
func poolsIn(text []byte) ([]ops.Pool, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var file struct {
		Pools []ops.Pool `json:"default-address-pools"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("reading its pools: %w", err)
	}
	return file.Pools, nil
}

// liveRestore tells whether containers outlive the engine (dockerd(8), --live-restore).
func liveRestore(text []byte, flags []string) bool {
	var file struct {
		On bool `json:"live-restore"`
	}
	return json.Unmarshal(text, &file) == nil && file.On || slices.Contains(flags, "--live-restore") || slices.Contains(flags, "--live-restore=true")
}

// bridgeFixed tells whether the range of the default bridge is set: then it stays.
func bridgeFixed(text []byte, flags []string) bool {
	var file struct{ Bip string }
	return json.Unmarshal(text, &file) == nil && file.Bip != "" || slices.Contains(flagNames(flags), "bip") || liveRestore(text, flags)
}

// flagOf are the flags of settings that are named otherwise in the file (dockerd(8), "daemon
// configuration file").
var flagOf = map[string]string{
	keyPools: "default-address-pool", "hosts": "host", "labels": "label", "log-opts": "log-opt", "storage-opts": "storage-opt",
	"exec-opts": "exec-opt", "dns-opts": "dns-opt", "registry-mirrors": "registry-mirror", "insecure-registries": "insecure-registry",
	"authorization-plugins": "authorization-plugin", "default-ulimits": "default-ulimit", "node-generic-resources": "node-generic-resource",
	"cluster-store-opts": "cluster-store-opt",
}

// shortFlags are the flags with a letter (dockerd --help).
var shortFlags = map[string]string{
	"-H": "host", "-D": "debug", "-l": "log-level", "-G": "group", "-b": "bridge", "-g": "graph", "-s": "storage-driver", "-p": "pidfile",
}

// flagNames are the flags of a command line.
func flagNames(line []string) []string {
	var names []string
	for _, arg := range line {
		if long, ok := strings.CutPrefix(arg, "--"); ok {
			name, _, _ := strings.Cut(long, "=")
			names = append(names, name)
		} else if len(arg) >= 2 && shortFlags[arg[:2]] != "" {
			names = append(names, shortFlags[arg[:2]])
		}
	}
	return names
}

// flagClash finds a setting that is both in the file and on the engine's command line: the
// engine does not start then. "runtimes" may be in both.
func flagClash(settings, line []string) (setting, flag string, clash bool) {
	given := flagNames(line)
	for _, s := range settings {
		flag := s
		if other, ok := flagOf[s]; ok {
			flag = other
		}
		if slices.Contains(given, flag) {
			return s, "--" + flag, true
		}
	}
	return "", "", false
}

// configFile is the file that the engine reads by its command line; empty where it says none.
func configFile(line []string) string {
	for i, arg := range line {
		if file, ok := strings.CutPrefix(arg, "--config-file="); ok {
			return file
		}
		if arg == "--config-file" && i+1 < len(line) {
			return line[i+1]
		}
	}
	return ""
}

// knownSettings are those of engines before 23.0, which cannot check a file themselves and
// do not start with a setting that they do not know (docs.docker.com, dockerd of 18.09,
// 19.03 and 20.10).
var knownSettings = strings.Fields(`
	allow-nondistributable-artifacts api-cors-header authorization-plugins bip bridge builder cgroup-parent cluster-advertise
	cluster-store cluster-store-opts containerd containerd-namespace containerd-plugin-namespace cpu-rt-period cpu-rt-runtime
	data-root debug default-address-pools default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode
	default-runtime default-shm-size default-ulimits deprecated-key-path dns dns-opts dns-search exec-opts exec-root
	experimental features fixed-cidr fixed-cidr-v6 graph group host-gateway-ip hosts icc init init-path insecure-registries ip
	ip-forward ip-masq ip6tables iptables ipv6 labels live-restore log-driver log-level log-opts max-concurrent-downloads
	max-concurrent-uploads max-download-attempts metrics-addr mtu network-control-plane-mtu network-diagnostic-port
	no-new-privileges node-generic-resources oom-score-adjust pidfile raw-logs registry-mirrors rootless runtimes
	seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opts swarm-default-advertise-addr tls tlscacert
	tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap`)

// wanted is the new file, which the engine must be able to start with.
func (p Pools) wanted(ctx context.Context, env ops.Env, was settings) ([]byte, error) {
	host := env.Hosts[p.Side]
	refuse := func(err error, hint string) error {
		return &ops.Problem{Doing: "changing " + p.File, Side: p.Side, Err: err, Hint: hint}
	}
	net, err := host.Net(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the engine's command line: %w", err)
	}
	if file := configFile(net.Flags); file != "" && file != p.File {
		return nil, refuse(fmt.Errorf("the engine reads %s", file), "recover --without pools, and change that file by hand")
	}
	text, err := withPools(was.Text, p.Pools)
	if err != nil {
		return nil, refuse(err, "mend the file: the engine would not start with it; then resume")
	}
	all, _, err := members(text)
	if err != nil {
		return nil, refuse(err, "mend the file; then resume")
	}
	if key, flag, clash := flagClash(keys(all), net.Flags); clash {
		return nil, refuse(fmt.Errorf("%s would be set twice, there and by %s on the engine's command line: the engine would not start", key, flag),
			"take the flag out of the unit: systemctl edit "+engineService+"; then resume; or recover --without pools")
	}
	if err := p.mayRestart(ctx, env, text, net.Flags); err != nil {
		return nil, err
	}
	if net.Validates {
		return text, p.validate(ctx, env, text)
	}
	for _, key := range keys(all) {
		if !slices.Contains(knownSettings, key) {
			return nil, refuse(fmt.Errorf("%q is no setting that an engine of this age knows: it might not start", key), "take it out of the file if it was added since the engine started; then resume")
		}
	}
	return text, nil
}

// mayRestart refuses a restart that containers would outlive.
func (p Pools) mayRestart(ctx context.Context, env ops.Env, text []byte, flags []string) error {
	if !liveRestore(text, flags) {
		return nil
	}
	_, all, err := list(ctx, env, p.Side)
	if err != nil {
		return err
	}
	for _, c := range all {
		if halts(c.State) {
			return &ops.Problem{
				Doing: "changing " + p.File, Side: p.Side, Err: fmt.Errorf("live-restore is on and %s runs: the engine would not take up its new networks", c.Name),
				Hint: "stop it, or turn live-restore off; then resume; or recover --without pools",
			}
		}
	}
	return nil
}

// validate has the engine's program read the new file, beside the old one.
func (p Pools) validate(ctx context.Context, env ops.Env, text []byte) error {
	if err := env.Hosts[p.Side].WriteFile(ctx, p.scratch(), text, 0o600, true); err != nil {
		return fmt.Errorf("writing %s: %w", p.scratch(), err)
	}
	_, err := env.Hosts[p.Side].Exec(ctx, ops.Command{Args: []string{"dockerd", "--validate", "--config-file", p.scratch()}, Privileged: true})
	var exit *ops.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("checking the new %s: %w", p.File, err)
	}
	if err := p.run(ctx, env, "rm", "-f", p.scratch(), p.scratch()+".tandem-backup"); err != nil {
		return fmt.Errorf("removing %s: %w", p.scratch(), err)
	}
	if exit != nil {
		return &ops.Problem{
			Doing: "checking the new " + p.File, Side: p.Side, Err: exit,
			Hint: "mend the file: the engine would not start with it; then resume; or recover --without pools",
		}
	}
	return nil
}
