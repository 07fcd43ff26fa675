//go:build base

package main

// sessFiber3 is empty: the other checkout may be older than the module for Fiber v3, whose contestant no row of two checkouts
// needs.
var sessFiber3 []contestant
