package config

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A shape is what may stand at a place of the file. The table below is all there is to
// know of the file's structure.
type shape struct {
	want string // what is expected here, for errors and as the schema's description

	// One of these says what it is:
	keys    []key                         // a map with these keys
	each    *shape                        // a list
	read    func(text string) (any, bool) // a text; the value it stands for
	boolean bool
	integer bool
	either  []*shape // a text or a map: whichever the file has

	one     bool     // map: exactly one of the keys
	least   int      // list: so many entries at least
	words   []string // text: one of these
	pattern string   // text: what the schema can say of read, never stricter
	secret  bool     // text: never repeated in an error
}

type key struct {
	name  string
	shape *shape
	must  bool
}

func object(want string, keys ...key) *shape { return &shape{want: want, keys: keys} }
func must(name string, s *shape) key         { return key{name, s, true} }
func may(name string, s *shape) key          { return key{name, s, false} }
func list(want string, least int, each *shape) *shape {
	return &shape{want: want, each: each, least: least}
}

func words(list ...string) *shape {
	return &shape{want: orList(list), words: list, read: func(s string) (any, bool) {
		for _, w := range list {
			if s == w {
				return s, true
			}
		}
		return nil, false
	}}
}

func matching(want, pattern string) *shape {
	re := regexp.MustCompile(pattern)
	return &shape{want: want, pattern: pattern, read: func(s string) (any, bool) { return s, re.MatchString(s) }}
}

// reading is a text with a rule that a pattern alone cannot say. The pattern must match
// too, so that the schema is never stricter than the check.
func reading(want, pattern string, rule func(string) (any, bool)) *shape {
	re := regexp.MustCompile(pattern)
	return &shape{want: want, pattern: pattern, read: func(s string) (any, bool) {
		v, ok := rule(s)
		return v, ok && re.MatchString(s)
	}}
}

var (
	text = matching("a text", `^[^\x00-\x1f]+$`)
	name = matching("a name of letters, digits, . _ and -, beginning with a letter or digit", `^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	path = matching("a path", `^[^\x00-\x1f]+$`)
	yes  = &shape{want: "true or false", boolean: true}
	side = words("blue", "green")

	// HAProxy allows exactly these characters in names (configuration.txt 2.2); anything
	// else could end a command on its socket.
	haproxyName = matching("a name as in haproxy.cfg: letters, digits, - _ . and :", `^[A-Za-z0-9_.:-]+$`)

	duration = reading("a duration above zero such as 30s, 2m or 26h", `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, func(s string) (any, bool) {
		d, err := time.ParseDuration(s)
		return d, err == nil && d > 0
	})
	schedule = reading("every and a duration of a minute or more, such as every 15m", `^every +([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, func(s string) (any, bool) {
		rest, found := strings.CutPrefix(s, "every ")
		d, err := time.ParseDuration(strings.TrimSpace(rest))
		return d, found && err == nil && d >= time.Minute
	})
	machine = reading("[user@]host[:port], or an alias from ~/.ssh/config", `^[^\s/-][^\s/]*$`, func(s string) (any, bool) {
		m, ok := parseMachine(s)
		return m, ok
	})
	prefix = reading("a network such as 10.200.0.0/16", `^[0-9A-Fa-f.:]+/[0-9]+$`, func(s string) (any, bool) {
		p, err := netip.ParsePrefix(s)
		return p, err == nil
	})
	target = reading("an instance id or an IP address, optionally with :port, such as i-0abc or 10.0.1.11:8080", `^(i-[0-9A-Za-z]+|[0-9A-Fa-f.:\[\]]+)(:[0-9]+)?$`, func(s string) (any, bool) {
		return s, isTarget(s)
	})
	socket = reading("unix:///path or tcp://host:port", `^(unix:///|tcp://).+$`, func(s string) (any, bool) {
		return s, isSocket(s)
	})
	webURL = reading("a URL such as http://localhost:8082/health", `^https?://`, func(s string) (any, bool) {
		return s, isWeb(s)
	})
	argument = matching("a text without control characters", `^[^\x00-\x1f]*$`)
	argv     = list("a command as a list, such as [./lb, status, \"{{side}}\"]", 1, argument)

	host = object("how to reach a machine",
		must("ssh", machine),
		may("jump", machine),
		may("identity", path),
		may("known_hosts", path),
		may("sudo", yes),
		may("docker", socket),
	)

	file = object("a config with pair, hosts and balancer",
		must("pair", name),
		must("hosts", object("the two hosts, blue and green", must("blue", host), must("green", host))),
		must("balancer", object("the load balancer",
			must("kind", words("haproxy", "elbv2", "command")),
			may("haproxy", object("an HAProxy runtime socket",
				must("socket", socket),
				may("via", &shape{want: "[user@]host[:port], or a map with the keys of a host", either: []*shape{machine, host}}),
				must("backends", list("a list of backend names", 1, haproxyName)),
				must("servers", object("the server name of each side", must("blue", haproxyName), must("green", haproxyName))),
			)),
			may("elbv2", object("AWS target groups",
				must("region", matching("an AWS region such as eu-west-2", `^[a-z0-9-]+$`)),
				may("profile", text),
				may("endpoint", reading("a URL such as http://localhost:4566, or nothing", `^(https?://.+)?$`, func(s string) (any, bool) { return s, s == "" || isWeb(s) })),
				must("target_groups", list("a list of target group names or ARNs", 1,
					matching("the name or the ARN of a target group", `^([A-Za-z0-9-]{1,32}|arn:[a-z-]+:elasticloadbalancing:[^:]*:[^:]*:targetgroup/\S+)$`))),
				must("targets", object("the target of each side", must("blue", target), must("green", target))),
			)),
			may("command", object("the commands of another load balancer", must("status", argv), must("drain", argv), must("put_back", argv))),
		)),
		may("compose", object("the compose project",
			may("project", matching("a compose project name: lower-case letters, digits, - and _", `^[a-z0-9][a-z0-9_-]*$`)),
			may("directory", matching("an absolute path on the hosts", `^/[^\x00-\x1f]*$`)),
		)),
		may("services", list("a list of services in start order", 0, object("a service",
			must("name", name),
			may("after", list("a list of service names; [] for none", 0, name)),
			may("ready", &shape{want: "healthy, running, {http: URL} or {exec: [command]}", either: []*shape{
				words("healthy", "running"),
				{want: "exactly one of http and exec", one: true, keys: []key{may("http", webURL), may("exec", argv)}},
			}}),
			may("timeout", duration),
			may("only", side),
		))),
		may("jobs", list("a list of jobs", 0, object("a job",
			must("name", name),
			may("service", name),
			may("max_age", duration),
			may("only", side),
		))),
		may("canary", schedule),
		may("networks", object("the addresses that Docker may use and must not touch",
			may("pools", list("a list of pools such as {base: 10.200.0.0/16, size: 24}", 0, object("a pool", must("base", prefix), must("size", &shape{want: "a whole number of bits", integer: true})))),
			may("reserved", list("a list of networks such as 10.0.0.0/17", 0, prefix)),
		)),
		may("limits", object("deadlines",
			may("drain", duration), may("stop", duration), may("start", duration), may("reboot", duration),
			may("soak", duration), may("stale", duration), may("revert", duration),
		)),
		may("notify", object("where messages go",
			may("slack", object("a Slack webhook", must("webhook_env", &shape{
				want:    "the name of an environment variable that holds the URL, not the URL itself",
				pattern: envName.String(), secret: true,
				read: func(s string) (any, bool) { return s, envName.MatchString(s) },
			}))),
		)),
		may("display", object("how the console looks",
			may("theme", text),
			may("utc", yes),
			may("reduced_motion", yes),
			may("keys", list("a list of acts with their keys", 0, object("an act and its key, such as {act: drain, key: D}", must("act", text), must("key", text)))),
			may("redact", list("a list of hosts, addresses, and other words to hide", 0, matching("hosts, addresses, or another word of two characters or more", `^[^\x00-\x1f]{2,}$`))),
		)),
	)
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// sshTarget is [user@]host[:port] taken apart; port 0 where none is named.
type sshTarget struct {
	user, host string
	port       int
}

func parseMachine(s string) (sshTarget, bool) {
	var t sshTarget
	rest := s
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		if i == 0 {
			return t, false
		}
		t.user, rest = s[:i], s[i+1:]
	}
	if strings.ContainsAny(s, " \t\r\n/,\x00") || strings.HasPrefix(s, "-") || strings.HasPrefix(rest, "-") {
		return t, false
	}
	if addr, err := netip.ParseAddr(rest); err == nil {
		t.host = addr.String()
		return t, true
	}
	t.host = rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		port, ok := parsePort(rest[i+1:])
		if !ok {
			return t, false
		}
		t.host, t.port = rest[:i], port
	}
	if inner, found := strings.CutPrefix(t.host, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !found || err != nil {
			return t, false
		}
		t.host = addr.String()
		return t, true
	}
	return t, t.host != "" && !strings.ContainsAny(t.host, ":[]")
}

