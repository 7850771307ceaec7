package remote

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// fakeEngine is an HTTP server on a unix socket that answers like an engine where a test
// says so, and counts.
type fakeEngine struct {
	t    *testing.T
	path string
	srv  *http.Server

	mu       sync.Mutex
	version  string
	api      string
	min      string
	handlers map[string]http.HandlerFunc // "GET /containers/json", without the version
	requests []string
}

func newFakeEngine(t *testing.T) *fakeEngine {
	t.Helper()
	f := &fakeEngine{t: t, path: filepath.Join(t.TempDir(), "docker.sock"), version: "20.10.24", api: "1.41", min: "1.12", handlers: map[string]http.HandlerFunc{}}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fakeEngine) start() {
	l, err := net.Listen("unix", f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.srv = &http.Server{Handler: f}
	go f.srv.Serve(l)
}

func (f *fakeEngine) stop() { f.srv.Close() }

// upgrade is another engine behind the same socket.
func (f *fakeEngine) upgrade(version, api, min string) {
	f.stop()
	f.mu.Lock()
	f.version, f.api, f.min = version, api, min
	f.mu.Unlock()
	f.start()
}

func (f *fakeEngine) on(route string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[route] = h
}

func (f *fakeEngine) answer(route string, value any) {
	f.on(route, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(value) })
}

func (f *fakeEngine) count(route string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if r == route {
			n++
		}
	}
	return n
}

