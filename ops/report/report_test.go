package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
)

var update = flag.Bool("update", false, "write the golden files")

var begun = time.Date(2020, 11, 13, 10, 54, 0, 0, time.UTC)

// tale is a run being told event by event.
type tale struct {
	t      *testing.T
	now    time.Time
	events []ops.Event
	doc    ops.PlanDoc
}

func newTale(t *testing.T, doc ops.PlanDoc) *tale {
	w := &tale{t: t, now: begun, doc: doc}
	w.event(ops.EvStarted, "", "ada@desk1", doc)
	w.event(ops.EvRecord, "", ops.OwnerKey, ops.Owner{From: "desk1", PID: 4711})
	return w
}

// event takes a second.
func (w *tale) event(kind ops.EventKind, step, text string, data any) {
	w.t.Helper()
	e := ops.Event{Seq: len(w.events) + 1, At: w.now, Kind: kind, Step: step, Text: text}
	if data != nil {
		var err error
		if e.Data, err = json.Marshal(data); err != nil {
			w.t.Fatal(err)
		}
	}
	w.events = append(w.events, e)
	w.pass(time.Second)
}

func (w *tale) pass(d time.Duration) { w.now = w.now.Add(d) }

// do carries out steps up to but without the named one; empty: all that is left.
func (w *tale) do(until string) {
	for _, s := range w.rest() {
		if s.ID == until {
			return
		}
		w.begin(s.ID)
		if s.Skip != "" {
			continue
		}
		w.records(s)
		w.pass(5 * time.Second)
		w.event(ops.EvDone, s.ID, "", nil)
	}
}

// begin tells a step up to its act.
func (w *tale) begin(id string) {
	run := ops.Replay(w.events)
	s := run.Step(id).Doc
	if s.Skip != "" {
		w.event(ops.EvSkipped, id, s.Skip, nil)
		return
	}
	w.event(ops.EvIntent, id, s.Title, nil)
	for _, g := range s.Guards {
		w.event(ops.EvGuard, id, g, ops.Check{Guard: g, State: ops.Pass, Text: s.Side.Peer().Upper() + " in service", At: w.now})
	}
}

func (w *tale) records(s ops.StepDoc) {
	switch s.Kind {
	case "preflight":
		w.event(ops.EvRecord, s.ID, ops.VersionsKey, ops.Versions{Side: s.Side, Engine: "20.10.24", Compose: "1.29.2"})
		w.served(s.ID)
	case "remove":
		w.event(ops.EvRecord, s.ID, "original tcs", map[string]any{"Config": map[string]any{"Env": []string{"DB_PASSWORD=hunter2"}}})
		w.event(ops.EvRecord, s.ID, "volumes tcs", []string{"3c0ffee"})
	case "start":
		w.event(ops.EvSay, s.ID, "tcs: starting", nil)
		if s.Title == "start tcs" {
			w.event(ops.EvRecord, s.ID, ops.LostKey+"tis_tcs_1", []string{"its MAC address"})
		}
	case "verify":
		w.event(ops.EvRecord, s.ID, ops.VersionsKey, ops.Versions{Side: s.Side, Engine: "26.1.5", Compose: "1.29.2"})
	case "soak":
		w.served(s.ID)
	}
}

// served counts ten requests a second, one failed each minute.
func (w *tale) served(step string) {
	n := uint64(w.now.Sub(begun).Seconds())
	failed := n / 60
	w.event(ops.EvRecord, step, ops.ServedKey, map[ops.Side]ops.Served{ops.Blue: {Requests: 1000 + 4*n, Failed: &failed}, ops.Green: {Requests: 6 * n, Failed: new(uint64)}})
}

func (w *tale) rest() []ops.StepDoc {
	run := ops.Replay(w.events)
	var rest []ops.StepDoc
	for _, s := range run.Steps {
		if s.Phase == ops.Waiting || s.Phase == ops.Running {
			rest = append(rest, s.Doc)
		}
	}
	return rest
}

// undo takes back every step that was done or begun, the latest first.
func (w *tale) undo() {
	run := ops.Replay(w.events)
	for i := len(run.Steps) - 1; i >= 0; i-- {
		s := run.Steps[i]
		switch {
		case s.Phase == ops.Waiting || s.Phase == ops.Skipped:
		case s.Doc.Undo == "":
			w.event(ops.EvNoUndo, s.Doc.ID, "", nil)
		default:
			w.event(ops.EvUndoIntent, s.Doc.ID, s.Doc.Undo, nil)
			w.pass(3 * time.Second)
			w.event(ops.EvUndone, s.Doc.ID, "", nil)
		}
	}
}

func (w *tale) end(outcome ops.Outcome) { w.event(ops.EvEnded, "", string(outcome), nil) }

