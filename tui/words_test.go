package tui

import (
	"testing"
	"time"

	"tandem/ops"
)

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119*time.Minute + 59*time.Second: "119m",
		2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 900 * day: "900d",
	} {
		at := noon.Add(-d)
		text, until := age(noon, at)
		if text != want {
			t.Errorf("%v: %q, want %q", d, text, want)
		}
		if d < 0 {
			continue
		}
		if before, _ := age(until.Add(-time.Nanosecond), at); before != text {
			t.Errorf("%v: reads %q before it should change", d, before)
		}
		if after, _ := age(until, at); after == text {
			t.Errorf("%v: still reads %q when it should have changed", d, after)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 9 * time.Second: "0:09", 187 * time.Second: "3:07", 3731 * time.Second: "1:02:11", 11 * time.Minute: "11:00"} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for image, want := range map[string]string{
		"tis/tcs:a9e11f0": "a9e11f0", "tis/tcs:latest": "0123456", "tis/tcs": "0123456", "registry:5000/tis/tcs": "0123456", "registry:5000/tis/tcs:1.2": "1.2",
		"tis/tcs:1.2@sha256:ffff": "1.2", "sha256:0123456789": "0123456789", "": "0123456",
	} {
		if got := short(&ops.Container{Image: image, ImageID: "sha256:0123456789abcdef"}); got != want {
			t.Errorf("%q: %q, want %q", image, got, want)
		}
	}
}
