package tui

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

// recovering is the plan of a recovery as the planner makes it, with all its steps.
func recovering(r ops.Request) ops.Plan {
	p := planned(r)
	p.Patient, p.Title = true, "recover "+r.Side.Upper()
	if r.Both {
		p.Title += ", then " + r.Side.Peer().Upper()
	}
	p.UndoText = "containers, networks, address pools: yes, made again from what is recorded    traffic: yes    the reboot: no"
	p.Headline = []string{r.Side.Peer().Upper() + " serves alone until " + r.Side.Upper() + " is back.", "Every container of " + r.Side.Upper() + " is made anew; volumes and images stay."}
	p.Steps = nil
	last := ""
	add := func(side ops.Side, name string, s act, after ...string) string {
		if len(after) == 0 && last != "" {
			after = []string{last}
		}
		id := fmt.Sprintf("%02d-%s", len(p.Steps)+1, name)
		p.Steps = append(p.Steps, ops.PlannedStep{ID: id, Side: side, Needs: after, Step: s})
		last = id
		return id
	}
	left := func(part, why string) {
		if slices.Contains(r.Without, part) {
			p.Steps[len(p.Steps)-1].Skip = why
		}
	}
	one := func(side ops.Side) {
		name := side.Upper()
		server := "haproxy: set server tis/" + string(side) + " state "
		add(side, "drain", act{"drain", "drain " + name, []string{server + "drain", "wait for sessions to end, 5 min at most", server + "maint"}, ops.Disruptive})
		add(side, "hold", act{"hold", "hold restart policies", []string{"docker update --restart no of 21 containers"}, ops.Disruptive})
		before := last
		for _, service := range slices.Backward(names) {
			add(side, "stop-"+service, act{"stop", "stop " + service, []string{"docker stop --time 30 tis_" + service + "_1"}, ops.Disruptive}, before)
		}
		add(side, "stop-others", act{"stop", "stop other containers", []string{"docker stop portainer"}, ops.Disruptive})
		add(side, "reboot", act{"reboot", "reboot " + name, []string{"systemd-run --on-active=2 systemctl reboot", "wait for another boot id, 10 min at most"}, ops.Destructive})
		left(ops.PartReboot, "left out as asked")
		add(side, "remove", act{"remove", "remove 20 containers", []string{"docker rm of 20 containers; volumes stay"}, ops.Destructive})
		add(side, "networks", act{"remove-networks", "remove 2 networks", []string{"docker network rm tis_default tis_etl"}, ops.Destructive})
		add(side, "pools", act{"pools", "move address pools", []string{"write /etc/docker/daemon.json, reverts itself in 90 s unless proven"}, ops.Destructive})
		left(ops.PartPools, "left out as asked")
		add(side, "make-networks", act{"make-networks", "make 2 networks", []string{"docker network create of what compose does not make"}, ops.Disruptive})
		ids := map[string]string{}
		base := last
		for _, service := range names {
			after := base
			if need := needs[service]; need != "" {
				after = ids[need]
			}
			ids[service] = add(side, "start-"+service, act{"start", "start " + service, []string{"docker-compose up -d --no-deps --no-build " + service, "wait until " + service + " is ready, 2 min at most"}, ops.Disruptive}, after)
		}
		add(side, "unhold", act{"unhold", "restore restart policies", []string{"docker update --restart, as recorded, of 21 containers"}, ops.Disruptive})
		add(side, "verify", act{"verify", "verify services of " + name, []string{"every service of " + name + " is ready"}, ops.Harmless})
		add(side, "canary", act{"canary", "canary on " + name, []string{"docker run --rm tandem-canary:r1 /canary"}, ops.Harmless})
		add(side, "put-back", act{"put-back", "put " + name + " back", []string{server + "drain, wait for its check, then ready"}, ops.Disruptive})
		left(ops.PartPutBack, "left out as asked")
		add(side, "soak", act{"soak", "watch " + name + " in service", []string{"in service and ready for 30 s"}, ops.Harmless})
	}
	add("", "lock", act{"lock", "take the lock", []string{"mark run r1 in /var/lib/tandem/lock on both hosts"}, ops.Harmless})
	add(r.Side, "preflight", act{"preflight", "preflight on " + r.Side.Upper(), []string{"sudo -n true", "try compose with a throw-away project"}, ops.Harmless})
	add(r.Side.Peer(), "canary", act{"canary", "canary on " + r.Side.Peer().Upper(), []string{"docker run --rm tandem-canary:r1 /canary"}, ops.Harmless})
	one(r.Side)
	if r.Both {
		add(r.Side.Peer(), "preflight", act{"preflight", "preflight on " + r.Side.Peer().Upper(), []string{"sudo -n true"}, ops.Harmless})
		if !r.StraightOn {
			p.Steps[len(p.Steps)-1].Pause = goOn(r.Side)
		}
		one(r.Side.Peer())
	}
	add("", "unlock", act{"unlock", "release the lock", []string{"remove the mark of run r1 on both hosts"}, ops.Harmless})
	return p
}

