package lab

//lint:file-ignore ST1005 These errors are compose's own words, as its versions print them.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/goccy/go-yaml"
)

// project is a compose project as its files describe it.
type project struct {
	name     string
	home     string   // the project's directory
	files    []string // as the labels say them
	version  string   // of compose
	services map[string]obj
	networks map[string]obj
	volumes  map[string]obj
}

func (p *project) v1() bool { return strings.HasPrefix(p.version, "1.") }

// serviceKeys are the keys of a service that are known here.
var serviceKeys = []string{
	"build", "cap_add", "cap_drop", "command", "container_name", "depends_on", "entrypoint", "environment", "expose", "extra_hosts", "healthcheck", "hostname", "image", "init",
	"labels", "logging", "mem_limit", "network_mode", "networks", "ports", "privileged", "read_only", "restart", "stdin_open", "stop_grace_period", "stop_signal", "tty", "user", "volumes", "working_dir",
}

// parse reads one compose file and adds it to the project; a later one wins, service by
// service.
func (p *project) parse(data []byte, variables map[string]string) error {
	var top obj
	if err := yaml.Unmarshal(data, &top); err != nil {
		return fmt.Errorf("yaml: %w", err)
	}
	filled, err := interpolate(top, variables)
	if err != nil {
		return err
	}
	top = filled.(obj)
	if name, _ := top["name"].(string); name != "" && p.name == "" {
		p.name = name
	}
	for kind, into := range map[string]map[string]obj{"services": p.services, "networks": p.networks, "volumes": p.volumes} {
		all, ok := top[kind].(obj)
		if !ok && top[kind] != nil {
			return fmt.Errorf("%s must be a mapping", kind)
		}
		for name, one := range all {
			o, ok := one.(obj)
			if !ok && one != nil {
				return fmt.Errorf("%s.%s must be a mapping", kind, name)
			}
			into[name] = o
		}
	}
	for _, name := range p.names() {
		for key := range p.services[name] {
			if !slices.Contains(serviceKeys, key) {
				return fmt.Errorf("services.%s Additional property %s is not allowed", name, key)
			}
		}
		if p.services[name]["image"] == nil {
			return fmt.Errorf("service %q has neither an image nor a build context specified", name)
		}
	}
	return nil
}

func (p *project) names() []string { return slices.Sorted(maps.Keys(p.services)) }

var variable = regexp.MustCompile(`\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?])([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))`)

// interpolate fills in variables: $X, ${X}, ${X:-default}, ${X:?message}, $$.
func interpolate(v any, variables map[string]string) (any, error) {
	switch v := v.(type) {
	case string:
		var bad error
		out := variable.ReplaceAllStringFunc(v, func(m string) string {
			if m == "$$" {
				return "$"
			}
			parts := variable.FindStringSubmatch(m)
			value, ok := variables[parts[1]+parts[4]]
			missing := !ok || strings.HasPrefix(parts[2], ":") && value == ""
			switch {
			case missing && strings.HasSuffix(parts[2], "-"):
				return parts[3]
			case missing && strings.HasSuffix(parts[2], "?"):
				bad = fmt.Errorf("required variable %s is missing a value: %s", parts[1], parts[3])
			}
			return value
		})
		return out, bad
	case obj:
		out := obj{}
		for k, one := range v {
			filled, err := interpolate(one, variables)
			if err != nil {
				return nil, err
			}
			out[k] = filled
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			filled, err := interpolate(one, variables)
			if err != nil {
				return nil, err
			}
			out[i] = filled
		}
		return out, nil
	}
	return v, nil
}

// after are the services that a service depends on, with what they have to be.
func (p *project) after(service string) map[string]string {
	out := map[string]string{}
	switch all := p.services[service]["depends_on"].(type) {
	case []any:
		for _, one := range all {
			out[fmt.Sprint(one)] = "service_started"
		}
	case obj:
		for name, how := range all {
			o, _ := how.(obj)
			out[name] = text(o["condition"])
			if out[name] == "" {
				out[name] = "service_started"
			}
		}
	}
	return out
}

