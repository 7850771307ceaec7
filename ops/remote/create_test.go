package remote

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"
)

const (
	oldID      = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab0123"
	oldInspect = `{
 "Id": "` + oldID + `", "Name": "/gateway", "Image": "sha256:one", "Created": "2020-11-01T10:00:00Z",
 "State": {"Status": "exited"},
 "Config": {"Hostname": "0123456789ab", "Image": "tis/gateway:1", "Env": ["PATH=/bin", "JAVA=11", "TOKEN=s3cret"],
  "Cmd": ["serve"], "Entrypoint": ["/run.sh"], "WorkingDir": "/app", "User": "1000", "StopSignal": "SIGTERM",
  "Labels": {"vendor": "acme", "com.docker.compose.service": "gateway", "com.docker.compose.image": "sha256:one"},
  "ExposedPorts": {"8080/tcp": {}, "9000/tcp": {}}, "Volumes": {"/data": {}}, "StopTimeout": 30,
  "Healthcheck": {"Test": ["CMD", "true"]}},
 "HostConfig": {"NetworkMode": "tis_default", "Binds": ["/srv/conf:/conf:ro"], "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
  "PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "80"}]}, "Links": ["/db:/gateway/database"], "Memory": 1048576, "FutureSetting": 5},
 "Mounts": [
  {"Type": "bind", "Source": "/srv/conf", "Destination": "/conf", "Mode": "ro", "RW": false},
  {"Type": "volume", "Name": "f00", "Source": "/var/lib/docker/volumes/f00/_data", "Destination": "/data", "RW": true}],
 "NetworkSettings": {"Networks": {
  "tis_default": {"NetworkID": "n1", "Aliases": ["gateway", "0123456789ab"], "IPAMConfig": {"IPv4Address": "10.200.0.5"}, "IPAddress": "10.200.0.5", "MacAddress": "02:42:0a:c8:00:05"},
  "edge": {"NetworkID": "n2", "Aliases": ["gw"], "IPAddress": "10.201.0.2"}}}
}`
	imageConfig1 = `{"Env": ["PATH=/bin", "JAVA=11"], "Cmd": ["serve"], "Entrypoint": ["/run.sh"], "WorkingDir": "/app",
 "Labels": {"vendor": "acme"}, "ExposedPorts": {"9000/tcp": {}}, "Volumes": {"/data": {}}, "StopSignal": "SIGTERM", "Healthcheck": {"Test": ["CMD", "true"]}}`
)

// creating is a fake engine that creates one container and inspects it as asked for.
func creating(t *testing.T, f *fakeEngine) (body func() map[string]any, connected map[string]any) {
	var created map[string]any
	connected = map[string]any{}
	nets := map[string]any{}
	f.on("POST /containers/create", func(w http.ResponseWriter, r *http.Request) {
		created = map[string]any{"name": r.URL.Query().Get("name")}
		if err := json.NewDecoder(r.Body).Decode(&created); err != nil {
			t.Error(err)
		}
		maps.Copy(nets, created["NetworkingConfig"].(map[string]any)["EndpointsConfig"].(map[string]any))
		w.Write([]byte(`{"Id": "new"}`))
	})
	for _, n := range []string{"edge", "tis_default"} {
		f.on("POST /networks/"+n+"/connect", func(w http.ResponseWriter, r *http.Request) {
			var c map[string]any
			if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
				t.Error(err)
			}
			nets[n], connected[n] = c["EndpointConfig"], c["EndpointConfig"]
		})
	}
	f.on("GET /containers/new/json", func(w http.ResponseWriter, _ *http.Request) {
		config, host := maps.Clone(created), created["HostConfig"]
		for _, k := range []string{"name", "HostConfig", "NetworkingConfig"} {
			delete(config, k)
		}
		json.NewEncoder(w).Encode(map[string]any{
			"Id": "new", "Name": "/new", "Config": config, "HostConfig": host,
			"Mounts": []any{
				map[string]any{"Type": "bind", "Source": "/srv/conf", "Destination": "/conf"},
				map[string]any{"Type": "volume", "Name": "f00", "Destination": "/data"},
			},
			"NetworkSettings": map[string]any{"Networks": nets},
		})
	})
	return func() map[string]any { return created }, connected
}

func imageOf(id, config string) map[string]any {
	return map[string]any{"Id": id, "Config": json.RawMessage(config)}
}

