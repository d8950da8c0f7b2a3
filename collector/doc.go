// Package collector asks the sources of a box and gives each one's readings,
// or the reason why there are none; and it runs the watchers, which the box
// tells when something happens.
//
// # What is promised
//
//   - A source whose purpose is not granted is not asked.
//   - A source that hangs, fails or panics costs its own readings and nothing
//     else.
//   - Every round of every source ends in one counted outcome.
//   - A watcher whose purpose is not granted is not run, and a sign whose
//     purpose is not granted is dropped.
//   - A watcher that fails or panics costs its own signs, and is started again
//     after a wait that grows.
//   - No watcher waits for who takes its signs: what finds no room is counted,
//     and told.
//
// The sources themselves are in the packages beside this one, one for each
// thing measured; how a box is asked is in platform.
package collector
