package runner

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/journal"
)

// restart is a small plan: lock, two acts that can hurt, unlock.
func restart(t *testing.T) (*world, *bench) {
	t.Helper()
	w := newWorld()
	return w, newBench(t, w, fastDir(t),
		&fake{ID: "lock", Act: "lock", Level: ops.Harmless},
		&fake{ID: "a", Act: "set", Key: "a", Parts: 2, To: 7, Level: ops.Disruptive, Guard: "g1", Needs: []string{"lock"}},
		&fake{ID: "b", Act: "set", Key: "b", Parts: 1, To: 7, Level: ops.Disruptive, Guard: "g2", Needs: []string{"a"}},
		&fake{ID: "unlock", Act: "unlock", Level: ops.Harmless, Needs: []string{"b"}})
}

func (b *bench) want(t *testing.T, way wayOf, outcome ops.Outcome) error {
	t.Helper()
	got, err := b.attempt(way, happens{})
	if got != outcome || b.run.Outcome != outcome {
		t.Errorf("the outcome is %q (the journal: %q): %v; want %q", got, b.run.Outcome, err, outcome)
	}
	return err
}

func (b *bench) wantKinds(t *testing.T, step string, want ...ops.EventKind) {
	t.Helper()
	if diff := cmp.Diff(want, b.kinds(step)); diff != "" {
		t.Errorf("events of %q differ (-want +got):\n%s", step, diff)
	}
}

func TestTheOrderOfARecord(t *testing.T) {
	w, b := restart(t)
	if err := b.want(t, Start, ops.OutcomeDone); err != nil {
		t.Error(err)
	}
	var got []string
	for _, e := range b.read {
		got = append(got, strings.TrimSpace(e.Step+" "+string(e.Kind)))
	}
	want := []string{
		"started", "lock intent", "record", "record", "lock done",
		"a intent", "a guard", "a say", "a record", "a done",
		"b intent", "b guard", "b say", "b record", "b done",
		"unlock intent", "record", "unlock done", "ended",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record differs:\n%s", diff)
	}
	if !w.free() || b.run.By != "ana@laptop" {
		t.Errorf("locks %v, by %q", w.locks, b.run.By)
	}
}

func TestRefusedBeforeAnythingHurt(t *testing.T) {
	for name, set := range map[string]func(*world, *bench){
		"a guard":            func(w *world, _ *bench) { w.guards["g1"] = 1 },
		"a look that fails":  func(w *world, _ *bench) { w.faults["look"] = 1 },
		"its own check":      func(w *world, _ *bench) { w.faults["a/check"] = 1 },
		"the lock is held":   func(w *world, _ *bench) { w.locks[ops.Green] = "other" },
		"a look, risk taken": func(w *world, b *bench) { w.faults["look"] = 1; b.plan.Request.Accept = []ops.Risk{{Guard: "g1"}} },
	} {
		t.Run(name, func(t *testing.T) {
			w, b := restart(t)
			set(w, b)
			if err := b.want(t, Start, ops.OutcomeRefused); err == nil {
				t.Error("refused without a reason")
			}
			if len(w.values) > 0 || w.locks[ops.Blue] != "" || w.locks[ops.Green] == "r1" {
				t.Errorf("something was changed: %v, locks %v", w.values, w.locks)
			}
			for _, way := range []wayOf{resume, rollback} {
				var problem *ops.Problem
				if _, err := b.attempt(way, happens{}); !errors.As(err, &problem) || problem.Hint == "" {
					t.Errorf("going on with a refused run: %v", err)
				}
			}
		})
	}
	t.Run("the refusal names the guard", func(t *testing.T) {
		w, b := restart(t)
		w.guards["g1"] = 1
		var refusal *ops.Refusal
		if err := b.want(t, Start, ops.OutcomeRefused); !errors.As(err, &refusal) || refusal.Checks[0].Guard != "g1" || refusal.Hint != "wait" {
			t.Errorf("the error is %v", err)
		}
		b.wantKinds(t, "a", ops.EvIntent, ops.EvGuard, ops.EvRefused)
		b.wantKinds(t, "lock", ops.EvIntent, ops.EvDone, ops.EvUndoIntent, ops.EvUndone)
	})
}

func TestRefusedHalfWay(t *testing.T) {
	w, b := restart(t)
	w.guards["g2"] = 2 // seen by the looks for a and for b
	err := b.want(t, Start, ops.OutcomeStopped)
	if err == nil || strings.Contains(err.Error(), "nothing was changed") || !w.locked() {
		t.Errorf("error %v, locks %v", err, w.locks)
	}
	if last := b.events[len(b.events)-1]; last.Kind != ops.EvEnded {
		t.Errorf("the copy ends with %s", last.Kind)
	}
	if err := b.want(t, resume, ops.OutcomeDone); err != nil || !w.free() {
		t.Errorf("resuming: %v, locks %v", err, w.locks)
	}
	b.wantKinds(t, "a", ops.EvIntent, ops.EvGuard, ops.EvDone)
	b.wantKinds(t, "b", ops.EvIntent, ops.EvGuard, ops.EvRefused, ops.EvIntent, ops.EvGuard, ops.EvDone)
}

