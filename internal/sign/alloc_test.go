//go:build !race

package sign

import (
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

func TestVerifyingAllocatesNothing(t *testing.T) {
	id, _ := ident.ParseID("bGX1r5jcQHX4CqO1Heiy_DLvkTpQvx3M")
	ring := NewKeyring([]Key{SHA256Key("a secret of more than sixteen bytes"), SHA1Key("another secret, just as long as it")}, "koa.sid", false)
	for i, k := range ring.Ring().keys {
		sigs := signatures(k.sign(nil, &id))
		if got := testing.AllocsPerRun(100, func() { k.verify(&id, sigs) }); got != 0 {
			t.Errorf("key %d: got %v allocations, want 0", i, got)
		}
	}
}
