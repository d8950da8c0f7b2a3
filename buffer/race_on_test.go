//go:build race

package buffer

// raceDetector makes everything slow.
const raceDetector = true