func goOn(side ops.Side) string {
	return side.Upper() + " is in service again. Go on with " + side.Peer().Upper() + "?"
}

func recoveringOK(r ops.Request) (ops.Plan, error) { return recovering(r), nil }

// composeFails refuses a recovery as the incident would have had it.
func composeFails(r ops.Request) (ops.Plan, error) {
	p := recovering(r)
	if r.Start != ops.StartAPI {
		p.Checks = append([]ops.Check{{
			Guard: "compose-works", State: ops.Fail, Text: "compose 1.29.2 cannot make containers on engine 26.1.5: KeyError 'ContainerConfig'", At: noon,
			Hint: "bring compose to match the engine, or start through the API: switch 5", Absolute: true,
		}}, p.Checks...)
	}
	return p, nil
}

// recoverSizes are those whose frames are kept, and two at which nothing may break.
var recoverSizes = []Size{{80, 24}, {120, 40}, {200, 60}, {60, 20}, {40, 10}}

func TestRecoverDialogFrames(t *testing.T) {
	open := []string{"tab", "R"}
	for _, s := range []struct {
		name string
		plan func(ops.Request) (ops.Plan, error)
		keys []string
	}{
		{name: "green", keys: open},
		{name: "green scrolled", keys: append(open, pause, "pgdown", "pgdown")},
		{name: "both", keys: append(open, pause, "1")},
		{name: "both scrolled", keys: slices.Concat(open, []string{pause, "1", pause}, slices.Repeat([]string{"pgdown"}, 8), slices.Repeat([]string{"up"}, 7))},
		{name: "switches", keys: append(open, pause, "1", "2", "3", "4", "5", "5", "6", "tab", "tab", pause, "b", "o")},
		{name: "refused", plan: composeFails, keys: open},
	} {
		for _, size := range recoverSizes {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				f := newFake(calm())
				f.plan, f.usual = recoveringOK, map[string]time.Duration{"recover GREEN": 4 * time.Minute}
				if s.plan != nil {
					f.plan = s.plan
				}
				a, pass := timed(f, size.W, size.H)
				play(a, pass, s.keys...)
				if size.W >= 80 {
					keepFrame(t, a, size)
				} else {
					checkFrame(t, a.View().Content, size)
				}
			})
		}
	}
}

