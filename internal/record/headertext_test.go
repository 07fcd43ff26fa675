package record

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestInstantIsWrittenInDecimal(t *testing.T) {
	check := func(ms int64) {
		if got, want := string(appendInstant([]byte("x"), ms)), "x"+strconv.FormatInt(ms, 10); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for _, ms := range []int64{0, 1, 9, 10, 999_999_999_999, 1_000_000_000_000, 1_099_999_999_999, 9_999_999_999_999, 10_000_000_000_000, maxInstant} {
		check(ms)
	}
	for n := range int64(10_000) { // every value of each part that is divided
		check(1_000_000_000_000 + n)
		check(1_000_000_000_000 + n*10_000)
		check(1_000_000_000_000 + n*100_000_000)
	}
	for range 10_000 {
		check(rand.Int64N(maxInstant))
		check(1e12 + rand.Int64N(9e12))
	}
}
