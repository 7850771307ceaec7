package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Every demo opens on a pair that has been looked at, and leaves nothing behind.
func TestDemoInATerminal(t *testing.T) {
	for _, demo := range []struct {
		args []string
		see  []string // what is there once both sides and the balancer have been looked at
	}{
		{nil, []string{"haproxy", "2 of 2 in service", "13/13", "14/14"}},
		{[]string{"--balancer", "elbv2"}, []string{"elbv2", "2 of 2 in service", "13/13", "14/14"}},
		{[]string{"--scenario", "upgraded"}, []string{"2 of 2 in service", "13/13", "14/14", "26.1.5 is installed"}},
		{[]string{"--scenario", "incident"}, []string{"2 of 2 in service", "13/13", "13/14", "revalidation"}},
		{[]string{"--scenario", "one-down"}, []string{"1 of 2 in service", "13/13", "6/14"}},
		{[]string{"--scenario", "drift"}, []string{"2 of 2 in service", "12/13", "13/14 ready", "sync"}},
	} {
		t.Run(strings.Join(demo.args, " "), func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			folders := func() int {
				list, err := filepath.Glob(filepath.Join(temp, "tandem-demo-*"))
				if err != nil {
					t.Fatal(err)
				}
				return len(list)
			}
			term := openTerminal(t, 160, 50, []string{"TMPDIR=" + temp, "XDG_CONFIG_HOME=" + temp, "TANDEM_CONFIG="}, append([]string{"demo"}, demo.args...)...)
			term.see(demo.see...)
			if n := folders(); n != 1 {
				t.Errorf("%d folders while it is open", n)
			}
			term.press("q")
			if code := term.exited(); code != exitDone {
				t.Errorf("ended with %d", code)
			}
			if n := folders(); n != 0 {
				t.Errorf("has left %d folders behind", n)
			}
		})
	}
}
