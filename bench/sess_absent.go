//go:build !sess

package main

// sessContestants is empty in a build without the tag sess.
func sessContestants() []contestant { return nil }
