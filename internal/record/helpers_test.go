package record

import (
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

func testID(t testing.TB, text string) ident.ID {
	t.Helper()
	id, err := ident.ParseID(text)
	if err != nil {
		t.Fatalf("ParseID of a test's id: got %v, want nil", err)
	}
	return id
}
