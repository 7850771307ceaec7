package ops

import "testing"

func TestKept(t *testing.T) {
	for name, want := range map[string]bool{
		"tcs-1": false, KeptName("tcs-1", "0123456789abcdef"): true, AfterName("tcs-1"): true,
		"the.before-times": false, "tcs.before-": false, "afternoon": false,
	} {
		if Kept(name) != want {
			t.Errorf("%s: kept %v, want %v", name, !want, want)
		}
	}
}
