package remote

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const oldNetwork = `{
 "Name": "tis_default", "Id": "n1", "Created": "2020-11-01T10:00:00Z", "Scope": "local", "Driver": "bridge", "EnableIPv6": true,
 "IPAM": {"Driver": "default", "Options": {"foo": "bar"}, "Config": [
  {"Subnet": "10.200.0.0/24", "IPRange": "10.200.0.128/25", "Gateway": "10.200.0.1", "AuxiliaryAddresses": {"router": "10.200.0.2"}},
  {"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1/64"}]},
 "Internal": true, "Attachable": true, "Ingress": false, "ConfigFrom": {"Network": ""}, "ConfigOnly": false,
 "Containers": {"c1": {"Name": "gateway"}}, "Options": {"com.docker.network.bridge.name": "tisbr", "com.docker.network.driver.mtu": "1400"},
 "Labels": {"com.docker.compose.network": "default"}
}`

// makingNetworks is a fake engine that makes a network as asked for; change has the last
// word on what an inspect of it shows.
func makingNetworks(f *fakeEngine, t *testing.T, change func(map[string]any)) func() map[string]any {
	var asked map[string]any
	f.answer("GET /networks", []any{map[string]any{"Name": "bridge", "Id": "b"}})
	f.on("POST /networks/create", func(w http.ResponseWriter, r *http.Request) {
		asked = nil
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		w.WriteHeader(201)
		w.Write([]byte(`{"Id": "n2"}`))
	})
	f.on("GET /networks/n2", func(w http.ResponseWriter, _ *http.Request) {
		shown := maps.Clone(asked)
		shown["Id"], shown["Scope"] = "n2", "local"
		change(shown)
		json.NewEncoder(w).Encode(shown)
	})
	return func() map[string]any { return asked }
}

