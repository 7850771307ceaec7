// Package lab is a small world in one process: two Docker hosts and a balancer in
// front of them, spoken on the wire over loopback, so that the real clients run
// against it. `tandem demo` is the console on a lab; most tests use one too.
//
// It speaks SSH (RFC 4251-4254, with OpenSSH's direct-streamlocal@openssh.com and
// keepalive@openssh.com), the Docker Engine API as engines 20.10.24 (API 1.41) and
// 26.1.5 (API 1.45) answer it, HAProxy's runtime socket and the ELBv2 query API. It
// imports nothing of ours, so that it cannot share a mistake with the clients that
// it exercises.
//
// # Rules
//
//   - Nothing leaves the process: commands are run by a shell interpreter in Go over an
//     in-memory file system, by the programs of this package. A program that is not there
//     is "not found" (127), as in a shell.
//   - Everything listens on 127.0.0.1 with ports picked by the kernel, except that a
//     host that reboots comes back on its port.
//   - Every request is recorded with whether it changed anything: [Lab.Requests].
//   - Faults are asked for by name on a [Host] and stay until they are taken back, unless
//     they say otherwise. Those of the balancer are on [HAProxy] and [ELBv2].
//
// # What a recovery needs
//
// A host reboots in order or loses its power ([Host.PowerLoss]: no connection is closed,
// nothing ends by itself), and comes back with a new boot id, no timers, and what the restart
// policies ask for. The engine reads daemon.json when it starts and never again; a broken
// one keeps it from starting. Networks get their range from the pools then in effect. A
// range that covers the console's address ([Host.CutOff]) makes the host unreachable until
// it is taken back: docker0 keeps its range over a restart without pools, even where the
// interface was deleted, and over a boot (seen on dockerd 20.10.24). docker-compose
// 1.29.2 cannot recreate a container on engine 26. [Lab.Trace] is what the balancer gave
// each side, [AlwaysServed] reads it.
//
// # Packages
//
// A host has packages, holds, sources, lists, archives and a history (catalog, [packaging]);
// apt-get, apt-cache, apt-mark, dpkg and dpkg-query answer in the words and with the statuses
// of apt 2.6.1 and dpkg 1.21 on Debian 12, taken from runs of the real ones over packages of
// the same names, versions and dependencies. Recommends are off, as on many servers: an
// upgrade of docker.io to trixie's takes /usr/bin/docker away and does not bring docker-cli,
// which has it. An install changes what is on the disk; the engine that runs stays what it is
// unless [Host.RestartOnUpgrade], and starts nothing new while containerd and runc are of
// another release. Sources may be silent ([Host.SilenceSource]), another may be at work
// ([Host.UnattendedUpgrade], [Host.AptAtWork]), a configuration may fail
// ([Host.FailConfiguring]), and a power loss leaves dpkg half-way. The hosts' zone is London.
//
// # Time
//
// Times in answers are the machine's clock. How long things last is divided by
// [Options].Speed: a start-up of 20 s takes one second at speed 20. A stop's deadline
// (`t` of the engine's API) is divided too, so that "longer than it may take" stays so, and
// so is the time of a systemd timer. At speed 100 a reboot takes 0.14 s.
//
// # Sources
//
// The engine's replies are written after the API reference of 1.41 and 1.45 and after
// dockerd 20.10.24; restart policies after a daemon restart as measured on it (always
// starts again even what was stopped by hand; unless-stopped does not; on-failure only
// what did not exit with 0). What dockerd says of a config file, and what it does with
// docker0, is after daemon/config and daemon_unix.go of moby 28.5.2 and dockerd 20.10.24;
// timers after systemd-run(1). The data of the scenarios is that of a real two-host
// service: its names, its ports, its order, what lives on one host only.
package lab
