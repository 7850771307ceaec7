package findings

import (
	"time"

	"tandem/ops"
)

// factsBeat is how often the live view reads a host's facts (package inspect).
const factsBeat = 30 * time.Second

// careBeat is long after the live view reads a package manager anew (package inspect).
const careBeat = time.Hour

// stale: no error, yet no news either.
func stale(v view) []ops.Finding {
	var out []ops.Finding
	add := func(side ops.Side, what string, l ops.Look, limit time.Duration) {
		if read(l) && v.now.Sub(l.At) > limit {
			out = append(out, ops.Finding{
				ID: "stale", Severity: ops.Warn, Side: side, Title: "no news of " + what + " since " + second(l.At),
				Detail: "nothing acts on data older than " + v.Pair.Limits.Stale.String(), Hint: "look again; if it stays so, check the connection",
			})
		}
	}
	for _, side := range ops.Sides {
		add(side, "the host", v.On(side).Host, v.Pair.Limits.Stale+factsBeat)
		add(side, "the engine", v.On(side).Engine, v.Pair.Limits.Stale)
	}
	for _, side := range ops.Sides {
		if l := v.On(side).Care; read(l) && v.now.Sub(l.At) > careBeat {
			out = append(out, ops.Finding{
				ID: "stale", Severity: ops.Note, Side: side, Title: "no news of the package manager since " + clock(l.At, v.now),
				Detail: "what changed since then is not known", Hint: "look again; if it stays so, check the connection",
			})
		}
	}
	add("", "the balancer", v.Balancer.Look, v.Pair.Limits.Stale)
	return out
}
