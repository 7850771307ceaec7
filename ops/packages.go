package ops

import (
	"slices"
	"strings"

	debversion "github.com/knqyf263/go-deb-version"
)

// EnginePackages are the packages that the engine, what it works with and compose come in,
// under the names that Debian, Ubuntu, Fedora and Docker's own repositories use.
var EnginePackages = []string{
	"docker-ce", "docker-ce-cli", "docker-ce-rootless-extras", "docker.io", "docker-cli", "moby-engine", "docker",
	"containerd", "containerd.io", "runc", "docker-compose", "docker-compose-v2", "docker-compose-plugin",
	"docker-buildx", "docker-buildx-plugin",
}

// OfEngine tells whether a package is one of [EnginePackages].
func OfEngine(name string) bool { return slices.Contains(EnginePackages, name) }

// ComposePackages are those of [EnginePackages] that bring compose.
var ComposePackages = []string{"docker-compose-plugin", "docker-compose-v2", "docker-compose"}

// EngineItself are those of [EnginePackages] that bring the engine's own program, one of which
// is on a host.
var EngineItself = []string{"docker-ce", "docker.io", "moby-engine", "docker"}

// WithCommand adds to packages that bring a compose of version 2 the docker command that it plugs
// in to, where the host has none and can get that of its engine: from 26.1 on Debian has it in a
// package of its own, docker-cli, which no other depends on.
func WithCommand(s *SideState, engine string, packages map[string]string) map[string]string {
	compose := packages["docker-compose"]
	if compose == "" || strings.HasPrefix(compose, "1.") || s.Facts.Packages["docker-cli"] != "" {
		return packages
	}
	if i := slices.IndexFunc(s.Upkeep.Offered["docker-cli"], func(v string) bool { return Upstream(v) == Upstream(engine) }); i >= 0 {
		packages["docker-cli"] = s.Upkeep.Offered["docker-cli"][i]
	}
	return packages
}

// PackagesKey is under which a step records what packages were at before it changes them: a
// [PackagesBefore].
const PackagesKey = "packages"

// PackagesBefore is what packages of a host were at.
type PackagesBefore struct {
	Side     Side              `json:"side"`
	Versions map[string]string `json:"versions"` // by name; empty: it was not installed
	Held     []string          `json:"held"`     // those of them that were on hold
}

// GoesBack tells whether a package would go back to an earlier version, by the order that
// Debian's policy gives versions (deb-version(7)). What is no such version goes back nowhere.
func (v VersionChange) GoesBack() bool {
	from, err := debversion.NewVersion(v.From)
	if err != nil || v.To == "" {
		return false
	}
	to, err := debversion.NewVersion(v.To)
	return err == nil && to.LessThan(from)
}
