package remote

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// answer is what upkeep.sh prints on a calm host with apt, parts of it exchanged.
func answer(exchange ...string) []byte {
	text := `@manager apt
@zone_name Europe/London
@busy
@history /var/log/apt/history.log

Start-Date: 2020-07-01  09:00:00
Commandline: apt-get install -y docker.io
Requested-By: ann (1000)
Install: docker.io:amd64 (19.03.8-0ubuntu1), runc:amd64 (1.0.0~rc10-0ubuntu1, automatic), git:amd64 (1:2.25.1-1, automatic)
End-Date: 2020-07-01  09:01:00

@states
ii |docker.io
hi |runc
rc |old

@status 0
@pending
NOTE: This is only a simulation!
Inst docker.io [19.03.8-0ubuntu1] (20.10.2-0ubuntu1 Ubuntu:20.04/focal-updates [amd64])
Inst bash [5.0-6] (5.0-7 Ubuntu:20.04/focal-updates [amd64])
Conf docker.io (20.10.2-0ubuntu1 Ubuntu:20.04/focal-updates [amd64])
Conf bash (5.0-7 Ubuntu:20.04/focal-updates [amd64])
2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.

@status 0
@sources
'http://ops:secret@mirror.example.org/ubuntu/dists/focal/InRelease' mirror.example.org_ubuntu_dists_focal_InRelease 0 
'http://gone.example.org/ubuntu/dists/focal/InRelease' gone.example.org_ubuntu_dists_focal_InRelease 0 
'http://late:secret@late.example.org/ubuntu/dists/focal/InRelease' late.example.org_ubuntu_dists_focal_InRelease 0 
'http://plain.example.org/apt/./InRelease' plain.example.org_apt_._InRelease 0 
'file:/srv/apt/./InRelease' _srv_apt_._InRelease 0 

@status 0
@lists
1605195000 /var/lib/apt/lists/partial
1605195010 /var/lib/apt/lists/mirror.example.org_ubuntu_dists_focal_InRelease
1604000000 /var/lib/apt/lists/late.example.org_ubuntu_dists_focal_InRelease
1604000000 /var/lib/apt/lists/plain.example.org_apt_._Release

@status 1
@offered
 docker.io | 20.10.2-0ubuntu1 | http://mirror.example.org/ubuntu focal-updates/universe amd64 Packages
 docker.io | 19.03.8-0ubuntu1 | http://mirror.example.org/ubuntu focal/universe amd64 Packages
 docker.io | 19.03.8-0ubuntu1 | http://mirror.example.org/ubuntu focal/universe Sources

@status 0
@kept
docker.io_19.03.8-0ubuntu1_amd64.deb
docker-ce_5%3a20.10.24~3-0~debian-bookworm_amd64.deb
@busy

@end
`
	return []byte(strings.NewReplacer(exchange...).Replace(text))
}

