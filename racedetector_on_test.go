//go:build race

package sess_test

// raceDetector reports whether the race detector is on, under which everything takes about ten times as long.
const raceDetector = true
