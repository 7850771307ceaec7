package tui

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// patches are what the packages of a side could be brought to.
var patches = []VersionChoice{
	{Name: "engine 20.10.24, compose 1.29.2", Packages: map[string]string{"docker.io": "20.10.24+dfsg1-1+b3", "docker-compose": "1.29.2-3"}, Back: true},
	{Name: "engine 26.1.5, compose 2.26.1", Packages: map[string]string{"docker.io": "26.1.5+dfsg1-9", "docker-cli": "26.1.5+dfsg1-9", "docker-compose": "2.26.1-4"}},
	{Name: "engine 28.0.4", Packages: map[string]string{"docker.io": "28.0.4-1"}, Why: "apt would change libc6 as well"},
}

func TestPickerFrames(t *testing.T) {
	for name, open := range map[string]func(a *App, play func(...string)){
		"jobs":     func(_ *App, play func(...string)) { play("tab", "J", pause) },
		"no jobs":  func(_ *App, play func(...string)) { play("J", pause) },
		"versions": func(_ *App, play func(...string)) { play("P", pause, "j") },
		"not this": func(_ *App, play func(...string)) { play("P", pause, "j", "j", "enter") },
		"looking":  func(a *App, _ func(...string)) { a.Update(openMsg{newVersions(&a.env, ops.Blue)}) },
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {40, 10}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size.W, size.H), func(t *testing.T) {
				f := newFake(calm())
				f.versions = patches
				a, pass := timed(f, size.W, size.H)
				open(a, func(keys ...string) { play(a, pass, keys...) })
				keepFrame(t, a, size)
			})
		}
	}
}

func TestPicking(t *testing.T) {
	running := func() ops.Snapshot {
		s := calm()
		s.Green.Jobs[0].Running = true
		return s
	}
	for name, test := range map[string]struct {
		snap func() ops.Snapshot
		keys []string
		want []ops.Request
		see  string
	}{
		"a job":              {keys: []string{"tab", "J", pause, "enter"}, want: []ops.Request{{Op: ops.OpJob, Side: ops.Green, Services: []string{calm().Green.Jobs[0].Name}}}},
		"one that runs":      {snap: running, keys: []string{"tab", "J", pause, "enter"}, see: "not now, it runs"},
		"in haste, nothing":  {keys: []string{"tab", "J", "enter"}, see: "shows the plan"},
		"a version":          {keys: []string{"P", pause, "j", "enter"}, want: []ops.Request{{Op: ops.OpPatch, Side: ops.Blue, Packages: patches[1].Packages}}},
		"one that cannot be": {keys: []string{"P", pause, "j", "j", "enter"}, see: "not now, apt would change libc6 as well"},
		"the way back":       {keys: []string{"b", pause, "j", "j", "enter"}, want: []ops.Request{{Op: ops.OpPatch, Side: ops.Blue, Packages: patches[0].Packages}}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.snap == nil {
				test.snap = calm
			}
			f := newFake(test.snap())
			f.plan, f.versions, f.images, f.past = plannedOK, patches, choices, pastRuns()
			a, pass := timed(f, 120, 40)
			play(a, pass, test.keys...)
			if diff := cmp.Diff(test.want, f.requests); diff != "" {
				t.Errorf("asked for: %s", diff)
			}
			if test.see != "" {
				wants(t, a, test.see)
			}
			if len(f.calls) > 0 {
				t.Errorf("choosing has started %v", f.calls)
			}
		})
	}
}

// proposing are findings of which some propose an operation.
func proposing() ops.Snapshot {
	s := calm()
	s.Findings = []ops.Finding{
		{ID: "service-not-ready", Severity: ops.Block, Side: ops.Green, Title: "tcs exited 1", Detail: "its log says why", Hint: "read its log: l, then restart it: r", Do: &ops.Request{Op: ops.OpRestart, Side: ops.Green, Services: []string{"tcs"}}, Logs: []string{"tcs"}},
		{ID: "reboot-required", Severity: ops.Note, Side: ops.Blue, Title: "a reboot is asked for", Hint: "at a calm hour"},
		{ID: "engine-installed", Severity: ops.Warn, Side: ops.Blue, Title: "the next restart will change the engine", Hint: "patch it: P", Do: &ops.Request{Op: ops.OpPatch, Side: ops.Blue}},
	}
	return s
}

// TestFindingOpensItsOperation: enter opens the dialog of what the finding proposes, and
// nothing more.
func TestFindingOpensItsOperation(t *testing.T) {
	for name, test := range map[string]struct {
		keys []string
		want []ops.Request
		see  string
	}{
		"the worst first":        {keys: []string{"f", "enter"}, want: []ops.Request{{Op: ops.OpRestart, Side: ops.Green, Services: []string{"tcs"}}}},
		"a choice of versions":   {keys: []string{"f", "j", "enter", pause}, see: "back to engine 20.10.24"},
		"one that has none":      {keys: []string{"f", "G", "enter"}, see: "nothing here that tandem could do"},
		"read-only":              {keys: []string{"ctrl+o", "f", "enter"}, see: "restart tcs on GREEN: not now, read-only"},
		"says what enter is for": {keys: []string{"f"}, see: "restart tcs on GREEN"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(proposing())
			f.plan, f.versions = plannedOK, patches
			a, pass := timed(f, 120, 40)
			play(a, pass, test.keys...)
			if diff := cmp.Diff(test.want, f.requests); diff != "" {
				t.Errorf("asked for: %s", diff)
			}
			if test.see != "" {
				wants(t, a, test.see)
			}
			if len(f.calls) > 0 {
				t.Errorf("looking has started %v", f.calls)
			}
		})
	}
}

