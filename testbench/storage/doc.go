// Package storage does to the state directory of an agent what flash and power
// do, and counts what that costs.
//
// The state is the agent's own, opened by its own packages in its own order:
// the record of runs, the pseudonym keys, the buffer, what was learnt of the box. What each call promised
// is noted with the number of operations that the disk had seen; what is found
// later is judged by that. So no cut and no failing operation is left out, and
// none is judged by more or by less than was promised.
//
// # What is promised
//
//   - The power is cut after each operation of each workload, and everything
//     that such a cut may leave is judged: nothing that was durable is lost,
//     nothing comes twice, withdrawn consent leaves no byte, the ledger counts
//     each loss once, starts are counted, pseudonyms last.
//   - Each operation is made to fail in turn, for once and for good. Nothing
//     that was appended is lost while the agent runs, and everything is durable
//     again ten minutes after the disk is well.
//   - A flash has 4 KiB more each time, from none to enough: for all that agents
//     do, after a sync that failed and for a repair. Nothing is lost that is not
//     lost where there is room, and everything is durable again ten minutes
//     after there is.
//   - A store with damage at each of its pages, cut off at each, or of another
//     kind altogether is opened, what can be read of it is there, and what
//     cannot is told as lost. Two kinds of loss cannot be told: that of the last
//     commit, where the page that names it is damaged, since a power cut during
//     a commit leaves the same; and that of sections of a report whose others
//     are there.
//   - At each limit of the buffer, what is there and what the events of the
//     ledger tell make up what was made.
//   - A disk that lies about syncs is found out by the same judge.
//   - After 72 hours without the backend everything arrives at the capped rate,
//     the newest window first and the others from the oldest on.
package storage
