package lab_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/google/go-cmp/cmp"

	"tandem/ops/lab"
)

func TestStopStartRestart(t *testing.T) {
	l := start(t, lab.Options{})
	d := docker(t, dial(t, l, "green"))
	state := func() *container.State {
		t.Helper()
		c, err := d.ContainerInspect(t.Context(), "tis_sync_1")
		if err != nil {
			t.Fatal(err)
		}
		return c.State
	}
	before := state().StartedAt
	if err := d.ContainerStop(t.Context(), "tis_sync_1", container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := state(); s.Status != "exited" || s.ExitCode != 143 {
		t.Errorf("after a stop: %s %d", s.Status, s.ExitCode)
	}
	if err := d.ContainerStop(t.Context(), "tis_sync_1", container.StopOptions{}); err != nil {
		t.Errorf("a second stop: %v", err) // 304
	}
	if err := d.ContainerStart(t.Context(), "tis_sync_1", container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := state(); s.Status != "running" || s.Health.Status != "starting" || s.StartedAt == before {
		t.Errorf("after a start: %s %s", s.Status, s.Health.Status)
	}
	eventually(t, "sync is healthy", func() bool { return state().Health.Status == "healthy" })
	if err := d.ContainerRestart(t.Context(), "tis_sync_1", container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sync is healthy again", func() bool { return state().Health.Status == "healthy" })
}

func TestAServiceThatNeedsAnotherGivesUp(t *testing.T) {
	l := start(t, lab.Options{})
	d := docker(t, dial(t, l, "green"))
	for _, name := range []string{"tis_sync_1", "tis_tcs_1"} {
		if err := d.ContainerStop(t.Context(), name, container.StopOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.ContainerUpdate(t.Context(), "tis_sync_1", container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: "no"}}); err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerStart(t.Context(), "tis_sync_1", container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sync gives up without tcs", func() bool {
		c, err := d.ContainerInspect(t.Context(), "tis_sync_1")
		return err == nil && c.State.Status == "exited" && c.State.ExitCode == 1 && c.HostConfig.RestartPolicy.Name == "no"
	})
}

func TestErrorsAreTheEngines(t *testing.T) {
	l := start(t, lab.Options{Scenario: "incident"})
	for side, removal := range map[string]string{"blue": "You cannot remove a running container", "green": "container is running: stop the container before removing or force remove"} {
		d := docker(t, dial(t, l, side))
		ctx := t.Context()
		_, err := d.ContainerInspect(ctx, "nope")
		if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "No such container: nope") {
			t.Errorf("%s: inspect: %v", side, err)
		}
		if err := d.ContainerRename(ctx, "tis_tcs_1", "tis_sync_1"); !errdefs.IsConflict(err) || !strings.Contains(err.Error(), `The container name "/tis_sync_1" is already in use`) {
			t.Errorf("%s: rename: %v", side, err)
		}
		if err := d.ContainerRemove(ctx, "tis_tcs_1", container.RemoveOptions{}); !errdefs.IsConflict(err) || !strings.Contains(err.Error(), removal) {
			t.Errorf("%s: remove: %v", side, err)
		}
		if err := d.NetworkRemove(ctx, "tis_default"); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "has active endpoints") {
			t.Errorf("%s: network remove: %v", side, err)
		}
	}
}

func TestVersionsTooNewAndTooOld(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "blue")
	for path, want := range map[string]string{
		"/v1.51/info": "client version 1.51 is too new. Maximum supported API version is 1.41",
		"/v1.11/info": "client version 1.11 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version",
		"/v1.41/nope": "page not found",
	} {
		conn, err := c.Dial("unix", "/run/docker.sock")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n", path)
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%s: %v\n%s", path, err, answer)
		}
	}
}

