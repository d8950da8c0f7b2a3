// Package soak runs the agent for long and shows that nothing in it grows:
// heap, goroutines, open files, and the file of its store.
//
// A day is run in virtual time by the tests; an hour, or as long as one likes,
// in real time against a broker and a CEM that come and go.
//
// # What is promised
//
//   - What grows is seen: a trend over the run that is more than the noise of
//     its figures fails.
//   - A day of windows, outages and lost connections leaves the agent as large
//     as it was after its first hours.
package soak