// ordered are services, each after those that it depends on; with deps those come too.
func (p *project) ordered(names []string, deps bool) ([]string, error) {
	var out []string
	var add func(name string, path []string) error
	add = func(name string, path []string) error {
		if p.services[name] == nil {
			if p.v1() {
				return fmt.Errorf("No such service: %s", name)
			}
			return fmt.Errorf("no such service: %s", name)
		}
		if slices.Contains(path, name) {
			return errors.New("dependency cycle detected: " + strings.Join(append(path, name), " -> "))
		}
		for _, need := range slices.Sorted(maps.Keys(p.after(name))) {
			if deps || slices.Contains(names, need) {
				if err := add(need, append(path, name)); err != nil {
					return err
				}
			}
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
		return nil
	}
	for _, name := range names {
		if err := add(name, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// external is the real name of a network or volume, and whether it is not compose's.
func (p *project) external(name string, o obj) (real string, external bool) {
	real = p.name + "_" + name
	if given := text(o["name"]); given != "" {
		real = given
	}
	switch e := o["external"].(type) {
	case bool:
		if external = e; e && text(o["name"]) == "" {
			real = name
		}
	case obj:
		external = true
		if real = text(e["name"]); real == "" {
			real = name
		}
	}
	return real, external
}

// onNetworks are the networks of a service in the file's words, with its settings there.
func (p *project) onNetworks(service string) map[string]obj {
	s := p.services[service]
	if text(s["network_mode"]) != "" {
		return nil
	}
	out := map[string]obj{}
	switch all := s["networks"].(type) {
	case []any:
		for _, one := range all {
			out[fmt.Sprint(one)] = nil
		}
	case obj:
		for name, settings := range all {
			out[name], _ = settings.(obj)
		}
	}
	if len(out) == 0 {
		out["default"] = nil
	}
	return out
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// list reads what may be a list, a mapping of key and value, or one string.
func list(v any, join string) []any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = text(one)
		}
		return out
	case obj:
		var out []any
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, k+join+text(v[k]))
		}
		return out
	}
	return nil
}

// words reads a command: a list as it is, a string split at blanks.
func words(v any) []any {
	if s, ok := v.(string); ok {
		var out []any
		for _, w := range strings.Fields(s) {
			out = append(out, w)
		}
		return out
	}
	return list(v, "=")
}

func nanoseconds(v any) int64 {
	d, err := time.ParseDuration(text(v))
	if err != nil {
		return 0
	}
	return int64(d)
}

