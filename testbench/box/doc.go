// Package box emulates the boxes that the agent runs on: a Livebox of each
// generation, which answers JSON calls over HTTP, and OpenWrt routers, which
// answer over ubus and in the files of their kernel.
//
// # What is promised
//
//   - A reply has the keys, the types and the quirks of the box that it is
//     modelled on.
//   - What a box says follows from one model: the same seed, clock and driving
//     give the same values, however often and by whatever way it is asked.
//   - A box may be asked and driven by several goroutines at once. While it is
//     slow it answers one at a time.
//
// # The model
//
// Stations come, go and move; their signal follows from the distance. A copper
// line has noise, errors, and trains anew when it has no margin left. An
// optical module has the registers of SFF-8472, and every power is a whole
// number of 0.1 µW. Counters grow with the time that the Config's clock tells,
// so that a test passes days in no time; a restart sets them to zero.
//
// What a surge does to a box is driven, not modelled: its mains fail, a link
// goes, a strike is heard, the kernel complains. The log of reboots, the
// watchdog, the crash records and the alarms of the supply tell of it as far
// as each would know. None of the chips for it is known to be in a Livebox.
//
// # What is certain
//
// The keys, their types and most fixed texts of the large replies come from
// replies captured from real boxes and published by their owners
// (hass-livebox-component and LiveboxMonitor, both under the MIT licence),
// brought into the notation of skeleton by a program; counters, dates, addresses
// and names were left out. Codes of errors and the protocol are those of these
// projects and of livebox-exporter.
//
// No capture was at hand of: Livebox W7, which is the S with the differences
// that are published; the optics and Wi-Fi of Livebox 6, which are those of the
// 7 with made-up values; the stations of Livebox 3 to 5; NMC.Reboot, SFP.get,
// MemoryStatus, HomeLan.getResults, getSSIDStats and getStationStats; the states
// of an optical unit other than O5; a connection or a modem without a line; the
// bodies of events; a box on its backup, and its word for that; how a Livebox counts a device that fails to join, and in
// which order hostapd notifies of it; the reply to a wrong password and to an
// unknown method; most of what prplOS answers. There this package does what
// documentation says and what clients expect. It must not be taken for evidence
// of what a box does.
package box
