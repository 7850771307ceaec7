package tui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tandem/ops"
)

// act is a step that exists on the screen alone.
type act struct {
	kind, title string
	effects     []string
	risk        ops.Level
}

func (s act) Kind() string                        { return s.kind }
func (s act) Title() string                       { return s.title }
func (s act) Effects() []string                   { return s.effects }
func (s act) Risk() ops.Level                     { return s.risk }
func (act) Guards() []ops.Guard                   { return nil }
func (act) Back() ops.Undoing                     { return ops.Undoing{} }
func (act) Do(context.Context, ops.Env) error     { return nil }
func (act) Verify(context.Context, ops.Env) error { return nil }
func (act) Undo(context.Context, ops.Env) error   { return ops.ErrNoUndo }
func (act) Check(context.Context, ops.Env) (ops.Verdict, error) {
	return ops.Ready, nil
}

// needs are the services that a restart waits for, in the plans of these tests.
var needs = map[string]string{
	"reference": "keycloak", "profile": "keycloak", "usermanagement": "keycloak", "tcs": "profile", "assessments": "tcs", "notifications": "tcs",
	"concerns": "tcs", "revalidation": "concerns", "gmc-connect": "revalidation", "generic-upload": "tcs", "sync": "tcs", "admins-ui": "sync", "apache": "admins-ui",
}

// planned is a plan as the planner makes them: the steps of a request around what it is for.
func planned(r ops.Request) ops.Plan {
	side, peer := r.Side.Upper(), r.Side.Peer().Upper()
	server := "haproxy: set server tis/" + string(r.Side) + " state "
	check := func(guard, text string) ops.Check {
		return ops.Check{Guard: guard, State: ops.Pass, Text: text, At: ago(2 * time.Second)}
	}
	p := ops.Plan{
		ID: "r1", Pair: "tis-prod", Request: r, Made: noon, Basis: "b1",
		Headline: []string{peer + " serves alone until " + side + " is back.", side + " gets no new traffic; its 39 sessions have 5 min to end, then they are cut off."},
		Checks: []ops.Check{
			check("not-locked", "no other run on BLUE and GREEN"), check("peer-in-service", peer+" is in service"), check("peer-ready", peer+": 13 of 13 services ready"),
			{Guard: "peer-canary", State: ops.Remark, Text: "whether " + peer + " can start a new container was never tried"},
			{Guard: "only-here", State: ops.Remark, Text: "only on " + side + ": generic-upload, ndw-etl, reval-etl", At: noon},
		},
		UndoText: "traffic: yes    restarts: no",
	}
	last := ""
	add := func(id string, s act, after ...string) {
		if len(after) == 0 && last != "" {
			after = []string{last}
		}
		p.Steps = append(p.Steps, ops.PlannedStep{ID: id, Needs: after, Step: s})
		last = id
	}
	add("lock", act{"lock", "take the lock", []string{"mark run r1 in /var/lib/tandem/lock on both hosts"}, ops.Harmless})
	drain := act{"drain", "drain " + side, []string{server + "drain", "wait for sessions to end, 5 min at most", server + "maint"}, ops.Disruptive}
	if r.Op != ops.OpPutBack && r.Op != ops.OpCanary && r.Op != ops.OpJob && !r.NoDrain {
		add("drain", drain)
	}
	switch r.Op {
	case ops.OpDrain:
		p.Title = "drain " + side
	case ops.OpPutBack:
		p.Title, p.Headline = "put "+side+" back", []string{side + " serves again, beside " + peer + ".", "It gets traffic only after the balancer's own check has passed."}
	case ops.OpRestart:
		p.Title = "restart 14 services of " + side
		for _, name := range names {
			after := []string(nil)
			if need := needs[name]; need != "" {
				after = []string{"restart-" + need}
			}
			add("restart-"+name, act{"restart", "restart " + name, []string{"docker restart --time 30 tis_" + name + "_1", "wait until " + name + " is ready, 2 min at most"}, ops.Disruptive}, after...)
		}
	case ops.OpRollback:
		p.Title, p.UndoText = "roll back tcs on "+side, "images: yes, as they are now    traffic: yes    what containers wrote outside of volumes: no"
		add("swap-tcs", act{"swap", "tcs to image tis/tcs:77b01ff", []string{"docker stop --time 30 tis_tcs_1", "docker rename tis_tcs_1 tis_tcs_1.before", "create tis_tcs_1 as it was, from image tis/tcs:77b01ff; docker start tis_tcs_1", "wait until ready, 2 min at most", "docker rm tis_tcs_1.before"}, ops.Destructive})
	case ops.OpPatch:
		p.Title, p.UndoText = "patch "+side, "packages: yes, back to the versions from before    traffic: yes"
		add("patch", act{"patch", "engine 26.1.5 and compose 2.26.1", []string{"apt-get install docker.io=26.1.5+dfsg1-9 docker-cli=26.1.5+dfsg1-9 docker-compose=2.26.1-4", "apt-mark hold docker.io docker-cli docker-compose"}, ops.Destructive})
	case ops.OpCanary:
		p.Title, p.Headline, p.UndoText = "canary on "+side, []string{"Nobody notices: a throw-away container is made, started and removed on " + side + "."}, ""
	case ops.OpJob:
		p.Title, p.Headline, p.UndoText = "run ndw-etl on "+side, []string{"ndw-etl runs once on " + side + "."}, "what the job does: no"
		add("job", act{"job", "run ndw-etl", []string{"docker start tis_ndw-etl_1", "follow its log until it exits"}, ops.Disruptive})
	}
	if r.Op != ops.OpDrain && r.Op != ops.OpJob {
		add("canary", act{"canary", "canary on " + side, []string{"docker run --rm --memory 16m --label tandem.canary=r1 --network tis_default --name tandem-canary-r1 tandem-canary:r1 /canary", "docker rmi tandem-canary:r1"}, ops.Harmless})
	}
	if r.Op != ops.OpDrain && r.Op != ops.OpJob && r.Op != ops.OpCanary {
		add("put-back", act{"put-back", "put " + side + " back", []string{server + "drain, wait for its check, then ready"}, ops.Disruptive})
	}
	add("unlock", act{"unlock", "release the lock", []string{"remove the mark of run r1 on both hosts"}, ops.Harmless})
	for i := range p.Checks {
		for _, risk := range r.Accept {
			p.Checks[i].Accepted = p.Checks[i].Accepted || p.Checks[i].Guard == risk.Guard
		}
	}
	return p
}

