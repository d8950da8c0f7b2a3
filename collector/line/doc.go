// Package line reads the box's DSL line: the source line.
//
// # What is promised
//
//   - Whatever the box, a metric has one unit: rates are in kbit/s where the
//     box says bit/s, margins in tenths of dB where it says dB.
//   - What the box does not measure is absent, never zero: all that belongs to
//     a line in use is absent while the line is not up.
//   - A total never decreases, and never mixes two of the box's own counters.
//   - A value of a wrong type costs its own metric and is an error of the round.
//   - Nothing that identifies the customer or the exchange is read.
//
// # What is asked
//
// A Livebox 3 or 4, by sysbus: NeMo.Intf.data getMIBs {"mibs":"dsl"}, and of
// each line that it names getDSLStats and getDSLLineStats. The fields are those
// of TR-181 Device.DSL. One whose name begins with ATUC is counted at the
// exchange, for the upstream direction; the others at the box.
//
// OpenWrt, by ubus: dsl metrics, which Lantiq and MaxLinear modems have
// (openwrt, package/network/config/ltq-vdsl-app, dsl_cpe_ubus.c). Its errors
// near are counted at the box, those far at the exchange. Its fecs are seconds,
// not blocks, so that they are not reported as LineDownFEC.
//
// # Limits
//
// Since when the counters of a Livebox count is not documented, since showtime
// or since boot. A total goes on over both, but what was counted between the
// last reading and a restart is lost, and a counter that has passed its old
// value again after a restart looks as if it had gone on.
package line
