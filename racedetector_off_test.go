//go:build !race

package sess_test

// raceDetector reports whether the race detector is on.
const raceDetector = false