// refuses makes a check of the plan fail.
func refuses(guard, text, hint string, absolute bool) func(ops.Request) (ops.Plan, error) {
	return func(r ops.Request) (ops.Plan, error) {
		p := planned(r)
		i := slices.IndexFunc(p.Checks, func(c ops.Check) bool { return c.Guard == guard })
		c := &p.Checks[i]
		c.State, c.Text, c.Hint, c.Absolute = ops.Fail, text, hint, absolute
		return p, nil
	}
}

var (
	peerIsOut = refuses("peer-in-service", "GREEN is out: BLUE is the only side in service", "put green back first: u on GREEN", false)
	heldLock  = refuses("not-locked", "locked by jsmith at ops2 for recover green, run 7f3a", "wait, or see tandem lock show", true)
)

func plannedOK(r ops.Request) (ops.Plan, error) { return planned(r), nil }

// timed is a console whose clock the test moves.
func timed(f *fake, w, h int) (*App, func(time.Duration)) {
	a := newConsole(f, w, h)
	now := noon
	a.now = func() time.Time { return now }
	return a, func(d time.Duration) { now = now.Add(d) }
}

// typing are the keys of a text, one by one.
func typing(text string) (keys []string) {
	for _, r := range text {
		if r == ' ' {
			keys = append(keys, "space")
			continue
		}
		keys = append(keys, string(r))
	}
	return keys
}

// pause stands for time going by between two keys.
const pause = "pause"

// play presses keys, with pauses between them.
func play(a *App, pass func(time.Duration), keys ...string) {
	for _, k := range keys {
		if k == pause {
			pass(quiet)
			continue
		}
		press(a, k)
	}
}

var changedPlan = func() ops.Plan {
	p := planned(ops.Request{Op: ops.OpRestart, Side: ops.Green})
	p.Checks[2].Text, p.Basis = "BLUE: 12 of 13 services ready", "b2"
	return p
}()

