// Package lock keeps one run at a time on a pair, by a mark on both hosts.
//
// # On a host
//
//	/var/lib/tandem/lock/            the mark: a directory, so that mkdir(2) decides who was first
//	    run                          the id of the run that holds it
//	    owner.json                   an ops.LockInfo, for everyone to read
//	    plan.json, journal.jsonl     copies for the case that the machine of the runner is gone; private
//	/var/lib/tandem/broken.log       who broke a lock, when and why; one JSON object a line
//	/var/lib/tandem/broken/          what lay beside locks that were broken
//
// The directory survives a reboot, and a deployment pipeline needs no tandem to respect it:
// `test -d /var/lib/tandem/lock` is the freeze. A directory made by hand is a freeze as well:
// it is held by nobody known, and only breaking it ends it.
//
// # Rules
//
//   - The mark is taken on blue, then on green. If the second cannot be had, the first is
//     given back. Taking again what the same run holds is fine.
//   - Nothing is ever stolen: a mark whose owner gives no sign of life is [Dead], shown as
//     such, and stays until someone resumes or rolls back its run, or breaks it with a reason.
//   - Every change is made only where the run id in the mark is ours, by scripts that first
//     enter the directory: after a break they write into what was moved away, never into the
//     mark of the next owner.
//   - A run has one owner: the process that took the mark last. Taking the mark for a run that
//     another process held, here or on another machine, replaces owner.json before Take returns,
//     but only the one that was seen just before, and only of those who may be replaced, see
//     [ops.LockInfo.Replaces]: of two who take over a run at once, one is refused on blue, with
//     nothing changed. A run that somebody else has released is not taken again.
//     The former owner's signs of life, copies and release find the mark no longer its own and
//     leave it alone. This is looked at on the host, in the script that writes. Its acts find the
//     same on each new connection and every few seconds, see [Lock.Fence], and before each change
//     of the balancer, see [Lock.Stands].
//   - What a release that was cut short has left is no run that has come to its end: it is taken
//     over like any mark that was left alone.
//   - The owner renews its sign of life every 5 seconds and copies new journal lines along.
//     This happens in the background; what could not be copied is copied whole at the next
//     beat. What an act relies on is copied before it, see [Lock.Sync]: whoever goes on from the
//     copies must know what may have been done and what it was like before. A host that does
//     not answer does not hold up the run.
//
// # Secrets
//
// The copies hold what the journal holds, with the environment of containers that a run makes
// anew, of either side, on both hosts. They are readable by root alone (0600) and go when the
// lock is released; what lay beside a broken lock stays under broken/ (0700) until someone
// removes it. The owner's file is for everyone: user, machine, step and reason.
//
// Times in a mark are by the clock of the machine that carries out the run.
package lock
