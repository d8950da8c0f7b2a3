// Package platform names the ways in which a box is asked, and describes the
// functions that turn one reply of a box into readings.
//
// The clients themselves are in the packages below: kernel, sysbus and ubus.
// They know nothing of what is measured. The functions are in the packages
// beside this one, one for each thing measured, and each of those lists its
// own as Decoders, so that a program can read replies kept in files exactly
// as the agent reads them from a box.
package platform