func TestDialogFrames(t *testing.T) {
	for _, s := range []struct {
		name  string
		plan  func(ops.Request) (ops.Plan, error)
		start func(ops.Plan) error
		keys  []string
		last  string // pressed last, without waiting for what comes of it
		set   func(*fake)
	}{
		{name: "restart", keys: []string{"tab", "r"}},
		{name: "restart scrolled", keys: []string{"tab", "r", pause, "pgdown", "tab"}},
		{name: "restart without drain", keys: []string{"tab", "r", pause, "space"}},
		{name: "put back", keys: []string{"tab", "u"}},
		{name: "drain", keys: []string{"tab", "d"}},
		{name: "canary", keys: []string{"tab", "c"}},
		{name: "job", keys: []string{"tab", "J", pause, "enter"}},
		{name: "patch", keys: []string{"tab", "P", pause, "j", "enter"}, set: func(f *fake) { f.versions = patches }},
		{name: "starting", keys: []string{"tab", "r", pause}, last: "y"},
		{name: "started", keys: []string{"tab", "r", pause, "y"}},
		{name: "drain refused", plan: peerIsOut, keys: []string{"d"}},
		{name: "drain refused for good", plan: heldLock, keys: []string{"d"}},
		{name: "risk", plan: peerIsOut, keys: append([]string{"d", pause, "a", pause}, typing("green burns")...)},
		{name: "risk accepted", plan: peerIsOut, keys: append(append(append([]string{"d", pause, "a", pause}, typing("green burns")...), "tab"), typing("blue")...)},
		{name: "changed", start: func(ops.Plan) error { return &ChangedError{changedPlan} }, keys: []string{"tab", "r", pause, "y"}},
		{name: "not started", start: func(ops.Plan) error {
			return &ops.Problem{Doing: "taking the lock", Side: ops.Blue, Err: errors.New("no space left on device"), Hint: "free space in /var/lib"}
		}, keys: []string{"tab", "r", pause, "y"}},
		{name: "typed", keys: append([]string{"tab", "b", pause, "j", "enter", pause}, typing("gre")...), set: func(f *fake) { f.images = choices }},
		{name: "read-only", keys: []string{"tab", "r", "ctrl+o"}},
	} {
		for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}, {40, 10}} {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				f := newFake(calm())
				f.plan, f.start, f.usual = plannedOK, s.start, map[string]time.Duration{"restart 14 services of GREEN": 3 * time.Minute}
				if s.plan != nil {
					f.plan = s.plan
				}
				if s.set != nil {
					s.set(f)
				}
				a, pass := timed(f, size.W, size.H)
				play(a, pass, s.keys...)
				if s.last != "" {
					a.Update(key(s.last))
				}
				keepFrame(t, a, size)
			})
		}
	}
}

var choices = []ImageChoice{
	{Image: ops.Image{ID: "sha256:a9e11f000000", Tags: []string{"tis/tcs:a9e11f0"}, Created: ago(3 * day)}, Current: true, PeerRuns: true},
	{Image: ops.Image{ID: "sha256:77b01ff00000", Tags: []string{"tis/tcs:77b01ff"}, Created: ago(12 * day)}},
}

