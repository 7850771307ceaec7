// Package rig boots two real Debian hosts and a real HAProxy on this machine, for
// end-to-end tests: systemd, sshd, dockerd, docker-compose 1.29.2 and real reboots in
// systemd-nspawn machines. It needs Linux, root and Debian's apt, and is imported by
// tests only.
//
// # What there is
//
//	blue      10.213.77.11   Debian 12, engine 20.10, compose v1 project tis in /opt/tis
//	green     10.213.77.12   the same, and generic-upload and the job ndw-etl
//	haproxy   10.213.77.1    :8000 the site, :8404 the statistics page, :9999 the socket
//	                         (level admin), :9998 the socket (level user); the same
//	                         sockets on unix paths, here and in /srv/haproxy on both hosts
//
// The hosts have no route to the outside. Users on both, all with the rig's key: root;
// ops (uid 1000, group docker, sudo without a password); plain (no docker, sudo asks for
// a password). Every service is the binary of package service in an image
// tis/NAME:TAG with the tags of [Tags], newest first; the newest is also latest. apache
// on port 80 is the front that HAProxy asks, and passes /NAME/ on to the services, so a
// service that is down on a side in service shows as failed requests in [Load].
//
// # In tests
//
//	func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }
//
//	func TestE2ESomething(t *testing.T) {
//		if !rig.Wanted(t) { // says why not, and that TANDEM_E2E=1 is missing
//			return
//		}
//		r := rig.Shared(t)                 // booted once, calm at the start of every test
//		config, err := r.Config(t.TempDir())
//		...
//	}
//
// Only one rig fits on a machine (addresses and names are fixed), so test processes wait
// for each other. If a rig was left running by hand, [Shared] uses that one.
//
// # The incident
//
// [Rig.Offer] and [Machine.Upgrade] do to a host what was done to both: a real `apt-get
// upgrade` from engine 20.10 to 26.1, with docker-compose 1.29.2 left behind. Seen on these
// hosts: the engine that runs stays 20.10 and everything is healthy; /usr/bin/docker is gone
// with the package; after `systemctl restart docker` the engine is 26.1, and docker-compose
// creates containers but does not recreate one (KeyError: 'ContainerConfig'). Reset gives a
// host that was upgraded, or whose daemon.json is another, new disks, which takes about 20 s.
//
// # By hand
//
//	TANDEM_RIG_STAY=/tmp/rig go test ./ops/rig -run TestStay -v -timeout 0
//
// boots a rig, writes its tandem.yaml, key and known_hosts into /tmp/rig, prints how to
// reach it, and keeps it until SIGINT or SIGTERM. TANDEM_RIG_SERVICES=20 makes it bigger.
//
// # How it is made
//
// The root file system comes from mmdebstrap, once, into /var/cache/tandem-rig (or
// $TANDEM_RIG_CACHE), named after the recipe that made it; every host is an overlay on
// it. /var/lib/docker is a bind mount of a plain directory, as overlay2 does not stack on
// overlayfs. The hosts share this machine's kernel: uptime, load and memory are its own, and
// after a reboot only the boot id is new. Everything else of a running rig is in /var/lib/tandem-rig, and in the
// namespaces, links, mounts and control groups whose names begin with tandem-. What a
// killed process left behind is removed by the next boot.
//
// Measured on two cores that others kept busy (load 12): 30 s to boot with the root file
// system in the cache, 18 s of it docker-compose; Reset 0.6 s on a calm rig and 10 s after
// three containers were broken; a reboot 17 s until the engine answers. Making the root
// file system takes about 80 s of processor time and 140 MB from the mirror. An idle rig
// of 7 services costs half a core, nearly all of it health checks (one process a
// check), so [Options] has a pause for them.
//
// Facts come from systemd-nspawn(1), mmdebstrap(1), HAProxy's management guide, the
// Docker image archive format v1.2, and from trying: under cgroup v1 each machine needs a
// control group of its own (else both systemd share one tree), and the controllers have
// to be mounted again, writable, before dockerd starts. cgroup v2 needs neither mount,
// only the controllers handed down.
package rig
