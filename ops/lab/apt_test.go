package lab_test

import (
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"tandem/ops/lab"
)

// said runs a command line and returns what it prints, errors first, and its status.
type said struct {
	Out, Errs string
	Status    int
}

const aptReading = "Reading package lists...\nBuilding dependency tree...\nReading state information...\n"

// TestAptSpeaksAsApt has the words that apt 2.6.1 of Debian 12 printed for the same
// packages.
func TestAptSpeaksAsApt(t *testing.T) {
	l := start(t, lab.Options{})
	c := dial(t, l, "blue")
	const (
		forward = "docker.io=26.1.5+dfsg1-9 docker-cli=26.1.5+dfsg1-9 containerd=1.7.24~ds1-6+b4 runc=1.1.15+ds1-2+b4 docker-compose=2.26.1-4"
		summary = "The following NEW packages will be installed:\n  docker-cli\nThe following held packages will be changed:\n  containerd docker-compose docker.io runc\n" +
			"The following packages will be upgraded:\n  containerd docker-compose docker.io runc\n4 upgraded, 1 newly installed, 0 to remove and 3 not upgraded.\n"
		note = "NOTE: This is only a simulation!\n      apt-get needs root privileges for real execution.\n      Keep also in mind that locking is deactivated,\n      so don't depend on the relevance to the real current situation!\n"
	)
	for line, want := range map[string]said{
		"apt-get -s upgrade": {Out: note + aptReading + "Calculating upgrade...\nThe following packages have been kept back:\n  containerd docker-compose docker.io runc\n" +
			"The following packages will be upgraded:\n  linux-image-amd64 openssl tzdata\n3 upgraded, 0 newly installed, 0 to remove and 4 not upgraded.\n" +
			"Inst linux-image-amd64 [6.1.119-1] (6.1.123-1 Debian-Security:12/oldstable-security [amd64])\n" +
			"Inst openssl [3.0.16-1~deb12u1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])\n" +
			"Inst tzdata [2025b-0+deb12u1] (2025b-0+deb12u2 Debian-Security:12/oldstable-security [all])\n" +
			"Conf linux-image-amd64 (6.1.123-1 Debian-Security:12/oldstable-security [amd64])\n" +
			"Conf openssl (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])\n" +
			"Conf tzdata (2025b-0+deb12u2 Debian-Security:12/oldstable-security [all])\n"},
		"sudo -n apt-get -s -y install " + forward: {
			Out: aptReading + summary, Errs: "E: Held packages were changed and -y was used without --allow-change-held-packages.\n", Status: 100,
		},
		"sudo -n apt-get -s -qq --allow-change-held-packages install " + forward: {
			Out: "Inst runc [1.1.5+ds1-1] (1.1.15+ds1-2+b4 Debian:13.1/stable [amd64])\nInst containerd [1.6.20~ds1-1+b1] (1.7.24~ds1-6+b4 Debian:13.1/stable [amd64])\n" +
				"Inst docker.io [20.10.24+dfsg1-1+b3] (26.1.5+dfsg1-9 Debian:13.1/stable [amd64])\nInst docker-cli (26.1.5+dfsg1-9 Debian:13.1/stable [amd64])\n" +
				"Inst docker-compose [1.29.2-3] (2.26.1-4 Debian:13.1/stable [amd64])\n" +
				"Conf runc (1.1.15+ds1-2+b4 Debian:13.1/stable [amd64])\nConf containerd (1.7.24~ds1-6+b4 Debian:13.1/stable [amd64])\nConf docker.io (26.1.5+dfsg1-9 Debian:13.1/stable [amd64])\n" +
				"Conf docker-cli (26.1.5+dfsg1-9 Debian:13.1/stable [amd64])\nConf docker-compose (2.26.1-4 Debian:13.1/stable [amd64])\n",
		},
		"sudo -n apt-get -s -y install docker.io=9.9": {Out: aptReading, Errs: "E: Version '9.9' for 'docker.io' was not found\n", Status: 100},
		"sudo -n apt-get -s -y install nonesuch":      {Out: aptReading, Errs: "E: Unable to locate package nonesuch\n", Status: 100},
		"sudo -n apt-get install -y runc=1.1.5+ds1-1": {Out: aptReading + "runc is already the newest version (1.1.5+ds1-1).\n0 upgraded, 0 newly installed, 0 to remove and 7 not upgraded.\n"},
		"apt-get -y install docker-cli": {
			Errs:   "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?\n",
			Status: 100,
		},
		"apt-get update": {
			Out:    "Reading package lists...\n",
			Errs:   "E: Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)\nE: Unable to lock directory /var/lib/apt/lists/\n",
			Status: 100,
		},
		"sudo -n apt-get upgrade </dev/null | tail -n 1": {Out: "Do you want to continue? [Y/n] Abort.\n"},
		"apt-cache policy docker.io docker-cli nonesuch": {Out: "docker.io:\n  Installed: 20.10.24+dfsg1-1+b3\n  Candidate: 26.1.5+dfsg1-9\n  Version table:\n     26.1.5+dfsg1-9 500\n" +
			"        500 http://deb.debian.org/debian trixie/main amd64 Packages\n *** 20.10.24+dfsg1-1+b3 500\n        500 http://deb.debian.org/debian bookworm/main amd64 Packages\n        100 /var/lib/dpkg/status\n" +
			"docker-cli:\n  Installed: (none)\n  Candidate: 26.1.5+dfsg1-9\n  Version table:\n     26.1.5+dfsg1-9 500\n        500 http://deb.debian.org/debian trixie/main amd64 Packages\n"},
		"apt-cache madison docker.io docker-compose nonesuch": {Out: " docker.io | 26.1.5+dfsg1-9 | http://deb.debian.org/debian trixie/main amd64 Packages\n" +
			" docker.io | 20.10.24+dfsg1-1+b3 | http://deb.debian.org/debian bookworm/main amd64 Packages\ndocker-compose |   2.26.1-4 | http://deb.debian.org/debian trixie/main amd64 Packages\n" +
			"docker-compose |   1.29.2-3 | http://deb.debian.org/debian bookworm/main amd64 Packages\n"},
		"apt-mark showhold":      {Out: "containerd\ndocker-compose\ndocker.io\nrunc\n"},
		"apt-mark hold runc":     {Out: "runc was already set on hold.\n"},
		"apt-mark unhold tzdata": {Out: "tzdata was already not on hold.\n"},
		"apt-mark hold tzdata": {
			Errs:   "dpkg: error: required read/write access to the dpkg database directory /var/lib/dpkg\nE: Sub-process dpkg --set-selections returned an error code (2)\nE: Executing dpkg failed. Are you root?\n",
			Status: 100,
		},
		`dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Version}\n' 'docker*' tzdata nope`: {
			Out: "hi |docker-compose|1.29.2-3\nhi |docker.io|20.10.24+dfsg1-1+b3\nii |tzdata|2025b-0+deb12u1\n", Errs: "dpkg-query: no packages found matching nope\n", Status: 1,
		},
		"dpkg --audit": {},
		"apt-get indextargets --format '$(RELEASE) $(FILENAME)' 'Created-By: Packages' | tail -n 1": {Out: "trixie /var/lib/apt/lists/deb.debian.org_debian_dists_trixie_main_binary-amd64_Packages\n"},
		"cat /etc/timezone; readlink /etc/localtime; readlink -f /etc/localtime; date -d '2026-07-01  12:00:00' +%s%z": {
			Out: "Europe/London\n/usr/share/zoneinfo/Europe/London\n/usr/share/zoneinfo/Europe/London\n1782903600+0100\n",
		},
	} {
		var got said
		got.Out, got.Errs, got.Status = exec(t, c, line, "")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

// TestPatchAndWayBack takes engine and compose forward together, and back.
func TestPatchAndWayBack(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	c := dial(t, l, "green")
	const flags = "-y -q --allow-downgrades --allow-change-held-packages -o Dpkg::Options::=--force-confold install "
	out, errs, status := exec(t, c, "sudo -n apt-get "+flags+"docker.io=26.1.5+dfsg1-9 docker-cli=26.1.5+dfsg1-9 containerd=1.7.24~ds1-6+b4 runc=1.1.15+ds1-2+b4 docker-compose=2.26.1-4", "")
	if status != 0 || !strings.Contains(out, "Unpacking docker.io (26.1.5+dfsg1-9) over (20.10.24+dfsg1-1+b3) ...\n") || !strings.HasSuffix(out, "Setting up docker-compose (2.26.1-4) ...\n") {
		t.Fatalf("%d %s\n%s", status, errs, out)
	}
	d := docker(t, c)
	running := func() string {
		v, err := docker(t, dial(t, l, "green")).ServerVersion(t.Context())
		if err != nil {
			return err.Error()
		}
		return v.Version
	}
	if got := running(); got != "20.10.24+dfsg1" {
		t.Errorf("the engine that runs became %s by an install alone", got)
	}
	// An old daemon over new programs runs what runs and starts nothing new.
	made, err := d.ContainerCreate(t.Context(), &container.Config{Image: "tis/gmc-sync"}, nil, nil, nil, "new")
	if err == nil {
		err = d.ContainerStart(t.Context(), made.ID, container.StartOptions{})
	}
	if err == nil || !strings.Contains(err.Error(), "runc did not terminate successfully") {
		t.Errorf("a new container: %v", err)
	}
	for line, want := range map[string]string{
		"docker compose version --short; docker-compose version --short":                      "2.26.1\n2.26.1\n",
		`tail -n 4 /var/log/apt/history.log | grep -e Requested`:                              "Requested-By: ops (1000)\n",
		`sed -n '/^Install: /p' /var/log/apt/history.log`:                                     "Install: docker-cli:amd64 (26.1.5+dfsg1-9)\n",
		"ls /var/cache/apt/archives | grep docker-compose":                                    "docker-compose_1.29.2-3_all.deb\ndocker-compose_2.26.1-4_amd64.deb\n",
		"sudo -n systemctl restart docker && dockerd --version":                               "Docker version 26.1.5+dfsg1, build 411e817\n",
		"sudo -n apt-mark hold docker.io docker-cli 2>&1":                                     "docker.io was already set on hold.\ndocker-cli set on hold.\n",
		"zcat /var/log/apt/history.log.1.gz | grep -c 'Commandline: apt-get install -y dock'": "1\n",
	} {
		if out, errs, _ := exec(t, c, line, ""); out != want {
			t.Errorf("%s: %q %s, want %q", line, out, errs, want)
		}
	}
	if got := running(); got != "26.1.5+dfsg1" {
		t.Errorf("after the restart %s runs", got)
	}

	back := flags + "docker.io=20.10.24+dfsg1-1+b3 containerd=1.6.20~ds1-1+b1 runc=1.1.5+ds1-1 docker-compose=1.29.2-3"
	out, errs, status = exec(t, c, "sudo -n apt-get "+back, "")
	if status != 100 || !strings.Contains(out, " docker-cli : Breaks: docker.io (< 26.1.4+dfsg1-7~) but 20.10.24+dfsg1-1+b3 is to be installed\n") ||
		errs != "E: Error, pkgProblemResolver::Resolve generated breaks, this may be caused by held packages.\n" {
		t.Errorf("back, with docker-cli on hold: %d %s\n%s", status, errs, out)
	}
	out, errs, status = exec(t, c, "sudo -n apt-get "+back+" docker-cli-", "")
	if status != 0 || !strings.Contains(out, "Removing docker-cli (26.1.5+dfsg1-9) ...\ndpkg: warning: downgrading runc from") && !strings.Contains(out, "Removing docker-cli (26.1.5+dfsg1-9) ...\n") {
		t.Errorf("back: %d %s\n%s", status, errs, out)
	}
	look := "sed -n '/^Downgrade: /p;/^Remove: /p' /var/log/apt/history.log; dockerd --version; docker --version; docker-compose version --short"
	want := "Downgrade: runc:amd64 (1.1.15+ds1-2+b4, 1.1.5+ds1-1), containerd:amd64 (1.7.24~ds1-6+b4, 1.6.20~ds1-1+b1), docker.io:amd64 (26.1.5+dfsg1-9, 20.10.24+dfsg1-1+b3), docker-compose:amd64 (2.26.1-4, 1.29.2-3)\n" +
		"Remove: docker-cli:amd64 (26.1.5+dfsg1-9)\nDocker version 20.10.24+dfsg1, build 5d6db84\nDocker version 20.10.24+dfsg1, build 5d6db84\n1.29.2\n"
	if out, errs, _ := exec(t, c, look, ""); out != want {
		t.Errorf("after the way back: %q %s, want %q", out, errs, want)
	}
}

func TestDowngradesAndRemovalsNeedAWord(t *testing.T) {
	l := start(t, lab.Options{Scenario: "upgraded", Speed: 100})
	c := dial(t, l, "blue")
	for line, want := range map[string]string{
		"sudo -n apt-get -s -y install docker.io=20.10.24+dfsg1-1+b3":                          "E: Packages were downgraded and -y was used without --allow-downgrades.\n",
		"sudo -n apt-get -s -y --no-remove install --allow-downgrades curl docker-cli- tzdata": "",
		"docker --version": "sh: docker: not found\n",
	} {
		if _, errs, _ := exec(t, c, line, ""); errs != want {
			t.Errorf("%s: %q, want %q", line, errs, want)
		}
	}
	if out, _, _ := exec(t, c, "sudo -n apt-get -y -qq install docker-cli >/dev/null; docker --version", ""); out != "Docker version 26.1.5+dfsg1, build 411e817\n" {
		t.Errorf("with docker-cli: %q", out)
	}
	if _, errs, _ := exec(t, c, "sudo -n apt-get -s -y --no-remove install --allow-downgrades docker.io=20.10.24+dfsg1-1+b3", ""); errs != "E: Packages need to be removed but remove is disabled.\n" {
		t.Errorf("a removal: %q", errs)
	}
}

func TestSilentSources(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	stamp := "stat -c %Y /var/lib/apt/periodic/update-success-stamp"
	before, _, _ := exec(t, c, stamp, "")
	h.SilenceSource("trixie", true)
	out, errs, status := exec(t, c, "sudo -n apt-get update", "")
	want := "W: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  Could not resolve 'deb.debian.org'\nW: Some index files failed to download. They have been ignored, or old ones used instead.\n"
	if status != 0 || errs != want || !strings.Contains(out, "Err:4 http://deb.debian.org/debian trixie InRelease\n  Could not resolve 'deb.debian.org'\n") {
		t.Errorf("%d %q\n%s", status, errs, out)
	}
	if _, errs, status := exec(t, c, "sudo -n apt-get -qq update --error-on=any", ""); status != 100 || !strings.HasPrefix(errs, "E: Failed to fetch ") {
		t.Errorf("any error is one: %d %q", status, errs)
	}
	if after, _, _ := exec(t, c, stamp, ""); after != before {
		t.Error("an update that missed a source counts as a success")
	}
	_, errs, status = exec(t, c, "sudo -n apt-get -y -q --allow-change-held-packages install runc=1.1.15+ds1-2+b4", "")
	if status != 100 || !strings.Contains(errs, "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n") {
		t.Errorf("an install from it: %d %q", status, errs)
	}
	h.SilenceSource("trixie", false)
	if out, errs, status := exec(t, c, "sudo -n apt-get -qq update && "+stamp, ""); status != 0 || errs != "" || out == before {
		t.Errorf("after all: %d %q %q", status, errs, out)
	}
}

func TestSomebodyElseAtWork(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	h.UnattendedUpgrade(time.Hour)
	for line, want := range map[string]said{
		"sudo -n apt-get -y upgrade": {
			Errs: "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 2251 (unattended-upgr)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n", Status: 100,
		},
		"sudo -n apt-get -y -o DPkg::Lock::Timeout=1 upgrade": {
			Out:  "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 2251 (unattended-upgr)...\n",
			Errs: "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n", Status: 100,
		},
		"cat /proc/2251/comm; tr '\\000' ' ' < /proc/2251/cmdline; pidof unattended-upgr": {Out: "unattended-upgr\n/usr/bin/python3 /usr/bin/unattended-upgrade 2251\n"},
		"apt-get -s -qq install tzdata | grep -c Inst":                                    {Out: "1\n"},
	} {
		var got said
		got.Out, got.Errs, got.Status = exec(t, c, line, "")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	h.UnattendedUpgrade(time.Second)
	if _, errs, status := exec(t, c, "sudo -n apt-get -y -qq -o DPkg::Lock::Timeout=600 install tzdata", ""); status != 0 {
		t.Errorf("after it: %d %s", status, errs)
	}
}

func TestInstallStopsHalfWay(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	h, c := l.World().Host("green"), dial(t, l, "green")
	h.FailConfiguring("docker.io", true)
	out, errs, status := exec(t, c, "sudo -n apt-get -y -q --allow-change-held-packages install docker.io=26.1.5+dfsg1-9", "")
	if status != 100 || errs != "E: Sub-process /usr/bin/dpkg returned an error code (1)\n" ||
		!strings.HasSuffix(out, "dpkg: error processing package docker.io (--configure):\n installed docker.io package post-installation script subprocess returned error exit status 1\nErrors were encountered while processing:\n docker.io\n") {
		t.Errorf("%d %q\n%s", status, errs, out)
	}
	for line, want := range map[string]string{
		`dpkg-query -W -f '${db:Status-Abbrev}|${Version}|${Status}' docker.io`: "hF |26.1.5+dfsg1-9|hold ok half-configured",
		"dpkg --audit": "The following packages are only half configured, probably due to problems\nconfiguring them the first time.  The configuration should be retried using\n" +
			"dpkg --configure <package> or the configure menu option in dselect:\n docker.io            docker.io\n\n",
		"tail -n 2 /var/log/apt/history.log | head -n 1":     "Error: Sub-process /usr/bin/dpkg returned an error code (1)\n",
		"apt-get -s install curl | grep -E 'not fully|Conf'": "1 not fully installed or removed.\nConf docker.io (26.1.5+dfsg1-9 Debian:13.1/stable [amd64])\n",
	} {
		if out, errs, _ := exec(t, c, line, ""); out != want {
			t.Errorf("%s: %q %s, want %q", line, out, errs, want)
		}
	}
	h.FailConfiguring("docker.io", false)
	if out, errs, status := exec(t, c, "sudo -n dpkg --configure -a && dpkg --audit", ""); status != 0 || out != "Setting up docker.io (26.1.5+dfsg1-9) ...\n" {
		t.Errorf("mended: %d %q %s", status, out, errs)
	}
}

// TestPowerLossWhileInstalling leaves what dpkg must be told to bring to an end, and a
// history without an end.
func TestPowerLossWhileInstalling(t *testing.T) {
	l := start(t, lab.Options{Speed: 2, Reboot: time.Second})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	if _, errs, status := exec(t, c, "sudo -n systemd-run apt-get -y -q --allow-change-held-packages install runc=1.1.15+ds1-2+b4", ""); status != 0 {
		t.Fatal(errs)
	}
	eventually(t, "runc is unpacked", func() bool {
		out, _, _ := exec(t, c, "dpkg --audit", "")
		return strings.Contains(out, "have been unpacked but not yet configured")
	})
	c = rebooted(t, l, "blue", func() { h.PowerLoss(time.Second) })
	if _, errs, status := exec(t, c, "sudo -n apt-get -y install tzdata", ""); status != 100 || errs != "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. \n" {
		t.Errorf("%d %q", status, errs)
	}
	if out, _, _ := exec(t, c, "tail -n 1 /var/log/apt/history.log | cut -d : -f 1; sudo -n dpkg --configure -a", ""); out != "Upgrade\nSetting up runc (1.1.15+ds1-2+b4) ...\n" {
		t.Errorf("%q", out)
	}
}

func TestUpgradeMayRestartTheEngine(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	h, c := l.World().Host("blue"), dial(t, l, "blue")
	h.RestartOnUpgrade(true)
	if _, errs, status := exec(t, c, "sudo -n apt-get -y -qq --allow-change-held-packages install docker.io=26.1.5+dfsg1-9", ""); status != 0 {
		t.Fatalf("%d %s", status, errs)
	}
	d := docker(t, c)
	eventually(t, "the new engine runs", func() bool {
		v, err := d.ServerVersion(t.Context())
		return err == nil && v.Version == "26.1.5+dfsg1"
	})
}

// TestPackageFiles keeps the files of the present versions and installs from them when no
// source has those versions any more.
func TestPackageFiles(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	h, c := l.World().Host("green"), dial(t, l, "green")
	const flags = "-y -q --no-install-recommends -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "
	for line, want := range map[string]said{
		`sudo -n sh -c 'mkdir -p "$1" && cd "$1" && shift && exec "$@"' sh /var/lib/debs apt-get -q -o APT::Sandbox::User=root download docker-compose=1.29.2-3`: {
			Out: "Get:1 http://deb.debian.org/debian bookworm/main amd64 docker-compose all 1.29.2-3 [122 kB]\n",
		},
		"sudo -n apt-get " + flags + "--download-only --allow-change-held-packages install docker-compose=2.26.1-4 | tail -n 3": {
			Out: "Get:1 http://deb.debian.org/debian trixie/main amd64 docker-compose amd64 2.26.1-4 [13.0 MB]\nFetched 13.0 MB in 1s (13.0 MB/s)\nDownload complete and in download only mode\n",
		},
		"apt-get download docker-compose=1": {Errs: "E: Version '1' for 'docker-compose' was not found\n", Status: 100},
		"df -B1 --output=target /usr /var":  {Out: "target\n/\n/\n"},
	} {
		var got said
		got.Out, got.Errs, got.Status = exec(t, c, line, "")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	if _, errs, status := exec(t, c, "sudo -n apt-get "+flags+"--allow-change-held-packages install docker-compose=2.26.1-4 && docker-compose version --short", ""); status != 0 {
		t.Fatal(errs)
	}
	h.SilenceSource("deb.debian.org", true)
	exec(t, c, "sudo -n rm -rf /etc/apt/sources.list; sudo -n apt-get clean", "")
	if _, errs, _ := exec(t, c, "apt-get -s install docker-compose=1.29.2-3", ""); errs != "E: Version '1.29.2-3' for 'docker-compose' was not found\n" {
		t.Errorf("without a source: %q", errs)
	}
	out, errs, status := exec(t, c, "sudo -n apt-get "+flags+"--allow-downgrades --allow-change-held-packages install /var/lib/debs/docker-compose_1.29.2-3_all.deb && docker-compose version --short", "")
	if status != 0 || !strings.HasSuffix(out, "Setting up docker-compose (1.29.2-3) ...\n1.29.2\n") {
		t.Errorf("from the file: %d %s\n%s", status, errs, out)
	}
}

// TestAptInAUnitOfItsOwn: what it says goes into a file of the host, and can be read there.
func TestAptInAUnitOfItsOwn(t *testing.T) {
	l := start(t, lab.Options{Speed: 100})
	c := dial(t, l, "green")
	line := `sudo -n apt-mark unhold runc && sudo -n systemd-run --unit=packages --setenv=LC_ALL=C sh -c 'log=$1; shift; { dpkg --configure -a && "$@"; } >"$log" 2>&1' sh /root/packages.log ` +
		"apt-get -y -q -o Dpkg::Use-Pty=0 install runc=1.1.15+ds1-2+b4"
	if _, errs, status := exec(t, c, line, ""); status != 0 {
		t.Fatal(errs)
	}
	eventually(t, "the unit is over", func() bool {
		_, _, status := exec(t, c, "systemctl is-active packages.service", "")
		return status == 3
	})
	if out, errs, _ := exec(t, c, "sudo -n tail -n 2 /root/packages.log", ""); out != "Unpacking runc (1.1.15+ds1-2+b4) over (1.1.5+ds1-1) ...\nSetting up runc (1.1.15+ds1-2+b4) ...\n" {
		t.Errorf("%q %s", out, errs)
	}
}
