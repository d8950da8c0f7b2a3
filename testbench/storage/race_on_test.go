//go:build race

package storage

// raceDetector makes everything slow: a part of the states is tried with it,
// all of them in the plain lane.
const raceDetector = true
