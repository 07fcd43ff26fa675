package ident

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
)

// Source makes random ids: what GenerateID does by default. The zero idSource is ready and safe for concurrent use.
//
// Random bytes are read for several ids at a time, which takes a third off the price of one, and erased as they are
// used. There is no error: crypto/rand ends the program rather than return bytes that could be guessed.
type Source struct{ pool sync.Pool }

const (
	randomIDBytes = 24 // 192 bits, 32 characters
	idBatch       = 16
)

// randomBatch is random bytes of which all before used have become ids.
type randomBatch struct {
	bytes [idBatch * randomIDBytes]byte
	used  int
}

// RandomID returns a new id: 24 random bytes in base64url.
func (s *Source) RandomID() ID {
	b, _ := s.pool.Get().(*randomBatch)
	if b == nil {
		b = &randomBatch{used: len(b.bytes)}
	}
	defer s.pool.Put(b)
	if b.used == len(b.bytes) {
		rand.Read(b.bytes[:])
		b.used = 0
	}
	random := b.bytes[b.used:][:randomIDBytes]
	b.used += randomIDBytes

	var id ID
	id.n = uint8(base64.RawURLEncoding.EncodedLen(randomIDBytes))
	base64.RawURLEncoding.Encode(id.b[:], random)
	clear(random)
	return id
}
