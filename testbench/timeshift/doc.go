// Package timeshift runs a program, as it is, on clocks that the test moves: a
// kernel that has just booted, in any year, synchronised or not, or without
// monotonic time.
//
// The program is stopped where it begins, and made to do two things before its
// first instruction: to install a seccomp filter that hands every question for
// the time to the lab, and to see a boot identity of its own. Its auxiliary
// vector then says that the kernel has no vDSO, so that it asks by system calls.
// Nothing else about it or the machine is changed. It takes the superuser.
//
// # What is promised
//
//   - The program sees the clocks it was given, and their moves at once.
//   - The machine's own clocks stay as they are.
package timeshift
