package remote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

const facts = `clock=1605196920.500000000
user=ops
kernel=4.15.0-122-generic
boot_id=373b514b-318d-463e-a580-8e289574b225
uptime=1036800.25 2000000.00
load=0.41 0.88 0.77 3/102 19614
cpus=0-2,5
mem=MemTotal:16000000
mem=MemAvailable:8000000
disk=4096 66053021 62485051 16777216 16000000
os="Ubuntu 18.04.5 LTS"
reboot_required=1
pkg=ii |containerd.io|1.3.7-1
pkg=hi |docker-ce|5:19.03.13~3-0~ubuntu-bionic
pkg=rc |docker.io|19.03.6-0ubuntu1
pkg=un |runc|
engine_stat=812 (docker d) S 1 812 812 0 -1 1077936384 1 2 3 4 5 6 7 8 20 0 9 0 1000 1000000 900
born=1605190000 1605190000 /usr/bin/dockerd
born=1605190001 1605190001 /usr/bin/containerd
born=1505190000 1505190000 /usr/bin/runc
packaging=/var/lib/dpkg/status 77 1000 1605190002
standalone=/usr/local/bin/docker-compose
standalone_dist=docker_compose-1.25.0-py3.6.egg-info
lock_held=1
lock={
lock=  "run": "r1", "by": "ann", "op": "restart"
lock=}
end=1
`

