package ops

import "testing"

func TestComposeMisfit(t *testing.T) {
	for _, test := range []struct{ compose, engine, want string }{
		{"1.29.2", "20.10.24+dfsg1", ""},
		{"1.29.2", "25.0.5", ""},
		{"1.29.2", "26.1.5+dfsg1-9+b1", "compose 1.29.2 cannot recreate containers on engine 26.1.5 (KeyError: 'ContainerConfig')"},
		{"1.29.2-3", "5:28.5.2-1~debian.12~bookworm", "compose 1.29.2 cannot recreate containers on engine 28.5.2 (KeyError: 'ContainerConfig')"},
		{"2.26.1-4", "26.1.5", ""},
		{"v2.24.5", "26.1.5", ""},
		{"2.5.0", "5:29.0.2-1~ubuntu.22.04~jammy", "compose 2.5.0 cannot talk to engine 29.0.2 (client version is too old)"},
		{"v2.22.0", "29.2.1", "compose v2.22.0 cannot talk to engine 29.2.1 (client version is too old)"},
		{"2.24.5", "29.0.2", ""},
		{"2.5.0", "29.3.0", ""},
		{"2.5.0", "28.5.2", ""},
		{"", "26.1.5", ""},
		{"1.29.2", "", ""},
	} {
		if got := ComposeMisfit(test.compose, test.engine); got != test.want {
			t.Errorf("compose %q, engine %q: %q, want %q", test.compose, test.engine, got, test.want)
		}
	}
}

func TestUpstream(t *testing.T) {
	for version, want := range map[string]string{
		"26.1.5+dfsg1-9+b1": "26.1.5", "5:24.0.7-1~debian.12~bookworm": "24.0.7", "1.29.2-3": "1.29.2", "20.10.24": "20.10.24", "1.6.20~ds1-1+b1": "1.6.20", "": "",
	} {
		if got := Upstream(version); got != want {
			t.Errorf("%q is %q, want %q", version, got, want)
		}
	}
}
