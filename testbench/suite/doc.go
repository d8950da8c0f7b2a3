// Package suite runs every test of the module and counts them one by one.
//
// The tests run in lanes: everything under the race detector, then the
// packages of the agent as they are shipped (no race detector), and once more
// on each processor of the boxes under emulation. A test that runs in four
// lanes counts four times.
//
// # What is promised
//
//   - A package that does not build, a test that never ends and a crash count
//     as failures, not as nothing.
//   - A lane that cannot run is a counted skip with its reason, and a failure
//     where CI=true.
//   - The lanes of the agent's packages test them with the modules of a release.
//   - The last line of the output is the count, alone.
package suite
