package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/tui"
)

// What a service can go back to: images of its own repository, latest first, with who runs which.
func TestImageChoices(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2025, 6, n, 0, 0, 0, 0, time.UTC) }
	earlier := ops.Image{ID: "sha256:1", Tags: []string{"registry:5000/tis/tcs:18f60bd"}, Created: day(1)}
	now := ops.Image{ID: "sha256:2", Tags: []string{"registry:5000/tis/tcs:a41f0c9", "registry:5000/tis/tcs:latest"}, Created: day(2)}
	newer := ops.Image{ID: "sha256:3", Tags: []string{"registry:5000/tis/tcs:77b01ff"}, Created: day(3)}
	other := ops.Image{ID: "sha256:4", Tags: []string{"tis/tcs:18f60bd", "registry:5000/tis/tcs-etl:1"}, Created: day(4)}
	untagged := ops.Image{ID: "sha256:5", Created: day(5)}
	running := func(ids ...string) *ops.ServiceState {
		s := &ops.ServiceState{}
		for _, id := range ids {
			s.Containers = append(s.Containers, ops.Container{Image: "registry:5000/tis/tcs:latest", ImageID: id})
		}
		return s
	}
	all := []ops.Image{earlier, other, now, untagged, newer}
	for _, test := range []struct {
		name       string
		here, peer *ops.ServiceState
		want       []tui.ImageChoice
	}{
		{"the peer is behind", running("sha256:2"), running("sha256:1"), []tui.ImageChoice{{Image: newer}, {Image: now, Current: true}, {Image: earlier, PeerRuns: true}}},
		{"not on the peer", running("sha256:2"), nil, []tui.ImageChoice{{Image: newer}, {Image: now, Current: true}, {Image: earlier}}},
		{"an image without a tag is in use", running("sha256:5"), running("sha256:5"),
			[]tui.ImageChoice{{Image: untagged, Current: true, PeerRuns: true}, {Image: newer}, {Image: now}, {Image: earlier}}},
		{"containers of two images", running("sha256:2", "sha256:1"), running("sha256:2", "sha256:3"),
			[]tui.ImageChoice{{Image: newer, PeerRuns: true}, {Image: now, Current: true, PeerRuns: true}, {Image: earlier, Current: true}}},
	} {
		if diff := cmp.Diff(test.want, imageChoices(all, test.here, test.peer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A span of a log is asked for whole: the engine would count the lines of the tail from the end
// of the log.
func TestLogOptions(t *testing.T) {
	now := time.Date(2025, 6, 1, 14, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Hour), now.Add(time.Hour)
	for _, tt := range []struct {
		span tui.LogSpan
		want ops.LogOptions
	}{
		{tui.LogSpan{}, ops.LogOptions{Tail: logLines, Follow: true}},
		{tui.LogSpan{All: true}, ops.LogOptions{Tail: logLinesMost, Follow: true}},
		{tui.LogSpan{Since: before}, ops.LogOptions{Since: before, Follow: true}},
		{tui.LogSpan{Until: before}, ops.LogOptions{Until: before}},
		{tui.LogSpan{Since: before, Until: after}, ops.LogOptions{Since: before, Until: after, Follow: true}},
	} {
		if d := cmp.Diff(tt.want, logOptions(tt.span, now)); d != "" {
			t.Errorf("%+v: %s", tt.span, d)
		}
	}
}
