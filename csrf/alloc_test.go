//go:build !race

package csrf_test

import (
	"testing"

	"github.com/fibersess/sess/csrf"
)

// The race detector allocates by itself, so this runs without it.
func TestAllocationsOfTheOriginRule(t *testing.T) {
	p := protection(t, csrf.Config{TrustedOrigins: []string{"https://pay.test"}})
	for _, r := range []request{
		{"GET", "", "", ""},
		{"GET", "cross-site", "", ""},
		{"GET", "", "https://evil.test", "websocket"},
		{"POST", "same-origin", "https://shop.test", ""},
		{"POST", "cross-site", "https://pay.test", ""},
		{"POST", "cross-site", "https://evil.test", ""},
		{"POST", "", "https://shop.test", ""},
		{"POST", "", "", ""},
	} {
		ctx := read(t, r.wire(asIs))
		if got := testing.AllocsPerRun(100, func() { _ = p.Check(ctx) }); got != 0 {
			t.Errorf("%v: got %v allocations, want 0", r, got)
		}
	}
}