// TestCanary is what tandem's canary does: import, create, start, wait, remove.
func TestCanary(t *testing.T) {
	l := start(t, lab.Options{})
	d := docker(t, dial(t, l, "blue"))
	ctx := t.Context()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "exit", Mode: 0o755, Size: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("\x7fELF")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := d.ImageImport(ctx, image.ImportSource{Source: &archive, SourceName: "-"}, "tandem/canary:1", image.ImportOptions{Changes: []string{`ENTRYPOINT ["/exit"]`, "LABEL tandem.canary=run1"}})
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Status string }
	if err := json.NewDecoder(r).Decode(&said); err != nil || !strings.HasPrefix(said.Status, "sha256:") {
		t.Fatalf("import said %q, %v", said.Status, err)
	}
	r.Close()
	made, err := d.ContainerCreate(ctx, &container.Config{Image: "tandem/canary:1"}, &container.HostConfig{NetworkMode: "none"}, nil, nil, "tandem-canary")
	if err != nil {
		t.Fatal(err)
	}
	ended, failed := d.ContainerWait(ctx, made.ID, container.WaitConditionNextExit)
	if err := d.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case end := <-ended:
		if end.StatusCode != 0 {
			t.Errorf("ended with %d", end.StatusCode)
		}
	case err := <-failed:
		t.Fatal(err)
	}
	left, err := d.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "tandem.canary=run1"))})
	if err != nil || len(left) != 1 {
		t.Fatalf("by label: %v, %v", left, err)
	}
	if err := d.ContainerRemove(ctx, made.ID, container.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ImageRemove(ctx, "tandem/canary:1", image.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ImageInspect(ctx, "tandem/canary:1"); !errdefs.IsNotFound(err) {
		t.Errorf("the image is still there: %v", err)
	}
}

// TestRecreate is what a roll back does: rename aside, create from the inspect with
// another image, start, remove the old one.
func TestRecreate(t *testing.T) {
	l := start(t, lab.Options{})
	d := docker(t, dial(t, l, "blue"))
	ctx := t.Context()
	old, err := d.ContainerInspect(ctx, "tis_profile_1")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerStop(ctx, old.ID, container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerRename(ctx, old.ID, "tis_profile_1_old"); err != nil {
		t.Fatal(err)
	}
	config := *old.Config
	config.Image = "tis/profile:77de215"
	made, err := d.ContainerCreate(ctx, &config, old.HostConfig, &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		"tis_default": {Aliases: []string{"profile"}},
	}}, nil, "tis_profile_1")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.ContainerRemove(ctx, old.ID, container.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new one is healthy", func() bool {
		c, err := d.ContainerInspect(ctx, "tis_profile_1")
		return err == nil && c.State.Health.Status == "healthy" && c.Config.Image == "tis/profile:77de215"
	})
	now, err := d.ContainerInspect(ctx, "tis_profile_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(old.HostConfig, now.HostConfig); diff != "" {
		t.Errorf("HostConfig changed:\n%s", diff)
	}
	if now.NetworkSettings.Networks["tis_default"].IPAddress == "" {
		t.Error("no address in tis_default")
	}
	eventually(t, "blue serves", func() bool { return l.World().Serving("blue") })
}

