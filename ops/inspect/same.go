package inspect

import (
	"reflect"
	"time"

	"tandem/ops"
)

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// sameLook compares what is seen of a Look: its error, not its age.
func sameLook(a, b ops.Look) bool {
	return a.At.IsZero() == b.At.IsZero() && said(a.Err) == said(b.Err)
}

func said(p *ops.Problem) string {
	if p == nil {
		return ""
	}
	return p.Error()
}

// aheadNoise is what two measurements of one clock may differ by.
const aheadNoise = 2 * time.Second

// sameFacts leaves out what changes by itself with the time.
func sameFacts(a, b ops.Facts) bool {
	if (a.Ahead - b.Ahead).Abs() < aheadNoise {
		a.Ahead = b.Ahead
	}
	a.Uptime, b.Uptime = 0, 0
	a.Clock, b.Clock = time.Time{}, time.Time{}
	return equal(a, b)
}

func sameStatus(a, b ops.BalancerStatus) bool {
	if !sameLook(a.Look, b.Look) {
		return false
	}
	a.Look, b.Look = ops.Look{}, ops.Look{}
	return equal(a, b)
}
