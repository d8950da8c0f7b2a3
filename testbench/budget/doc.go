// Package budget measures what the agent costs a box (flash, memory, processor
// and line) and compares it with what it may cost.
//
// # What is promised
//
//   - A row that could not be measured says why and never counts as kept.
//   - One row over its budget fails the whole.
//
// The binaries are those that are shipped; memory, processor time and traffic
// are those of the real program on this machine, sampling this machine and
// delivering to a broker over TLS.
package budget
