package ops

import "testing"

func TestGoesBack(t *testing.T) {
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"20.10.24+dfsg1-1+deb12u1+b2", "26.1.5+dfsg1-9+b1", false},
		{"26.1.5+dfsg1-9+b1", "20.10.24+dfsg1-1+deb12u1+b2", true},
		{"5:28.5.2-1~debian.12~bookworm", "26.1.5+dfsg1-9", true},
		{"1.6.20~ds1-1+b1", "1.6.20~ds1-1+b1", false},
		{"1.6.20~ds1-1", "1.6.20-1", false},
		{"1.6.20-1", "1.6.20~ds1-1", true},
		{"", "1", false},
		{"1", "", false},
		{"not a version", "1", false},
	} {
		if got := (VersionChange{Name: "x", From: test.from, To: test.to}).GoesBack(); got != test.want {
			t.Errorf("%s to %s: goes back %v", test.from, test.to, got)
		}
	}
}

// A compose that plugs in to the docker command comes with it where the command is a package of
// its own; an engine that has its own command in its package keeps it.
func TestWithCommand(t *testing.T) {
	for _, test := range []struct {
		name, engine, compose, have string
		want                        string
	}{
		{"alone", "26.1.5+dfsg1", "2.26.1-4", "", "26.1.5+dfsg1-9"},
		{"an engine with its own", "20.10.24+dfsg1", "2.26.1-4", "", ""},
		{"a compose that is a program", "26.1.5+dfsg1", "1.29.2-3", "", ""},
		{"there already", "26.1.5+dfsg1", "2.26.1-4", "26.1.5+dfsg1-8", ""},
		{"no compose", "26.1.5+dfsg1", "", "", ""},
	} {
		s := SideState{}
		s.Upkeep.Offered = map[string][]string{"docker-cli": {"27.5.1+dfsg1-1", "26.1.5+dfsg1-9"}}
		s.Facts.Packages = map[string]string{"docker-cli": test.have}
		packages := map[string]string{}
		if test.compose != "" {
			packages["docker-compose"] = test.compose
		}
		if got := WithCommand(&s, test.engine, packages)["docker-cli"]; got != test.want {
			t.Errorf("%s: docker-cli %q, want %q", test.name, got, test.want)
		}
	}
}
