package ops

import (
	"fmt"
	"strconv"
	"strings"
)

// ComposeMisfit says what compose of a version cannot do on an engine of a version; empty where
// nothing is known against the two. It tells known pairs alone: that two work together is
// proven by trying.
//
// Known:
//
//   - docker-compose 1.x, the Python one, which ended with 1.29.2, stumbles over the old
//     container when it makes one anew on engine 26 and later (KeyError: 'ContainerConfig', which
//     the engine's API has not told of an image since 1.45; seen with 1.29.2 on 26.1.5).
//   - compose 2 until 2.22 speaks API 1.43 at most, and engines 29.0 to 29.2 ask for 1.44 at least
//     (docker/compose#13389; 29.3 asks for 1.40 again).
func ComposeMisfit(compose, engine string) string {
	c, e := Major(compose), Major(engine)
	switch {
	case c == 1 && e >= 26:
		return fmt.Sprintf("compose %s cannot recreate containers on engine %s (KeyError: 'ContainerConfig')", Upstream(compose), Upstream(engine))
	case c == 2 && minor(compose) < 23 && e == 29 && minor(engine) < 3:
		return fmt.Sprintf("compose %s cannot talk to engine %s (client version is too old)", Upstream(compose), Upstream(engine))
	}
	return ""
}

// Upstream is a version without what a distribution puts around it: 26.1.5 of 26.1.5+dfsg1-9,
// 24.0.7 of 5:24.0.7-1~debian.12~bookworm.
func Upstream(version string) string {
	if epoch, rest, ok := strings.Cut(version, ":"); ok {
		if _, err := strconv.Atoi(epoch); err == nil {
			version = rest
		}
	}
	if i := strings.IndexAny(version, "+~-"); i >= 0 {
		return version[:i]
	}
	return version
}

// Major is the first number of a version; 0 where it has none.
func Major(version string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(Upstream(version), "v"), ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// minor is the second number of a version; 0 where it has none.
func minor(version string) int {
	_, rest, _ := strings.Cut(Upstream(version), ".")
	return Major(rest)
}
