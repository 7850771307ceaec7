package config

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrg/xdg"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"tandem/ops"
)

// full uses every key there is.
const full = `pair: tis
hosts:
  blue:
    ssh: ops@10.0.1.11:22
    jump: ops@bastion
    identity: ~/.ssh/id_ed25519
    known_hosts: keys/known_hosts
    sudo: true
    docker: unix:///run/docker.sock
  green: {ssh: "ops@10.0.1.12:2222"}
balancer:
  kind: haproxy
  haproxy:
    socket: unix:///run/haproxy/admin.sock
    via: ops@lb1
    backends: [tis]
    servers: {blue: blue, green: green}
  elbv2:
    region: eu-west-2
    profile: prod
    endpoint: ""
    target_groups: [tis-web, tis-api]
    targets: {blue: i-0aaa, green: i-0bbb}
  command:
    status: [./lb, status, "{{side}}"]
    drain: [./lb, drain, "{{side}}"]
    put_back: [./lb, ready, "{{side}}"]
compose: {project: tis, directory: /opt/tis}
services:
  - name: keycloak
  - name: profile
    after: []
    ready: running
  - name: gateway
    after: [keycloak, profile]
    ready: {http: "http://localhost:8082/health"}
    timeout: 2m
    only: green
  - name: apache
    ready: {exec: [curl, -f, localhost]}
jobs:
  - {name: ndw-etl, service: ndw, max_age: 26h, only: green}
networks:
  pools: [{base: 10.200.0.0/16, size: 24}]
  reserved: [10.0.0.0/17, 172.31.0.0/16]
limits: {drain: 6m, stop: 31s, start: 7m, reboot: 11m, soak: 16s, stale: 17s, revert: 91s}
notify: {slack: {webhook_env: TANDEM_SLACK_WEBHOOK}}
display: {theme: light, utc: false, redact: [hosts, addresses], reduced_motion: true}
canary: every 1h30m
`

