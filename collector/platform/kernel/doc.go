// Package kernel groups the ways in which the Linux kernel is asked: netlink
// for its sockets, sysfs for its attribute files; and has its clocks. They know
// nothing of what is measured.
package kernel
