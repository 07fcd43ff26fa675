package record

import (
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

const (
	testIDText = "bGX1r5jcQHX4CqO1Heiy_DLvkTpQvx3M"
	longKey    = "a secret of more than sixteen bytes"
	otherKey   = "another secret, just as long as it"
)

func testID(t testing.TB, text string) ident.ID {
	t.Helper()
	id, err := ident.ParseID(text)
	if err != nil {
		t.Fatalf("ParseID of a test's id: got %v, want nil", err)
	}
	return id
}
