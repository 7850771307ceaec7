package findings

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

func TestTracker(t *testing.T) {
	one := func(id, title string) ops.Finding {
		return ops.Finding{ID: id, Severity: ops.Block, Side: ops.Green, Title: title}
	}
	exited, two, sick := one("service-not-ready", "tcs exited 1"), one("service-not-ready", "2 services exited 1: tcs, profile"), one("service-not-ready", "sync unhealthy")
	engine, warned := one("engine-installed", "engine 20 runs"), one("engine-installed", "engine 20 runs")
	warned.Severity = ops.Warn
	blue, pair := engine, engine
	blue.Side, pair.Side = ops.Blue, ""
	away := one("unreachable", "cannot be reached: cut")
	look := func(list ...ops.Finding) ops.Snapshot {
		snap := calm()
		snap.Findings = list
		return snap
	}
	cut := func(list ...ops.Finding) ops.Snapshot {
		snap := look(list...)
		snap.Green.Host.Err, snap.Green.Engine.Err = problem("connecting", "cut", ""), problem("connecting", "cut", "")
		return snap
	}
	for _, test := range []struct {
		name  string
		looks []ops.Snapshot
		want  []string // of each look, "" for none
	}{
		{"there at the start", []ops.Snapshot{look(exited, engine), look(exited, engine)}, []string{"new tcs exited 1; new engine 20 runs", ""}},
		{"comes and goes", []ops.Snapshot{look(), look(exited), look(exited), look(exited), look(), look(), look()},
			[]string{"", "", "new tcs exited 1", "", "", "cleared tcs exited 1", ""}},
		{"a blip", []ops.Snapshot{look(), look(exited), look(), look(exited), look()}, []string{"", "", "", "", ""}},
		{"gone for one look", []ops.Snapshot{look(exited), look(), look(exited), look(exited)}, []string{"new tcs exited 1", "", "", ""}},
		{"another severity", []ops.Snapshot{look(warned), look(engine), look(engine), look(warned), look(engine)},
			[]string{"new engine 20 runs", "", "changed engine 20 runs", "", ""}},
		{"one more service", []ops.Snapshot{look(exited), look(two), look(two)}, []string{"new tcs exited 1", "", "changed 2 services exited 1: tcs, profile"}},
		{"another beside it", []ops.Snapshot{look(exited), look(exited, sick), look(exited, sick), look(sick), look(sick)},
			[]string{"new tcs exited 1", "", "new sync unhealthy", "", "cleared tcs exited 1"}},
		{"on both sides", []ops.Snapshot{look(engine), look(pair), look(pair), look(blue), look(blue), look(engine, blue), look(engine, blue), look(pair), look(pair)},
			[]string{"new engine 20 runs", "", "changed engine 20 runs", "", "changed engine 20 runs", "", "new engine 20 runs", "", "changed engine 20 runs"}},
		{"words that never rest", []ops.Snapshot{look(), look(one("load", "load 9.1")), look(one("load", "load 9.2")), look(one("load", "load 9.3"))},
			[]string{"", "", "new load 9.2", ""}},
		{"not cleared by being out of sight", []ops.Snapshot{look(exited), cut(away), cut(away), cut(away), look(exited), look(exited), look(), look()},
			[]string{"new tcs exited 1", "", "new cannot be reached: cut", "", "", "cleared cannot be reached: cut", "", "cleared tcs exited 1"}},
		{"mended out of sight", []ops.Snapshot{look(exited), cut(away), cut(away), look(), look()},
			[]string{"new tcs exited 1", "", "new cannot be reached: cut", "", "cleared cannot be reached: cut; cleared tcs exited 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var tracker Tracker
			var got []string
			for _, snap := range test.looks {
				text := ""
				for _, c := range tracker.See(&snap) {
					if text != "" {
						text += "; "
					}
					text += string(c.Kind) + " " + c.Now.Title
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A process that goes on from what another has told tells neither that again nor what is out of
// sight, but what has come and what has cleared in between.
func TestTrackerResumes(t *testing.T) {
	one := func(title string) ops.Finding {
		return ops.Finding{ID: "service-not-ready", Severity: ops.Block, Side: ops.Green, Title: title}
	}
	snap := calm()
	snap.Findings = []ops.Finding{one("tcs exited 1"), one("sync unhealthy")}
	var tracker Tracker
	tracker.Resume([]ops.Finding{one("tcs exited 1"), {ID: "jobs", Severity: ops.Warn, Side: ops.Green, Title: "etl failed"}, {ID: "disk", Severity: ops.Warn, Side: ops.Green, Title: "disk 91% full"}})
	var got []string
	see := func() {
		for _, c := range tracker.See(&snap) {
			got = append(got, string(c.Kind)+" "+c.Now.Title)
		}
	}
	snap.Green.Host.Err = problem("connecting", "cut", "")
	see()
	see()
	if want := []string{"new sync unhealthy"}; !cmp.Equal(got, want) {
		t.Errorf("out of sight: %q", got)
	}
	snap.Green.Host.Err, got = nil, nil
	see()
	see()
	if want := []string{"cleared etl failed", "cleared disk 91% full"}; !cmp.Equal(got, want) {
		t.Errorf("in sight: %q", got)
	}
}
