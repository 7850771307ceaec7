package tui

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// restarting is a run of the restart of GREEN, with the phase of each step by its id.
func restarting(phases map[string]ops.StepPhase) *ops.Run {
	plan := planned(ops.Request{Op: ops.OpRestart, Side: ops.Green})
	r := &ops.Run{ID: "20240517-140000-7f3a", Plan: ops.PlanDoc{ID: "7f3a", Title: plan.Title, Side: ops.Green}, By: "jsmith@ops1", Started: ago(3 * time.Minute), Events: 41}
	at := r.Started
	for _, s := range plan.Steps {
		step := ops.RunStep{
			Doc: ops.StepDoc{ID: s.ID, Kind: s.Step.Kind(), Title: s.Step.Title(), Effects: s.Step.Effects(), Needs: s.Needs}, Phase: ops.Waiting,
		}
		name, restart := strings.CutPrefix(s.ID, "restart-")
		if restart {
			step.Doc.Data = service(name)
		}
		if phase, ok := phases[s.ID]; ok {
			step.Phase, step.Started = phase, at
			at = at.Add(12 * time.Second)
			say := func(kind ops.EventKind, text string) {
				step.Text = text
				r.Lines = append(r.Lines, ops.RunLine{At: at, Step: s.ID, Kind: kind, Text: text})
			}
			switch phase {
			case ops.Running:
				say(ops.EvSay, name+": starting, 9 s")
			case ops.Failed:
				say(ops.EvFailed, name+" did not get ready within 2 min: exited 1")
				step.Ended = at
			case ops.Refused:
				say(ops.EvRefused, "BLUE is draining")
				step.Checks = []ops.Check{{Guard: "peer-in-service", State: ops.Fail, Text: "BLUE is draining", Hint: "put blue back first"}}
				step.Ended = at
			default:
				say(ops.EvSay, name+": healthy, 11 s")
				step.Ended = at
			}
		}
		r.Steps = append(r.Steps, step)
	}
	return r
}

func all(phase ops.StepPhase, ids ...string) map[string]ops.StepPhase {
	m := map[string]ops.StepPhase{}
	for _, id := range ids {
		m[id] = phase
	}
	return m
}

func with(m map[string]ops.StepPhase, phase ops.StepPhase, ids ...string) map[string]ops.StepPhase {
	for _, id := range ids {
		m[id] = phase
	}
	return m
}

func restarts(names ...string) (ids []string) {
	for _, name := range names {
		ids = append(ids, "restart-"+name)
	}
	return ids
}

// together is the run while three services restart at once.
func together() *ops.Run {
	return restarting(with(all(ops.Done, append(restarts("keycloak"), "lock", "drain")...), ops.Running, restarts("reference", "profile", "usermanagement")...))
}

func ended(r *ops.Run, outcome ops.Outcome) *ops.Run {
	r.Ended, r.Outcome = ago(20*time.Second), outcome
	return r
}

var everyID = append([]string{"lock", "drain", "canary", "put-back", "unlock"}, restarts(names...)...)

func half() *ops.Run {
	return restarting(with(all(ops.Done, append(restarts("keycloak", "reference"), "lock", "drain")...), ops.Failed, "restart-profile"))
}

func usuals() map[string]time.Duration {
	m := map[string]time.Duration{"take the lock": time.Second, "drain GREEN": 14 * time.Second, "canary on GREEN": 2 * time.Second, "put GREEN back": 9 * time.Second, "release the lock": time.Second}
	for _, name := range names {
		m["restart "+name] = 21 * time.Second
	}
	return m
}

