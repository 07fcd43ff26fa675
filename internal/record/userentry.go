package record

import (
	"time"

	"github.com/fibersess/sess/internal/ident"
)

// UserEntry is the root's UserEntry.
type UserEntry struct {
	ID    ident.ID
	Login int64 // Unix milliseconds
}

// UserPage is the root's UserPage.
type UserPage struct {
	Entries []UserEntry
	Cursor  string
	Added   uint64
}

// LoginAttempt is the root's LoginAttempt.
type LoginAttempt struct {
	Began time.Time
	Pass  int64
}