// TestSwitches checks what each switch asks for, and that nothing waits for the one before.
func TestSwitches(t *testing.T) {
	base := ops.Request{Op: ops.OpRecover, Side: ops.Green}
	with := func(change func(*ops.Request)) ops.Request {
		r := base
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		keys []string
		want ops.Request
	}{
		"both":         {[]string{"1"}, with(func(r *ops.Request) { r.Both = true })},
		"both off":     {[]string{"1", "6", "1"}, with(func(r *ops.Request) { r.Both = false })},
		"no reboot":    {[]string{"2"}, with(func(r *ops.Request) { r.Without = []string{"reboot"} })},
		"reboot again": {[]string{"2", "2"}, with(func(r *ops.Request) { r.Without = []string{} })},
		"parts":        {[]string{"3", "4"}, with(func(r *ops.Request) { r.Without = []string{"pools", "put-back"} })},
		"compose":      {[]string{"5"}, with(func(r *ops.Request) { r.Start = ops.StartCompose })},
		"api":          {[]string{"5", "5"}, with(func(r *ops.Request) { r.Start = ops.StartAPI })},
		"auto again":   {[]string{"5", "5", "5"}, base},
		"straight on":  {[]string{"1", "6"}, with(func(r *ops.Request) { r.Both, r.StraightOn = true, true })},
		"by tab":       {[]string{"tab", "tab", "space"}, with(func(r *ops.Request) { r.Without = []string{"reboot"} })},
		"none at six":  {[]string{"6"}, base},
	} {
		f := newFake(calm())
		f.plan = recoveringOK
		a, pass := timed(f, 120, 40)
		play(a, pass, append([]string{"tab", "R", pause}, test.keys...)...)
		if diff := cmp.Diff(test.want, f.requests[len(f.requests)-1]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(f.calls) > 0 {
			t.Errorf("%s: started %v", name, f.calls)
		}
	}
}

// TestOnlyTheLastSwitchCounts lets the plan of the first switch come after that of the second.
func TestOnlyTheLastSwitchCounts(t *testing.T) {
	f := newFake(calm())
	f.plan = recoveringOK
	a, pass := timed(f, 120, 40)
	play(a, pass, "tab", "R", pause)
	_, first := a.Update(key("2"))
	_, second := a.Update(key("3"))
	settle(a, second)
	settle(a, first)
	d := a.top().(*confirmDialog)
	if diff := cmp.Diff([]string{"reboot", "pools"}, d.plan.Request.Without); diff != "" || d.phase != asking {
		t.Errorf("phase %v, %s", d.phase, diff)
	}
}

func TestConfirmingRecover(t *testing.T) {
	for name, test := range map[string]struct {
		plan func(ops.Request) (ops.Plan, error)
		keys []string
		want []string
	}{
		"the name":                  {keys: append([]string{pause}, typing("green")...), want: []string{"start recover GREEN"}},
		"the name too early":        {keys: typing("green")},
		"y":                         {keys: []string{pause, "y", "enter"}},
		"both":                      {keys: slices.Concat([]string{pause, "1", pause}, typing("both")), want: []string{"start recover GREEN, then BLUE"}},
		"both by the side's name":   {keys: slices.Concat([]string{pause, "1", pause}, typing("green"))},
		"both right after a switch": {keys: slices.Concat([]string{pause, "1"}, typing("both"))},
		"a switch in the name":      {keys: slices.Concat([]string{pause}, typing("gre"), []string{"2", pause}, typing("en"))},
		"the whole name afterwards": {keys: slices.Concat([]string{pause}, typing("gre"), []string{"2", pause}, typing("green")), want: []string{"start recover GREEN"}},
		"refused":                   {plan: composeFails, keys: append([]string{pause}, typing("green")...)},
		"refused, then switched":    {plan: composeFails, keys: slices.Concat([]string{pause, "5", "5", pause}, typing("green")), want: []string{"start recover GREEN"}},
	} {
		f := newFake(calm())
		f.plan = recoveringOK
		if test.plan != nil {
			f.plan = test.plan
		}
		a, pass := timed(f, 120, 40)
		play(a, pass, append([]string{"tab", "R"}, test.keys...)...)
		if diff := cmp.Diff(test.want, f.calls); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestASwitchThatCannotBeIsTakenBack checks that an error of a plan does not end the dialog.
func TestASwitchThatCannotBeIsTakenBack(t *testing.T) {
	f := newFake(calm())
	f.plan = func(r ops.Request) (ops.Plan, error) {
		if r.Both {
			return ops.Plan{}, &ops.Problem{Doing: "planning", Err: errors.New("BLUE was never read"), Hint: "check the connection"}
		}
		return recovering(r), nil
	}
	a, pass := timed(f, 120, 40)
	play(a, pass, "tab", "R", pause, "1")
	wants(t, a, "BLUE was never read", "check the connection", "1 sides: GREEN, then BLUE")
	play(a, pass, "1")
	wants(t, a, "1 sides: GREEN only", "type green to go on")
}

// recoveryAt is a run of recover both with so many steps done, those of the same depth
// under way together; set changes it.
func recoveryAt(done, running int, set func(*ops.Run)) *ops.Run {
	request := ops.Request{Op: ops.OpRecover, Side: ops.Green, Both: true}
	plan := recovering(request)
	r := &ops.Run{
		ID: "20240517-135400-7f3a", By: "jsmith@ops1", Started: ago(9 * time.Minute), Events: 412,
		Plan: ops.PlanDoc{ID: "20240517-135400-7f3a", Pair: "tis-prod", Op: ops.OpRecover, Title: plan.Title, Side: ops.Green, Request: request, Patient: true},
	}
	at := r.Started
	for i, s := range plan.Steps {
		kind := s.Step.Kind()
		step := ops.RunStep{
			Doc:   ops.StepDoc{ID: s.ID, Side: s.Side, Kind: kind, Title: s.Step.Title(), Effects: s.Step.Effects(), Needs: s.Needs, Pause: s.Pause},
			Phase: ops.Waiting,
		}
		if name, ok := strings.CutPrefix(step.Doc.Title, kind+" "); ok && (kind == "stop" || kind == "start") {
			if kind == "start" {
				step.Doc.Service = name
			}
			step.Doc.Data = json.RawMessage(fmt.Sprintf(`{"Service":{"Name":%q},"Containers":[{}]}`, name))
		}
		switch kind {
		case "remove":
			step.Doc.Data = json.RawMessage(`{"Containers":[` + strings.Repeat("{},", 19) + `{}]}`)
		case "remove-networks", "make-networks":
			step.Doc.Data = json.RawMessage(`{"Networks":[{},{}]}`)
		}
		if i < done+running {
			step.Phase, step.Started, step.Text = ops.Running, at, "9 s so far"
		}
		if i < done {
			at = at.Add(8 * time.Second)
			step.Phase, step.Ended, step.Text = ops.Done, at, "ready, 8 s"
		}
		r.Steps = append(r.Steps, step)
	}
	if set != nil {
		set(r)
	}
	return r
}

func lines(r *ops.Run, step int, texts ...string) {
	for i, text := range texts {
		r.Lines = append(r.Lines, ops.RunLine{At: ago(time.Duration(len(texts)-i+30) * time.Second), Step: r.Steps[step].Doc.ID, Kind: ops.EvSay, Text: text})
	}
}

func paused(r *ops.Run, step int, text string) {
	r.Paused, r.PauseText = true, text
	id := ""
	if step >= 0 {
		id = r.Steps[step].Doc.ID
	}
	r.Lines = append(r.Lines, ops.RunLine{At: ago(42 * time.Second), Step: id, Kind: ops.EvPaused, Text: text})
}

// The places in the plan of recover both.
const (
	startOfTCS  = 29 // of the first side
	secondStart = 44 // preflight of the other side
)

func middle() *ops.Run {
	return recoveryAt(startOfTCS, 1, func(r *ops.Run) {
		lines(r, startOfTCS-1, "profile: healthy, 11 s")
		lines(r, startOfTCS, "docker-compose up -d --no-deps --no-build tcs", "tcs: starting, 9 s")
	})
}

func middleOfSecond() *ops.Run {
	return recoveryAt(secondStart+20, 1, func(r *ops.Run) { lines(r, secondStart+20, "BLUE cannot be reached: waiting") })
}

func peerLost() *ops.Run {
	return recoveryAt(20, 0, func(r *ops.Run) {
		paused(r, 20, "BLUE is down, not in service (look at BLUE: l shows its logs): paused before `reboot GREEN`; it goes on by itself when that is mended; "+
			"to go on all the same: stop, then resume with peer-in-service accepted; roll back: start 14 services, 2 more, put GREEN back")
	})
}

// keptBack is a run that was told to stop while something kept its next step from acting.
func keptBack() *ops.Run {
	r := peerLost()
	s := &r.Steps[20]
	s.Started, s.Text = ago(time.Minute), r.PauseText
	s.Checks = []ops.Check{{Guard: "side-fresh", State: ops.Pass}, {Guard: "peer-in-service", State: ops.Fail, Text: "BLUE is down, not in service", Hint: "look at BLUE: l shows its logs"}}
	r.Paused, r.PauseText = false, ""
	return ended(r, ops.OutcomeStopped)
}

// canaryFailed is a run whose canary failed on a side: BLUE, before GREEN was drained, or GREEN,
// before it was to be put back.
func canaryFailed(side ops.Side) *ops.Run {
	at := slices.IndexFunc(recoveryAt(0, 0, nil).Steps, func(s ops.RunStep) bool { return s.Doc.Kind == "canary" && s.Doc.Side == side })
	return ended(recoveryAt(at, 1, func(r *ops.Run) {
		s := &r.Steps[at]
		s.Phase, s.Ended, s.Text = ops.Failed, ago(30*time.Second), "starting a new container: no such runtime"
		s.Risks = []ops.Risk{{Guard: "side-canary", Side: side}, {Guard: "peer-canary", Side: side.Peer()}}
	}), ops.OutcomeFailed)
}

func questioned() *ops.Run {
	return recoveryAt(secondStart, 0, func(r *ops.Run) { paused(r, secondStart, goOn(ops.Green)) })
}

func unready() *ops.Run {
	r := recoveryAt(startOfTCS, 1, func(r *ops.Run) {
		s := &r.Steps[startOfTCS]
		s.Phase, s.Ended, s.Text = ops.Failed, ago(30*time.Second), "tcs on GREEN: starting tcs: not ready within 2 min: exited 1 (its last lines are above: mend it, then resume to try again; or skip it: resume --accept services-ready --reason WHY; or roll back)"
		lines(r, startOfTCS, "tcs: exited 1, 118 s", "tcs | 2024-05-17 14:02:31.118 ERROR Failed to bind properties under 'spring.datasource.url'",
			"tcs | Caused by: java.net.UnknownHostException: reference", "tcs |   at java.net.InetAddress.getAllByName0(InetAddress.java:1281)", "tcs | Application run failed")
		r.Lines = append(r.Lines, ops.RunLine{At: s.Ended, Step: s.Doc.ID, Kind: ops.EvFailed, Text: s.Text})
	})
	return ended(r, ops.OutcomeFailed)
}

func recovered() *ops.Run {
	r := recoveryAt(87, 0, func(r *ops.Run) {
		for i := range r.Steps {
			s := &r.Steps[i]
			if s.Doc.Kind == "pools" {
				s.Phase, s.Text = ops.Skipped, "networks.pools is not in the config"
			}
		}
		r.Told.Before = map[ops.Side]ops.Versions{ops.Blue: {Engine: "20.10.24", Compose: "1.29.2"}, ops.Green: {Engine: "26.1.5", Compose: "1.29.2"}}
		r.Told.After = map[ops.Side]ops.Versions{ops.Blue: {Engine: "26.1.5", Compose: "1.29.2"}, ops.Green: {Engine: "26.1.5", Compose: "1.29.2"}}
		r.Told.ServedBefore, r.Told.ServedAfter = map[ops.Side]ops.Served{ops.Blue: {Requests: 18204}}, map[ops.Side]ops.Served{ops.Blue: {Requests: 36408}}
		r.Told.Lost = []ops.Loss{{Step: r.Steps[20].Doc.ID, Name: "tis_apache_1", What: []string{"the legacy link to keycloak"}}}
	})
	return ended(r, ops.OutcomeDone)
}

func TestRecoverRunFrames(t *testing.T) {
	for _, s := range []struct {
		name string
		run  func() *ops.Run
		end  func() *ops.Run // what it is once it was seen under way
		keys []string
		set  func(*fake)
	}{
		{name: "middle", run: middle},
		{name: "middle of the second", run: middleOfSecond},
		{name: "middle unfolded", run: middle, keys: []string{"up", "enter"}},
		{name: "paused", run: peerLost, set: func(f *fake) { f.snap.Balancer.Blue.Traffic = ops.Down }},
		{name: "paused as asked", run: func() *ops.Run { r := middle(); paused(r, -1, "as asked"); return r }},
		{name: "question", run: questioned},
		{name: "question put off", run: questioned, keys: []string{"esc"}},
		{name: "failed service", run: unready},
		{name: "kept back", run: keptBack, set: func(f *fake) { f.snap.Balancer.Blue.Traffic = ops.Down }},
		{name: "skip", run: unready, keys: append([]string{"a", pause}, typing("tcs is not used at night")...)},
		{name: "summary", run: middle, end: recovered},
	} {
		for _, size := range recoverSizes {
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s %dx%d", s.name, size.W, size.H), " ", "-"), func(t *testing.T) {
				snap := incident()
				snap.Balancer.Green.Traffic = ops.Out
				f := newFake(snap)
				f.run, f.usual = s.run(), map[string]time.Duration{}
				for _, step := range f.run.Steps {
					f.usual[step.Doc.Title] = 9 * time.Second
				}
				f.usual[f.run.Plan.Title] = 12 * time.Minute
				if s.set != nil {
					s.set(f)
				}
				a, pass := timed(f, size.W, size.H)
				press(a, "v")
				f.snap.Balancer.Blue.Requests = ptr(uint64(18204 + 9110))
				f.snap.Blue.Version.Running = "26.1.5"
				change(a)
				if s.end != nil {
					f.run = s.end()
					f.snap.Balancer.Green.Traffic = ops.InService
					change(a)
				}
				play(a, pass, s.keys...)
				if size.W >= 80 {
					keepFrame(t, a, size)
				} else {
					checkFrame(t, a.View().Content, size)
				}
			})
		}
	}
}

// Why a run was taken back is said once, and what to do about it on a line of its own.
func TestTheSummarySaysWhyOnce(t *testing.T) {
	const why, hint = "BLUE: starting a new container: no address left", "accept peer-canary"
	f := newFake(calm())
	f.run = ended(recoveryAt(2, 1, func(r *ops.Run) {
		s := &r.Steps[2]
		s.Phase, s.Ended, s.Text, s.Hint = ops.Failed, ago(time.Minute), why+" ("+hint+")", hint
		r.Rolling = true
		r.Lines = append(r.Lines, ops.RunLine{At: s.Ended, Step: s.Doc.ID, Kind: ops.EvFailed, Text: s.Text},
			ops.RunLine{At: s.Ended, Kind: ops.EvRollback, Text: "nothing was changed: " + why})
	}), ops.OutcomeFailed)
	a, pass := timed(f, 200, 60)
	play(a, pass, "v")
	wants(t, a, "→ "+hint, "taken back  nothing was changed ")
	_, summary, _ := strings.Cut(text(a), "summary")
	if n := strings.Count(summary, "no address left"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, summary)
	}
}

// What an operator notes stands among the lines of whatever is under way, and in the summary.
func TestNotesAreShown(t *testing.T) {
	note := func(r *ops.Run) {
		r.Lines = append(r.Lines, ops.RunLine{At: ago(time.Minute), Kind: ops.EvNote, Text: "bo@desk: seen 503s"})
	}
	for name, run := range map[string]*ops.Run{"services start": recoveryAt(startOfTCS, 1, note), "the summary": ended(recoveryAt(87, 0, note), ops.OutcomeDone)} {
		f := newFake(calm())
		f.run = run
		a, pass := timed(f, 200, 60)
		play(a, pass, "v")
		if frame := text(a); strings.Count(frame, "bo@desk: seen 503s") != 1 {
			t.Errorf("%s:\n%s", name, frame)
		}
	}
}
