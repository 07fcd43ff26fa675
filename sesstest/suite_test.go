package sesstest

import (
	"testing"

	"github.com/fibersess/sess"
)

func TestASoundStoreKeepsEveryPromise(t *testing.T) {
	TestStore(t, func(*testing.T) sess.Store { return newModel() })
}

func TestASoundStoreKeepsEveryPromiseInABubble(t *testing.T) {
	TestStoreInBubble(t, func(*testing.T) sess.Store { return newModel() })
}

func TestAStoreOfThreeMethodsPasses(t *testing.T) {
	TestStoreInBubble(t, func(*testing.T) sess.Store { return plain{newModel()} })
}