func TestCreateWithTheSameImage(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	body, connected := creating(t, f)
	f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
	id, lost, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", "")
	if err != nil || id != "new" {
		t.Fatal(id, err)
	}
	// The Docker client of today does not know the setting: it must be named, not lost in silence.
	if d := cmp.Diff([]string{"host setting FutureSetting"}, lost); d != "" {
		t.Error(d)
	}
	got := body()
	host := got["HostConfig"].(map[string]any)
	for what, pair := range map[string][2]any{
		"name":     {got["name"], "gateway"},
		"image":    {got["Image"], "tis/gateway:1"},
		"hostname": {got["Hostname"], ""},
		"env":      {got["Env"], []any{"PATH=/bin", "JAVA=11", "TOKEN=s3cret"}},
		"command":  {got["Cmd"], []any{"serve"}},
		"binds":    {host["Binds"], []any{"/srv/conf:/conf:ro", "f00:/data"}},
		"links":    {host["Links"], []any{"db:database"}},
	} {
		if d := cmp.Diff(pair[1], pair[0]); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	endpoints := got["NetworkingConfig"].(map[string]any)["EndpointsConfig"].(map[string]any)
	if len(endpoints) != 1 {
		t.Errorf("created on %d networks; engines before 25 take one", len(endpoints))
	}
	first := endpoints["tis_default"].(map[string]any)
	if d := cmp.Diff([]any{"gateway"}, first["Aliases"]); d != "" {
		t.Error(d)
	}
	if ip := first["IPAMConfig"].(map[string]any)["IPv4Address"]; ip != "10.200.0.5" || first["MacAddress"] != "" {
		t.Errorf("address %v, mac %v", ip, first["MacAddress"])
	}
	if edge, _ := connected["edge"].(map[string]any); edge == nil || edge["IPAMConfig"] != nil {
		t.Errorf("edge: %v", connected)
	}
}

func TestCreateWithAnotherImage(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	body, _ := creating(t, f)
	f.answer("GET /images/tis/gateway:0/json", imageOf("sha256:zero", `{}`))
	f.answer("GET /images/sha256:one/json", imageOf("sha256:one", imageConfig1))
	_, lost, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", "tis/gateway:0")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"host setting FutureSetting"}, lost); d != "" {
		t.Error(d)
	}
	got := body()
	for what, pair := range map[string][2]any{
		"image":       {got["Image"], "tis/gateway:0"},
		"env":         {got["Env"], []any{"TOKEN=s3cret"}},
		"command":     {got["Cmd"], nil},
		"entry point": {got["Entrypoint"], nil},
		"directory":   {got["WorkingDir"], ""},
		"user":        {got["User"], "1000"},
		"ports":       {got["ExposedPorts"], map[string]any{"8080/tcp": map[string]any{}}},
		"labels":      {got["Labels"], map[string]any{"com.docker.compose.service": "gateway", "com.docker.compose.image": "sha256:zero"}},
		"health":      {got["Healthcheck"], nil},
	} {
		if d := cmp.Diff(pair[1], pair[0]); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
}

func TestCreateWhereTheTagHasMoved(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	body, _ := creating(t, f)
	f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:two", `{}`))
	if _, _, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", ""); err != nil {
		t.Fatal(err)
	}
	if got := body()["Image"]; got != "sha256:one" {
		t.Errorf("made from %v", got)
	}
}

func TestCreateWhereTheOldImageIsGone(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	creating(t, f)
	f.answer("GET /images/tis/gateway:0/json", imageOf("sha256:zero", `{}`))
	_, lost, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", "tis/gateway:0")
	if err != nil || len(lost) == 0 || !strings.Contains(lost[0], "the old image is gone") {
		t.Errorf("%q, %v", lost, err)
	}
}

// What the engine did not take over is named, without secret values.
func TestCreateNamesWhatWasLost(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	creating(t, f)
	f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
	f.answer("GET /containers/new/json", map[string]any{"Id": "new", "Config": map[string]any{}, "HostConfig": map[string]any{}, "NetworkSettings": map[string]any{}})
	_, lost, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", "")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(lost, "\n")
	for _, want := range []string{"setting StopTimeout", "host setting Memory", "host setting RestartPolicy", "environment variable TOKEN", "label vendor", "mount /data", "mount /conf", "network edge", "network tis_default"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not named in:\n%s", want, all)
		}
	}
	if strings.Contains(all, "s3cret") {
		t.Error("a secret is named")
	}
}