func TestFailedHalfWay(t *testing.T) {
	w, b := restart(t)
	w.faults["b/do"] = 1
	if err := b.want(t, Start, ops.OutcomeFailed); !errors.Is(err, errFault) || !w.locked() {
		t.Errorf("error %v, locks %v", err, w.locks)
	}
	b.wantKinds(t, "unlock")
	if err := b.want(t, rollback, ops.OutcomeRolledBack); err != nil || !w.free() || w.values["a/0"]+w.values["b/0"] != 0 {
		t.Errorf("rolling back: %v, locks %v, %v", err, w.locks, w.values)
	}
	b.wantKinds(t, "a", ops.EvIntent, ops.EvGuard, ops.EvDone, ops.EvUndoIntent, ops.EvGuard, ops.EvUndone)
}

// A step that came to an end of its own without success leaves nothing half-way: the lock is
// let go of. What was changed before it is still the operator's to decide about.
func TestOverWithoutSuccess(t *testing.T) {
	w := newWorld()
	b := newBench(t, w, fastDir(t), &fake{ID: "lock", Act: "lock", Level: ops.Harmless},
		&fake{ID: "a", Act: "count", Key: "a", Parts: 1, Level: ops.Disruptive, Needs: []string{"lock"}},
		&fake{ID: "unlock", Act: "unlock", Level: ops.Harmless, Needs: []string{"a"}})
	w.faults["a/over"] = 1
	if err := b.want(t, Start, ops.OutcomeFailed); !errors.Is(err, ops.ErrOver) || !w.free() || b.run.Unfinished() {
		t.Errorf("%v, locks %v, unfinished %v", err, w.locks, b.run.Unfinished())
	}
	b.wantKinds(t, "a", ops.EvIntent, ops.EvFailed, ops.EvNoUndo)
	if phase := b.run.Step("a").Phase; phase != ops.Failed {
		t.Errorf("its phase is %s", phase)
	}
	for _, way := range []wayOf{resume, rollback} {
		if _, err := b.attempt(way, happens{}); err == nil {
			t.Error("went on with a run that left nothing")
		}
	}
	w, b = restart(t)
	w.faults["b/over"] = 1
	if err := b.want(t, Start, ops.OutcomeFailed); !errors.Is(err, ops.ErrOver) || !w.locked() || !b.run.Unfinished() {
		t.Errorf("after a change: %v, locks %v, unfinished %v", err, w.locks, b.run.Unfinished())
	}
}

// A guard of the way back is read afresh, and a rollback that it stops can be resumed.
func TestAGuardStopsARollback(t *testing.T) {
	w, b := restart(t)
	w.faults["b/verify"] = 1
	b.want(t, Start, ops.OutcomeFailed)
	w.guards["g1"] = 2
	if err := b.want(t, rollback, ops.OutcomeStopped); err == nil || !w.locked() || w.values["a/0"] != 7 || w.values["b/0"] != 0 {
		t.Errorf("error %v, locks %v, %v", err, w.locks, w.values)
	}
	if err := b.want(t, resume, ops.OutcomeRolledBack); err != nil || w.values["a/0"] != 0 {
		t.Errorf("error %v, %v", err, w.values)
	}
}

func TestAcceptedRisks(t *testing.T) {
	_, b := restart(t)
	run := func(t *testing.T, guard ops.Guard, accept ...ops.Risk) (ops.Check, error) {
		t.Helper()
		j, err := journal.Create(t.TempDir(), "tis", "r1")
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		b.plan.Request.Accept = accept
		doc, err := b.plan.Doc()
		if err != nil {
			t.Fatal(err)
		}
		r, ctx, err := newRun(t.Context(), Config{Journal: j, Decode: b.decode, Env: ops.Env{Look: b.world.look}, Requests: b.requests}, doc)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		err = r.guard(ctx, r.step("a"), []ops.Guard{guard})
		var check ops.Check
		if err := json.Unmarshal(j.Events()[0].Data, &check); err != nil {
			t.Fatal(err)
		}
		return check, err
	}
	risk := ops.Risk{Guard: "peer-in-service", Reason: "both are down anyway"}
	for _, test := range []struct {
		name     string
		guard    ops.Guard
		accept   []ops.Risk
		state    ops.CheckState
		accepted bool
		allowed  bool
	}{
		{name: "fails", guard: says(ops.Fail), state: ops.Fail},
		{name: "unknown", guard: says(ops.NotKnown), state: ops.NotKnown},
		{name: "nothing said", guard: says(""), state: ""},
		{name: "remark", guard: says(ops.Remark), state: ops.Remark, allowed: true},
		{name: "accepted", guard: says(ops.Fail), accept: []ops.Risk{risk}, state: ops.Fail, accepted: true, allowed: true},
		{name: "another is accepted", guard: says(ops.Fail), accept: []ops.Risk{{Guard: "peer-ready"}}, state: ops.Fail},
		{name: "absolute", guard: absolute(says(ops.Fail)), accept: []ops.Risk{risk}, state: ops.Fail},
		{name: "nothing to accept", guard: says(ops.Pass), accept: []ops.Risk{risk}, state: ops.Pass, allowed: true},
		{name: "panics", guard: ops.Guard{ID: "peer-in-service", Eval: nil}, state: ops.NotKnown},
	} {
		t.Run(test.name, func(t *testing.T) {
			check, err := run(t, test.guard, test.accept...)
			if check.State != test.state || check.Accepted != test.accepted || (err == nil) != test.allowed {
				t.Errorf("%+v, %v", check, err)
			}
		})
	}
}

