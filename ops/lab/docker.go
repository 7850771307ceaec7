package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// docker is one request to the engine, being answered.
type docker struct {
	e   *engine
	h   *Host
	w   http.ResponseWriter
	r   *http.Request
	api string // the version asked for: 1.41
	log *Request
	run *process
}

// route is one operation of the API. The handler runs with the world's lock held; what
// has to wait gives it up through docker.wait.
type route struct {
	method string
	path   string // {x} is one segment, {x...} the rest
	handle func(*docker) error
	reads  bool // a POST that changes nothing
}

var dockerRoutes = []route{
	{"GET", "/_ping", (*docker).ping, false},
	{"HEAD", "/_ping", (*docker).ping, false},
	{"GET", "/version", (*docker).version, false},
	{"GET", "/info", (*docker).info, false},
	{"GET", "/events", (*docker).events, false},
	{"GET", "/containers/json", (*docker).containerList, false},
	{"POST", "/containers/create", (*docker).containerCreate, false},
	{"POST", "/containers/prune", (*docker).containerPrune, false},
	{"GET", "/containers/{id}/json", (*docker).containerInspect, false},
	{"GET", "/containers/{id}/logs", (*docker).containerLogs, false},
	{"GET", "/containers/{id}/stats", (*docker).containerStats, false},
	{"POST", "/containers/{id}/start", (*docker).containerStart, false},
	{"POST", "/containers/{id}/stop", (*docker).containerStop, false},
	{"POST", "/containers/{id}/restart", (*docker).containerRestart, false},
	{"POST", "/containers/{id}/kill", (*docker).containerKill, false},
	{"POST", "/containers/{id}/rename", (*docker).containerRename, false},
	{"POST", "/containers/{id}/update", (*docker).containerUpdate, false},
	{"POST", "/containers/{id}/wait", (*docker).containerWait, true},
	{"DELETE", "/containers/{id}", (*docker).containerRemove, false},
	{"POST", "/containers/{id}/exec", (*docker).execCreate, false},
	{"POST", "/exec/{id}/start", (*docker).execStart, false},
	{"POST", "/exec/{id}/resize", (*docker).execResize, true},
	{"GET", "/exec/{id}/json", (*docker).execInspect, false},
	{"GET", "/networks", (*docker).networkList, false},
	{"POST", "/networks/create", (*docker).networkCreate, false},
	{"GET", "/networks/{id}", (*docker).networkInspect, false},
	{"DELETE", "/networks/{id}", (*docker).networkRemove, false},
	{"POST", "/networks/{id}/connect", (*docker).networkConnect, false},
	{"POST", "/networks/{id}/disconnect", (*docker).networkDisconnect, false},
	{"GET", "/images/json", (*docker).imageList, false},
	{"POST", "/images/create", (*docker).imageCreate, false},
	{"GET", "/images/{name...}/json", (*docker).imageInspect, false},
	{"POST", "/images/{name...}/tag", (*docker).imageTag, false},
	{"DELETE", "/images/{name...}", (*docker).imageRemove, false},
	{"GET", "/volumes", (*docker).volumeList, false},
	{"POST", "/volumes/create", (*docker).volumeCreate, false},
	{"GET", "/volumes/{name}", (*docker).volumeInspect, false},
	{"DELETE", "/volumes/{name}", (*docker).volumeRemove, false},
}

// match tells whether a path fits a route, and sets its values on the request. A name
// of an image holds slashes, so that http.ServeMux cannot do it: its {x...} ends a path.
func (rt route) match(r *http.Request, path string) bool {
	if rt.method != r.Method {
		return false
	}
	before, rest, found := strings.Cut(rt.path, "{")
	if !found {
		return path == rt.path
	}
	name, after, _ := strings.Cut(rest, "}")
	if !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) || len(path) <= len(before)+len(after) {
		return false
	}
	value := path[len(before) : len(path)-len(after)]
	name, deep := strings.CutSuffix(name, "...")
	if !deep && strings.Contains(value, "/") {
		return false
	}
	r.SetPathValue(name, value)
	return true
}

