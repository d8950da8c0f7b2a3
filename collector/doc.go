// Package collector asks the sources of a box and gives each one's readings,
// or the reason why there are none.
//
// # What is promised
//
//   - A source whose purpose is not granted is not asked.
//   - A source that hangs, fails or panics costs its own readings and nothing
//     else.
//   - Every round of every source ends in one counted outcome.
//
// The sources themselves are in the packages beside this one, one for each
// thing measured; how a box is asked is in platform.
package collector