func TestParse(t *testing.T) {
	t.Setenv("HOME", "/home/jo")
	got, err := Parse("/etc/t/tandem.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want := &Config{
		Path: "/etc/t/tandem.yaml",
		Pair: ops.Pair{
			Name:      "tis",
			Addresses: map[ops.Side]string{ops.Blue: "10.0.1.11", ops.Green: "10.0.1.12:2222"},
			Balancer:  "haproxy",
			Compose:   ops.Compose{Project: "tis", Directory: "/opt/tis"},
			Services: []ops.Service{
				{Name: "keycloak"},
				{Name: "profile", After: []string{}, Ready: ops.Readiness{Kind: ops.ReadyRunning}},
				{
					Name: "gateway", After: []string{"keycloak", "profile"}, Timeout: 2 * time.Minute, Only: ops.Green,
					Ready: ops.Readiness{Kind: ops.ReadyHTTP, URL: "http://localhost:8082/health"},
				},
				{Name: "apache", After: []string{"gateway"}, Ready: ops.Readiness{Kind: ops.ReadyExec, Exec: []string{"curl", "-f", "localhost"}}},
			},
			Jobs: []ops.Job{{Name: "ndw-etl", Service: "ndw", MaxAge: 26 * time.Hour, Only: ops.Green}},
			Networks: ops.Networks{
				Pools:    []ops.Pool{{Base: netip.MustParsePrefix("10.200.0.0/16"), Size: 24}},
				Reserved: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/17"), netip.MustParsePrefix("172.31.0.0/16")},
			},
			Limits: ops.Limits{
				Drain: 6 * time.Minute, Stop: 31 * time.Second, Start: 7 * time.Minute, Reboot: 11 * time.Minute,
				Soak: 16 * time.Second, Stale: 17 * time.Second, Revert: 91 * time.Second,
			},
			Canary: 90 * time.Minute,
		},
		Hosts: map[ops.Side]Host{
			ops.Blue: {
				SSH: "ops@10.0.1.11:22", Jump: "ops@bastion", Identity: "/home/jo/.ssh/id_ed25519",
				KnownHosts: "/etc/t/keys/known_hosts", Sudo: &yes, Docker: "unix:///run/docker.sock",
			},
			ops.Green: {SSH: "ops@10.0.1.12:2222", Docker: defaultDocker},
		},
		Balancer: Balancer{
			Kind: "haproxy",
			HAProxy: HAProxy{
				Socket: "unix:///run/haproxy/admin.sock", Via: &Host{SSH: "ops@lb1", Docker: defaultDocker},
				Backends: []string{"tis"}, Servers: map[ops.Side]string{ops.Blue: "blue", ops.Green: "green"},
			},
			ELBv2: ELBv2{
				Region: "eu-west-2", Profile: "prod", TargetGroups: []string{"tis-web", "tis-api"},
				Targets: map[ops.Side]string{ops.Blue: "i-0aaa", ops.Green: "i-0bbb"},
			},
			Command: Command{
				Status: []string{"/etc/t/lb", "status", "{{side}}"}, Drain: []string{"/etc/t/lb", "drain", "{{side}}"},
				PutBack: []string{"/etc/t/lb", "ready", "{{side}}"},
			},
		},
		Notify:  Notify{SlackWebhookEnv: "TANDEM_SLACK_WEBHOOK"},
		Display: Display{Theme: "light", ThemeAt: At{48, 18}, Still: true, Redact: []string{"hosts", "addresses"}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	got, err := Parse("tandem.yaml", []byte(`
pair: tis
hosts:
  blue: &host {ssh: web-blue}
  green: {ssh: "jo@[fd00::2]:2222"}
balancer:
  kind: haproxy
  haproxy: {socket: "tcp://127.0.0.1:9999", via: *host, backends: [tis], servers: {blue: b, green: g}}
jobs: [{name: etl}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Pair.Limits != ops.DefaultLimits() {
		t.Errorf("limits are %+v", got.Pair.Limits)
	}
	if got.Display.Theme != "dark" || !got.Display.UTC {
		t.Errorf("display is %+v", got.Display)
	}
	if got.Hosts[ops.Blue].Sudo != nil || got.Hosts[ops.Blue].Docker != defaultDocker {
		t.Errorf("blue is %+v", got.Hosts[ops.Blue])
	}
	if got.Balancer.HAProxy.Via == nil || got.Balancer.HAProxy.Via.SSH != "web-blue" {
		t.Errorf("via is %+v", got.Balancer.HAProxy.Via)
	}
	want := map[ops.Side]string{ops.Blue: "web-blue", ops.Green: "[fd00::2]:2222"}
	if diff := cmp.Diff(want, got.Pair.Addresses); diff != "" {
		t.Error(diff)
	}
	if got.Pair.Jobs[0].Service != "etl" {
		t.Errorf("the job runs as %q", got.Pair.Jobs[0].Service)
	}
}

// mistakes: each is full with one piece replaced, and gives exactly one error. schema
// tells whether a JSON schema can see it too.
var mistakes = []struct {
	name, old, new, want string
	schema               bool
}{
	{"pair missing", "pair: tis\n", "", `1:1: "pair" is missing; expected a name of`, true},
	{"pair empty", "pair: tis", "pair: ''", `1:7: this is empty; expected a name of`, true},
	{"pair with a slash", "pair: tis", "pair: a/b", `1:7: "a/b" does not fit here; expected a name of`, true},
	{"pair a number", "pair: tis", "pair: 7", `1:7: this is a number; expected a name of letters, digits, . _ and -, beginning with a letter or digit (put it in quotes`, true},
	{"unknown key", "compose:", "composed:", `28:1: unknown key "composed"; expected pair, hosts, balancer, compose, services, jobs, canary, networks, limits, notify or display (did you mean "compose"?)`, true},
	{"unknown key within", "jump:", "jmup:", `5:5: unknown key "jmup"; expected ssh, jump, identity, known_hosts, sudo or docker (did you mean "jump"?)`, true},
	{"required key misspelt", "  kind: haproxy", "  knd: haproxy", `12:3: unknown key "knd"; expected kind, haproxy, elbv2 or command (did you mean "kind"?)`, true},
	{"key far from any", "jump:", "zebra:", `5:5: unknown key "zebra"; expected ssh, jump, identity, known_hosts, sudo or docker`, true},
	{"key twice", "    sudo: true", "    sudo: true\n    sudo: false", `9:5: "sudo" is here twice; expected it once: it is in line 8 already`, false},
	{"no green", `  green: {ssh: "ops@10.0.1.12:2222"}` + "\n", "", `3:3: "green" is missing; expected how to reach a machine`, true},
	{"host without ssh", `{ssh: "ops@10.0.1.12:2222"}`, "{sudo: true}", `10:10: "ssh" is missing; expected [user@]host[:port]`, true},
	{"host a text", `{ssh: "ops@10.0.1.12:2222"}`, "ops@x", `10:10: this is a text; expected how to reach a machine`, true},
	{"bad port", "ops@10.0.1.12:2222", "ops@10.0.1.12:99999", `10:16: "ops@10.0.1.12:99999" does not fit here; expected [user@]host[:port]`, false},
	{"an option as a host", "ops@10.0.1.12:2222", "-oProxyCommand=x", `10:16: "-oProxyCommand=x" does not fit here`, true},
	{"a URL as a host", "ops@10.0.1.12:2222", "ssh://green", `10:16: "ssh://green" does not fit here`, true},
	{"one machine twice", `"ops@10.0.1.12:2222"`, "jo@10.0.1.11, jump: ops@bastion", `10:16: green is the same machine as blue, ops@10.0.1.11:22 in line 4; expected two machines`, false},
	{"sudo in words", "sudo: true", "sudo: yes", `8:11: this is a text; expected true or false`, true},
	{"docker without scheme", "unix:///run/docker.sock", "/run/docker.sock", `9:13: "/run/docker.sock" does not fit here; expected unix:///path or tcp://host:port`, true},
	{"another user's home", "~/.ssh/id_ed25519", "~root/key", `6:15: the home directory of another user is not known here; expected ~/ or an absolute path`, false},
	{"unknown balancer", "kind: haproxy", "kind: haproxi", `12:9: "haproxi" does not fit here; expected haproxy, elbv2 or command (did you mean "haproxy"?)`, true},
	{"kind without section", "  haproxy:\n    socket: unix:///run/haproxy/admin.sock\n    via: ops@lb1\n    backends: [tis]\n    servers: {blue: blue, green: green}\n", "", `12:9: the kind is haproxy, but there is no haproxy section; expected balancer.haproxy`, false},
	{"socket without scheme", "unix:///run/haproxy/admin.sock", "/run/haproxy.sock", `14:13: "/run/haproxy.sock" does not fit here; expected unix:///path or tcp://host:port`, true},
	{"socket without port", "unix:///run/haproxy/admin.sock", "tcp://lb1", `14:13: "tcp://lb1" does not fit here; expected unix:///path or tcp://host:port`, false},
	{"via a list", "via: ops@lb1", "via: [ops@lb1]", `15:10: this is a list; expected [user@]host[:port], or a map with the keys of a host`, true},
	{"via with a wrong key", "via: ops@lb1", "via: {ssh: lb1, sock: x}", `15:21: unknown key "sock"; expected ssh,`, true},
	{"no backends", "backends: [tis]", "backends: []", `16:15: this list is empty; expected a list of backend names`, true},
	{"backend with a command in it", "backends: [tis]", `backends: ["tis; shutdown"]`, `16:16: "tis; shutdown" does not fit here; expected a name as in haproxy.cfg`, true},
	{"backend twice", "backends: [tis]", "backends: [tis, tis]", `16:21: "tis" is in this list twice; expected it once`, false},
	{"servers equal", "{blue: blue, green: green}", "{blue: a, green: a}", `17:31: "a" is the server of blue already; expected two different servers`, false},
	{"targets equal", "green: i-0bbb", "green: i-0aaa", `23:36: "i-0aaa" is the target of blue already; expected two different targets`, false},
	{"a name as a target", "green: i-0bbb", "green: web2", `23:36: "web2" does not fit here; expected an instance id or an IP address`, true},
	{"target group with a space", "tis-web", "tis web", `22:21: "tis web" does not fit here; expected the name or the ARN of a target group`, true},
	{"endpoint no URL", `endpoint: ""`, "endpoint: localhost", `21:15: "localhost" does not fit here; expected a URL such as`, true},
	{"command as a text", `status: [./lb, status, "{{side}}"]`, "status: ./lb status", `25:13: this is a text; expected a command as a list`, true},
	{"command without side", `status: [./lb, status, "{{side}}"]`, "status: [./lb, status]", `25:13: the command does not say which side; expected {{side}} in one of its arguments`, false},
	{"unknown placeholder", `[./lb, drain, "{{side}}"]`, `[./lb, drain, "{{host}}"]`, `26:26: {{host}} is not known; expected {{side}}`, false},
	{"no put_back", `    put_back: [./lb, ready, "{{side}}"]` + "\n", "", `25:5: "put_back" is missing; expected a command as a list`, true},
	{"relative directory", "directory: /opt/tis", "directory: opt/tis", `28:36: "opt/tis" does not fit here; expected an absolute path on the hosts`, true},
	{"project in capitals", "project: tis", "project: TIS", `28:20: "TIS" does not fit here; expected a compose project name`, true},
	{"service without a name", "- name: apache\n    ready", "- ready", `39:5: "name" is missing; expected a name of`, true},
	{"service twice", "- name: apache", "- name: profile", `39:11: there is a service "profile" already, in line 31; expected a name of its own`, false},
	{"unknown service", "[keycloak, profile]", "[keycloak, profil]", `35:23: there is no service "profil"; expected one of keycloak, profile, gateway or apache (did you mean "profile"?)`, false},
	{"after itself", "[keycloak, profile]", "[gateway]", `35:13: "gateway" comes after itself; expected other services, or [] for none`, false},
	{"a circle", "after: []", "after: [apache]", `the start order is a circle: profile after apache after gateway after profile; expected an order with a first one`, false},
	{"after twice", "[keycloak, profile]", "[keycloak, keycloak]", `35:23: "keycloak" is in this list twice; expected it once`, false},
	{"after a text", "after: []", "after: keycloak", `32:12: this is a text; expected a list of service names`, true},
	{"unknown readiness", "ready: running", "ready: up", `33:12: "up" does not fit here; expected healthy, running, {http: URL} or {exec: [command]}`, true},
	{"both readiness tests", `{exec: [curl, -f, localhost]}`, "{exec: [x], http: 'http://y'}", `40:12: there are 2 keys here; expected exactly one of http and exec`, true},
	{"no readiness test", `{exec: [curl, -f, localhost]}`, "{}", `40:12: there are 0 keys here; expected exactly one of http and exec`, true},
	{"http without scheme", "http://localhost:8082/health", "localhost:8082/health", `36:19: "localhost:8082/health" does not fit here; expected a URL such as`, true},
	{"duration without unit", "timeout: 2m", "timeout: 120", `37:14: this is a number; expected a duration above zero such as 30s, 2m or 26h`, true},
	{"duration of zero", "timeout: 2m", "timeout: 0s", `37:14: "0s" does not fit here; expected a duration above zero`, false},
	{"duration with a sign", "timeout: 2m", "timeout: +2m", `37:14: "+2m" does not fit here; expected a duration above zero`, true},
	{"duration in days", "max_age: 26h", "max_age: 2d", `42:44: "2d" does not fit here; expected a duration above zero`, true},
	{"canary without every", "every 1h30m", "15m", `49:9: "15m" does not fit here; expected every and a duration of a minute or more, such as every 15m`, true},
	{"canary without a duration", "every 1h30m", "every hour", `49:9: "every hour" does not fit here; expected every and a duration`, true},
	{"canary too often", "every 1h30m", "every 10s", `49:9: "every 10s" does not fit here; expected every and a duration of a minute or more`, false},
	{"unknown side", "only: green}", "only: red}", `42:55: "red" does not fit here; expected blue or green`, true},
	{"job twice", "jobs:\n", "jobs:\n  - {name: ndw-etl, service: x}\n", `43:12: there is a job "ndw-etl" already; expected a name of its own`, false},
	{"job is a service", "service: ndw,", "service: apache,", `42:30: "apache" is a service already; expected a job to be no service`, false},
	{"pool not canonical", "10.200.0.0/16", "10.200.1.0/16", `44:18: 10.200.1.0/16 is an address within a network; expected 10.200.0.0/16`, false},
	{"pool no network", "10.200.0.0/16", "10.200.0.0", `44:18: "10.200.0.0" does not fit here; expected a network such as`, true},
	{"pool too long a prefix", "10.200.0.0/16", "10.200.0.0/40", `44:18: "10.200.0.0/40" does not fit here; expected a network such as`, false},
	{"pool size above base", "size: 24", "size: 8", `44:39: 10.200.0.0/16 cannot be cut into networks of /8; expected 16 to 30`, false},
	{"pool size too small", "size: 24", "size: 32", `44:39: 10.200.0.0/16 cannot be cut into networks of /32; expected 16 to 30`, false},
	{"pool size a text", "size: 24", "size: /24", `44:39: this is a text; expected a whole number of bits`, true},
	{"pools overlap", "size: 24}", "size: 24}, {base: 10.200.128.0/17, size: 24}", `44:51: the pool 10.200.128.0/17 overlaps the pool 10.200.0.0/16; expected pools apart`, false},
	{"pool is reserved", "10.0.0.0/17", "10.128.0.0/9", `44:18: the pool 10.200.0.0/16 overlaps 10.128.0.0/9, which is reserved; expected a range`, false},
	{"reserved not canonical", "172.31.0.0/16", "172.31.4.4/16", `45:27: 172.31.4.4/16 is an address within a network; expected 172.31.0.0/16`, false},
	{"the webhook itself", "TANDEM_SLACK_WEBHOOK", "https://hooks.slack.com/T0/SECRET", `47:31: this does not fit here; expected the name of an environment variable that holds the URL, not the URL itself`, true},
	{"redact a letter", "[hosts, addresses]", "[hosts, x]", `48:53: "x" does not fit here; expected hosts, addresses, or another word of two characters or more`, true},
	{"nothing after the colon", "compose: {project: tis, directory: /opt/tis}", "compose:", `this is empty; expected the compose project`, true},
	{"no anchor", "via: ops@lb1", "via: *host", `15:10: there is no anchor &host before this; expected [user@]host[:port]`, false},
	{"a tag", "pair: tis", "pair: !!str tis", `1:7: tags such as !!str are not used here; expected a name`, false},
	{"not closed", "size: 24}]", "size: 24", `this is not YAML: `, false},
	{"a tab", "    jump:", "\tjump:", `5:1: this is not YAML: found character '	' that cannot start any token; expected a config with pair, hosts and balancer`, false},
	{"second document", "display:", "---\ndisplay:", `49:1: a second document begins here; expected one document`, false},
	{"not UTF-8", "pair: tis", "pair: t\xffs", `1:8: this is not UTF-8; expected a text file in UTF-8`, true},
}

func TestMistakes(t *testing.T) {
	schema := compile(t)
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			if strings.Count(full, m.old) == 0 {
				t.Fatalf("%q is not in the config", m.old)
			}
			text := strings.Replace(full, m.old, m.new, 1)
			_, err := Parse("tandem.yaml", []byte(text))
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %v, expected Errors", err)
			}
			if len(all) != 1 {
				t.Fatalf("got %d errors, expected one:\n%v", len(all), err)
			}
			if got := all[0].String(); !strings.HasPrefix(got, "tandem.yaml:") || !strings.Contains(got, m.want) {
				t.Errorf("got  %s\nwant tandem.yaml:%s", got, m.want)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error repeats a secret: %v", err)
			}
			var tree any
			if yaml.Unmarshal([]byte(text), &tree) != nil {
				return // no YAML: a schema never sees it
			}
			if refused := schema.Validate(viaJSON(t, tree)) != nil; refused != m.schema {
				t.Errorf("the schema refuses it: %v, expected %v", refused, m.schema)
			}
		})
	}
}

func TestNothing(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n"} {
		_, err := Parse("tandem.yaml", []byte(text))
		if want := "tandem.yaml:1:1: the file is empty; expected a config with pair, hosts and balancer"; err == nil || err.Error() != want {
			t.Errorf("%q: got %v, expected %s", text, err, want)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	text := strings.NewReplacer("pair: tis", "pair: 7", "size: 24", "size: 8", "sudo: true", "sudo: x", "only: green}", "onyl: green}").Replace(full)
	_, err := Parse("t.yaml", []byte(text))
	want := `t.yaml:1:7: this is a number; expected a name of letters, digits, . _ and -, beginning with a letter or digit (put it in quotes if it is meant as a text)
t.yaml:8:11: this is a text; expected true or false
t.yaml:42:49: unknown key "onyl"; expected name, service, max_age or only (did you mean "only"?)
t.yaml:44:39: 10.200.0.0/16 cannot be cut into networks of /8; expected 16 to 30`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestSchemaAccepts(t *testing.T) {
	var tree any
	if err := yaml.Unmarshal([]byte(full), &tree); err != nil {
		t.Fatal(err)
	}
	if err := compile(t).Validate(viaJSON(t, tree)); err != nil {
		t.Error(err)
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema())))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("tandem.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("tandem.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func viaJSON(t *testing.T, tree any) any {
	t.Helper()
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFind(t *testing.T) {
	here, home := t.TempDir(), t.TempDir()
	t.Chdir(here)
	t.Setenv("TANDEM_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", home)
	xdg.Reload()
	t.Cleanup(xdg.Reload)
	inHome := filepath.Join(home, "tandem", "tandem.yaml")
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(flag, want string) {
		t.Helper()
		if got, err := Find(flag); err != nil || got != want {
			t.Errorf("got %q, %v, expected %q", got, err, want)
		}
	}

	_, err := Find("")
	var problem *ops.Problem
	if !errors.As(err, &problem) || problem.Hint == "" {
		t.Fatalf("got %v, expected a Problem with a hint", err)
	}
	for _, place := range []string{"--config", "$TANDEM_CONFIG", "./tandem.yaml", inHome} {
		if !strings.Contains(err.Error(), place) {
			t.Errorf("the error does not name %s: %v", place, err)
		}
	}
	write(inHome)
	check("", inHome)
	write("tandem.yaml")
	check("", "tandem.yaml")
	t.Setenv("TANDEM_CONFIG", "env.yaml")
	check("", "env.yaml")
	check("flag.yaml", "flag.yaml")

	if _, err := Load("env.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, expected no such file", err)
	}
}

// FuzzParse: whatever the text, Parse answers with a config or with mistakes that have a place.
func FuzzParse(f *testing.F) {
	f.Add(full)
	for _, m := range mistakes {
		f.Add(strings.Replace(full, m.old, m.new, 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Parse("t.yaml", []byte(text))
		var all Errors
		if err != nil && !errors.As(err, &all) {
			t.Fatalf("got %T", err)
		}
		for _, m := range all {
			if m.Line < 1 || m.Column < 1 || m.What == "" || m.Want == "" {
				t.Errorf("got %#v", m)
			}
		}
	})
}

// A theme of one's own is looked for where the config is, not where tandem was started.
func TestThemeOfOnesOwn(t *testing.T) {
	t.Setenv("HOME", "/home/jo")
	for text, want := range map[string]string{
		"light": "light", "mine.yaml": "/etc/t/mine.yaml", "looks/mine": "/etc/t/looks/mine", "~/mine.yml": "/home/jo/mine.yml", "/mine.yaml": "/mine.yaml",
	} {
		cfg, err := Parse("/etc/t/tandem.yaml", []byte(strings.Replace(full, "theme: light", "theme: "+text, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Display.Theme != want {
			t.Errorf("%s: %s", text, cfg.Display.Theme)
		}
		if err := cfg.WrongTheme(errors.New("no such file")); !strings.HasPrefix(err.Error(), "/etc/t/tandem.yaml:48:18: no such file") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
