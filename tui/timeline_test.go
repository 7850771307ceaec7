package tui

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tandem/ops"
)

// story is a timeline of two days with moments of every kind, oldest first.
func storyTimeline() []ops.Moment {
	list := []ops.Moment{
		{At: ago(22 * time.Hour), Kind: ops.MomentPackages, Side: ops.Green, Who: "ann", Text: "packages changed by ann: apt-get upgrade: docker.io 20.10.24 -> 26.1.5, docker-cli 26.1.5 installed, docker-compose 1.29.2 removed (interrupted)"},
		{At: ago(22*time.Hour - time.Minute), Kind: ops.MomentFinding, Side: ops.Green, Text: "warn: engine 20.10.24 runs, 26.1.5 is installed",
			Finding: &ops.FindingMoment{ID: "engine-installed", Severity: ops.Warn, Title: "engine 20.10.24 runs, 26.1.5 is installed"}},
		{At: ago(31 * time.Minute), Kind: ops.MomentHost, Side: ops.Green, Text: "rebooted"},
		{At: ago(30 * time.Minute), Kind: ops.MomentEngine, Side: ops.Green, Text: "engine 26.1.5, was 20.10.24"},
	}
	for i, name := range names[:6] {
		list = append(list, ops.Moment{At: ago(30*time.Minute - time.Duration(i)*time.Second), Kind: ops.MomentEngine, Side: ops.Green, Text: name + " exited 137"})
	}
	return append(list,
		ops.Moment{At: ago(29 * time.Minute), Kind: ops.MomentBalancer, Side: ops.Green, Text: "traffic: down, was in service"},
		ops.Moment{At: ago(28 * time.Minute), Kind: ops.MomentFinding, Side: ops.Green, Text: "block: compose 1.29.2 cannot create containers on engine 26.1.5",
			Finding: &ops.FindingMoment{ID: "compose", Severity: ops.Block, Title: "compose 1.29.2 cannot create containers on engine 26.1.5"}},
		ops.Moment{At: ago(20 * time.Minute), Kind: ops.MomentNote, Who: "grace@desk9", Text: "users report that uploads are missing"},
		ops.Moment{At: ago(15 * time.Minute), Kind: ops.MomentShell, Side: ops.Green, Who: "ada@desk1", Text: "shell on the host opened by ada@desk1"},
		ops.Moment{At: ago(12 * time.Minute), Kind: ops.MomentRun, Side: ops.Green, Who: "ada@desk1", Run: "20240517T135122Z-7f3a", Text: "recover GREEN begun by ada@desk1, because: INC-42"},
		ops.Moment{At: ago(4 * time.Minute), Kind: ops.MomentRun, Side: ops.Green, Who: "ada@desk1", Run: "20240517T135122Z-7f3a", Text: "recover GREEN: done, 8m0s after its start"},
		ops.Moment{At: ago(3 * time.Minute), Kind: ops.MomentFinding, Side: ops.Green, Text: "cleared: compose 1.29.2 cannot create containers on engine 26.1.5",
			Finding: &ops.FindingMoment{ID: "compose", Severity: ops.Block, Title: "compose 1.29.2 cannot create containers on engine 26.1.5", Cleared: true}},
		ops.Moment{At: ago(2 * time.Minute), Kind: ops.MomentBalancer, Text: "the balancer answers again"},
	)
}

func TestTimelineFrames(t *testing.T) {
	for _, s := range []struct {
		name string
		list []ops.Moment
		keys []string
	}{
		{"all", storyTimeline(), nil},
		{"empty", nil, nil},
		{"of two kinds", storyTimeline(), []string{"1", "7"}},
		{"of blue, paused", storyTimeline(), []string{"tab", "k"}},
		{"containers together", storyTimeline(), []string{"/", "1", "3", "7", "enter"}},
		{"being filtered", storyTimeline(), []string{"/", "c", "o", "m", "p", "o"}},
		{"export asked", storyTimeline(), []string{"S"}},
		{"nothing fits", storyTimeline(), []string{"/", "z", "z", "enter"}},
	} {
		for _, size := range sizes[:3] {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				f := newFake(incident())
				f.timeline = s.list
				a := newConsole(f, size.W, size.H)
				press(a, append([]string{"T"}, s.keys...)...)
				keepFrame(t, a, size)
			})
		}
	}
}

func TestTimelineFollowsUntilItIsRead(t *testing.T) {
	f := newFake(calm())
	for i := range 60 {
		f.timeline = append(f.timeline, ops.Moment{At: ago(time.Hour - time.Duration(i)*time.Minute), Kind: ops.MomentBalancer, Text: fmt.Sprintf("moment %02d", i)})
	}
	come := func(text string) {
		list := append([]ops.Moment(nil), f.timeline...)
		f.timeline = append(list, ops.Moment{At: noon, Kind: ops.MomentBalancer, Text: text})
	}
	a := newConsole(f, 100, 30)
	press(a, "T")
	wants(t, a, "following", "moment 59")
	come("the latest")
	change(a)
	wants(t, a, "following", "the latest")
	press(a, "g")
	wants(t, a, "paused", "moment 00", "line 1 of 61")
	come("unseen")
	change(a)
	wants(t, a, "paused", "+1 new", "moment 00", "line 1 of 62")
	if frame := text(a); strings.Contains(frame, "unseen") {
		t.Errorf("it went on although it is read:\n%s", frame)
	}
	press(a, "f")
	wants(t, a, "following", "unseen")
	press(a, "k", "j")
	wants(t, a, "following")
}

