// Package jsontext is JSON text and Go values: a strict scanner, and both ways between a text and a value. It knows
// nothing of sessions.
package jsontext
