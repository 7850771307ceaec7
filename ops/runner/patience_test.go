package runner

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/ops"
	"tandem/ops/journal"
)

// patiently runs a test in virtual time with the plan of restart, made patient.
func patiently(t *testing.T, test func(*testing.T, *world, *bench)) {
	t.Helper()
	dir := fastDir(t)
	synctest.Test(t, func(t *testing.T) {
		w, b := restart(t)
		b.dir = dir
		b.plan.Patient = true
		for i := range b.plan.Steps {
			b.plan.Steps[i].Side = ops.Green
		}
		test(t, w, b)
	})
}

// texts are those of all events of a kind.
func (b *bench) texts(kind ops.EventKind) []string {
	var texts []string
	for _, e := range b.read {
		if e.Kind == kind && e.Text != "begins" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// While one host keeps a look waiting, what was read of the others grows old.
func TestASlowLookIsMadeAgain(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.slow = map[string]func(){"look": func() {
			if w.looks == 1 {
				time.Sleep(10 * time.Second)
				w.set(func() { w.guards["g1"] = 1 }) // what the first look saw holds no more
			}
		}}
		err := b.want(t, Start, ops.OutcomeRefused)
		if err == nil || !strings.Contains(err.Error(), "g1 does not hold") || w.looks != 2 {
			t.Errorf("after %d looks: %v", w.looks, err)
		}
	})
}

func TestAGuardIsWaitedFor(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.guards["g2"] = 5 // one look is for a, one for b
		if err := b.want(t, Start, ops.OutcomeDone); err != nil || !w.free() {
			t.Errorf("error %v, locks %v", err, w.locks)
		}
		b.wantKinds(t, "a", ops.EvIntent, ops.EvGuard, ops.EvDone)
		b.wantKinds(t, "b", ops.EvIntent, ops.EvGuard, ops.EvPaused, ops.EvIntent, ops.EvGuard, ops.EvDone)
		b.wantKinds(t, "", ops.EvStarted, ops.EvContinued, ops.EvEnded)
		want := []string{"g2 does not hold (wait): paused before `set b`; it goes on by itself when that is mended; " +
			"to go on all the same: stop, then resume with g2 accepted; roll back: set a back"}
		if diff := cmp.Diff(want, b.texts(ops.EvPaused)); diff != "" {
			t.Errorf("what it says:\n%s", diff)
		}
		if w.looks != 2+4+1 {
			t.Errorf("%d looks: the wait is busy, or nobody looked", w.looks)
		}
	})
}

func TestNothingIsWaitedForBeforeAnythingChanged(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.guards["g1"] = 5
		var refusal *ops.Refusal
		if err := b.want(t, Start, ops.OutcomeRefused); !errors.As(err, &refusal) || !w.free() {
			t.Errorf("error %v, locks %v", err, w.locks)
		}
	})
}

func TestEveryReasonIsSaidOnce(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.after = map[string]func(){"a": func() { w.guards["g2"], w.faults["look"] = 1000, 0 }}
		time.AfterFunc(time.Minute, func() { w.set(func() { w.faults["look"] = 1 }) })
		time.AfterFunc(2*time.Minute, func() { w.set(func() { w.guards["g2"] = 0 }) })
		b.want(t, Start, ops.OutcomeDone)
		var reasons []string
		for _, text := range b.texts(ops.EvPaused) {
			reason, _, _ := strings.Cut(text, ": paused before")
			reasons = append(reasons, reason)
		}
		want := []string{"g2 does not hold (wait)", "the pair could not be read: fault on demand", "g2 does not hold (wait)"}
		if diff := cmp.Diff(want, reasons); diff != "" {
			t.Errorf("reasons:\n%s", diff)
		}
	})
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func TestWhatEndsAPause(t *testing.T) {
	for ask, outcome := range map[ops.Ask]ops.Outcome{ops.AskStop: ops.OutcomeStopped, ops.AskRollback: ops.OutcomeRolledBack} {
		t.Run(string(ask), func(t *testing.T) {
			patiently(t, func(t *testing.T, w *world, b *bench) {
				b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
				b.onPause = func() { b.requests <- journal.Request{Ask: ask, By: "bo@desk"} }
				began := time.Now()
				b.want(t, Start, outcome)
				if waited := time.Since(began); waited > 0 {
					t.Errorf("it took %s", waited)
				}
				if p := b.run.Step("b").Phase; p != ops.Waiting {
					t.Errorf("the step that never acted is %s", p)
				}
				if outcome == ops.OutcomeRolledBack {
					return
				}
				w.guards["g2"] = 0
				b.want(t, resume, ops.OutcomeDone)
			})
		})
	}
	t.Run("the context", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
			b.onPause = func() { b.cancel() }
			began := time.Now()
			b.want(t, Start, ops.OutcomeStopped)
			if waited := time.Since(began); waited > 0 {
				t.Errorf("it took %s", waited)
			}
		})
	})
	t.Run("continue looks at once", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.after = map[string]func(){"a": func() { w.guards["g2"] = 1 }}
			b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskContinue, By: "bo@desk"} }
			began := time.Now()
			b.want(t, Start, ops.OutcomeDone)
			if waited := time.Since(began); waited > 0 {
				t.Errorf("it took %s", waited)
			}
		})
	})
}