// TestLogsOfWhatIsNoService: jobs and containers of neither have logs too, wherever one comes
// from, and read-only as well.
func TestLogsOfWhatIsNoService(t *testing.T) {
	failed := func() ops.Snapshot {
		s := incident()
		s.Findings = []ops.Finding{
			{ID: "job-failed", Severity: ops.Block, Side: ops.Green, Title: "ndw-etl failed", Hint: "read its log: l, then run it again: j", Logs: []string{"ndw-etl"}},
			{ID: "service-not-ready", Severity: ops.Warn, Side: ops.Blue, Title: "2 services exited 1", Logs: []string{"tcs", "sync"}},
			{ID: "one-sided", Severity: ops.Note, Title: "only here"},
		}
		return s
	}
	command := func(text string) []string {
		return append(append([]string{"ctrl+o", ":"}, typing(text)...), "enter")
	}
	for name, test := range map[string]struct {
		run  ops.Op // of the last run; empty: there is none
		keys []string
		log  string // of what; empty: none is opened
		side ops.Side
		both bool
		see  string
	}{
		"where jobs are picked":     {keys: []string{"tab", "J", "l"}, log: "ndw-etl", side: ops.Green},
		"the one under the cursor":  {keys: []string{"tab", "J", "j", "l"}, log: "reval-etl", side: ops.Green},
		"no job to pick":            {keys: []string{"J", "l"}, see: "names no job"},
		"no job but a version":      {keys: []string{"P", "l"}, see: "Patch"},
		"a finding":                 {keys: []string{"f", "l"}, log: "ndw-etl", side: ops.Green},
		"a finding says so":         {keys: []string{"f"}, see: "the log of ndw-etl"},
		"a finding of several":      {keys: []string{"f", "j", "l"}, see: "one log at a time: go back, then :logs tcs"},
		"a finding of none":         {keys: []string{"f", "G", "l"}, see: "no log says more of this"},
		"the run of a job":          {run: ops.OpJob, keys: []string{"v", "l"}, log: "ndw-etl", side: ops.Green},
		"any other run":             {run: ops.OpRestart, keys: []string{"v", "l"}, log: names[0], side: ops.Blue, both: true},
		"a service beside that run": {run: ops.OpJob, keys: append([]string{"v"}, command("logs tcs")[1:]...), log: "tcs", side: ops.Blue, both: true},
		"a job by its name":         {keys: command("logs ndw"), log: "ndw-etl", side: ops.Green},
		"a container of no service": {keys: command("logs portainer"), log: "portainer", side: ops.Green},
		"a service on both sides":   {keys: command("logs tcs"), log: "tcs", side: ops.Blue, both: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(failed())
			f.versions = patches
			if test.run != "" {
				request := ops.Request{Op: test.run, Side: ops.Green, Services: []string{"ndw-etl"}}
				f.run = &ops.Run{ID: "1", Plan: ops.PlanDoc{Request: request}, Started: noon, Ended: noon, Outcome: ops.OutcomeDone}
			}
			a, pass := timed(f, 120, 40)
			play(a, pass, test.keys...)
			if v, ok := a.top().(*logView); ok != (test.log != "") || ok && (v.name != test.log || v.side != test.side || v.wish == layoutBeside != test.both) {
				t.Errorf("on top is %#v", a.top())
			}
			if test.see != "" {
				wants(t, a, test.see)
			}
			if a.service != names[0] && test.log != "tcs" {
				t.Errorf("the cursor is on %s", a.service)
			}
		})
	}
}

// TestFindingsKeepTheCursor: what is under the cursor stays there when others come and go.
func TestFindingsKeepTheCursor(t *testing.T) {
	f := newFake(proposing())
	a, _ := timed(f, 120, 40)
	press(a, "f", "j")
	more := proposing()
	more.Findings = append([]ops.Finding{{ID: "side-down", Severity: ops.Block, Side: ops.Blue, Title: "down"}}, more.Findings...)
	f.snap = more
	a.Update(backendMsg{})
	view := a.top().(*findingsView)
	if on := view.list[view.cursor.Cursor]; on.ID != "engine-installed" {
		t.Errorf("the cursor is on %s", on.ID)
	}
	f.snap = calm()
	a.Update(backendMsg{})
	wants(t, a, "nothing found")
}

// TestFindingsScroll: the finding under the cursor is in sight, however many there are.
func TestFindingsScroll(t *testing.T) {
	s := calm()
	for i := range 30 {
		s.Findings = append(s.Findings, ops.Finding{ID: fmt.Sprint(i), Severity: ops.Warn, Side: ops.Green, Title: fmt.Sprintf("finding number %d.", i), Detail: "why", Hint: "do"})
	}
	f := newFake(s)
	a, pass := timed(f, 80, 24)
	press(a, "f")
	for i := range 30 {
		wants(t, a, fmt.Sprintf("finding number %d.", i))
		checkFrame(t, a.View().Content, Size{80, 24})
		play(a, pass, "j")
		pass(time.Second)
	}
}
