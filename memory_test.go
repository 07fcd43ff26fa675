package sess_test

import (
	"testing"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

func TestMemoryStoreKeepsEveryPromise(t *testing.T) {
	sesstest.TestStore(t, func(*testing.T) sess.Store { return sess.NewMemoryStore() })
}

func TestMemoryStoreKeepsEveryPromiseInABubble(t *testing.T) {
	sesstest.TestStoreInBubble(t, func(*testing.T) sess.Store { return sess.NewMemoryStore() })
}