// An operator's pause outlives the reason for another one.
func TestAPauseAskedForWhilePaused(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.after = map[string]func(){"a": func() { w.guards["g2"] = 3 }}
		paused := 0
		b.onPause = func() {
			switch paused++; paused {
			case 1:
				b.requests <- journal.Request{Ask: ops.AskPause, By: "bo@desk"}
			case 2:
				if w.guards["g2"] != 0 {
					t.Error("the pause that was asked for hides why the run is paused")
				}
				b.requests <- journal.Request{Ask: ops.AskContinue, By: "bo@desk"}
			}
		}
		b.want(t, Start, ops.OutcomeDone)
		b.wantKinds(t, "", ops.EvStarted, ops.EvAsked, ops.EvPaused, ops.EvAsked, ops.EvContinued, ops.EvEnded)
	})
}

func TestAHostIsWaitedFor(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/away"] = 1
		b.after = map[string]func(){"a": func() { w.faults["green"] = 0 }}
		time.AfterFunc(time.Second, func() { w.set(func() { w.faults["green"] = 4 }) })
		if err := b.want(t, Start, ops.OutcomeDone); err != nil {
			t.Error(err)
		}
		b.wantKinds(t, "b", ops.EvIntent, ops.EvGuard, ops.EvIntent, ops.EvGuard, ops.EvDone)
		b.wantKinds(t, "", ops.EvStarted, ops.EvEnded)
		want := []string{"GREEN cannot be reached: waiting", "answers again: going on"}
		if diff := cmp.Diff(want, b.texts(ops.EvSay)); diff != "" {
			t.Errorf("what it says:\n%s", diff)
		}
	})
}

func TestTheBalancerIsWaitedFor(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/away"] = 1
		time.AfterFunc(time.Second, func() { w.set(func() { w.faults["balancer"] = 4 }) })
		b.want(t, Start, ops.OutcomeDone)
		want := []string{"GREEN cannot be reached: waiting", "the balancer does not answer: waiting", "answers again: going on"}
		if diff := cmp.Diff(want, b.texts(ops.EvSay)); diff != "" {
			t.Errorf("what it says:\n%s", diff)
		}
	})
}

func TestAHostThatStaysAway(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/away"] = 1000
		b.after = map[string]func(){"a": func() {}}
		time.AfterFunc(time.Second, func() { w.set(func() { w.faults["green"] = 1000 }) })
		began := time.Now()
		var problem *ops.Problem
		if err := b.want(t, Start, ops.OutcomeFailed); !errors.As(err, &problem) || problem.Hint == "" || problem.Side != ops.Green {
			t.Errorf("the error is %v", err)
		}
		if waited := time.Since(began); waited < 10*time.Minute || waited > 11*time.Minute {
			t.Errorf("it waited %s", waited)
		}
		b.wantKinds(t, "b", ops.EvIntent, ops.EvGuard, ops.EvFailed)
		// Taking it back waits as well.
		clear(w.faults)
		w.faults["b/undo"], w.faults["green"] = 0, 0
		b.want(t, rollback, ops.OutcomeRolledBack)
	})
}

// A host that answers every look, and never the step, does not keep a run for ever.
func TestAHostThatOnlySeemsToAnswer(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/away"] = 1 << 30
		began := time.Now()
		b.want(t, Start, ops.OutcomeFailed)
		if waited := time.Since(began); waited > 12*time.Minute {
			t.Errorf("it waited %s", waited)
		}
	})
}

