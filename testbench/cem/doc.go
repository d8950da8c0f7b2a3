// Package cem is the reference consumer of what the boxes send: it keeps each
// box's state and tells the box what it has stored.
//
// The streams of the broker are the log; the state is a fold over them and
// lives in memory only. Behind a broker that is no more than MQTT the CEM keeps
// the log itself, in a journal.
//
// # What is promised
//
//   - A report counts once, however often it comes: (box, run, lane, sequence)
//     identifies it.
//   - Every sequence is in the state at most once, and what is missing is told.
//   - Only what is in the stream, synced, and folded is acknowledged.
//   - Behind any broker of MQTT the same holds: a message is acknowledged to the
//     broker when it is in the journal and synced, and what a loss of power
//     leaves behind the last whole entry costs nothing else.
//   - A restart loses nothing: the state is folded again from the streams, and
//     acknowledging goes on.
//   - Nothing collected under a purpose that its report's consent does not
//     grant gets into the state; it is counted.
//   - A box can change its own state only, and the memory that a box can make
//     the CEM hold is bounded.
//   - A reading is placed on the wall clock within a second of the truth, or
//     not at all.
//   - What is learnt of a boot's wall time, from whatever message, places what
//     came before too.
//   - A report that cannot be decoded is kept for inspection. It is
//     acknowledged where the envelope says which report it is, since it is
//     stored and would be no better the next time.
package cem