func TestRunFrames(t *testing.T) {
	for _, s := range []struct {
		name string
		run  func() *ops.Run
		snap func(*ops.Snapshot)
		keys []string
	}{
		{name: "begun", run: func() *ops.Run { return restarting(all(ops.Running, "lock")) }},
		{name: "together", run: together},
		{name: "unfolded", run: together, keys: []string{"enter"}},
		{name: "a step", run: together, keys: []string{"g", "down"}},
		{name: "paused", run: func() *ops.Run { r := together(); r.Paused = true; return r }},
		{name: "asked to stop", run: func() *ops.Run { r := together(); r.Asked = ops.AskStop; return r }, keys: []string{"x"}},
		{name: "stop asked", run: together, keys: []string{"x"}},
		{name: "roll back asked", run: together, keys: []string{"b"}},
		{name: "resume asked", run: func() *ops.Run { return ended(half(), ops.OutcomeStopped) }, keys: []string{"s"}},
		{name: "note", run: together, keys: append([]string{"n"}, typing("503s seen")...)},
		{name: "stopped half-way", run: func() *ops.Run { return ended(half(), ops.OutcomeStopped) }},
		{name: "done", run: func() *ops.Run { return ended(restarting(all(ops.Done, everyID...)), ops.OutcomeDone) }},
		{name: "failed", run: func() *ops.Run { return ended(half(), ops.OutcomeFailed) }},
		{name: "refused", run: func() *ops.Run { return ended(restarting(all(ops.Refused, "lock")), ops.OutcomeRefused) }},
		{name: "unlocked elsewhere", run: func() *ops.Run { return ended(together(), ops.OutcomeUnknown) }},
		{name: "being taken back", run: func() *ops.Run {
			r := restarting(with(with(all(ops.Done, "lock"), ops.Undone, restarts("keycloak")...), ops.TakingBack, "drain"))
			r.Rolling = true
			return r
		}},
		{name: "rolled back", run: func() *ops.Run {
			r := ended(restarting(all(ops.Undone, append(restarts("keycloak"), "lock", "drain")...)), ops.OutcomeRolledBack)
			r.Rolling = true
			return r
		}},
		{name: "locked by others", run: func() *ops.Run { return ended(half(), ops.OutcomeRolledBack) }, snap: func(s *ops.Snapshot) {
			s.Blue.Lock = &ops.LockInfo{Run: "9c1e", Op: ops.OpRestart, Side: ops.Blue, By: "mlee", From: "ops2", Beat: ago(3 * time.Second), Step: "03-restart-tcs"}
		}},
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {60, 20}, {40, 10}} {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				snap := calm()
				snap.Balancer.Green.Traffic = ops.Out
				if s.snap != nil {
					s.snap(&snap)
				}
				f := newFake(snap)
				f.run, f.usual = s.run(), usuals()
				a := newConsole(f, size.W, size.H)
				press(a, "v")
				f.snap.Balancer.Blue.Requests = ptr(uint64(18204 + 17110))
				change(a)
				press(a, s.keys...)
				if size.W >= 60 {
					keepFrame(t, a, size)
				} else {
					checkFrame(t, a.View().Content, size)
				}
			})
		}
	}
}