func TestLogs(t *testing.T) {
	l := start(t, lab.Options{})
	h, d := l.World().Host("blue"), docker(t, dial(t, l, "blue"))
	long := strings.Repeat("x", 1<<20)
	evil := "\x1b]0;owned\a\x1b[2J\x1b[31mred\r\b"
	for _, line := range []string{evil, long} {
		if err := h.Print("gmc-connect", line, true); err != nil {
			t.Fatal(err)
		}
	}
	r, err := d.ContainerLogs(t.Context(), "tis_gmc-connect_1", container.LogsOptions{ShowStderr: true, Tail: "2"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out, errs bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errs, r); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 0 || errs.String() != evil+"\n"+long+"\n" {
		t.Errorf("stdout %d bytes, stderr %d bytes", out.Len(), errs.Len())
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	follow, err := d.ContainerLogs(ctx, "tis_gmc-connect_1", container.LogsOptions{ShowStderr: true, Follow: true, Tail: "0", Timestamps: true})
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	if err := h.Print("gmc-connect", "later", true); err != nil {
		t.Fatal(err)
	}
	header := make([]byte, 8)
	if _, err := io.ReadFull(follow, header); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, header[7])
	if _, err := io.ReadFull(follow, text); err != nil || header[0] != 2 || !strings.HasSuffix(string(text), "Z later\n") {
		t.Errorf("followed %q, %v", text, err)
	}
}

func TestEventsAndAnEngineRestart(t *testing.T) {
	l := start(t, lab.Options{Scenario: "incident"})
	h, d := l.World().Host("blue"), docker(t, dial(t, l, "blue"))
	stream, broken := d.Events(t.Context(), events.ListOptions{Filters: filters.NewArgs(filters.Arg("type", "container"))})
	// The stream is open once an event comes through: ask until one does.
	if err := d.ContainerKill(t.Context(), "tis_sync_1", "HUP"); err != nil {
		t.Fatal(err)
	}
	since, broken2 := d.Events(t.Context(), events.ListOptions{Since: "1h"})
	select {
	case e := <-since:
		if e.Actor.ID == "" || e.Type != events.ContainerEventType {
			t.Errorf("event %+v", e)
		}
	case err := <-broken2:
		t.Fatal(err)
	}
	h.RestartEngine()
	for open := true; open; {
		select {
		case <-stream:
		case err := <-broken:
			if err == nil {
				t.Error("the stream ended without an error")
			}
			open = false
		}
	}
	again := docker(t, dial(t, l, "blue"))
	eventually(t, "the engine is the one that was installed", func() bool {
		v, err := again.ServerVersion(t.Context())
		return err == nil && v.Version == "26.1.5+dfsg1" && v.APIVersion == "1.45"
	})
	eventually(t, "restart policies bring the services back", func() bool { return l.World().Serving("blue") })
}

func TestNetworks(t *testing.T) {
	l := start(t, lab.Options{})
	d := docker(t, dial(t, l, "blue"))
	ctx := t.Context()
	made, err := d.NetworkCreate(ctx, "extra", network.CreateOptions{Driver: "bridge", Labels: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.NetworkConnect(ctx, made.ID, "tis_tcs_1", &network.EndpointSettings{Aliases: []string{"t"}}); err != nil {
		t.Fatal(err)
	}
	n, err := d.NetworkInspect(ctx, "extra", network.InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n.IPAM.Config[0].Subnet != "172.19.0.0/16" || len(n.Containers) != 1 {
		t.Errorf("network %+v", n)
	}
	if err := d.NetworkDisconnect(ctx, "extra", "tis_tcs_1", false); err != nil {
		t.Fatal(err)
	}
	if err := d.NetworkRemove(ctx, "extra"); err != nil {
		t.Fatal(err)
	}
	list, err := d.NetworkList(ctx, network.ListOptions{})
	if err != nil || len(list) != 4 {
		t.Errorf("%d networks, %v", len(list), err)
	}
}

func TestImages(t *testing.T) {
	l := start(t, lab.Options{})
	for _, side := range lab.Sides {
		d := docker(t, dial(t, l, side))
		list, err := d.ImageList(t.Context(), image.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]int{}
		for _, im := range list {
			for _, tag := range im.RepoTags {
				repo, _, _ := strings.Cut(tag, ":")
				tags[repo]++
			}
		}
		for repo, n := range tags {
			if n < 3 {
				t.Errorf("%s: %s has %d tags, want latest and two commits at least", side, repo, n)
			}
		}
		im, err := d.ImageInspect(t.Context(), "tis/tcs:latest")
		if err != nil || im.Config == nil || len(im.Config.Entrypoint) == 0 {
			t.Errorf("%s: inspect of an image: %+v, %v", side, im.Config, err)
		}
	}
}
