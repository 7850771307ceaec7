package runner

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// While a long act is under way on one side no guard is read: that its peer goes down
// meanwhile is said all the same, once, and when it is back.
func TestThePeerIsWatchedDuringAnAct(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.watch = 5 * time.Second
		w.traffic.Green.Traffic, w.traffic.Blue.Traffic, w.traffic.Blue.Check = ops.Out, ops.InService, "L4CON"
		w.slow = map[string]func(){"b": func() {
			for _, is := range []ops.Traffic{ops.InService, ops.Down, ops.InService} {
				w.set(func() { w.traffic.Blue.Traffic = is })
				time.Sleep(time.Minute)
			}
		}}
		b.want(t, Start, ops.OutcomeDone)
		want := []string{"BLUE is down (L4CON) while GREEN is out: nobody serves; mend BLUE, or let the run go on: " +
			"GREEN is put back as soon as it can serve; or put it back as it was, roll back: set b back, set a back"}
		if diff := cmp.Diff(want, b.texts(ops.EvAlarm)); diff != "" {
			t.Errorf("alarms:\n%s", diff)
		}
		if diff := cmp.Diff([]string{"BLUE in service again"}, b.texts(ops.EvAllClear)); diff != "" {
			t.Errorf("all clear:\n%s", diff)
		}
	})
}
