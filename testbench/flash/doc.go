// Package flash measures what the buffer costs the flash: bytes and commits in
// a day while the backend answers and while it is down, what is left after an
// outage of days, and how the bytes that bbolt writes relate to those that
// reach a block device under ext4.
//
// Time is compressed: a day takes as long as its commits. Windows are like the
// agent's at its defaults: one every five minutes, three purposes, for each
// 1.1 KB of columns and 0.4 KB of summaries that do not compress.
package flash
