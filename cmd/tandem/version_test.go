package main

import (
	"os"
	"regexp"
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

// What a release is built with exists: the commands that write its man pages and completions,
// and the variable that the linker sets.
func TestReleaseIsBuiltWithWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile(`packaging/tandem ((?:[a-z]+ )+)`).FindAllStringSubmatch(string(text), -1)
	if len(calls) != 2 {
		t.Errorf("%d calls of tandem, want its man pages and its completions: %q", len(calls), calls)
	}
	root := newRoot().cmd
	root.InitDefaultCompletionCmd("completion")
	for _, call := range calls {
		if cmd, _, err := root.Find(strings.Fields(call[1])); err != nil || cmd == root {
			t.Errorf("tandem has no %q: %v", call[1], err)
		}
	}
	release = "1.2.3"
	defer func() { release = "" }()
	if got := version(); got != "1.2.3" || !strings.Contains(string(text), "-X main.release={{ .Version }}") {
		t.Errorf("the linker sets another variable than %q is read from", got)
	}
}
