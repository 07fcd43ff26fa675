package sess_test

import (
	"io"
	"log/slog"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(preforkVersion) != "" {
		servePrefork()
		return
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil))) // Failing stores are loud, and fail on purpose here.
	os.Exit(m.Run())
}