func parsePort(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && n > 0
}

var instanceID = regexp.MustCompile(`^i-[0-9A-Za-z]+$`)

func isTarget(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Port() > 0
	}
	id, port, found := strings.Cut(s, ":")
	if found {
		if _, ok := parsePort(port); !ok {
			return false
		}
	}
	return instanceID.MatchString(id)
}

func isWeb(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func isSocket(s string) bool {
	if p, found := strings.CutPrefix(s, "unix://"); found {
		return strings.HasPrefix(p, "/") && len(p) > 1
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "tcp" || u.Hostname() == "" || u.Path != "" {
		return false
	}
	_, ok := parsePort(u.Port())
	return ok
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// Schema is the JSON Schema (2020-12) of the file, for editors. It accepts every file
// that Parse accepts; Parse knows more.
func Schema() []byte {
	root := schemaOf(file)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "tandem.yaml"
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("encoding the schema: " + err.Error()) // only maps, lists and texts
	}
	return append(out, '\n')
}

func schemaOf(s *shape) map[string]any {
	m := map[string]any{"description": s.want}
	switch {
	case s.either != nil:
		var alternatives []any
		for _, a := range s.either {
			alternatives = append(alternatives, schemaOf(a))
		}
		m["oneOf"] = alternatives
	case s.keys != nil:
		properties, required := map[string]any{}, []string{}
		for _, k := range s.keys {
			properties[k.name] = schemaOf(k.shape)
			if k.must {
				required = append(required, k.name)
			}
		}
		m["type"], m["properties"], m["additionalProperties"] = "object", properties, false
		if len(required) > 0 {
			m["required"] = required
		}
		if s.one {
			m["minProperties"], m["maxProperties"] = 1, 1
		}
	case s.each != nil:
		m["type"], m["items"] = "array", schemaOf(s.each)
		if s.least > 0 {
			m["minItems"] = s.least
		}
	case s.boolean:
		m["type"] = "boolean"
	case s.integer:
		m["type"] = "integer"
	default:
		m["type"] = "string"
		if s.words != nil {
			m["enum"] = s.words
		}
		if s.pattern != "" {
			m["pattern"] = s.pattern
		}
	}
	return m
}
