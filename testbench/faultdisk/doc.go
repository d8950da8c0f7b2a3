// Package faultdisk is a disk that fails on purpose: a file system in memory,
// mounted by FUSE, that records every change made to it in order, and lets any
// one of them fail.
//
// From the record, [Trace.Cuts] gives what loss of power may leave after each
// operation: every cut, not a sample of them. A program that keeps its data in
// files, by whatever calls and maps them as it likes, can so be tested as it
// is.
//
// # What is promised
//
//   - What was synced is there after every cut; of what was not synced, a cut
//     may have kept nothing, everything, everything but one write, only one
//     write, or the newest write in part or as garbage.
//   - Names change in the order in which they were changed. A cut may have kept
//     any number of the changes since their directory was synced, also those of
//     files whose data it has forgotten. That a file or directory was synced
//     does not keep its own name.
//   - After a sync that failed, a later sync that succeeds does not bring to the
//     disk what the one that failed should have, unless it was written again:
//     so does the page cache of Linux.
//   - A small disk takes no more pages than it has, and says so at the write or,
//     late, at the sync.
//   - A lying disk forgets what was synced, so that a test can show that it
//     would notice.
//   - What is read from a mounted disk is what was written to it, also through
//     a memory mapping.
//
// Files and directories are all there is: no links, and no times or
// permissions that last.
package faultdisk