// A container that cannot be completed is not left behind.
func TestCreateTakesBackAHalfMadeContainer(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	creating(t, f)
	f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
	f.on("POST /networks/edge/connect", func(w http.ResponseWriter, _ *http.Request) { fault(w, 404, "network edge not found") })
	f.on("DELETE /containers/new", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	_, _, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", "")
	problem(t, err, nil, "connecting to the network edge", "")
	if f.count("DELETE /containers/new") != 1 {
		t.Error("left behind")
	}
	if _, _, err := e.Create(t.Context(), json.RawMessage(`{}`), "x", ""); err == nil {
		t.Error("an empty inspect was followed")
	}
}

// edited is the old inspect with changes, each a text and what it becomes.
func edited(t *testing.T, changes ...string) json.RawMessage {
	t.Helper()
	text := oldInspect
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return json.RawMessage(text)
}

// A network that was made again in another range has no place for the old fixed address.
func TestCreateGivesUpAnAddressOutsideItsNetwork(t *testing.T) {
	for subnet, want := range map[string]struct {
		address any
		lost    []string
	}{
		"10.200.0.0/24": {"10.200.0.5", []string{"host setting FutureSetting"}},
		"10.240.0.0/24": {nil, []string{"fixed address 10.200.0.5 on the network tis_default, whose range is another now", "host setting FutureSetting"}},
	} {
		e, f, _ := onEngine(t, Options{})
		body, _ := creating(t, f)
		f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
		f.answer("GET /networks/tis_default", map[string]any{"Name": "tis_default", "IPAM": map[string]any{"Config": []any{map[string]any{"Subnet": subnet}}}})
		_, lost, err := e.Create(t.Context(), json.RawMessage(oldInspect), "gateway", "")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.lost, lost); d != "" {
			t.Errorf("%s: %s", subnet, d)
		}
		ep := body()["NetworkingConfig"].(map[string]any)["EndpointsConfig"].(map[string]any)["tis_default"].(map[string]any)
		if got := ep["IPAMConfig"].(map[string]any)["IPv4Address"]; got != want.address {
			t.Errorf("%s: asked for %v", subnet, got)
		}
	}
}

// Anonymous volumes are attached again at their places, however they were asked for.
func TestCreateKeepsAnonymousVolumes(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	like := edited(t,
		`"Links": [`, `"Mounts": [{"Type": "volume", "Target": "/cache"}, {"Type": "volume", "Source": "named", "Target": "/named"}], "Links": [`,
		`{"Type": "volume", "Name": "f00"`, `{"Type": "volume", "Name": "`+hash+`", "Destination": "/cache", "RW": true},
  {"Type": "volume", "Name": "named", "Destination": "/named", "RW": true},
  {"Type": "volume", "Name": "ro", "Destination": "/ro", "RW": false},
  {"Type": "volume", "Name": "f00"`)
	var old container.InspectResponse
	if err := json.Unmarshal(like, &old); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{hash, "f00"}, inspected(old).Anonymous); d != "" {
		t.Error(d)
	}
	e, f, _ := onEngine(t, Options{})
	body, _ := creating(t, f)
	f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
	if _, _, err := e.Create(t.Context(), like, "gateway", ""); err != nil {
		t.Fatal(err)
	}
	host := body()["HostConfig"].(map[string]any)
	if d := cmp.Diff([]any{"/srv/conf:/conf:ro", "ro:/ro:ro", "f00:/data"}, host["Binds"]); d != "" {
		t.Error(d)
	}
	var sources []any
	for _, m := range host["Mounts"].([]any) {
		sources = append(sources, m.(map[string]any)["Source"])
	}
	if d := cmp.Diff([]any{hash, "named"}, sources); d != "" {
		t.Error(d)
	}
}

// A container that shares another's network cannot be made before that one.
func TestCreateWithoutThePartner(t *testing.T) {
	for what, like := range map[string]json.RawMessage{
		"shares the network of the container 77":   edited(t, `"NetworkMode": "tis_default"`, `"NetworkMode": "container:77"`),
		"shares the processes of the container 77": edited(t, `"Memory": 1048576`, `"PidMode": "container:77"`),
		"shares the memory of the container 77":    edited(t, `"Memory": 1048576`, `"IpcMode": "container:77"`),
		"shares the volumes of the container data": edited(t, `"Memory": 1048576`, `"VolumesFrom": ["data:ro"]`),
	} {
		e, f, _ := onEngine(t, Options{})
		creating(t, f)
		f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
		_, _, err := e.Create(t.Context(), like, "gateway", "")
		problem(t, err, nil, what, "")
		if f.count("POST /containers/create") != 0 {
			t.Error("made all the same")
		}
	}
}