// recovery is the plan of a recovery of the sides, one after the other.
func recovery(sides ...ops.Side) ops.PlanDoc {
	doc := ops.PlanDoc{
		Schema: 1, ID: "20201113-105400-3f2a", Pair: "tis", Op: ops.OpRecover, Side: sides[0], Made: begun, Title: "recover " + sides[0].Upper(),
		Undo:    "traffic: yes    containers and networks: yes, as recorded    what containers wrote outside of volumes: no    reboot: no",
		Request: ops.Request{Op: ops.OpRecover, Side: sides[0], Both: len(sides) > 1, Reason: "INC-42, engine | upgraded by mistake"},
	}
	add := func(side ops.Side, id, kind, title string, risk ops.Level, undo string, guards ...string) *ops.StepDoc {
		doc.Steps = append(doc.Steps, ops.StepDoc{ID: id, Side: side, Kind: kind, Title: title, Risk: risk, Undo: undo, Guards: guards})
		return &doc.Steps[len(doc.Steps)-1]
	}
	add(sides[0], "lock", "lock", "take the lock", ops.Harmless, "release the lock")
	for i, side := range sides {
		s, up := "-"+string(side), side.Upper()
		pre := add(side, "preflight"+s, "preflight", "preflight of "+up, ops.Harmless, "", "peer-in-service")
		if i > 0 {
			doc.Title += ", then " + up
			pre.Pause = side.Peer().Upper() + " is in service again. Go on with " + up + "?"
		}
		add(side.Peer(), "canary-peer"+s, "canary", "canary on "+side.Peer().Upper(), ops.Harmless, "")
		add(side, "drain"+s, "drain", "drain "+up, ops.Disruptive, "put "+up+" back", "peer-in-service", "peer-ready")
		add(side, "stop-tcs"+s, "stop", "stop tcs", ops.Disruptive, "start tcs")
		add(side, "stop-keycloak"+s, "stop", "stop keycloak", ops.Disruptive, "start keycloak")
		add(side, "reboot"+s, "reboot", "reboot "+up, ops.Destructive, "", "peer-in-service")
		add(side, "remove"+s, "remove", "remove 2 containers of "+up, ops.Destructive, "make 2 containers of "+up+" again")
		add(side, "pools"+s, "pools", "move the address pools of "+up, ops.Destructive, "").Skip = "left out"
		add(side, "start-keycloak"+s, "start", "start keycloak", ops.Disruptive, "remove keycloak")
		add(side, "start-tcs"+s, "start", "start tcs", ops.Disruptive, "remove tcs")
		add(side, "verify"+s, "verify", "verify the services of "+up, ops.Harmless, "")
		add(side, "put-back"+s, "put-back", "put "+up+" back", ops.Disruptive, "drain "+up+" again")
		add(side, "soak"+s, "soak", "soak "+up+" for 15 s", ops.Harmless, "")
	}
	add(sides[0], "unlock", "unlock", "release the lock", ops.Harmless, "take the lock again")
	return doc
}

var jobs = []ops.Job{{Name: "ndw-etl", MaxAge: 26 * time.Hour, Only: ops.Green}, {Name: "esr-etl"}}

const peerLost = "BLUE is down: failing its check"

