// Package buffer keeps reports until the CEM has stored them: in memory
// first, in a bbolt database when it is needed.
//
// # What is promised
//
//  1. An event for which Append returned nil, and a window that was spilled,
//     survive loss of power. Events are durable before Next returns them.
//  2. A window is durable at the latest Config.SpillAfter after it was sealed,
//     unless the CEM has acknowledged it, as long as Tick is called when
//     NextSpill says so and the daily budget allows it. While the CEM answers,
//     windows cost the flash nothing. Spill makes everything durable at once.
//  3. Reports come back in order within a lane, at least once, until they are
//     acknowledged; never after, but for one time more where power was lost
//     before the acknowledgement reached the flash.
//  4. The store never exceeds its bytes, in memory or on flash (but for the
//     moment in which a damaged or doubtful store is copied). Under pressure columns go
//     before whole windows, windows before events, the middle of an outage
//     before its onset and its end. Every report that goes is counted with
//     first and last sequence in a ledger, which is kept like a report.
//     What a repair can no longer name is counted by lane. Sections are never
//     decoded.
//  5. A damaged, foreign, full, locked, read-only or absent directory stops
//     nothing: what is there is set aside (one file at most), what can be
//     read of it is taken over, or the store works in memory; Condition says
//     which. A directory that cannot be opened is tried again every five
//     minutes, and takes over what is in memory once it can; so is a damaged
//     store that there is no room to copy, which stays as it is until then.
//  6. Config.FlashDailyBytes is a hard limit for 24 hours of running. Commits
//     of windows stretch to fit it, an eighth is kept for events, and every
//     byte that bbolt writes is counted, with what ext4 writes for itself
//     when the file grows.
//
// Each promise has a test of its name in promises_test.go; full and read-only
// file systems need root and are in testbench/flash.
//
// # How it is used
//
// One goroutine of the agent calls Tick about once a minute, or at the time
// that NextSpill gives, and when Due is signalled. The uplink reads with Next
// and calls Ack. The ledger is delivered by an event: take Losses, put them in
// an event, hand both to SettleLosses. Withdraw deletes what was collected for
// a purpose and overwrites where it was.
//
// # Under pressure
//
// The oldest 12 and the newest 36 reports of a lane are the onset and the end
// of the outage. Columns go from the middle, oldest first (side by side on
// flash, so that whole pages become free), then from the end, then from the
// onset. When no columns are left, windows go one by one from the middle, each
// time the one whose neighbours are closest to each other, so that what is
// left stays evenly spread. Events go last, by the same rule. A file that was
// set aside goes before anything else.
//
// # What a power cut during bbolt's commit does
//
// bbolt writes new pages, syncs, writes one of two checksummed meta pages,
// syncs. Whatever a cut leaves, one of the meta pages leads to a whole tree.
// Where the flash did worse, the file is walked page by page before bbolt sees
// it (pages.go says why), and every value has a checksum of its own. Where the
// top of the newest tree cannot be read, nearly everything is in the one before
// it. A file of which a sync failed is not written to again, but copied (renew.go says why).
package buffer