func TestStopWhileWaitingForAHost(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/away"] = 1
		time.AfterFunc(time.Second, func() { w.set(func() { w.faults["green"] = 1000 }) })
		time.AfterFunc(time.Minute+time.Second, func() { b.requests <- journal.Request{Ask: ops.AskStop, By: "bo@desk"} })
		began := time.Now()
		b.want(t, Start, ops.OutcomeStopped)
		if waited := time.Since(began); waited != time.Minute+time.Second {
			t.Errorf("it took %s", waited)
		}
		b.wantKinds(t, "b", ops.EvIntent, ops.EvGuard, ops.EvFailed)
		clear(w.faults)
		b.want(t, resume, ops.OutcomeDone)
	})
}

func TestAQuestion(t *testing.T) {
	question := func(b *bench) { b.plan.Steps[2].Pause = "GREEN serves again: go on with BLUE?" }
	patiently(t, func(t *testing.T, w *world, b *bench) {
		question(b)
		b.onPause = func() {
			time.AfterFunc(time.Hour, func() {
				if w.values["b/0"] != 0 {
					t.Error("it began without an answer")
				}
				b.requests <- journal.Request{Ask: ops.AskContinue, By: "bo@desk"}
			})
		}
		b.want(t, Start, ops.OutcomeDone)
		b.wantKinds(t, "b", ops.EvPaused, ops.EvContinued, ops.EvIntent, ops.EvGuard, ops.EvDone)
		if diff := cmp.Diff([]string{b.plan.Steps[2].Pause}, b.texts(ops.EvPaused)); diff != "" {
			t.Errorf("what it asks:\n%s", diff)
		}
	})
	t.Run("without an answer it is asked again", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			question(b)
			b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskStop} }
			b.want(t, Start, ops.OutcomeStopped)
			b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskContinue} }
			w.faults["b/do"] = 1
			b.want(t, resume, ops.OutcomeFailed)
			b.onPause = func() { t.Error("asked again") }
			b.want(t, resume, ops.OutcomeDone)
		})
	})
	t.Run("roll back", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			question(b)
			b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskRollback} }
			b.want(t, Start, ops.OutcomeRolledBack)
		})
	})
}

func TestResumeWithARiskAccepted(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
		b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskStop} }
		b.want(t, Start, ops.OutcomeStopped)
		b.accept = []ops.Risk{{Guard: "g2", Reason: "INC-42"}}
		b.want(t, resume, ops.OutcomeDone)
		if diff := cmp.Diff([]ops.Risk{{Guard: "g2", Reason: "INC-42", Side: ops.Green}}, b.run.Accepted); diff != "" {
			t.Errorf("accepted:\n%s", diff)
		}
		if c := b.run.Step("b").Checks; len(c) != 1 || !c[0].Accepted {
			t.Errorf("the check is %+v", c)
		}
	})
	t.Run("it still counts after the next crash", func(t *testing.T) {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
			b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskStop} }
			b.want(t, Start, ops.OutcomeStopped)
			b.accept = []ops.Risk{{Guard: "g2", Reason: "INC-42"}}
			w.faults["b/do"] = 1
			b.want(t, resume, ops.OutcomeFailed)
			b.accept = nil
			b.want(t, resume, ops.OutcomeDone)
		})
	})
}

// A runner that is killed while it waits is resumed: the pause ends by itself, or begins anew.
func TestKilledWhilePaused(t *testing.T) {
	for _, mended := range []bool{true, false} {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
			b.onPause = func() { b.kill(); b.cancel() }
			b.attempt(Start, happens{})
			if !b.run.Paused || !strings.Contains(b.run.PauseText, "g2") || !b.run.Live() {
				t.Fatalf("the journal tells: %+v", b.run)
			}
			w.guards["g2"] = 3
			if mended {
				w.guards["g2"] = 0
			}
			paused := 0
			b.onPause = func() { paused++ }
			b.want(t, resume, ops.OutcomeDone)
			if (paused == 0) != mended {
				t.Errorf("mended: %v, paused %d times", mended, paused)
			}
		})
	}
}