// TestConfirming goes through what confirms and what does not.
func TestConfirming(t *testing.T) {
	restart, rollback := []string{"tab", "r"}, []string{"tab", "b", pause, "j", "enter"}
	for name, test := range map[string]struct {
		plan func(ops.Request) (ops.Plan, error)
		keys []string
		want []string
	}{
		"y":                          {keys: append(restart, pause, "y"), want: []string{"start restart 14 services of GREEN"}},
		"y too early":                {keys: append(restart, "y", "y")},
		"enter":                      {keys: append(restart, pause, "enter", pause, "enter")},
		"the key that opened it":     {keys: append(restart, pause, "r", pause, "r")},
		"space is no y":              {keys: append(restart, pause, "space", pause, "enter")},
		"y right after a toggle":     {keys: append(restart, pause, "space", "y")},
		"y some time after a toggle": {keys: append(restart, pause, "space", pause, "y"), want: []string{"start restart 14 services of GREEN"}},
		"Y":                          {keys: append(restart, pause, "Y")},
		"cancelled":                  {keys: append(restart, pause, "esc", "y")},
		"refused":                    {plan: heldLock, keys: []string{"d", pause, "y", "a", pause, "y"}},
		"a risk without acceptance":  {plan: peerIsOut, keys: []string{"d", pause, "y"}},
		"y where the name is wanted": {keys: append(rollback, pause, "y", "enter")},
		"the name":                   {keys: append(append(rollback, pause), typing("green")...), want: []string{"start roll back tcs on GREEN"}},
		"the name too early":         {keys: append(rollback, typing("green")...)},
		"another name":               {keys: append(append(append(rollback, pause), typing("blue")...), "enter")},
		"the name in capitals":       {keys: append(append(append(rollback, pause), typing("GREEN")...), "enter")},
		"more than the name":         {keys: append(append(append(rollback, pause), typing("xgreen")...), "enter")},
		"a risk accepted": {
			plan: peerIsOut,
			keys: slices.Concat([]string{"d", pause, "a", pause}, typing("green burns"), []string{"tab"}, typing("blue"), []string{pause, "y"}),
			want: []string{"start drain BLUE"},
		},
		"a risk accepted is not yet a confirmation": {
			plan: peerIsOut, keys: slices.Concat([]string{"d", pause, "a", pause}, typing("green burns"), []string{"tab"}, typing("blue"), []string{"y", pause, "enter"}),
		},
		"a risk without a reason": {plan: peerIsOut, keys: slices.Concat([]string{"d", pause, "a", pause, "tab"}, typing("blue"), []string{pause, "enter", "y"})},
		"a reason of blanks":      {plan: peerIsOut, keys: slices.Concat([]string{"d", pause, "a", pause, "space", "space", "tab"}, typing("blue"), []string{pause, "enter", "y"})},
		"read-only":               {keys: append(restart, "ctrl+o", pause, "y")},
		"read-only, typed":        {keys: append(append(rollback, "ctrl+o", pause), typing("green")...)},
	} {
		f := newFake(calm())
		f.plan, f.images = plannedOK, choices
		if test.plan != nil {
			f.plan = test.plan
		}
		a, pass := timed(f, 120, 40)
		play(a, pass, test.keys...)
		if diff := cmp.Diff(test.want, f.calls); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestNothingStartsUnconfirmed presses any keys but those that confirm: y, and the n and l
// without which no side's name can be typed.
func TestNothingStartsUnconfirmed(t *testing.T) {
	var keys []string
	for c := '!'; c < 0x7f; c++ {
		if !strings.ContainsRune("ynl:", c) {
			keys = append(keys, string(c))
		}
	}
	keys = append(keys, "enter", "enter", "enter", "space", "space", "tab", "tab", "esc", "up", "down", "pgdown", "backspace", "d", "u", "r", "c", "b", "a", pause, pause, pause, pause)
	rapid.Check(t, func(t *rapid.T) {
		f := newFake(calm())
		f.plan = rapid.SampledFrom([]func(ops.Request) (ops.Plan, error){plannedOK, peerIsOut, heldLock}).Draw(t, "plan")
		f.images, f.past = choices, pastRuns()
		a, pass := timed(f, 100, 30)
		play(a, pass, rapid.SliceOfN(rapid.SampledFrom(keys), 1, 25).Draw(t, "keys")...)
		if len(f.calls) > 0 {
			t.Fatalf("started: %v", f.calls)
		}
	})
}

// TestNothingStartsInHaste presses any keys without ever waiting: whatever opens swallows
// what was meant for what was there before.
func TestNothingStartsInHaste(t *testing.T) {
	keys := []string{"y", "enter", "space", "tab", "d", "u", "r", "c", "b", "a", "j", "g", "r", "e", "e", "n", "esc"}
	rapid.Check(t, func(t *rapid.T) {
		f := newFake(calm())
		f.plan, f.images = plannedOK, choices
		a, pass := timed(f, 100, 30)
		for range rapid.IntRange(1, 3).Draw(t, "bursts") {
			play(a, pass, rapid.SliceOfN(rapid.SampledFrom(keys), 1, 12).Draw(t, "keys")...)
			play(a, pass, "esc", "esc", "esc", "esc", pause)
		}
		for _, call := range f.calls {
			if !strings.HasPrefix(call, "note ") { // a word of the operator's starts nothing
				t.Fatalf("started: %v", f.calls)
			}
		}
	})
}

// What a terminal too small to show is neither asked nor confirmed; what comes back into
// sight is not answered by a key that was meant for what was there before.
func TestNothingStartsUnread(t *testing.T) {
	tiny, large := tea.WindowSizeMsg{Width: 20, Height: 5}, tea.WindowSizeMsg{Width: 100, Height: 30}
	f := newFake(calm())
	f.plan, f.images, f.past = plannedOK, choices, pastRuns()
	a, pass := timed(f, 100, 30)
	resize := func(to tea.WindowSizeMsg) {
		_, cmd := a.Update(to)
		settle(a, cmd)
	}
	resize(tiny)
	play(a, pass, "tab", "d", pause, "y", "b", pause, "enter", pause, "y")
	if len(f.requests) > 0 {
		t.Errorf("asked for %v", f.requests)
	}
	resize(large)
	play(a, pass, pause, "d")
	resize(tiny)
	play(a, pass, pause, "y", "space", "enter")
	settle(a, func() tea.Msg { return tea.PasteMsg{Content: "y"} })
	resize(large)
	play(a, pass, "y")
	if len(f.calls) > 0 {
		t.Errorf("started: %v", f.calls)
	}
	play(a, pass, pause, "y")
	if len(f.calls) != 1 {
		t.Errorf("once it could be read: %v", f.calls)
	}

	answered := 0
	a.Update(openMsg{newAsk(&a.env, "Stop the run?", "It stops.", "stop", func() tea.Msg { answered++; return nil })})
	resize(tiny)
	play(a, pass, pause, "y")
	resize(large)
	play(a, pass, "y")
	if answered > 0 {
		t.Error("a question was answered that could not be read")
	}
	resize(tiny)
	play(a, pass, "esc")
	if _, asks := a.top().(*askBox); asks {
		t.Error("esc does not leave what cannot be read")
	}
}

func TestAStateChangedAsksAnew(t *testing.T) {
	f := newFake(calm())
	asked := 0
	f.plan, f.start = plannedOK, func(ops.Plan) error {
		if asked++; asked == 1 {
			return &ChangedError{changedPlan}
		}
		return nil
	}
	a, pass := timed(f, 120, 40)
	play(a, pass, "tab", "r", pause, "y")
	wants(t, a, "The pair has changed since you looked", "BLUE: 12 of 13 services ready", "was: BLUE: 13 of 13 services ready", "press y to go on")
	play(a, pass, "y")
	if asked != 1 {
		t.Error("a y typed before the new plan could be read has confirmed it")
	}
	play(a, pass, pause, "y")
	if asked != 2 {
		t.Error("the new plan cannot be confirmed")
	}
	if _, ok := a.top().(*runView); !ok {
		t.Errorf("the run is not shown, but %T", a.top())
	}
}

// What is taken back is asked anew, too, and then the plan shown last is the one confirmed.
func TestARollbackOfAStateChangedAsksAnew(t *testing.T) {
	f := newFake(calm())
	f.run = ended(half(), ops.OutcomeStopped)
	var confirmed []string
	f.start = func(p ops.Plan) error {
		if confirmed = append(confirmed, p.Basis); len(confirmed) == 1 {
			return &ChangedError{changedPlan}
		}
		return nil
	}
	a, pass := timed(f, 120, 40)
	play(a, pass, "v", "b", pause, "y")
	wants(t, a, "The pair has changed since you looked")
	play(a, pass, pause, "y")
	if diff := cmp.Diff([]string{"", "b2"}, confirmed); diff != "" {
		t.Error(diff)
	}
}

func TestTheAcceptedRiskIsInTheRequest(t *testing.T) {
	f := newFake(calm())
	f.plan = peerIsOut
	a, pass := timed(f, 120, 40)
	play(a, pass, slices.Concat([]string{"d", pause, "a", pause}, typing(" green burns "), []string{"enter"}, typing("blue"))...)
	want := ops.Request{Op: ops.OpDrain, Side: ops.Blue, Accept: []ops.Risk{{Guard: "peer-in-service", Reason: "green burns"}}}
	if diff := cmp.Diff(want, f.requests[len(f.requests)-1]); diff != "" {
		t.Error(diff)
	}
	wants(t, a, "risk accepted", "press y to go on")
}

func TestKeysAreOfferedOnlyWhereTheyWork(t *testing.T) {
	for name, test := range map[string]struct {
		plan     func(ops.Request) (ops.Plan, error)
		keys     []string
		has, not string
	}{
		"plan":      {plannedOK, []string{"d"}, "y go on", "accept the risk"},
		"risky":     {peerIsOut, []string{"d"}, "a accept the risk", "y go on"},
		"refused":   {heldLock, []string{"d"}, "esc close", "y go on"},
		"looked at": {plannedOK, []string{"d", "ctrl+o"}, "esc close", "y go on"},
	} {
		f := newFake(calm())
		f.plan = test.plan
		a := newConsole(f, 120, 40)
		press(a, test.keys...)
		lines := strings.Split(text(a), "\n")
		bar := lines[39]
		if !strings.Contains(bar, test.has) || strings.Contains(bar, test.not) {
			t.Errorf("%s: the key bar says %q", name, bar)
		}
		if !strings.Contains(lines[0], "tandem") {
			t.Errorf("%s: the title bar is covered", name)
		}
	}
}

// TestEveryEffectIsInTheDialog scrolls through the dialog and looks for every call.
func TestEveryEffectIsInTheDialog(t *testing.T) {
	for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}} {
		f := newFake(calm())
		f.plan = plannedOK
		a, pass := timed(f, size.W, size.H)
		play(a, pass, "tab", "r", pause)
		var seen strings.Builder
		for range 120 {
			seen.WriteString(text(a))
			press(a, "down")
		}
		for _, step := range planned(f.requests[0]).Steps {
			for _, effect := range step.Step.Effects() {
				effect = unnamed(effect, step.Step.Title())
				if effect = effect[:min(len(effect), 30)]; !strings.Contains(seen.String(), effect) {
					t.Errorf("%dx%d: %q cannot be read", size.W, size.H, effect)
				}
			}
		}
	}
}

