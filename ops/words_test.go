package ops_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"tandem/ops"
)

func TestSides(t *testing.T) {
	for _, text := range []string{"blue", " Blue ", "BLUE"} {
		if side, err := ops.ParseSide(text); err != nil || side != ops.Blue {
			t.Errorf("%q: %q, %v", text, side, err)
		}
	}
	for _, text := range []string{"", "red", "both"} {
		if side, err := ops.ParseSide(text); err == nil {
			t.Errorf("%q is %q", text, side)
		}
	}
	if ops.Blue.Peer() != ops.Green || ops.Green.Peer() != ops.Blue || ops.Side("").Peer() != "" || ops.Side("").Upper() != "PAIR" {
		t.Error("a side is not the peer of its peer")
	}
}

func TestOnlyFreshDataMayBeActedUpon(t *testing.T) {
	const stale = 15 * time.Second
	for _, test := range []struct {
		name string
		look ops.Look
		want bool
	}{
		{"just read", ops.Look{At: made}, true},
		{"at the limit", ops.Look{At: made.Add(-stale)}, true},
		{"stale", ops.Look{At: made.Add(-stale - 1)}, false},
		{"never read", ops.Look{}, false},
		{"the latest read did not succeed", ops.Look{At: made, Err: &ops.Problem{Doing: "reading"}}, false},
	} {
		if got := test.look.Fresh(made, stale); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestProblems(t *testing.T) {
	p := &ops.Problem{Doing: "connecting", Side: ops.Green, Err: ops.ErrUnreachable, Hint: "is the host up?"}
	if got := p.Error(); got != "green: connecting: unreachable" {
		t.Error(got)
	}
	if wrapped := fmt.Errorf("draining: %w", p); ops.AsProblem(wrapped, "x", "") != p || !errors.Is(wrapped, ops.ErrUnreachable) {
		t.Error("a wrapped problem is not found")
	}
	if made := ops.AsProblem(errors.New("x"), "reading", ops.Blue); made.Doing != "reading" || made.Side != ops.Blue {
		t.Errorf("%+v", made)
	}
	if ops.AsProblem(nil, "reading", "") != nil {
		t.Error("a problem was made of nothing")
	}
	text, err := json.Marshal(ops.Look{Err: p})
	if err != nil {
		t.Fatal(err)
	}
	var look ops.Look
	if err := json.Unmarshal(text, &look); err != nil || look.Err.Error() != "green: connecting: unreachable (is the host up?)" {
		t.Errorf("read back: %v, %v", look.Err, err)
	}
}
