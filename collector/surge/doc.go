// Package surge reads what a box can tell of surges, of its power and of its
// restarts: why it restarted, what its kernel complains of, what a lightning
// sensor hears, and whether a surge protection device has worked.
//
// Links that are lost are told by package netdev, supply rails that leave their
// band by package sensors.
//
// # What is promised
//
//   - What a part of the box does not say of a restart is absent, and the
//     reason is told; one that does not answer holds up no other.
//   - No text of the kernel or of the box leaves this package: only classes,
//     reasons and counts, which the tables of this package name.
//   - Messages that the kernel had to overwrite before they were read are
//     counted, and so are those of a storm that are not told one by one.
//   - No device is opened that acts when it is opened: no watchdog. No record
//     of a crash is removed.
//   - Anything that makes no sense costs itself alone, whatever its bytes.
//
// # Why a box restarted
//
// Each that can tell tells for itself, since none is always right: a driver
// may take one flag of a watchdog for another, and a box knows little of a
// mains failure. The tellers are the box's software (NMC.Reboot of a Livebox,
// Reboot of prplOS), each watchdog of the kernel (bootstatus, see
// Documentation/watchdog/watchdog-api.rst) and the crashes that the kernel
// keeps (Documentation/ABI/testing/pstore). A watchdog without any flag says
// nothing: few drivers know more than one of them.
//
// # Messages of the kernel
//
// The file kmsg gives one record a read (Documentation/ABI/testing/dev-kmsg).
// Only records of the kernel itself count, which no other program can write.
// The time of a record is on a clock of its own, near CLOCK_MONOTONIC: what is
// read as it comes is told at the time of the reading, what came before by the
// record's own time, never in the future.
//
// # The lightning sensor
//
// An AS3935 with the kernel's driver (drivers/iio/proximity/as3935.c). Its
// distance is an estimate for the head of the storm, not a ranging of the
// strike, and noise of power supplies can keep it from hearing. It is on no
// Livebox: an accessory.
//
// # The protection device
//
// Its contact is a line of GPIO that the firmware exports under a name of the
// integrator's (/sys/class/gpio/NAME/value, as the package gpio-export of
// OpenWrt does; 1 is tripped). The kernel's newer interface, the character
// device, needs structures passed by pointer, which is not done in this
// module. Where the export has an edge set, a change is told at once, else
// within a second.
package surge
