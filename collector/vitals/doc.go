// Package vitals reads how the box itself is doing: the source system for its
// uptime and the room for the agent's state, the source load for processor and
// memory.
//
// # What is promised
//
//   - What the kernel does not say is absent, never zero and never estimated.
//   - A share of processor time is of the time between two readings, so the
//     first reading has none.
//
// # How
//
// These are slow: once a minute, by gopsutil. Only its packages cpu, mem, load
// and disk are linked: together they add 22 KB to an arm binary compressed
// with xz (21 KB to a mips one). Its package host would add 51 KB (arm; 47 KB
// mips) for one number that every batch carries already, the time since boot.
//
// gopsutil takes a file that is missing for one full of zeros, falls back to
// the system call where a root directory was given, and guesses MemAvailable
// for kernels that lack it (before Linux 3.14); the sources here keep to what
// the files say. See proc(5).
package vitals