// TestCancelWhileStarting checks that esc reaches a start under way, and that its answer
// is told.
func TestCancelWhileStarting(t *testing.T) {
	f := newFake(calm())
	f.plan = plannedOK
	a, pass := timed(f, 120, 40)
	play(a, pass, "tab", "r", pause)
	d := a.top().(*confirmDialog)
	var ended error
	d.start = func(ctx context.Context, _ ops.Plan) error {
		<-ctx.Done()
		ended = ctx.Err()
		return ended
	}
	_, start := a.Update(key("y"))
	wants(t, a, "starting …")
	press(a, "y", "enter", "esc")
	settle(a, start)
	if !errors.Is(ended, context.Canceled) || len(a.stack) != 1 {
		t.Errorf("the start ended with %v, %d screens", ended, len(a.stack))
	}
	wants(t, a, "cancelled: nothing was started")
}

// TestAnswersFindTheirDialog checks that a plan that comes late does not replace another one.
func TestAnswersFindTheirDialog(t *testing.T) {
	f := newFake(calm())
	f.plan = plannedOK
	a, pass := timed(f, 120, 40)
	play(a, pass, "tab", "r", pause)
	_, late := a.Update(key("space"))
	play(a, pass, "esc", "u")
	settle(a, late)
	wants(t, a, "Put back", "GREEN serves again")
}

