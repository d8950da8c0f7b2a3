// Package wan reads the box's connection to the network: the source wan for
// its state, the source traffic for what it carried.
//
// # What is promised
//
//   - No address, name or number of the customer or of the network leaves the
//     package: of an address it says that there is one.
//   - What the box does not say is absent, never down and never zero.
//   - A last error is history, and does not mean that the connection is down.
//   - A byte counter that may have wrapped more than once since the reading
//     before gives no reading.
//
// # Counters on a Livebox
//
// getNetDevStats counts bytes in 32 bits on Livebox 3 to 7 and W7, and in 64
// on the S; a reply does not say which, so a counter counts as 32 bits wide
// until it has shown more. 2^32 bytes take 13.7 s at the 2.5 Gbit/s of GPON
// and 4.3 s at 8 Gbit/s. The packets tell: a Livebox counts the frames on the
// wire, so n packets are at most n times maxFrame bytes, and where that is
// less than 2^32, there was at most one wrap. Where it is more, the bytes of
// the interval are known only as a remainder: that round gives none, and the
// total from then on is a lower bound. The packets also tell whether the
// counters were reset: they are too slow to wrap unnoticed.
//
// HomeLan has byte counts as well. They are bits per interval, unreliable
// after days, and asking for some of them makes the box report wrong events,
// so they are not used.
package wan
