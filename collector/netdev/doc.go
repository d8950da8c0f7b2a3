// Package netdev reads the network interfaces of the box: the source ports for
// their state and errors, the source traffic for what they carried, the
// watcher links for the moment in which a port loses its link, and the load of
// the line.
//
// # What is promised
//
//   - A wrap of the kernel's counters and their reset are told apart: a total
//     goes on over both, and a reset is counted.
//   - What the kernel does not say is absent, never zero.
//   - Interfaces that come in crowds are left out by their kind, and no more
//     than MaxInterfaces are reported.
//   - No instance holds a hardware address: an interface that is named after
//     one goes by its index.
//   - An interface that vanishes costs only its own readings.
//   - A steady round allocates nothing.
//   - A link that went and came back is told however short it was away, also
//     where the kernel merged its messages or had no room for them.
//   - The load is what the interfaces of the default routes carried in the time
//     asked for, each way; where they cannot be read, it is an error.
//
// # Which interfaces
//
// All but the loopback, the kinds that software makes in numbers or that carry
// nothing of their own (veth, netkit, dummy, ifb, nlmon, vcan, vxcan), and
// tunnels that are not up: the kernel makes one of each kind as a placeholder
// (sit0, tunl0, ip6tnl0, gre0, …). The kind is the one the kernel gives
// (IFLA_INFO_KIND), not what the name looks like. Where there are more than
// MaxInterfaces, the first ones in the kernel's order are reported and the
// reason of the round says how many are not.
//
// The watcher leaves out all that software makes (any kind but dsa, a port of a
// switch) and Wi-Fi, and what someone switches off: a cable tells nothing of
// those. An instant is that at which the kernel's message was read. The kernel
// may be a second late with it where it has told of many changes before
// (net/core/link_watch.c).
//
// # Which counters
//
// IFLA_STATS64 where the kernel has it (2.6.35), else the 32 bits of
// IFLA_STATS. The former may be 32 bits wide as well: a kernel of 32 bits
// counts most drivers' packets in its unsigned long and only reports them
// wider (netdev_stats_to_stats64, net/core/dev.c). So a counter counts as 32
// bits wide until it has shown more. The packet counters of an interface
// decide whether all of its counters were reset: they are too slow to wrap
// unnoticed, and an interface with another index under the same name is a new
// device. See package counter for what cannot be seen.
//
// What hardware forwards past the kernel is in a load, and in the source
// traffic, as soon as the driver adds it to the interface.
//
// See RFC 2863 for the operational state, Documentation/ABI/testing/
// sysfs-class-net for speed and duplex, and rtnetlink(7).
package netdev