// hash is the fingerprint by which compose knows that a service has changed. The two
// lines of compose do not understand each other's.
func (p *project) hash(service, imageID string) string {
	s := maps.Clone(p.services[service])
	if !p.v1() {
		imageID = "v2"
	}
	data, err := json.Marshal([]any{s, p.onNetworks(service), imageID})
	if err != nil {
		panic("writing a service of a compose file: " + err.Error()) // it came out of YAML as plain values
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// container is the name of a service's container.
func (p *project) container(service string, number int) string {
	if name := text(p.services[service]["container_name"]); name != "" {
		return name
	}
	join := "-"
	if p.v1() {
		join = "_"
	}
	return p.name + join + service + join + strconv.Itoa(number)
}

// body is the create request of a service's container. Networks beyond the first have to be
// connected afterwards.
func (p *project) body(service string, number int, imageID string) (body obj, more map[string]obj) {
	s := p.services[service]
	labels := obj{}
	for _, l := range list(s["labels"], "=") {
		k, v, _ := strings.Cut(l.(string), "=")
		labels[k] = v
	}
	for k, v := range p.labels(service, number, imageID) {
		labels[k] = v
	}
	config := obj{"Image": s["image"], "Labels": labels, "Tty": s["tty"] == true, "OpenStdin": s["stdin_open"] == true, "User": text(s["user"])}
	host := obj{"Binds": p.binds(service), "RestartPolicy": restartPolicy(text(s["restart"]))}
	for key, value := range map[string]any{"Env": list(s["environment"], "="), "Cmd": words(s["command"]), "Entrypoint": words(s["entrypoint"])} {
		if v, _ := value.([]any); len(v) > 0 {
			config[key] = v
		}
	}
	for key, value := range map[string]string{"Hostname": text(s["hostname"]), "WorkingDir": text(s["working_dir"]), "StopSignal": text(s["stop_signal"])} {
		if value != "" {
			config[key] = value
		}
	}
	if s["stop_grace_period"] != nil {
		config["StopTimeout"] = nanoseconds(s["stop_grace_period"]) / 1e9
	}
	if check, ok := s["healthcheck"].(obj); ok {
		config["Healthcheck"] = healthcheck(check)
	}
	exposed, bindings := ports(s)
	if len(exposed) > 0 {
		config["ExposedPorts"] = exposed
	}
	if len(bindings) > 0 {
		host["PortBindings"] = bindings
	}
	if n, err := units.RAMInBytes(text(s["mem_limit"])); err == nil {
		host["Memory"] = n
	}
	if logging, ok := s["logging"].(obj); ok {
		options, _ := logging["options"].(obj)
		host["LogConfig"] = obj{"Type": text(logging["driver"]), "Config": options}
	}
	for key, from := range map[string]string{"CapAdd": "cap_add", "CapDrop": "cap_drop", "ExtraHosts": "extra_hosts"} {
		if v := list(s[from], ":"); v != nil {
			host[key] = v
		}
	}
	for key, from := range map[string]string{"Privileged": "privileged", "ReadonlyRootfs": "read_only", "Init": "init"} {
		if v, ok := s[from].(bool); ok {
			host[key] = v
		}
	}
	body = obj{"HostConfig": host}
	maps.Copy(body, config)
	if mode := text(s["network_mode"]); mode != "" {
		host["NetworkMode"] = mode
		return body, nil
	}
	first := true
	more = map[string]obj{}
	on := p.onNetworks(service)
	for _, name := range slices.Sorted(maps.Keys(on)) {
		real, _ := p.external(name, p.networks[name])
		settings := p.endpoint(service, number, on[name])
		if first {
			host["NetworkMode"] = real
			body["NetworkingConfig"] = obj{"EndpointsConfig": obj{real: settings}}
		} else {
			more[real] = settings
		}
		first = false
	}
	return body, more
}

func (p *project) endpoint(service string, number int, asked obj) obj {
	aliases := []any{service}
	if !p.v1() {
		aliases = []any{p.container(service, number), service}
	}
	settings := obj{"Aliases": append(aliases, list(asked["aliases"], "")...)}
	if a := text(asked["ipv4_address"]); a != "" {
		settings["IPAMConfig"] = obj{"IPv4Address": a}
	}
	return settings
}

func (p *project) labels(service string, number int, imageID string) map[string]string {
	const c = "com.docker.compose."
	labels := map[string]string{
		c + "project": p.name, c + "service": service, c + "container-number": strconv.Itoa(number), c + "oneoff": "False", c + "version": p.version,
		c + "config-hash": p.hash(service, imageID), c + "project.working_dir": p.home, c + "project.config_files": strings.Join(p.files, ","),
	}
	if p.v1() {
		return labels
	}
	var after []string
	for name, condition := range p.after(service) {
		after = append(after, name+":"+condition+":false")
	}
	slices.Sort(after)
	labels[c+"depends_on"], labels[c+"image"] = strings.Join(after, ","), imageID
	return labels
}

// binds are the volumes of a service as the engine wants them; anonymous ones are left to
// the image and to what an earlier container had.
func (p *project) binds(service string) []any {
	out := []any{}
	for _, one := range list(p.services[service]["volumes"], ":") {
		source, rest, ok := strings.Cut(one.(string), ":")
		if !ok {
			continue
		}
		switch {
		case strings.HasPrefix(source, "."):
			source = path.Join(p.home, source)
		case !strings.HasPrefix(source, "/"):
			source, _ = p.external(source, p.volumes[source])
		}
		if !strings.Contains(rest, ":") {
			rest += ":rw"
		}
		out = append(out, source+":"+rest)
	}
	return out
}

func restartPolicy(word string) obj {
	name, times, _ := strings.Cut(word, ":")
	n, err := strconv.Atoi(times)
	if err != nil {
		n = 0
	}
	if name == "" {
		name = "no"
	}
	return obj{"Name": name, "MaximumRetryCount": n}
}

func healthcheck(check obj) obj {
	if check["disable"] == true {
		return obj{"Test": []any{"NONE"}}
	}
	out := obj{}
	switch test := check["test"].(type) {
	case string:
		out["Test"] = []any{"CMD-SHELL", test}
	case []any:
		out["Test"] = test
	}
	for key, from := range map[string]string{"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start_period"} {
		if n := nanoseconds(check[from]); n != 0 {
			out[key] = n
		}
	}
	if n, err := strconv.Atoi(text(check["retries"])); err == nil {
		out["Retries"] = n
	}
	return out
}

// ports reads "8080:80", "127.0.0.1:8080:80/udp" and "80".
func ports(s obj) (exposed, bindings obj) {
	exposed, bindings = obj{}, obj{}
	for _, one := range list(s["expose"], "") {
		exposed[one.(string)+"/tcp"] = obj{}
	}
	for _, one := range list(s["ports"], "") {
		spec, proto, ok := strings.Cut(one.(string), "/")
		if !ok {
			proto = "tcp"
		}
		parts := strings.Split(spec, ":")
		private := parts[len(parts)-1] + "/" + proto
		exposed[private] = obj{}
		b := obj{"HostIp": "", "HostPort": ""}
		if len(parts) > 1 {
			b["HostPort"] = parts[len(parts)-2]
		}
		if len(parts) > 2 {
			b["HostIp"] = parts[0]
		}
		before, _ := bindings[private].([]any)
		bindings[private] = append(before, b)
	}
	return exposed, bindings
}