func TestParseFacts(t *testing.T) {
	got, _, err := parseFacts([]byte(facts), composeSeen{})
	if err != nil {
		t.Fatal(err)
	}
	want := ops.Facts{
		BootID: "373b514b-318d-463e-a580-8e289574b225", Uptime: 1036800250 * time.Millisecond, Load1: 0.41, CPUs: 4,
		MemTotal: 16000000 << 10, MemAvailable: 8000000 << 10, DiskTotal: 264212084 << 10, DiskUsed: 14271880 << 10,
		InodesTotal: 16777216, InodesUsed: 777216, Newer: []string{"containerd"}, Packaging: "24468f6cecf5",
		OS: "Ubuntu 18.04.5 LTS", Kernel: "4.15.0-122-generic", Installed: "19.03.13",
		Packages: map[string]string{"containerd.io": "1.3.7-1", "docker-ce": "5:19.03.13~3-0~ubuntu-bionic"},
		Compose:  "1.25.0", ComposeHow: "docker-compose", EngineReplaced: true, RebootRequired: true,
		Clock: time.Unix(1605196920, 5e8).UTC(), User: "ops",
		Lock: &ops.LockInfo{Run: "r1", By: "ann", Op: "restart"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseFactsRefusesHalfAnAnswer(t *testing.T) {
	for name, out := range map[string]string{
		"empty": "", "broken off": strings.TrimSuffix(facts, "end=1\n"), "no boot id": "end=1\n",
		"restricted shell": "This account is not available.\n",
	} {
		if _, _, err := parseFacts([]byte(out), composeSeen{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A mark that cannot be read is a mark all the same.
func TestParseFactsUnreadableLock(t *testing.T) {
	for _, lock := range []string{"", "lock={\"run\"\n", "lock=null\n"} {
		f, _, err := parseFacts([]byte("boot_id=x\nlock_held=1\n"+lock+"end=1\n"), composeSeen{})
		if err != nil || f.Lock == nil || f.Lock.By == "" {
			t.Errorf("%q: %+v, %v", lock, f.Lock, err)
		}
	}
}

func TestEngineReplaced(t *testing.T) {
	const stat = "812 (dockerd) S 1 812 812 0 -1 1 1 2 3 4 5 6 7 8 20 0 9 0 1000 1000000 900" // 10 s after the boot
	for name, tt := range map[string]struct {
		lines string
		want  bool
	}{
		"older binary":     {"engine_stat=" + stat + "\nborn=1000 1000 /d/dockerd", false},
		"newer binary":     {"engine_stat=" + stat + "\nborn=1950 1950 /d/dockerd", true},
		"birth not known":  {"engine_stat=" + stat + "\nborn=0 1950 /d/dockerd", true},
		"birth before":     {"engine_stat=" + stat + "\nborn=1000 1950 /d/dockerd", false},
		"deleted":          {"engine_replaced=1", true},
		"nothing known":    {"", false},
		"stat broken off":  {"engine_stat=812 (dockerd) S 1\nborn=1950 1950 /d/dockerd", false},
		"birth unreadable": {"engine_stat=" + stat + "\nborn=- - /d/dockerd", false},
	} {
		f, _, err := parseFacts([]byte("boot_id=x\nclock=2000.0\nuptime=1000.00 1\n"+tt.lines+"\nend=1\n"), composeSeen{})
		if err != nil || f.EngineReplaced != tt.want {
			t.Errorf("%s: got %v, %v", name, f.EngineReplaced, err)
		}
	}
}

func TestNewer(t *testing.T) {
	started := time.Unix(1000, 0)
	for _, tt := range []struct {
		born []string
		want []string
	}{
		{nil, nil},
		{[]string{"900 900 /usr/bin/dockerd", "900 1100 /usr/bin/containerd", "900 900 /usr/sbin/runc"}, nil},
		{[]string{"900 900 /usr/bin/dockerd", "1001 1001 /usr/bin/containerd", "0 1001 /usr/sbin/runc"}, []string{"containerd", "runc"}},
		{[]string{"", "1001", "x y z", "-1 -1 /a"}, nil},
	} {
		got := newer(tt.born, started)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q: %s", tt.born, d)
		}
		if got := newer(tt.born, time.Time{}); got != nil {
			t.Errorf("no engine, but %q are newer", got)
		}
	}
}

func TestAhead(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, int64(s*1e9)) }
	for _, tt := range []struct{ clock, want float64 }{{0.5, 0}, {0, 0}, {1, 0}, {4, 3}, {-2.5, -2.5}} {
		if got := ahead(at(tt.clock), at(0), at(1)); got != time.Duration(tt.want*1e9) {
			t.Errorf("clock %v: %v", tt.clock, got)
		}
	}
	if got := ahead(time.Time{}, at(0), at(1)); got != 0 {
		t.Errorf("no clock: %v", got)
	}
}

// The stamp of a host changes with what a package manager writes, and with nothing else.
func TestPackagingStamp(t *testing.T) {
	stamp := func(lines string) string {
		f, _, err := parseFacts([]byte("boot_id=x\n"+lines+"end=1\n"), composeSeen{})
		if err != nil {
			t.Fatal(err)
		}
		return f.Packaging
	}
	calm := "uptime=5 5\npackaging=/var/lib/dpkg/status 1 2 3\n"
	if a, b := stamp(calm), stamp("load=1 1\n"+calm); a == "" || a != b {
		t.Errorf("%q, %q", a, b)
	}
	if stamp(calm) == stamp(strings.Replace(calm, "1 2 3", "1 2 4", 1)) || stamp("") != "" {
		t.Error("the stamp does not follow the files")
	}
}

func TestFindCompose(t *testing.T) {
	for name, tt := range map[string]struct {
		lines, version, how string
	}{
		"plugin package":   {"pkg=ii |docker-compose-plugin|2.29.1-1~debian.12~bookworm", "2.29.1", "docker compose"},
		"ubuntu's package": {"pkg=ii |docker-compose-v2|2.24.6+ds1-0ubuntu1", "2.24.6", "docker compose"},
		"plugin asked":     {"plugin=/p 1\nplugin_version=v2.20.0", "2.20.0", "docker compose"},
		"plugin known":     {"plugin=/p 7", "2.17.0", "docker compose"},
		"debian's package": {"pkg=ii |docker-compose|1.29.2-3\nstandalone=/usr/bin/docker-compose", "1.29.2", "docker-compose"},
		"pip":              {"standalone=/usr/local/bin/docker-compose\nstandalone_dist=docker_compose-1.29.2.dist-info", "1.29.2", "docker-compose"},
		"binary asked":     {"standalone=/s 1\nstandalone_version=1.29.2", "1.29.2", "docker-compose"},
		"binary broken":    {"standalone=/s 1\nstandalone_version=", "", ""},
		"none":             {"", "", ""},
	} {
		f, _, err := parseFacts([]byte("boot_id=x\n"+tt.lines+"\nend=1\n"), composeSeen{"/p 7", "2.17.0"})
		if err != nil || f.Compose != tt.version || f.ComposeHow != tt.how {
			t.Errorf("%s: got %q, %q, %v", name, f.Compose, f.ComposeHow, err)
		}
	}
}

func TestUpstream(t *testing.T) {
	for version, want := range map[string]string{
		"5:20.10.24~3-0~debian-bookworm": "20.10.24", "20.10.24+dfsg1-1+b3": "20.10.24", "5:26.1.5-1~ubuntu.22.04~jammy": "26.1.5",
		"26.1.5+dfsg1-9+b11": "26.1.5", "18.09.1": "18.09.1", "": "",
	} {
		if got := upstream(version); got != want {
			t.Errorf("%s: %s", version, got)
		}
	}
}

// The script itself, on this machine, through a connection; a compose program is asked for
// its version once.
func TestFacts(t *testing.T) {
	h, s := connect(t)
	s.program("dpkg-query", "printf 'pkg=ii |docker.io|20.10.24+dfsg1-1+b3\\n'; exit 1\n")
	home := t.TempDir()
	t.Setenv("HOME", home)
	plugins := filepath.Join(home, ".docker/cli-plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(home, "asked")
	if err := os.WriteFile(plugins+"/docker-compose", []byte("#!/bin/sh\necho $* >> "+quote(asked)+"; echo v2.20.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f, err := h.Facts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.BootID == "" || f.Uptime == 0 || f.MemTotal == 0 || f.DiskTotal == 0 || f.CPUs == 0 || f.Kernel == "" || f.User == "" {
			t.Errorf("incomplete: %+v", f)
		}
		if f.Installed != "20.10.24" || f.Compose != "2.20.0" || f.ComposeHow != "docker compose" {
			t.Errorf("installed %q, compose %q, %q", f.Installed, f.Compose, f.ComposeHow)
		}
		if skew := time.Since(f.Clock); skew < 0 || skew > time.Minute {
			t.Errorf("clock off by %s", skew)
		}
	}
	if n := len(s.ran()); n != 2 {
		t.Errorf("%d commands for two reads", n)
	}
	if got, err := os.ReadFile(asked); err != nil || string(got) != "version --short\n" {
		t.Errorf("compose was asked %q, %v", got, err)
	}
}

func FuzzParseFacts(f *testing.F) {
	f.Add([]byte(facts))
	f.Add([]byte("boot_id=x\nuptime=1e300\nclock=-1.5\ndf=a -1 9999999999999999999999 x y z\nlock_held=1\nlock=[]\nend=1\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		facts, _, err := parseFacts(out, composeSeen{})
		if err != nil {
			return
		}
		if facts.BootID == "" || facts.Uptime < 0 {
			t.Errorf("%+v", facts)
		}
		for name, version := range facts.Packages {
			if name == "" || version == "" {
				t.Errorf("package %q %q", name, version)
			}
		}
	})
}
