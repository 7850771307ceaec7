// Package steps holds every step: one guarded act each, one file each, with its acts,
// its guards, its proof and the way back.
//
// # Rules
//
//   - A step is plain data. Everything it needs to know of the time of planning (which
//     containers, since when they run, which deadlines) is in its exported fields, so that
//     a runner on another machine can go on from the journal.
//   - Do is safe to call again after a crash at any point: it finds out what is done by
//     looking at the world, never by remembering.
//   - Prior state goes to the journal (Env.Log.Record) before it is changed.
//   - Verify reads the world afresh. Unknown is an error.
//   - Waits poll every Env.Poll under a deadline and say in words what they wait for.
//   - A step is put back to what was recorded, not to a default.
//
// # Guards
//
// guards.go has them all as named functions over a Snapshot. Data that is stale, throttled
// or unreachable gives ops.NotKnown, which refuses like a failure. The peer guards ask
// nothing when the side is out of service or failing its check already: then the act takes
// no service away.
//
// # Facts
//
// Load balancers: HAProxy management guide 9.3 (drain still admits persistent sessions,
// so a drain needs a deadline and then maint; runtime state is lost on a reload) and the
// ELBv2 API reference (draining lasts the whole deregistration delay and says nothing of
// sessions). Docker Engine: a container with a restart policy comes back after a reboot or
// a stop that ended in SIGKILL, so a container set aside gets the policy "no".
//
// Durations are time.Duration, in nanoseconds in a step's JSON.
package steps