var cases = []struct {
	name string
	tell func(t *testing.T) (*tale, About)
}{
	{"recover-green", func(t *testing.T) (*tale, About) {
		w := newTale(t, recovery(ops.Green))
		w.do("")
		w.end(ops.OutcomeDone)
		return w, About{Jobs: jobs}
	}},
	{"recover-both-paused-killed-resumed", func(t *testing.T) (*tale, About) {
		w := newTale(t, recovery(ops.Green, ops.Blue))
		w.do("reboot-green")
		w.event(ops.EvIntent, "reboot-green", "reboot GREEN", nil)
		w.event(ops.EvGuard, "reboot-green", "", ops.Check{Guard: "peer-in-service", State: ops.Fail, Text: peerLost, Hint: "put GREEN back, or mend BLUE"})
		w.event(ops.EvPaused, "reboot-green", peerLost+". What helps: put GREEN back", nil)
		w.event(ops.EvNote, "", "bob@desk2: network team has been called", nil)
		w.pass(2 * time.Minute)
		w.event(ops.EvContinued, "", "", nil)
		w.do("start-tcs-green")
		w.begin("start-tcs-green")
		w.event(ops.EvSay, "start-tcs-green", "GREEN cannot be reached: waiting", nil)
		w.pass(time.Minute)
		w.event(ops.EvResumed, "", "bob@desk2", nil)
		w.event(ops.EvAccepted, "", "services-ready: tcs can wait", ops.Risk{Guard: "services-ready", Reason: "tcs can wait"})
		w.event(ops.EvRecord, "", ops.OwnerKey, ops.Owner{From: "desk2", PID: 99})
		w.do("preflight-blue")
		w.event(ops.EvPaused, "preflight-blue", "GREEN is in service again. Go on with BLUE?", nil)
		w.pass(30 * time.Second)
		w.event(ops.EvAsked, "", string(ops.AskContinue), nil)
		w.event(ops.EvContinued, "preflight-blue", "", nil)
		w.do("")
		w.end(ops.OutcomeDone)
		return w, About{Jobs: jobs}
	}},
	{"failed-half-way", func(t *testing.T) (*tale, About) {
		w := newTale(t, recovery(ops.Green))
		w.do("start-tcs-green")
		w.begin("start-tcs-green")
		w.pass(5 * time.Minute)
		w.event(ops.EvFailed, "start-tcs-green", "green: starting tcs: tis_tcs_1 is `unhealthy` (resume, or roll back)", nil)
		w.end(ops.OutcomeFailed)
		return w, About{Jobs: jobs}
	}},
	{"rolled-back", func(t *testing.T) (*tale, About) {
		w := newTale(t, recovery(ops.Green))
		w.do("start-tcs-green")
		w.begin("start-tcs-green")
		w.event(ops.EvAsked, "", string(ops.AskRollback), nil)
		w.event(ops.EvFailed, "start-tcs-green", "cancelled", nil)
		w.event(ops.EvRollback, "", "asked to roll back by ada@desk1", nil)
		w.event(ops.EvSay, "start-tcs-green", "the balancer has let GREEN in again: draining it", nil)
		w.undo()
		w.end(ops.OutcomeRolledBack)
		return w, About{}
	}},
	{"refused", func(t *testing.T) (*tale, About) {
		doc := recovery(ops.Green)
		doc.Request.Accept, doc.Request.Reason = []ops.Risk{{Guard: "only-here", Reason: "INC-42"}}, ""
		w := newTale(t, doc)
		w.do("preflight-green")
		w.event(ops.EvIntent, "preflight-green", "preflight of GREEN", nil)
		w.event(ops.EvGuard, "preflight-green", "", ops.Check{Guard: "only-here", State: ops.Fail, Text: "ndw-etl is on GREEN alone", Accepted: true})
		w.event(ops.EvGuard, "preflight-green", "", ops.Check{Guard: "peer-in-service", State: ops.NotKnown, Text: "the balancer was not read", Hint: "mend the connection to the balancer"})
		w.event(ops.EvRefused, "preflight-green", "checking before acting: the balancer was not read", nil)
		w.event(ops.EvRollback, "", "nothing was changed: preflight of GREEN refused", nil)
		w.undo()
		w.end(ops.OutcomeRefused)
		return w, About{Jobs: jobs}
	}},
	{"killed", func(t *testing.T) (*tale, About) {
		w := newTale(t, recovery(ops.Green))
		w.do("reboot-green")
		w.begin("reboot-green")
		return w, About{}
	}},
	{"notes-while-under-way", func(t *testing.T) (*tale, About) {
		w := newTale(t, recovery(ops.Green))
		w.do("stop-tcs-green")
		w.event(ops.EvNote, "", "ada@desk1: users say \x1b[31m\u009b2J\u202elogin\x1b[0m is <slow>, see [here](http://x) `rm -rf` | *now*\nand again", nil)
		w.event(ops.EvNote, "", "the end of the journal was torn, as after a power loss: 12 bytes cut off", nil)
		w.begin("stop-tcs-green")
		return w, About{Jobs: jobs, Live: true}
	}},
}

func TestReports(t *testing.T) {
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			w, about := test.tell(t)
			r := Make(w.events, about)
			text := r.Markdown()
			golden(t, test.name+".md", text)
			data, err := json.MarshalIndent(r, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text+string(data), "hunter2") {
				t.Error("the report shows what a container was given as its environment")
			}
			unseen := func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }
			if strings.ContainsFunc(text, unseen) || strings.ContainsFunc(string(data), unseen) || strings.Contains(string(data), `\u001b`) {
				t.Error("the report holds characters that control a terminal")
			}
			if test.name == "recover-both-paused-killed-resumed" {
				golden(t, test.name+".json", string(data)+"\n")
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Services that were started around a compose that does not match leave it so: that is said.
func TestAComposeThatDoesNotMatchIsToBeMended(t *testing.T) {
	m := maker{run: &ops.Run{}, Report: Report{Versions: []VersionsOf{{Side: ops.Green, EngineAfter: "26.1.5", ComposeAfter: "1.29.2"}, {Side: ops.Blue, EngineAfter: "20.10.24", ComposeAfter: "1.29.2"}}}}
	m.toDo()
	if len(m.ToDo) != 1 || !strings.HasPrefix(m.ToDo[0], "GREEN: compose 1.29.2 cannot recreate containers on engine 26.1.5") {
		t.Errorf("to do: %q", m.ToDo)
	}
}
