package record

import "unsafe"

// hidden is a string that fmt does not print. In an unexported field of another struct fmt may call no method, not even
// Format: there it would print a string, and what a record holds is for nobody to read in a log. Of a pointer to a byte it
// prints the address.
//
// This file alone of the package uses unsafe. A hidden keeps the string's bytes alive, which are never written to, so
// TestARecordPrintsNothingAnywhere guards the purpose and every other test the text.
type hidden struct {
	first *byte
	n     uint32 // bytes; a record and its index are far below 4 GiB
}

// hide returns s as a hidden.
func hide(s string) hidden { return hidden{unsafe.StringData(s), uint32(len(s))} }

// hideBytes returns b, which nobody writes to any more, as a hidden.
func hideBytes(b []byte) hidden { return hidden{unsafe.SliceData(b), uint32(len(b))} }

// all returns the string.
func (h hidden) all() string { return unsafe.String(h.first, h.n) }
