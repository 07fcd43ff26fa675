package ratelog_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersess/sess/internal/ratelog"
)

// TestAKindOfLineIsWrittenOnceASecond: a failing store does not fill the disk as well.
func TestAKindOfLineIsWrittenOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		j := ratelog.New(slog.New(slog.NewTextHandler(&out, nil)))
		for range 5 {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					j.Failing("the store failed", "load", errors.New("no route"))
					j.Failing("the store failed", "save", errors.New("no route"))
				})
			}
			all.Wait()
			time.Sleep(400 * time.Millisecond)
		}
		for _, op := range []string{"load", "save"} { // At 0, 1.2 s; the third second begins later.
			if got := strings.Count(out.String(), "op="+op); got != 2 {
				t.Errorf("lines of %s in 2 s of failures: got %d, want 2", op, got)
			}
		}
		if want := `level=ERROR msg="sess: the store failed" op=load err="no route"`; !strings.Contains(out.String(), want) {
			t.Errorf("the log: got %q, want %q in it", out.String(), want)
		}
	})
}

func TestWhatIsTrueForAsLongAsTheProgramRunsIsSaidOnce(t *testing.T) {
	var out bytes.Buffer
	j := ratelog.New(slog.New(slog.NewTextHandler(&out, nil)))
	for range 3 {
		j.Once("two managers", "name", "a")
	}
	j.Once("another thing")
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("lines: got %d, want 2:\n%s", got, out.String())
	}
	if want := `level=WARN msg="sess: two managers" name=a`; !strings.Contains(out.String(), want) {
		t.Errorf("the log: got %q, want %q in it", out.String(), want)
	}
}