func TestRunKeys(t *testing.T) {
	for name, test := range map[string]struct {
		run  *ops.Run
		keys []string
		want []string
	}{
		"pause":                {together(), []string{"p"}, []string{"ask 20240517-140000-7f3a pause"}},
		"continue":             {func() *ops.Run { r := together(); r.Paused = true; return r }(), []string{"p"}, []string{"ask 20240517-140000-7f3a continue"}},
		"stop asks":            {together(), []string{"x"}, nil},
		"stop":                 {together(), []string{"x", pause, "y"}, []string{"ask 20240517-140000-7f3a stop"}},
		"roll back asks":       {together(), []string{"b", pause, "enter"}, nil},
		"roll back":            {together(), []string{"b", pause, "y"}, []string{"ask 20240517-140000-7f3a roll-back"}},
		"note":                 {together(), append(append([]string{"n"}, typing("hello")...), "enter"), []string{"note 20240517-140000-7f3a hello"}},
		"empty note":           {together(), []string{"n", "enter", "esc"}, nil},
		"resume while it runs": {together(), []string{"s", pause, "y"}, nil},
		"resume":               {ended(half(), ops.OutcomeStopped), []string{"s", pause, "y"}, []string{"resume 20240517-140000-7f3a"}},
		"note while paused":    {peerLost(), append(append([]string{"n"}, typing("cable?")...), "enter"), []string{"note 20240517-135400-7f3a cable?"}},
		"look again":           {peerLost(), []string{"p"}, []string{"ask 20240517-135400-7f3a continue"}},
		"a question":           {questioned(), []string{pause, "y"}, []string{"ask 20240517-135400-7f3a continue"}},
		"y in haste":           {questioned(), []string{"y"}, nil},
		"a question put off":   {questioned(), []string{"esc", pause, "y"}, nil},
		"asked again":          {questioned(), []string{"esc", "p", pause, "y"}, []string{"ask 20240517-135400-7f3a continue"}},
		"note before answer":   {questioned(), append(append([]string{"esc", "n"}, typing("yes, they may")...), "enter"), []string{"note 20240517-135400-7f3a yes, they may"}},
		"retry a service":      {unready(), []string{"s", pause, "y"}, []string{"resume 20240517-135400-7f3a"}},
		"skip asks":            {unready(), []string{"a", pause, "enter", "enter"}, nil},
		"skip without reason":  {unready(), append([]string{"a", pause, "tab"}, typing("both")...), nil},
		"skip in haste":        {unready(), append(append([]string{"a"}, typing("idle")...), append([]string{"tab"}, typing("both")...)...), nil},
		"skip a service": {
			unready(), append(append([]string{"a", pause}, typing("idle")...), append([]string{"tab"}, typing("both")...)...),
			[]string{"resume 20240517-135400-7f3a services-ready (tcs, GREEN)"},
		},
		"go on though the peer is lost": {
			keptBack(), append(append([]string{"a", pause}, typing("idle")...), append([]string{"tab"}, typing("both")...)...),
			[]string{"resume 20240517-135400-7f3a peer-in-service (GREEN)"},
		},
		"a canary of one's own": {
			canaryFailed(ops.Green), append(append([]string{"a", pause}, typing("idle")...), append([]string{"tab"}, typing("both")...)...),
			[]string{"resume 20240517-135400-7f3a side-canary (GREEN)"},
		},
		"a canary of the peer": {
			canaryFailed(ops.Blue), append(append([]string{"a", pause}, typing("idle")...), append([]string{"tab"}, typing("both")...)...),
			[]string{"resume 20240517-135400-7f3a peer-canary (GREEN)"},
		},
		"skip what cannot be": {ended(half(), ops.OutcomeStopped), append(append([]string{"a", pause}, typing("idle")...), append([]string{"tab"}, typing("green")...)...), nil},
		"take back":           {ended(half(), ops.OutcomeStopped), []string{"b", pause, "y"}, []string{"roll back 20240517-140000-7f3a"}},
		"pause at the end":    {ended(half(), ops.OutcomeStopped), []string{"p", "x", pause, "y"}, nil},
		"take back a refusal": {ended(half(), ops.OutcomeRefused), []string{"b", pause, "y"}, nil},
	} {
		f := newFake(calm())
		f.run = test.run
		a, pass := timed(f, 120, 40)
		play(a, pass, append([]string{"v"}, test.keys...)...)
		if diff := cmp.Diff(test.want, f.calls); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTheRunBeforeIsNotShownInItsPlace checks what is seen between a start and the first
// event of the new run.
func TestTheRunBeforeIsNotShownInItsPlace(t *testing.T) {
	f := newFake(calm())
	f.plan, f.run = plannedOK, ended(half(), ops.OutcomeRolledBack)
	a, pass := timed(f, 120, 40)
	play(a, pass, "tab", "r", pause, "y")
	wants(t, a, "starting …")
	if strings.Contains(text(a), "7f3a") {
		t.Error("the run before is shown as if it were the new one")
	}
	f.run = together()
	f.run.ID = "20240517-140322-0001"
	change(a)
	wants(t, a, "restart 14 services of GREEN 0001", "1 of 14 ready")
}

func TestRequestsAreCountedWhileTheRunGoesOn(t *testing.T) {
	f := newFake(calm())
	f.run = together()
	a := newConsole(f, 120, 40)
	press(a, "v")
	count := func(blue, failed uint64) {
		f.snap.Balancer.Blue.Requests, f.snap.Balancer.Blue.Failed = ptr(blue), ptr(failed)
		change(a)
	}
	count(18204+1500, 2)
	wants(t, a, "requests since 14:03:22Z 1,500", "failed 2")
	count(10, 0)
	if strings.Contains(text(a), "requests since") {
		t.Error("a counter that went back is taken for a count")
	}
	count(18204+2000, 2)
	wants(t, a, "2,000")
	f.run = ended(together(), ops.OutcomeDone)
	count(18204+9000, 2)
	if strings.Contains(text(a), "9,000") {
		t.Error("requests after the end count as of the run")
	}
}

func TestJobsThatAreMadeAreNotReady(t *testing.T) {
	for want, phases := range map[string]map[string]ops.StepPhase{
		"13 of 13 ready, 1 of 1 made, not started": all(ops.Done, restarts(names...)...),
		"12 of 13 ready": with(with(all(ops.Done, restarts(names...)...), ops.Running, "restart-"+names[0]), ops.Waiting, "restart-"+names[len(names)-1]),
	} {
		f := newFake(calm())
		f.run = restarting(phases)
		for i := range f.run.Steps {
			if s := &f.run.Steps[i]; s.Doc.ID == "restart-"+names[len(names)-1] {
				s.Doc.Data = json.RawMessage(`{"Service":{"Name":"ndw-etl"},"Idle":true}`)
			}
		}
		a := newConsole(f, 120, 40)
		v := newRunView(&a.env).(*runView)
		rows := v.rows()
		if got := v.reached(rows[slices.IndexFunc(rows, runRow.group)]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestProgressOfAGroup(t *testing.T) {
	for name, test := range map[string]struct {
		phases map[string]ops.StepPhase
		want   ops.StepPhase
		ready  int
	}{
		"waiting":  {nil, ops.Waiting, 0},
		"running":  {all(ops.Running, "restart-keycloak"), ops.Running, 0},
		"between":  {all(ops.Done, "restart-keycloak"), ops.Running, 1},
		"already":  {all(ops.Already, restarts(names...)...), ops.Done, 14},
		"failed":   {with(all(ops.Failed, "restart-profile"), ops.Running, "restart-reference"), ops.Failed, 0},
		"undoing":  {with(all(ops.Undone, "restart-profile"), ops.TakingBack, "restart-reference"), ops.TakingBack, 0},
		"undone":   {all(ops.Undone, restarts(names...)...), ops.Undone, 0},
		"skipped":  {all(ops.Skipped, restarts(names...)...), ops.Skipped, 0},
		"all done": {all(ops.Done, restarts(names...)...), ops.Done, 14},
	} {
		f := newFake(calm())
		f.run = restarting(test.phases)
		a := newConsole(f, 120, 40)
		v := newRunView(&a.env).(*runView)
		rows := v.rows()
		i := slices.IndexFunc(rows, runRow.group)
		if got := v.progress(rows[i]); got.phase != test.want || got.ready != test.ready {
			t.Errorf("%s: %s, %d ready; want %s, %d", name, got.phase, got.ready, test.want, test.ready)
		}
	}
}

// TestTimeLeftCountsWhatRunsTogetherOnce uses the chain keycloak, profile, tcs, concerns,
// revalidation, gmc-connect, which is the longest: six of fourteen restarts.
func TestTimeLeftCountsWhatRunsTogetherOnce(t *testing.T) {
	f := newFake(calm())
	f.run, f.usual = restarting(nil), usuals()
	a := newConsole(f, 120, 40)
	press(a, "v")
	wants(t, a, "usually 2:06")
	delete(f.usual, "restart tcs")
	f.run = restarting(nil)
	f.run.ID = "another"
	change(a)
	if strings.Contains(text(a), "left ─") {
		t.Error("a time is given although that of tcs is not known")
	}
}

// TestTheQuestionDoesNotInterrupt checks that nobody who types elsewhere gets the dialog of
// the question, and that it goes when it is answered elsewhere.
func TestTheQuestionDoesNotInterrupt(t *testing.T) {
	f := newFake(calm())
	f.run = middle()
	a, pass := timed(f, 120, 40)
	play(a, pass, "v", "n")
	f.run = questioned()
	change(a)
	if _, ok := a.top().(*noteBox); !ok {
		t.Fatalf("%T is on top of the note", a.top())
	}
	press(a, "esc")
	a.Update(tickMsg{})
	if _, ok := a.top().(*askBox); !ok {
		t.Fatalf("%T is on top, the question is not asked", a.top())
	}
	f.run = middleOfSecond()
	change(a)
	if _, ok := a.top().(*runView); !ok {
		t.Errorf("%T is on top although the question is answered", a.top())
	}
}

// TestTimeLeftOnTheOtherSide knows of no earlier run: the first side tells how long it takes.
func TestTimeLeftOnTheOtherSide(t *testing.T) {
	f := newFake(calm())
	f.run = middleOfSecond()
	a := newConsole(f, 120, 40)
	press(a, "v")
	wants(t, a, "about 2 min left")
	f.run = middle()
	change(a)
	if strings.Contains(text(a), "min left") {
		t.Error("a time is given although nothing is known of the steps to come")
	}
}

func TestThePauseIsLoudOnThePairScreen(t *testing.T) {
	f := newFake(calm())
	f.run = peerLost()
	wants(t, newConsole(f, 120, 40), "‖ PAUSED", "recover GREEN, then BLUE", "BLUE is down", "v view run")
	f.run = questioned()
	wants(t, newConsole(f, 80, 24), "‖ WAITS FOR YOU", "v view run")
}

// TestTheMeterOutlivesItsScreen leaves the run view and comes back.
func TestTheMeterOutlivesItsScreen(t *testing.T) {
	f := newFake(calm())
	f.run = middle()
	a := newConsole(f, 120, 40)
	press(a, "v", "esc")
	f.snap.Balancer.Blue.Requests = ptr(uint64(18204 + 500))
	change(a)
	press(a, "v")
	wants(t, a, "requests since 14:03:22Z 500")
}