func says(state ops.CheckState) ops.Guard {
	return ops.Guard{ID: "peer-in-service", Eval: func(*ops.Snapshot, time.Time) ops.Check { return ops.Check{State: state, Text: "BLUE is out"} }}
}

func absolute(g ops.Guard) ops.Guard { g.Absolute = true; return g }

func TestABrokenLockStopsTheRun(t *testing.T) {
	for name, breakIt := range map[string]func(*world){
		"gone from one side":   func(w *world) { delete(w.locks, ops.Green) },
		"gone from both":       func(w *world) { clear(w.locks) },
		"another holds it":     func(w *world) { w.locks[ops.Blue], w.locks[ops.Green] = "other", "other" },
		"a side does not tell": func(w *world) { w.down[ops.Green] = true },
	} {
		t.Run(name, func(t *testing.T) {
			w, b := restart(t)
			b.after = map[string]func(){"a": func() { breakIt(w) }}
			if err := b.want(t, Start, ops.OutcomeStopped); err == nil {
				t.Error("stopped without a reason")
			}
			if w.values["b/0"] != 0 {
				t.Error("acted without the lock")
			}
			if w.locks[ops.Blue] == "other" {
				held := (*ops.HeldError)(nil)
				for _, way := range []wayOf{resume, rollback} {
					if err := b.want(t, way, ops.OutcomeStopped); !errors.As(err, &held) {
						t.Errorf("going on under the other's lock: %v", err)
					}
				}
				if w.locks[ops.Blue] != "other" || w.values["a/0"] != 7 {
					t.Errorf("the other's pair was touched: %v %v", w.locks, w.values)
				}
				clear(w.locks)
			}
			if w.down[ops.Green] {
				if err := b.want(t, resume, ops.OutcomeStopped); !errors.Is(err, ops.ErrUnreachable) {
					t.Errorf("resuming with green down: %v", err)
				}
				// Taking back gets by with the host that is left.
				if err := b.want(t, rollback, ops.OutcomeRolledBack); err != nil || w.values["a/0"] != 0 {
					t.Errorf("rolling back with green down: %v", err)
				}
				return
			}
			if err := b.want(t, resume, ops.OutcomeDone); err != nil || !w.free() {
				t.Errorf("resuming: %v", err)
			}
		})
	}
}

func TestRollingBackARunThatWasDone(t *testing.T) {
	w, b := restart(t)
	b.want(t, Start, ops.OutcomeDone)
	w.locks[ops.Blue] = "other"
	held := (*ops.HeldError)(nil)
	if err := b.want(t, rollback, ops.OutcomeDone); !errors.As(err, &held) || w.values["a/0"] != 7 {
		t.Errorf("under another's lock: %v, %v", err, w.values)
	}
	clear(w.locks)
	w.down[ops.Green] = true
	if err := b.want(t, rollback, ops.OutcomeDone); !errors.Is(err, ops.ErrUnreachable) {
		t.Errorf("with a host that another run may hold: %v", err)
	}
	w.down[ops.Green] = false
	if err := b.want(t, rollback, ops.OutcomeRolledBack); err != nil || w.values["a/0"] != 0 || !w.free() {
		t.Errorf("rolling back: %v, %v, %v", err, w.values, w.locks)
	}
	if _, err := b.attempt(rollback, happens{}); err == nil {
		t.Error("rolled back twice")
	}
}

