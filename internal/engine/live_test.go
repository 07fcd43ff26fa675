package engine

import (
	"errors"
	"testing"

	"github.com/fibersess/sess/internal/record"
)

// TestNoPollerBeginsBehindClose: Open may be under way when the Manager is closed, with a store that is no Watcher.
func TestNoPollerBeginsBehindClose(t *testing.T) {
	m := newRemoteManager(t, `{"n":1}`, func(*Config) {})
	m.Close()
	if w, err := m.watcher(); w != nil || !errors.Is(err, record.ErrClosed) || m.poller != nil {
		t.Errorf("the watcher of a closed Manager: got %v, %v, want none and ErrClosed: nobody would end its goroutine", w, err)
	}
}
