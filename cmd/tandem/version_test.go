package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

// A version says what it was built from as far as that is known, and never more.
func TestVersion(t *testing.T) {
	source := []debug.BuildSetting{{Key: "vcs.revision", Value: "1234abcd"}, {Key: "vcs.time", Value: "2026-11-26T10:00:00Z"}, {Key: "vcs.modified", Value: "true"}}
	for _, test := range []struct {
		name    string
		info    *debug.BuildInfo
		release string
		want    []string
		never   string
	}{
		{"without build info", nil, "", []string{"tandem (devel)\nbuilt by  go"}, "revision"},
		{"from a clone", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3+dirty"}, Settings: source}, "", []string{"tandem v1.2.3+dirty\n", "revision  1234abcd of 2026-11-26T10:00:00Z, modified\n"}, "(devel)"},
		{"packaged", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: source[:2]}, "v2.0.0", []string{"tandem v2.0.0\n", "revision  1234abcd of"}, "modified"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			buildOf(test.info, test.release).print(&out)
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), test.never) {
				t.Errorf("%q in:\n%s", test.never, out.String())
			}
		})
	}
}
