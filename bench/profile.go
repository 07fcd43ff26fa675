package main

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