func TestAskedTwiceOpensOneDialog(t *testing.T) {
	f := newFake(calm())
	f.plan = plannedOK
	a := newConsole(f, 120, 40)
	_, first := a.Update(key("d"))
	_, second := a.Update(key("d"))
	settle(a, first)
	settle(a, second)
	if len(a.stack) != 2 {
		t.Errorf("%d screens are open", len(a.stack))
	}
}

func TestBeside(t *testing.T) {
	step := func(id string, needs ...string) ops.PlannedStep { return ops.PlannedStep{ID: id, Needs: needs} }
	for name, test := range map[string]struct {
		steps []ops.PlannedStep
		want  string
	}{
		"chain":   {[]ops.PlannedStep{step("a"), step("b", "a"), step("c", "b")}, "..."},
		"pair":    {[]ops.PlannedStep{step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")}, ".╭╰."},
		"three":   {[]ops.PlannedStep{step("a"), step("b", "a"), step("c", "a"), step("d", "a")}, ".╭│╰"},
		"two":     {[]ops.PlannedStep{step("a"), step("b", "a"), step("c", "a"), step("d", "b"), step("e", "c")}, ".╭╰╭╰"},
		"skipped": {[]ops.PlannedStep{step("a"), {ID: "b", Needs: []string{"a"}, Skip: "so already"}, step("c", "a")}, "..."},
		"none":    {nil, ""},
	} {
		got := ""
		for _, piece := range beside(test.steps) {
			if piece == "" {
				piece = "."
			}
			got += piece
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestQuestionNeedsY(t *testing.T) {
	f := newFake(calm())
	a, pass := timed(f, 120, 40)
	yes := 0
	ask := func() {
		a.Update(openMsg{newAsk(&a.env, "Stop the run?", "It stops.", "stop", func() tea.Msg { yes++; return nil })})
	}
	for _, keys := range [][]string{{"y", "enter", "esc"}, {pause, "enter"}, {pause, "esc", "y"}, {pause, "x", "esc"}} {
		ask()
		play(a, pass, keys...)
		if yes > 0 || len(a.stack) != 1 {
			t.Errorf("%v: answered %d times, %d screens", keys, yes, len(a.stack))
		}
	}
	ask()
	play(a, pass, pause, "y")
	if yes != 1 || len(a.stack) != 1 {
		t.Errorf("y: answered %d times, %d screens", yes, len(a.stack))
	}
}

// service is the data of a step that is about one.
func service(name string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"Service":{"Name":%q}}`, name))
}
