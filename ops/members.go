package ops

import "strings"

// SumTraffic is the traffic of a side in one word, from its places in all pools, and why
// that word is not the whole truth. It is the same for every kind of balancer:
//
//   - in-service only when every pool serves the side;
//   - draining or out only when no pool gives the side new traffic, so that nothing is
//     stopped on a side that still serves in one pool;
//   - down when the side is in everywhere but fails a check somewhere;
//   - unknown otherwise: when a pool does not know, or when pools disagree.
func SumTraffic(members []Member) (Traffic, string) {
	var in, failing, draining, out, unknown []string
	for _, m := range members {
		switch m.Traffic {
		case InService:
			in = append(in, m.Pool)
		case Down:
			failing = append(failing, m.Pool)
		case Draining:
			draining = append(draining, m.Pool)
		case Out:
			out = append(out, m.Pool)
		default:
			unknown = append(unknown, m.Pool)
		}
	}
	serving, leaving := len(in)+len(failing), len(draining)+len(out)
	var word Traffic
	switch {
	case len(unknown) > 0 || serving > 0 && leaving > 0 || len(members) == 0:
		word = Unknown
	case len(failing) > 0:
		word = Down
	case len(in) > 0:
		word = InService
	case len(draining) > 0:
		word = Draining
	default:
		word = Out
	}
	var parts []string
	for _, part := range []struct {
		word  Traffic
		pools []string
	}{{InService, in}, {Down, failing}, {Draining, draining}, {Out, out}, {Unknown, unknown}} {
		if len(part.pools) > 0 {
			parts = append(parts, part.word.Words()+" in "+strings.Join(part.pools, ", "))
		}
	}
	if len(parts) < 2 {
		return word, ""
	}
	return word, "partly: " + strings.Join(parts, "; ")
}
