package findings

import (
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tandem/ops"
)

// spoil changes parts of a value: to nothing, to the odd, to the extreme.
func spoil(t *rapid.T, v reflect.Value, depth int) {
	hit := func() bool { return rapid.IntRange(0, 11).Draw(t, "spoil") == 0 }
	switch v.Interface().(type) {
	case time.Time:
		if hit() {
			v.Set(reflect.ValueOf(rapid.SampledFrom([]time.Time{{}, now, now.Add(-time.Hour), now.Add(time.Hour), now.Add(-90 * 24 * time.Hour)}).Draw(t, "time")))
		}
		return
	case ops.Side:
		return
	case netip.Prefix, netip.Addr, netip.AddrPort, *ops.Problem:
		if hit() {
			v.SetZero()
		}
		return
	}
	if depth > 0 && hit() {
		v.SetZero()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			spoil(t, v.Field(i), depth+1)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(t, v.Elem(), depth+1)
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(t, v.Index(i), depth+1)
		}
	case reflect.String:
		if hit() {
			v.SetString(rapid.SampledFrom([]string{"", "x", ":", "1.2.3", "\x1b[31m\n", "sha256:", "blue", "running", "exited 1"}).Draw(t, "text"))
		}
	case reflect.Int, reflect.Int64:
		if hit() {
			v.SetInt(rapid.SampledFrom([]int64{-1, 0, 1, 125, 1 << 40, math.MinInt64, math.MaxInt64}).Draw(t, "number"))
		}
	case reflect.Uint64:
		if hit() {
			v.SetUint(rapid.SampledFrom([]uint64{0, 1, math.MaxUint64}).Draw(t, "bytes"))
		}
	case reflect.Float64:
		if hit() {
			v.SetFloat(rapid.SampledFrom([]float64{-1, 0, math.NaN(), math.Inf(1)}).Draw(t, "fraction"))
		}
	case reflect.Bool:
		if hit() {
			v.SetBool(!v.Bool())
		}
	}
}

// drawSnapshot is a pair with several things the matter at once, and parts of it spoiled.
func drawSnapshot(t *rapid.T) ops.Snapshot {
	snap := calm()
	for range rapid.IntRange(0, 4).Draw(t, "cases") {
		c := rapid.SampledFrom(cases).Draw(t, "case")
		func() {
			defer func() { _ = recover() }() // a case takes for granted what another took away
			c.change(&snap)
		}()
	}
	if rapid.Bool().Draw(t, "spoiled") {
		spoil(t, reflect.ValueOf(&snap).Elem(), 0)
	}
	return snap
}

// Whatever a snapshot holds, there are findings and no panic: the worst first, the same again
// for the same, each with a title and with a side that exists; and a part that was not read is
// never passed over.
func TestAllProperty(t *testing.T) {
	looking := []string{"unreachable", "engine-unreachable", "unread", "upkeep-unread", "balancer-unreachable", "balancer-throttled"}
	rapid.Check(t, func(t *rapid.T) {
		snap := drawSnapshot(t)
		all := All(snap, now)
		if diff := cmp.Diff(all, All(snap, now)); diff != "" {
			t.Fatalf("not the same again: %s", diff)
		}
		told := map[ops.Side]bool{}
		for i, f := range all {
			switch {
			case f.ID == "" || f.Title == "" || rank(f.Severity) < 0:
				t.Fatalf("incomplete: %+v", f)
			case i > 0 && rank(all[i-1].Severity) > rank(f.Severity):
				t.Fatalf("%s before %s", all[i-1].Severity, f.Severity)
			case f.Do != nil && (f.Hint == "" || f.Do.Op == "" || f.Do.Side != ops.Blue && f.Do.Side != ops.Green):
				t.Fatalf("proposes %+v: %+v", f.Do, f)
			case slices.Contains(looking, f.ID) && f.Side == "" && !strings.Contains(f.Title, "the balancer"):
				told[ops.Blue], told[ops.Green] = true, true // both the same
			case slices.Contains(looking, f.ID):
				told[f.Side] = true
			}
		}
		for _, side := range ops.Sides {
			if s := snap.On(side); (!read(s.Host) || !read(s.Engine) || !read(s.Care)) && !told[side] {
				t.Fatalf("%s was not read (%+v, %+v, %+v), and nothing says so: %+v", side, s.Host, s.Engine, s.Care, all)
			}
		}
		if !read(snap.Balancer.Look) && !told[""] {
			t.Fatalf("the balancer was not read, and nothing says so: %+v", all)
		}
	})
}
