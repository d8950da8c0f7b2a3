// Package optics reads the optical module of the box's fibre: the source
// optics.
//
// # What is promised
//
//   - Whatever the box, a metric has one unit: power in 0.001 dBm, bias in
//     microamperes, voltage in 0.1 mV, temperature in millidegrees Celsius.
//   - A power that a register holds becomes the same number wherever the
//     register is read: by a Livebox, or here.
//   - What the module does not measure, and a threshold that it leaves to
//     itself, is absent, never zero.
//   - A module is reported once, by the way that knows most of it.
//   - A value of a wrong type costs its own metric and is an error of the round.
//   - Nothing that identifies the customer or the module leaves the package.
//   - A steady round of the kernel's modules allocates nothing.
//
// # What is asked
//
// A Livebox, by sysbus: NeMo.Intf.<veip0> getMIBs {"mibs":"gpon"} on Livebox 5
// and later; SFP get on a Livebox 4 with an optical module; SgcOmci.Optical get
// on the Sagemcom boxes that have neither. The names of the fields are those
// of TR-181 Device.Optical and XPON, of which the units are too unless a field
// says otherwise below.
//
// The kernel, where the bus has no answer: the memory of each module, through
// ethtool's generic netlink (ETHTOOL_MSG_MODULE_EEPROM_GET, Linux 5.13) by the
// tables of SFF-8472 (SFP), SFF-8636 (QSFP) or CMIS; and where no module can be
// read so, the hwmon devices of drivers/net/phy/sfp.c.
//
// hwmon rounds the power received to whole microwatts: everything from -28.2
// to -26.0 dBm is 2, so that the memory, with its 0.1 microwatts, goes first.
// What hwmon gives near the end of a long line is right to one decibel only.
//
// # Whose a module is
//
// The source sensors reads hwmon as well. A chip of which Owns says true is
// left to this package, also where the module is in the end read another way.
package optics
