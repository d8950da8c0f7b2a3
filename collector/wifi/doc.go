// Package wifi reads the radios of a box and the stations on them: by nl80211,
// the kernel's generic netlink family for Wi-Fi, or from the box's own software
// over its bus.
//
// # What is promised
//
//   - What the box does not say, or cannot mean, is absent, never zero.
//   - The address of a station leaves the package only as the pseudonym that
//     the agent gives; network names are not read at all, and no instance or
//     error holds the hardware address after which an interface is named.
//   - A new pseudonym of a station that is there cannot be told for its old
//     one by totals, by the time since the association, or by the order of the
//     readings.
//   - Radios keeps and gives nothing that tells one station from another.
//   - A device that tries to join and is not let in counts once for each
//     attempt, and one that is let in never; what nobody watches, or the box does
//     not tell, is not counted.
//   - The address of a device that tries to join is kept until it is let in or
//     not, for half a minute at most, and never leaves; of many at a time only
//     some are kept.
//   - A counter of a station or radio never decreases while it is known:
//     32-bit counters are unwrapped, and a new association or another channel
//     is no step back.
//   - The number of stations that are known is bounded; who was away for a day
//     is forgotten.
//   - An interface that vanishes costs its own readings only.
//   - A steady round by nl80211 allocates nothing.
//   - One reply of a Livebox serves all sources that are asked for the same
//     instant, and no other.
//
// A box without Wi-Fi, or whose driver does not speak nl80211, is
// collector.ErrNoData; one that does not let the agent ask is
// collector.ErrRefused.
//
// Numbers, types and units of all attributes are those of
// include/uapi/linux/nl80211.h; golang.org/x/sys/unix generates its constants
// from that file. The fields of a Livebox's replies have the names and the units
// of TR-181 (Device:2, WiFi.) where it has them, and else those that the values
// of boxes in use show. What hostapd notifies of is in OpenWrt's ubus.c for it,
// what a Livebox and prplOS count as a failure in pwhm's wld_assocdev.c.
package wifi
