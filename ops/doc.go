// Package ops holds the words of tandem: what a pair is, what can be seen of it
// and what can be done to it. It does no I/O and imports nothing of ours, so that
// every other package can share these words without knowing each other.
//
// # The words
//
// One word for one thing, the same in code, on the screen, in the journal, in
// errors and in the README.
//
//   - pair: the two hosts and their load balancer, under one name
//   - side: blue or green; the peer is the other side
//   - host: the machine of a side, reached over SSH
//   - balancer: the load balancer, as seen from the pair
//   - traffic: what a side gets: in-service, draining, out, down (in, but failing
//     its check), unknown
//   - service: a named unit with a place in the start order; has one container or more
//   - job: a one-shot container, such as an ETL
//   - ready: a service that passes its own readiness test (healthy, http, exec, running)
//   - engine: the Docker Engine; the running version is the process, the installed
//     version is the package
//   - finding: something the operator should know: note, warn or block
//   - canary: a throw-away container created, started and removed, to prove that a
//     new container can start
//   - step, plan, run: one guarded act; an ordered list of them with a reason; a plan
//     being carried out
//   - guard: a condition that must hold, read afresh, at the moment before a step acts
//   - risk: a named guard that an operator may accept, with a reason, on the record
//   - lock: the mark on both hosts that a run is under way; the same mark is the freeze
//     that deployments must respect
//   - journal: the record of a run: intent before an act, observation after it
//   - moment, timeline: something that happened to the pair; all that is remembered of it
//   - put back: the opposite of drain
//
// # How a change happens
//
// A [Request] and a [Snapshot] make a [Plan] (package plans, pure). A plan is a list of
// [Step] values, each plain data. The runner carries it out: for every step the intent
// is journalled and synced, the guards are evaluated against a fresh snapshot, then
// Check, Do, Verify, and the observation is journalled and synced. [Replay] turns the
// journal's events back into a [Run], which is what screens and reports show.
package ops