// handler answers the API of one life of the daemon.
func (e *engine) handler() http.Handler {
	run := e.running
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := e.host
		h.w.mu.Lock()
		defer h.w.mu.Unlock()
		d := &docker{e: e, h: h, w: w, r: r, api: e.release.api, run: run}
		d.log = &Request{Side: h.side, Wire: "docker", From: r.RemoteAddr, What: r.Method + " " + r.URL.RequestURI()}
		if r.RemoteAddr != observer {
			d.log = h.w.record(*d.log)
		}
		d.serve()
	})
}

func (d *docker) serve() {
	path := d.r.URL.Path
	if asked, rest, ok := cutVersion(path); ok {
		path, d.api = rest, asked
	}
	i := slices.IndexFunc(dockerRoutes, func(rt route) bool { return rt.match(d.r, path) })
	if i >= 0 {
		d.log.Mutating = d.r.Method != "GET" && d.r.Method != "HEAD" && !dockerRoutes[i].reads
	}
	if d.log.Mutating {
		d.h.w.changing(*d.log)
	}
	if d.h.faults.hangEngine {
		d.wait(nil, 0)
		panic(http.ErrAbortHandler)
	}
	d.w.Header().Set("Api-Version", d.e.release.api)
	d.w.Header().Set("Docker-Experimental", "false")
	d.w.Header().Set("Ostype", "linux")
	d.w.Header().Set("Server", "Docker/"+d.e.release.version+" (linux)")
	err := d.versionFits()
	switch {
	case err != nil:
	case i < 0:
		err = apiError{http.StatusNotFound, "page not found"}
	default:
		err = dockerRoutes[i].handle(d)
	}
	var refused apiError
	switch {
	case err == nil:
	case d.log.Status != 0:
		panic(http.ErrAbortHandler) // an answer that had begun breaks off
	case errors.As(err, &refused):
		d.reply(refused.status, obj{"message": refused.message})
	case errors.Is(err, errGone):
		// Nobody is there to read an answer, and what was asked for may not have happened:
		// the connection breaks, as it does when the daemon ends.
		panic(http.ErrAbortHandler)
	default:
		d.reply(http.StatusInternalServerError, obj{"message": err.Error()})
	}
}

func cutVersion(path string) (version, rest string, ok bool) {
	after, ok := strings.CutPrefix(path, "/v")
	if !ok {
		return "", "", false
	}
	version, rest, ok = strings.Cut(after, "/")
	major, _, dotted := strings.Cut(version, ".")
	if _, err := strconv.Atoi(major); err != nil || !dotted {
		return "", "", false
	}
	return version, "/" + rest, ok
}