// A failure before anything hurt is taken back, and nothing is left to resume.
func TestFailedBeforeAnythingHurt(t *testing.T) {
	w := newWorld()
	b := newBench(t, w, fastDir(t), &fake{ID: "lock", Act: "lock", Level: ops.Harmless},
		&fake{ID: "a", Act: "set", Key: "a", Parts: 2, To: 7, Level: ops.Harmless, Needs: []string{"lock"}})
	w.faults["a/verify"] = 1
	if err := b.want(t, Start, ops.OutcomeFailed); !errors.Is(err, errFault) || !w.free() || w.values["a/0"] != 0 || b.run.Unfinished() {
		t.Errorf("%v, locks %v, %v, unfinished %v", err, w.locks, w.values, b.run.Unfinished())
	}
	for _, way := range []wayOf{resume, rollback} {
		if _, err := b.attempt(way, happens{}); err == nil {
			t.Error("went on with a run that left nothing")
		}
	}
}

// What a step recorded is there for later steps, and in the process that resumes.
func TestRecordsOfEarlierSteps(t *testing.T) {
	w, b := restart(t)
	w.faults["b/verify"] = 1
	b.want(t, Start, ops.OutcomeFailed)
	j, err := journal.Open(b.path())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	r, _, err := reopen(t.Context(), Config{Journal: j, Decode: b.decode, Requests: b.requests})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	env := r.env("unlock")
	var prior map[string]int
	if found, err := env.Recorded("a", "prior", &prior); !found || err != nil || !cmp.Equal(prior, map[string]int{"a/0": 0, "a/1": 0}) {
		t.Errorf("%v, %v, %v", prior, found, err)
	}
	for _, missing := range [][2]string{{"unlock", "prior"}, {"a", "posterior"}, {"nobody", "prior"}} {
		if found, err := env.Recorded(missing[0], missing[1], &prior); found || err != nil {
			t.Errorf("%v: %v, %v", missing, found, err)
		}
	}
	if _, err := env.Recorded("a", "prior", new(string)); err == nil {
		t.Error("a record was read as what it is not")
	}
}

// Steps that do not need each other run together, at most MaxParallel of them; when one
// fails the others finish, and what needs it never begins.
func TestTogether(t *testing.T) {
	var now, most atomic.Int32
	meet := make(chan struct{})
	step := func(id string, fails bool, needs ...string) ops.PlannedStep {
		return ops.PlannedStep{ID: id, Needs: needs, Step: &meeting{ID: id, do: func() error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			if id == "a" || id == "b" { // the others may begin before a's failure is known, or not at all
				select {
				case meet <- struct{}{}:
				case <-meet:
				}
			}
			if fails {
				return errFault
			}
			return nil
		}}}
	}
	plan := ops.Plan{ID: "r1", Pair: "tis", Steps: []ops.PlannedStep{
		step("a", true), step("b", false), step("c", false), step("d", false), step("after-a", false, "a"), step("after-all", false, "a", "b"),
	}}
	j, err := journal.Create(t.TempDir(), "tis", "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	outcome, err := Start(t.Context(), Config{Journal: j, Requests: make(chan journal.Request), MaxParallel: 2,
		Decode: func(_ string, data json.RawMessage) (ops.Step, error) {
			var m meeting
			if err := json.Unmarshal(data, &m); err != nil {
				return nil, err
			}
			i := slices.IndexFunc(plan.Steps, func(s ops.PlannedStep) bool { return s.ID == m.ID })
			return plan.Steps[i].Step, nil
		}}, plan)
	if outcome != ops.OutcomeFailed || !errors.Is(err, errFault) {
		t.Errorf("%s: %v", outcome, err)
	}
	run := ops.Replay(j.Events())
	if most.Load() != 2 {
		t.Errorf("%d ran together, want 2", most.Load())
	}
	if a, b := run.Step("after-a").Phase, run.Step("after-all").Phase; a != ops.Waiting || b != ops.Waiting {
		t.Errorf("a step that needs a failed one is %s, %s", a, b)
	}
	if phase := run.Step("b").Phase; phase != ops.Done {
		t.Errorf("the step under way was left %s", phase)
	}
}

// meeting is a harmless step whose act is a function; nothing takes it back.
type meeting struct {
	ID string
	do func() error
}

func (*meeting) Kind() string                                        { return "meeting" }
func (m *meeting) Title() string                                     { return m.ID }
func (*meeting) Effects() []string                                   { return nil }
func (*meeting) Risk() ops.Level                                     { return ops.Harmless }
func (*meeting) Guards() []ops.Guard                                 { return nil }
func (*meeting) Back() ops.Undoing                                   { return ops.Undoing{} }
func (*meeting) Check(context.Context, ops.Env) (ops.Verdict, error) { return ops.Ready, nil }
func (m *meeting) Do(context.Context, ops.Env) error                 { return m.do() }
func (*meeting) Verify(context.Context, ops.Env) error               { return nil }
func (*meeting) Undo(context.Context, ops.Env) error                 { return ops.ErrNoUndo }