func fault(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": text})
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	version, api, min := f.version, f.api, f.min
	path, asked := r.URL.Path, ""
	if rest, ok := strings.CutPrefix(path, "/v"); ok && !strings.HasPrefix(path, "/version") {
		asked, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	route := r.Method + " " + path
	f.requests = append(f.requests, route)
	h := f.handlers[route]
	f.mu.Unlock()

	w.Header().Set("Api-Version", api)
	w.Header().Set("Server", "Docker/"+version+" (linux)")
	w.Header().Set("Content-Type", "application/json")
	less := func(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }
	switch {
	case asked != "" && less(asked, min):
		fault(w, 400, fmt.Sprintf("client version %s is too old. Minimum supported API version is %s", asked, min))
	case asked != "" && less(api, asked):
		fault(w, 400, fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", asked, api))
	case path == "/_ping":
		w.Write([]byte("OK"))
	case path == "/version" && h == nil:
		json.NewEncoder(w).Encode(map[string]any{"Version": version, "ApiVersion": api, "MinAPIVersion": min, "Components": []any{map[string]string{"Name": "containerd", "Version": "1.6.20"}}})
	case h != nil:
		h(w, r)
	default:
		fault(w, 404, "No such thing: "+route)
	}
}

// onEngine is a host with a fake engine.
func onEngine(t *testing.T, o Options) (ops.Engine, *fakeEngine, *server) {
	t.Helper()
	f, s := newFakeEngine(t), newServer(t)
	to := target(t, s)
	to.Docker = "unix://" + f.path
	e, err := newHost(t, to, o).Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e, f, s
}

func TestEngineVersionIsNegotiatedAnewAfterAChange(t *testing.T) {
	e, f, s := onEngine(t, Options{})
	want := func(running, used string) {
		t.Helper()
		// The first call after a restart may meet the closing connection.
		var v ops.EngineVersion
		eventually(t, "engine "+running, func() bool {
			var err error
			v, err = e.Version(context.Background())
			return err == nil
		})
		if v.Running != running || v.Used != used || e.Parts(context.Background())["containerd"] != "1.6.20" {
			t.Errorf("got %+v, want %s used as %s", v, running, used)
		}
	}
	want("20.10.24", "1.41")
	f.upgrade("29.1.0", "1.52", "1.44")
	want("29.1.0", "1.51") // the highest that the client knows
	f.upgrade("18.09.9", "1.39", "1.12")
	want("18.09.9", "1.39")
	s.cut()
	f.upgrade("29.3.0", "1.54", "1.40")
	want("29.3.0", "1.51")
}

func listedContainer(id, state, status string) map[string]any {
	return map[string]any{
		"Id": id, "Names": []string{"/other/alias", "/" + id}, "Image": "sha256:abc", "ImageID": "sha256:abc", "Created": 1600000000,
		"State": state, "Status": status, "Labels": map[string]string{"a": "b"},
		"Ports": []any{
			map[string]any{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
			map[string]any{"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
			map[string]any{"PrivatePort": 443, "Type": "tcp"},
		},
		"NetworkSettings": map[string]any{"Networks": map[string]any{"tis_default": map[string]any{}, "bridge": map[string]any{}}},
	}
}

func inspectedContainer(id string) map[string]any {
	return map[string]any{
		"Id": id, "Name": "/" + id, "Created": "2020-09-13T12:26:40Z", "Image": "sha256:abc", "RestartCount": 2,
		"State":      map[string]any{"Status": "running", "StartedAt": "2020-11-01T10:00:00.5Z", "FinishedAt": "0001-01-01T00:00:00Z", "ExitCode": 0},
		"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 3}},
		"Config":     map[string]any{"Image": "tis/gateway:9.0.2"},
	}
}

func TestContainers(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	list := []any{
		listedContainer("old", "running", "Up 12 days (healthy)"),
		listedContainer("young", "running", "Up 5 seconds (health: starting)"),
		listedContainer("gone", "running", "Up 12 days"),
		listedContainer("made", "created", "Created"),
	}
	f.answer("GET /containers/json", list)
	for _, id := range []string{"old", "young", "made"} {
		f.answer("GET /containers/"+id+"/json", inspectedContainer(id))
	}
	got, err := e.Containers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := ops.Container{
		ID: "old", Name: "old", State: "running", Health: "healthy", Image: "tis/gateway:9.0.2", ImageID: "sha256:abc",
		CreatedAt: time.Unix(1600000000, 0).UTC(), StartedAt: time.Date(2020, 11, 1, 10, 0, 0, 5e8, time.UTC),
		Restarts: 2, Policy: "on-failure:3", Labels: map[string]string{"a": "b"},
		Networks: []string{"bridge", "tis_default"}, Ports: []string{"443/tcp", "8080->80/tcp"},
	}
	if len(got) != 3 {
		t.Fatalf("%d containers: one was removed in between", len(got))
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Error(d)
	}
	// Again: only what may have changed is inspected.
	if _, err := e.Containers(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"old": 1, "young": 2, "made": 2} {
		if n := f.count("GET /containers/" + id + "/json"); n != want {
			t.Errorf("%s was inspected %d times, want %d", id, n, want)
		}
	}
	// Our own act makes it inspect again.
	f.on("POST /containers/old/restart", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	if err := e.Restart(t.Context(), "old", time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Containers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.count("GET /containers/old/json"); n != 2 {
		t.Errorf("inspected %d times", n)
	}
	// An error is an error, not an empty or shorter list.
	f.on("GET /containers/young/json", func(w http.ResponseWriter, _ *http.Request) { fault(w, 500, "broken") })
	if got, err := e.Containers(t.Context()); err == nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestInspectCacheHolds(t *testing.T) {
	now := time.Date(2020, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		state, before, after string
		since                time.Duration
		want                 bool
	}{
		{"running", "Up 12 days", "Up 12 days", time.Minute, true},
		{"running", "Up 12 days", "Up 12 days", 6 * time.Minute, false}, // policy changed by hand?
		{"running", "Up 12 days", "Up 13 days", time.Minute, false},
		{"running", "Up 12 days", "Up 12 days (healthy)", time.Minute, false},
		{"running", "Up 4 minutes", "Up 4 minutes", time.Minute, true},
		{"running", "Up 4 minutes", "Up 4 minutes", 3 * time.Minute, false}, // could be another start
		{"running", "Up About a minute", "Up About a minute", time.Second, false},
		{"running", "Up 59 seconds", "Up 59 seconds", time.Second, false},
		{"running", "Up About an hour", "Up About an hour", 4 * time.Minute, true},
		{"running", "Up Less than a second", "Up Less than a second", time.Second, false},
		{"exited", "Exited (1) 3 weeks ago", "Exited (1) 3 weeks ago", time.Minute, true},
		{"exited", "Exited (1) 2 seconds ago", "Exited (1) 2 seconds ago", time.Second, false},
		{"created", "Created", "Created", time.Second, false},
		{"restarting", "Restarting (1) 3 hours ago", "Restarting (1) 3 hours ago", time.Second, false},
	} {
		t.Run(tt.before, func(t *testing.T) {
			var k inspectCache
			k.put("id", tt.state, tt.before, ops.Container{}, now)
			if _, got := k.get("id", tt.state, tt.after, now.Add(tt.since)); got != tt.want {
				t.Errorf("after %s: got %v", tt.since, got)
			}
		})
	}
}

func TestEngineErrors(t *testing.T) {
	e, f, _ := onEngine(t, Options{CommandTimeout: 300 * time.Millisecond})
	_, err := e.Container(t.Context(), "nobody")
	problem(t, err, fs.ErrNotExist, "reading nobody: ", "")
	f.on("POST /containers/x/start", func(w http.ResponseWriter, _ *http.Request) { fault(w, 409, "it is marked for removal") })
	problem(t, e.Start(t.Context(), "x"), nil, "blue: starting x: ", "")
	f.on("GET /images/json", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err = e.Images(t.Context())
	problem(t, err, ops.ErrUnreachable, "the engine did not answer in time", "")
	f.stop()
	_, err = e.Networks(t.Context())
	problem(t, err, ops.ErrUnreachable, "listing networks: ", "systemctl status docker")
}

func TestReadOnlyEngine(t *testing.T) {
	e, f, _ := onEngine(t, Options{ReadOnly: func() bool { return true }})
	f.answer("GET /images/x/json", map[string]any{"Id": "sha256:abc"})
	ctx := t.Context()
	like, err := json.Marshal(inspectedContainer("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, createErr := e.Create(ctx, like, "y", "x")
	_, runErr := e.Run(ctx, ops.RunSpec{Name: "canary", Image: "x"})
	_, importErr := e.Import(ctx, strings.NewReader("tar"), "x", nil)
	for name, err := range map[string]error{
		"start": e.Start(ctx, "x"), "stop": e.Stop(ctx, "x", 0), "restart": e.Restart(ctx, "x", 0), "rename": e.Rename(ctx, "x", "y"),
		"remove": e.Remove(ctx, "x"), "policy": e.SetRestartPolicy(ctx, "x", "no"), "create": createErr, "run": runErr,
		"import": importErr, "remove image": e.RemoveImage(ctx, "x"),
	} {
		if !errors.Is(err, ops.ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range f.requests {
		if !strings.HasPrefix(r, "GET ") && !strings.HasPrefix(r, "HEAD ") {
			t.Errorf("sent: %s", r)
		}
	}
}

func frame(stream byte, text string) []byte {
	b := make([]byte, 8, 8+len(text))
	b[0] = stream
	binary.BigEndian.PutUint32(b[4:], uint32(len(text)))
	return append(b, text...)
}

func TestLogs(t *testing.T) {
	const stamp = "2020-11-12T16:02:00.000000001Z "
	at := time.Date(2020, 11, 12, 16, 2, 0, 1, time.UTC)
	long := strings.Repeat("x", 16<<10)
	for _, tt := range []struct {
		name string
		tty  bool
		body []byte
		want []ops.LogLine
	}{
		{"both", false, slices.Concat(frame(1, stamp+"out\n"), frame(2, stamp+"err\x1b[2J\n"), frame(1, stamp+"last")),
			[]ops.LogLine{{At: at, Text: "out"}, {At: at, Stderr: true, Text: "err\x1b[2J"}, {At: at, Text: "last"}}},
		{"pieces of one line", false, slices.Concat(frame(1, stamp+long), frame(2, stamp+"between\n"), frame(1, stamp+"end\n")),
			[]ops.LogLine{{At: at, Stderr: true, Text: "between"}, {At: at, Text: long + "end"}}},
		{"1 MB line", false, slices.Concat(frame(1, stamp+strings.Repeat("y", 1<<20)+"\n"), frame(1, stamp+"next\n")),
			[]ops.LogLine{{At: at, Text: strings.Repeat("y", maxLine)}, {At: at, Text: "next"}}},
		{"tty", true, []byte(stamp + "out\r\n" + stamp + "\r\n"), []ops.LogLine{{At: at, Text: "out"}, {At: at}}},
		{"no stamp", false, frame(1, "plain\n"), []ops.LogLine{{Text: "plain"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, f, _ := onEngine(t, Options{})
			in := inspectedContainer("x")
			in["Config"].(map[string]any)["Tty"] = tt.tty
			f.answer("GET /containers/x/json", in)
			var query string
			f.on("GET /containers/x/logs", func(w http.ResponseWriter, r *http.Request) {
				query = r.URL.Query().Encode()
				for piece := range slices.Chunk(tt.body, 1000) { // also cuts timestamps of a tty
					w.Write(piece)
				}
			})
			var got []ops.LogLine
			err := e.Logs(t.Context(), "x", ops.LogOptions{Tail: 10, Since: at, Until: at.Add(time.Hour)}, func(l ops.LogLine) { got = append(got, l) })
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if want := "since=1605196920.000000001&stderr=1&stdout=1&tail=10&timestamps=1&until=1605200520.000000001"; query != want {
				t.Errorf("asked for %s", query)
			}
		})
	}
}

func TestLogsFollowEndsWithItsContext(t *testing.T) {
	e, f, _ := onEngine(t, Options{CommandTimeout: 200 * time.Millisecond}) // for the beginning only
	f.answer("GET /containers/x/json", inspectedContainer("x"))
	slow := make(chan struct{})
	f.on("GET /containers/x/logs", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-slow:
		case <-r.Context().Done():
		}
		w.Write(frame(1, "late\n"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(400*time.Millisecond, func() { close(slow) })
	err := e.Logs(ctx, "x", ops.LogOptions{Follow: true}, func(ops.LogLine) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestEvents(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	f.on("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		// Every health check is three exec events: they are not asked for.
		if asked := r.URL.Query().Get("filters"); !strings.Contains(asked, `"event":{`) || !strings.Contains(asked, `"health_status":true`) || strings.Contains(asked, "exec_") {
			t.Errorf("the filters are %s", asked)
		}
		for _, action := range []string{"start", "health_status: healthy"} {
			json.NewEncoder(w).Encode(map[string]any{"Type": "container", "Action": action, "timeNano": 1605196920000000001,
				"Actor": map[string]any{"ID": "abc", "Attributes": map[string]string{"name": "gateway"}}})
		}
	})
	var got []ops.EngineEvent
	ready := false
	err := e.Events(t.Context(), func() { ready = true }, func(ev ops.EngineEvent) { got = append(got, ev) })
	problem(t, err, ops.ErrUnreachable, "the engine closed the stream", "")
	at := time.Unix(0, 1605196920000000001).UTC()
	want := []ops.EngineEvent{
		{At: at, Type: "container", Action: "start", ID: "abc", Name: "gateway"},
		{At: at, Type: "container", Action: "health_status: healthy", ID: "abc", Name: "gateway"},
	}
	if d := cmp.Diff(want, got); d != "" || !ready {
		t.Error(d, ready)
	}
	f.on("GET /events", func(w http.ResponseWriter, _ *http.Request) { fault(w, 500, "no") })
	err = e.Events(t.Context(), func() { t.Error("ready") }, nil)
	problem(t, err, nil, "following the engine's events", "")
}

func TestImport(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	f.on("POST /images/create", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "{\"status\":%q}\r\n", "sha256:"+string(body))
	})
	id, err := e.Import(t.Context(), strings.NewReader("tar"), "tandem/canary:1", []string{"CMD true"})
	if err != nil || id != "sha256:tar" {
		t.Errorf("%q, %v", id, err)
	}
	f.on("POST /images/create", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"error":"disk full"}`)) })
	_, err = e.Import(t.Context(), strings.NewReader("tar"), "tandem/canary:1", nil)
	problem(t, err, nil, "disk full", "")
}

func TestRun(t *testing.T) {
	e, f, _ := onEngine(t, Options{})
	var removed atomic.Int32
	started := make(chan struct{})
	f.answer("POST /containers/create", map[string]any{"Id": "new"})
	f.on("POST /containers/new/start", func(w http.ResponseWriter, _ *http.Request) { close(started); w.WriteHeader(204) })
	f.on("POST /containers/new/wait", func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		<-started
		w.Write([]byte(`{"StatusCode": 7}`))
	})
	f.on("DELETE /containers/new", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("v") != "" {
			t.Error("its volumes were removed")
		}
		removed.Add(1)
		w.WriteHeader(204)
	})
	spec := ops.RunSpec{Name: "canary", Image: "x", Labels: map[string]string{"tandem": "canary"}}
	exit, err := e.Run(t.Context(), spec)
	if err != nil || exit != 7 || removed.Load() != 1 {
		t.Errorf("exit %d, %v, removed %d", exit, err, removed.Load())
	}
	// A start that the engine refuses (the incident): the container is removed all the same.
	f.on("POST /containers/new/start", func(w http.ResponseWriter, _ *http.Request) { fault(w, 500, "OCI runtime create failed") })
	_, err = e.Run(t.Context(), spec)
	problem(t, err, nil, "OCI runtime create failed", "")
	if removed.Load() != 2 {
		t.Error("not removed")
	}
	// Somebody else's container of that name is left alone.
	f.answer("GET /containers/canary/json", inspectedContainer("theirs"))
	_, err = e.Run(t.Context(), spec)
	problem(t, err, nil, "is not of our making", "")
}

// The ways in which a socket can be refused, each told apart.
func TestDockerSocketRefused(t *testing.T) {
	dead := func(t *testing.T, f *fakeEngine) { // a socket file that nobody listens on
		f.stop()
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
	}
	for _, tt := range []struct {
		name       string
		set        func(*testing.T, *fakeEngine, *server)
		kind       error
		text, hint string
	}{
		{"missing", func(t *testing.T, f *fakeEngine, _ *server) { f.stop() }, ops.ErrUnreachable, "there is no socket", "systemctl status docker"},
		{"not a socket", func(t *testing.T, f *fakeEngine, _ *server) {
			f.stop()
			if err := os.WriteFile(f.path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, ops.ErrUnreachable, "is not a socket", "set `docker` in the config"},
		{"daemon down", func(t *testing.T, f *fakeEngine, _ *server) { dead(t, f) }, ops.ErrUnreachable, "the engine does not run", "journalctl -u docker"},
		{"forwarding disabled, no docker program", func(t *testing.T, _ *fakeEngine, s *server) {
			s.set(func() { s.noStream = true })
			s.program("docker", "exit 127\n")
			if err := os.Remove(filepath.Join(s.bin, "docker")); err != nil {
				t.Fatal(err)
			}
			s.program("sh", "PATH="+s.bin+"; exec /bin/sh \"$@\"\n") // hides the machine's own docker
		}, ops.ErrNotPermitted, "sshd forbids forwarding", "AllowStreamLocalForwarding yes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, f, s := onEngine(t, Options{})
			tt.set(t, f, s)
			_, err := e.Version(t.Context())
			problem(t, err, tt.kind, tt.text, tt.hint)
		})
	}
}

// Permission cannot be refused to a test that runs as root, so the finding is made up here.
func TestDockerSocketNotAllowed(t *testing.T) {
	forbidden := found{exists: true, socket: true, listens: true, cli: true}
	for _, tt := range []struct {
		name, sudo, docker string
		want               way
		kind               error
		text, hint         string
	}{
		{"sudo helps", "shift 2; exec \"$@\"\n", "exit 0\n", waySudoPipe, nil, "", ""},
		{"sudo needs a password", "echo 'sudo: a password is required' >&2; exit 1\n", "exit 1\n", 0, ops.ErrNotPermitted, "ops may not use", "usermod -aG docker ops"},
		{"sudo helps, the daemon is down", "shift 2; exec \"$@\"\n", "echo 'Cannot connect to the Docker daemon' >&2; exit 1\n", 0, ops.ErrUnreachable, "the engine does not run", "systemctl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			to := target(t, s)
			yes := true
			to.Sudo = &yes
			s.program("sudo", tt.sudo)
			s.program("docker", tt.docker)
			h := newHost(t, to, Options{})
			c, err := h.connection(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, err := h.otherWay(t.Context(), c, forbidden)
			if tt.kind == nil {
				if err != nil || got != tt.want {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			problem(t, err, tt.kind, tt.text, tt.hint)
		})
	}
}

// With forwarding refused, the API goes through dial-stdio, also under sudo.
func TestDockerThroughDialStdio(t *testing.T) {
	e, f, s := onEngine(t, Options{})
	s.set(func() { s.noStream = true })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.program("docker", fmt.Sprintf("case $* in *dial-stdio) %s=%s exec %s ;; esac\n", bridge, quote(f.path), quote(exe)))
	for range 3 {
		if v, err := e.Version(t.Context()); err != nil || v.Running != "20.10.24" {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	dials := 0
	for _, c := range s.ran() {
		if strings.HasSuffix(c, "dial-stdio") {
			dials++
		}
	}
	if dials != 2 {
		t.Errorf("%d sessions for one trial and one connection: %q", dials, s.ran())
	}
	f.stop()
	_, err = e.Version(t.Context())
	if !errors.Is(err, ops.ErrUnreachable) {
		t.Error(err)
	}
}
