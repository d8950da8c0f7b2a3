// Package island runs tests in Linux namespaces of their own, in which the real
// agent finds a box where it looks for one: ports that can lose their link, the
// files of an emulated box under /sys, /proc and /dev, and a kernel that boots
// when the test says so.
//
// The kernel's part of it is real: ports are tap devices, whose carrier the
// kernel itself tells of. The files are those of testbench/box, mounted over
// this machine's. It needs the superuser.
package island
