package sign

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"sync"
)

// macKey is a secret made ready for HMACs that allocate nothing. It is safe for concurrent use:
//
//	m := k.begin()
//	defer k.end(m)
//	m.text = append(m.text, data...)
//	use(m.sum())
type macKey struct {
	pool sync.Pool // of *mac
}

// mac is one HMAC to be. A hash that was reset once starts from the state behind the key's block, which saves half of
// the work that hmac.New makes.
type mac struct {
	hash hash.Hash
	text []byte // what the HMAC is of
	out  [sha256.Size]byte
}

func newMACKey(secret []byte, withSHA1 bool) *macKey {
	newHash := sha256.New
	if withSHA1 {
		newHash = sha1.New
	}
	k := new(macKey)
	k.pool.New = func() any { return &mac{hash: hmac.New(newHash, secret), text: make([]byte, 0, 128)} }
	return k
}

// begin returns a mac of an empty text.
func (k *macKey) begin() *mac { return k.pool.Get().(*mac) }

// sum returns the HMAC of m.text. It is valid until end.
func (m *mac) sum() []byte {
	m.hash.Reset()
	m.hash.Write(m.text)
	return m.hash.Sum(m.out[:0])
}

// end erases what was computed and takes m back, unless its text was very long.
func (k *macKey) end(m *mac) {
	clear(m.text)
	clear(m.out[:])
	m.text = m.text[:0]
	if cap(m.text) <= keepText {
		k.pool.Put(m)
	}
}

// keepText is the longest room for a text that is kept, in bytes. The name of a cookie alone may be 4,033 bytes long.
const keepText = 8 << 10
