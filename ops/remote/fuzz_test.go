package remote

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

// calm tells whether an Upkeep says that all is well: everything was read, and nothing of
// it asks for anything.
func calm(u ops.Upkeep) bool {
	return len(u.Unread) == 0 && len(u.Changes) == 0 && len(u.Pending) == 0 && len(u.Broken) == 0 && u.Busy == ""
}

// No answer that broke off is read, and none whose log touched the engine, or could not be
// understood, says that all is well.
func FuzzParseUpkeep(f *testing.F) {
	f.Add(answer())
	f.Add(answer("End-Date", "\x00"))
	f.Add(answer("ii |", "iF |", "2 upgraded", "0 upgraded"))
	f.Add([]byte("@manager dnf\n@busy\n@history /var/log/dnf.rpm.log\n" + dnfLog + "@commands\n" + dnfCommandLog + "@locked\nrunc-0:1-2.*\n@busy\n\n@end\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		u, err := parseUpkeep(out)
		if whole := bytes.HasSuffix(out, []byte("\n@end\n")); err == nil && !whole {
			t.Fatalf("half an answer was read: %+v", u)
		}
		if err != nil {
			return
		}
		if u.Manager == "apt" && calm(u) && strings.Contains(historyOf(out), "docker.io:amd64 (1") {
			t.Errorf("all is well with %q", out)
		}
		for _, c := range append(u.Pending, touched(u.Changes)...) {
			if !ops.OfEngine(c.Name) {
				t.Errorf("%q is none of the engine's packages", c.Name)
			}
		}
	})
}

func touched(changes []ops.PackageChange) (all []ops.VersionChange) {
	for _, c := range changes {
		all = append(all, c.Packages...)
	}
	return all
}

// historyOf are the upgrades in the logs of an answer that was cut by nobody.
func historyOf(out []byte) string {
	parts, _ := sections(out)
	var b strings.Builder
	for _, s := range parts {
		if s.name == "history" && len(s.text()) < historyCut/2 {
			for _, line := range s.lines {
				if strings.HasPrefix(line, "Upgrade: ") {
					b.WriteString(line + "\n")
				}
			}
		}
	}
	return b.String()
}

// A log of apt either tells of every entry that touched the engine or has a line that is
// not understood.
func FuzzParseHistory(f *testing.F) {
	f.Add("Start-Date: 2020-11-12  16:02:10\nCommandline: apt-get upgrade\nUpgrade: docker.io:amd64 (1, 2)\nEnd-Date: 2020-11-12  16:03:00\n")
	f.Add("Start-Date: 2020-11-12  16:02:10\r\nError: x\r\n\r\n\r\nStart-Date: \nInstall: runc:amd64 (1, automatic)\n")
	f.Fuzz(func(t *testing.T, text string) {
		changes, broken := parseHistory(text, time.UTC, false)
		for _, c := range changes {
			if len(c.Packages) == 0 || c.At.IsZero() && broken == "" {
				t.Errorf("%+v", c)
			}
		}
		if len(text) < historyCut/2 && strings.Contains(text, "\nUpgrade: docker.io:amd64 (1, 2)\n") && len(changes) == 0 && broken == "" {
			t.Errorf("nothing in %q", text)
		}
	})
}

// A simulation that is understood has every line that changes something.
func FuzzParseSimulation(f *testing.F) {
	f.Add("Inst docker.io [1] (2 Debian [amd64]) []\nRemv runc [1]\n1 upgraded, 0 newly installed, 1 to remove and 0 not upgraded.\n")
	f.Add("Inst a (2 x [y])\r\nPurg b [1] []\n0 upgraded, 1 newly installed, 1 downgraded, 1 to remove and 0 not upgraded.\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		changes, err := parseSimulation(lines)
		if err != nil {
			return
		}
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "Inst ") || strings.HasPrefix(line, "Remv ") || strings.HasPrefix(line, "Purg ") {
				n++
			}
		}
		if len(changes) != n {
			t.Errorf("%d changes of %d lines in %q", len(changes), n, text)
		}
	})
}

const dnfLog = `2020-11-12T16:02:10Z INFO --- logging initialized ---
2020-11-12T16:02:30Z SUBDEBUG Upgrade: docker-ce-3:20.10.5-3.el8.x86_64
2020-11-12T16:02:31Z SUBDEBUG Upgraded: docker-ce-3:19.03.13-3.el8.x86_64
`

const dnfCommandLog = "2020-11-12T16:02:10Z DDEBUG Command: dnf upgrade -y \n"

func FuzzParseDNF(f *testing.F) {
	f.Add(dnfLog, dnfCommandLog)
	f.Fuzz(func(t *testing.T, log, commands string) {
		changes, broken := parseDNF(log, dnfCommands(strings.Split(commands, "\n")))
		for _, c := range changes {
			if len(c.Packages) == 0 || c.At.IsZero() {
				t.Errorf("%+v", c)
			}
		}
		if strings.Contains(log, "\n2020-11-12T16:02:30Z SUBDEBUG Upgrade: docker-ce-3:20.10.5-3.el8.x86_64\n") && len(changes) == 0 && broken == "" {
			t.Errorf("nothing in %q", log)
		}
	})
}
