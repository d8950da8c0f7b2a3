// Package sensors reads the box's own sensors, of the kernel's hwmon and
// thermal classes: the source sensors. Of the alarms that chips raise by
// themselves it has the source alarms, and the watcher rails.
//
// # What is promised
//
//   - A value that a sensor cannot have is absent: a temperature below
//     absolute zero, zero on a radio, a sensor that says it is faulty or
//     cannot be read.
//   - A sensor that vanishes costs only its own readings.
//   - A sensor that the kernel shows in both classes is reported once.
//   - A chip that another source reports is left to it.
//   - Every sensor has a name of its own, which it keeps during the run.
//   - No name holds a hardware address.
//   - A steady round allocates nothing.
//   - An alarm that is raised and gone between two rounds of the source is told
//     where the chip keeps it until it is read or says that it changes.
//
// # Names
//
// A sensor of hwmon goes by its chip and its label, or its kind and number
// where it has no label: "sfp VCC", "lm75 temp1". A thermal zone goes by its
// type: "thermal cpu-thermal". Where two chips have one name, the later has
// its device in it: "lm75@1-0049 temp1". Values are in the kernel's units,
// which are the catalogue's: millidegrees Celsius, millivolts, milliamperes,
// microwatts and revolutions a minute.
//
// # Alarms
//
// A chip compares the voltages of its rails with their limits many times a
// second and raises an alarm of its own (in1_min_alarm, in1_lcrit_alarm, …);
// some keep the extremes (in1_lowest, in1_highest). Many forget an alarm when
// it is read, so all are read in one place. Where the driver says that an alarm
// changes (hwmon_notify_event) it is told at once, else within ten seconds. An
// alarm found raised at the start is told. One that does not say in which
// direction the rail left its band counts as a dip.
//
// # Why an own reader
//
// gopsutil, which the agent uses for the vitals, knows temperatures only; it
// opens every file anew for each reading, and its zones lose the labels that
// tell one sensor of a chip from another.
//
// The box is asked for new sensors every few minutes: an optical module may be
// plugged in. See Documentation/hwmon/sysfs-interface.rst and
// Documentation/driver-api/thermal/sysfs-api.rst of the kernel.
package sensors