func TestCreateNetwork(t *testing.T) {
	for name, api := range map[string]string{"18.09": "1.39", "20.10": "1.41", "29": "1.52"} {
		t.Run(name, func(t *testing.T) {
			e, f, _ := onEngine(t, Options{})
			f.upgrade(name, api, "1.12")
			asked := makingNetworks(f, t, func(map[string]any) {})
			id, lost, err := e.CreateNetwork(t.Context(), json.RawMessage(oldNetwork), false)
			if err != nil || id != "n2" || len(lost) > 0 {
				t.Fatal(id, lost, err)
			}
			want := map[string]any{
				"Name": "tis_default", "Driver": "bridge", "Scope": "", "EnableIPv6": true, "Internal": true, "Attachable": true, "Ingress": false, "ConfigOnly": false, "ConfigFrom": nil,
				"IPAM": map[string]any{"Driver": "default", "Options": map[string]any{"foo": "bar"}, "Config": []any{
					map[string]any{"Subnet": "10.200.0.0/24", "IPRange": "10.200.0.128/25", "Gateway": "10.200.0.1", "AuxiliaryAddresses": map[string]any{"router": "10.200.0.2"}},
					map[string]any{"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1"},
				}},
				"Options": map[string]any{"com.docker.network.bridge.name": "tisbr", "com.docker.network.driver.mtu": "1400"},
				"Labels":  map[string]any{"com.docker.compose.network": "default"},
			}
			if name != "29" {
				want["CheckDuplicate"] = true
			}
			if d := cmp.Diff(want, asked()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCreateNetworkInAnyRange(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	asked := makingNetworks(f, t, func(n map[string]any) {
		n["IPAM"] = map[string]any{"Driver": "default", "Options": map[string]any{"foo": "bar"}, "Config": []any{
			map[string]any{"Subnet": "10.240.3.0/24", "Gateway": "10.240.3.1"}, map[string]any{"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1/64"},
		}}
	})
	_, lost, err := e.CreateNetwork(t.Context(), json.RawMessage(oldNetwork), true)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"range for containers 10.200.0.128/25 (the engine chooses the range)", "reserved address 10.200.0.2 (the engine chooses the range)"}
	if d := cmp.Diff(want, lost); d != "" {
		t.Error(d)
	}
	ipam := asked()["IPAM"].(map[string]any)
	if d := cmp.Diff([]any{map[string]any{"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1"}}, ipam["Config"]); d != "" {
		t.Error(d)
	}
}

// What a network takes from another's configuration may not be asked for besides.
func TestCreateNetworkFromAConfiguration(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	asked := makingNetworks(f, t, func(n map[string]any) {
		for k, v := range map[string]any{"EnableIPv6": true, "IPAM": map[string]any{}} {
			n[k] = v
		}
		var old map[string]any
		if err := json.Unmarshal([]byte(oldNetwork), &old); err != nil {
			t.Error(err)
		}
		n["Options"], n["Labels"] = old["Options"], old["Labels"]
	})
	like := strings.Replace(oldNetwork, `"ConfigFrom": {"Network": ""}`, `"ConfigFrom": {"Network": "base"}`, 1)
	_, lost, err := e.CreateNetwork(t.Context(), json.RawMessage(like), false)
	if err != nil || len(lost) > 0 {
		t.Fatal(lost, err)
	}
	got := asked()
	if got["IPAM"] != nil || got["Options"] != nil || got["Labels"] != nil || got["EnableIPv6"] != nil {
		t.Errorf("asked for %v", got)
	}
	if d := cmp.Diff(map[string]any{"Network": "base"}, got["ConfigFrom"]); d != "" {
		t.Error(d)
	}

	like = strings.Replace(strings.Replace(oldNetwork, `"ConfigOnly": false`, `"ConfigOnly": true`, 1), `"Driver": "bridge"`, `"Driver": "null"`, 1)
	if _, _, err := e.CreateNetwork(t.Context(), json.RawMessage(like), false); err != nil || asked()["Driver"] != "" || asked()["ConfigOnly"] != true {
		t.Errorf("%v, asked for %v", err, asked())
	}
}

// What the engine did not take over is named.
func TestCreateNetworkNamesWhatWasLost(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	makingNetworks(f, t, func(n map[string]any) {
		n["Internal"], n["EnableIPv6"] = false, false
		n["Options"] = map[string]any{"com.docker.network.bridge.name": "tisbr"}
		n["Labels"] = nil
		n["IPAM"] = map[string]any{"Driver": "default", "Config": []any{map[string]any{"Subnet": "10.200.0.0/24", "Gateway": "10.200.0.9"}}}
	})
	like := strings.Replace(oldNetwork, `"Scope"`, `"EnableIPv4": false, "Scope"`, 1)
	_, lost, err := e.CreateNetwork(t.Context(), json.RawMessage(like), false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"internal true (now false)", "IPv6 true (now false)", "option com.docker.network.driver.mtu 1400 (now )",
		"label com.docker.compose.network default (now )", "address manager's option foo bar (now )",
		"gateway 10.200.0.1 (now 10.200.0.9)", "range for containers 10.200.0.128/25 (now )", "reserved address router 10.200.0.2 (now )", "range fd00:1::/64",
	}
	if d := cmp.Diff(want, lost); d != "" {
		t.Error(d)
	}
}

func TestCreateNetworkRefuses(t *testing.T) {
	t.Run("the name is taken", func(t *testing.T) {
		e, f, _ := onEngine(t, Options{})
		makingNetworks(f, t, nil)
		f.answer("GET /networks", []any{map[string]any{"Name": "tis_default", "Id": "other"}})
		_, _, err := e.CreateNetwork(t.Context(), json.RawMessage(oldNetwork), false)
		problem(t, err, fs.ErrExist, "already, with the id other", "")
		if f.count("POST /networks/create") != 0 {
			t.Error("it was asked for all the same")
		}
	})
	t.Run("the name is taken meanwhile", func(t *testing.T) {
		e, f, _ := onEngine(t, Options{})
		makingNetworks(f, t, nil)
		f.on("POST /networks/create", func(w http.ResponseWriter, _ *http.Request) {
			fault(w, 409, "network with name tis_default already exists")
		})
		_, _, err := e.CreateNetwork(t.Context(), json.RawMessage(oldNetwork), false)
		problem(t, err, fs.ErrExist, "already exists", "")
	})
	t.Run("it cannot be inspected", func(t *testing.T) {
		e, f, _ := onEngine(t, Options{})
		makingNetworks(f, t, nil)
		f.on("GET /networks/n2", func(w http.ResponseWriter, _ *http.Request) { fault(w, 500, "out of order") })
		f.on("DELETE /networks/n2", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
		_, _, err := e.CreateNetwork(t.Context(), json.RawMessage(oldNetwork), false)
		problem(t, err, nil, "out of order", "")
		if f.count("DELETE /networks/n2") != 1 {
			t.Error("left behind")
		}
	})
	t.Run("it is no inspect", func(t *testing.T) {
		e, _, _ := onEngine(t, Options{})
		for _, like := range []string{"", "{}", "[]"} {
			_, _, err := e.CreateNetwork(t.Context(), json.RawMessage(like), false)
			problem(t, err, nil, "is not one of a network", "")
		}
	})
}
