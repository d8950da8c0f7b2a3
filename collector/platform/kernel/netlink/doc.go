// Package netlink asks the Linux kernel over netlink sockets.
//
// # What is promised
//
//   - An exchange ends: at the deadline of its context, within a quarter of a
//     second of its cancellation, and after DefaultTimeout where the context
//     has no deadline.
//   - What the kernel refuses comes back as an *OpError that wraps its errno,
//     also where a dump fails half way.
//   - A dump that the kernel marks as inconsistent is never taken for a whole
//     one: Execute says ErrInterrupted, Dump repeats it once.
//   - Messages that are not the answer (another sequence number, another
//     port) are passed over.
//   - A truncated or malformed message is refused, never read past its end.
//   - A steady exchange allocates nothing.
//   - What a feed could not tell is said, and the feed goes on; a wait for more
//     ends at its deadline and when its context is done.
//
// One thing cannot be promised from here: the kernel works on a request
// inside the system call that sends it, so a driver that hangs holding its
// lock hangs the calling thread until it lets go. Who runs sources bounds
// that.
//
// The protocol is described in RFC 3549 and, where the two differ, by
// include/uapi/linux/netlink.h and net/netlink/af_netlink.c of the kernel.
package netlink
