package sess

import (
	"encoding/json"
	"fmt"
	"time"
)

// Record is a stored session: one immutable JSON object. (placeholder for parallel work; the real one follows)
type Record struct {
	json string
	ends int64 // unix milliseconds, 0: none known
}

// ParseRecord checks s and returns it as a Record; the error is ErrCorrupt.
func ParseRecord(s string) (*Record, error) {
	if !json.Valid([]byte(s)) || s[0] != '{' {
		return nil, ErrCorrupt
	}
	return &Record{json: s}, nil
}

// JSON returns the record's exact bytes.
func (r *Record) JSON() string { return r.json }

// Raw returns the JSON text of a top-level member, a slice of the record.
func (r *Record) Raw(key string) (string, bool) {
	var m map[string]json.RawMessage
	_ = json.Unmarshal([]byte(r.json), &m)
	v, ok := m[key]
	return string(v), ok
}

// Expires returns the instant at which the session ends; zero if the record does not say.
func (r *Record) Expires() time.Time {
	if r.ends == 0 {
		return time.Time{}
	}
	return time.UnixMilli(r.ends)
}

// WithExpires returns a record of the same bytes that ends at t, for stores which know the end from elsewhere.
func (r *Record) WithExpires(t time.Time) *Record { c := *r; c.ends = t.UnixMilli(); return &c }

// Format never shows the content.
func (r *Record) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "sess.Record(%d bytes)", len(r.json)) }