// versionFits refuses API versions as the engine's version middleware does.
func (d *docker) versionFits() error {
	switch r := d.e.release; {
	case minor(d.api) > minor(r.api):
		return apiError{http.StatusBadRequest, fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", d.api, r.api)}
	case minor(d.api) < minor(r.minAPI):
		return apiError{http.StatusBadRequest, fmt.Sprintf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", d.api, r.minAPI)}
	}
	return nil
}

// minor is the part of an API version that differs: every one begins with 1.
func minor(api string) int {
	_, after, _ := strings.Cut(api, ".")
	n, err := strconv.Atoi(after)
	if err != nil {
		return -1
	}
	return n
}

func (d *docker) reply(status int, body any) {
	d.log.Status = status
	if body == nil {
		d.w.WriteHeader(status)
		return
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic("writing an answer of the lab's engine: " + err.Error())
	}
	d.w.Header().Set("Content-Type", "application/json")
	d.w.WriteHeader(status)
	// The client may be gone; it does not need an answer then.
	d.w.Write(append(text, '\n'))
}

func (d *docker) body(into any) error {
	// The lock is given up: the body comes at the client's pace.
	d.h.w.mu.Unlock()
	err := json.NewDecoder(d.r.Body).Decode(into)
	d.h.w.mu.Lock()
	if err != nil {
		return apiError{http.StatusBadRequest, "invalid JSON: " + err.Error()}
	}
	return nil
}

// errGone ends a request whose client went away or whose daemon stopped.
var errGone = errors.New("gone")

// wait gives the lock up until the signal fires or, with a limit, until it is over.
func (d *docker) wait(change <-chan struct{}, limit time.Duration) error {
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	d.h.w.mu.Unlock()
	defer d.h.w.mu.Lock()
	select {
	case <-change:
	case <-over:
	case <-d.run.over:
		return errGone
	case <-d.r.Context().Done():
		return errGone
	}
	return nil
}

// flag reads a boolean query parameter as the engine does.
func (d *docker) flag(name string) bool {
	v := strings.ToLower(strings.TrimSpace(d.r.URL.Query().Get(name)))
	return v != "" && v != "0" && v != "no" && v != "false" && v != "none"
}

// filters are the engine's filters: name -> the values asked for.
type filters map[string][]string

func (d *docker) filters() (filters, error) {
	text := d.r.URL.Query().Get("filters")
	out := filters{}
	if text == "" {
		return out, nil
	}
	var sets map[string]map[string]bool
	if err := json.Unmarshal([]byte(text), &sets); err == nil {
		for k, values := range sets {
			for v := range values {
				out[k] = append(out[k], v)
			}
		}
		return out, nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, apiError{http.StatusBadRequest, "invalid filter: " + err.Error()}
	}
	return out, nil
}

// pass tells whether one of the values asked for fits, or none was asked for.
func (f filters) pass(name string, fits func(string) bool) bool {
	return len(f[name]) == 0 || slices.ContainsFunc(f[name], fits)
}

// labelled tells whether all labels asked for are there: "key" or "key=value".
func (f filters) labelled(labels map[string]string) bool {
	for _, want := range f["label"] {
		key, value, exact := strings.Cut(want, "=")
		if have, ok := labels[key]; !ok || exact && have != value {
			return false
		}
	}
	return true
}

func (d *docker) ping() error {
	d.log.Status = http.StatusOK
	d.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	d.w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	d.w.Header().Set("Builder-Version", "1")
	d.w.Header().Set("Swarm", "inactive")
	if d.r.Method == "GET" {
		d.w.Write([]byte("OK"))
	}
	return nil
}

func (d *docker) version() error {
	r := d.e.release
	d.reply(http.StatusOK, obj{
		"Platform": obj{"Name": ""}, "Version": r.version, "ApiVersion": r.api, "MinAPIVersion": r.minAPI, "GitCommit": r.commit,
		"GoVersion": r.goVersion, "Os": "linux", "Arch": "amd64", "KernelVersion": kernel, "BuildTime": "2024-07-23T17:01:50.000000000+00:00",
		"Components": []obj{
			{"Name": "Engine", "Version": r.version, "Details": obj{"ApiVersion": r.api, "MinAPIVersion": r.minAPI, "Os": "linux", "Arch": "amd64"}},
			{"Name": "containerd", "Version": r.containerd, "Details": obj{"GitCommit": r.containerd}},
			{"Name": "runc", "Version": r.runc, "Details": obj{"GitCommit": ""}},
			{"Name": "docker-init", "Version": "0.19.0", "Details": obj{"GitCommit": ""}},
		},
	})
	return nil
}

func (d *docker) info() error {
	count := map[string]int{}
	for _, c := range d.e.containers {
		if c.state == "running" {
			count["running"]++
		} else {
			count["stopped"]++
		}
	}
	info := obj{
		"ID": "LAB:" + d.h.side, "Containers": len(d.e.containers), "ContainersRunning": count["running"], "ContainersPaused": 0,
		"ContainersStopped": count["stopped"], "Images": len(d.e.images), "Driver": "overlay2", "DockerRootDir": dockerRoot,
		"Name": d.h.name, "ServerVersion": d.e.release.version, "KernelVersion": kernel, "OperatingSystem": osName, "OSType": "linux",
		"Architecture": "x86_64", "NCPU": cpus, "MemTotal": memTotal, "LiveRestoreEnabled": false, "DefaultRuntime": "runc",
		"CgroupDriver": "systemd", "CgroupVersion": strconv.Itoa(d.h.cgroup), "LoggingDriver": "json-file", "Labels": []string{},
		"ContainerdCommit": obj{"ID": d.e.release.containerd}, "RuncCommit": obj{"ID": d.e.release.runc},
		"SystemTime": d.h.now().Format(time.RFC3339Nano),
	}
	if minor(d.api) >= 41 {
		info["DefaultAddressPools"] = d.e.config.pools // null: the built-in pools
	}
	d.reply(http.StatusOK, info)
	return nil
}
