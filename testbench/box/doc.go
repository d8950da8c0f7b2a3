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
// # What is certain
//
// Names, types, units and error codes are those of replies captured from real
// boxes and of the public clients of them (LiveboxMonitor,
// hass-livebox-component, livebox-exporter). No capture shows: the stations of
// Livebox 3 to 5, the states of an optical unit other than O5, the bodies of
// events, the reply to a wrong password, an unknown method. There this package
// does what its clients expect.
package box
