// Package journal is the record of a run on the disk of the machine that carries it
// out: intent before an act, observation after it.
//
// # Layout
//
//	<state>/<pair>/runs/<run id>/            0700
//	    journal.jsonl                        0600, one ops.Event a line, append-only
//	    pid                                  of the process that appended last
//	    asks/                                requests to that process, one file each
//	    parted-N.jsonl                       what N events told here before the run went on elsewhere
//
// # Rules
//
//   - Append returns after the event is on the disk (fsync), so that no act precedes the
//     record of its intent. Lines of progress (ops.EvSay) are written in order but not
//     waited for: the next synced event carries them along.
//   - Every event carries the hash of the one before it: SHA-256, in hex, over the event's
//     JSON as encoding/json writes it with an empty hash. A line that was changed, taken out
//     or put in is a [BrokenError]. This finds accidents and clumsy hands; it is no signature.
//   - What a power loss leaves at the end of the file (a part of a line, or unsynced lines of
//     progress with holes) is cut off when the journal is opened again, with a note on the
//     record. Nothing that Append had returned for is ever cut.
//   - One process at a time appends: it holds flock(2) on the directory, which the kernel
//     lets go of when the process ends, however it ends. Anyone may read and ask.
//   - After a write or sync that did not succeed nothing more is appended: the state of the
//     file is not known (see fsync(2) on errors reported once). Opening it anew reads what is there.
//
// # Secrets
//
// Prior state is kept whole, or a container could not be made again: the record of a swap
// holds the container's inspect, and with it the environment it was given. The files are
// therefore private to their owner, and nothing of a record (ops.EvRecord) goes to a screen, a
// line of progress or a report. The copies beside the lock hold the same, see package lock.
package journal