// The host under work is away when its run is resumed, as in the middle of its reboot.
func TestResumeWhileAHostIsAway(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		w.faults["b/do"] = 1
		b.want(t, Start, ops.OutcomeFailed)
		w.down[ops.Green] = true
		w.faults["green"] = 1 << 30
		time.AfterFunc(time.Minute, func() { w.set(func() { w.down[ops.Green] = false; delete(w.faults, "green") }) })
		b.want(t, resume, ops.OutcomeDone)
		if diff := cmp.Diff([]string{"the hosts cannot be reached: waiting", "GREEN cannot be reached: waiting", "answers again: going on"}, b.texts(ops.EvSay)); diff != "" {
			t.Errorf("what it says:\n%s", diff)
		}
	})
	for ask, outcome := range map[ops.Ask]ops.Outcome{ops.AskStop: ops.OutcomeFailed, ops.AskRollback: ops.OutcomeRolledBack} {
		t.Run(string(ask), func(t *testing.T) {
			patiently(t, func(t *testing.T, w *world, b *bench) {
				w.faults["b/do"] = 1
				b.want(t, Start, ops.OutcomeFailed)
				w.down[ops.Green] = true
				w.faults["green"] = 1 << 30
				time.AfterFunc(time.Minute, func() { b.requests <- journal.Request{Ask: ask} })
				time.AfterFunc(2*time.Minute, func() { w.set(func() { w.down[ops.Green] = false; delete(w.faults, "green") }) })
				b.want(t, resume, outcome)
			})
		})
	}
}

// With one host away, what the guards of a step do not forbid goes on: the other mark tells
// that nobody else has the pair.
func TestOneMarkIsEnoughOnceSomethingChanged(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.after = map[string]func(){"a": func() { w.down[ops.Blue] = true }, "b": func() { w.down[ops.Blue] = false }}
		b.want(t, Start, ops.OutcomeDone)
	})
}

// A run whose lock was broken does not wait for it.
func TestABrokenLockIsNotWaitedFor(t *testing.T) {
	patiently(t, func(t *testing.T, w *world, b *bench) {
		b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
		time.AfterFunc(time.Minute, func() { w.set(func() { clear(w.locks) }) })
		if err := b.want(t, Start, ops.OutcomeStopped); err == nil || !strings.Contains(err.Error(), "someone broke it") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestAProblemNamesTheSideOfItsStep(t *testing.T) {
	for _, both := range []bool{false, true} {
		patiently(t, func(t *testing.T, w *world, b *bench) {
			b.plan.Patient = false
			b.plan.Request.Both = both
			b.plan.Steps[2].Side = ops.Blue
			w.guards["g2"] = 1000
			var problem *ops.Problem
			if err := b.want(t, Start, ops.OutcomeStopped); !errors.As(err, &problem) || problem.Side != ops.Blue {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestSameReason(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"green was last read 3s ago", "green was last read 17s ago", true},
		{"read 10.0.0.1:4711: timeout", "read 10.0.0.1:4712: timeout", true},
		{"BLUE is draining", "BLUE is down", false},
	} {
		if sameReason(test.a, test.b) != test.same {
			t.Errorf("%q and %q", test.a, test.b)
		}
	}
}

// What was accepted while one side was under work is not accepted of the other, whose peer
// it would be about then.
func TestARiskAcceptedOfOneSideDoesNotCoverTheOther(t *testing.T) {
	for name, accepted := range map[string]ops.Side{"at the start": "", "by a resume": ops.Green} {
		t.Run(name, func(t *testing.T) {
			patiently(t, func(t *testing.T, w *world, b *bench) {
				b.plan.Request.Both = true
				b.plan.Request.Accept = []ops.Risk{{Guard: "g2", Reason: "INC-42", Side: accepted}}
				b.plan.Steps[slices.IndexFunc(b.plan.Steps, func(s ops.PlannedStep) bool { return s.ID == "b" })].Side = ops.Blue
				b.after = map[string]func(){"a": func() { w.guards["g2"] = 1000 }}
				b.onPause = func() { b.requests <- journal.Request{Ask: ops.AskStop} }
				b.want(t, Start, ops.OutcomeStopped)
				if c := b.run.Step("b").Checks; len(c) != 1 || c[0].Accepted {
					t.Errorf("the check is %+v", c)
				}
			})
		})
	}
}
