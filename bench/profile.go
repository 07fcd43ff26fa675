package main

import (
	"fmt"
	"strings"
)

// field is one value of a session.
type field struct {
	key   string
	value any
}

// profile is the session that all contestants keep: ten values, about 330 bytes as JSON. Dates are text because every
// contestant's encoding can carry that.
func profile() []field {
	return []field{
		{"user_id", "3f2b8c1e-9d47-4a6b-8e05-7c1d2f9a6b34"},
		{"name", profileName},
		{"email", profileEmail},
		{"roles", []string{"editor", "reviewer", "billing", "translator"}},
		{"csrf", "q3Zr0V5n2mXkT8yLw1HbJd6cPfEsUaGiRoNtMvBhQzY"},
		{"signed_in", "2026-03-14T09:26:53.589Z"},
		{"seen", "2026-03-14T15:09:26.535Z"},
		{"verified", true},
		{"remember", false},
		{"count", 0},
	}
}

const (
	profileName  = "Ada Lovelace"
	profileEmail = "ada.lovelace@example.org"

	// readAnswer is what /read says of a session that holds the profile.
	readAnswer = profileName + "\n" + profileEmail
)

// sized is the profile and four texts, of so many bytes as JSON all together: the size differs, the number of values
// does not.
func sized(bytes int) []field {
	const texts, names = 4, 4 * len(`,"text1":""`)
	room := bytes - profileBytes - names
	fields := profile()
	for i := range texts {
		n := room / texts
		if i == 0 {
			n += room % texts
		}
		fields = append(fields, field{fmt.Sprintf("text%d", i+1), strings.Repeat("a plain sentence of the kind that a draft is made of, ", n/54+1)[:n]})
	}
	return fields
}

// profileBytes is the size of the profile as JSON.
const profileBytes = 329

// keyed is a session of n short values, of which the count was set last.
func keyed(n int) []field {
	var fields []field
	for i := range n - 1 {
		fields = append(fields, field{fmt.Sprintf("article%04d", i), "2 pieces"})
	}
	return append(fields, field{"count", 0})
}

// logins are the sessions that every contestant makes, by the path that makes them.
func logins() map[string][]field {
	return map[string][]field{
		"/login":           profile(),
		"/login-1kB":       sized(1_000),
		"/login-10kB":      sized(10_000),
		"/login-60kB":      sized(60_000),
		"/login-keys-1":    keyed(1),
		"/login-keys-10":   keyed(10),
		"/login-keys-100":  keyed(100),
		"/login-keys-1000": keyed(1_000),
	}
}

// asInt returns the whole number that an encoding made of an int; 0 if it is none.
func asInt(v any) int {
	switch n := v.(type) {
	case int:
		return n
	case int64:
		return int(n)
	case uint64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}
