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
