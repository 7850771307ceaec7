// Package runner carries out a plan. It decides nothing: what is done, in which order and
// under which guards stands in the plan, and it knows no step by name.
//
// # One step
//
//	intent        on the record, synced; for an act that can hurt on the hosts, too
//	lock          for an act that can hurt: still ours wherever this run took it; in a patient
//	              plan that has begun, on one host at least
//	guards        on a fresh look at the pair; one that fails or is unknown refuses
//	Check         AlreadyDone ends here; Blocked, or a check that gives no answer, refuses
//	Do, Verify
//	observation   on the record, synced: done, already-done, refused or failed
//
// A step is done only on success. Steps that do not need each other run together. When one
// does not succeed, those under way are let finish, nothing new begins, and nothing that
// needs it ever runs.
//
// # Patient plans
//
// Where others end, a patient plan waits once an act that can hurt has been begun:
//
//   - A guard that does not hold, a check that blocks, a lock that cannot be read: the run is
//     paused before that step ([ops.EvPaused] with the step, which has not acted; its text is
//     the reason, then what helps).
//   - A host or the balancer that did not answer while a step acted: it is waited for, all in
//     all as long as a reboot may take, then the step has failed. The run is not paused.
//   - What a step asks before it begins ([ops.PlannedStep].Pause, in any plan) waits for the
//     operator's "continue"; the answer is on the record and not asked for again.
//
// Every few seconds one look at the pair decides whether the steps that wait may begin anew,
// from their intent on. A reason goes on the record when it changes, not at every look. Stop,
// roll back and the end of the context take effect at once; "continue" tries again at once.
// Nothing else begins meanwhile; steps under way go on. Taking back is as patient.
//
// While a side is out, one look in every beat of [Config].Watch tells whether the peer still
// serves: an [ops.EvAlarm] says so where nobody does, at once and not only before the next
// act, with what helps; an [ops.EvAllClear] when somebody does again.
//
// # Who carries out a run
//
// The process that took the lock last, and no other. Each one is on the record
// ([ops.OwnerKey]). A mark of this run by an owner that the record does not know means that
// the run was resumed elsewhere: this runner says so and ends, with a last word in the journal
// on this machine alone. The marks and the copies beside them are the other's; what this
// journal tells after they parted gives way to them, see [ops.Rightful]. It is looked at before
// every act, and on each new connection to a host before the first change that goes over it
// ([tandem/ops/lock.Lock.Fence]): an act that waited for its host to answer again may have been
// overtaken. What is on its way to a host when the lock changes hands is not called back, so a run
// is only to be resumed elsewhere when its owner gives no sign of life. A mark of an earlier
// owner, on a host that did not answer when the lock changed hands, is taken over.
//
// Who resumes a run takes the lock from nobody but those who were found left alone
// ([Config].Left), and only as they were found: a runner that had to wait for the hosts knows
// nothing of what was done meanwhile. It gives way, without having acted, where somebody else has
// taken the lock by then, where its owner is at work again, and where the run has ended.
//
// # How a run ends
//
//   - All steps done: [ops.OutcomeDone].
//   - A step refused or failed before any act that can hurt was tried: what was done, such as
//     taking the lock, is taken back; [ops.OutcomeRefused] or [ops.OutcomeFailed], and there is
//     nothing to resume.
//   - A step failed later: [ops.OutcomeFailed]. A step refused later, someone asked to stop, or
//     the context ended (which cancels the steps under way): [ops.OutcomeStopped]. The lock
//     stays, marked as stopped, until [Resume] or [Rollback].
//
// # After a crash
//
// The journal says what was intended and what was observed. A step with an intent and no
// observation may have been done, half-done or not begun: it begins anew with its guards and
// its Check. Taking back goes through everything that may have been done, the latest first,
// and hands each step the prior state that it recorded before its first try.
//
// An act never goes without its record: when the journal cannot be written, the run stops
// where it is, without a last word.
package runner
