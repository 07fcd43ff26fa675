package sess

import (
	"testing"

	"github.com/fibersess/sess/internal/engine"
)

// TestReasonsAreThoseOfTheEngine: their text stands here for the documentation, and there for what says it.
func TestReasonsAreThoseOfTheEngine(t *testing.T) {
	for got, want := range map[Reason]Reason{
		ReasonSignature: engine.ReasonSignature, ReasonUnknown: engine.ReasonUnknown, ReasonInvalid: engine.ReasonInvalid,
		ReasonCorrupt: engine.ReasonCorrupt, ReasonRenewed: engine.ReasonRenewed, ReasonGone: engine.ReasonGone,
		ReasonCommitted: engine.ReasonCommitted, ReasonReleased: engine.ReasonReleased, ReasonOrphaned: engine.ReasonOrphaned,
	} {
		if got != want {
			t.Errorf("a reason: got %q, want %q", got, want)
		}
	}
}
