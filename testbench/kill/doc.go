// Package kill kills the real agent, again and again, at moments drawn by lot,
// while the broker and the CEM that it reports to are killed too, and then asks
// the CEM what is missing.
//
// # What is promised
//
//   - Every report that was on flash when the agent was killed is in the CEM in
//     the end, once.
//
// A flash that forgets between two lives is told as reports lost: the promise
// can be broken, and that is seen.
//
// What the kills cost in time that no window covers is measured, not judged. A
// run is repeated by its seed as far as processes can be.
package kill
