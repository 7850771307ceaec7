package plans

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/ops"
)

// companions come from one source with a package of the engine, at the same version, and are
// patched with it: those that are installed, and docker-cli, which from 26.1 on is a package of
// its own beside docker.io (Debian trixie), without which the docker command would be gone.
var companions = map[string][]string{
	"docker-ce": {"docker-ce-cli", "docker-ce-rootless-extras"},
	"docker.io": {"docker-cli"},
}

// Versions turns what an operator asks for into package versions: PACKAGE=VERSION as it is, and
// a bare version into that of the engine's packages on offer whose upstream part it is. An empty
// VERSION takes a package away.
func Versions(s *ops.SideState, to []string) (map[string]string, error) {
	versions := map[string]string{}
	put := func(name, version string) error {
		if have, ok := versions[name]; ok && have != version {
			return fmt.Errorf("%s to which version? %s and %s were given", name, have, version)
		}
		versions[name] = version
		return nil
	}
	for _, word := range to {
		word = strings.TrimSpace(word)
		if name, version, exact := strings.Cut(word, "="); exact {
			if name == "" {
				return nil, fmt.Errorf("%q is neither a version nor PACKAGE=VERSION", word)
			}
			if err := put(name, version); err != nil {
				return nil, err
			}
			continue
		}
		found, err := engineVersions(s, word)
		if err != nil {
			return nil, err
		}
		for name, version := range found {
			if _, exact := versions[name]; exact { // what was named counts
				continue
			}
			if err := put(name, version); err != nil {
				return nil, err
			}
		}
	}
	return versions, nil
}

// engineVersions are the packages of the engine at an upstream version.
func engineVersions(s *ops.SideState, upstream string) (map[string]string, error) {
	engine := EnginePackage(s)
	if engine == "" {
		return nil, fmt.Errorf("which package the engine of %s comes from is not known: give PACKAGE=VERSION", s.Side.Upper())
	}
	version := offered(s, engine, upstream)
	if version == "" {
		if s.Care.At.IsZero() || s.Care.Err != nil {
			return nil, fmt.Errorf("which versions of %s are on offer on %s could not be read: give PACKAGE=VERSION", engine, s.Side.Upper())
		}
		return nil, fmt.Errorf("%s %s is not on offer on %s: there %s", engine, upstream, s.Side.Upper(), offers(s.Upkeep.Offered[engine]))
	}
	versions := map[string]string{engine: version}
	for _, name := range companions[engine] {
		v := offered(s, name, upstream)
		if v != "" && (s.Facts.Packages[name] != "" || name == "docker-cli") {
			versions[name] = v
		}
	}
	return versions, nil
}

// EnginePackage is the package that the engine of a side comes from; empty: not known.
func EnginePackage(s *ops.SideState) string {
	for _, name := range ops.EngineItself {
		if s.Facts.Packages[name] != "" {
			return name
		}
	}
	return ""
}

// offered is the newest version on offer with this upstream part, or this very version.
func offered(s *ops.SideState, name, upstream string) string {
	for _, v := range s.Upkeep.Offered[name] {
		if v == upstream || ops.Upstream(v) == upstream {
			return v
		}
	}
	return ""
}

func offers(versions []string) string {
	if len(versions) == 0 {
		return "is none"
	}
	return "are " + and(slices.Clone(versions))
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