// What an audience must not see is not on the timeline either: addresses, hosts, and the people
// that it names, who may be long gone from the pair.
func TestTimelineIsMasked(t *testing.T) {
	f := newFake(calm())
	f.timeline = append(storyTimeline(), ops.Moment{At: noon, Kind: ops.MomentBalancer, Text: "the balancer does not answer: dial tcp 10.0.9.9:22 for Acme, ask grace"})
	a := newConsole(f, 120, 40)
	a.opt.Redact = []string{"Acme"}
	press(a, "ctrl+p", "T")
	wants(t, a, "uploads are missing", "does not answer")
	for _, secret := range []string{"grace", "desk9", "ada", "desk1", "10.0.9.9", "Acme", "by ann"} {
		if frame := a.View().Content; strings.Contains(frame, secret) {
			t.Errorf("%q can be seen:\n%s", secret, text(a))
		}
	}
}

func TestNotesWithAndWithoutARun(t *testing.T) {
	f := newFake(calm())
	write := func(keys ...string) {
		a := newConsole(f, 100, 30)
		press(a, append(keys, "n", "h", "i", "enter")...)
	}
	write()
	f.run = &ops.Run{ID: "7f3a", Started: ago(time.Minute), Plan: ops.PlanDoc{Title: "drain GREEN"}}
	write()
	write("T")
	f.run.Ended, f.run.Outcome = ago(time.Second), ops.OutcomeDone
	write()
	write("v")
	if got, want := strings.Join(f.calls, ","), "note  hi,note 7f3a hi,note 7f3a hi,note  hi,note 7f3a hi"; got != want {
		t.Errorf("notes went %q, want %q", got, want)
	}
}

// What is shown is exported, masked before an audience, and never over a file that is there.
func TestTimelineExport(t *testing.T) {
	t.Chdir(t.TempDir())
	f := newFake(calm())
	f.timeline = storyTimeline()
	a := newConsole(f, 120, 40)
	press(a, "T", "6", "S")
	wants(t, a, "Export the timeline as Markdown", "1 moment, as they are shown")
	const name = "tis-prod-timeline-20240517T140322Z.md"
	press(a, "enter")
	wants(t, a, "1 moment saved to /", name)
	if got, err := os.ReadFile(name); string(got) != "tis-prod\ngrace@desk9 users report that uploads are missing\n" {
		t.Errorf("saved %q, %v", got, err)
	}
	press(a, "0", "S", "enter")
	wants(t, a, "such a file already")
	press(a, "esc", "ctrl+p", "S", "2", "enter")
	wants(t, a, "18 moments saved to")
	if got, err := os.ReadFile(name + "2"); err != nil || strings.Contains(string(got), "grace") || !strings.Contains(string(got), "•••@••• users report") {
		t.Errorf("saved %q, %v", got, err)
	}
}

// enter opens what a line is about, l the log from shortly before it.
func TestTimelineLeadsOn(t *testing.T) {
	f := newFake(incident())
	list := []ops.Moment{
		{At: ago(9 * time.Minute), Kind: ops.MomentEngine, Side: ops.Green, Text: "tcs exited 137"},
		{At: ago(8 * time.Minute), Kind: ops.MomentFinding, Side: ops.Green, Text: "block: it is broken", Finding: &ops.FindingMoment{}},
		{At: ago(7 * time.Minute), Kind: ops.MomentRun, Side: ops.Green, Run: "7f3a", Text: "drain GREEN begun"},
		{At: ago(6 * time.Minute), Kind: ops.MomentRun, Side: ops.Green, Run: "0001", Text: "an older one begun"},
		{At: ago(5 * time.Minute), Kind: ops.MomentHost, Side: ops.Green, Text: "rebooted"},
		{At: ago(4 * time.Minute), Kind: ops.MomentEngine, Side: ops.Green, Text: "nobody exited 1"},
	}
	f.timeline = list
	f.run = &ops.Run{ID: "7f3a", Started: ago(7 * time.Minute), Ended: ago(6 * time.Minute), Outcome: ops.OutcomeDone, Plan: ops.PlanDoc{Title: "drain GREEN"}, Steps: []ops.RunStep{{Phase: ops.Done}}, Events: 9}
	for i, want := range []string{"─ tcs ─", "worst first", "takes it back", "tandem report 0001", "no more to be seen", "no more to be seen"} {
		a := newConsole(f, 120, 40)
		press(a, "T", "g")
		for range i {
			press(a, "j")
		}
		press(a, "enter")
		wants(t, a, want)
	}
	a := newConsole(f, 120, 40)
	press(a, "T", "l")
	wants(t, a, "not about one container that is there")
	press(a, "g", "l")
	v, ok := a.top().(*logView)
	if !ok || v.name != "tcs" || v.side != ops.Green || !v.span.Since.Equal(list[0].At.Add(-time.Minute)) {
		t.Errorf("l opens %+v", a.top())
	}
}
