package findings

import (
	"fmt"
	"strings"

	"tandem/ops"
)

// balancerMinimum: the balancer's own thresholds do not let a side go out.
func balancerMinimum(v view) []ops.Finding {
	b := &v.Balancer
	if !read(b.Look) || b.Minimum < len(ops.Sides) {
		return nil
	}
	f := ops.Finding{
		ID: "balancer-minimum", Severity: ops.Warn, Title: "neither side can be taken out: " + b.Name + " wants " + fmt.Sprint(b.Minimum) + " in service",
		Detail: strings.Join(b.Wants, "; "), Hint: "lower minimum_healthy_targets of the target groups so that one target is enough",
	}
	if b.Minimum > len(ops.Sides) {
		f.Title = fmt.Sprintf("%s wants %d sides in service, and there are two: it sends traffic to failing ones too", b.Name, b.Minimum)
	}
	return []ops.Finding{f}
}