func TestParseUpkeep(t *testing.T) {
	got, err := parseUpkeep(answer())
	if err != nil {
		t.Fatal(err)
	}
	want := ops.Upkeep{
		Manager: "apt",
		Changes: []ops.PackageChange{{
			At: time.Date(2020, 7, 1, 8, 0, 0, 0, time.UTC), Command: "apt-get install -y docker.io", By: "ann", Others: 1,
			Packages: []ops.VersionChange{{Name: "docker.io", To: "19.03.8-0ubuntu1"}, {Name: "runc", To: "1.0.0~rc10-0ubuntu1"}},
		}},
		Pending: []ops.VersionChange{{Name: "docker.io", From: "19.03.8-0ubuntu1", To: "20.10.2-0ubuntu1"}},
		Others:  1,
		ListsAt: time.Unix(1605195010, 0).UTC(),
		Silent:  []string{"http://gone.example.org/ubuntu focal", "http://late@late.example.org/ubuntu focal"},
		Held:    []string{"runc"},
		Offered: map[string][]string{"docker.io": {"20.10.2-0ubuntu1", "19.03.8-0ubuntu1"}},
		Kept:    map[string][]string{"docker.io": {"19.03.8-0ubuntu1"}, "docker-ce": {"5:20.10.24~3-0~debian-bookworm"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What could not be read is named: what is empty is then not taken for good news.
func TestUpkeepUnread(t *testing.T) {
	for name, tt := range map[string]struct {
		exchange []string
		want     string
	}{
		"no log":             {[]string{"@history /var/log/apt/history.log\n", "@other\n"}, "what apt did: there is no log of it"},
		"log not for us":     {[]string{"@history /var/log/apt/history.log\n", "@hidden /var/log/apt/history.log\n"}, "/var/log/apt/history.log: it may not be read"},
		"damaged rotation":   {[]string{"\n@states", "\n@history /x.1.gz\n\n@torn\n\n@states"}, "/x.1.gz: it is damaged"},
		"unknown line":       {[]string{"Requested-By: ann", "%PDF-1.4"}, `/var/log/apt/history.log: it has "%PDF-1.4 (1000)"`},
		"unknown date":       {[]string{"2020-07-01  09:00:00", "yesterday"}, `/var/log/apt/history.log: it has "Start-Date: yesterday"`},
		"unknown packages":   {[]string{"docker.io:amd64 (19.03.8-0ubuntu1), ", "docker.io,"}, `/var/log/apt/history.log: it has "Install: docker.io,runc:amd64 (1.0.0~rc10-0ubuntu1, automat…"`},
		"unknown zone":       {[]string{"Europe/London", "Nowhere/Land"}, theZone},
		"apt refuses":        {[]string{"NOTE: This is only a simulation!\n", "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n", "not upgraded.\n\n@status 0", "not upgraded.\n\n@status 100"}, thePending + ": dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."},
		"no sum":             {[]string{"2 upgraded, ", ""}, thePending + ": apt's answer broke off"},
		"another sum":        {[]string{"2 upgraded, ", "3 upgraded, "}, thePending + ": apt's answer does not add up"},
		"unknown act":        {[]string{"Inst bash [5.0-6] (5", "Inst bash 5.0-6 (5"}, thePending + `: apt's answer has "Inst bash 5.0-6 (5.0-7 Ubuntu:20.04/focal-updates [amd64])"`},
		"lists never fresh":  {[]string{"/var/lib/apt/lists/partial", "/var/lib/apt/lists/other"}, theLists},
		"sources not told":   {[]string{"'file:/srv/apt/./InRelease' _srv_apt_._InRelease 0 \n\n@status 0", "E: Malformed entry 1 in list file\n\n@status 100"}, theSources + ": Malformed entry 1 in list file"},
		"no dpkg-query":      {[]string{"rc |old\n\n@status 0", "sh: dpkg-query: not found\n\n@status 127"}, theStates + ": sh: dpkg-query: not found"},
		"states not read":    {[]string{"rc |old", "rc old"}, theStates + `: dpkg-query says "rc old"`},
		"offers not told":    {[]string{"@offered", "@other"}, theOffered + ": the host does not tell"},
		"locks not told":     {[]string{"@busy", "@other"}, "whether a package manager is at work: the host does not tell"},
		"unknown manager":    {[]string{"@manager apt", "@manager zypper"}, `what a package manager did: tandem does not know "zypper"`},
		"no package manager": {[]string{"@manager apt", "@manager"}, "what a package manager did: the host has none that tandem knows"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := parseUpkeep(answer(tt.exchange...))
			if err != nil || len(u.Unread) == 0 || u.Unread[0] != tt.want {
				t.Errorf("%q, %v, want %q", u.Unread, err, tt.want)
			}
		})
	}
}

func TestParseUpkeepRefusesHalfAnAnswer(t *testing.T) {
	for name, out := range map[string]string{
		"empty": "", "broken off": strings.TrimSuffix(string(answer()), "@end\n"), "restricted shell": "This account is not available.\n",
		"no manager": "@busy\n@busy\n\n@end\n",
	} {
		if u, err := parseUpkeep([]byte(out)); err == nil {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

// An entry without an end was interrupted, unless its apt is still at work.
func TestUpkeepAtWork(t *testing.T) {
	open := []string{"End-Date: 2020-07-01  09:01:00\n", ""}
	for _, tt := range []struct {
		exchange        []string
		busy, err, says string
	}{
		{open, "", "interrupted", ""},
		{append(open, "@busy\n\n@end", "@busy\n4711 apt-get\n\n@end"), "apt-get, process 4711", "under way", ""},
		{append(open, "@busy\n@history", "@busy\n4711 \n@history"), "", "under way", ""},
		{[]string{"@busy\n\n@end", "@busy\n4711 \n\n@end"}, "a package manager, process 4711", "", ""},
	} {
		u, err := parseUpkeep(answer(tt.exchange...))
		if err != nil || u.Busy != tt.busy || len(u.Changes) != 1 || u.Changes[0].Err != tt.err {
			t.Errorf("%q: busy %q, %+v, %v", tt.exchange, u.Busy, u.Changes, err)
		}
	}
}

func TestUpkeepBroken(t *testing.T) {
	u, err := parseUpkeep(answer("ii |docker.io", "iF |docker.io\niHR|containerd\nit |man-db\niiR|runc"))
	want := []string{"docker.io: half-configured", "containerd: half-installed", "man-db: a trigger is pending", "runc: must be installed again"}
	if d := cmp.Diff(want, u.Broken); d != "" || err != nil {
		t.Error(d, err)
	}
}

// The zone's own file has the offset of each date, summer and winter.
func TestUpkeepZoneFile(t *testing.T) {
	u, err := parseUpkeep(answer("@zone_name Europe/London", "@zone\n"+zoneFile(t, "America/New_York")+"\n\n@status 0\n@zone_name Europe/London"))
	if err != nil || len(u.Changes) != 1 || !u.Changes[0].At.Equal(time.Date(2020, 7, 1, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", u.Changes, err)
	}
}

func TestHidePasswords(t *testing.T) {
	for text, want := range map[string]string{
		"apt-get update": "apt-get update", "curl https://ann:s3cret@example.org/x": "curl https://ann@example.org/x",
		"-o Acquire::http::Proxy=http://u:p@p:3128/": "-o Acquire::http::Proxy=http://u@p:3128/", "http://a:b:c@d http://:x@y/": "http://a@d http://@y/",
		"http://example.org:80/a@b": "http://example.org:80/a@b", "pkg=5:1.2@x": "pkg=5:1.2@x", "http://u:p@ss@host/": "http://u@host/",
	} {
		if got := hidePasswords(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The script itself, on this machine, through a connection: programs of the host as an apt
// that was never used answers.
func TestUpkeep(t *testing.T) {
	h, s := connect(t)
	s.program("apt-get", `case "$*" in
*upgrade*) echo "Inst containerd [1.6.20~ds1-1] (1.7.24~ds1-6 Debian:13/trixie [amd64])"; echo "1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded." ;;
*print-uris*) echo "'http://nowhere.invalid/debian/dists/trixie/InRelease' nowhere.invalid_debian_dists_trixie_InRelease 0 " ;;
esac
`)
	s.program("dpkg-query", `printf 'hi |docker.io\n'`)
	s.program("apt-cache", `echo " docker.io | 26.1.5 | http://x y/main amd64 Packages"`)
	u, err := h.Upkeep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", u)
	if u.Manager != "apt" || len(u.Pending) != 1 || len(u.Held) != 1 || len(u.Offered["docker.io"]) != 1 {
		t.Errorf("%+v", u)
	}
	for _, what := range u.Unread {
		if strings.HasPrefix(what, thePending) || strings.HasPrefix(what, theStates) || strings.HasPrefix(what, theOffered) {
			t.Errorf("unread: %s", what)
		}
	}
	if n := len(s.ran()); n != 1 {
		t.Errorf("%d commands for one read", n)
	}
}

// A log is read with its rotations, the packed ones too, and one that is torn is named.
func TestUpkeepRotations(t *testing.T) {
	dir := t.TempDir()
	entry := func(day, to string) string {
		return "\nStart-Date: 2020-11-" + day + "  16:02:10\nCommandline: apt-get upgrade\nUpgrade: docker.io:amd64 (1, " + to + ")\nEnd-Date: 2020-11-" + day + "  16:03:00\n"
	}
	packed := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, text)
		w.Close()
		return b.Bytes()
	}
	torn := packed(entry("01", "2") + strings.Repeat(entry("02", "3"), 50))
	for name, data := range map[string][]byte{
		"history.log": []byte(entry("12", "5") + "Start-Date: 2020"), "history.log.1.gz": packed(entry("10", "4")), "history.log.2.gz": torn[:len(torn)-9],
		"history.log.3.gz": packed(strings.Repeat("x", historyCut) + entry("00", "1")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin := t.TempDir()
	for _, name := range []string{"apt-get", "apt-cache", "dpkg-query"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(upkeepScript, "/var/log/apt/", dir+"/"), "sh")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	u, err := parseUpkeep(out)
	if err != nil {
		t.Fatal(err)
	}
	var days []string
	for _, c := range u.Changes {
		days = append(days, c.At.Format("02"))
	}
	if d := cmp.Diff([]string{"10", "12"}, slices.DeleteFunc(slices.Compact(days), func(day string) bool { return day < "10" })); d != "" {
		t.Error(d)
	}
	for _, want := range []string{
		dir + `/history.log: it has "Start-Date: 2020"`, dir + "/history.log.2.gz: it is damaged", dir + `/history.log.3.gz: it has "Start-Date: 2020-11-00  16:02:10"`,
	} {
		if !slices.Contains(u.Unread, want) {
			t.Errorf("no %q in %q", want, u.Unread)
		}
	}
}

func TestSimulate(t *testing.T) {
	h, s := connect(t)
	said := filepath.Join(t.TempDir(), "said")
	s.program("apt-get", `echo "$*" > `+quote(said)+`
case "$*" in
*99*) echo "Reading package lists..."; echo "E: Version '99' for 'docker.io' was not found" >&2; exit 100 ;;
*42*) echo "Segmentation fault" >&2; exit 139 ;;
esac
echo "Remv docker-compose [1.29.2-3]"
echo "Inst docker.io [20.10.24] (26.1.5 Debian:13/trixie [amd64])"
echo "1 upgraded, 0 newly installed, 1 to remove and 9 not upgraded."
`)
	s.program("ls", `[ "$*" = "-1 /var/lib/tandem/debs" ] && echo "containerd.io_5%3a1.6-2_amd64.deb runc_1.0_amd64.deb"`)
	sim, err := h.Simulate(t.Context(), map[string]string{"runc": "1.1", "docker.io": "26.1.5", "docker-cli": "", "containerd.io": "5:1.6-2"})
	if err != nil {
		t.Fatal(err)
	}
	want := []ops.VersionChange{{Name: "docker-compose", From: "1.29.2-3"}, {Name: "docker.io", From: "20.10.24", To: "26.1.5"}}
	if d := cmp.Diff(want, sim.Changes); d != "" || sim.Err != "" || sim.Asked["runc"] != "1.1" || sim.At.IsZero() {
		t.Errorf("%s%+v", d, sim)
	}
	args, err := os.ReadFile(said)
	if want := "-s -o Debug::NoLocking=1 --no-install-recommends --allow-downgrades --allow-change-held-packages install " +
		"/var/lib/tandem/debs/containerd.io_5%3a1.6-2_amd64.deb docker-cli- docker.io=26.1.5 runc=1.1\n"; err != nil || string(args) != want {
		t.Errorf("apt-get was told %q, %v", args, err)
	}
	sim, err = h.Simulate(t.Context(), map[string]string{"docker.io": "99"})
	if err != nil || sim.Err != "Version '99' for 'docker.io' was not found" || sim.Changes != nil {
		t.Errorf("%+v, %v", sim, err)
	}
	var exit *ops.ExitError
	if sim, err = h.Simulate(t.Context(), map[string]string{"docker.io": "42"}); !errors.As(err, &exit) {
		t.Errorf("%+v, %v", sim, err)
	}
	for _, asked := range []map[string]string{nil, {"-y": "1"}, {"docker.io": "1 -y"}, {"a;b": "1"}, {"docker.io": "-1"}} {
		if sim, err := h.Simulate(t.Context(), asked); err == nil {
			t.Errorf("%v: %+v", asked, sim)
		}
	}
}

func zoneFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/usr/share/zoneinfo", name))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}
