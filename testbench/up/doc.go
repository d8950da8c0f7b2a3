// Package up is the demonstration behind "make run": broker, CEM and the real
// agent on this machine, and what arrives, as it arrives.
//
// # What is promised
//
//   - Success means that readings of the real agent were decoded by the CEM and
//     acknowledged back to the agent, as the agent itself counts; every other
//     outcome is an error that says why.
//   - No directory is removed that a lab did not make.
package up