// A MAC address of the operator's choice is the container's before API 1.44, and its
// endpoint's from then on.
func TestCreateKeepsAFixedMACAddress(t *testing.T) {
	like := edited(t, `"StopTimeout": 30`, `"StopTimeout": 30, "MacAddress": "02:00:00:00:00:07"`)
	for api, want := range map[string][2]any{"1.41": {"02:00:00:00:00:07", ""}, "1.44": {nil, "02:00:00:00:00:07"}} {
		e, f, _ := onEngine(t, Options{})
		f.upgrade("x", api, "1.12")
		body, _ := creating(t, f)
		f.answer("GET /images/tis/gateway:1/json", imageOf("sha256:one", imageConfig1))
		_, lost, err := e.Create(t.Context(), like, "gateway", "")
		if err != nil {
			t.Fatal(err)
		}
		ep := body()["NetworkingConfig"].(map[string]any)["EndpointsConfig"].(map[string]any)["tis_default"].(map[string]any)
		if got := [2]any{body()["MacAddress"], ep["MacAddress"]}; got != want {
			t.Errorf("%s: asked for %v", api, got)
		}
		if d := cmp.Diff([]string{"host setting FutureSetting"}, lost); d != "" {
			t.Errorf("%s: %s", api, d)
		}
	}
}

// Engines write some settings in different ways: only what means something else is lost.
func TestCompareAcrossEngines(t *testing.T) {
	for name, tt := range map[string]struct {
		was, is string
		lost    []string
	}{
		"empty in other words":       {`{"CapAdd": null, "Init": false, "Dns": [], "UTSMode": "", "LogConfig": {"Type": "json-file", "Config": {}}}`, `{"LogConfig": {"Type": "json-file", "Config": {}}}`, nil},
		"capabilities with a prefix": {`{"CapAdd": ["sys_admin", "NET_RAW"], "CapDrop": ["ALL"]}`, `{"CapAdd": ["CAP_NET_RAW", "CAP_SYS_ADMIN"], "CapDrop": ["ALL"]}`, nil},
		"another capability":         {`{"CapAdd": ["NET_RAW"]}`, `{"CapAdd": ["CAP_NET_ADMIN"]}`, []string{"host setting CapAdd"}},
		"no restart policy":          {`{"RestartPolicy": {"Name": "", "MaximumRetryCount": 0}}`, `{"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}`, nil},
		"another restart policy":     {`{"RestartPolicy": {"Name": "always"}}`, `{"RestartPolicy": {"Name": "no"}}`, []string{"host setting RestartPolicy"}},
		"swappiness of nobody":       {`{"MemorySwappiness": -1}`, `{"MemorySwappiness": null}`, nil},
		"swappiness of somebody":     {`{"MemorySwappiness": 10}`, `{"MemorySwappiness": null}`, []string{"host setting MemorySwappiness"}},
		"a port is gone":             {`{"PortBindings": {"80/tcp": [{"HostPort": "80"}], "81/tcp": []}}`, `{"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}}`, []string{"host setting PortBindings"}},
		"the order of devices":       {`{"Devices": [{"a": 1}, {"b": 1}]}`, `{"Devices": [{"b": 1}, {"a": 1}]}`, []string{"host setting Devices"}},
	} {
		t.Run(name, func(t *testing.T) {
			inspect := func(host string) json.RawMessage { return json.RawMessage(`{"HostConfig": ` + host + `}`) }
			lost, err := compare(inspect(tt.was), inspect(tt.is), json.RawMessage(`{}`), &recipe{}, false)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.lost, lost); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	for _, text := range []string{"no", "always", "unless-stopped", "on-failure", "on-failure:3"} {
		p, err := parsePolicy(text)
		if err != nil || policyText(p) != text {
			t.Errorf("%s: %s, %v", text, policyText(p), err)
		}
	}
	for _, text := range []string{"sometimes", "on-failure:x", "always:3"} {
		if _, err := parsePolicy(text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}
